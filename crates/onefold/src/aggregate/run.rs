//! One call run on an instance, by whoever has it: the caller that found the aggregate at rest, or its actor.
//!
//! A caller polls the run once, on the spot. Most handlers are ready at their first poll, and then neither the actor is woken
//! nor its task touched. A run that is not ready is handed over to the actor, which goes on with it: what has started runs
//! whole, whether or not its caller stays.

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use onefold_core::{Aggregate, Metadata};
use tokio::task::coop;
use tokio::time::Instant;

use super::call::{Call, Submitted};
use super::execution::{Commit, Performed, Work};
use super::gate;
use super::instance::{Instance, Stage};
use super::panics::message_of;
use super::slot::Slot;
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// A call running on an instance, which comes back unless the state was lost in a panic. Dropped, it answers its call.
pub(crate) type Run<A> = Pin<Box<dyn Future<Output = Option<Box<Instance<A>>>> + Send>>;

/// Who polls a run at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// A caller, which looked at its clock just now. It hands over to the actor when the run is not ready.
    Caller,
    /// The aggregate's actor.
    Actor,
}

/// Whether a caller may run its own call where it is polled. Like any other resource of tokio a run counts against the
/// task's budget, so that a task with thousands of calls in hand does not keep its worker from others.
pub(crate) fn may_begin(cx: &mut Context<'_>) -> bool {
    if !coop::has_budget_remaining() {
        return false;
    }
    match coop::poll_proceed(cx) {
        Poll::Ready(spent) => {
            spent.made_progress();
            true
        }
        Poll::Pending => false,
    }
}

/// The caller's side: runs the call at once, as far as it gets.
pub(crate) fn begin<A: Aggregate, W: Work<A>>(instance: Box<Instance<A>>, call: Arc<Call<A, W>>, cx: &mut Context<'_>) {
    let slot = instance.slot.clone();
    let lost = Lost(&slot);
    let mut run = Box::pin(run(instance, call, Runner::Caller));
    // Any executor may poll the caller; a handler finds the runtime's own tokio.
    let _within = crate::sync::enter(&slot.shared.tokio);
    let polled = run.as_mut().poll(cx);
    std::mem::forget(lost);
    match polled {
        Poll::Ready(Some(instance)) => slot.rest(instance),
        Poll::Ready(None) => slot.lose(),
        Poll::Pending => slot.hand_over(run),
    }
}

/// The aggregate's own panics are caught. Should anything else panic under a caller, a journal say, the actor is told that
/// the instance is gone, instead of waiting for it for ever.
struct Lost<'a, A: Aggregate>(&'a Arc<Slot<A>>);

impl<A: Aggregate> Drop for Lost<'_, A> {
    fn drop(&mut self) {
        self.0.lose();
    }
}

/// Runs one call and passes its outcome on to the gate.
pub(crate) async fn run<A: Aggregate, W: Work<A>>(
    mut instance: Box<Instance<A>>,
    call: Arc<Call<A, W>>,
    runner: Runner,
) -> Option<Box<Instance<A>>> {
    let mut permit = match W::STORES && instance.slot.shared.congestion.is_there() {
        // IMPORTANT: before the call starts, so that its deadline still reaches it. Boxed: it is rare.
        true => Box::pin(instance.slot.shared.congestion.permit()).await,
        false => None,
    };
    let executed = {
        let mut executing = pin!(AssertUnwindSafe(execute(&call, &mut instance, runner)).catch_unwind());
        poll_fn(|cx| {
            let executed = executing.as_mut().poll(cx);
            if executed.is_pending() {
                // A handler that waits for something else does not keep others waiting.
                permit = None;
            }
            executed
        })
        .await
    };
    let mut fenced = false;
    let passed_on = match executed {
        Ok(Execution::Skipped | Execution::Done) => Ok(()),
        Ok(Execution::Joined) => {
            fenced = true;
            Ok(())
        }
        Ok(Execution::Answered) => gate::release(&instance, call),
        Ok(Execution::Decided(commit)) => {
            fenced = commit.claims.is_some();
            gate::append(&instance, call, commit)
        }
        Err(panic) => {
            crashed(&instance, &call, panic);
            instance.discard();
            return None;
        }
    };
    if let Err(refused) = passed_on {
        let shared = &instance.slot.shared;
        let _waits = shared.congestion.begin();
        // Boxed: it is rare.
        Box::pin(refused.retry(&*shared.journal)).await;
    }
    drop(permit);
    if fenced {
        // Boxed: it is rare.
        Box::pin(fence(&instance.slot, runner)).await;
    }
    if instance.spoiled {
        telemetry::spoiled(&instance.slot.stream);
        instance.slot.break_down();
        instance.discard();
        return None;
    }
    Some(instance)
}

