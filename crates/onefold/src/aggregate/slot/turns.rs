//! Who runs on the instance, and what its actor waits for.

use std::sync::Arc;
use std::task::{Context, Poll};

use onefold_core::Aggregate;

use super::super::instance::Instance;
use super::super::panics::drop_guarded;
use super::super::run::Run;
use super::Slot;
use super::queue::{Attendance, Memory, Mode, Next, Summon};

impl<A: Aggregate> Slot<A> {
    /// The actor's next step, in the order of admission.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Next<A>> {
        let mut queue = self.queue.lock();
        if let Some(next) = queue.next(self.shared.residency.has_line()) {
            return Poll::Ready(next);
        }
        if std::mem::take(&mut queue.dozes) && queue.can_doze() {
            queue.actor = Attendance::Absent;
            return Poll::Ready(Next::Doze);
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
            queue.memory = Memory::Away;
            return Poll::Ready(true);
        }
        // A recovery may have failed.
        queue.memory = Memory::Absent;
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
    pub(crate) fn rest(self: &Arc<Self>, instance: Box<Instance<A>>) {
        let mut queue = self.queue.lock();
        if queue.mode == Mode::Closed {
            drop(queue);
            return instance.discard();
        }
        queue.memory = Memory::Resting(instance);
        let wanted = queue.is_idle() && self.shared.residency.has_line();
        let look = wanted || queue.broken || !queue.calls.is_empty();
        let summon = if look { queue.summon(self) } else { Summon::Nothing };
        drop(queue);
        summon.carry_out();
    }

    /// A run ended in a panic, and the instance with it.
    pub(crate) fn lose(self: &Arc<Self>) {
        let mut queue = self.queue.lock();
        queue.memory = Memory::Absent;
        queue.broken = true;
        let summon = queue.summon(self);
        drop(queue);
        summon.carry_out();
    }

    /// A caller's run was not ready at once: the actor goes on with it.
    pub(crate) fn hand_over(self: &Arc<Self>, run: Run<A>) {
        let mut queue = self.queue.lock();
        if queue.mode == Mode::Closed {
            // There may be no actor any more. Dropped, the run answers its call.
            drop(queue);
            return drop_guarded(run, &self.stream);
        }
        queue.memory = Memory::Begun(run);
        let summon = queue.summon(self);
        drop(queue);
        summon.carry_out();
    }

    /// Whether the actor has to bring the instance back before it can serve.
    pub(crate) fn needs_recovery(&self) -> bool {
        let queue = self.queue.lock();
        matches!(queue.memory, Memory::Absent) && !queue.broken
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

    /// Behind a fence: ready when nothing is in flight, well or not; or at the end. Polled by the actor only.
    pub(crate) fn poll_decided(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.in_flight == 0 || queue.mode == Mode::Closed {
            return Poll::Ready(());
        }
        queue.fenced = true;
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
