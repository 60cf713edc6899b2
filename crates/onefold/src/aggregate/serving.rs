//! The life of an incarnation, top-down: wait for work, recover, serve, settle; again, until the slot closes.

use std::future::poll_fn;
use std::sync::Arc;

use onefold_core::Aggregate;

use super::instance::Instance;
use super::kind::Kind;
use super::recovery;
use super::slot::{Next, Slot};
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// Why serving ended.
enum Ended<A: Aggregate> {
    /// Nothing to do for now.
    Dozing,
    /// The slot is closed.
    Closed(Option<Box<Instance<A>>>),
    /// The state in memory can't be trusted any more.
    Broken(Option<Box<Instance<A>>>),
}

/// Lives until the slot closes, or until there is nothing to do for a while.
pub(crate) async fn live<A: Aggregate>(kind: Arc<Kind<A>>, slot: Arc<Slot<A>>) {
    let _alive = slot.shared.stats.actor();
    let mut death = Death(Some(&slot));
    loop {
        if slot.needs_recovery() && !bring_back(&kind, &slot).await {
            break;
        }
        match serve(&slot).await {
            Ended::Dozing => {
                death.0 = None;
                return;
            }
            Ended::Closed(instance) => {
                instance.into_iter().for_each(Instance::discard);
                break;
            }
            Ended::Broken(instance) => {
                instance.into_iter().for_each(Instance::discard);
                // What is in flight may still land: nothing replays the stream before that is decided.
                poll_fn(|cx| slot.poll_mended(cx)).await;
            }
        }
    }
    telemetry::passivation_span(&slot.stream).in_scope(|| drop(death));
}

/// Waits for a call, and recovers the instance for it. False at the end of the slot.
async fn bring_back<A: Aggregate>(kind: &Arc<Kind<A>>, slot: &Arc<Slot<A>>) -> bool {
    while poll_fn(|cx| slot.poll_work(cx)).await {
        // Boxed, so that an idle instance does not keep the room that its recovery took.
        match Box::pin(recovery::recover(kind, slot)).await {
            Ok(instance) => {
                slot.rest(instance);
                return true;
            }
            Err(failure) => failure.tell(kind, slot),
        }
        if slot.close_if_empty() {
            break;
        }
    }
    false
}

/// Serves until the state is lost or the slot closes. Between turns the instance rests in the slot, where a caller may take
/// it for a run of its own.
async fn serve<A: Aggregate>(slot: &Arc<Slot<A>>) -> Ended<A> {
    let turn_max = slot.shared.config.turn_commands_max;
    let mut turn = 0;
    loop {
        let run = match poll_fn(|cx| slot.poll_next(cx)).await {
            Next::Call(instance, call) => call.run(instance),
            Next::GoOn(run) => run,
            Next::Broken(instance) => return Ended::Broken(instance),
            Next::Doze => return Ended::Dozing,
            Next::Closed(instance) => return Ended::Closed(instance),
        };
        match run.await {
            Some(instance) => slot.rest(instance),
            None => slot.lose(),
        }
        turn += 1;
        if turn >= turn_max {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Whatever ends the incarnation, also the end of the tokio runtime: nobody is left waiting in a slot that nobody serves.
struct Death<'a, A: Aggregate>(Option<&'a Slot<A>>);

impl<A: Aggregate> Drop for Death<'_, A> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.close_now(|| Error::not_stored(&slot.stream, None, NotStoredReason::ShuttingDown));
            slot.forget_memory();
            slot.retire();
        }
    }
}
