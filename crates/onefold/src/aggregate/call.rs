//! One command or read on its way: a single record shared by the caller and the aggregate.
//!
//! ```text
//!   Queued ──▶ Started ──▶ Submitted ──▶ Decided ──▶ Taken
//!     │           │  │          │            ▲
//!     │           │  └──────────┼────────────┘   rejected, failed: nothing to submit
//!     ▼           ▼             ▼
//!   Cancelled  Cancelled     (at a deadline the caller gets OutcomeUnknown, or NotStored if there are no events;
//!                             the record is decided later, unseen)
//! ```
//!
//! Every transition happens under the record's lock, so a deadline, a caller that leaves and the actor can't disagree. A
//! caller that leaves cancels only what is queued: what has started runs whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;
use onefold_core::journal::{Acknowledge, AppendError, AppendOutcome, Appended};
use onefold_core::{Aggregate, StreamVersion};
use tokio::time::Instant;

use super::execution::Work;
use super::instance::Instance;
use super::panics::drop_guarded;
use super::run::{self, Run, Runner};
use super::scope::Chain;
use super::slot::{Slot, Summon};
use crate::error::{Error, NotStoredReason};
use crate::runtime::deadlines::Waiting;
use crate::runtime::releaser::Release;

type Answer<A, W> = Result<<W as Work<A>>::Output, Error<<A as Aggregate>::Rejection>>;

/// See the module.
pub(crate) struct Call<A: Aggregate, W: Work<A>> {
    pub(crate) slot: Arc<Slot<A>>,
    pub(crate) deadline: Instant,
    pub(crate) chain: Option<Arc<Chain>>,
    /// It was cancelled in the queue: what is left there is a husk.
    is_husk: AtomicBool,
    state: Mutex<State<A, W>>,
}

struct State<A: Aggregate, W: Work<A>> {
    phase: Phase<A, W>,
    caller: Option<Waker>,
    submitted: Submitted,
    /// The bytes it is admitted with, until it leaves.
    admitted_bytes: Option<u32>,
}

/// What was submitted, for messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Submitted {
    pub(crate) before: StreamVersion,
    pub(crate) after: StreamVersion,
    /// Whether everything before was durable already, so that telling `after` tells nothing else.
    pub(crate) settled: bool,
    /// Whether there is something to store. A read, a rejection and a decision without events store nothing, unless they
    /// are remembered under a key.
    pub(crate) stores: bool,
}

impl Submitted {
    /// An answer that stores nothing, at `version`.
    pub(crate) fn nothing(version: StreamVersion, settled: bool) -> Self {
        Submitted { before: version, after: version, settled, stores: false }
    }
}

enum Phase<A: Aggregate, W: Work<A>> {
    Queued(W),
    Started,
    /// With the answer that is held back until the acknowledgement.
    Submitted(Option<Answer<A, W>>),
    Decided(Answer<A, W>),
    Taken,
    Cancelled,
}

/// A call without the type of its command.
pub(crate) trait Envelope<A: Aggregate>: Send + Sync {
    /// Runs it on the instance, if its caller still waits.
    fn run(self: Arc<Self>, instance: Box<Instance<A>>) -> Run<A>;

    /// Whether it was cancelled in the queue, and has left.
    fn is_husk(&self) -> bool;

    /// Answers at once, with an error.
    fn answer(&self, error: Error<A::Rejection>);
}