/// Waits until the journal has decided what was submitted. It may refuse a claim, and must not take the innocent along that
/// would be decided on top of it.
async fn fence<A: Aggregate>(slot: &Slot<A>, runner: Runner) {
    if runner == Runner::Caller {
        // IMPORTANT: only the actor may wait with the slot. If it is not the one who polls here, it takes over.
        tokio::task::yield_now().await;
    }
    poll_fn(|cx| slot.poll_decided(cx)).await;
}

/// What remains to be done for a call after it was executed.
enum Execution<R> {
    /// Its caller had left; nothing ran.
    Skipped,
    /// Nothing: it is answered.
    Done,
    /// Release the held answer through the gate.
    Answered,
    /// It is on its way to the journal, with others.
    Joined,
    /// Append, then release the held answer.
    Decided(Commit<R>),
}

async fn execute<A: Aggregate, W: Work<A>>(
    call: &Arc<Call<A, W>>,
    instance: &mut Instance<A>,
    runner: Runner,
) -> Execution<A::Rejection> {
    if runner == Runner::Actor && Instant::now() >= call.deadline {
        // The caller's own timer may be late; a command whose deadline passed before it started never runs.
        let reason = NotStoredReason::DeadlinePassed;
        call.decide(Err(Error::not_stored(&call.slot.stream, None, reason)));
        return Execution::Done;
    }
    let Some(work) = call.start() else { return Execution::Skipped };
    let mut unfinished = Unfinished(Some(call));
    let performed = work.perform(instance, call, runner).await;
    unfinished.0 = None;
    if !instance.context.metadata().entries.is_empty() {
        // An idle instance keeps nothing of its last caller's: nobody counts it.
        instance.context.prepare(instance.version, Metadata::default());
    }
    match performed {
        Performed::Failed(error) => {
            call.decide(Err(error));
            Execution::Done
        }
        Performed::Cancelled => Execution::Done,
        Performed::Joined => Execution::Joined,
        Performed::Answered(answer) => {
            if !call.submit(Submitted::nothing(instance.version, instance.settled)) {
                return Execution::Done;
            }
            call.hold(answer);
            Execution::Answered
        }
        Performed::Decided { answer, commit } => {
            call.hold(answer);
            instance.stage = Stage::Weigh;
            instance.slot.weigh(instance.weight());
            Execution::Decided(commit)
        }
        Performed::Spoiled(error) => {
            // Through the gate: it names a version that may not be durable yet.
            call.stores_nothing(Submitted::nothing(instance.version, instance.settled));
            call.hold(Err(error));
            instance.spoiled = true;
            Execution::Answered
        }
    }
}

/// Answers a call whose handler is dropped where it waits, because the tokio runtime has ended. A panic is told by whoever
/// catches it.
struct Unfinished<'a, A: Aggregate, W: Work<A>>(Option<&'a Call<A, W>>);

impl<A: Aggregate, W: Work<A>> Drop for Unfinished<'_, A, W> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take()
            && !std::thread::panicking()
        {
            call.decide(Err(Error::not_stored(&call.slot.stream, None, NotStoredReason::ShuttingDown)));
        }
    }
}

/// A panic in the aggregate's code: its caller is told, the state is thrown away, and too many of them quarantine it.
fn crashed<A: Aggregate, W: Work<A>>(instance: &Instance<A>, call: &Call<A, W>, panic: Box<dyn Any + Send>) {
    let (stage, message) = (instance.stage.name(), message_of(panic));
    let stream = &instance.slot.stream;
    // When it is weighed, the state is ahead of the journal by what is thrown away now: that version was never reached.
    let version = instance.durable_version().filter(|_| instance.stage != Stage::Weigh);
    telemetry::panicked(stream, stage, &message);
    instance.slot.break_down();
    let quarantined = instance.slot.strike(&format!("{stage} panicked: {message}"));
    let reason = NotStoredReason::Panicked { stage, message };
    call.decide(Err(Error::not_stored(stream, version, reason)));
    if let Some(quarantined) = quarantined {
        instance.slot.fail_waiting(|| Error::Quarantined(Box::new(quarantined.clone())));
    }
}
