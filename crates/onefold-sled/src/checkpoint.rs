//! The checkpoint: brings what changed of heads, index and claims into sled, makes sled durable, and frees the redo log
//! behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use onefold_core::{ClaimName, Holder, StreamId};

use crate::applier::Applier;
use crate::derived;
use crate::heads::{HeadNotes, Place};
use crate::keys;
use crate::redo::segment;
use crate::stats::Counters;
use crate::store::{Store, StoreBatch, StoreError};

/// Heads, index entries and claims in one batch at most: readers wait for a batch.
const BATCH_ENTRIES: usize = 256;
/// Heads, or claims, between two looks at whether there are commits to apply.
const ENTRIES_AT_ONCE: usize = 256;

impl Applier {
    /// Saves everything that changed since the last one.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        // IMPORTANT: in this order. Heads and claims are published before the durable position, so those of all commits up to
        // `complete_to` are in the lists that are taken.
        let complete_to = shared.durable_position().commit.get();
        let durable_group = shared.durable_group();
        let mut heads = shared.heads.take_dirty(durable_group, index_to_save);
        let mut claims = shared.claims.take_dirty(durable_group, |_, ()| ());
        // Nothing in sled may point beyond the log in sled.
        let commits = heads.iter().map(|head| head.value.commit).chain(claims.iter().map(|claim| claim.value.commit));
        self.apply_to(commits.max().unwrap_or(0).max(complete_to))?;
        heads.sort_unstable_by(|a, b| a.entry.key.cmp(&b.entry.key));
        for heads in heads.chunks(ENTRIES_AT_ONCE) {
            write_heads(&self.store, heads.iter().map(|head| (&head.entry.key, head.value, &*head.notes)))?;
            shared.heads.forget(heads, |notes, saved| drop(notes.index.drain(..saved.len())));
            self.apply_batches()?;
        }
        shared.heads.all_saved();
        claims.sort_unstable_by(|a, b| a.entry.key.cmp(&b.entry.key));
        for claims in claims.chunks(ENTRIES_AT_ONCE) {
            write_claims(&self.store, claims.iter().map(|claim| (&claim.entry.key, claim.value.holder.as_ref())))?;
            shared.claims.forget(claims, |(), ()| ());
            self.apply_batches()?;
        }
        shared.claims.all_saved();
        let mut batch = StoreBatch::default();
        batch.insert(keys::HEADS_MARK, &complete_to.to_le_bytes());
        self.store.apply(batch)?;
        let applied = shared.applied.load(Ordering::Acquire);
        self.store.sync()?;
        shared.synced.store(applied, Ordering::Release);
        // A segment may go when the scan that rebuilds what is derived does not need it either.
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

/// The new index entries that go with a head as it is saved.
fn index_to_save(place: &Place, notes: &HeadNotes) -> Vec<(u64, u64)> {
    notes.index.iter().copied().filter(|(_, commit)| *commit <= place.commit).collect()
}

/// Writes heads and their new index entries, in batches. A long stream has more entries than one batch takes.
pub(crate) fn write_heads<'a>(
    store: &Store,
    heads: impl Iterator<Item = (&'a StreamId, Place, &'a [(u64, u64)])>,
) -> Result<(), StoreError> {
    let mut entries = Entries::new(store);
    for (stream, place, index) in heads {
        for (version, commit) in index {
            let key = keys::index(stream, *version);
            entries.add(|batch| batch.insert(&key, &derived::encode_index(&key, *commit)))?;
        }
        // A stream whose first commit is not durable yet has no head.
        if place.commit > 0 {
            let key = keys::head(stream);
            entries.add(|batch| batch.insert(&key, &derived::encode_head(&key, place)))?;
        }
    }
    entries.apply()
}

/// Writes claims, in batches; removes those that nobody holds.
pub(crate) fn write_claims<'a>(
    store: &Store,
    claims: impl Iterator<Item = (&'a ClaimName, Option<&'a Holder>)>,
) -> Result<(), StoreError> {
    let mut entries = Entries::new(store);
    for (name, holder) in claims {
        let key = keys::claim(name);
        entries.add(|batch| match holder {
            Some(holder) => batch.insert(&key, &derived::encode_claim(&key, holder)),
            None => batch.remove(&key),
        })?;
    }
    entries.apply()
}

/// Entries on their way into the store, a batch at a time.
struct Entries<'a> {
    store: &'a Store,
    batch: StoreBatch,
    count: usize,
}

impl<'a> Entries<'a> {
    fn new(store: &'a Store) -> Self {
        Entries { store, batch: StoreBatch::default(), count: 0 }
    }

    fn add(&mut self, change: impl FnOnce(&mut StoreBatch)) -> Result<(), StoreError> {
        change(&mut self.batch);
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
