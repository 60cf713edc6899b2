//! An aggregate that does what an aggregate must not do, one thing per event and command.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use onefold_core::{
    Aggregate, CodecError, CodecId, Context, Decision, DecodeError, Event, EventType, Handle, PayloadWriter,
};
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Odd {
    pub(crate) seen: u64,
    #[serde(skip)]
    pub(crate) forgotten: u64,
    pub(crate) unordered: HashMap<u64, u64>,
}

#[derive(Clone, Debug, PartialEq, onefold_derive::Event)]
#[event(prefix = "odd", crate = "onefold_core")]
pub(crate) enum OddEvent {
    /// As it should be.
    Seen,
    /// Comes back without its number.
    Lossy(Lossy),
    /// Is written and never read.
    Unreadable(Unreadable),
    /// JSON has no word for some of them.
    Rated(f64),
    /// As large as one likes.
    Written(String),
    /// In many lines.
    Many(Vec<String>),
    /// `apply` panics.
    Applied { words: String },
    /// `apply` counts on something that is not in the event.
    Counted,
    /// Into the part of the state that is skipped.
    Forgotten,
    /// Into the part of the state whose order is never the same.
    Stirred,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lossy {
    #[serde(skip)]
    pub(crate) number: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Unreadable(pub(crate) u64);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("nobody reads this"))
    }
}

impl Aggregate for Odd {
    const TYPE: &'static str = "odd";
    type Event = OddEvent;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, event: &OddEvent) {
        static COUNTER: AtomicU64 = AtomicU64::new(1);
        self.seen += 1;
        match event {
            OddEvent::Applied { words } => panic!("{words}"),
            OddEvent::Counted => self.seen += COUNTER.fetch_add(1, Ordering::Relaxed),
            OddEvent::Forgotten => self.forgotten += 1,
            OddEvent::Stirred => self.unordered.extend((0..100).map(|number| (number, number))),
            _ => {}
        }
    }
}

/// Decides on these events.
#[derive(Debug)]
pub(crate) struct Emit(pub(crate) Vec<OddEvent>);

/// Panics in the handler, or in the reply.
#[derive(Debug)]
pub(crate) enum Panic {
    Handler,
    Reply,
}

impl Handle<Emit> for Odd {
    type Reply = Lossy;

    async fn handle(&self, Emit(events): Emit, _: &Context<Self>) -> Result<Decision<Self, Lossy>, Infallible> {
        Ok(self.emit_all(events).reply(|odd| Lossy { number: odd.seen }))
    }
}

impl Handle<Panic> for Odd {
    type Reply = u64;

    async fn handle(&self, command: Panic, _: &Context<Self>) -> Result<Decision<Self, u64>, Infallible> {
        match command {
            Panic::Handler => panic!("the handler has no idea"),
            Panic::Reply => Ok(self.emit(OddEvent::Seen).reply(|_| panic!("no answer"))),
        }
    }
}

/// Writes by hand, and calls itself whatever one likes; knows no JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ByHand(pub(crate) &'static str, pub(crate) u16);

#[derive(Debug, Default)]
pub(crate) struct Hand;

impl Event for ByHand {
    const TYPES: &'static [EventType] = &[EventType { name: "hand.waved", revision: 1 }];

    fn event_type(&self) -> EventType {
        EventType { name: self.0, revision: self.1 }
    }

    fn encode(&self, codec: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        match codec {
            CodecId::Bincode => Ok(()),
            _ => Err(CodecError::NotBuiltIn),
        }
    }

    fn decode(name: &str, revision: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
        match (name, revision) {
            ("hand.waved", 1) => Ok(ByHand("hand.waved", 1)),
            _ => Err(DecodeError::unknown(Self::TYPES, name, revision)),
        }
    }
}

impl Aggregate for Hand {
    const TYPE: &'static str = "hand";
    type Event = ByHand;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, _: &ByHand) {}
}

impl Handle<ByHand> for Hand {
    type Reply = ();

    async fn handle(&self, event: ByHand, _: &Context<Self>) -> Result<Decision<Self, ()>, Infallible> {
        Ok(self.emit(event))
    }
}
