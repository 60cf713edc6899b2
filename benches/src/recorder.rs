//! Where answers are counted: one recorder per worker thread, merged when a round is over.
//!
//! A task records on the thread it runs on, so a recorder's lock is never waited for, and no cache line is written by two
//! cores. (A recorder per client would take 4,096 histograms; a shared one would be what is measured.)

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::ledger::Ledger;
use crate::target::Outcome;
use crate::workload::{Operation, OperationKind};

/// How long one point of the throughput plot is.
pub(crate) const SLOT: Duration = Duration::from_millis(100);

/// The longest latency told apart from longer ones, in nanoseconds: two minutes.
const LATENCY_NANOS_MAX: u64 = 120_000_000_000;

/// The time in which operations are started and counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// From here …
    pub(crate) start: Instant,
    /// … to here. What is answered later counts in latencies and for verification, not in the throughput.
    pub(crate) end: Instant,
}

impl Window {
    /// From now on.
    pub(crate) fn starting_now(length: Duration) -> Self {
        let start = Instant::now();
        Window { start, end: start + length }
    }
}

/// What happened in one round.
#[derive(Clone, Debug)]
pub(crate) struct RoundRecord {
    /// Latencies in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Answers per slot of the window.
    pub(crate) slots: Vec<u64>,
    /// Answers inside the window.
    pub(crate) answered: u64,
    /// Operations that surely had no effect, though the domain had nothing against them.
    pub(crate) failed: u64,
    /// Operations that may have had one.
    pub(crate) unknown: u64,
    /// What the first failure said.
    pub(crate) first_failure: Option<String>,
}

impl Default for RoundRecord {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3).expect("constant bounds");
        RoundRecord { latencies, slots: Vec::new(), answered: 0, failed: 0, unknown: 0, first_failure: None }
    }
}

impl RoundRecord {
    /// Adds another record of the same round, or of another.
    pub(crate) fn add(&mut self, other: &RoundRecord) {
        self.latencies.add(&other.latencies).expect("the same bounds");
        self.slots.resize(self.slots.len().max(other.slots.len()), 0);
        self.slots.iter_mut().zip(&other.slots).for_each(|(slot, other)| *slot += other);
        self.answered += other.answered;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.first_failure = self.first_failure.take().or_else(|| other.first_failure.clone());
    }
}

#[derive(Debug)]
struct Recorder {
    round: RoundRecord,
    ledger: Ledger,
}

/// On cache lines of its own (two: processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
struct Padded(Mutex<Recorder>);

/// The recorders of all worker threads, for one target.
#[derive(Debug)]
pub(crate) struct Recorders {
    workers: Box<[Padded]>,
}

impl Recorders {
    /// For so many worker threads, with a ledger of so many aggregates.
    pub(crate) fn new(workers: usize, aggregates: u32) -> Self {
        let recorder = |_| Recorder { round: RoundRecord::default(), ledger: Ledger::new(aggregates) };
        Recorders { workers: (0..workers).map(|worker| Padded(Mutex::new(recorder(worker)))).collect() }
    }

    /// Records the answer to an operation that began (or should have begun) at `started`.
    pub(crate) fn record(
        &self,
        window: &Window,
        operation: Operation,
        outcome: Outcome,
        started: Instant,
        answered: Instant,
    ) {
        let mut recorder = lock(&self.workers[worker() % self.workers.len()]);
        let Recorder { round, ledger } = &mut *recorder;
        match (outcome, operation.kind) {
            (Outcome::Read, _) => {}
            (Outcome::Written { sequence }, OperationKind::Write { nonce }) => {
                ledger.acknowledged(operation.aggregate, sequence, nonce);
            }
            (Outcome::Written { .. }, OperationKind::Read) => unreachable!("a read that was answered as a write"),
            (Outcome::Overloaded { bound }, _) => {
                round.failed += 1;
                round.first_failure.get_or_insert_with(|| format!("overloaded: {bound} is at its limit"));
                return;
            }
            (Outcome::Failed(message), _) => {
                round.failed += 1;
                round.first_failure.get_or_insert(message);
                return;
            }
            (Outcome::Unknown(message), _) => {
                ledger.unknown(operation.aggregate);
                round.unknown += 1;
                round.first_failure.get_or_insert(message);
                return;
            }
        }
        round.latencies.saturating_record(nanos(answered - started));
        if answered <= window.end {
            round.answered += 1;
            let slot = usize::try_from((answered - window.start).as_millis() / SLOT.as_millis()).unwrap_or(0);
            if slot >= round.slots.len() {
                round.slots.resize(slot + 1, 0);
            }
            round.slots[slot] += 1;
        }
    }

    /// Answers of the round so far.
    pub(crate) fn answered(&self) -> u64 {
        self.workers.iter().map(|worker| lock(worker).round.answered).sum()
    }

    /// Takes the round's record, and starts a new one.
    pub(crate) fn take_round(&self) -> RoundRecord {
        let mut whole = RoundRecord::default();
        for worker in &self.workers {
            whole.add(&std::mem::take(&mut lock(worker).round));
        }
        whole
    }

    /// The ledger of all rounds so far.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut ledgers = self.workers.iter().map(|worker| lock(worker).ledger.clone());
        let mut whole = ledgers.next().unwrap_or_default();
        ledgers.for_each(|ledger| whole.add(&ledger));
        whole
    }
}

fn lock(worker: &Padded) -> MutexGuard<'_, Recorder> {
    worker.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A latency in nanoseconds.
pub(crate) fn nanos(latency: Duration) -> u64 {
    u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)
}

/// A number of this thread's own, dense from 0.
fn worker() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static WORKER: Cell<Option<usize>> = const { Cell::new(None) });
    WORKER.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        WORKER.set(Some(number));
        number
    })
}
