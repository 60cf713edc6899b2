//! Reading everything: a scan of the log's blocks in sled, then of what is still in memory.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use onefold_core::Checkpoint;
use onefold_core::journal::record::RecordView;
use onefold_core::journal::{FeedItem, ReadError};

use super::{Reader, damaged, storage};
use crate::block::{self, Block, Parsed};
use crate::keys;

/// Commits in one chunk at most.
const CHUNK_COMMITS_MAX: usize = 256;
/// Bytes of records in one chunk, about.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// A reading of the whole log, between chunks.
#[derive(Debug)]
pub(crate) struct FeedScan {
    /// The next commit, once it is known.
    next: Option<u64>,
    after: u64,
    /// The last commit that was durable when the reading began.
    end: u64,
}

impl FeedScan {
    pub(crate) fn new(after: &Checkpoint) -> Self {
        FeedScan { next: None, after: after.position().get(), end: 0 }
    }

    /// The next items; none at the end. Damage ends it, after the items before.
    pub(crate) fn next_chunk(&mut self, reader: &mut Reader) -> Result<Vec<FeedItem>, ReadError> {
        let next = match self.next {
            Some(next) => next,
            None => {
                self.end = reader.shared.durable_position().commit.get();
                first_commit_after(reader, self.after, self.end)?
            }
        };
        self.next = Some(next);
        let mut items = Vec::new();
        let scanned = self.scan(reader, &mut items);
        match scanned {
            // What came before the damage is handed out first; the next call meets it again.
            Err(_) if !items.is_empty() => Ok(items),
            Err(error) => Err(error),
            Ok(()) => Ok(items),
        }
    }

    /// Whether everything was handed out.
    pub(crate) fn is_done(&self) -> bool {
        self.next.is_some_and(|next| next > self.end)
    }

    fn scan(&mut self, reader: &mut Reader, items: &mut Vec<FeedItem>) -> Result<(), ReadError> {
        let mut bytes = 0;
        let next = self.next.unwrap_or(1);
        // IMPORTANT: read before the iterator is made: it may show half of a batch beyond this.
        let applied = reader.shared.applied.load(Ordering::Acquire).min(self.end);
        if next <= applied {
            let first = reader.stored_block(next)?;
            let mut blocks = Blocks::new(reader, first, applied);
            while let Some(block) = blocks.next()? {
                for commit in self.next.unwrap_or(1)..=block.last().min(applied) {
                    bytes += self.push(commit, &block.record(commit), items)?;
                }
                if items.len() >= CHUNK_COMMITS_MAX || bytes >= CHUNK_BYTES_MAX {
                    return Ok(());
                }
            }
        }
        while let Some(next) = self.next.filter(|next| *next <= self.end) {
            if items.len() >= CHUNK_COMMITS_MAX || bytes >= CHUNK_BYTES_MAX {
                break;
            }
            let record = reader.record(next)?;
            bytes += self.push(next, &record, items)?;
        }
        Ok(())
    }

    fn push(&mut self, commit: u64, record: &Bytes, items: &mut Vec<FeedItem>) -> Result<usize, ReadError> {
        let damage = |error: onefold_core::journal::record::RecordError| damaged(None, commit, error.to_string());
        let view = RecordView::parse(record).map_err(damage)?;
        if view.commit().get() != commit {
            return Err(damaged(None, commit, "another commit lies in its place"));
        }
        items.push(FeedItem::Commit(view.to_commit(record).map_err(damage)?));
        self.next = Some(commit + 1);
        Ok(record.len())
    }
}

/// Blocks in sled, in order and without a gap, from one that was found already.
struct Blocks<'a, I> {
    reader: &'a Reader,
    first: Option<Block>,
    next: u64,
    end: u64,
    entries: I,
}

impl<'a> Blocks<'a, ()> {
    fn new(
        reader: &'a Reader,
        first: Block,
        end: u64,
    ) -> Blocks<'a, impl Iterator<Item = Result<(Bytes, Bytes), crate::store::StoreError>>> {
        let next = first.last() + 1;
        let entries = reader.store.range(&keys::log(next, 0), &keys::log(end, 0));
        Blocks { reader, first: Some(first), next, end, entries }
    }
}

impl<I: Iterator<Item = Result<(Bytes, Bytes), crate::store::StoreError>>> Blocks<'_, I> {
    fn next(&mut self) -> Result<Option<Block>, ReadError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.next > self.end {
            return Ok(None);
        }
        loop {
            let entry = self.entries.next().transpose().map_err(storage)?;
            let (key, value) = entry.ok_or_else(|| damaged(None, self.next, "its block is missing"))?;
            let Some((first, chunk)) = keys::parse_log(&key) else { continue };
            if first < self.next || chunk > 0 {
                continue;
            }
            if first > self.next {
                return Err(damaged(None, self.next, "its block is missing"));
            }
            let block = match block::parse(&key, &value).map_err(|evidence| damaged(None, first, evidence))? {
                Parsed::Records(block) => block,
                Parsed::Chunk { .. } => self.reader.stored_block(first)?,
            };
            self.next = block.last() + 1;
            return Ok(Some(block));
        }
    }
}

/// The first commit, up to `end`, with an event beyond `position`.
fn first_commit_after(reader: &mut Reader, position: u64, end: u64) -> Result<u64, ReadError> {
    let (mut low, mut high) = (1, end + 1);
    if position == 0 {
        return Ok(1);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        let record = reader.record(middle)?;
        let view = RecordView::parse(&record).map_err(|error| damaged(None, middle, error.to_string()))?;
        match view.first_position().get() + view.event_count() <= position + 1 {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}
