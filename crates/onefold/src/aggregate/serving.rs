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
    /// The slot is closed.
    Closed(Option<Box<Instance<A>>>),
    /// The state in memory can't be trusted any more.
    Broken(Option<Box<Instance<A>>>),
}

/// Lives until the slot closes.
pub(crate) async fn live<A: Aggregate>(kind: Arc<Kind<A>>, slot: Arc<Slot<A>>) {
    let death = Death(&slot);
    while poll_fn(|cx| slot.poll_work(cx)).await {
        // Boxed, so that an idle instance does not keep the room that its recovery took.
        let instance = match Box::pin(recovery::recover(&kind, &slot)).await {
            Ok(instance) => instance,
            Err(failure) => {
                failure.tell(&kind, &slot);
                if slot.close_if_empty() {
                    break;
                }
                continue;
            }
        };
        slot.rest(instance);
        match serve(&slot).await {
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

/// Serves until the state is lost or the slot closes. Between turns the instance rests in the slot, where a caller may take
/// it for a run of its own.
async fn serve<A: Aggregate>(slot: &Slot<A>) -> Ended<A> {
    let turn_max = slot.shared.config.turn_commands_max;
    let mut turn = 0;
    loop {
        let run = match poll_fn(|cx| slot.poll_next(cx)).await {
            Next::Call(instance, call) => call.run(instance),
            Next::GoOn(run) => run,
            Next::Broken(instance) => return Ended::Broken(instance),
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
struct Death<'a, A: Aggregate>(&'a Slot<A>);

impl<A: Aggregate> Drop for Death<'_, A> {
    fn drop(&mut self) {
        let stream = &self.0.stream;
        self.0.close_now(|| Error::not_stored(stream, None, NotStoredReason::ShuttingDown));
        self.0.forget_memory();
        self.0.retire();
    }
}
