//! How a slot ends: idle and without loss, or at once.

use onefold_core::Aggregate;

use super::super::fifo::Fifo;
use super::super::instance::Instance;
use super::super::panics::drop_guarded;
use super::Slot;
use super::queue::{Attendance, Memory, Mode, Queued, Summon};
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

impl<A: Aggregate> Slot<A> {
    /// Whether the slot was closed under its actor, by the end of the runtime.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().mode == Mode::Closed
    }

    /// Answers everything that waits.
    pub(crate) fn fail_waiting(&self, error: impl Fn() -> Error<A::Rejection>) {
        let calls = std::mem::take(&mut self.queue.lock().calls);
        answer_all(calls, error);
    }

    /// Closes if nothing waits, nothing is in flight and nobody is at work; the actor ends then.
    pub(crate) fn close_if_idle(&self) -> bool {
        let mut queue = self.queue.lock();
        let at_work = matches!(queue.memory, Memory::Away | Memory::Begun(_));
        if queue.mode != Mode::Resident || !queue.is_idle() || queue.broken || at_work {
            return false;
        }
        queue.mode = Mode::Closed;
        let summon = queue.summon_waiting();
        let dozes = matches!(queue.actor, Attendance::Absent);
        let instance = if dozes { queue.take_resting(Memory::Absent) } else { None };
        drop(queue);
        summon.carry_out();
        if dozes {
            telemetry::passivation_span(&self.stream).in_scope(|| instance.into_iter().for_each(Instance::discard));
        }
        true
    }

    /// Asks an actor that has nothing to do to go. Its instance stays, and callers run their own calls on it; when it is
    /// needed there will be another.
    pub(crate) fn let_doze(&self) {
        let mut queue = self.queue.lock();
        if !queue.can_doze() {
            return;
        }
        let summon = queue.summon_waiting();
        queue.dozes = matches!(summon, Summon::Wake(_));
        drop(queue);
        summon.carry_out();
    }

    /// Closes if no call waits, whatever the reason of the end. Returns whether it is closed now.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut queue = self.queue.lock();
        if queue.calls.is_empty() {
            queue.mode = Mode::Closed;
        }
        queue.mode == Mode::Closed
    }

    /// Closes at once; what waits is answered. Returns whether somebody has to retire the slot, because no actor will.
    pub(crate) fn close_now(&self, error: impl Fn() -> Error<A::Rejection>) -> bool {
        let mut queue = self.queue.lock();
        let dozes = queue.mode == Mode::Resident && matches!(queue.actor, Attendance::Absent);
        queue.mode = Mode::Closed;
        // IMPORTANT: under the same lock. An actor that found the slot closed with calls in it would wait for somebody to
        // come for them, and nobody does.
        let calls = std::mem::take(&mut queue.calls);
        let summon = queue.summon_waiting();
        drop(queue);
        answer_all(calls, error);
        summon.carry_out();
        if dozes {
            self.forget_memory();
        }
        dozes
    }

    /// There is no actor any more, and the slot is closed: lets go of what it would have gone on with.
    pub(crate) fn forget_memory(&self) {
        let memory = std::mem::replace(&mut self.queue.lock().memory, Memory::Absent);
        match memory {
            Memory::Resting(instance) => instance.discard(),
            // Dropped, it answers its call.
            Memory::Begun(begun) => drop_guarded(begun, &self.stream),
            Memory::Away | Memory::Absent => (),
        }
    }

    /// The actor could not be started, or ended by force: nothing will ever serve this slot again.
    pub(crate) fn abandon(&self, reason: &NotStoredReason) {
        self.close_now(|| Error::not_stored(&self.stream, None, reason.clone()));
        self.forget_memory();
        self.retire();
    }

    /// Takes the closed slot out of the registry and gives its place in memory back.
    pub(crate) fn retire(&self) {
        if let Some(kind) = self.kind.upgrade() {
            kind.forget(self);
        }
        self.shared.residency.leave(self);
    }
}

fn answer_all<A: Aggregate>(mut calls: Fifo<Queued<A>>, error: impl Fn() -> Error<A::Rejection>) {
    std::iter::from_fn(|| calls.pop()).for_each(|call| call.answer(error()));
}
