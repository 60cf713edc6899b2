//! An aggregate's place in the registry: its bounded queue of calls, and what must be known to close it without loss.
//!
//! Everything that decides whether the slot may close sits under one lock. Lock order: a call's own lock may be held when
//! the slot's is taken, never the other way round.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::future::BoxFuture;
use onefold_core::{Aggregate, AwaitDurable, StreamId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::actor;
use super::call::Envelope;
use super::fifo::Fifo;
use super::kind::Kind;
use crate::error::{Error, NotStoredReason};
use crate::runtime::residency::Resident;
use crate::runtime::shared::Shared;

type Queued<A> = Arc<dyn Envelope<A>>;

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
}

struct Queue<A: Aggregate> {
    calls: Fifo<Queued<A>>,
    mode: Mode,
    /// The actor, when it waits: for a call, for what is in flight, or for a handler.
    actor: Option<Waker>,
    /// Appends submitted and not yet acknowledged.
    in_flight: u32,
    /// Calls admitted and not yet answered.
    admitted: u32,
    /// An append failed: what is in memory must be thrown away.
    broken: bool,
    /// Somebody waits in `cx.durable()`.
    durable_awaited: bool,
}

/// `Vacant ─▶ Resident ─▶ Closed`, or `Vacant ─▶ Closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// No actor yet: a place in memory is being found.
    Vacant,
    /// An actor serves the queue.
    Resident,
    /// Takes nothing any more; a new slot takes over.
    Closed,
}

/// What happened to a call that was offered.
pub(crate) enum Pushed {
    /// It is in the queue; this actor should be woken.
    Queued(Option<Waker>),
    /// The aggregate has too many unanswered calls.
    Full,
    /// The slot is closed: find its successor.
    Closed,
}

/// What the actor does next.
pub(crate) enum Next<A: Aggregate> {
    /// This call.
    Call(Queued<A>),
    /// Throw the state away and settle.
    Broken,
    /// End.
    Closed,
}

static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

impl<A: Aggregate> Slot<A> {
    pub(crate) fn new(kind: &Arc<Kind<A>>, stream: StreamId) -> Arc<Self> {
        let queue = Queue {
            calls: Fifo::default(),
            mode: Mode::Vacant,
            actor: None,
            in_flight: 0,
            admitted: 0,
            broken: false,
            durable_awaited: false,
        };
        Arc::new(Slot {
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            stream,
            shared: kind.shared.clone(),
            kind: Arc::downgrade(kind),
            queue: Mutex::new(queue),
            last_used: AtomicU32::new(0),
            resident_index: AtomicUsize::new(0),
            weight: AtomicUsize::new(0),
            settled: Notify::new(),
        })
    }

    /// Offers a call. It counts as admitted whatever the answer, until it leaves.
    pub(crate) fn push(&self, call: Queued<A>, now_ms: u32) -> Pushed {
        self.last_used.store(now_ms, Ordering::Relaxed);
        let limit = self.shared.config.admitted_per_aggregate_max;
        let mut queue = self.queue.lock();
        queue.admitted += 1;
        if queue.mode == Mode::Closed {
            return Pushed::Closed;
        }
        if queue.admitted as usize > limit {
            return Pushed::Full;
        }
        queue.calls.push(call);
        Pushed::Queued(queue.actor.take())
    }

    /// An admitted call was answered, or goes away unanswered because its caller did.
    pub(crate) fn leave(&self) {
        let mut queue = self.queue.lock();
        queue.admitted -= 1;
        // The last one makes room for somebody in line: the actor may have looked a moment too early.
        let look = queue.is_idle() && self.shared.residency.has_line();
        let actor = if look { queue.actor.take() } else { None };
        drop(queue);
        if let Some(actor) = actor {
            actor.wake();
        }
    }

