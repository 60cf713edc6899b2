//! Blocks on their way into sled, each of which is written there about once.
//!
//! sled rewrites all values of a leaf when the leaf splits, which it does at 17 of them. A log grows at its end only, so each
//! block would be written twice more. So a block first gets its place, an empty value under its key, and leaves split while
//! there is next to nothing in them; the block itself follows when its leaf cannot split any more.
//!
//! ```text
//!   leaves in sled   │ B B B B B B B B B │ B B B B B · · · · │ · · · · · · · · · · · · │
//!                      filled               being filled        the newest: may split
//! ```
//!
//! A leaf that came out of a split at the end has nine places, and sled consolidates, that is rewrites, a leaf at its tenth
//! change. Empty places lie beyond the applied mark, where nobody reads; opening removes those that a kill left behind.

use std::collections::VecDeque;

use crate::block::FullBlock;
use crate::keys;
use crate::store::{Store, StoreBatch, StoreError};

/// So many of the newest places can lie in a leaf that will split.
const UNSETTLED_MAX: usize = 17;

/// Blocks that have a place in sled and are not there yet, in order: [`UNSETTLED_MAX`] between two writes, and the chunks of
/// one commit.
#[derive(Debug, Default)]
pub(crate) struct Placing {
    blocks: VecDeque<FullBlock>,
}

impl Placing {
    /// Gives blocks their places and writes those whose leaf is settled. `applied` is told each mark when it is visible.
    pub(crate) fn write(
        &mut self,
        store: &Store,
        blocks: Vec<FullBlock>,
        applied: impl FnMut(u64),
    ) -> Result<(), StoreError> {
        store.place(blocks.iter().map(|block| &block.key[..]))?;
        self.blocks.extend(blocks);
        let mut settled = self.blocks.len().saturating_sub(UNSETTLED_MAX);
        // What a kill leaves should be whole commits, not some chunks of one.
        while settled > 0 && !self.blocks[settled - 1].ends_commit() {
            settled -= 1;
        }
        self.write_first(store, settled, applied)
    }

    /// Writes all blocks, whatever it costs.
    pub(crate) fn write_all(
        &mut self,
        store: &Store,
        blocks: Vec<FullBlock>,
        applied: impl FnMut(u64),
    ) -> Result<(), StoreError> {
        // Places do not pay for a few blocks.
        if self.blocks.len() + blocks.len() > UNSETTLED_MAX {
            store.place(blocks.iter().map(|block| &block.key[..]))?;
        }
        self.blocks.extend(blocks);
        self.write_first(store, self.blocks.len(), applied)
    }

    /// Writes the first `count` blocks in batches, each with its own mark.
    fn write_first(&mut self, store: &Store, mut count: usize, mut applied: impl FnMut(u64)) -> Result<(), StoreError> {
        while count > 0 {
            let mut batch = StoreBatch::default();
            let mut complete_to = 0;
            for block in self.blocks.drain(..count.min(store.batch_blocks_max())) {
                batch.insert(&block.key, &block.bytes);
                complete_to = block.complete_to;
                count -= 1;
            }
            batch.insert(keys::APPLIED_MARK, &complete_to.to_le_bytes());
            store.apply(batch)?;
            applied(complete_to);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockPacker;
    use crate::config::SledConfig;

    /// Blocks of commits with a record of 200 bytes each.
    fn blocks(from: u64, count: usize) -> Vec<FullBlock> {
        let mut packer = BlockPacker::default();
        let mut commit = from;
        while packer.full_blocks() < count {
            packer.push(commit, &[7; 200]);
            commit += 1;
        }
        packer.take_full()
    }

    #[test]
    fn a_block_is_written_about_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&SledConfig::new(dir.path()), std::sync::Arc::default()).unwrap();
        let mut placing = Placing::default();
        let (mut bytes, mut applied) = (0, 0);
        for _ in 0..100 {
            let some = blocks(applied + 1, 64);
            bytes += some.iter().map(|block| block.bytes.len() as u64).sum::<u64>();
            // Those that wait come first.
            let last = some.last().unwrap().complete_to;
            placing.write(&store, some, |_| ()).unwrap();
            applied = last;
        }
        placing.write_all(&store, Vec::new(), |complete_to| assert!(complete_to <= applied)).unwrap();
        store.sync().unwrap();
        let written = dir.path().join("db").metadata().unwrap().len();
        assert!(written < bytes * 3 / 2, "{written} bytes for {bytes} of blocks");
        let (key, value) = store.last_in(&keys::log(0, 0), &keys::log(u64::MAX, u16::MAX)).unwrap().unwrap();
        assert!(!value.is_empty() && keys::parse_log(&key).unwrap().0 < applied);
        assert_eq!(store.mark(keys::APPLIED_MARK).unwrap(), Some(applied));
        let empty = store
            .range(&keys::log(0, 0), &keys::log(u64::MAX, u16::MAX))
            .find(|entry| entry.as_ref().unwrap().1.is_empty());
        assert!(empty.is_none());
    }
}
