//! An aggregate's place in the registry: its bounded queue of calls, its instance while nobody runs on it, and what must be
//! known to close it without loss.
//!
//! Everything that decides whether the slot may close sits under one lock. Lock order: a call's own lock may be held when
//! the slot's is taken, never the other way round.

mod closing;
mod queue;
mod turns;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::sync::Mutex;
use futures_core::future::BoxFuture;
use onefold_core::{Aggregate, AwaitDurable, StreamId};
use tokio::sync::Notify;

use self::queue::{Mode, Queue, Queued};
pub(crate) use self::queue::{Next, Summon};
use super::instance::Instance;
use super::kind::Kind;
use crate::config::SHARE;
use crate::error::Quarantined;
use crate::runtime::residency::Resident;
use crate::runtime::shared::Shared;

/// See the module.
pub(crate) struct Slot<A: Aggregate> {
    /// Unique in the process, for the detection of re-entrance.
    pub(crate) key: u64,
    pub(crate) stream: StreamId,
    pub(crate) shared: Arc<Shared>,
    kind: Weak<Kind<A>>,
    queue: Mutex<Queue<A>>,
    /// Milliseconds since the runtime's start.
    last_used: AtomicU32,
    /// Where the residents' list holds this slot.
    resident_index: AtomicUsize,
    /// What [`Aggregate::weight`] said last.
    weight: AtomicUsize,
    /// Tells handlers in `cx.durable()` that nothing is in flight.
    settled: Notify,
    /// A bulk under way has applied what is not even submitted.
    ahead: AtomicBool,
    /// And one of its handlers waits for that to be durable.
    ahead_awaited: AtomicBool,
}

/// What happened to a call that was offered.
pub(crate) enum Pushed<A: Aggregate> {
    /// Nobody runs and nobody waits: run it now, on this instance.
    Begin(Box<Instance<A>>),
    /// It is in the queue; the actor should look.
    Queued(Summon<A>),
    /// The aggregate has too many unanswered calls, by this bound.
    Full { bound: &'static str, limit: usize },
    /// The slot is closed: find its successor.
    Closed,
}

/// Husks beyond this and as many as calls are swept out of a queue, so that callers who come and leave don't fill it.
const HUSKS_KEPT: usize = 16;

/// A state that claims more is too heavy as it is; the sum of all stays within its type.
const WEIGHT_MAX: usize = 1 << 40;

static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

impl<A: Aggregate> Slot<A> {
    pub(crate) fn new(kind: &Arc<Kind<A>>, stream: StreamId) -> Arc<Self> {
        Arc::new(Slot {
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            stream,
            shared: kind.shared.clone(),
            kind: Arc::downgrade(kind),
            queue: Mutex::new(Queue::new()),
            last_used: AtomicU32::new(0),
            resident_index: AtomicUsize::new(0),
            weight: AtomicUsize::new(0),
            settled: Notify::new(),
            ahead: AtomicBool::new(false),
            ahead_awaited: AtomicBool::new(false),
        })
    }

    /// The aggregate's type, unless the runtime is gone.
    pub(crate) fn kind(&self) -> Option<Arc<Kind<A>>> {
        self.kind.upgrade()
    }

    /// Offers a call, which counts as admitted from now on until it leaves, unless it is refused. `make` is called for the
    /// queue only; `may_begin`: the caller would run it at once if the aggregate is at rest.
    pub(crate) fn push(
        self: &Arc<Self>,
        now_ms: u32,
        bytes: u32,
        may_begin: bool,
        make: impl FnOnce() -> Queued<A>,
    ) -> Pushed<A> {
        self.last_used.store(now_ms, Ordering::Relaxed);
        let config = &self.shared.config;
        let mut queue = self.queue.lock();
        if queue.mode == Mode::Closed {
            return Pushed::Closed;
        }
        let (bound, limit) = self.shared.pace.share();
        if queue.admitted as usize >= limit {
            return Pushed::Full { bound, limit };
        }
        // A call larger than the aggregate's share is taken when it has no other: it could never be sent otherwise.
        let limit = config.admitted_bytes_max / SHARE;
        let after = queue.admitted_bytes.checked_add(bytes);
        let Some(after) = after.filter(|after| *after as usize <= limit || queue.admitted == 0) else {
            return Pushed::Full { bound: "admitted_bytes_max / 16", limit };
        };
        queue.admitted += 1;
        queue.admitted_bytes = after;
        if may_begin && let Some(instance) = queue.begin() {
            return Pushed::Begin(instance);
        }
        queue.calls.push(make());
        Pushed::Queued(queue.summon(self))
    }

    /// An admitted call was answered, or goes away unanswered because its caller did.
    pub(crate) fn leave(self: &Arc<Self>, bytes: u32) -> Summon<A> {
        let mut queue = self.queue.lock();
        queue.admitted -= 1;
        queue.admitted_bytes -= bytes;
        // The last one makes room for somebody in line: the actor may have looked a moment too early.
        let look = queue.is_idle() && self.shared.residency.has_line();
        if look { queue.summon(self) } else { Summon::Nothing }
    }