    /// The next call, in order.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next<A>> {
        let mut queue = self.queue.lock();
        if queue.broken {
            return Poll::Ready(Next::Broken);
        }
        if let Some(call) = queue.calls.pop() {
            return Poll::Ready(Next::Call(call));
        }
        if queue.mode != Mode::Closed && queue.is_idle() && self.shared.residency.has_line() {
            queue.mode = Mode::Closed;
        }
        if queue.mode == Mode::Closed {
            return Poll::Ready(Next::Closed);
        }
        queue.calls.shrink();
        queue.park(cx);
        Poll::Pending
    }

    /// Whether there is something to do: a call (true), or the end (false).
    pub(crate) fn poll_work(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut queue = self.queue.lock();
        if !queue.calls.is_empty() {
            return Poll::Ready(true);
        }
        if queue.mode == Mode::Closed {
            return Poll::Ready(false);
        }
        queue.park(cx);
        Poll::Pending
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
    pub(crate) fn decided(&self, failed: bool) -> bool {
        let mut queue = self.queue.lock();
        queue.in_flight -= 1;
        let was_sound = !queue.broken;
        queue.broken |= failed;
        let settled = queue.in_flight == 0;
        let durable = settled && !queue.broken && std::mem::take(&mut queue.durable_awaited);
        // The actor looks again when the state is broken, when it may be settling, and when somebody waits for its place.
        let look = queue.broken || (settled && self.shared.residency.has_line());
        let actor = if look { queue.actor.take() } else { None };
        drop(queue);
        if let Some(actor) = actor {
            actor.wake();
        }
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

    /// While broken: ready, and mended, when nothing is in flight any more.
    pub(crate) fn poll_mended(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.in_flight == 0 {
            queue.broken = false;
            return Poll::Ready(());
        }
        queue.park(cx);
        Poll::Pending
    }

    /// While a handler waits for something: whether its decision would be worthless.
    pub(crate) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.broken || queue.mode == Mode::Closed {
            return Poll::Ready(());
        }
        queue.park(cx);
        Poll::Pending
    }

    /// Whether the slot was closed under its actor, by the end of the runtime.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().mode == Mode::Closed
    }

    /// Answers everything that waits.
    pub(crate) fn fail_waiting(&self, error: impl Fn() -> Error<A::Rejection>) {
        let mut calls = std::mem::take(&mut self.queue.lock().calls);
        std::iter::from_fn(|| calls.pop()).for_each(|call| call.answer(error()));
    }

    /// Closes if nothing waits and nothing is in flight; the actor ends then.
    pub(crate) fn close_if_idle(&self) -> bool {
        let mut queue = self.queue.lock();
        let close = queue.mode == Mode::Resident && queue.is_idle() && !queue.broken;
        if close {
            queue.mode = Mode::Closed;
        }
        let actor = if close { queue.actor.take() } else { None };
        drop(queue);
        if let Some(actor) = actor {
            actor.wake();
        }
        close
    }

    /// Closes if no call waits, whatever the reason of the end. Returns whether it is closed now.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut queue = self.queue.lock();
        if queue.calls.is_empty() {
            queue.mode = Mode::Closed;
        }
        queue.mode == Mode::Closed
    }

    /// Closes at once; what waits is answered.
    pub(crate) fn close_now(&self, error: impl Fn() -> Error<A::Rejection>) {
        let mut queue = self.queue.lock();
        queue.mode = Mode::Closed;
        let actor = queue.actor.take();
        drop(queue);
        self.fail_waiting(error);
        if let Some(actor) = actor {
            actor.wake();
        }
    }

    /// The actor could not be started, or ended by force: nothing will ever serve this slot again.
    pub(crate) fn abandon(&self, reason: &str) {
        let reason = || NotStoredReason::RecoveryFailed { reason: reason.to_owned() };
        self.close_now(|| Error::not_stored(&self.stream, None, reason()));
        self.retire();
    }

    /// Takes the closed slot out of the registry and gives its place in memory back.
    pub(crate) fn retire(self: &Slot<A>) {
        if let Some(kind) = self.kind.upgrade() {
            kind.forget(self);
        }
        self.shared.residency.leave(self.index(), self.key);
    }

    /// Takes note of what the state weighs now.
    pub(crate) fn weigh(&self, weight: usize) {
        let before = self.weight.load(Ordering::Relaxed);
        if weight != before {
            self.weight.store(weight, Ordering::Relaxed);
            self.shared.residency.reweigh(before, weight);
        }
    }

    async fn wait_until_durable(&self) {
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

impl<A: Aggregate> Queue<A> {
    fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.in_flight == 0 && self.admitted == 0
    }

    fn park(&mut self, cx: &Context<'_>) {
        match &mut self.actor {
            Some(actor) => actor.clone_from(cx.waker()),
            None => self.actor = Some(cx.waker().clone()),
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

    fn start(self: Arc<Self>) {
        let mut queue = self.queue.lock();
        if queue.mode != Mode::Vacant {
            drop(queue);
            self.retire();
            return;
        }
        queue.mode = Mode::Resident;
        drop(queue);
        match self.kind.upgrade() {
            Some(kind) => actor::spawn(kind, self),
            None => self.abandon("the runtime is gone"),
        }
    }
}