impl<A: Aggregate, W: Work<A>> Call<A, W> {
    pub(crate) fn new(
        slot: Arc<Slot<A>>,
        work: W,
        deadline: Instant,
        chain: Option<Arc<Chain>>,
        caller: Option<Waker>,
        admitted_bytes: u32,
    ) -> Self {
        let state = State {
            phase: Phase::Queued(work),
            caller,
            submitted: Submitted::default(),
            admitted_bytes: Some(admitted_bytes),
        };
        Call { slot, deadline, chain, is_husk: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// The bytes that a call occupies with this work in it.
    pub(crate) fn bytes(work: &W) -> usize {
        size_of::<Self>().saturating_add(work.heap_bytes())
    }

    /// The caller's side: the answer, when it is there.
    pub(crate) fn poll_answer(&self, cx: &Context<'_>) -> Poll<Answer<A, W>> {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Decided(_))
            && let Phase::Decided(answer) = std::mem::replace(&mut state.phase, Phase::Taken)
        {
            return Poll::Ready(answer);
        }
        match &mut state.caller {
            Some(caller) => caller.clone_from(cx.waker()),
            None => state.caller = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The caller's side: the deadline has passed, or the tokio runtime has ended. What was not submitted never will be.
    pub(crate) fn expire(&self, reason: NotStoredReason) -> Answer<A, W> {
        let mut state = self.state.lock();
        let phase = std::mem::replace(&mut state.phase, Phase::Cancelled);
        let stream = &self.slot.stream;
        match phase {
            Phase::Decided(answer) => {
                state.phase = Phase::Taken;
                answer
            }
            Phase::Submitted(held) => {
                state.phase = Phase::Submitted(held);
                if !state.submitted.stores {
                    return Err(Error::not_stored(stream, None, reason));
                }
                let version = state.submitted.settled.then_some(state.submitted.after);
                let what = match reason {
                    NotStoredReason::DeadlinePassed => "the deadline passed",
                    _ => "the runtime ended",
                };
                Err(Error::unknown(stream, version, format!("{what} while it was on its way to the journal")))
            }
            dead => {
                let summon = match dead {
                    Phase::Queued(_) => self.leave_queue(&mut state),
                    _ => Summon::Nothing,
                };
                drop(state);
                summon.carry_out();
                self.discard(dead);
                Err(Error::not_stored(stream, None, reason))
            }
        }
    }

    /// The caller's side: the caller goes away.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.caller = None;
        if matches!(state.phase, Phase::Queued(_)) {
            let dead = std::mem::replace(&mut state.phase, Phase::Cancelled);
            let summon = self.leave_queue(&mut state);
            drop(state);
            summon.carry_out();
            self.discard(dead);
        }
    }

    /// The actor's side: takes the work, unless the caller has left.
    pub(crate) fn start(&self) -> Option<W> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.phase, Phase::Started) {
            Phase::Queued(work) => Some(work),
            other => {
                state.phase = other;
                None
            }
        }
    }

    /// The actor's side: from now on the outcome is the journal's to tell. False when the deadline was faster.
    pub(crate) fn submit(&self, submitted: Submitted) -> bool {
        let mut state = self.state.lock();
        let submits = matches!(state.phase, Phase::Started);
        if submits {
            state.phase = Phase::Submitted(None);
            state.submitted = submitted;
        }
        submits
    }

    /// The actor's side: what was submitted never reaches the journal after all.
    pub(crate) fn stores_nothing(&self, nothing: Submitted) {
        self.state.lock().submitted = nothing;
    }

    /// The actor's side: holds the answer back.
    pub(crate) fn hold(&self, answer: Answer<A, W>) {
        if let Phase::Submitted(held) = &mut self.state.lock().phase {
            *held = Some(answer);
        }
    }

    /// Answers with an error, or with what is held back, which is told its place in the journal if it asks for that. Leaves
    /// before the caller learns of it, so that a caller that asks again finds its place free.
    pub(crate) fn decide(&self, outcome: Result<Option<Appended>, Error<A::Rejection>>) {
        let mut state = self.state.lock();
        let summon = self.leave(&mut state);
        let phase = std::mem::replace(&mut state.phase, Phase::Taken);
        let (phase, dead) = match (phase, outcome) {
            (phase @ (Phase::Queued(_) | Phase::Started | Phase::Submitted(_)), Err(error)) => {
                (Phase::Decided(Err(error)), Some(phase))
            }
            (Phase::Submitted(Some(mut answer)), Ok(place)) => {
                if W::TELLS_PLACE
                    && let (Ok(output), Some(place)) = (&mut answer, place)
                {
                    W::place(output, place);
                }
                (Phase::Decided(answer), None)
            }
            (phase @ (Phase::Decided(_) | Phase::Taken | Phase::Cancelled), _) => (phase, None),
            // Only a bug in this crate gets here; the caller still gets an answer.
            (phase, Ok(_)) => {
                (Phase::Decided(Err(Error::unknown(&self.slot.stream, None, "the answer was lost"))), Some(phase))
            }
        };
        state.phase = phase;
        let caller = state.caller.take();
        drop(state);
        if let Some(caller) = caller {
            caller.wake();
        }
        summon.carry_out();
        if let Some(dead) = dead {
            self.discard(dead);
        }
    }

    /// The actor's side: it is dropped in the middle of its work, by the end of tokio.
    pub(crate) fn cut_off(&self) {
        let submitted = {
            let state = self.state.lock();
            matches!(state.phase, Phase::Submitted(_)).then_some(state.submitted)
        };
        let stream = &self.slot.stream;
        self.decide(Err(match submitted {
            // What it waits for may have taken its commit along.
            Some(submitted) if submitted.stores => {
                Error::unknown(stream, None, "the runtime ended on the way to the journal")
            }
            _ => Error::not_stored(stream, None, NotStoredReason::ShuttingDown),
        }));
    }

    /// The journal has decided the append. `refused`: what its refusal means, if not what it means in general.
    pub(crate) fn acknowledged(
        &self,
        outcome: AppendOutcome,
        refused: impl FnOnce(&AppendError) -> Option<Error<A::Rejection>>,
    ) {
        // IMPORTANT: the slot first. A caller that asks again must not find its own append still in flight.
        let was_sound = self.slot.decided(outcome.is_err());
        let outcome = outcome.map(Some).map_err(|error| {
            if let Some(refusal) = refused(&error) {
                return refusal;
            }
            crate::telemetry::append_failed(&self.slot.stream, &error);
            let submitted = self.state.lock().submitted;
            let version = |version| was_sound.then_some(version);
            match submitted.stores && !error.surely_not_stored() {
                true => Error::unknown_append(&self.slot.stream, version(submitted.after), error),
                false => Error::from_append(&self.slot.stream, version(submitted.before), error),
            }
        });
        self.decide(outcome);
    }

    /// Drops a command that never runs, or a reply that nobody takes. It is a user's value, and should its drop panic, that
    /// must not end the actor, the releaser or the journal's thread, which serve others.
    fn discard(&self, dead: Phase<A, W>) {
        drop_guarded(dead, &self.slot.stream);
    }

    fn leave(&self, state: &mut State<A, W>) -> Summon<A> {
        let Some(bytes) = state.admitted_bytes.take() else { return Summon::Nothing };
        let summon = self.slot.leave(bytes);
        self.slot.shared.admission.release(bytes);
        summon
    }

    /// Cancelled in the queue: gives its place back at once, and leaves a husk.
    fn leave_queue(&self, state: &mut State<A, W>) -> Summon<A> {
        self.is_husk.store(true, Ordering::Relaxed);
        let summon = self.leave(state);
        self.slot.left_a_husk();
        summon
    }
}

impl<A: Aggregate, W: Work<A>> Drop for Call<A, W> {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(bytes) = state.admitted_bytes.take() {
            self.slot.leave(bytes).carry_out();
            self.slot.shared.admission.release(bytes);
        }
        if matches!(state.phase, Phase::Queued(_) | Phase::Submitted(Some(_)) | Phase::Decided(_)) {
            let dead = std::mem::replace(&mut state.phase, Phase::Taken);
            self.discard(dead);
        }
    }
}

