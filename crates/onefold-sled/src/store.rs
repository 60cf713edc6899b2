//! sled, and nothing else knows it: an ordered map of small values, written in batches by one thread, read by a few.
//!
//! Its defects and what is done here against them: `flush` does not sync, so a sync of our own handle of `db` follows it;
//! its writes reach the disk in any order, so `db` is made synchronous, see [`write_order`]; errors can come as panics, so
//! every call is caught; after a failure the handle is forgotten, because dropping it can hang; what it was given to write
//! queues up in memory without a bound, so it is waited for after so many bytes.

mod write_order;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use self::write_order::WriteOrder;
use crate::config::SledConfig;
use crate::medium::{Medium, Step};
use crate::stats::Counters;
use crate::timer::Timer;

/// How often sled's own flusher runs: garbage collection happens nowhere else. Durability never relies on it.
const FLUSH_EVERY_MS: u64 = 1000;

/// How often, and after which pause, sled is opened again when its file is still locked: for two seconds in all.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// See [`Store::batch_blocks_max`].
pub(crate) const BATCH_BLOCKS_MAX: usize = 64;

/// What sled said, in words.
pub(crate) type StoreError = Arc<str>;

/// The open tree.
pub(crate) struct Store {
    db: Option<sled::Db>,
    /// Our own handle of sled's file, opened once right before sled did: a failed sync must not be missed.
    file: File,
    order: WriteOrder,
    /// Runs while sled is asked to write.
    timer: Arc<Timer>,
    medium: Arc<dyn Medium>,
    abandoned: AtomicBool,
    /// Bytes of the batches since sled had written everything.
    unwritten: AtomicUsize,
    unwritten_bytes_max: usize,
    batches: AtomicU64,
    syncs: AtomicU64,
}

/// Writes that become visible, and durable, together.
#[derive(Default)]
pub(crate) struct StoreBatch {
    batch: sled::Batch,
    bytes: usize,
}

impl StoreBatch {
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.batch.insert(key, value);
        self.bytes += key.len() + value.len();
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.batch.remove(key);
        self.bytes += key.len();
    }
}

impl Store {
    /// Opens, or creates, the tree in the journal's directory. The timer will run while sled is asked to write.
    pub(crate) fn open(config: &SledConfig, timer: Arc<Timer>) -> Result<Self, StoreError> {
        let dir: &Path = &config.path;
        // IMPORTANT: before sled writes its first byte.
        let opened = write_order::open(&dir.join("db"), &*config.medium);
        let (file, order) = opened.map_err(|error| StoreError::from(format!("could not open db: {error}")))?;
        // Without synchronous writes sled must not write on its own. What its flusher does beside that, collecting
        // garbage, happens at every replaced page, too.
        let flush_every_ms = (order == WriteOrder::File).then_some(FLUSH_EVERY_MS);
        let sled_config = sled::Config::new()
            .path(dir)
            .cache_capacity(config.cache_bytes as u64)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(flush_every_ms);
        let db = Self::open_sled(&sled_config)?;
        Ok(Store {
            db: Some(db),
            file,
            order,
            timer,
            medium: Arc::clone(&config.medium),
            abandoned: AtomicBool::new(false),
            unwritten: AtomicUsize::new(0),
            unwritten_bytes_max: config.unwritten_bytes_max,
            batches: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        })
    }

    /// Blocks of the log in one batch at most: sled's flush and batches exclude each other, and readers wait for both.
    pub(crate) fn batch_blocks_max(&self) -> usize {
        match self.order {
            WriteOrder::File => BATCH_BLOCKS_MAX,
            WriteOrder::Batches => BATCH_BLOCKS_MAX / 4,
        }
    }

