//! A record where it lies: its header checked, its payloads to be taken out.

use bytes::Bytes;

use super::super::read::is_beyond;
use super::super::{EventFrames, RecordedCommit, RecordedPart};
use super::{
    FIXED_BYTES, FORMAT, FORMAT_WITH_EXTRAS, KIND_COMMIT, RecordError, part_fixed_bytes, u32_at, u64_at, usize_at,
};
use crate::{CommitNumber, GlobalPosition, StreamId, StreamVersion};

/// A record with a checked header, borrowed from where it lies.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    format: u8,
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
    /// The version of the first event; without events, that of the stream's next one.
    pub first_version: StreamVersion,
    /// The global position of the first event; without events, that of the next one.
    pub first_position: GlobalPosition,
    /// How many events.
    pub event_count: u32,
    body: &'a [u8],
    body_crc: u32,
    /// Bytes of the body that are extras, at its end.
    extras_len: usize,
}

impl PartView<'_> {
    /// The stream's version after this part.
    pub fn last_version(&self) -> StreamVersion {
        StreamVersion::new((self.first_version.get() + u64::from(self.event_count)).saturating_sub(1))
    }

    /// Whether a reading of the stream beyond `after` shows this part, see [`RecordedPart::is_beyond`].
    pub fn is_beyond(&self, after: StreamVersion) -> bool {
        is_beyond(self.first_version.get(), self.event_count.into(), after.get())
    }

    /// Whether it carries extras.
    pub fn has_extras(&self) -> bool {
        self.extras_len > 0
    }
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
        if !matches!((bytes[8], bytes[9]), (FORMAT | FORMAT_WITH_EXTRAS, KIND_COMMIT)) {
            return Err(RecordError::UnknownFormat { format: bytes[8], kind: bytes[9] });
        }
        let metadata_len = usize_at(bytes, 12).unwrap_or(0);
        let view = RecordView {
            bytes,
            format: bytes[8],
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

    /// Where the part headers end. (Those of a newer format are taken for the first: what is wrong with it is told by its
    /// checksum or its number.)
    pub(super) fn header_end(bytes: &[u8], part_count: u16) -> Option<usize> {
        let fixed_bytes = part_fixed_bytes(bytes[8]);
        let mut at = FIXED_BYTES;
        for _ in 0..part_count {
            let fixed = bytes.get(at..at + fixed_bytes)?;
            at += fixed_bytes + usize::from(fixed[28]) + usize::from(fixed[29]);
        }
        (at <= bytes.len()).then_some(at)
    }

    /// Checks what the checksum can't: that the lengths add up, the names are text, and the numbers are numbers.
    fn check(&self) -> Result<(), RecordError> {
        let mut at = FIXED_BYTES;
        let mut end = self.bodies_at;
        let mut events = 0;
        for _ in 0..self.part_count {
            let (type_len, id_len) = (usize::from(self.bytes[at + 28]), usize::from(self.bytes[at + 29]));
            let names_at = at + part_fixed_bytes(self.format);
            let names = &self.bytes[names_at..names_at + type_len + id_len];
            let text = |bytes| std::str::from_utf8(bytes).is_ok();
            if !text(&names[..type_len]) || !text(&names[type_len..]) {
                return Err(RecordError::Malformed("a stream's name is not text"));
            }
            let body_len = usize_at(self.bytes, at + 20).unwrap_or(0);
            if self.extras_len(at) > body_len {
                return Err(RecordError::Malformed("its extras are longer than its body"));
            }
            let count = u64::from(u32_at(self.bytes, at + 16).unwrap_or(0));
            let first_version = u64_at(self.bytes, at + 8).unwrap_or(0);
            if first_version == 0 || first_version.checked_add(count).is_none() {
                return Err(RecordError::Malformed("a version is out of range"));
            }
            events += count;
            end = end.saturating_add(body_len);
            at = names_at + type_len + id_len;
        }
        if self.first_position == GlobalPosition::START || self.first_position.get().checked_add(events).is_none() {
            return Err(RecordError::Malformed("a position is out of range"));
        }
        if end != self.bytes.len() {
            return Err(RecordError::Malformed("its lengths do not add up"));
        }
        Ok(())
    }

    /// Bytes of the extras of the part whose header is at `at`.
    fn extras_len(&self, at: usize) -> usize {
        match self.format {
            FORMAT_WITH_EXTRAS => usize_at(self.bytes, at + 30).unwrap_or(usize::MAX),
            _ => 0,
        }
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

    /// The global position of the first event; without events, that of the next one.
    pub fn first_position(&self) -> GlobalPosition {
        self.first_position
    }

    /// How many events, in all parts.
    pub fn event_count(&self) -> u64 {
        self.parts().map(|part| u64::from(part.event_count)).sum()
    }

    /// The global position of the last event; without events, of the last one before.
    pub fn last_position(&self) -> GlobalPosition {
        GlobalPosition::new((self.first_position.get() + self.event_count()).saturating_sub(1))
    }

    /// Whether a reading of everything beyond `after` shows this commit: it has an event beyond, or none and stands behind.
    pub fn is_beyond(&self, after: GlobalPosition) -> bool {
        is_beyond(self.first_position.get(), self.event_count(), after.get())
    }

    /// The parts, in order.
    pub fn parts(&self) -> PartViews<'a> {
        PartViews {
            view: *self,
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
        let (events, extras) = part.body.split_at(part.body.len() - part.extras_len);
        let is_empty = part.event_count == 0 && extras.is_empty();
        if is_empty || !EventFrames::new(events, part.event_count).is_well_formed() {
            return Err(RecordError::Malformed("a body is not the events it claims to be"));
        }
        let extras_bytes = if extras.is_empty() { Bytes::new() } else { source.slice_ref(extras) };
        if !extras_bytes.is_empty() && !super::extras::are_extras(&extras_bytes) {
            return Err(RecordError::Malformed("a body ends with something else than extras"));
        }
        Ok(RecordedPart {
            commit: self.commit,
            first_version: part.first_version,
            first_position: part.first_position,
            event_count: part.event_count,
            metadata_bytes: source.slice_ref(metadata),
            body: source.slice_ref(events),
            extras_bytes,
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
    view: RecordView<'a>,
    left: u16,
    at: usize,
    body_at: usize,
    position: GlobalPosition,
}

impl<'a> Iterator for PartViews<'a> {
    type Item = PartView<'a>;

    fn next(&mut self) -> Option<PartView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (bytes, at) = (self.view.bytes, self.at);
        let names_at = at + part_fixed_bytes(self.view.format);
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
            extras_len: self.view.extras_len(at),
        };
        self.at = end;
        self.body_at += body_len;
        self.position = self.position.plus(u64::from(part.event_count));
        Some(part)
    }
}
