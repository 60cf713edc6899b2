//! The only place that knows ractor: spawns one actor per resident aggregate and runs the incarnation in it.
//!
//! ractor's mailbox is unbounded and drops what is queued when an actor stops, so commands never enter it: they wait in the
//! aggregate's own slot. The mailbox receives a single message, [`Run`], whose handler is the life of the incarnation. An
//! actor is never stopped, killed, named or linked; when its slot has closed, the handler returns and the actor drains.

use std::sync::Arc;

use onefold_core::Aggregate;
#[cfg(not(all(test, onefold_shuttle)))]
use ractor::ActorRuntime;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::serving;
use super::slot::Slot;
use crate::error::NotStoredReason;

/// Spawns the actor of a slot. The caller makes sure that this happens once per slot.
///
/// `spawn_instant` is IMPORTANT: with `spawn` the start would run inside the caller's future, and a caller that goes away
/// would take the incarnation with it.
#[cfg(not(all(test, onefold_shuttle)))]
pub(crate) fn spawn<A: Aggregate>(slot: Arc<Slot<A>>) {
    let _within = slot.shared.tokio.enter();
    let life = Life(Some(slot.clone()));
    let spawned = ActorRuntime::spawn_instant(None, Incarnation::<A>(std::marker::PhantomData), life);
    let started = spawned.map_err(|error| error.to_string()).and_then(|(actor, _)| {
        // ractor calls this "cast"; it fails only when the actor is already gone.
        actor.send_message(Run).map_err(|error| error.to_string())
    });
    if let Err(reason) = started {
        slot.abandon(&NotStoredReason::RecoveryFailed { reason });
    }
}

/// While shuttle explores there is no ractor, whose own locks it does not know.
#[cfg(all(test, onefold_shuttle))]
pub(crate) fn spawn<A: Aggregate>(slot: Arc<Slot<A>>) {
    let tokio = slot.shared.tokio.clone();
    let mut life = Life(Some(slot));
    crate::sync::spawn(&tokio, async move { life.live().await });
}

#[cfg_attr(all(test, onefold_shuttle), expect(dead_code, reason = "ractor is not used while shuttle explores"))]
struct Incarnation<A>(std::marker::PhantomData<fn() -> A>);

/// The one message: live.
#[cfg_attr(all(test, onefold_shuttle), expect(dead_code, reason = "ractor is not used while shuttle explores"))]
struct Run;

#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Run {}

/// Taken by the first and only `Run`. Dropped before, because the tokio runtime has ended, it answers those who wait.
///
/// A single pointer: ractor's future holds room for it several times, for as long as the aggregate is in memory.
struct Life<A: Aggregate>(Option<Arc<Slot<A>>>);

impl<A: Aggregate> Life<A> {
    async fn live(&mut self) {
        let Some(slot) = self.0.take() else { return };
        match slot.kind() {
            // Boxed, because ractor moves this future through several of its own, each with room for it.
            Some(kind) => Box::pin(serving::live(kind, slot)).await,
            None => slot.abandon(&NotStoredReason::ShuttingDown),
        }
    }
}

impl<A: Aggregate> Drop for Life<A> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.abandon(&NotStoredReason::ShuttingDown);
        }
    }
}

#[cfg_attr(feature = "ractor-async-trait", ractor::async_trait)]
impl<A: Aggregate> Actor for Incarnation<A> {
    type Msg = Run;
    type State = Life<A>;
    type Arguments = Life<A>;

    async fn pre_start(&self, _: ActorRef<Run>, life: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        Ok(life)
    }

    async fn handle(&self, myself: ActorRef<Run>, _: Run, life: &mut Self::State) -> Result<(), ActorProcessingErr> {
        life.live().await;
        myself.drain()?;
        Ok(())
    }
}
