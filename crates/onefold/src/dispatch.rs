//! Where a command goes. Today: to the aggregate's slot in this process. The one place that decides it.

use std::sync::Arc;
use std::task::Waker;

use onefold_core::{Aggregate, AggregateId, StreamId};
use tokio::time::Instant;

use crate::aggregate::call::Call;
use crate::aggregate::execution::Work;
use crate::aggregate::kind::{Found, Kind};
use crate::aggregate::scope::Chain;
use crate::aggregate::slot::{Pushed, Slot};
use crate::error::{Error, NotStoredReason};
use crate::runtime::residency::Entered;

/// A call that was admitted; its answer will come.
pub(crate) struct Sent<A: Aggregate, W: Work<A>>(pub(crate) Arc<Call<A, W>>);

/// Admits a call and puts it into its aggregate's queue; makes the slot and finds it a place in memory when there is none.
pub(crate) fn send<A: Aggregate, W: Work<A>>(
    kind: &Arc<Kind<A>>,
    id: &str,
    work: W,
    now: Instant,
    deadline: Instant,
    chain: Option<Arc<Chain>>,
    caller: Waker,
) -> Result<Sent<A, W>, Error<A::Rejection>> {
    let shared = &kind.shared;
    AggregateId::check_within(id, shared.config.limits.id_bytes_max)?;
    let stream = || StreamId::new(A::TYPE, id).map_err(Error::from);
    if shared.is_closing() {
        return Err(Error::not_stored(&stream()?, None, NotStoredReason::ShuttingDown));
    }
    if !kind.crashes.is_empty()
        && let Some(quarantined) = kind.crashes.check(&stream()?)
    {
        return Err(Error::Quarantined(Box::new(quarantined)));
    }
    let bytes = Call::<A, W>::bytes();
    if let Err(refused) = shared.admission.admit(bytes) {
        let (bound, limit) = (refused.bound, refused.limit);
        return Err(Error::Overloaded { stream: stream()?, bound, limit });
    }
    let now_ms = shared.millis(now);
    let mut admitted = Some((work, chain, caller));
    let found = kind.with_slot(id, |slot| {
        let (work, chain, caller) = admitted.take()?;
        if chain.as_ref().is_some_and(|chain| chain.contains(slot.key)) {
            shared.admission.release(bytes);
            return Some(Offered::Reentrant(slot.clone()));
        }
        let call = Arc::new(Call::new(slot.clone(), work, deadline, chain, caller, bytes));
        match slot.push(call.clone(), now_ms) {
            Pushed::Queued(actor) => Some(Offered::Queued(call, actor, slot.clone())),
            Pushed::Full => Some(Offered::Full(slot.clone())),
            Pushed::Closed => {
                // The closed slot's successor gets it; the call keeps its place in the total admission.
                admitted = call.readmit();
                None
            }
        }
    });
    let (offered, is_new) = match found {
        Ok(Found::Used(offered)) => (offered, false),
        Ok(Found::New(offered)) => (offered, true),
        Err(error) => {
            shared.admission.release(bytes);
            return Err(error.into());
        }
    };
    match offered {
        Offered::Queued(call, actor, slot) => {
            if let Some(actor) = actor {
                actor.wake();
            }
            if is_new {
                settle_in(slot)?;
            }
            Ok(Sent(call))
        }
        Offered::Full(slot) => {
            let limit = shared.config.admitted_per_aggregate_max;
            Err(Error::Overloaded { stream: slot.stream.clone(), bound: "admitted_per_aggregate_max", limit })
        }
        Offered::Reentrant(slot) => Err(Error::not_stored(&slot.stream, None, NotStoredReason::Reentrant)),
    }
}

enum Offered<A: Aggregate, W: Work<A>> {
    Queued(Arc<Call<A, W>>, Option<Waker>, Arc<Slot<A>>),
    Full(Arc<Slot<A>>),
    Reentrant(Arc<Slot<A>>),
}

/// Finds a new slot its place in memory.
fn settle_in<A: Aggregate>(slot: Arc<Slot<A>>) -> Result<(), Error<A::Rejection>> {
    match slot.shared.residency.enter(slot.clone()) {
        Entered::Welcome => Ok(()),
        Entered::LineFull { limit } => {
            let overloaded = || Error::Overloaded { stream: slot.stream.clone(), bound: "residency_line_max", limit };
            slot.close_now(overloaded);
            slot.retire();
            Err(overloaded())
        }
    }
}
