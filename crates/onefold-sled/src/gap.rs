//! The record of a gap: what stands in the log in place of commits that a repair had to give up.
//!
//! Each commit of a gap has such a record under its own number, so that numbers stay dense and nobody takes the gap for
//! damage, or a later commit for an earlier one. It has the envelope of `onefold-core` without parts, and the kind 2:
//!
//! ```text
//!  0  length u32, header crc u32, format u8 = 1, kind u8 = 2, parts u16 = 0, metadata length u32 = 32
//! 16  commit number u64
//! 24  first position u64      the position of the first event that is gone
//! 32  metadata crc u32, reserved u32 = 0
//! 40  first commit u64        of the gap
//! 48  last commit u64
//! 56  last position u64       of the last event that is gone; one less than the first, when they had none
//! 64  removed at u64          microseconds since 1970
//! ```

use onefold_core::{CommitNumber, GlobalPosition, Timestamp};

use crate::fields::{put, u32_at, u64_at};

/// Bytes of the record.
pub(crate) const GAP_BYTES: usize = 72;
const HEADER_BYTES: usize = 40;
const FORMAT: u8 = 1;
const KIND: u8 = 2;

/// Commits that are gone: a repair left this record in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first commit that is gone.
    pub first_commit: CommitNumber,
    /// The last one.
    pub last_commit: CommitNumber,
    /// The position of the first event that is gone.
    pub first_position: GlobalPosition,
    /// That of the last one; the one before the first, if the commits had no event.
    pub last_position: GlobalPosition,
    /// When the repair gave them up.
    pub removed_at: Timestamp,
}

impl Gap {
    /// The record that stands in the place of `commit`, which is in the gap.
    pub(crate) fn encode(&self, commit: u64) -> Vec<u8> {
        let mut record = vec![0; GAP_BYTES];
        put(&mut record, 0, &72u32.to_le_bytes());
        record[8..10].copy_from_slice(&[FORMAT, KIND]);
        put(&mut record, 12, &32u32.to_le_bytes());
        put(&mut record, 16, &commit.to_le_bytes());
        put(&mut record, 24, &self.first_position.get().to_le_bytes());
        put(&mut record, 40, &self.first_commit.get().to_le_bytes());
        put(&mut record, 48, &self.last_commit.get().to_le_bytes());
        put(&mut record, 56, &self.last_position.get().to_le_bytes());
        put(&mut record, 64, &self.removed_at.as_micros().to_le_bytes());
        let metadata_crc = crc32c::crc32c(&record[HEADER_BYTES..]);
        put(&mut record, 32, &metadata_crc.to_le_bytes());
        let header_crc = crc32c::crc32c(&record[8..HEADER_BYTES]);
        put(&mut record, 4, &header_crc.to_le_bytes());
        record
    }

    /// Reads the record at the start of `bytes` if it is that of a gap, stands in the place of `commit`, and is whole.
    pub(crate) fn parse(bytes: &[u8], commit: u64) -> Option<Gap> {
        let record = bytes.get(..GAP_BYTES)?;
        let is_one = u32_at(record, 0) == 72
            && record[8..10] == [FORMAT, KIND]
            && crc32c::crc32c(&record[8..HEADER_BYTES]) == u32_at(record, 4)
            && crc32c::crc32c(&record[HEADER_BYTES..]) == u32_at(record, 32);
        let gap = Gap {
            first_commit: CommitNumber::new(u64_at(record, 40)),
            last_commit: CommitNumber::new(u64_at(record, 48)),
            first_position: GlobalPosition::new(u64_at(record, 24)),
            last_position: GlobalPosition::new(u64_at(record, 56)),
            removed_at: Timestamp::from_micros(u64_at(record, 64)),
        };
        let fits = u64_at(record, 16) == commit && gap.holds(commit) && gap.first_position <= gap.last_position.next();
        (is_one && fits).then_some(gap)
    }

    /// Whether the commit is in the gap.
    pub(crate) fn holds(&self, commit: u64) -> bool {
        (self.first_commit.get()..=self.last_commit.get()).contains(&commit)
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last) = (self.first_commit, self.last_commit);
        match first == last {
            true => write!(f, "commit {first} was given up by a repair"),
            false => write!(f, "commits {first} to {last} were given up by a repair"),
        }
    }
}

#[cfg(test)]
mod tests {
    use onefold_core::journal::record::{RecordError, RecordView};

    use super::*;

    #[test]
    fn a_gap_comes_back_and_every_flipped_bit_is_found() {
        let gap = Gap {
            first_commit: CommitNumber::new(7),
            last_commit: CommitNumber::new(9),
            first_position: GlobalPosition::new(11),
            last_position: GlobalPosition::new(20),
            removed_at: Timestamp::from_micros(5),
        };
        let record = gap.encode(8);
        assert_eq!(Gap::parse(&record, 8), Some(gap));
        assert_eq!(Gap::parse(&record, 9), None, "it stands in the place of one commit");
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Gap::parse(&damaged, 8), None, "bit {bit}");
        }
        // Commits without events leave a gap without positions.
        let empty = Gap { first_position: GlobalPosition::new(11), last_position: GlobalPosition::new(10), ..gap };
        assert_eq!(Gap::parse(&empty.encode(7), 7), Some(empty));
        // Whoever knows only commits says so, and does not take it for damage.
        assert_eq!(RecordView::parse(&record).unwrap_err(), RecordError::UnknownFormat { format: 1, kind: 2 });
    }
}
