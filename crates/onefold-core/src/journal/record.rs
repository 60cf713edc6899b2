//! The envelope: one commit as bytes, the same in every journal. Hand-written and fixed; it never goes through a codec.
//!
//! ```text
//!  0  length u32          of the whole record, this field included
//!  4  header crc u32      CRC-32C of everything from 8 to the end of the part headers
//!  8  format u8           1; or 3, of a commit with extras
//!  9  kind u8             = 1, a commit
//! 10  parts u16
//! 12  metadata length u32
//! 16  commit number u64
//! 24  first position u64  the global position of the first event; without events, that of the next one
//! 32  metadata crc u32
//! 36  reserved u32        = 0
//! 40  part headers, each:
//!        previous commit u64   of this stream, 0 for none: the chain by which a stream is read
//!        first version u64     without events, that of the stream's next one
//!        events u32
//!        body length u32
//!        body crc u32
//!        type length u8, id length u8
//!        extras length u32     in format 3 only
//!        type, id
//!     metadata
//!     bodies, in the order of the part headers: events, see EventFrames; then, in format 3, extras, see record/extras.rs
//! ```
//!
//! All integers are little-endian. Header and payload have checksums of their own, so that damage to a payload is known to
//! concern one stream only. The body's checksum stands in the header, whose checksum covers commit number and stream:
//! a record can't be mistaken for another. A commit without extras is written in format 1, so it is what it always was.

mod extras;
mod view;

use super::Append;
use crate::{CommitNumber, GlobalPosition, StreamVersion};

pub use extras::EncodedFacts;
pub use view::{PartView, PartViews, RecordView};

/// The envelope's format version, of a commit without extras.
pub const FORMAT: u8 = 1;
/// That of a commit with extras.
pub const FORMAT_WITH_EXTRAS: u8 = 3;
/// That of builds before 0.1.0, whose extras had another form: known to be unknown.
const FORMAT_WITH_FORMER_EXTRAS: u8 = 2;

const KIND_COMMIT: u8 = 1;
const FIXED_BYTES: usize = 40;

/// Bytes of a part's header before the names.
fn part_fixed_bytes(format: u8) -> usize {
    match format {
        FORMAT_WITH_EXTRAS | FORMAT_WITH_FORMER_EXTRAS => PART_FIXED_BYTES_MAX,
        _ => PART_FIXED_BYTES,
    }
}
const PART_FIXED_BYTES: usize = 30;
const PART_FIXED_BYTES_MAX: usize = 34;

/// Where one part of a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlace {
    /// The stream's previous commit.
    pub previous: CommitNumber,
    /// The version of the part's first event; without events, that of the stream's next one.
    pub first_version: StreamVersion,
}

/// Appends the record of a commit to `out`. Parts with neither events nor extras are left out; `places` has one entry for
/// each of the others, in order. `facts` are those of `append`.
///
/// # Panics
///
/// When `places` has fewer entries than there are parts to record, or `facts` are not those of `append`.
#[expect(clippy::cast_possible_truncation, reason = "all lengths are bounded by Limits::CEILING")]
pub fn encode(
    append: &Append,
    commit: CommitNumber,
    first: GlobalPosition,
    places: &[PartPlace],
    facts: &EncodedFacts,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let parts = || append.parts.iter().enumerate().filter(|(_, part)| part.is_recorded());
    let count = parts().count();
    assert!(places.len() >= count, "a place for each part");
    let format = facts.format();
    let carries_extras = append.parts.iter().any(|part| part.has_extras());
    assert_eq!(carries_extras, format != FORMAT, "the facts of this append");
    // Into a place of known size first: `out` need not look for room at each field.
    let mut fixed = [0; FIXED_BYTES];
    fixed[8] = format;
    fixed[9] = KIND_COMMIT;
    fixed[10..12].copy_from_slice(&(count as u16).to_le_bytes());
    fixed[12..16].copy_from_slice(&(append.metadata.len() as u32).to_le_bytes());
    fixed[16..24].copy_from_slice(&commit.get().to_le_bytes());
    fixed[24..32].copy_from_slice(&first.get().to_le_bytes());
    fixed[32..36].copy_from_slice(&crc32c::crc32c(&append.metadata).to_le_bytes());
    out.extend_from_slice(&fixed);
    for ((index, part), place) in parts().zip(places) {
        let (stream, events, facts) = (part.stream(), &part.events, facts.of(index));
        let extras_len = facts.len() + events.key_bytes().len();
        let mut fixed = [0; PART_FIXED_BYTES_MAX];
        fixed[0..8].copy_from_slice(&place.previous.get().to_le_bytes());
        fixed[8..16].copy_from_slice(&place.first_version.get().to_le_bytes());
        fixed[16..20].copy_from_slice(&events.count().to_le_bytes());
        fixed[20..24].copy_from_slice(&((events.bytes().len() + extras_len) as u32).to_le_bytes());
        let mut checksum = events.checksum();
        if extras_len > 0 {
            checksum = crc32c::crc32c_append(crc32c::crc32c_append(checksum, facts), events.key_bytes());
        }
        fixed[24..28].copy_from_slice(&checksum.to_le_bytes());
        fixed[28] = stream.aggregate_type().len() as u8;
        fixed[29] = stream.aggregate_id().len() as u8;
        fixed[30..34].copy_from_slice(&(extras_len as u32).to_le_bytes());
        match format {
            // Of a length that is known here, which is faster.
            FORMAT => out.extend_from_slice(&fixed[..PART_FIXED_BYTES]),
            _ => out.extend_from_slice(&fixed),
        }
        out.extend_from_slice(stream.aggregate_type().as_bytes());
        out.extend_from_slice(stream.aggregate_id().as_bytes());
    }
    let header_crc = crc32c::crc32c(&out[start + 8..]);
    out.extend_from_slice(&append.metadata);
    for (index, part) in parts() {
        match facts.of(index) {
            [] => out.extend_from_slice(part.events.all_bytes()),
            facts => {
                out.extend_from_slice(part.events.bytes());
                out.extend_from_slice(facts);
                out.extend_from_slice(part.events.key_bytes());
            }
        }
    }
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&header_crc.to_le_bytes());
}

/// The bytes of the record that [`encode`] would write.
pub fn encoded_len(append: &Append, facts: &EncodedFacts) -> usize {
    let fixed = part_fixed_bytes(facts.format());
    let parts = append
        .parts
        .iter()
        .filter(|part| part.is_recorded())
        .map(|part| fixed + part.stream().as_str().len() - 1 + part.events.all_bytes().len());
    FIXED_BYTES + append.metadata.len() + parts.sum::<usize>() + facts.len()
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// They end before the record does.
    #[error("the record is cut off")]
    Truncated,
    /// The header does not match its checksum: nothing in it can be believed.
    #[error("the record's header does not match its checksum")]
    HeaderChecksum,
    /// The header is intact, but of a format that this build does not know.
    #[error("the record has format {format}, kind {kind}: it was written by another version")]
    UnknownFormat {
        /// The format's number.
        format: u8,
        /// The kind's number.
        kind: u8,
    },
    /// The header's checksum is right, yet it contradicts itself.
    #[error("the record contradicts itself: {0}")]
    Malformed(&'static str),
    /// The header is intact, but a payload does not match its checksum.
    #[error("the payload does not match its checksum")]
    PayloadChecksum,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

#[cfg(test)]
mod tests;
