//! Reading the redo log back after a stop: whole groups, in order, as far as they go, and a judgement of what lies behind.
//!
//! The chain ends where the next group is missing or does not verify. If a later group verifies anywhere behind that
//! point, then the missing one had been acknowledged: damage. If none does, it was never acknowledged, and is dropped
//! whole. (Whether the log reaches what the beacon knows to be acknowledged is for the caller to judge.)

use std::path::{Path, PathBuf};

use super::group::{self, ALIGNMENT, GroupHeader, HEADER_BYTES};
use super::segment::{self, GROUPS_AT, SegmentHeader};
use crate::error::OpenJournalError;

/// Where the chain ended.
#[derive(Debug)]
pub(crate) struct ChainEnd {
    /// The next commit, if any group was found.
    pub(crate) next_commit: Option<u64>,
    /// Segment and offset, in words.
    pub(crate) place: String,
    /// Whether something that looks like the next group lies there: the evidence of a torn or damaged group.
    pub(crate) remains: bool,
    relaxed: bool,
    segment: usize,
    offset: usize,
    next_number: u64,
}

#[derive(Clone, Copy)]
struct Link {
    number: u64,
    crc: u32,
    commit: u64,
}

/// Hands every group of the chain to `each`, in order: its header and its records.
pub(crate) fn chain(
    segments: &[(u64, PathBuf)],
    generation: u64,
    mut each: impl FnMut(&GroupHeader, &[u8]) -> Result<(), OpenJournalError>,
) -> Result<ChainEnd, OpenJournalError> {
    let mut next: Option<Link> = None;
    let mut end = (0, GROUPS_AT);
    let mut relaxed = false;
    let mut remains = false;
    for (index, (sequence, path)) in segments.iter().enumerate() {
        let (segment, bytes) = read(path, *sequence, generation)?;
        relaxed |= segment.relaxed;
        let mut offset = GROUPS_AT;
        while let Some((header, crc, length)) = group::parse(bytes.get(offset..).unwrap_or_default(), segment.salt) {
            if !may_hold(&segment, &header) || !follows(next, &header) {
                break;
            }
            each(&header, &bytes[offset + HEADER_BYTES..][..header.length as usize])?;
            offset += length;
            let commit = header.first_commit + u64::from(header.commits);
            next = Some(Link { number: header.number + 1, crc, commit });
            end = (index, offset);
        }
        if end == (index, offset) {
            remains = looks_like_group(bytes.get(offset..).unwrap_or_default(), generation, next);
        }
    }
    let (segment, offset) = end;
    let place = match segments.get(segment) {
        Some((_, path)) => format!("{}, offset {offset}", path.display()),
        None => "the redo log".to_owned(),
    };
    let next_number = next.map_or(1, |link| link.number);
    let next_commit = next.map(|link| link.commit);
    Ok(ChainEnd { next_commit, place, remains, relaxed, segment, offset, next_number })
}

/// Whether a group was written to this segment, and is not left over from an earlier use of the file.
fn may_hold(segment: &SegmentHeader, group: &GroupHeader) -> bool {
    group.generation == segment.generation && group.number >= segment.first_group
}

fn follows(next: Option<Link>, header: &GroupHeader) -> bool {
    match next {
        Some(link) => (header.number, header.previous_crc, header.first_commit) == (link.number, link.crc, link.commit),
        // The first live segment may be empty: one that was too small for a large group is left so.
        None => header.number > 1 || header.previous_crc == 0,
    }
}

fn looks_like_group(bytes: &[u8], generation: u64, next: Option<Link>) -> bool {
    let expected = next.map_or(1, |link| link.number);
    match group::guess_header(bytes) {
        Some(header) => header.generation == generation && header.number >= expected,
        // A torn or damaged header: neither zeros nor the header of an older group.
        None => bytes.iter().take(HEADER_BYTES).any(|byte| *byte != 0),
    }
}

impl ChainEnd {
    /// Whether groups were written without a sync each, so that a torn one may lie before a whole one.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.relaxed
    }

    /// Looks behind the end of the chain for a later group that verifies; says where.
    pub(crate) fn later_group(
        &self,
        segments: &[(u64, PathBuf)],
        generation: u64,
    ) -> Result<Option<String>, OpenJournalError> {
        for (index, (sequence, path)) in segments.iter().enumerate().skip(self.segment) {
            let (segment, bytes) = read(path, *sequence, generation)?;
            let from = if index == self.segment { self.offset } else { GROUPS_AT };
            let later = |group: &GroupHeader| may_hold(&segment, group) && group.number >= self.next_number;
            if let Some(group) = find_group(&bytes, from, &segment, later) {
                return Ok(Some(format!("{group} in {}", path.display())));
            }
        }
        Ok(None)
    }
}

