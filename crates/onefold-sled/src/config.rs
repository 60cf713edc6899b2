//! How a journal is opened: every bound by name, with its default, checked before anything is touched.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::OpenJournalError;
use crate::journal::SledJournal;
use crate::medium::{Disk, Medium};
use crate::redo::blocks::BLOCK_BYTES;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// When an append counts as durable, hence what can be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the disk. Nothing acknowledged is lost, not at a power cut either, if the disk honours flushes.
    #[default]
    Fsync,
    /// Written to the operating system. A crash of the process loses nothing; a power cut or a crash of the system loses
    /// the acknowledgements of about the last 100 ms.
    ProcessCrash,
    /// In memory. A crash of the process loses the group that was being written (up to
    /// [`group_commits_max`](SledConfig::group_commits_max) commits); a power cut as `ProcessCrash`.
    Buffered,
}

/// How far rebuilding at open got. Told when it takes longer than a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuildProgress {
    /// The last commit dealt with.
    pub commit: u64,
    /// The last commit there is, as far as it is known.
    pub last_commit: u64,
    /// How long it has taken so far.
    pub elapsed: Duration,
}

pub(crate) type ProgressCallback = Arc<dyn Fn(RebuildProgress) + Send + Sync>;

/// How to open a [`SledJournal`]: a directory, and bounds that all have defaults.
///
/// ```no_run
/// use onefold_sled::{Durability, SledJournal};
/// let journal = SledJournal::builder("bank-data").durability(Durability::Fsync).cache_bytes(256 << 20).open()?;
/// # Ok::<_, onefold_sled::OpenJournalError>(())
/// ```
#[derive(Clone)]
pub struct SledConfig {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) cache_bytes: usize,
    pub(crate) block_cache_bytes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) queue_appends_max: usize,
    pub(crate) queue_bytes_max: usize,
    pub(crate) overlay_bytes_max: usize,
    pub(crate) unwritten_bytes_max: usize,
    pub(crate) dirty_heads_max: usize,
    pub(crate) checkpoint_bytes: usize,
    pub(crate) group_commits_max: usize,
    pub(crate) group_bytes_max: usize,
    pub(crate) reader_threads: usize,
    pub(crate) reader_jobs_max: usize,
    pub(crate) watchdog_timeout: Duration,
    pub(crate) free_space_reserve_bytes: u64,
    pub(crate) progress: Option<ProgressCallback>,
    pub(crate) medium: Arc<dyn Medium>,
}

/// Writes a setter per field.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}

impl SledConfig {
    /// The defaults, for a journal in the directory `path`, which is created when it is not there (its parent must be).
    pub fn new(path: impl AsRef<Path>) -> Self {
        SledConfig {
            path: path.as_ref().to_owned(),
            durability: Durability::default(),
            cache_bytes: 64 * MIB,
            block_cache_bytes: 32 * MIB,
            segment_bytes: 64 * MIB,
            queue_appends_max: 131_072,
            queue_bytes_max: 128 * MIB,
            overlay_bytes_max: 64 * MIB,
            unwritten_bytes_max: 32 * MIB,
            dirty_heads_max: 262_144,
            checkpoint_bytes: 512 * MIB,
            group_commits_max: 8_192,
            group_bytes_max: 8 * MIB,
            reader_threads: 2,
            reader_jobs_max: 65_536,
            watchdog_timeout: Duration::from_secs(30),
            free_space_reserve_bytes: 256 * MIB as u64,
            progress: None,
            medium: Arc::new(Disk),
        }
    }

