//! Bringing sled up to the redo log: judge first, then re-apply. Nothing is written before the judgement is good.

use std::path::PathBuf;

use onefold_core::journal::record::RecordView;

use super::{Progress, stored};
use crate::applier::write_blocks;
use crate::beacon::Facts;
use crate::block::BlockPacker;
use crate::error::OpenJournalError;
use crate::redo::scan;
use crate::store::{BATCH_BLOCKS_MAX, Store};

/// The live part of the redo log.
pub(crate) struct LiveLog<'a> {
    pub(crate) segments: &'a [(u64, PathBuf)],
    pub(crate) facts: &'a Facts,
    /// The last commit in sled.
    pub(crate) applied: u64,
}

impl LiveLog<'_> {
    /// Judges the log; returns the last commit there is, in sled or in the log.
    pub(crate) fn judge(&self) -> Result<u64, OpenJournalError> {
        let facts = self.facts;
        let mut first = None;
        let end = scan::chain(self.segments, facts.generation, |header, _| {
            first.get_or_insert(header.first_commit);
            Ok(())
        })?;
        let reached = end.next_commit.map_or(0, |next| next - 1).max(self.applied);
        let truncated =
            |evidence| OpenJournalError::TailTruncated { acknowledged: facts.commit, reached: self.applied, evidence };
        if let Some(first) = first.filter(|first| *first > self.applied + 1) {
            return Err(truncated(format!("sled ends at commit {}, the redo log begins at {first}", self.applied)));
        }
        if reached < facts.commit {
            let evidence = format!("the redo log ends at {}", end.place);
            return Err(match end.remains {
                true => OpenJournalError::Damaged {
                    place: end.place,
                    evidence: format!(
                        "the group with commit {} does not verify, and commit {} was acknowledged",
                        reached + 1,
                        facts.commit
                    ),
                },
                false => OpenJournalError::TailTruncated { acknowledged: facts.commit, reached, evidence },
            });
        }
        if !end.is_relaxed()
            && let Some(later) = end.later_group(self.segments, facts.generation)?
        {
            let evidence = format!("the group with commit {} does not verify, but {later}", reached + 1);
            return Err(OpenJournalError::Damaged { place: end.place, evidence });
        }
        if end.remains {
            tracing::warn!(
                place = end.place,
                last_commit = reached,
                "dropping a torn group: it was never acknowledged"
            );
        }
        Ok(reached)
    }

    /// Brings sled up to the log's end.
    pub(crate) fn reapply(&self, store: &Store, progress: &mut Progress) -> Result<(), OpenJournalError> {
        let mut packer = BlockPacker::default();
        let mut next = self.applied + 1;
        scan::chain(self.segments, self.facts.generation, |header, mut records| {
            let mut commit = header.first_commit;
            while !records.is_empty() {
                let length = record_length(records, commit)?;
                if commit == next {
                    packer.push(commit, &records[..length]);
                    next += 1;
                }
                commit += 1;
                records = &records[length..];
            }
            if packer.full_blocks() >= BATCH_BLOCKS_MAX {
                write_blocks(store, packer.take_full(), |_| ()).map_err(stored)?;
            }
            progress.tell(next - 1);
            Ok(())
        })?;
        packer.seal();
        write_blocks(store, packer.take_full(), |_| ()).map_err(stored)
    }
}

fn record_length(records: &[u8], commit: u64) -> Result<usize, OpenJournalError> {
    let damaged = |evidence: String| OpenJournalError::Damaged {
        place: format!("the redo log, commit {commit}"),
        evidence: format!("{evidence}, though its group verifies"),
    };
    let view = RecordView::parse(records).map_err(|error| damaged(error.to_string()))?;
    match view.commit().get() == commit {
        true => Ok(view.len()),
        false => Err(damaged(format!("commit {} lies in its place", view.commit()))),
    }
}
