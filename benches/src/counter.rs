//! The aggregate under load: it counts, and digests what it was told, so that its state proves which events made it.

use std::convert::Infallible;

use onefold::{Aggregate, Context, Decision, Event, Handle};
use serde::Serialize;

use crate::entry::Entry;

/// Its state follows from all of its events, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// How many events.
    pub count: u64,
    /// The sum of their digests.
    pub digest: u64,
}

/// What happens to it.
#[derive(Debug, Event)]
#[event(prefix = "counter")]
pub enum CounterEvent {
    /// It was told one more number.
    Added {
        /// Which, and filler up to the size asked for.
        entry: Entry,
    },
}

/// Tells it a number.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Add {
    /// The number.
    pub nonce: u64,
    /// The encoded size of the event to be made of it.
    pub event_bytes: u32,
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Event = CounterEvent;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, event: &CounterEvent) {
        let CounterEvent::Added { entry } = event;
        self.count += 1;
        self.digest = self.digest.wrapping_add(Entry::digest(entry.sequence, entry.nonce));
    }
}

impl Handle<Add> for Counter {
    type Reply = u64;

    async fn handle(&self, add: Add, _: &Context<Self>) -> Result<Decision<Self, u64>, Infallible> {
        let entry = Entry::new(self.count + 1, add.nonce, add.event_bytes);
        Ok(self.emit(CounterEvent::Added { entry }).reply(|counter| counter.count))
    }
}