    /// Opens sled. Our own lock is held, so when sled finds its file locked, it is only for a moment: by a copy of the file
    /// in a child process that another thread is just starting.
    fn open_sled(config: &sled::Config) -> Result<sled::Db, StoreError> {
        let mut left = LOCK_TRIES;
        loop {
            match guarded(|| config.open()) {
                Err(error) if left > 0 && error.to_string().contains("could not acquire lock") => {
                    left -= 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                opened => return opened,
            }
        }
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("there until dropped")
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(guarded(|| self.db().get(key))?.map(Bytes::from_owner))
    }

    /// A mark's number.
    pub(crate) fn mark(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let number = |value: Bytes| value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        Ok(self.get(key)?.and_then(number))
    }

    /// The last entry from `low` up to and including `high`.
    pub(crate) fn last_in(&self, low: &[u8], high: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let found = guarded(|| self.db().range(low..=high).next_back().transpose())?;
        Ok(found.map(|(key, value)| (Bytes::from_owner(key), Bytes::from_owner(value))))
    }

    /// The entries from `low` up to and including `high`, in order. An error ends it.
    pub(crate) fn range(
        &self,
        low: &[u8],
        high: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), StoreError>> + use<> {
        let mut entries = self.db().range(low..=high);
        std::iter::from_fn(move || {
            let entry = guarded(|| entries.next().transpose()).transpose()?;
            Some(entry.map(|(key, value)| (Bytes::from_owner(key), Bytes::from_owner(value))))
        })
    }

    /// Puts empty values under new keys, in their order. They mean nothing by themselves, so they are no batch. And so there
    /// are none where only batches are synced.
    pub(crate) fn place<'a>(&self, mut keys: impl Iterator<Item = &'a [u8]>) -> Result<(), StoreError> {
        if self.order == WriteOrder::Batches {
            return Ok(());
        }
        let mut more = true;
        while more {
            // The watchdog looks at so many at a time.
            more = self.timed(|| {
                self.medium.before(Step::Place)?;
                let mut placed = 0;
                for key in keys.by_ref().take(BATCH_BLOCKS_MAX) {
                    guarded(|| self.db().insert(key, &[]))?;
                    placed += 1;
                }
                Ok(placed == BATCH_BLOCKS_MAX)
            })?;
        }
        Ok(())
    }

    /// Makes a batch visible. Not durable before [`sync`](Store::sync).
    pub(crate) fn apply(&self, batch: StoreBatch) -> Result<(), StoreError> {
        let StoreBatch { batch, bytes } = batch;
        self.timed(|| {
            self.medium.before(Step::Batch)?;
            Ok(guarded(|| self.db().apply_batch(batch))?)
        })?;
        Counters::add(&self.batches, 1);
        match self.order {
            WriteOrder::File => self.keep_up(bytes),
            WriteOrder::Batches => self.sync(),
        }
    }

    /// Waits for sled when it was given too much to write. It hands its buffers to threads of its own and never waits for
    /// them: where the disk is slower than what comes in, they would fill the memory.
    fn keep_up(&self, bytes: usize) -> Result<(), StoreError> {
        let unwritten = self.unwritten.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unwritten < self.unwritten_bytes_max {
            return Ok(());
        }
        self.timed(|| {
            self.medium.before(Step::StoreWrite)?;
            Ok(guarded(|| self.db().flush()).map(drop)?)
        })?;
        self.unwritten.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Makes all applied batches durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.timed(|| {
            self.medium.before(Step::StoreSync)?;
            guarded(|| self.db().flush())?;
            // IMPORTANT: on Linux sled's flush is sync_file_range, which neither flushes the disk's cache nor the file's
            // metadata. This is the sync.
            Ok(self.file.sync_data()?)
        })?;
        self.unwritten.store(0, Ordering::Relaxed);
        Counters::add(&self.syncs, 1);
        Ok(())
    }

    /// Lets the watchdog see how long sled takes. Only one thread writes.
    fn timed<T>(&self, call: impl FnOnce() -> Result<T, StoreFailure>) -> Result<T, StoreError> {
        self.timer.ask();
        let done = call();
        self.timer.answered();
        done.map_err(|failure| failure.0)
    }

    /// Runs while sled is asked to write, or to close.
    pub(crate) fn timer(&self) -> Arc<Timer> {
        Arc::clone(&self.timer)
    }

    /// How many batches were applied, and how many syncs there were.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (Counters::get(&self.batches), Counters::get(&self.syncs))
    }

    /// After a failure: dropping the handle could hang, so it is left to the end of the process.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let db = self.db.take();
        match self.abandoned.load(Ordering::Relaxed) {
            true => std::mem::forget(db),
            false => {
                self.timer.ask();
                drop(catch_unwind(AssertUnwindSafe(|| drop(db))));
                self.timer.answered();
            }
        }
    }
}

/// A failure on its way to becoming a [`StoreError`].
struct StoreFailure(StoreError);

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        StoreFailure(error)
    }
}

impl From<std::io::Error> for StoreFailure {
    fn from(error: std::io::Error) -> Self {
        StoreFailure(error.to_string().into())
    }
}

/// Calls sled: its errors, and its panics, in words.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| StoreError::from(error.to_string())),
        Err(panic) => Err(format!("sled panicked: {}", panic_message(&*panic)).into()),
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
