//! The envelope: one commit as bytes, the same in every journal. Hand-written and fixed; it never goes through a codec.
//!
//! ```text
//!  0  length u32          of the whole record, this field included
//!  4  header crc u32      CRC-32C of everything from 8 to the end of the part headers
//!  8  format u8           = 1
//!  9  kind u8             = 1, a commit
//! 10  parts u16
//! 12  metadata length u32
//! 16  commit number u64
//! 24  first position u64  the global position of the first event
//! 32  metadata crc u32
//! 36  reserved u32        = 0
//! 40  part headers, each:
//!        previous commit u64   of this stream, 0 for none: the chain by which a stream is read
//!        first version u64
//!        events u32
//!        body length u32
//!        body crc u32
//!        type length u8, id length u8, type, id
//!     metadata
//!     bodies, in the order of the part headers: see EventFrames
//! ```
//!
//! All integers are little-endian. Header and payload have checksums of their own, so that damage to a payload is known to
//! concern one stream only. The body's checksum stands in the header, whose checksum covers commit number and stream:
//! a record can't be mistaken for another.

use bytes::Bytes;

use super::{Append, EventFrames, RecordedCommit, RecordedPart};
use crate::{CommitNumber, GlobalPosition, StreamId, StreamVersion};

/// The envelope's format version.
pub const FORMAT: u8 = 1;

const KIND_COMMIT: u8 = 1;
const FIXED_BYTES: usize = 40;
const PART_FIXED_BYTES: usize = 30;

/// Where one part of a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlace {
    /// The stream's previous commit.
    pub previous: CommitNumber,
    /// The version of the part's first event.
    pub first_version: StreamVersion,
}

/// Appends the record of a commit to `out`. Parts without events are left out; `places` has one entry per part with
/// events, in order.
///
/// # Panics
///
/// When `places` has fewer entries than there are parts with events.
#[expect(clippy::cast_possible_truncation, reason = "all lengths are bounded by Limits::CEILING")]
pub fn encode(append: &Append, commit: CommitNumber, first: GlobalPosition, places: &[PartPlace], out: &mut Vec<u8>) {
    let start = out.len();
    let parts = || append.parts.iter().filter(|part| !part.events.is_empty());
    // Into a place of known size first: `out` need not look for room at each field.
    let mut fixed = [0; FIXED_BYTES];
    fixed[8] = FORMAT;
    fixed[9] = KIND_COMMIT;
    fixed[10..12].copy_from_slice(&(parts().count() as u16).to_le_bytes());
    fixed[12..16].copy_from_slice(&(append.metadata.len() as u32).to_le_bytes());
    fixed[16..24].copy_from_slice(&commit.get().to_le_bytes());
    fixed[24..32].copy_from_slice(&first.get().to_le_bytes());
    fixed[32..36].copy_from_slice(&crc32c::crc32c(&append.metadata).to_le_bytes());
    out.extend_from_slice(&fixed);
    for (index, part) in parts().enumerate() {
        let place = places[index];
        let stream = part.stream();
        let mut fixed = [0; PART_FIXED_BYTES];
        fixed[0..8].copy_from_slice(&place.previous.get().to_le_bytes());
        fixed[8..16].copy_from_slice(&place.first_version.get().to_le_bytes());
        fixed[16..20].copy_from_slice(&part.events.count().to_le_bytes());
        fixed[20..24].copy_from_slice(&(part.events.bytes().len() as u32).to_le_bytes());
        fixed[24..28].copy_from_slice(&part.events.checksum().to_le_bytes());
        fixed[28] = stream.aggregate_type().len() as u8;
        fixed[29] = stream.aggregate_id().len() as u8;
        out.extend_from_slice(&fixed);
        out.extend_from_slice(stream.aggregate_type().as_bytes());
        out.extend_from_slice(stream.aggregate_id().as_bytes());
    }
    let header_crc = crc32c::crc32c(&out[start + 8..]);
    out.extend_from_slice(&append.metadata);
    parts().for_each(|part| out.extend_from_slice(part.events.bytes()));
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&header_crc.to_le_bytes());
}

