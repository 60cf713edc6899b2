//! The output gate: nothing leaves an aggregate before everything it depends on is durable.
//!
//! A decision's answer leaves with its own acknowledgement. An answer without events (a rejection, a read, a conflict)
//! leaves at once when nothing is in flight; otherwise it travels through the journal's queue as an append without events,
//! a barrier behind the decisions it may have seen.

use std::sync::Arc;

use onefold_core::Aggregate;
use onefold_core::ExpectedVersion;
use onefold_core::journal::{Acknowledge, Append, AppendPart, Appended, EncodedEvents, Journal};

use super::call::Call;
use super::claimed::Claimed;
use super::execution::{Claiming, Commit, Refusals, Work};
use super::instance::Instance;
use super::joint::Share;
use crate::error::{Error, NotStoredReason};
use crate::runtime::pace;
use crate::runtime::shared::Shared;
use crate::telemetry;

/// An append for which the journal has no room yet.
pub(crate) struct Refused(Append);

/// Releases an answer that stores nothing.
pub(crate) fn release<A: Aggregate, W: Work<A>>(instance: &Instance<A>, call: Arc<Call<A, W>>) -> Result<(), Refused> {
    if !instance.slot.is_settled() {
        let expected = ExpectedVersion::Exact(instance.version);
        let nothing = Commit::new(expected, EncodedEvents::NONE, Vec::new());
        return submit(instance, call, nothing);
    }
    if instance.session.is_live() {
        call.decide(Ok(W::TELLS_PLACE.then(|| durable_end(instance))));
        return Ok(());
    }
    // Another runtime opened the stream: what is in memory may be old.
    instance.slot.break_down();
    call.decide(Err(Error::not_stored(&instance.slot.stream, None, NotStoredReason::Superseded)));
    Ok(())
}

/// Where an answer stands that has not been to the journal: behind everything that was acknowledged.
fn durable_end<A: Aggregate>(instance: &Instance<A>) -> Appended {
    let end = *instance.slot.shared.journal.durable().borrow();
    Appended { commit: end.commit, position: end.position }
}

/// Hands a decision to the journal.
pub(crate) fn append<A: Aggregate, W: Work<A>>(
    instance: &Instance<A>,
    call: Arc<Call<A, W>>,
    commit: Commit<A::Rejection>,
) -> Result<(), Refused> {
    let span = telemetry::append_span(&instance.slot.stream, instance.version, commit.events.count());
    span.in_scope(|| submit(instance, call, commit))
}

fn submit<A: Aggregate, W: Work<A>>(
    instance: &Instance<A>,
    call: Arc<Call<A, W>>,
    commit: Commit<A::Rejection>,
) -> Result<(), Refused> {
    let (part, metadata, refusals) = part_of(instance, commit);
    let listener: Arc<dyn Acknowledge> = match refusals {
        None => call,
        refusals => Claimed::new(call, refusals),
    };
    let acknowledgement = pace::acknowledgement(&instance.slot.shared, listener);
    // IMPORTANT: counted before the journal can acknowledge it.
    instance.slot.submitted();
    instance.slot.shared.journal.append(Append::new(part, metadata, acknowledgement)).map_err(Refused)
}

type PartOf<R> = (AppendPart, Vec<u8>, Option<Refusals<R>>);

/// What the journal gets of a commit; its metadata; and what is said if a claim is refused.
fn part_of<A: Aggregate>(instance: &Instance<A>, commit: Commit<A::Rejection>) -> PartOf<A::Rejection> {
    let Commit { expected, events, claims: claiming, metadata } = commit;
    let (claims, refusals) = match claiming.map(|claiming| *claiming) {
        None => (Vec::new(), None),
        Some(Claiming { changes, refusals }) => (changes, Some(refusals)),
    };
    (AppendPart { session: instance.session.clone(), expected, events, claims }, metadata, refusals)
}

/// What a participant adds to a joint commit.
pub(crate) fn share<A: Aggregate, W: Work<A>>(
    instance: &Instance<A>,
    call: Arc<Call<A, W>>,
    commit: Commit<A::Rejection>,
    index: usize,
) -> Share {
    let (part, metadata, refusals) = part_of(instance, commit);
    Share { index, part, metadata, seat: Claimed::new(call, refusals) }
}

/// Hands a joint commit to the journal, whose appends are counted already.
pub(crate) async fn append_joint(shared: &Shared, append: Append) {
    let span = telemetry::joint_append_span(append.parts.len());
    if let Err(append) = span.in_scope(|| shared.journal.append(append)) {
        let _waits = shared.congestion.begin();
        Refused(append).retry(&*shared.journal).await;
    }
}

impl Refused {
    /// Waits until the journal has room. The aggregate handles nothing meanwhile, which keeps the order.
    pub(crate) async fn retry(self, journal: &dyn Journal) {
        let mut append = self.0;
        while let Err(refused) = {
            journal.capacity().await;
            journal.append(append)
        } {
            append = refused;
        }
    }
}
