//! What a slot's lock guards: the calls that wait, the instance while nobody runs on it, and what closing must know.

use std::sync::Arc;
use std::task::{Context, Waker};

use onefold_core::Aggregate;

use super::super::call::Envelope;
use super::super::fifo::Fifo;
use super::super::instance::Instance;
use super::super::run::Run;

pub(super) type Queued<A> = Arc<dyn Envelope<A>>;

/// See the module.
pub(super) struct Queue<A: Aggregate> {
    pub(super) calls: Fifo<Queued<A>>,
    pub(super) mode: Mode,
    pub(super) memory: Memory<A>,
    /// The actor, when it waits: for a call, for what is in flight, or for a handler.
    pub(super) actor: Option<Waker>,
    /// Appends submitted and not yet acknowledged.
    pub(super) in_flight: u32,
    /// Calls admitted and not yet answered.
    pub(super) admitted: u32,
    /// Their bytes.
    pub(super) admitted_bytes: u32,
    /// Calls that were cancelled since the queue was last swept: at least as many as there are husks in it.
    pub(super) husks: u32,
    /// An append failed: what is in memory must be thrown away.
    pub(super) broken: bool,
    /// Somebody waits in `cx.durable()`.
    pub(super) durable_awaited: bool,
}

/// `Vacant ─▶ Resident ─▶ Closed`, or `Vacant ─▶ Closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// No actor yet: a place in memory is being found.
    Vacant,
    /// An actor serves the queue.
    Resident,
    /// Takes nothing any more; a new slot takes over.
    Closed,
}

/// Where the instance is. Whoever takes it out is the only one who runs.
pub(super) enum Memory<A: Aggregate> {
    /// Not recovered yet, or thrown away.
    Absent,
    /// Nobody runs.
    Resting(Box<Instance<A>>),
    /// Somebody runs on it: the actor, or a caller that found it at rest.
    Away,
    /// A caller has begun a run that was not ready at once; the actor is to go on with it.
    Begun(Run<A>),
}

/// What the actor does next.
pub(crate) enum Next<A: Aggregate> {
    /// This call, on this instance.
    Call(Box<Instance<A>>, Queued<A>),
    /// Go on with what a caller has begun.
    GoOn(Run<A>),
    /// Throw the state away and settle.
    Broken(Option<Box<Instance<A>>>),
    /// End.
    Closed(Option<Box<Instance<A>>>),
}

impl<A: Aggregate> Queue<A> {
    pub(super) fn new() -> Self {
        Queue {
            calls: Fifo::default(),
            mode: Mode::Vacant,
            memory: Memory::Absent,
            actor: None,
            in_flight: 0,
            admitted: 0,
            admitted_bytes: 0,
            husks: 0,
            broken: false,
            durable_awaited: false,
        }
    }

    /// Nothing waits, nothing is unanswered, nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.in_flight == 0 && self.admitted == 0
    }

    /// Takes out the calls that were cancelled. To be dropped when the lock is not held any more: they hold users' wakers.
    #[must_use]
    pub(super) fn take_husks(&mut self) -> Vec<Queued<A>> {
        match std::mem::take(&mut self.husks) {
            0 => Vec::new(),
            _ => self.calls.take_out(|call| call.is_husk()),
        }
    }

    /// Takes the instance for a caller that would run its call at once: nobody is before it, and nothing is amiss.
    ///
    /// Nothing in flight either: a busy aggregate is quicker when its actor runs the calls in turns than when callers on
    /// several threads pass it around.
    pub(super) fn begin(&mut self) -> Option<Box<Instance<A>>> {
        if self.mode != Mode::Resident || self.broken || self.in_flight > 0 || !self.calls.is_empty() {
            return None;
        }
        self.take_to_run()
    }

    /// What the actor does next, if there is anything. `wanted`: somebody waits for this place in memory.
    pub(super) fn next(&mut self, wanted: bool) -> Option<Next<A>> {
        if let Memory::Begun(_) = &self.memory {
            let Memory::Begun(run) = std::mem::replace(&mut self.memory, Memory::Away) else { return None };
            return Some(Next::GoOn(run));
        }
        if wanted && self.mode == Mode::Resident && !self.broken && self.is_idle() {
            self.mode = Mode::Closed;
        }
        if self.mode == Mode::Closed && self.calls.is_empty() {
            return Some(Next::Closed(self.take_resting(Memory::Absent)));
        }
        match &self.memory {
            Memory::Away | Memory::Begun(_) => None,
            Memory::Absent => Some(Next::Broken(None)),
            Memory::Resting(_) if self.broken => Some(Next::Broken(self.take_resting(Memory::Absent))),
            Memory::Resting(_) => {
                let call = self.calls.pop()?;
                self.take_to_run().map(|instance| Next::Call(instance, call))
            }
        }
    }

    fn take_to_run(&mut self) -> Option<Box<Instance<A>>> {
        let mut instance = self.take_resting(Memory::Away)?;
        instance.settled = self.in_flight == 0 && !self.broken;
        Some(instance)
    }

    /// Takes the instance, if nobody runs on it.
    pub(super) fn take_resting(&mut self, instead: Memory<A>) -> Option<Box<Instance<A>>> {
        match std::mem::replace(&mut self.memory, instead) {
            Memory::Resting(instance) => Some(instance),
            other => {
                self.memory = other;
                None
            }
        }
    }

    /// Remembers the actor, which has nothing to do.
    pub(super) fn park(&mut self, cx: &Context<'_>) {
        match &mut self.actor {
            Some(actor) => actor.clone_from(cx.waker()),
            None => self.actor = Some(cx.waker().clone()),
        }
    }
}
