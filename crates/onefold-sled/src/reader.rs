//! Reading: in memory first, then in sled.
//!
//! What leaves memory was visible in sled before, so a reader that looks in this order misses nothing.

pub(crate) mod ahead;
pub(crate) mod cache;
pub(crate) mod feed;
pub(crate) mod listing;
pub(crate) mod pool;
pub(crate) mod window;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use onefold_core::journal::ReadError;
use onefold_core::{CommitNumber, StreamId};

use crate::block::{self, Block, Parsed};
use crate::derived;
use crate::heads::{HeadState, Place, StreamHead};
use crate::keys;
use crate::shared::Shared;
use crate::stats::Counters;
use crate::store::{Store, StoreError};

/// One reader's view: the journal, and the block it is in.
pub(crate) struct Reader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<Store>,
    block: Option<Block>,
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
        let Some(head) = self.shared.heads.get(stream) else { return self.stored_place(stream) };
        // IMPORTANT: the group first; later ones only add.
        let durable_group = self.shared.durable_group();
        self.load(&head)?;
        Ok(head.state.lock().durable(durable_group))
    }

    /// Loads a head that came into memory but was not read yet.
    pub(crate) fn load(&self, head: &StreamHead) -> Result<(), ReadError> {
        if head.state.lock().loaded {
            return Ok(());
        }
        let place = self.stored_place(&head.stream)?;
        let mut state: parking_lot::MutexGuard<'_, HeadState> = head.state.lock();
        if !state.loaded {
            state.load(place);
        }
        Ok(())
    }

    fn stored_place(&self, stream: &StreamId) -> Result<Place, ReadError> {
        let key = keys::head(stream);
        let Some(value) = self.store.get(&key).map_err(storage)? else { return Ok(Place::default()) };
        let place = derived::decode_head(&key, &value)
            .ok_or_else(|| damaged(Some(stream), 0, "the head does not match its checksum"))?;
        if place.commit > self.shared.durable_position().commit.get() {
            return Err(damaged(Some(stream), place.commit, "the head points beyond the end of the log"));
        }
        Ok(place)
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
