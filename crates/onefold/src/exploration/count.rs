//! The aggregate that is explored with, and whoever watches it at work.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use onefold_core::{
    Aggregate, CodecError, CodecId, Context, Decision, DecodeError, Event, EventType, Handle, PayloadWriter,
};
use parking_lot::Mutex;

use super::journal::LateJournal;

/// How often it was increased.
#[derive(Default)]
pub(super) struct Count(pub(super) u64);

pub(super) struct Increased;

impl Event for Increased {
    const TYPES: &'static [EventType] = &[EventType { name: "count.increased", revision: 1 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Increased)
    }
}

impl Aggregate for Count {
    const TYPE: &'static str = "count";
    type Event = Increased;
    type Rejection = std::convert::Infallible;
    type Services = Watch;

    fn apply(&mut self, _: &Increased) {
        self.0 += 1;
    }
}

/// Increases by one, and replies with what it is then.
#[derive(Clone, Copy)]
pub(super) struct Increase {
    /// How often the handler lets others go first.
    pub(super) pauses: u32,
    pub(super) then: Then,
}

/// What the handler does after its pauses.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Decide,
    /// Waits until every earlier decision is durable; then decides.
    WaitUntilDurable,
    /// Takes the claim of all.
    Claim,
    Panic,
}

/// The claim that all want.
pub(super) const WANTED: (&str, &str) = ("name", "wanted");

impl Handle<Increase> for Count {
    type Reply = u64;

    async fn handle(&self, increase: Increase, cx: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
        let watch = cx.services();
        let work = watch.begin(cx.id().as_str());
        for _ in 0..increase.pauses {
            pause(1).await;
            work.goes_on();
        }
        match increase.then {
            Then::Decide => {}
            Then::Claim => {
                let (namespace, value) = WANTED;
                return Ok(self.emit(Increased).claim(namespace, value).reply(|count| count.0));
            }
            Then::WaitUntilDurable => {
                cx.durable().await;
                work.goes_on();
                watch.check_durable(cx.id().as_str(), self.0, "cx.durable()");
            }
            // Without the panic hook, which would tell of each of them.
            Then::Panic => std::panic::resume_unwind(Box::new("on purpose")),
        }
        Ok(self.emit(Increased).reply(|count| count.0))
    }
}

/// Lets others go first so often.
pub(super) async fn pause(mut times: u32) {
    poll_fn(|cx| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Takes note of what must not happen: a handler that goes on though another has begun on its aggregate, and what is told before it is durable.
///
/// Its locks are none of shuttle's: nobody changes to another thread while one is held.
pub(super) struct Watch {
    journal: LateJournal,
    begun: AtomicU64,
    /// The latest handler of each aggregate. One that is cut off may lie about for a moment, and not be polled again.
    at_work: Mutex<BTreeMap<String, u64>>,
    objections: Mutex<Vec<String>>,
}

impl Watch {
    pub(super) fn new(journal: LateJournal) -> Self {
        Watch { journal, begun: AtomicU64::new(0), at_work: Mutex::default(), objections: Mutex::default() }
    }

    /// How many handlers have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn objections(&self) -> Vec<String> {
        self.objections.lock().clone()
    }

    /// A count that is shown must be durable.
    pub(super) fn check_durable(&self, id: &str, shown: u64, by: &str) {
        let durable = self.journal.durable_events(id);
        if shown > durable {
            self.object(format!("{by} shows {shown} of {id}, of which {durable} are durable"));
        }
    }

    fn begin(&self, id: &str) -> Work<'_> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.at_work.lock().insert(id.to_owned(), number);
        Work { watch: self, id: id.to_owned(), number }
    }

    fn object(&self, objection: String) {
        self.objections.lock().push(objection);
    }
}

/// A handler at work.
struct Work<'a> {
    watch: &'a Watch,
    id: String,
    number: u64,
}

impl Work<'_> {
    fn goes_on(&self) {
        if self.watch.at_work.lock().get(&self.id) != Some(&self.number) {
            self.watch.object(format!("two handlers at work on {}", self.id));
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let mut at_work = self.watch.at_work.lock();
        if at_work.get(&self.id) == Some(&self.number) {
            at_work.remove(&self.id);
        }
    }
}
