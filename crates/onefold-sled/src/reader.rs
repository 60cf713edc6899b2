//! Reading: in memory first, then in sled.
//!
//! What leaves memory was visible in sled before, so a reader that looks in this order misses nothing.

pub(crate) mod ahead;
pub(crate) mod cache;
pub(crate) mod feed;
pub(crate) mod listing;
pub(crate) mod pool;
pub(crate) mod window;

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use onefold_core::journal::ReadError;
use onefold_core::{ClaimName, CommitNumber, StreamId};

use crate::block::{self, Block, Parsed};
use crate::claims::ClaimPlace;
use crate::derived;
use crate::heads::Place;
use crate::keys;
use crate::resident::{Entry, Table};
use crate::shared::Shared;
use crate::stats::Counters;
use crate::store::{Store, StoreError};

/// One reader's view: the journal, and the block it is in.
pub(crate) struct Reader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<Store>,
    block: Option<Block>,
}

/// A key under which sled has something that is derived from the log.
pub(crate) trait DerivedKey {
    type Value;

    /// What sled has.
    fn stored(&self, reader: &Reader) -> Result<Self::Value, ReadError>;
}

impl DerivedKey for StreamId {
    type Value = Place;

    fn stored(&self, reader: &Reader) -> Result<Place, ReadError> {
        let key = keys::head(self);
        let Some(value) = reader.store.get(&key).map_err(storage)? else { return Ok(Place::default()) };
        let place = derived::decode_head(&key, &value)
            .ok_or_else(|| damaged(Some(self), 0, "the head does not match its checksum"))?;
        if place.commit > reader.shared.durable_position().commit.get() {
            return Err(damaged(Some(self), place.commit, "the head points beyond the end of the log"));
        }
        Ok(place)
    }
}

impl DerivedKey for ClaimName {
    type Value = ClaimPlace;

    fn stored(&self, reader: &Reader) -> Result<ClaimPlace, ReadError> {
        let key = keys::claim(self);
        let Some(value) = reader.store.get(&key).map_err(storage)? else { return Ok(ClaimPlace::default()) };
        let holder = derived::decode_claim(&key, &value)
            .ok_or_else(|| damaged_claim(self, "its entry does not match its checksum"))?;
        if holder.since > reader.shared.durable_position().commit {
            return Err(damaged_claim(self, "its entry points beyond the end of the log"));
        }
        Ok(Some(holder).into())
    }
}

/// A damaged entry of a claim.
pub(crate) fn damaged_claim(name: &ClaimName, evidence: &str) -> ReadError {
    let place = format!("the claim {name}");
    ReadError::Damaged { stream: None, commit: None, place, evidence: evidence.to_owned() }
}

/// A failed read of the store.
pub(crate) fn storage(reason: StoreError) -> ReadError {
    ReadError::Storage { reason }
}

/// Damage at a commit.
pub(crate) fn damaged(stream: Option<&StreamId>, commit: u64, evidence: impl Into<String>) -> ReadError {
    ReadError::Damaged {
        stream: stream.cloned(),
        commit: Some(CommitNumber::new(commit)),
        place: format!("the log, commit {commit}"),
        evidence: evidence.into(),
    }
}

impl Reader {
    /// Fails when the journal is closed.
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, ReadError> {
        Ok(Reader { shared: Arc::clone(shared), store: shared.store()?, block: None })
    }

    /// Where a stream durably ends.
    pub(crate) fn place(&self, stream: &StreamId) -> Result<Place, ReadError> {
        self.durable(&self.shared.heads, stream)
    }

    /// Who durably holds a claim.
    pub(crate) fn claim(&self, name: &ClaimName) -> Result<ClaimPlace, ReadError> {
        self.durable(&self.shared.claims, name)
    }

    fn durable<K, V, N>(&self, table: &Table<K, V, N>, key: &K) -> Result<V, ReadError>
    where
        K: DerivedKey<Value = V> + Hash + Eq + Clone,
        V: Clone + Default + PartialEq,
        N: Default,
    {
        let Some(entry) = table.get(key) else { return key.stored(self) };
        // IMPORTANT: the group first; later ones only add.
        let durable_group = self.shared.durable_group();
        self.load(&entry)?;
        Ok(entry.state.lock().durable(durable_group).clone())
    }

    /// Loads an entry that came into memory but was not read yet.
    pub(crate) fn load<K, V, N>(&self, entry: &Entry<K, V, N>) -> Result<(), ReadError>
    where
        K: DerivedKey<Value = V>,
        V: Clone,
    {
        if entry.state.lock().loaded {
            return Ok(());
        }
        let stored = entry.key.stored(self)?;
        let mut state = entry.state.lock();
        if !state.loaded {
            state.load(stored);
        }
        Ok(())
    }

    /// The record of a durable commit.
    pub(crate) fn record(&mut self, commit: u64) -> Result<Bytes, ReadError> {
        if let Some(block) = &self.block
            && block.holds(commit)
        {
            return Ok(block.record(commit));
        }
        while commit > self.shared.applied.load(Ordering::Acquire) {
            if let Some(group) = self.shared.overlay.group_of(commit) {
                return Ok(Bytes::copy_from_slice(group.record(commit)));
            }
            // It moved to sled in between, or it is not durable.
            if commit > self.shared.durable_position().commit.get() {
                return Err(damaged(None, commit, "the commit lies beyond the end of the log"));
            }
        }
        let block = match self.shared.blocks.get(commit) {
            Some(block) => block,
            None => {
                let block = self.stored_block(commit)?;
                self.shared.blocks.insert(block.clone());
                block
            }
        };
        let record = block.record(commit);
        self.block = Some(block);
        Ok(record)
    }

    /// The block in sled that holds a commit.
    pub(crate) fn stored_block(&self, commit: u64) -> Result<Block, ReadError> {
        Counters::add(&self.shared.counters.store_reads, 1);
        let found = self.store.last_in(&keys::log(0, 0), &keys::log(commit, u16::MAX)).map_err(storage)?;
        let (key, value) = found.ok_or_else(|| damaged(None, commit, "its block is missing"))?;
        match block::parse(&key, &value).map_err(|evidence| damaged(None, commit, evidence))? {
            Parsed::Records(block) if block.holds(commit) => Ok(block),
            Parsed::Chunk { .. } if keys::parse_log(&key).is_some_and(|(first, _)| first == commit) => {
                self.chunked_block(commit)
            }
            _ => Err(damaged(None, commit, "its block is missing")),
        }
    }

    fn chunked_block(&self, commit: u64) -> Result<Block, ReadError> {
        let mut failed = None;
        let entries = self.store.range(&keys::log(commit, 0), &keys::log(commit, u16::MAX));
        let chunks = entries.map_while(|entry| entry.map_err(|error| failed = Some(error)).ok());
        let block = block::assemble(commit, chunks.map(|(_, value)| value));
        match failed {
            Some(error) => Err(storage(error)),
            None => block.map_err(|evidence| damaged(None, commit, evidence)),
        }
    }
}
