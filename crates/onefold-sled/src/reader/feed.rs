//! Reading everything: a scan of the log's blocks in sled, then of what is still in memory.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use onefold_core::Checkpoint;
use onefold_core::journal::record::RecordView;
use onefold_core::journal::{FeedItem, ReadError};

use super::{Reader, damaged, storage};
use crate::block::{self, Block, Parsed};
use crate::gap::Gap;
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
                let last = block.last().min(applied);
                while let Some(commit) = self.next.filter(|next| *next <= last) {
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
        if let Some(gap) = Gap::parse(record, commit) {
            items.push(FeedItem::Removed { from: gap.first_position, to: gap.last_position });
            self.next = Some(gap.last_commit.get() + 1);
            return Ok(record.len());
        }
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

/// The first commit, up to `end`, that a reading beyond `position` shows: with an event beyond, or without any and behind.
fn first_commit_after(reader: &mut Reader, position: u64, end: u64) -> Result<u64, ReadError> {
    if position == 0 {
        return Ok(1);
    }
    let durable = reader.shared.durable_position().position.get();
    // Nobody who follows the feed searches for where it ends, unless it ends with commits without events.
    if position > durable || (position == durable && !probe_one(reader, end).is_ok_and(|last| last.is_empty())) {
        return Ok(end + 1);
    }
    // The answer is in `low..=high`, and `high` is right if no commit in `low..probes_end` is. When all events before `high`
    // are dealt with, whatever of them is damaged is, too.
    let (mut low, mut high, mut probes_end) = (1, end + 1, end + 1);
    let mut dealt_with = position == durable;
    while low < probes_end {
        let middle = low + (probes_end - low) / 2;
        match probe(reader, middle, probes_end)? {
            Some(probe) if !probe.is_beyond(position) => low = probe.last_commit + 1,
            Some(probe) if probe.first <= position + 1 => {
                // Positions are dense: of what comes before it, only commits without events can be shown.
                (high, probes_end, dealt_with) = (probe.first_commit, middle.min(probe.first_commit), true);
            }
            None if dealt_with => probes_end = middle,
            // Beyond; or from the middle on there is damage, and what can be read behind it is too late: if nothing before
            // the damage is beyond, the reading begins with it.
            _ => (high, probes_end) = (middle, middle),
        }
    }
    Ok(high.max(low))
}

/// Where a commit's events are, or those of a gap. Without events `last` is the one before `first`.
struct Probe {
    first_commit: u64,
    last_commit: u64,
    first: u64,
    last: u64,
}

impl Probe {
    fn is_empty(&self) -> bool {
        self.last < self.first
    }

    fn is_beyond(&self, position: u64) -> bool {
        self.last > position || (self.is_empty() && self.last == position)
    }
}

/// The first commit from `from` on, and before `end`, that can be read: damage is passed block by block.
fn probe(reader: &mut Reader, from: u64, end: u64) -> Result<Option<Probe>, ReadError> {
    let mut commit = from;
    while commit < end {
        match probe_one(reader, commit) {
            Err(ReadError::Damaged { .. }) => commit = next_block(reader, commit)?,
            probe => return probe.map(Some),
        }
    }
    Ok(None)
}

fn probe_one(reader: &mut Reader, commit: u64) -> Result<Probe, ReadError> {
    let record = reader.record(commit)?;
    if let Some(gap) = Gap::parse(&record, commit) {
        let (first_commit, last_commit) = (gap.first_commit.get(), gap.last_commit.get());
        return Ok(Probe { first_commit, last_commit, first: gap.first_position.get(), last: gap.last_position.get() });
    }
    let view = RecordView::parse(&record).map_err(|error| damaged(None, commit, error.to_string()))?;
    let (first, last) = (view.first_position().get(), view.last_position().get());
    Ok(Probe { first_commit: commit, last_commit: commit, first, last })
}

/// The first commit of the block behind the one with `commit`, or of what is still in memory.
fn next_block(reader: &Reader, commit: u64) -> Result<u64, ReadError> {
    let applied = reader.shared.applied.load(Ordering::Acquire);
    let mut entries = reader.store.range(&keys::log(commit + 1, 0), &keys::log(applied, 0));
    let key = entries.next().transpose().map_err(storage)?.map(|(key, _)| key);
    let next = key.and_then(|key| keys::parse_log(&key)).map_or(applied + 1, |(first, _)| first);
    Ok(next.max(commit + 1))
}
