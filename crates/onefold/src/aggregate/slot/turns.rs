//! Who runs on the instance, and what its actor waits for.

use std::task::{Context, Poll};

use onefold_core::Aggregate;

use super::super::instance::Instance;
use super::super::panics::drop_guarded;
use super::super::run::Run;
use super::Slot;
use super::queue::{Memory, Mode, Next};

impl<A: Aggregate> Slot<A> {
    /// The actor's next step, in the order of admission.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Next<A>> {
        let mut queue = self.queue.lock();
        if let Some(next) = queue.next(self.shared.residency.has_line()) {
            return Poll::Ready(next);
        }
        queue.calls.shrink();
        queue.park(cx);
        Poll::Pending
    }

    /// Whether there is something to recover for: a call (true), or the end (false).
    pub(crate) fn poll_work(&self, cx: &Context<'_>) -> Poll<bool> {
        // Declared first, dropped last: without the lock.
        let _husks;
        let mut queue = self.queue.lock();
        // Those whose callers have left are not worth a recovery.
        _husks = queue.take_husks();
        if !queue.calls.is_empty() {
            return Poll::Ready(true);
        }
        if queue.is_idle() && self.shared.residency.has_line() {
            // Without an instance, after a crash: others make better use of the place.
            queue.mode = Mode::Closed;
        }
        if queue.mode == Mode::Closed {
            return Poll::Ready(false);
        }
        queue.park(cx);
        Poll::Pending
    }

    /// A run is over, or a recovery: nobody runs on the instance.
    pub(crate) fn rest(&self, instance: Box<Instance<A>>) {
        let mut queue = self.queue.lock();
        if queue.mode == Mode::Closed {
            drop(queue);
            return instance.discard();
        }
        queue.memory = Memory::Resting(instance);
        let wanted = queue.is_idle() && self.shared.residency.has_line();
        let look = wanted || queue.broken || !queue.calls.is_empty();
        let actor = if look { queue.actor.take() } else { None };
        drop(queue);
        if let Some(actor) = actor {
            actor.wake();
        }
    }

    /// A run ended in a panic, and the instance with it.
    pub(crate) fn lose(&self) {
        let mut queue = self.queue.lock();
        queue.memory = Memory::Absent;
        queue.broken = true;
        let actor = queue.actor.take();
        drop(queue);
        if let Some(actor) = actor {
            actor.wake();
        }
    }

    /// A caller's run was not ready at once: the actor goes on with it.
    pub(crate) fn hand_over(&self, run: Run<A>) {
        let mut queue = self.queue.lock();
        if queue.mode == Mode::Closed {
            // There may be no actor any more. Dropped, the run answers its call.
            drop(queue);
            return drop_guarded(run, &self.stream);
        }
        queue.memory = Memory::Begun(run);
        let actor = queue.actor.take();
        drop(queue);
        if let Some(actor) = actor {
            actor.wake();
        }
    }

    /// While broken: ready, and mended, when nothing is in flight any more.
    pub(crate) fn poll_mended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.in_flight == 0 {
            queue.broken = false;
            return Poll::Ready(());
        }
        queue.park(cx);
        Poll::Pending
    }

    /// While a handler waits for something: whether its decision would be worthless. Polled by the actor only.
    pub(crate) fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.broken || queue.mode == Mode::Closed {
            return Poll::Ready(());
        }
        queue.park(cx);
        Poll::Pending
    }
}
