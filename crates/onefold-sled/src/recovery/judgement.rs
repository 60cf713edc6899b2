//! Judging the redo log after an unclean stop, against the beacon and itself. Nothing is written, and sled is not opened
//! yet: what is evidence stays as it is.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::beacon::Facts;
use crate::error::OpenJournalError;
use crate::redo::scan::{self, ChainEnd};
use crate::redo::segment::SegmentHeader;

/// The live part of the redo log, judged good.
pub(crate) struct LiveLog<'a> {
    pub(crate) segments: Vec<(u64, PathBuf)>,
    pub(crate) facts: &'a Facts,
    /// The first commit in it.
    pub(crate) first: Option<u64>,
    /// The last commit in it; without any, the one up to which sled is synced.
    pub(crate) end: u64,
    /// Written without a sync per group.
    pub(crate) relaxed: bool,
}

impl<'a> LiveLog<'a> {
    /// Finds the live segments, and judges them.
    pub(crate) fn judge(facts: &'a Facts, old: &[(u64, PathBuf)]) -> Result<Self, OpenJournalError> {
        let segments = live_segments(facts, old)?;
        let mut first = None;
        let chain = scan::chain(&segments, facts.generation, |header, _| {
            first.get_or_insert(header.first_commit);
            Ok(())
        })?;
        let end = chain.next_commit.map_or(0, |next| next - 1).max(facts.synced_commit);
        if end < facts.commit {
            return Err(too_short(&chain, facts, end));
        }
        if !chain.is_relaxed()
            && let Some(later) = chain.later_group(&segments, facts.generation)?
        {
            let evidence = format!("the group with commit {} does not verify, but {later}", end + 1);
            return Err(OpenJournalError::Damaged { place: chain.place, evidence });
        }
        if chain.remains {
            tracing::warn!(place = chain.place, last_commit = end, "dropping a torn group: it was never acknowledged");
        }
        Ok(LiveLog { segments, facts, first, end, relaxed: chain.is_relaxed() })
    }
}

/// The log ends before what was acknowledged.
fn too_short(chain: &ChainEnd, facts: &Facts, end: u64) -> OpenJournalError {
    match chain.remains {
        true => OpenJournalError::Damaged {
            place: chain.place.clone(),
            evidence: format!(
                "the group with commit {} does not verify, and commit {} was acknowledged",
                end + 1,
                facts.commit
            ),
        },
        false => OpenJournalError::TailTruncated {
            acknowledged: facts.commit,
            reached: end,
            evidence: format!("the redo log ends at {}", chain.place),
        },
    }
}

/// The segments that the beacon calls live, and those of the same generation behind them.
fn live_segments(facts: &Facts, old: &[(u64, PathBuf)]) -> Result<Vec<(u64, PathBuf)>, OpenJournalError> {
    for sequence in facts.first_segment..=facts.current_segment {
        if !old.iter().any(|(number, _)| *number == sequence) {
            return Err(OpenJournalError::TailTruncated {
                acknowledged: facts.commit,
                reached: facts.synced_commit,
                evidence: format!("segment {sequence:016x}.redo of the redo log is missing"),
            });
        }
    }
    let mut live = Vec::new();
    for (sequence, path) in old.iter().filter(|(sequence, _)| *sequence >= facts.first_segment) {
        // A segment of the next generation was made by an opening that did not get as far as the beacon: it is empty.
        if *sequence > facts.current_segment && generation_of(path)? == Some(facts.generation + 1) {
            if let Some(group) = scan::any_group(path)? {
                let evidence = format!("{group}, though the beacon does not know this generation");
                return Err(OpenJournalError::Damaged { place: path.display().to_string(), evidence });
            }
            continue;
        }
        live.push((*sequence, path.clone()));
    }
    Ok(live)
}

/// `None` of a file that is too short or otherwise no segment: whoever scans it says so.
fn generation_of(path: &Path) -> Result<Option<u64>, OpenJournalError> {
    let mut header = [0; 64];
    match std::fs::File::open(path).and_then(|file| file.read_exact_at(&mut header, 0)) {
        Ok(()) => Ok(SegmentHeader::parse(&header).map(|header| header.generation)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(OpenJournalError::io("could not read", path)(error)),
    }
}
