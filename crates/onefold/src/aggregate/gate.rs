//! The output gate: nothing leaves an aggregate before everything it depends on is durable.
//!
//! A decision's answer leaves with its own acknowledgement. An answer without events (a rejection, a read, a conflict)
//! leaves at once when nothing is in flight; otherwise it travels through the journal's queue as an append without events,
//! a barrier behind the decisions it may have seen.

use std::sync::Arc;

use onefold_core::Aggregate;
use onefold_core::ExpectedVersion;
use onefold_core::journal::{Acknowledge, Acknowledgement, Append, AppendPart, EncodedEvents};
use tracing::Span;

use super::call::Envelope;
use super::execution::Commit;
use super::instance::Instance;
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// Releases an answer that stores nothing.
pub(crate) async fn release<A: Aggregate>(instance: &Instance<A>, call: Arc<dyn Envelope<A>>) {
    if !instance.slot.is_settled() {
        let expected = ExpectedVersion::Exact(instance.version);
        return submit(instance, call, expected, EncodedEvents::NONE, Vec::new(), Span::none()).await;
    }
    if instance.session.is_live() {
        return call.release_held();
    }
    // Another runtime opened the stream: what is in memory may be old.
    instance.slot.break_down();
    let (stream, version) = (&instance.slot.stream, Some(instance.version));
    call.answer(Error::not_stored(stream, version, NotStoredReason::Superseded));
}

/// Hands a decision to the journal.
pub(crate) async fn append<A: Aggregate>(instance: &Instance<A>, call: Arc<dyn Envelope<A>>, commit: Commit) {
    let span = telemetry::append_span(&instance.slot.stream, instance.version, commit.events.count());
    submit(instance, call, commit.expected, commit.events, commit.metadata, span).await;
}

async fn submit<A: Aggregate>(
    instance: &Instance<A>,
    call: Arc<dyn Envelope<A>>,
    expected: ExpectedVersion,
    events: EncodedEvents,
    metadata: Vec<u8>,
    span: Span,
) {
    let acknowledgement = Acknowledgement::new(call as Arc<dyn Acknowledge>);
    let part = AppendPart { session: instance.session.clone(), expected, events };
    // IMPORTANT: counted before the journal can acknowledge it.
    instance.slot.submitted();
    let journal = &instance.slot.shared.journal;
    let mut append = Append::new(part, metadata, acknowledgement);
    while let Err(refused) = span.in_scope(|| journal.append(append)) {
        append = refused;
        journal.capacity().await;
    }
}
