//! What every aggregate of a runtime shares.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_core::future::BoxFuture;
use onefold_core::journal::Journal;
use onefold_core::{ClaimName, Clock, CommandId, CommitNumber, StreamId};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::admission::Admission;
use super::congestion::Congestion;
use super::deadlines::Deadlines;
use super::pace::Pace;
use super::releaser::Releaser;
use super::residency::Residency;
use super::stats::Stats;
use crate::config::Config;
use crate::error::Quarantined;
use crate::sync::Mutex;

/// So many replays are open for each permit, so that a few long ones do not keep the short ones waiting.
pub(crate) const REPLAYS: usize = 4;

/// See the module.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) admission: Admission,
    pub(crate) congestion: Congestion,
    pub(crate) pace: Arc<Pace>,
    pub(crate) residency: Residency,
    pub(crate) releaser: Arc<Releaser>,
    pub(crate) deadlines: Arc<Deadlines>,
    /// Permits to read and apply a chunk.
    pub(crate) recoveries: Semaphore,
    /// Permits to have a stream open for replay.
    pub(crate) replays: Semaphore,
    /// Held while the participants of one `transact` are put into their queues: two of them stand in the same order in each
    /// queue that they share, so that they never wait for each other.
    pub(crate) transacts: Mutex<()>,
    pub(crate) stats: Stats,
    pub(crate) tokio: Handle,
    started: Instant,
    closing: AtomicBool,
    command_id_high: u64,
    command_id_low: AtomicU64,
    /// Where the next random number comes from.
    random: AtomicU64,
    /// IMPORTANT: the last field, dropped after `journal`.
    _last_journal: LastJournal,
}

/// Closing a journal may block for seconds, and the last task that holds it may be an actor on a tokio worker: there it is
/// left to a thread of its own.
struct LastJournal(Option<Arc<dyn Journal>>);

impl Drop for LastJournal {
    fn drop(&mut self) {
        let journal = self.0.take();
        if Handle::try_current().is_ok() {
            // Should there be no thread to be had, the closure is dropped here.
            let _ = std::thread::Builder::new().name("onefold-close".to_owned()).spawn(move || drop(journal));
        }
    }
}

/// A registered aggregate type, with and without its type.
pub(crate) struct KindEntry {
    pub(crate) aggregate_type: &'static str,
    pub(crate) typed: Arc<dyn Any + Send + Sync>,
    pub(crate) ops: Arc<dyn KindOps>,
}

/// What the runtime does with an aggregate type without knowing it.
pub(crate) trait KindOps: Send + Sync {
    /// Closes every slot at once; what waits is answered with `ShuttingDown`.
    fn close_all(&self);
    /// The aggregates with unanswered calls and how many they have; at most so many aggregates.
    fn unanswered(&self, most: usize) -> Vec<(StreamId, usize)>;
    /// Forgets what is long past.
    fn sweep(&self);
    /// The quarantines in force.
    fn quarantined(&self) -> Vec<Quarantined>;
    /// Proposes to the aggregate `id` that a hold of its ends, which was made by commit `since`. Whether it does the journal
    /// tells.
    fn expire(self: Arc<Self>, id: &str, claim: ClaimName, since: CommitNumber) -> BoxFuture<'static, ()>;
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        seed: Option<u64>,
        tokio: Handle,
    ) -> Arc<Self> {
        use std::hash::BuildHasher;
        // The standard library's hasher is seeded from the system's randomness.
        let random = seed.unwrap_or_else(|| std::hash::RandomState::new().hash_one(0u8));
        let pace = Pace::new(&config);
        Arc::new(Shared {
            admission: Admission::new(&config, pace.clone()),
            congestion: Congestion::default(),
            residency: Residency::new(&config, random),
            releaser: Releaser::start(&tokio, pace.clone()),
            pace,
            deadlines: Deadlines::start(&tokio),
            recoveries: Semaphore::new(config.recoveries_max),
            replays: Semaphore::new(config.recoveries_max.saturating_mul(REPLAYS).min(Semaphore::MAX_PERMITS)),
            transacts: Mutex::new(()),
            stats: Stats::default(),
            started: Instant::now(),
            closing: AtomicBool::new(false),
            command_id_high: random,
            command_id_low: AtomicU64::new(1),
            random: AtomicU64::new(random),
            config,
            _last_journal: LastJournal(Some(journal.clone())),
            journal,
            clock,
            tokio,
        })
    }

    /// A new command's id: the runtime's random half and a counter. Unique without asking for randomness each time.
    pub(crate) fn next_command_id(&self) -> CommandId {
        let low = self.command_id_low.fetch_add(1, Ordering::Relaxed);
        CommandId::from_u128(u128::from(self.command_id_high) << 64 | u128::from(low))
    }

    /// A random number, for the pauses of retries; from a seed the same ones in the same order (splitmix64).
    pub(crate) fn next_random(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Milliseconds from the start to `now`; wraps after 49 days, which only misjudges an idle time once.
    pub(crate) fn millis(&self, now: Instant) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "wraps, see above")]
        let millis = now.saturating_duration_since(self.started).as_millis() as u32;
        millis
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }
}
