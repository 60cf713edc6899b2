//! Rebuilding heads and index: a scan of the log from the last checkpoint.

use std::collections::HashMap;

use onefold_core::StreamId;
use onefold_core::journal::record::RecordView;

use super::{Progress, stored};
use crate::block::{self, Block, Parsed};
use crate::checkpoint::write_heads;
use crate::error::OpenJournalError;
use crate::gap::Gap;
use crate::heads::Place;
use crate::keys;
use crate::store::{Store, StoreBatch};
use crate::writer::forming::INDEX_VERSIONS;

/// What changed since the last checkpoint: by stream, its place and its new index entries.
type Changed = HashMap<StreamId, (Place, Vec<(u64, u64)>)>;

/// Rebuilds heads and index up to commit `end`, holding `heads_max` at a time; returns the last event's position.
pub(crate) fn rebuild(
    store: &Store,
    end: u64,
    heads_max: usize,
    progress: &mut Progress,
) -> Result<u64, OpenJournalError> {
    let from = store.mark(keys::HEADS_MARK).map_err(stored)?.unwrap_or(0) + 1;
    let mut changed = Changed::new();
    let mut position = 0;
    // The last commit is always read, for its position.
    let mut commit = from.min(end).max(1);
    while commit <= end {
        let block = read_block(store, commit)?;
        while commit <= block.last().min(end) {
            position = note(&block, commit, from, &mut changed)?;
            commit += 1;
        }
        if changed.len() >= heads_max {
            save(store, &mut changed)?;
        }
        progress.tell(commit - 1);
    }
    save(store, &mut changed)?;
    let mut batch = StoreBatch::default();
    batch.insert(keys::HEADS_MARK, &end.to_le_bytes());
    store.apply(batch).map_err(stored)?;
    Ok(position)
}

/// Notes what a commit changed, unless it is older than `from`; returns its last position.
fn note(block: &Block, commit: u64, from: u64, changed: &mut Changed) -> Result<u64, OpenJournalError> {
    let record = block.record(commit);
    if let Some(gap) = Gap::parse(&record, commit) {
        return Ok(gap.last_position.get());
    }
    let view = RecordView::parse(&record).map_err(|error| damaged(commit, error.to_string()))?;
    if view.commit().get() != commit {
        return Err(damaged(commit, "another commit lies in its place"));
    }
    if commit >= from {
        for part in view.parts() {
            let stream = StreamId::new(part.aggregate_type, part.aggregate_id)
                .map_err(|error| damaged(commit, error.to_string()))?;
            let before = part.first_version.get() - 1;
            let place = Place { version: before + u64::from(part.event_count), commit };
            let (newest, index) = changed.entry(stream).or_default();
            *newest = place;
            if before / INDEX_VERSIONS != place.version / INDEX_VERSIONS {
                index.push((place.version, commit));
            }
        }
    }
    Ok(view.first_position().get() + view.event_count() - 1)
}

fn save(store: &Store, changed: &mut Changed) -> Result<(), OpenJournalError> {
    let mut heads: Vec<_> = changed.drain().collect();
    heads.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    write_heads(store, heads.iter().map(|(stream, (place, index))| (stream, *place, &**index))).map_err(stored)
}

fn read_block(store: &Store, commit: u64) -> Result<Block, OpenJournalError> {
    let found = store.last_in(&keys::log(0, 0), &keys::log(commit, u16::MAX)).map_err(stored)?;
    let (key, value) = found.ok_or_else(|| damaged(commit, "its block is missing"))?;
    let parsed = block::parse(&key, &value).map_err(|evidence| damaged(commit, evidence))?;
    let block = match parsed {
        Parsed::Records(block) => block,
        Parsed::Chunk { .. } => {
            let entries = store.range(&keys::log(commit, 0), &keys::log(commit, u16::MAX));
            let chunks: Result<Vec<_>, _> = entries.map(|entry| entry.map(|(_, value)| value)).collect();
            let chunks = chunks.map_err(stored)?;
            block::assemble(commit, chunks.into_iter()).map_err(|evidence| damaged(commit, evidence))?
        }
    };
    match block.holds(commit) {
        true => Ok(block),
        false => Err(damaged(commit, "its block is missing")),
    }
}

fn damaged(commit: u64, evidence: impl Into<String>) -> OpenJournalError {
    OpenJournalError::Damaged { place: format!("the log, commit {commit}"), evidence: evidence.into() }
}
