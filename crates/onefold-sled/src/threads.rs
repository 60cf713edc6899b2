//! The journal's threads: how they start, and the order in which they end.
//!
//! ```text
//!   writer     groups commits, syncs the redo log, acknowledges
//!   applier    brings commits into sled, checkpoints; the last one: it closes the store
//!   preparer   makes the next segment of the redo log ready
//!   keeper     writes the beacon, looks at the free space
//!   watchdog   answers for the writer when the disk does not
//!   readers    read sled
//! ```

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use onefold_core::journal::CloseError;

use crate::applier::{Applier, End};
use crate::error::OpenJournalError;
use crate::lock::DirectoryLock;
use crate::reader::pool::ReaderPool;
use crate::recovery::Recovered;
use crate::shared::Shared;
use crate::store::Store;
use crate::writer;

/// Between two writes of the beacon, while there is something new. With the write itself it stays below 100 ms.
const BEACON_PERIOD: Duration = Duration::from_millis(50);
/// How often the free space is looked up, at least.
const SPACE_PERIOD: Duration = Duration::from_secs(1);
/// How long the end waits for reads in progress to let go of the store.
const READS_PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits for a segment that is being made.
const PREPARER_PATIENCE: Duration = Duration::from_secs(5);

/// Starts them all.
pub(crate) fn start(recovered: Recovered, pool: &Arc<ReaderPool>) -> Result<(), OpenJournalError> {
    let Recovered { shared, log, lock } = recovered;
    let path = shared.config.path.clone();
    let failed = OpenJournalError::io("could not start the threads of", &path);
    let store = shared.store().map_err(|error| OpenJournalError::Storage { reason: error.to_string().into() })?;
    let started = || -> io::Result<()> {
        for _ in 0..shared.config.reader_threads {
            let pool = Arc::clone(pool);
            spawn("reader", move || pool.work())?;
        }
        let preparer = Arc::clone(&shared.preparer);
        let preparer = spawn("preparer", move || preparer.run())?;
        let keeper = Arc::clone(&shared);
        spawn("keeper", move || keep_beacon(&keeper))?;
        let watchdog = Arc::clone(&shared);
        spawn("watchdog", move || writer::watchdog::run(&watchdog))?;
        let ending = Ending { shared: Arc::clone(&shared), pool: Arc::clone(pool), preparer, lock };
        let applier = Applier::new(&shared, store);
        spawn("applier", move || apply(applier, ending))?;
        let writer = Arc::clone(&shared);
        spawn("writer", move || writer::run(&writer, log))?;
        Ok(())
    };
    started().map_err(failed)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(format!("onefold-{name}")).spawn(body)
}

fn keep_beacon(shared: &Shared) {
    let mut looked = Instant::now();
    while let Some(new) = shared.tick.wait(SPACE_PERIOD) {
        // A segment's worth of bytes is a new segment, about.
        let segment_bytes = shared.config.segment_bytes as u64;
        if looked.elapsed() >= SPACE_PERIOD || shared.space.spent() >= segment_bytes {
            shared.space.refresh(&shared.config.path);
            looked = Instant::now();
        }
        if new
            && !shared.poison.is_set()
            && let Err(error) = shared.write_beacon(false)
        {
            shared.fail(format!("the beacon could not be written: {error}"));
        }
        if !shared.tick.sleep(BEACON_PERIOD) {
            return;
        }
    }
}

fn apply(mut applier: Applier, ending: Ending) {
    let end = applier.work();
    let Applier { store, .. } = applier;
    drop(store);
    ending.finish(end);
}

/// What is held until the very end.
struct Ending {
    shared: Arc<Shared>,
    pool: Arc<ReaderPool>,
    preparer: JoinHandle<()>,
    lock: DirectoryLock,
}

impl Ending {
    fn finish(self, end: End) {
        let shared = &self.shared;
        self.pool.stop();
        if let Some(store) = shared.take_store() {
            drop_store(store);
        }
        // IMPORTANT: the clean mark last: everything before it is on disk.
        if end == End::Close
            && !shared.poison.is_set()
            && let Err(error) = shared.write_beacon(true)
        {
            shared.fail(format!("the beacon could not be written: {error}"));
        }
        // Poisoned, somebody may be stuck with it; then the directory is not let go either.
        if !shared.poison.is_set() {
            shared.beacon.close();
        }
        shared.tick.stop();
        shared.preparer.stop();
        let still = join(self.preparer);
        let reason = shared.poison.reason();
        match still && reason.is_none() {
            true => drop(self.lock),
            // The store's handle, or the one that makes segments, was left to the end of the process, and so is the
            // directory.
            false => std::mem::forget(self.lock),
        }
        shared.set_closed(reason.map_or(Ok(()), |reason| Err(CloseError { reason })));
    }
}

/// Waits for the thread that makes segments: it may be in the middle of one, and the directory must be still before it is
/// let go. Not for ever: a disk that hangs must not keep the end from being told.
fn join(preparer: JoinHandle<()>) -> bool {
    let started = Instant::now();
    while !preparer.is_finished() && started.elapsed() < PREPARER_PATIENCE {
        std::thread::sleep(Duration::from_micros(100));
    }
    preparer.is_finished()
}

/// Drops the store when the last read has let go of it.
fn drop_store(store: Arc<Store>) {
    let started = Instant::now();
    let mut store = Some(store);
    while let Some(shared) = store.take() {
        match Arc::try_unwrap(shared) {
            Ok(store) => drop(store),
            Err(shared) if started.elapsed() < READS_PATIENCE => {
                store = Some(shared);
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => tracing::warn!("a read still holds the journal's store: it is closed when the read ends"),
        }
    }
}
