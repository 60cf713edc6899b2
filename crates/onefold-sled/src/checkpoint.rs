//! The checkpoint: brings the changed heads and index entries into sled, makes sled durable, and frees the redo log
//! behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use onefold_core::StreamId;

use crate::applier::Applier;
use crate::derived;
use crate::heads::{Heads, Place, StreamHead};
use crate::keys;
use crate::redo::segment;
use crate::stats::Counters;
use crate::store::{Store, StoreBatch, StoreError};

/// Heads, and index entries, in one batch, about.
const BATCH_ENTRIES: usize = 256;

/// A head as it is saved.
struct Saved {
    head: Arc<StreamHead>,
    place: Place,
    index: Vec<(u64, u64)>,
}

impl Applier {
    /// Saves everything that changed since the last one.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        // IMPORTANT: in this order. Heads are published before the durable position, so those of all commits up to
        // `complete_to` are in the list that is taken.
        let complete_to = shared.durable_position().commit.get();
        let mut saved = take_heads(&shared.heads, shared.durable_group());
        // No head in sled may point beyond the log in sled.
        let newest = saved.iter().map(|saved| saved.place.commit).max().unwrap_or(0);
        self.apply_to(complete_to.max(newest))?;
        saved.sort_unstable_by(|a, b| a.head.stream.cmp(&b.head.stream));
        for saved in saved.chunks(BATCH_ENTRIES) {
            let entries = saved.iter().map(|saved| (&saved.head.stream, saved.place, &*saved.index));
            write_heads(&self.store, entries)?;
            forget(&shared.heads, saved);
            self.apply_batches()?;
        }
        shared.heads.all_saved();
        let mut batch = StoreBatch::default();
        batch.insert(keys::HEADS_MARK, &complete_to.to_le_bytes());
        self.store.apply(batch)?;
        let applied = shared.applied.load(Ordering::Acquire);
        shared.applier.timer.ask();
        self.store.sync()?;
        shared.applier.timer.answered();
        shared.synced.store(applied, Ordering::Release);
        // A segment may go when the scan that rebuilds heads does not need it either.
        let released = shared.ledger.release(applied.min(complete_to));
        shared.write_beacon(false).map_err(|error| StoreError::from(error.to_string()))?;
        // IMPORTANT: after the beacon, which must never name a segment that is gone.
        for sequence in released {
            shared.preparer.give_spare(segment::path(&shared.redo_dir, sequence));
        }
        Counters::add(&shared.counters.checkpoints, 1);
        Ok(())
    }
}

/// Takes the dirty heads as of the last durable group. Those that are in a later one stay dirty.
fn take_heads(heads: &Heads, durable_group: u64) -> Vec<Saved> {
    let mut still_dirty = Vec::new();
    let mut saved = Vec::new();
    for head in heads.take_dirty() {
        let mut state = head.state.lock();
        let place = state.durable(durable_group);
        state.saving = true;
        state.dirty = place != state.place();
        if state.dirty {
            still_dirty.push(Arc::clone(&head));
        }
        let index = state.index.iter().copied().filter(|(_, commit)| *commit <= place.commit).collect();
        drop(state);
        saved.push(Saved { head, place, index });
    }
    heads.add_dirty(&mut still_dirty);
    saved
}

/// Writes heads and their new index entries as one batch.
pub(crate) fn write_heads<'a>(
    store: &Store,
    heads: impl Iterator<Item = (&'a StreamId, Place, &'a [(u64, u64)])>,
) -> Result<(), StoreError> {
    let mut batch = StoreBatch::default();
    for (stream, place, index) in heads {
        // A stream whose first commit is not durable yet has no head.
        if place.version > 0 {
            let key = keys::head(stream);
            batch.insert(&key, &derived::encode_head(&key, place));
        }
        for (version, commit) in index {
            let key = keys::index(stream, *version);
            batch.insert(&key, &derived::encode_index(&key, *commit));
        }
    }
    store.apply(batch)
}

/// What was saved is visible in sled: memory need not hold it.
fn forget(heads: &Heads, saved: &[Saved]) {
    for saved in saved {
        let mut state = saved.head.state.lock();
        state.saving = false;
        state.index.drain(..saved.index.len());
        drop(state);
        heads.release(&saved.head.stream);
    }
    heads.saved(saved.len());
}
