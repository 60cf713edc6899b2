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

/// Heads and index entries in one batch at most: readers wait for a batch.
const BATCH_ENTRIES: usize = 256;
/// Heads between two looks at whether there are commits to apply.
const HEADS_AT_ONCE: usize = 256;

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
        for saved in saved.chunks(HEADS_AT_ONCE) {
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
        self.store.sync()?;
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

/// Writes heads and their new index entries, in batches. A long stream has more entries than one batch takes.
pub(crate) fn write_heads<'a>(
    store: &Store,
    heads: impl Iterator<Item = (&'a StreamId, Place, &'a [(u64, u64)])>,
) -> Result<(), StoreError> {
    let mut entries = Entries { store, batch: StoreBatch::default(), count: 0 };
    for (stream, place, index) in heads {
        for (version, commit) in index {
            let key = keys::index(stream, *version);
            entries.add(&key, &derived::encode_index(&key, *commit))?;
        }
        // A stream whose first commit is not durable yet has no head.
        if place.version > 0 {
            let key = keys::head(stream);
            entries.add(&key, &derived::encode_head(&key, place))?;
        }
    }
    entries.apply()
}

/// Entries on their way into the store, a batch at a time.
struct Entries<'a> {
    store: &'a Store,
    batch: StoreBatch,
    count: usize,
}

impl Entries<'_> {
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.batch.insert(key, value);
        self.count += 1;
        match self.count >= BATCH_ENTRIES {
            true => self.apply(),
            false => Ok(()),
        }
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.count) == 0 {
            return Ok(());
        }
        self.store.apply(std::mem::take(&mut self.batch))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SledConfig;

    #[test]
    fn a_long_stream_is_saved_in_many_batches() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&SledConfig::new(dir.path()), Arc::default()).unwrap();
        let stream = StreamId::new("account", "1").unwrap();
        let index: Vec<(u64, u64)> = (1..=1000).map(|entry| (entry * 256, entry)).collect();
        let place = Place { version: 256_000, commit: 1000 };
        write_heads(&store, std::iter::once((&stream, place, &*index))).unwrap();
        let (batches, _) = store.counts();
        assert_eq!(batches, 4);
        let key = keys::index(&stream, 256_000);
        let entry = store.get(&key).unwrap().unwrap();
        assert_eq!(derived::decode_index(&key, &entry), Some(1000));
    }
}
