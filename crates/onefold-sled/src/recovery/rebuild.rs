//! Rebuilding what is derived, heads, index and claims: a scan of the log from the last checkpoint.

use std::collections::HashMap;

use bytes::Bytes;
use onefold_core::journal::record::{PartView, RecordError, RecordView};
use onefold_core::{ClaimName, CommitNumber, Holder, StreamId};

use super::{Progress, stored};
use crate::block::{self, Block, Parsed};
use crate::checkpoint::{write_claims, write_heads};
use crate::error::OpenJournalError;
use crate::gap::Gap;
use crate::heads::Place;
use crate::keys;
use crate::store::{Store, StoreBatch};
use crate::writer::forming::INDEX_VERSIONS;

/// What changed since the last checkpoint.
#[derive(Default)]
struct Changed {
    /// By stream, its place and its new index entries.
    heads: HashMap<StreamId, (Place, Vec<(u64, u64)>)>,
    /// By claim, its last holder.
    claims: HashMap<ClaimName, Option<Holder>>,
}

/// Rebuilds what is derived up to commit `end`, holding `heads_max` heads and claims at a time; returns the last event's
/// position.
pub(crate) fn rebuild(
    store: &Store,
    end: u64,
    heads_max: usize,
    progress: &mut Progress,
) -> Result<u64, OpenJournalError> {
    let from = store.mark(keys::HEADS_MARK).map_err(stored)?.unwrap_or(0) + 1;
    let mut changed = Changed::default();
    let mut position = 0;
    // The last commit is always read, for its position.
    let mut commit = from.min(end).max(1);
    while commit <= end {
        let block = read_block(store, commit)?;
        while commit <= block.last().min(end) {
            position = note(&block, commit, from, &mut changed)?;
            commit += 1;
        }
        if changed.heads.len() + changed.claims.len() >= heads_max {
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
            if part.has_extras() {
                changed.note_claims(&view, &part, &stream, &record)?;
            }
            let before = part.first_version.get() - 1;
            let place = Place { version: part.last_version().get(), commit };
            let (newest, index) = changed.heads.entry(stream).or_default();
            *newest = place;
            if before / INDEX_VERSIONS != place.version / INDEX_VERSIONS {
                index.push((place.version, commit));
            }
        }
    }
    Ok(view.last_position().get())
}

impl Changed {
    /// The last fact about a claim tells its holder. Unlike events, extras are part of what opening depends on, so damage to
    /// them is found here.
    fn note_claims(
        &mut self,
        view: &RecordView<'_>,
        part: &PartView<'_>,
        stream: &StreamId,
        record: &Bytes,
    ) -> Result<(), OpenJournalError> {
        let number: CommitNumber = view.commit();
        let damage = |error: RecordError| damaged(number.get(), error.to_string());
        let taken = view.take(part, record).map_err(damage)?;
        let extras = taken.extras().ok_or_else(|| damaged(number.get(), "its extras do not parse"))?;
        for fact in extras.claims {
            self.claims.insert(fact.claim().clone(), fact.holder(stream, number));
        }
        Ok(())
    }
}

fn save(store: &Store, changed: &mut Changed) -> Result<(), OpenJournalError> {
    let mut heads: Vec<_> = changed.heads.drain().collect();
    heads.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    write_heads(store, heads.iter().map(|(stream, (place, index))| (stream, *place, &**index))).map_err(stored)?;
    let mut claims: Vec<_> = changed.claims.drain().collect();
    claims.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    write_claims(store, claims.iter().map(|(name, holder)| (name, holder.as_ref()))).map_err(stored)
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