/// The bytes of the record that [`encode`] would write.
pub fn encoded_len(append: &Append) -> usize {
    let parts = append
        .parts
        .iter()
        .filter(|part| !part.events.is_empty())
        .map(|part| PART_FIXED_BYTES + part.stream().as_str().len() - 1 + part.events.bytes().len());
    FIXED_BYTES + append.metadata.len() + parts.sum::<usize>()
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
    #[error("the record has format {format}, kind {kind}: it was written by a newer version")]
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

/// A record with a checked header, borrowed from where it lies.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    commit: CommitNumber,
    first_position: GlobalPosition,
    part_count: u16,
    metadata_crc: u32,
    /// Offset of the metadata, and of the first body.
    metadata_at: usize,
    bodies_at: usize,
}

/// One part of a record.
#[derive(Clone, Copy, Debug)]
pub struct PartView<'a> {
    /// The aggregate type.
    pub aggregate_type: &'a str,
    /// The aggregate id.
    pub aggregate_id: &'a str,
    /// The stream's previous commit.
    pub previous: CommitNumber,
    /// The version of the first event.
    pub first_version: StreamVersion,
    /// The global position of the first event.
    pub first_position: GlobalPosition,
    /// How many events.
    pub event_count: u32,
    body: &'a [u8],
    body_crc: u32,
}

impl<'a> RecordView<'a> {
    /// Reads the record at the start of `bytes`, which may go on behind it, and checks its header. Payloads are checked
    /// when they are taken.
    ///
    /// # Errors
    ///
    /// [`RecordError`], all but `PayloadChecksum`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let length = usize_at(bytes, 0).ok_or(RecordError::Truncated)?;
        if length < FIXED_BYTES {
            return Err(RecordError::HeaderChecksum);
        }
        let bytes = bytes.get(..length).ok_or(RecordError::Truncated)?;
        let part_count = u16::from_le_bytes([bytes[10], bytes[11]]);
        let metadata_at = Self::header_end(bytes, part_count).ok_or(RecordError::HeaderChecksum)?;
        if crc32c::crc32c(&bytes[8..metadata_at]) != u32_at(bytes, 4).unwrap_or(0) {
            return Err(RecordError::HeaderChecksum);
        }
        if (bytes[8], bytes[9]) != (FORMAT, KIND_COMMIT) {
            return Err(RecordError::UnknownFormat { format: bytes[8], kind: bytes[9] });
        }
        let metadata_len = usize_at(bytes, 12).unwrap_or(0);
        let view = RecordView {
            bytes,
            commit: CommitNumber::new(u64_at(bytes, 16).unwrap_or(0)),
            first_position: GlobalPosition::new(u64_at(bytes, 24).unwrap_or(0)),
            part_count,
            metadata_crc: u32_at(bytes, 32).unwrap_or(0),
            metadata_at,
            bodies_at: metadata_at.saturating_add(metadata_len),
        };
        view.check()?;
        Ok(view)
    }

    /// Where the part headers end.
    fn header_end(bytes: &[u8], part_count: u16) -> Option<usize> {
        let mut at = FIXED_BYTES;
        for _ in 0..part_count {
            let fixed = bytes.get(at..at + PART_FIXED_BYTES)?;
            at += PART_FIXED_BYTES + usize::from(fixed[28]) + usize::from(fixed[29]);
        }
        (at <= bytes.len()).then_some(at)
    }

    /// Checks what the checksum can't: that the lengths add up and the names are text.
    fn check(&self) -> Result<(), RecordError> {
        let mut at = FIXED_BYTES;
        let mut end = self.bodies_at;
        for _ in 0..self.part_count {
            let (type_len, id_len) = (usize::from(self.bytes[at + 28]), usize::from(self.bytes[at + 29]));
            let names = &self.bytes[at + PART_FIXED_BYTES..at + PART_FIXED_BYTES + type_len + id_len];
            let text = |bytes| std::str::from_utf8(bytes).is_ok();
            if !text(&names[..type_len]) || !text(&names[type_len..]) {
                return Err(RecordError::Malformed("a stream's name is not text"));
            }
            end = end.saturating_add(usize_at(self.bytes, at + 20).unwrap_or(0));
            at += PART_FIXED_BYTES + type_len + id_len;
        }
        if end != self.bytes.len() {
            return Err(RecordError::Malformed("its lengths do not add up"));
        }
        Ok(())
    }

    /// The record's length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a record is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The commit's number.
    pub fn commit(&self) -> CommitNumber {
        self.commit
    }

    /// The global position of the first event.
    pub fn first_position(&self) -> GlobalPosition {
        self.first_position
    }

    /// How many events, in all parts.
    pub fn event_count(&self) -> u64 {
        self.parts().map(|part| u64::from(part.event_count)).sum()
    }

    /// The parts, in order.
    pub fn parts(&self) -> PartViews<'a> {
        PartViews {
            bytes: self.bytes,
            left: self.part_count,
            at: FIXED_BYTES,
            body_at: self.bodies_at,
            position: self.first_position,
        }
    }

    /// The part that belongs to `stream`, if there is one.
    pub fn part_of(&self, stream: &StreamId) -> Option<PartView<'a>> {
        let (aggregate_type, aggregate_id) = (stream.aggregate_type(), stream.aggregate_id());
        self.parts().find(|part| part.aggregate_id == aggregate_id && part.aggregate_type == aggregate_type)
    }

    /// Takes one part out as an owned value; checks metadata and body. `source` holds the bytes this view was parsed
    /// from, which the result shares.
    ///
    /// # Errors
    ///
    /// [`RecordError::PayloadChecksum`], or `Malformed` when body or metadata don't have the promised form.
    pub fn take(&self, part: &PartView<'a>, source: &Bytes) -> Result<RecordedPart, RecordError> {
        let metadata = &self.bytes[self.metadata_at..self.bodies_at];
        if crc32c::crc32c(part.body) != part.body_crc || crc32c::crc32c(metadata) != self.metadata_crc {
            return Err(RecordError::PayloadChecksum);
        }
        if part.event_count == 0 || !EventFrames::new(part.body, part.event_count).is_well_formed() {
            return Err(RecordError::Malformed("a body is not the events it claims to be"));
        }
        Ok(RecordedPart {
            commit: self.commit,
            first_version: part.first_version,
            first_position: part.first_position,
            event_count: part.event_count,
            metadata_bytes: source.slice_ref(metadata),
            body: source.slice_ref(part.body),
        })
    }

    /// Takes the whole commit out as an owned value; checks all payloads.
    ///
    /// # Errors
    ///
    /// As [`RecordView::take`].
    pub fn to_commit(&self, source: &Bytes) -> Result<RecordedCommit, RecordError> {
        let mut parts = Vec::with_capacity(usize::from(self.part_count));
        for part in self.parts() {
            let stream = StreamId::new(part.aggregate_type, part.aggregate_id)
                .map_err(|_| RecordError::Malformed("a stream's name breaks the rules"))?;
            parts.push((stream, self.take(&part, source)?));
        }
        Ok(RecordedCommit { number: self.commit, parts })
    }
}

