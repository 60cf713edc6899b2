//! The aggregate under attack. Everything in an event follows from the command's number, so whoever reads it can tell
//! whether it is what was written, and whether a commit is whole.

use std::convert::Infallible;
use std::ops::RangeInclusive;

use onefold::{Aggregate, Context, Decision, Event, Handle, StreamId, Timestamp};
use serde::{Deserialize, Serialize};

use super::random::{Random, mix};
use super::transcript::{NAMESPACE, Share, Step};

/// Bytes of an event's payload beside the filler, at most: number 9, place 3, count 3, length 5.
const FIXED_BYTES: u64 = 20;

/// Its state proves which events made it, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chronicle {
    /// How many events, which is also its version.
    pub version: u64,
    /// A digest of all of them.
    pub digest: u64,
    /// What it got from others, less what it gave.
    pub balance: i64,
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Event)]
#[event(prefix = "chronicle")]
pub enum ChronicleEvent {
    /// Something was written down.
    Written(Entry),
    /// The same, and something was given to another aggregate, or got from one.
    Moved(Movement),
}

/// An event by which something goes from one aggregate to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The event.
    pub entry: Entry,
    /// What it gets; less than nothing: what it gives.
    pub amount: i64,
}

impl ChronicleEvent {
    /// What is written down, and what is got.
    pub fn content(self) -> (Entry, i64) {
        match self {
            ChronicleEvent::Written(entry) => (entry, 0),
            ChronicleEvent::Moved(Movement { entry, amount }) => (entry, amount),
        }
    }
}

/// One event of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The command's number, never used twice in a directory.
    pub number: u64,
    /// Its place among the command's events, from 0.
    pub place: u16,
    /// How many events the command has.
    pub count: u16,
    /// Bytes that follow from the number and the place.
    pub filler: String,
}

/// Writes down some entries, in one commit.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// The command's number.
    pub number: u64,
    /// How many events.
    pub count: u16,
    /// Bytes of an event.
    pub event_bytes: RangeInclusive<u64>,
}

/// One aggregate's share of a command: writes down its entries, and changes a claim.
#[derive(Clone, Debug, Serialize)]
pub struct Act {
    number: u64,
    /// The place of its first event among the command's, how many it has, and how many the command has.
    first: u16,
    count: u16,
    of: u16,
    amount: i64,
    step: Option<Step>,
    event_bytes: RangeInclusive<u64>,
}

impl Act {
    /// The share of command `number` whose first event has the place `first` of `of`.
    pub fn new(number: u64, share: &Share, first: u16, of: u16, event_bytes: RangeInclusive<u64>) -> Self {
        let Share { events, amount, step, .. } = share.clone();
        Act { number, first, count: events, of, amount, step, event_bytes }
    }
}

impl Write {
    /// The idempotency key of command `number`, if it has one.
    pub fn key(number: u64) -> String {
        format!("write-{number}")
    }
}

impl Entry {
    /// What command `number` writes in its place `place` of `count`.
    pub fn new(number: u64, place: u16, count: u16, event_bytes: &RangeInclusive<u64>) -> Self {
        let mut random = Random::of(number, u64::from(place));
        // Mostly small, and now and then anything up to the largest.
        let (least, most) = (*event_bytes.start(), *event_bytes.end());
        let bytes = match random.one_in(64) {
            true => random.magnitude(least, most),
            false => random.magnitude(least, most.min(1_000)),
        };
        let length = usize::try_from(bytes.saturating_sub(FIXED_BYTES)).unwrap_or(usize::MAX);
        Entry { number, place, count, filler: filler(number, place, length) }
    }

    /// Whether the bytes are what the number and the place ask for.
    pub fn is_genuine(&self) -> bool {
        self.place < self.count && self.filler == filler(self.number, self.place, self.filler.len())
    }
}

/// Text whose every eight characters differ, so that a swapped or a stale block shows.
fn filler(number: u64, place: u16, length: usize) -> String {
    let mut random = Random::of(number, u64::from(place) | 1 << 32);
    let mut text = String::with_capacity(length + 8);
    while text.len() < length {
        let bits = random.number();
        text.extend((0..8).map(|at| char::from(b' ' + u8::try_from(bits >> (8 * at) & 63).unwrap_or(0))));
    }
    text.truncate(length);
    text
}

impl Chronicle {
    /// One more event.
    pub fn note(&mut self, number: u64, place: u16, amount: i64) {
        self.version += 1;
        self.digest = Chronicle::digest_after(self.digest, number, place);
        self.balance = self.balance.wrapping_add(amount);
    }

    /// The digest after one more event.
    pub fn digest_after(digest: u64, number: u64, place: u16) -> u64 {
        mix(digest ^ mix(number)).wrapping_add(u64::from(place))
    }
}

impl Aggregate for Chronicle {
    const TYPE: &'static str = "chronicle";
    type Event = ChronicleEvent;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, event: &ChronicleEvent) {
        let (entry, amount) = match event {
            ChronicleEvent::Written(entry) => (entry, 0),
            ChronicleEvent::Moved(Movement { entry, amount }) => (entry, *amount),
        };
        self.note(entry.number, entry.place, amount);
    }
}

impl Handle<Write> for Chronicle {
    /// The version after the events.
    type Reply = u64;

    async fn handle(&self, write: Write, _: &Context<Self>) -> Result<Decision<Self, u64>, Infallible> {
        let entry = |place| Entry::new(write.number, place, write.count, &write.event_bytes);
        let events = (0..write.count).map(|place| ChronicleEvent::Written(entry(place)));
        Ok(self.emit_all(events).reply(|chronicle| chronicle.version))
    }
}

impl Handle<Act> for Chronicle {
    /// The version after the events.
    type Reply = u64;

    async fn handle(&self, act: Act, _: &Context<Self>) -> Result<Decision<Self, u64>, Infallible> {
        let Act { number, first, count, of, amount, step, event_bytes } = act;
        let events = (first..first + count).map(|place| {
            let entry = Entry::new(number, place, of, &event_bytes);
            match amount {
                amount if amount != 0 && place == first => ChronicleEvent::Moved(Movement { entry, amount }),
                _ => ChronicleEvent::Written(entry),
            }
        });
        let decision = self.emit_all(events).reply(|chronicle: &Chronicle| chronicle.version);
        Ok(match step {
            None => decision,
            Some(Step::Take(claim)) => decision.claim(NAMESPACE, claim),
            Some(Step::Hold(claim, until)) => decision.hold(NAMESPACE, claim, Timestamp::from_micros(until)),
            Some(Step::Confirm(claim)) => decision.confirm(NAMESPACE, claim),
            Some(Step::Release(claim)) => decision.release(NAMESPACE, claim),
            Some(Step::Move(claim, to)) => decision.move_claim(NAMESPACE, claim, stream(to)),
        })
    }
}

/// The stream of the aggregate `id`, which is one of the load's own making.
fn stream(id: String) -> StreamId {
    StreamId::new(Chronicle::TYPE, id).expect("the load's ids are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_entry_is_not_genuine() {
        let entry = (0..1_000).map(|number| Entry::new(number, 1, 3, &(20..=2_000)));
        let entry = entry.into_iter().find(|entry| entry.filler.len() > 50).expect("some are larger");
        assert!(entry.is_genuine());
        let mut changed = entry.clone();
        changed.filler.replace_range(17..18, "\x7F");
        assert!(!changed.is_genuine());
        assert!(!Entry { number: entry.number + 1, ..entry.clone() }.is_genuine());
        assert!(!Entry { place: 2, ..entry }.is_genuine());
    }
}
