//! Records one after the other, in pieces of memory that stay where they are: a new one is written where the last one ends.
//!
//! ```text
//!   full pieces, the oldest first                   the newest
//!   forgotten │ entry │ entry │   │ entry │ …       entry │ entry │ room          entry:  length u32 │ version u64 │ time u64 │ record
//! ```
//!
//! A single piece that grows would be copied each time, and leave memory that fits nobody: a hundred thousand of them at a time keep the
//! allocator busy, and the kernel clearing pages.

use std::collections::VecDeque;

use onefold_core::journal::{KeyRecord, PackedKey};
use onefold_core::{StreamVersion, Timestamp};

use super::Remembered;

/// See the module. A place counts all bytes that were ever written, so it stays what it is.
#[derive(Debug, Default)]
pub(super) struct Log {
    newest: Piece,
    /// `None`, too: there never was one.
    full: Option<Box<Full>>,
    /// What all pieces take: asked for with each command, when the full ones are in no cache.
    allocated_bytes: usize,
    /// The oldest entry that is not forgotten; the end, if there is none.
    oldest: Place,
}

/// Apart: most aggregates never have one.
#[derive(Debug, Default)]
struct Full {
    pieces: VecDeque<Piece>,
}

#[derive(Debug, Default)]
struct Piece {
    begin: Place,
    /// As much as it was made for, and never more.
    bytes: Vec<u8>,
}

/// Where an entry is. It stays there until it is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// What an entry holds.
pub(super) struct Entry<'a> {
    pub(super) remembered: Remembered<'a>,
    /// The newest time of all commits until then.
    pub(super) at: Timestamp,
}

const HEADER_BYTES: usize = 4 + 8 + 8;

/// A piece has room for a few usual entries, then for as much as there is, and never for more than a large one takes.
const PIECE_BYTES: std::ops::RangeInclusive<usize> = 192..=1024;

impl Log {
    pub(super) fn push(
        &mut self,
        record: &KeyRecord<impl AsRef<[u8]>>,
        version: StreamVersion,
        at: Timestamp,
    ) -> Place {
        let record = record.as_bytes();
        let length = u32::try_from(record.len()).expect("a record fits into a commit");
        self.make_room(HEADER_BYTES + record.len());
        let place = self.end();
        let bytes = &mut self.newest.bytes;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&version.get().to_le_bytes());
        bytes.extend_from_slice(&at.as_micros().to_le_bytes());
        bytes.extend_from_slice(record);
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
    pub(super) fn has_key(&self, place: Place, key: PackedKey<'_>) -> bool {
        self.get(place).is_some_and(|entry| entry.remembered.record.key() == key)
    }

    /// The places of all entries, from the oldest on.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<'_> {
        std::iter::successors(self.oldest(), |place| self.after(*place).filter(|place| *place != self.end()))
    }

    /// Where the oldest entry is.
    pub(super) fn oldest(&self) -> Option<Place> {
        (self.oldest < self.end()).then_some(self.oldest)
    }

    /// Forgets the oldest entry.
    pub(super) fn forget_oldest(&mut self) {
        let Some(after) = self.oldest().and_then(|place| self.after(place)) else { return };
        self.oldest = after;
        let Some(Full { pieces: full }) = self.full.as_deref_mut() else { return };
        let table_bytes = table_bytes(full);
        if let Some(forgotten) = full.pop_front_if(|piece| piece.end() <= after) {
            if full.len() * 4 < full.capacity() {
                full.shrink_to(full.len() * 2);
            }
            self.allocated_bytes -= forgotten.bytes.capacity() + table_bytes - self::table_bytes(full);
        }
    }

    /// The bytes it occupies.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.allocated_bytes
    }

    fn make_room(&mut self, bytes: usize) {
        if self.newest.bytes.capacity() - self.newest.bytes.len() >= bytes {
            return;
        }
        let end = self.end();
        let there = usize::try_from(end.0 - self.oldest.0).unwrap_or(usize::MAX);
        let room = bytes.max(there.clamp(*PIECE_BYTES.start(), *PIECE_BYTES.end()));
        let newest = Piece { begin: end, bytes: Vec::with_capacity(room) };
        self.allocated_bytes += newest.bytes.capacity();
        let full = std::mem::replace(&mut self.newest, newest);
        // All of it may have been forgotten, or it is the first one, which never was any.
        if full.end() <= self.oldest {
            self.allocated_bytes -= full.bytes.capacity();
            return;
        }
        let before = self.full.as_ref().map_or(0, |full| table_bytes(&full.pieces));
        let pieces = &mut self.full.get_or_insert_default().pieces;
        pieces.push_back(full);
        self.allocated_bytes += table_bytes(pieces) - before;
    }

    fn end(&self) -> Place {
        self.newest.end()
    }

    fn after(&self, place: Place) -> Option<Place> {
        let length = length_of(self.at(place)?)?;
        Some(Place(place.0 + (HEADER_BYTES + length) as u64))
    }

    /// The entry at a place, and what follows it in its piece.
    fn at(&self, place: Place) -> Option<&[u8]> {
        let piece = match self.full.as_deref() {
            Some(Full { pieces: full }) if place < self.newest.begin => {
                full.get(full.partition_point(|piece| piece.begin <= place).checked_sub(1)?)?
            }
            _ => &self.newest,
        };
        piece.bytes.get(usize::try_from(place.0.checked_sub(piece.begin.0)?).ok()?..)
    }
}

/// What the table of full pieces takes.
fn table_bytes(full: &VecDeque<Piece>) -> usize {
    size_of::<Full>() + full.capacity() * size_of::<Piece>()
}

impl Piece {
    fn end(&self) -> Place {
        Place(self.begin.0 + self.bytes.len() as u64)
    }
}

fn length_of(entry: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*entry.first_chunk()?)).ok()
}

#[cfg(test)]
mod tests {
    use onefold_core::journal::KeyOutcome;

    use super::*;

    fn really_allocated(log: &Log) -> usize {
        let full = log.full.as_ref().map_or(0, |full| {
            table_bytes(&full.pieces) + full.pieces.iter().map(|piece| piece.bytes.capacity()).sum::<usize>()
        });
        log.newest.bytes.capacity() + full
    }

    /// Small and large ones, forgotten one after the other while others come, and all of them in the end.
    #[test]
    fn what_it_occupies_is_counted_and_given_back() {
        let mut log = Log::default();
        let mut there = VecDeque::new();
        for number in 0..2_000_u64 {
            let reply = vec![7; if number % 50 == 49 { 5_000 } else { usize::try_from(number % 90).unwrap() }];
            let record = KeyRecord::new(&format!("key {number}"), number, KeyOutcome::Reply, 1, &reply).unwrap();
            there.push_back((log.push(&record, StreamVersion::new(number), Timestamp::from_micros(number)), number));
            // Grows, stays as it is, and shrinks.
            for _ in 0..number / 800 {
                log.forget_oldest();
                there.pop_front();
            }
            assert_eq!(log.allocated_bytes(), really_allocated(&log), "after {number}");
            assert_eq!(log.oldest(), there.front().map(|(place, _)| *place), "after {number}");
        }
        let found = log.places().map(|place| (place, log.get(place).unwrap().remembered.version.get()));
        assert!(found.eq(there.iter().copied()));
        while log.oldest().is_some() {
            log.forget_oldest();
        }
        assert_eq!(log.allocated_bytes(), really_allocated(&log));
        assert!(log.allocated_bytes() < 8_000, "{}", log.allocated_bytes());
        assert_eq!(log.places().count(), 0);
    }
}
