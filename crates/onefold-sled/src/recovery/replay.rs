//! Bringing sled up to the redo log, after an unclean stop.
//!
//! A batch of sled's is atomic, unless it fails halfway: then what it had written before comes back without the rest. So
//! blocks may lie beyond the mark, and a mark may come without all of its blocks. The redo log covers everything beyond
//! the last sync of sled: what is there without a gap is kept, what lies beyond that is removed, and re-applying goes on
//! from there.

use bytes::Bytes;
use onefold_core::journal::record::RecordView;

use super::judgement::LiveLog;
use super::{Progress, stored};
use crate::block::{self, BlockPacker, Parsed};
use crate::error::OpenJournalError;
use crate::keys;
use crate::placing::Placing;
use crate::redo::scan;
use crate::store::{BATCH_BLOCKS_MAX, Store, StoreBatch, StoreError};

/// Brings sled, whose mark says `applied`, to the log's end. Returns the last commit.
pub(crate) fn bring_up(
    store: &Store,
    live: &LiveLog<'_>,
    applied: u64,
    progress: &mut Progress,
) -> Result<u64, OpenJournalError> {
    let whole = whole_to(store, live.facts.synced_commit, applied)?;
    let end = live.end.max(whole);
    if let Some(first) = live.first.filter(|first| *first > whole + 1) {
        return Err(OpenJournalError::TailTruncated {
            acknowledged: live.facts.commit,
            reached: whole,
            evidence: format!("sled ends at commit {whole}, the redo log begins at {first}"),
        });
    }
    progress.last_commit = end;
    check_beyond(store, live, whole)?;
    remove_beyond(store, whole, applied)?;
    reapply(store, live, whole, progress)?;
    Ok(end)
}

/// After a clean close nothing in the log lies beyond its mark.
pub(crate) fn refuse_beyond(store: &Store, applied: u64) -> Result<(), OpenJournalError> {
    match beyond(store, applied).next().transpose().map_err(stored)? {
        None => Ok(()),
        Some((key, _)) => {
            let first = keys::parse_log(&key).map_or(0, |(first, _)| first);
            Err(damaged(first, format!("it lies beyond the mark, which says {applied}")))
        }
    }
}

/// The commit, `to` at most, up to which there is no gap behind `from`.
fn whole_to(store: &Store, from: u64, to: u64) -> Result<u64, OpenJournalError> {
    // The commit that comes next, and its chunk.
    let mut next = (from + 1, 0);
    for entry in store.range(&keys::log(from + 1, 0), &keys::log(to, u16::MAX)) {
        let (key, value) = entry.map_err(stored)?;
        let found = keys::parse_log(&key).unwrap_or_default();
        if value.is_empty() {
            // A place whose block did not come.
            break;
        }
        let parsed = block::parse(&key, &value).map_err(|evidence| damaged(found.0, evidence))?;
        if found != next {
            break;
        }
        next = match parsed {
            Parsed::Records(block) if block.last() > to => {
                return Err(damaged(found.0, format!("it goes on beyond the mark, which says {to}")));
            }
            Parsed::Records(block) => (block.last() + 1, 0),
            Parsed::Chunk { count, .. } if next.1 + 1 == count => (next.0 + 1, 0),
            Parsed::Chunk { .. } => (next.0, next.1 + 1),
        };
    }
    Ok(next.0 - 1)
}

/// Checks what is in sled's log beyond `whole`: the redo log must have it, unless that was written without a sync per
/// group, so that its end can be lost.
fn check_beyond(store: &Store, live: &LiveLog<'_>, whole: u64) -> Result<(), OpenJournalError> {
    for entry in beyond(store, whole) {
        let (key, value) = entry.map_err(stored)?;
        let first = keys::parse_log(&key).map_or(0, |(first, _)| first);
        if value.is_empty() {
            // A place whose block did not come: nothing is lost with it.
            continue;
        }
        block::parse(&key, &value).map_err(|evidence| damaged(first, evidence))?;
        if first > live.end && !live.relaxed {
            return Err(damaged(first, format!("it lies beyond the redo log, which ends at {}", live.end)));
        }
    }
    Ok(())
}

/// Removes what is in sled's log beyond `whole`.
fn remove_beyond(store: &Store, whole: u64, applied: u64) -> Result<(), OpenJournalError> {
    if whole < applied {
        tracing::warn!(whole, applied, "a batch was left half written: applying it again from the redo log");
        // IMPORTANT: the mark first: with an old mark, what is left would be a gap.
        let mut batch = StoreBatch::default();
        batch.insert(keys::APPLIED_MARK, &whole.to_le_bytes());
        store.apply(batch).map_err(stored)?;
    }
    loop {
        let mut batch = StoreBatch::default();
        let mut count = 0;
        for entry in beyond(store, whole).take(BATCH_BLOCKS_MAX) {
            batch.remove(&entry.map_err(stored)?.0);
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        store.apply(batch).map_err(stored)?;
    }
}

fn beyond(store: &Store, commit: u64) -> impl Iterator<Item = Result<(Bytes, Bytes), StoreError>> + use<> {
    store.range(&keys::log(commit + 1, 0), &keys::log(u64::MAX, u16::MAX))
}

/// Applies what the redo log has beyond `whole`.
fn reapply(store: &Store, live: &LiveLog<'_>, whole: u64, progress: &mut Progress) -> Result<(), OpenJournalError> {
    let mut packer = BlockPacker::default();
    let mut placing = Placing::default();
    let mut next = whole + 1;
    scan::chain(&live.segments, live.facts.generation, |header, mut records| {
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
            placing.write(store, packer.take_full(), |_| ()).map_err(stored)?;
        }
        progress.tell(next - 1);
        Ok(())
    })?;
    packer.seal();
    placing.write_all(store, packer.take_full(), |_| ()).map_err(stored)
}

fn damaged(commit: u64, evidence: impl Into<String>) -> OpenJournalError {
    OpenJournalError::Damaged { place: format!("sled, the block of commit {commit}"), evidence: evidence.into() }
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
