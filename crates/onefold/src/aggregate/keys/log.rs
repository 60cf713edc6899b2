//! Records one after the other, in one piece of memory: a new one is written where the last one ends.
//!
//! ```text
//!   forgotten │ entry │ entry │ …        entry:  length u32 │ version u64 │ time u64 │ record
//! ```

use onefold_core::journal::KeyRecord;
use onefold_core::{StreamVersion, Timestamp};

use super::Remembered;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
    /// Where the oldest entry begins.
    start: usize,
    /// Bytes that were cut off in front, so that a place stays what it is.
    cut: u64,
}

/// Where an entry is. It stays there until it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// What an entry holds.
pub(super) struct Entry<'a> {
    pub(super) remembered: Remembered<'a>,
    /// The newest time of all commits until then.
    pub(super) at: Timestamp,
}

const HEADER_BYTES: usize = 4 + 8 + 8;

/// Beside it a kilobyte in reserve is nothing.
const LARGE: usize = 64 * 1024;

impl Log {
    pub(super) fn push(&mut self, record: &KeyRecord, version: StreamVersion, at: Timestamp) -> Place {
        let place = self.end();
        let record = record.as_bytes();
        let length = u32::try_from(record.len()).expect("a record fits into a commit");
        self.make_room(HEADER_BYTES + record.len());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&version.get().to_le_bytes());
        self.bytes.extend_from_slice(&at.as_micros().to_le_bytes());
        self.bytes.extend_from_slice(record);
        place
    }

    /// The entry at a place that `push` gave, or an iteration.
    pub(super) fn get(&self, place: Place) -> Option<Entry<'_>> {
        let entry = self.parse(place);
        debug_assert!(entry.is_some(), "a record that was remembered is one");
        entry
    }

    fn parse(&self, place: Place) -> Option<Entry<'_>> {
        let bytes = self.at(place)?;
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let number = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let record = KeyRecord::decode(rest.get(..length_of(bytes)?)?)?;
        let remembered = Remembered { record, version: StreamVersion::new(number(4)?) };
        Some(Entry { remembered, at: Timestamp::from_micros(number(12)?) })
    }

    /// Whether the entry at a place is that key's.
    pub(super) fn has_key(&self, place: Place, key: &str) -> bool {
        self.get(place).is_some_and(|entry| entry.remembered.record.key() == key)
    }

    /// The places of all entries, from the oldest on.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<'_> {
        let first = self.oldest().filter(|place| *place != self.end());
        std::iter::successors(first, |place| self.after(*place).filter(|place| *place != self.end()))
    }

    /// Where the oldest entry is.
    pub(super) fn oldest(&self) -> Option<Place> {
        (self.start < self.bytes.len()).then_some(Place(self.cut + self.start as u64))
    }

    /// Forgets the oldest entry.
    pub(super) fn forget_oldest(&mut self) {
        let Some(after) = self.oldest().and_then(|place| self.after(place)) else { return };
        self.start = usize::try_from(after.0 - self.cut).unwrap_or(self.bytes.len());
        // Not before it is worth it: each byte is moved about once.
        if self.start * 2 > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.cut += self.start as u64;
            self.start = 0;
            if self.bytes.len() * 2 < self.bytes.capacity() {
                self.bytes.shrink_to(self.bytes.len() + self.bytes.len() / 2);
            }
        }
    }

    /// The bytes it occupies.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Grows by halves, and by quarters when it is large: what is in reserve counts.
    fn make_room(&mut self, bytes: usize) {
        if self.bytes.capacity() - self.bytes.len() < bytes {
            let len = self.bytes.len();
            let share = if len < LARGE { len / 2 } else { len / 4 };
            self.bytes.reserve_exact(bytes.max(share));
        }
    }

    fn end(&self) -> Place {
        Place(self.cut + self.bytes.len() as u64)
    }

    fn after(&self, place: Place) -> Option<Place> {
        let length = length_of(self.at(place)?)?;
        Some(Place(place.0 + (HEADER_BYTES + length) as u64))
    }

    fn at(&self, place: Place) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(place.0.checked_sub(self.cut)?).ok()?..)
    }
}

fn length_of(entry: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*entry.first_chunk()?)).ok()
}