/// Iterates over the parts of a record.
#[derive(Clone, Debug)]
pub struct PartViews<'a> {
    bytes: &'a [u8],
    left: u16,
    at: usize,
    body_at: usize,
    position: GlobalPosition,
}

impl<'a> Iterator for PartViews<'a> {
    type Item = PartView<'a>;

    fn next(&mut self) -> Option<PartView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (bytes, at) = (self.bytes, self.at);
        let names_at = at + PART_FIXED_BYTES;
        let id_at = names_at + usize::from(bytes[at + 28]);
        let end = id_at + usize::from(bytes[at + 29]);
        let body_len = usize_at(bytes, at + 20)?;
        let part = PartView {
            aggregate_type: std::str::from_utf8(&bytes[names_at..id_at]).ok()?,
            aggregate_id: std::str::from_utf8(&bytes[id_at..end]).ok()?,
            previous: CommitNumber::new(u64_at(bytes, at)?),
            first_version: StreamVersion::new(u64_at(bytes, at + 8)?),
            first_position: self.position,
            event_count: u32_at(bytes, at + 16)?,
            body: bytes.get(self.body_at..self.body_at + body_len)?,
            body_crc: u32_at(bytes, at + 24)?,
        };
        self.at = end;
        self.body_at += body_len;
        self.position = self.position.plus(u64::from(part.event_count));
        Some(part)
    }
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
