//! What the journal's threads share, and who changes what.
//!
//! ```text
//!   callers ─▶ queue ─▶ writer ─▶ redo log ─▶ overlay ─▶ applier ─▶ sled
//!                         │                      ▲                    ▲
//!                         └─ acknowledgements    └───── readers ──────┘
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onefold_core::journal::{CloseError, DurablePosition, ReadError};
use onefold_core::{CommitNumber, GlobalPosition};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use crate::applier::ApplierSignal;
use crate::beacon::{Beacon, Facts};
use crate::claims::Claims;
use crate::config::{Durability, SledConfig};
use crate::heads::Heads;
use crate::medium::Step;
use crate::overlay::Overlay;
use crate::poison::Poison;
use crate::reader::cache::BlockCache;
use crate::redo::ledger::Ledger;
use crate::redo::preparer::Preparer;
use crate::space::Space;
use crate::stats::Counters;
use crate::store::Store;
use crate::timer::Timer;
use crate::writer::flight::Flight;
use crate::writer::queue::Queue;

/// Everything but the threads' own.
pub(crate) struct Shared {
    pub(crate) config: SledConfig,
    pub(crate) redo_dir: PathBuf,
    pub(crate) generation: u64,
    pub(crate) queue: Queue,
    pub(crate) flight: Flight,
    pub(crate) heads: Arc<Heads>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) overlay: Overlay,
    pub(crate) blocks: BlockCache,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) preparer: Arc<Preparer>,
    pub(crate) beacon: Beacon,
    pub(crate) applier: ApplierSignal,
    pub(crate) poison: Poison,
    pub(crate) space: Space,
    pub(crate) counters: Counters,
    /// What is durable: written by the writer. The commit stands beside for a cheap look.
    pub(crate) durable: watch::Sender<DurablePosition>,
    pub(crate) durable_group: Arc<AtomicU64>,
    /// What the redo log has: written by the writer, promised by the beacon. Behind `durable` in `Buffered`.
    pub(crate) persisted: Mutex<DurablePosition>,
    /// The last commit visible in sled: written by the applier.
    pub(crate) applied: AtomicU64,
    /// The last commit known to be synced in sled: written by the checkpoint.
    pub(crate) synced: AtomicU64,
    pub(crate) tick: Tick,
    pub(crate) closed: watch::Sender<Option<Result<(), CloseError>>>,
    /// Runs while sled is asked to write.
    pub(crate) store_timer: Arc<Timer>,
    store: RwLock<Option<Arc<Store>>>,
}

/// Where the parts of a [`Shared`] come from: recovery.
pub(crate) struct Opened {
    pub(crate) config: SledConfig,
    pub(crate) redo_dir: PathBuf,
    pub(crate) generation: u64,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) preparer: Arc<Preparer>,
    pub(crate) beacon: Beacon,
    pub(crate) store: Store,
    pub(crate) commit: u64,
    pub(crate) position: u64,
}

impl Shared {
    pub(crate) fn new(opened: Opened) -> Self {
        let config = opened.config;
        let durable = DurablePosition {
            commit: CommitNumber::new(opened.commit),
            position: GlobalPosition::new(opened.position),
        };
        let shared = Shared {
            queue: Queue::new(config.queue_appends_max, config.queue_bytes_max),
            flight: Flight::default(),
            heads: Arc::new(Heads::new()),
            claims: Arc::new(Claims::new()),
            overlay: Overlay::new(config.overlay_bytes_max),
            blocks: BlockCache::new(config.block_cache_bytes),
            applier: ApplierSignal::default(),
            poison: Poison::default(),
            space: Space::new(config.free_space_reserve_bytes),
            counters: Counters::default(),
            durable: watch::Sender::new(durable),
            durable_group: Arc::default(),
            persisted: Mutex::new(durable),
            applied: AtomicU64::new(opened.commit),
            synced: AtomicU64::new(opened.commit),
            tick: Tick::default(),
            closed: watch::Sender::new(None),
            store_timer: opened.store.timer(),
            store: RwLock::new(Some(Arc::new(opened.store))),
            redo_dir: opened.redo_dir,
            generation: opened.generation,
            ledger: opened.ledger,
            preparer: opened.preparer,
            beacon: opened.beacon,
            config,
        };
        shared.space.refresh(&shared.config.path);
        shared
    }

    /// The store, while the journal is open.
    pub(crate) fn store(&self) -> Result<Arc<Store>, ReadError> {
        self.store.read().clone().ok_or(ReadError::Closed)
    }

    /// Takes the store away from everybody.
    pub(crate) fn take_store(&self) -> Option<Arc<Store>> {
        self.store.write().take()
    }

    /// Poisons the journal, and lets everybody know.
    pub(crate) fn fail(&self, reason: impl Into<Arc<str>>) {
        self.poison.set(reason);
        if let Ok(store) = self.store() {
            store.abandon();
        }
        self.queue.wake();
        self.applier.wake();
    }

    pub(crate) fn durable_group(&self) -> u64 {
        self.durable_group.load(Ordering::Acquire)
    }

    /// How many heads and claims sled does not have as they are.
    pub(crate) fn dirty_count(&self) -> usize {
        self.heads.dirty_count() + self.claims.dirty_count()
    }

    /// Answers whoever waits for the end, unless that was done before.
    pub(crate) fn set_closed(&self, done: Result<(), CloseError>) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            closed.get_or_insert(done);
            first
        });
    }

    /// What is durable now.
    pub(crate) fn durable_position(&self) -> DurablePosition {
        *self.durable.borrow()
    }

    /// Writes the beacon as things are now.
    pub(crate) fn write_beacon(&self, clean: bool) -> io::Result<()> {
        self.beacon.write(|| {
            self.config.medium.before(Step::Beacon)?;
            // IMPORTANT: not what is published: in `Buffered` that is ahead of the redo log.
            let persisted = *self.persisted.lock();
            let (first_segment, current_segment, file) = self.ledger.live();
            if self.config.durability != Durability::Fsync {
                // IMPORTANT: without a sync per group, the beacon may only promise what is synced here.
                self.config.medium.sync(&file)?;
            }
            Ok(Facts {
                clean,
                generation: self.generation,
                first_segment,
                current_segment,
                commit: persisted.commit.get(),
                position: persisted.position.get(),
                synced_commit: self.synced.load(Ordering::Acquire),
            })
        })
    }
}

/// Wakes the keeper of the beacon, and ends the threads that only keep time.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    state: Mutex<TickState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TickState {
    pending: bool,
    stopped: bool,
}

impl Tick {
    /// There is something new for the beacon.
    pub(crate) fn poke(&self) {
        let mut state = self.state.lock();
        if !state.pending {
            state.pending = true;
            self.changed.notify_all();
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits for something new, at most `patience`. `None` when stopped, else whether there is something.
    pub(crate) fn wait(&self, patience: std::time::Duration) -> Option<bool> {
        let mut state = self.state.lock();
        if !state.stopped && !state.pending {
            self.changed.wait_for(&mut state, patience);
        }
        (!state.stopped).then(|| std::mem::take(&mut state.pending))
    }

    /// Sleeps; false when stopped.
    pub(crate) fn sleep(&self, time: std::time::Duration) -> bool {
        let mut state = self.state.lock();
        let until = std::time::Instant::now() + time;
        while !state.stopped && !self.changed.wait_until(&mut state, until).timed_out() {}
        !state.stopped
    }
}
