//! The life of an incarnation, top-down: wait for work, recover, serve, settle; again, until the slot closes.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use onefold_core::Aggregate;

use super::call::Envelope;
use super::execution::Execution;
use super::gate;
use super::instance::Instance;
use super::kind::Kind;
use super::recovery;
use super::slot::{Next, Slot};
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// Why serving ended.
enum Ended {
    /// The slot is closed.
    Closed,
    /// The state in memory can't be trusted any more.
    Broken,
}

/// Lives until the slot closes.
pub(crate) async fn live<A: Aggregate>(kind: Arc<Kind<A>>, slot: Arc<Slot<A>>) {
    let death = Death(&slot);
    while poll_fn(|cx| slot.poll_work(cx)).await {
        // Boxed, so that an idle instance does not keep the room that its recovery took.
        let mut instance = match Box::pin(recovery::recover(&kind, &slot)).await {
            Ok(instance) => instance,
            Err(failure) => {
                failure.tell(&kind, &slot);
                if slot.close_if_empty() {
                    break;
                }
                continue;
            }
        };
        match serve(&kind, &mut instance).await {
            Ended::Closed => break,
            Ended::Broken => {
                drop(instance);
                // What is in flight may still land: nothing replays the stream before that is decided.
                poll_fn(|cx| slot.poll_mended(cx)).await;
            }
        }
    }
    telemetry::passivation_span(&slot.stream).in_scope(|| drop(death));
}

async fn serve<A: Aggregate>(kind: &Kind<A>, instance: &mut Instance<A>) -> Ended {
    let slot = instance.slot.clone();
    let turn_max = slot.shared.config.turn_commands_max;
    let mut turn = 0;
    loop {
        match poll_fn(|cx| slot.poll_next(cx)).await {
            Next::Call(call) => run(kind, instance, call).await,
            Next::Broken => return Ended::Broken,
            Next::Closed => return Ended::Closed,
        }
        turn += 1;
        if turn >= turn_max {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Runs one call and passes its outcome on to the gate.
async fn run<A: Aggregate>(kind: &Kind<A>, instance: &mut Instance<A>, call: Arc<dyn Envelope<A>>) {
    let executed = AssertUnwindSafe(call.clone().execute(instance)).catch_unwind().await;
    let passed_on = match executed {
        Ok(Execution::Skipped | Execution::Done) => Ok(()),
        Ok(Execution::Answered) => gate::release(instance, call),
        Ok(Execution::Decided(commit)) => {
            instance.slot.weigh(instance.state.weight());
            gate::append(instance, call, commit)
        }
        Err(panic) => {
            crashed(kind, instance, call, &*panic);
            Ok(())
        }
    };
    if let Err(refused) = passed_on {
        // Boxed: it is rare, and every idle instance would keep its room.
        Box::pin(refused.retry(&*instance.slot.shared.journal)).await;
    }
}

/// A panic in the aggregate's code: its caller is told, the state is thrown away, and too many of them quarantine it.
fn crashed<A: Aggregate>(
    kind: &Kind<A>,
    instance: &Instance<A>,
    call: Arc<dyn Envelope<A>>,
    panic: &(dyn std::any::Any + Send),
) {
    let (stage, message) = (instance.stage.name(), panic_message(panic));
    let stream = &instance.slot.stream;
    let version = instance.durable_version();
    telemetry::panicked(stream, stage, &message);
    instance.slot.break_down();
    kind.crashes.strike(stream, &format!("{stage} panicked: {message}"), false);
    let reason = NotStoredReason::Panicked { stage, message };
    call.answer(Error::not_stored(stream, version, reason));
    if let Some(quarantined) = kind.crashes.check(stream) {
        instance.slot.fail_waiting(|| Error::Quarantined(Box::new(quarantined.clone())));
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a value that is no text".to_owned())
}

/// Whatever ends the incarnation, also the end of the tokio runtime: nobody is left waiting in a slot that nobody serves.
struct Death<'a, A: Aggregate>(&'a Slot<A>);

impl<A: Aggregate> Drop for Death<'_, A> {
    fn drop(&mut self) {
        let stream = &self.0.stream;
        self.0.close_now(|| Error::not_stored(stream, None, NotStoredReason::ShuttingDown));
        self.0.retire();
    }
}
