//! Where the redo log has which commit: of whole groups, and what can be had of damaged ones.
//!
//! Records are looked for only where one has to be, behind a group's header and then one behind the other: a payload may be
//! made to look like a record, and like a group but for its salt.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use bytes::Bytes;

use super::error::AdminError;
use super::log_scan::record_len;
use crate::redo::group::{self, ALIGNMENT, GroupHeader, HEADER_BYTES};
use crate::redo::segment::{GROUPS_AT, SegmentHeader};

/// What the redo log of one generation has.
#[derive(Default)]
pub(crate) struct RedoIndex {
    files: Vec<File>,
    /// In order of commits.
    places: Vec<RecordPlace>,
    /// The last commit that was surely acknowledged: that of the last whole group; where groups are written without a sync
    /// each, of the last one before the first that is not whole.
    pub(crate) end: u64,
    pub(crate) groups: u64,
}

#[derive(Clone, Copy)]
struct RecordPlace {
    commit: u64,
    file: usize,
    offset: u64,
    length: usize,
}

/// A segment being read.
struct Segment {
    file: usize,
    header: Option<SegmentHeader>,
    bytes: Vec<u8>,
}

impl RedoIndex {
    /// Reads the segments of a generation; without one, of the newest that has any group.
    pub(crate) fn read(segments: &[(u64, PathBuf)], generation: Option<u64>) -> Result<Self, AdminError> {
        if let Some(generation) = generation {
            return Self::read_generation(segments, generation);
        }
        let mut generations = Vec::new();
        for (_, path) in segments {
            let mut head = [0; 64];
            let read = File::open(path).and_then(|file| file.read_exact_at(&mut head, 0));
            generations.extend(read.ok().and_then(|()| SegmentHeader::parse(&head)).map(|header| header.generation));
        }
        generations.sort_unstable();
        generations.dedup();
        for generation in generations.into_iter().rev() {
            let index = Self::read_generation(segments, generation)?;
            if !index.places.is_empty() {
                return Ok(index);
            }
        }
        Ok(RedoIndex::default())
    }

    fn read_generation(segments: &[(u64, PathBuf)], generation: u64) -> Result<Self, AdminError> {
        let mut index = RedoIndex::default();
        let mut reading = Reading { generation, next_group: 1, broken: false };
        for (_, path) in segments {
            let bytes = std::fs::read(path).map_err(AdminError::io("could not read", path))?;
            let header = SegmentHeader::parse(&bytes);
            if header.is_some_and(|header| header.generation != generation) {
                continue;
            }
            index.files.push(File::open(path).map_err(AdminError::io("could not open", path))?);
            let segment = Segment { file: index.files.len() - 1, header, bytes };
            index.read_segment(&segment, &mut reading);
        }
        index.places.sort_by_key(|place| place.commit);
        index.places.dedup_by_key(|place| place.commit);
        Ok(index)
    }

    fn read_segment(&mut self, segment: &Segment, reading: &mut Reading) {
        let mut offset = GROUPS_AT;
        while let Some(rest) = segment.bytes.get(offset..).filter(|rest| rest.len() >= HEADER_BYTES) {
            if let Some((header, length)) = reading.whole(segment, rest) {
                self.groups += 1;
                let last = header.first_commit + u64::from(header.commits) - 1;
                let relaxed = segment.header.is_some_and(|header| header.relaxed);
                if !(relaxed && reading.broken) {
                    self.end = self.end.max(last);
                }
                self.walk(segment, offset, &header);
                reading.next_group = header.number + 1;
                offset += length;
                continue;
            }
            if let Some(header) = reading.damaged(segment, rest) {
                reading.broken = true;
                if self.walk(segment, offset, &header) {
                    // Its records are all there: the next group lies behind them.
                    reading.next_group = header.number + 1;
                    offset += (HEADER_BYTES + header.length as usize).next_multiple_of(ALIGNMENT);
                    continue;
                }
            }
            let later = (offset + ALIGNMENT..segment.bytes.len()).step_by(ALIGNMENT);
            let found = later.into_iter().find(|at| reading.whole(segment, &segment.bytes[*at..]).is_some());
            let Some(found) = found else { return };
            reading.broken = true;
            offset = found;
        }
    }

    /// Notes the records of a group, as far as they follow each other; says whether all are there.
    fn walk(&mut self, segment: &Segment, group_at: usize, header: &GroupHeader) -> bool {
        let mut at = group_at + HEADER_BYTES;
        let end = at.saturating_add(header.length as usize);
        let mut commit = header.first_commit;
        while let Some(length) =
            segment.bytes.get(at..end.min(segment.bytes.len())).and_then(|bytes| record_len(commit, bytes))
        {
            self.places.push(RecordPlace { commit, file: segment.file, offset: at as u64, length });
            at += length;
            commit += 1;
        }
        at == end && commit == header.first_commit + u64::from(header.commits)
    }

    /// The record of a commit, if the redo log has it. Its payload was not looked at.
    pub(crate) fn record(&self, commit: u64) -> Option<Bytes> {
        let index = self.places.binary_search_by_key(&commit, |place| place.commit).ok()?;
        let place = self.places[index];
        let mut bytes = vec![0; place.length];
        self.files[place.file].read_exact_at(&mut bytes, place.offset).ok()?;
        Some(bytes.into())
    }

    /// The first commit from `commit` on that the redo log has.
    pub(crate) fn next(&self, commit: u64) -> Option<u64> {
        let index = self.places.partition_point(|place| place.commit < commit);
        self.places.get(index).map(|place| place.commit)
    }
}

/// What is known between two groups.
struct Reading {
    generation: u64,
    next_group: u64,
    /// A group was not whole.
    broken: bool,
}

impl Reading {
    /// The group at the start of `rest`, if it is whole and not left over from an earlier use of the file; and its bytes.
    fn whole(&self, segment: &Segment, rest: &[u8]) -> Option<(GroupHeader, usize)> {
        let header = segment.header?;
        group::parse_header(rest, header.salt).filter(|group| self.may_hold(segment, group))?;
        let (group, _, length) = group::parse(rest, header.salt)?;
        Some((group, length))
    }

    /// The header of a group that is not whole, as far as it can be guessed.
    fn damaged(&self, segment: &Segment, rest: &[u8]) -> Option<GroupHeader> {
        group::guess_header(rest).filter(|group| self.may_hold(segment, group))
    }

    fn may_hold(&self, segment: &Segment, group: &GroupHeader) -> bool {
        let first = segment.header.map_or(0, |header| header.first_group);
        group.generation == self.generation && group.number >= self.next_group.max(first) && group.first_commit > 0
    }
}
