//! A group on disk: a header, then the records of its commits back to back. It begins and
//! ends with a block of the file.
//!
//! ```text
//!  0  magic u32
//!  4  crc u32             CRC-32C, seeded with salt, generation and number, of header (from 8) and records
//!  8  generation u64      of the log, see segment
//! 16  number u64          1, 2, 3 … in a generation
//! 24  first commit u64
//! 32  commits u32
//! 36  length u32          of the records in bytes
//! 40  previous crc u32    of the group before: 0 for a generation's first
//! 44  header crc u32      CRC-32C, seeded with the salt, of 0..4 and 8..44
//! 48  reserved, 16 bytes  = 0
//! 64  records
//! ```
//!
//! The salt is the segment's: its low half seeds the header's checksum, its high half the group's. So a payload that is
//! made to look like a group does not verify.

use super::blocks::BLOCK_BYTES;
use crate::fields::{put, u32_at, u64_at};

pub(crate) const HEADER_BYTES: usize = 64;
/// Groups begin at multiples of this.
pub(crate) const ALIGNMENT: usize = BLOCK_BYTES;
const MAGIC: u32 = u32::from_le_bytes(*b"1fGr");

/// What a group's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) generation: u64,
    pub(crate) number: u64,
    pub(crate) first_commit: u64,
    pub(crate) commits: u32,
    /// Bytes of the records.
    pub(crate) length: u32,
    /// The crc of the group before.
    pub(crate) previous_crc: u32,
}

/// The bytes of the file that a group of so many bytes takes.
pub(crate) fn room(bytes: usize) -> u64 {
    bytes.next_multiple_of(ALIGNMENT) as u64
}

/// Writes the header into the first 64 bytes of a group. Returns the group's crc.
pub(crate) fn seal(bytes: &mut [u8], header: &GroupHeader, salt: u64) -> u32 {
    put(bytes, 0, &MAGIC.to_le_bytes());
    put(bytes, 8, &header.generation.to_le_bytes());
    put(bytes, 16, &header.number.to_le_bytes());
    put(bytes, 24, &header.first_commit.to_le_bytes());
    put(bytes, 32, &header.commits.to_le_bytes());
    put(bytes, 36, &header.length.to_le_bytes());
    put(bytes, 40, &header.previous_crc.to_le_bytes());
    let header_crc = header_crc(bytes, salt);
    put(bytes, 44, &header_crc.to_le_bytes());
    let crc = group_crc(header, bytes, salt);
    put(bytes, 4, &crc.to_le_bytes());
    crc
}

#[expect(clippy::cast_possible_truncation, reason = "the low half")]
fn header_crc(group: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt as u32, &group[..4]), &group[8..44])
}

fn group_crc(header: &GroupHeader, group: &[u8], salt: u64) -> u32 {
    let seed = crc32c::crc32c_append((salt >> 32) as u32, &header.generation.to_le_bytes());
    let seed = crc32c::crc32c_append(seed, &header.number.to_le_bytes());
    crc32c::crc32c_append(seed, &group[8..])
}

/// Reads the group at the start of `bytes`, if a whole one with right checksums begins there: its header, its crc and the
/// bytes it takes.
pub(crate) fn parse(bytes: &[u8], salt: u64) -> Option<(GroupHeader, u32, usize)> {
    let header = parse_header(bytes, salt)?;
    let end = HEADER_BYTES.checked_add(usize::try_from(header.length).ok()?)?;
    let group = bytes.get(..end)?;
    let crc = u32_at(group, 4);
    (group_crc(&header, group, salt) == crc).then(|| (header, crc, end.next_multiple_of(ALIGNMENT)))
}

/// Reads the header at the start of `bytes`, if one with a right checksum is there.
pub(crate) fn parse_header(bytes: &[u8], salt: u64) -> Option<GroupHeader> {
    let header = bytes.get(..HEADER_BYTES)?;
    let verifies = u32_at(header, 0) == MAGIC && header_crc(header, salt) == u32_at(header, 44);
    verifies.then(|| read_header(header))
}

/// What the bytes say if they are a group's header, right checksum or not.
pub(crate) fn guess_header(bytes: &[u8]) -> Option<GroupHeader> {
    let header = bytes.get(..HEADER_BYTES)?;
    (u32_at(header, 0) == MAGIC).then(|| read_header(header))
}

fn read_header(header: &[u8]) -> GroupHeader {
    GroupHeader {
        generation: u64_at(header, 8),
        number: u64_at(header, 16),
        first_commit: u64_at(header, 24),
        commits: u32_at(header, 32),
        length: u32_at(header, 36),
        previous_crc: u32_at(header, 40),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x1234_5678_9abc_def0;

    fn header(length: u32) -> GroupHeader {
        GroupHeader { generation: 3, number: 7, first_commit: 40, commits: 2, length, previous_crc: 99 }
    }

    /// A client's payload may lie in the log where a group may, too: made to look like a later group, it was taken
    /// for evidence of damage.
    #[test]
    fn a_group_does_not_verify_without_its_salt() {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend_from_slice(b"made by a client");
        seal(&mut bytes, &header(16), 0);
        assert!(parse(&bytes, 0).is_some());
        for salt in [SALT, SALT & u64::from(u32::MAX), SALT >> 32 << 32] {
            assert_eq!(parse(&bytes, salt), None, "{salt:x}");
        }
    }

    #[test]
    fn a_group_comes_back_and_every_flipped_bit_is_found() {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend_from_slice(b"records of some commits");
        let header = header(23);
        let crc = seal(&mut bytes, &header, SALT);
        assert_eq!(parse(&bytes, SALT), Some((header, crc, ALIGNMENT)));
        for bit in 0..(HEADER_BYTES + 23) * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&damaged, SALT), None, "bit {bit}");
        }
        assert_eq!(parse(&bytes[..80], SALT), None);
    }
}
