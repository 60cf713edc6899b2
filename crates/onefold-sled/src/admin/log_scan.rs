//! Reads the log in sled from its beginning, and goes on behind damage: records where they can be had, and what is wrong.

use std::collections::VecDeque;
use std::iter::Peekable;

use bytes::{Bytes, BytesMut};
use onefold_core::journal::record::RecordView;

use super::problem::{Problem, ProblemKind};
use crate::block::{self, Parsed};
use crate::gap::{GAP_BYTES, Gap};
use crate::keys;
use crate::store::{Store, StoreError};

/// Where the bytes of a chunk begin.
pub(crate) const CHUNK_HEADER_BYTES: usize = 12;
/// Reads that fail one after the other before the distance to the next one grows.
const NEAR_TRIES: u32 = 4_096;

/// What the log has next.
pub(crate) enum Scanned {
    /// The bytes that lie in a commit's place; its own checksums were not looked at.
    Record(u64, Bytes),
    Problem(Problem),
}

type Entries = Box<dyn Iterator<Item = Result<(Bytes, Bytes), StoreError>>>;

/// A reading of the log in sled.
pub(crate) struct LogScan<'a> {
    store: &'a Store,
    entries: Peekable<Entries>,
    ready: VecDeque<Scanned>,
    /// The last commit that was met, and up to where a reading that failed is tried again.
    met: u64,
    limit: u64,
    pub(crate) blocks: u64,
}

impl<'a> LogScan<'a> {
    /// From the first commit on. What cannot be read is passed up to commit `limit`.
    pub(crate) fn new(store: &'a Store, limit: u64) -> Self {
        let entries = entries(store, 0);
        LogScan { store, entries, ready: VecDeque::new(), met: 0, limit, blocks: 0 }
    }

    fn take_block(&mut self) -> Option<Result<(Bytes, Bytes), StoreError>> {
        let entry = self.entries.next();
        self.blocks += u64::from(matches!(entry, Some(Ok(_))));
        entry
    }

    fn expand(&mut self, key: &Bytes, value: Bytes) {
        let Some((first, chunk)) = keys::parse_log(key) else {
            let place = format!("key {}", hex(key));
            self.ready.push_back(Scanned::Problem(Problem::new(
                ProblemKind::Foreign,
                place,
                "it is no key of a block",
            )));
            return;
        };
        self.met = self.met.max(first);
        let mut chunks = vec![(chunk, value)];
        while let Some(Ok((next, _))) = self.entries.peek()
            && let Some((commit, chunk)) = keys::parse_log(next)
            && commit == first
            && let Some(Ok((_, value))) = self.take_block()
        {
            chunks.push((chunk, value));
        }
        match (chunk, block::parse(key, &chunks[0].1)) {
            (0, Ok(Parsed::Records(block))) if chunks.len() == 1 => {
                let records = (first..=block.last()).map(|commit| Scanned::Record(commit, block.record(commit)));
                self.ready.extend(records);
                self.met = self.met.max(block.last());
            }
            (0, Err(evidence)) if chunks.len() == 1 => self.save_records(first, &chunks[0].1, evidence),
            _ => self.join_chunks(first, &chunks),
        }
    }

    /// A block whose header cannot be believed: its records are there if they fill it, one after the other.
    fn save_records(&mut self, first: u64, value: &Bytes, evidence: &str) {
        let saved = saved_records(first, value);
        let outcome = if saved.is_empty() { "" } else { "; its records are whole" };
        let problem = Problem::of_commits(ProblemKind::BlockDamaged, first, first, format!("{evidence}{outcome}"));
        self.ready.push_back(Scanned::Problem(problem));
        self.ready.extend((first..).zip(saved).map(|(commit, record)| Scanned::Record(commit, record)));
    }

