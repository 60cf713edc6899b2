//! What the journal counts: cheap atomics, read by load harnesses and metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The running counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) store_reads: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// What the journal did since it was opened, and what it holds now. See [`SledJournal::stats`](crate::SledJournal::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStats {
    /// Groups written to the redo log since opening.
    pub groups: u64,
    /// Commits written since opening.
    pub commits: u64,
    /// Bytes written to the redo log since opening.
    pub bytes_written: u64,
    /// Syncs of the redo log since opening.
    pub syncs: u64,
    /// Checkpoints since opening.
    pub checkpoints: u64,
    /// Look-ups of blocks in sled since opening.
    pub store_reads: u64,
    /// Batches written to sled since opening.
    pub store_batches: u64,
    /// Syncs of sled since opening: one per checkpoint, or per batch where the file system has no synchronous files.
    pub store_syncs: u64,
    /// The last commit that is in sled.
    pub applied_commit: u64,
    /// Bytes of commits that are durable but not in sled yet, held in memory.
    pub overlay_bytes: u64,
    /// Streams whose head changed since the last checkpoint.
    pub dirty_heads: u64,
    /// Streams with a head in memory.
    pub resident_heads: u64,
    /// Claims that changed since the last checkpoint.
    pub dirty_claims: u64,
    /// Claims in memory.
    pub resident_claims: u64,
    /// Bytes of the journal's files. Looked up when asked: a few system calls.
    pub disk_bytes: u64,
}