    setters! {
        /// When an append counts as durable. Default [`Durability::Fsync`].
        durability: Durability;
        /// Bytes of sled's page cache; default 64 MiB, at least 1 MiB. sled exceeds it by the pages that reads hold.
        cache_bytes: usize;
        /// Bytes of the cache of log blocks in front of sled's; default 32 MiB, may be 0.
        block_cache_bytes: usize;
        /// Bytes of a segment of the redo log, rounded up to 4 KiB; default 64 MiB, at least 64 KiB. A larger group gets a segment of its own.
        segment_bytes: usize;
        /// Appends waiting for the writer at most; default 131,072. At the bound `append` hands the append back.
        queue_appends_max: usize;
        /// Bytes of appends waiting for the writer at most; default 128 MiB. At the bound `append` hands the append back,
        /// unless nothing is waiting.
        queue_bytes_max: usize;
        /// Bytes of durable commits that are not in sled yet at most; default 64 MiB. At the bound the writer waits for
        /// the applier, and appends for the writer.
        overlay_bytes_max: usize;
        /// Bytes that sled was given and has not written to its file yet at most; default 32 MiB, at least 64 KiB. At the
        /// bound the applier waits for sled.
        unwritten_bytes_max: usize;
        /// Streams whose head changed since the last checkpoint at most; default 262,144, at least 1,024. Half of it
        /// starts a checkpoint; at the bound the writer waits for it.
        dirty_heads_max: usize;
        /// Bytes of redo log after which a checkpoint begins; default 512 MiB, at least one segment. It bounds the work of
        /// an open after a crash, and the disk space of the redo log to this plus a few segments.
        checkpoint_bytes: usize;
        /// Commits in one group at most; default 8,192.
        group_commits_max: usize;
        /// Bytes of one group at most, unless a single commit is larger; default 8 MiB.
        group_bytes_max: usize;
        /// Threads that read; default 2.
        reader_threads: usize;
        /// Reads in progress or waiting for a reader thread at most; default 65,536. At the bound reads wait.
        reader_jobs_max: usize;
        /// How long a write or sync may take before the journal is poisoned and its appends answered as unknown; default
        /// 30 s, at least 10 ms.
        watchdog_timeout: Duration;
        /// Free bytes of the disk below which appends are refused with `DiskLow`; default 256 MiB, at least two segments, or
        /// 0 to turn it off. It has to last for what is on its way when it is reached: a segment, and what sled writes.
        free_space_reserve_bytes: u64;
    }

    /// Called from the opening thread, about once a second, when rebuilding takes longer than a second.
    #[must_use]
    pub fn on_rebuild_progress(mut self, callback: impl Fn(RebuildProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(callback));
        self
    }

    /// Scripts the redo log's writes and syncs. For tests of failures.
    #[doc(hidden)]
    #[must_use]
    pub fn medium(mut self, medium: Arc<dyn Medium>) -> Self {
        self.medium = medium;
        self
    }

    /// Opens the journal. Blocks for as long as it takes: see [`SledJournal::open`].
    ///
    /// # Errors
    ///
    /// [`OpenJournalError`].
    pub fn open(mut self) -> Result<SledJournal, OpenJournalError> {
        self.validate().map_err(OpenJournalError::Config)?;
        // Segments are written in whole blocks.
        self.segment_bytes = self.segment_bytes.next_multiple_of(BLOCK_BYTES);
        SledJournal::open_with(self)
    }

    fn validate(&self) -> Result<(), String> {
        let rows = [
            ("cache_bytes", self.cache_bytes, MIB),
            ("segment_bytes", self.segment_bytes, 64 * KIB),
            ("queue_appends_max", self.queue_appends_max, 1),
            ("queue_bytes_max", self.queue_bytes_max, 1),
            ("overlay_bytes_max", self.overlay_bytes_max, 64 * KIB),
            ("unwritten_bytes_max", self.unwritten_bytes_max, 64 * KIB),
            ("dirty_heads_max", self.dirty_heads_max, 1_024),
            ("checkpoint_bytes", self.checkpoint_bytes, self.segment_bytes),
            ("group_commits_max", self.group_commits_max, 1),
            ("group_bytes_max", self.group_bytes_max, 4 * KIB),
            ("reader_threads", self.reader_threads, 1),
            ("reader_jobs_max", self.reader_jobs_max, 1),
        ];
        if let Some((name, value, least)) = rows.iter().find(|(_, value, least)| value < least) {
            return Err(format!("{name} must be at least {least}, it is {value}"));
        }
        if self.segment_bytes > 1024 * MIB || self.group_bytes_max > 1024 * MIB {
            return Err("segment_bytes and group_bytes_max must be 1 GiB at most".to_owned());
        }
        let reserve_least = 2 * self.segment_bytes as u64;
        if (1..reserve_least).contains(&self.free_space_reserve_bytes) {
            let reserve = self.free_space_reserve_bytes;
            return Err(format!(
                "free_space_reserve_bytes must be 0 or at least two segments ({reserve_least}), it is {reserve}"
            ));
        }
        if self.watchdog_timeout < Duration::from_millis(10) {
            return Err(format!("watchdog_timeout must be at least 10 ms, it is {:?}", self.watchdog_timeout));
        }
        Ok(())
    }
}

impl fmt::Debug for SledConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledConfig")
            .field("path", &self.path)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}