    /// Whether calls of other aggregates are admitted and not yet answered.
    pub(crate) fn others_are_served(&self) -> bool {
        self.shared.admission.count() > self.queue.lock().admitted as usize
    }

    /// Whether somebody is at the queue at this moment.
    pub(crate) fn is_busy(&self) -> bool {
        self.queue.is_locked()
    }

    /// A call was cancelled in the queue.
    pub(crate) fn left_a_husk(&self) {
        let mut queue = self.queue.lock();
        queue.husks += 1;
        let husks = match queue.husks as usize > HUSKS_KEPT + queue.calls.len() / 2 {
            true => queue.take_husks(),
            false => Vec::new(),
        };
        drop(queue);
        drop(husks);
    }

    /// How many calls are admitted and not yet answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.queue.lock().admitted as usize
    }

    /// One append was submitted.
    pub(crate) fn submitted(&self) {
        self.queue.lock().in_flight += 1;
    }

    /// One append was decided. Returns whether the state was sound until then: whether everything before is durable.
    pub(crate) fn decided(self: &Arc<Self>, failed: bool) -> bool {
        let mut queue = self.queue.lock();
        queue.in_flight -= 1;
        let was_sound = !queue.broken;
        queue.broken |= failed;
        let settled = queue.in_flight == 0;
        let durable = settled && !queue.broken && std::mem::take(&mut queue.durable_awaited);
        // The actor looks again when the state is broken, when it may be settling, when it waits behind a fence, and when
        // somebody waits for its place.
        let look = queue.broken || (settled && (std::mem::take(&mut queue.fenced) || self.shared.residency.has_line()));
        let summon = if look { queue.summon(self) } else { Summon::Nothing };
        drop(queue);
        summon.carry_out();
        if durable {
            self.settled.notify_waiters();
        }
        was_sound
    }

    /// Whether everything in memory is durable: nothing is in flight, and nothing failed.
    pub(crate) fn is_settled(&self) -> bool {
        let queue = self.queue.lock();
        queue.in_flight == 0 && !queue.broken
    }

    /// The state in memory can't be trusted any more.
    pub(crate) fn break_down(&self) {
        self.queue.lock().broken = true;
    }

    /// The aggregate's own code panicked. Returns the quarantine, if that was once too often.
    pub(crate) fn strike(&self, reason: &str) -> Option<Quarantined> {
        let kind = self.kind.upgrade()?;
        kind.crashes.strike(&self.stream, reason, false);
        kind.crashes.check(&self.stream)
    }

    /// Takes note of what the state weighs now.
    pub(crate) fn weigh(&self, weight: usize) {
        let weight = weight.min(WEIGHT_MAX);
        let before = self.weight.load(Ordering::Relaxed);
        if weight != before {
            self.weight.store(weight, Ordering::Relaxed);
            self.shared.residency.reweigh(before, weight);
        }
    }

    /// Whether the state is ahead of what is submitted: a bulk under way has applied events.
    pub(crate) fn runs_ahead(&self, ahead: bool) {
        self.ahead.store(ahead, Ordering::Relaxed);
        self.ahead_awaited.store(false, Ordering::Relaxed);
    }

    /// Whether a handler waits for what cannot become durable before it returns.
    pub(crate) fn awaits_itself(&self) -> bool {
        self.ahead_awaited.load(Ordering::Relaxed)
    }

    /// Waits until nothing is in flight. With a broken state, and inside of a bulk, this never resolves.
    pub(crate) async fn wait_until_durable(&self) {
        if self.ahead.load(Ordering::Relaxed) {
            self.ahead_awaited.store(true, Ordering::Relaxed);
            return std::future::pending().await;
        }
        loop {
            let settled = self.settled.notified();
            {
                let mut queue = self.queue.lock();
                if queue.in_flight == 0 && !queue.broken {
                    return;
                }
                queue.durable_awaited = true;
            }
            // With a broken state this never resolves; the actor drops the handler.
            settled.await;
        }
    }
}

impl<A: Aggregate> AwaitDurable for Slot<A> {
    fn durable(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.wait_until_durable())
    }
}

impl<A: Aggregate> Resident for Slot<A> {
    fn key(&self) -> u64 {
        self.key
    }

    fn last_used(&self) -> u32 {
        self.last_used.load(Ordering::Relaxed)
    }

    fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    fn index(&self) -> usize {
        self.resident_index.load(Ordering::Relaxed)
    }

    fn set_index(&self, index: usize) {
        self.resident_index.store(index, Ordering::Relaxed);
    }

    fn evict(&self) -> bool {
        let closed = self.close_if_idle();
        if closed && let Some(kind) = self.kind.upgrade() {
            kind.forget(self);
        }
        closed
    }

    fn let_doze(&self) {
        Slot::let_doze(self);
    }

    fn start(self: Arc<Self>) {
        let mut queue = self.queue.lock();
        if queue.mode != Mode::Vacant {
            drop(queue);
            self.retire();
            return;
        }
        queue.mode = Mode::Resident;
        // It comes to recover, and to run what waits for that. Only one that is called for later stays about.
        queue.dozes = true;
        let summon = queue.summon(&self);
        drop(queue);
        summon.carry_out();
    }
}