    fn join_chunks(&mut self, commit: u64, chunks: &[(u16, Bytes)]) {
        let dense = chunks.iter().zip(0u16..).all(|((chunk, _), expected)| *chunk == expected);
        let joined = match dense {
            true => block::assemble(commit, chunks.iter().map(|(_, value)| value.clone())),
            false => Err("a chunk is missing"),
        };
        match joined {
            Ok(block) => self.ready.push_back(Scanned::Record(commit, block.record(commit))),
            Err(evidence) => {
                // The chunks' headers are not needed when their bytes are a whole record.
                let mut record = BytesMut::new();
                chunks.iter().for_each(|(_, value)| {
                    record.extend_from_slice(value.get(CHUNK_HEADER_BYTES..).unwrap_or_default());
                });
                let record = record.freeze();
                let whole = dense && is_whole(commit, &record);
                let outcome = if whole { "; the record is whole" } else { "" };
                let evidence = format!("{evidence}{outcome}");
                let problem = Problem::of_commits(ProblemKind::ChunkDamaged, commit, commit, evidence);
                self.ready.push_back(Scanned::Problem(problem));
                self.ready.extend(whole.then_some(Scanned::Record(commit, record)));
            }
        }
    }

    /// After a read that failed: goes on at the next commit that can be read.
    fn pass(&mut self, reason: &StoreError) {
        let from = self.met + 1;
        let (mut next, mut tries, mut step) = (from, 0u32, 1);
        self.entries = empty();
        while next <= self.limit {
            let mut entries = entries(self.store, next);
            if !matches!(entries.peek(), Some(Err(_))) {
                self.entries = entries;
                break;
            }
            tries += 1;
            step = if tries > NEAR_TRIES { step * 2 } else { 1 };
            next += step;
        }
        self.met = next.saturating_sub(1).max(self.met);
        let evidence = format!("sled cannot be read there: {reason}");
        let problem = Problem::of_commits(ProblemKind::StoreUnreadable, from, next.max(from), evidence);
        self.ready.push_back(Scanned::Problem(problem));
    }
}

impl Iterator for LogScan<'_> {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        loop {
            if let Some(scanned) = self.ready.pop_front() {
                return Some(scanned);
            }
            match self.take_block()? {
                Ok((key, value)) => self.expand(&key, value),
                Err(reason) => self.pass(&reason),
            }
        }
    }
}

fn entries(store: &Store, from: u64) -> Peekable<Entries> {
    let entries = store
        .range(&keys::log(from, 0), &[keys::LOG, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    // A place whose block did not come is nothing. Where one should have come, its commits are missed.
    let blocks = entries.filter(|entry| !matches!(entry, Ok((_, value)) if value.is_empty()));
    (Box::new(blocks) as Entries).peekable()
}

fn empty() -> Peekable<Entries> {
    (Box::new(std::iter::empty()) as Entries).peekable()
}

/// The records of a block whose header is damaged, if there is one number of them for which they fill it exactly. They
/// cannot be looked for at any place: a payload may be made to look like a record.
fn saved_records(first: u64, value: &Bytes) -> Vec<Bytes> {
    for count in 1..value.len() / 2 {
        let mut at = 8 + 2 * count;
        let mut records = Vec::new();
        while let Some(length) = record_len(first + records.len() as u64, value.get(at..).unwrap_or_default()) {
            records.push(value.slice(at..at + length));
            at += length;
        }
        if records.len() == count && at == value.len() {
            return records;
        }
    }
    Vec::new()
}

/// The length of a commit's record, or of a gap's, at the start of the bytes.
pub(crate) fn record_len(commit: u64, bytes: &[u8]) -> Option<usize> {
    if Gap::parse(bytes, commit).is_some() {
        return Some(GAP_BYTES);
    }
    let view = RecordView::parse(bytes).ok()?;
    (view.commit().get() == commit).then(|| view.len())
}

/// Whether the bytes are a commit's record, with all its checksums; or that of a gap.
pub(crate) fn is_whole(commit: u64, record: &Bytes) -> bool {
    if record_len(commit, record) == Some(record.len()) && Gap::parse(record, commit).is_some() {
        return true;
    }
    let view =
        RecordView::parse(record).ok().filter(|view| view.commit().get() == commit && view.len() == record.len());
    view.is_some_and(|view| view.to_commit(record).is_ok())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