impl<A: Aggregate, W: Work<A>> Envelope<A> for Call<A, W> {
    fn run(self: Arc<Self>, instance: Box<Instance<A>>) -> Run<A> {
        Box::pin(run::run(instance, self, Runner::Actor))
    }

    fn is_husk(&self) -> bool {
        self.is_husk.load(Ordering::Relaxed)
    }

    fn answer(&self, error: Error<A::Rejection>) {
        self.decide(Err(error));
    }
}

impl<A: Aggregate, W: Work<A>> Acknowledge for Call<A, W> {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        // A clone of its own is cheaper than one of what all calls share.
        self.slot.shared.releaser.push(self.clone(), outcome);
    }
}

impl<A: Aggregate, W: Work<A>> Waiting for Call<A, W> {
    fn nudge(&self) {
        let caller = self.state.lock().caller.clone();
        if let Some(caller) = caller {
            caller.wake();
        }
    }
}

impl<A: Aggregate, W: Work<A>> Release for Call<A, W> {
    fn touch(&self) -> bool {
        self.state.is_locked()
    }

    fn touch_aggregate(&self) -> bool {
        self.slot.is_busy()
    }

    fn release(self: Arc<Self>, outcome: AppendOutcome) {
        self.acknowledged(outcome, |_| None);
    }
}
