//! Blocks that were read lately, so that neighbours in a block cost one look-up in sled. Bounded by bytes; a second-chance
//! clock decides what goes.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::Mutex;

use crate::block::Block;

/// Memory a block takes beside its bytes, about.
const BLOCK_FIXED_BYTES: usize = 128;

/// The cache.
#[derive(Debug)]
pub(crate) struct BlockCache {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    blocks: BTreeMap<u64, (Block, bool)>,
    bytes: usize,
    hand: u64,
}

impl BlockCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        BlockCache { inner: Mutex::default(), bytes_max }
    }

    /// The block that holds a commit.
    pub(crate) fn get(&self, commit: u64) -> Option<Block> {
        let mut inner = self.inner.lock();
        let (_, (block, used)) = inner.blocks.range_mut(..=commit).next_back()?;
        block.holds(commit).then(|| {
            *used = true;
            block.clone()
        })
    }

    /// Remembers a block.
    pub(crate) fn insert(&self, block: Block) {
        let weight = block.weight() + BLOCK_FIXED_BYTES;
        if weight > self.bytes_max / 16 {
            return;
        }
        let mut inner = self.inner.lock();
        let mut gone = Vec::new();
        while inner.bytes + weight > self.bytes_max {
            gone.extend(inner.evict());
        }
        inner.bytes += weight;
        if let Some((older, _)) = inner.blocks.insert(block.first(), (block, false)) {
            inner.bytes -= older.weight() + BLOCK_FIXED_BYTES;
        }
        drop(inner);
    }
}

impl Inner {
    /// Moves the hand on, until it meets a block that was not used since it last came by.
    fn evict(&mut self) -> Option<Block> {
        loop {
            let from = (Bound::Excluded(self.hand), Bound::Unbounded);
            let Some((first, (_, used))) = self.blocks.range_mut(from).next() else {
                if self.hand == 0 {
                    self.bytes = 0;
                    return None;
                }
                self.hand = 0;
                continue;
            };
            self.hand = *first;
            if !std::mem::take(used) {
                let (block, _) = self.blocks.remove(&self.hand)?;
                self.bytes -= block.weight() + BLOCK_FIXED_BYTES;
                return Some(block);
            }
        }
    }
}
