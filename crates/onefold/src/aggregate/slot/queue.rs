//! What a slot's lock guards: the calls that wait, the instance while nobody runs on it, and what closing must know.

use std::sync::Arc;
use std::task::{Context, Waker};

use onefold_core::Aggregate;

use super::super::actor;
use super::super::call::Envelope;
use super::super::fifo::Fifo;
use super::super::instance::Instance;
use super::super::run::Run;
use super::Slot;

pub(super) type Queued<A> = Arc<dyn Envelope<A>>;

/// See the module.
pub(super) struct Queue<A: Aggregate> {
    pub(super) calls: Fifo<Queued<A>>,
    pub(super) mode: Mode,
    pub(super) memory: Memory<A>,
    pub(super) actor: Attendance,
    /// The actor is asked to go until there is something to do for it.
    pub(super) dozes: bool,
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
    /// The actor waits until nothing is in flight.
    pub(super) fenced: bool,
}

/// `Vacant ─▶ Resident ─▶ Closed`, or `Vacant ─▶ Closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A place in memory is being found.
    Vacant,
    /// It has a place in memory.
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
    /// Somebody is at work: the actor, which runs or recovers; or a caller that found the instance at rest.
    Away,
    /// A caller has begun a run that was not ready at once; the actor is to go on with it.
    Begun(Run<A>),
}

/// Where the actor is.
pub(super) enum Attendance {
    /// There is none: not yet, or it dozes, while the instance rests and callers run their own calls on it.
    Absent,
    /// It is at work, or on its way to look.
    Awake,
    /// It waits: for a call, for what is in flight, or for a handler.
    Waiting(Waker),
}

/// What it takes to make the actor look. To be carried out without any lock.
#[must_use]
pub(crate) enum Summon<A: Aggregate> {
    /// Nothing: it will look anyway, or need not.
    Nothing,
    Wake(Waker),
    Spawn(Arc<Slot<A>>),
}

impl<A: Aggregate> Summon<A> {
    pub(crate) fn carry_out(self) {
        match self {
            Summon::Nothing => (),
            Summon::Wake(actor) => actor.wake(),
            Summon::Spawn(slot) => actor::spawn(slot),
        }
    }
}

/// What the actor does next.
pub(crate) enum Next<A: Aggregate> {
    /// This call, on this instance.
    Call(Box<Instance<A>>, Queued<A>),
    /// Go on with what a caller has begun.
    GoOn(Run<A>),
    /// Throw the state away and settle.
    Broken(Option<Box<Instance<A>>>),
    /// Go, until there is something to do. The slot stays as it is.
    Doze,
    /// End.
    Closed(Option<Box<Instance<A>>>),
}

impl<A: Aggregate> Queue<A> {
    pub(super) fn new() -> Self {
        Queue {
            calls: Fifo::default(),
            mode: Mode::Vacant,
            memory: Memory::Absent,
            actor: Attendance::Absent,
            dozes: false,
            in_flight: 0,
            admitted: 0,
            admitted_bytes: 0,
            husks: 0,
            broken: false,
            durable_awaited: false,
            fenced: false,
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
    /// With an actor about, nothing in flight either: a busy aggregate is quicker when its actor runs the calls in turns than
    /// when callers on several threads pass it around.
    pub(super) fn begin(&mut self) -> Option<Box<Instance<A>>> {
        let is_busy = self.in_flight > 0 && !matches!(self.actor, Attendance::Absent);
        if self.mode != Mode::Resident || self.broken || is_busy || !self.calls.is_empty() {
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

    /// Nothing to do for an actor: the instance is there, and nobody waits for anything.
    pub(super) fn can_doze(&self) -> bool {
        let is_there = matches!(self.memory, Memory::Resting(_) | Memory::Away);
        is_there && self.mode == Mode::Resident && !self.broken && self.calls.is_empty()
    }

    /// The actor is to look.
    pub(super) fn summon(&mut self, slot: &Arc<Slot<A>>) -> Summon<A> {
        if self.mode == Mode::Resident && matches!(self.actor, Attendance::Absent) {
            self.actor = Attendance::Awake;
            return Summon::Spawn(slot.clone());
        }
        self.summon_waiting()
    }

    /// The actor is to look, if there is one: none is spawned.
    pub(super) fn summon_waiting(&mut self) -> Summon<A> {
        match std::mem::replace(&mut self.actor, Attendance::Awake) {
            Attendance::Waiting(actor) => Summon::Wake(actor),
            other => {
                self.actor = other;
                Summon::Nothing
            }
        }
    }

    /// Remembers the actor, which has nothing to do.
    pub(super) fn park(&mut self, cx: &Context<'_>) {
        match &mut self.actor {
            Attendance::Waiting(actor) => actor.clone_from(cx.waker()),
            _ => self.actor = Attendance::Waiting(cx.waker().clone()),
        }
    }
}