/// The first whole group from an offset on that is wanted, in words.
fn find_group(
    bytes: &[u8],
    from: usize,
    segment: &SegmentHeader,
    wanted: impl Fn(&GroupHeader) -> bool,
) -> Option<String> {
    let mut offsets = (from..bytes.len()).step_by(ALIGNMENT);
    offsets.find_map(|offset| {
        let bytes = &bytes[offset..];
        let header = group::parse_header(bytes, segment.salt).filter(|header| wanted(header))?;
        let (number, commit) = (header.number, header.first_commit);
        group::parse(bytes, segment.salt)
            .map(|_| format!("group {number}, from commit {commit} on, is whole at offset {offset}"))
    })
}

/// Any whole group in a segment that should have none, in words. A file without a segment's header has none.
pub(crate) fn any_group(path: &Path) -> Result<Option<String>, OpenJournalError> {
    let bytes = std::fs::read(path).map_err(OpenJournalError::io("could not read", path))?;
    let Some(segment) = SegmentHeader::parse(&bytes) else { return Ok(None) };
    Ok(find_group(&bytes, GROUPS_AT, &segment, |group| may_hold(&segment, group)))
}

fn read(path: &Path, sequence: u64, generation: u64) -> Result<(SegmentHeader, Vec<u8>), OpenJournalError> {
    let bytes = std::fs::read(path).map_err(OpenJournalError::io("could not read", path))?;
    let damaged = |evidence: &str| OpenJournalError::Damaged {
        place: format!("{}, offset 0", path.display()),
        evidence: evidence.to_owned(),
    };
    let header = SegmentHeader::parse(&bytes).ok_or_else(|| damaged("the header does not match its checksum"))?;
    if header.format > segment::FORMAT {
        let path = path.to_owned();
        return Err(OpenJournalError::NewerFormat { path, found: header.format, known: segment::FORMAT });
    }
    if header.format < segment::FORMAT {
        let evidence =
            format!("format {} of an unreleased build: that build can close the journal cleanly", header.format);
        return Err(damaged(&evidence));
    }
    if (header.generation, header.sequence) != (generation, sequence) {
        return Err(damaged("the segment belongs to another log"));
    }
    Ok((header, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 77;

    /// A segment with groups of these numbers.
    fn segment(dir: &Path, first_group: u64, numbers: &[u64]) -> Vec<(u64, PathBuf)> {
        let header = SegmentHeader {
            format: segment::FORMAT,
            relaxed: false,
            generation: 2,
            sequence: 9,
            salt: SALT,
            first_group,
        };
        segment::prepare(dir, header, 64 << 10, None).unwrap();
        let path = segment::path(dir, 9);
        let mut bytes = std::fs::read(&path).unwrap();
        let mut offset = GROUPS_AT;
        for number in numbers {
            let mut group = vec![0; HEADER_BYTES];
            group.extend([7; 20]);
            let header = GroupHeader {
                generation: 2,
                number: *number,
                first_commit: *number,
                commits: 1,
                length: 20,
                previous_crc: 5,
            };
            group::seal(&mut group, &header, SALT);
            bytes[offset..offset + group.len()].copy_from_slice(&group);
            offset += group.len();
        }
        std::fs::write(&path, bytes).unwrap();
        vec![(9, path)]
    }

    /// The first live segment of a checkpoint can be a recycled file without a group of its own. What was left over in it
    /// has the right generation, and was taken for the log's beginning or for a later group.
    #[test]
    fn groups_of_an_earlier_use_of_the_file_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let segments = segment(dir.path(), 5, &[3, 4]);
        let end = chain(&segments, 2, |header, _| panic!("{header:?}")).unwrap();
        assert_eq!(end.next_commit, None);
        assert_eq!(end.later_group(&segments, 2).unwrap(), None);
        assert_eq!(any_group(&segments[0].1).unwrap(), None);
        let segments = segment(dir.path(), 5, &[6]);
        assert_eq!(chain(&segments, 2, |_, _| Ok(())).unwrap().next_commit, Some(7));
        assert!(any_group(&segments[0].1).unwrap().is_some());
    }
}
