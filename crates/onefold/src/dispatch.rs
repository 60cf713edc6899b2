//! Where a command goes. Today: to the aggregate's slot in this process. The one place that decides it.

use std::sync::Arc;
use std::task::Context;

use onefold_core::{Aggregate, AggregateId, StreamId};
use tokio::time::Instant;

use crate::aggregate::call::Call;
use crate::aggregate::execution::Work;
use crate::aggregate::instance::Instance;
use crate::aggregate::kind::{Found, Kind};
use crate::aggregate::run;
use crate::aggregate::scope::Chain;
use crate::aggregate::slot::{Pushed, Slot, Summon};
use crate::error::{Error, NotStoredReason};
use crate::runtime::admission::Refused;
use crate::runtime::residency::Entered;

/// A call that was admitted; its answer will come.
pub(crate) struct Sent<A: Aggregate, W: Work<A>>(pub(crate) Arc<Call<A, W>>);

/// When a call was sent, and until when its caller waits.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) now: Instant,
    pub(crate) deadline: Instant,
}

/// The refusal of a command that would not be admitted now, before anything is made of it: its identity, its call, the time.
/// [`send`] is the one that decides; this is for the many of an overload.
pub(crate) fn refuses<A: Aggregate>(kind: &Kind<A>, id: &str) -> Option<Error<A::Rejection>> {
    let shared = &kind.shared;
    let Refused { bound, limit } = shared.admission.is_full()?;
    let is_told_otherwise = shared.is_closing()
        || !kind.crashes.is_empty()
        || AggregateId::check_within(id, shared.config.limits.id_bytes_max).is_err();
    if is_told_otherwise {
        return None;
    }
    Some(Error::Overloaded { stream: StreamId::new(A::TYPE, id).ok()?, bound, limit })
}

/// Admits a call and puts it into its aggregate's queue, or runs it at once if the aggregate is at rest; makes the slot and
/// finds it a place in memory when there is none.
pub(crate) fn send<A: Aggregate, W: Work<A>>(
    kind: &Arc<Kind<A>>,
    id: &str,
    work: W,
    times: Times,
    chain: Option<Arc<Chain>>,
    cx: &mut Context<'_>,
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
    let bytes = shared.admission.cost(Call::<A, W>::bytes(&work));
    if let Err(Refused { bound, limit }) = shared.admission.admit(bytes) {
        return Err(Error::Overloaded { stream: stream()?, bound, limit });
    }
    let now_ms = shared.millis(times.now);
    // From inside a handler a call is queued: it may be one of thousands, or lead round in a circle.
    let may_begin = !W::QUEUES && chain.is_none() && times.now < times.deadline && run::may_begin(cx);
    let mut offered = Some((work, chain));
    let found = kind.with_slot(id, |slot| {
        if let Some((_, Some(chain))) = &offered
            && chain.contains(slot.key)
        {
            return Some(Offered::Reentrant(slot.clone()));
        }
        let mut queued = None;
        let pushed = slot.push(now_ms, bytes, may_begin, || {
            let (work, chain) = offered.take().expect("offered once");
            let call = Call::new(slot.clone(), work, times.deadline, chain, Some(cx.waker().clone()), bytes);
            queued.insert(Arc::new(call)).clone()
        });
        match pushed {
            Pushed::Begin(instance) => Some(Offered::Begin(instance)),
            Pushed::Queued(summon) => queued.map(|call| Offered::Queued(call, summon)),
            Pushed::Full { bound, limit } => Some(Offered::Full { slot: slot.clone(), bound, limit }),
            // The closed slot's successor gets it.
            Pushed::Closed => None,
        }
    });
    let (accepted, is_new) = match found {
        Ok(Found::Used(accepted)) => (accepted, false),
        Ok(Found::New(accepted)) => (accepted, true),
        Ok(Found::Ended) => {
            shared.admission.release(bytes);
            return Err(Error::not_stored(&stream()?, None, NotStoredReason::ShuttingDown));
        }
        Err(error) => {
            shared.admission.release(bytes);
            return Err(error.into());
        }
    };
    match accepted {
        Offered::Begin(instance) => {
            let (work, chain) = offered.take().expect("not queued");
            let call = Arc::new(Call::new(instance.slot.clone(), work, times.deadline, chain, None, bytes));
            run::begin(instance, call.clone(), cx);
            Ok(Sent(call))
        }
        Offered::Queued(call, summon) => {
            summon.carry_out();
            if is_new {
                settle_in(call.slot.clone())?;
            }
            Ok(Sent(call))
        }
        Offered::Full { slot, bound, limit } => {
            shared.admission.release(bytes);
            Err(Error::Overloaded { stream: slot.stream.clone(), bound, limit })
        }
        Offered::Reentrant(slot) => {
            shared.admission.release(bytes);
            Err(Error::not_stored(&slot.stream, None, NotStoredReason::Reentrant))
        }
    }
}

enum Offered<A: Aggregate, W: Work<A>> {
    Begin(Box<Instance<A>>),
    Queued(Arc<Call<A, W>>, Summon<A>),
    Full { slot: Arc<Slot<A>>, bound: &'static str, limit: usize },
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
