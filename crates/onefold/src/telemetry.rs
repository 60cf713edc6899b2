//! Every name of a span or event in one place, because dashboards depend on them. Fields never hold payloads.

use std::time::Duration;

use onefold_core::{StreamId, StreamVersion};
use tracing::Span;

use crate::error::ErrorKind;

/// One command, from the start of its handler to its submission.
pub(crate) fn command_span(stream: &StreamId, version: StreamVersion) -> Span {
    tracing::debug_span!("onefold.command", stream = %stream, version = version.get())
}

/// Looking at what a command missed that was sent on an older version.
pub(crate) fn merge_span(stream: &StreamId, seen: StreamVersion, version: StreamVersion) -> Span {
    tracing::debug_span!("onefold.merge", stream = %stream, seen = seen.get(), version = version.get())
}

/// Ending a hold whose time is up.
pub(crate) fn expiry_span(stream: &StreamId) -> Span {
    tracing::debug_span!("onefold.expiry", stream = %stream)
}

/// A hold whose time is up could not be ended now: it lasts.
pub(crate) fn not_expired(aggregate_type: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::debug!(name: "onefold.not_expired", aggregate_type, error, "a hold could not be ended, it lasts");
}

/// Bringing back one instance.
pub(crate) fn recovery_span(stream: &StreamId) -> Span {
    tracing::debug_span!("onefold.recovery", stream = %stream)
}

/// An instance was brought back.
pub(crate) fn recovered(stream: &StreamId, version: StreamVersion) {
    tracing::debug!(name: "onefold.recovered", stream = %stream, version = version.get(), "instance recovered");
}

/// Handing a decision to the journal.
pub(crate) fn append_span(stream: &StreamId, version: StreamVersion, events: u32) -> Span {
    tracing::debug_span!("onefold.append", stream = %stream, version = version.get(), events)
}

/// Handing the decision of several aggregates to the journal.
pub(crate) fn joint_append_span(participants: usize) -> Span {
    tracing::debug_span!("onefold.transact", participants)
}

/// Waiting for the other participants of a decision.
pub(crate) fn hold_span(stream: &StreamId) -> Span {
    tracing::debug_span!("onefold.hold", stream = %stream)
}

/// An append failed; the instance is rebuilt.
pub(crate) fn append_failed(stream: &StreamId, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(name: "onefold.append_failed", stream = %stream, error, "append failed, the instance is rebuilt");
}

/// A caller's command failed, surely was not stored, and will be sent again after a pause.
pub(crate) fn retried(aggregate_type: &str, id: &str, attempt: u32, error: ErrorKind, pause: Duration) {
    tracing::debug!(
        name: "onefold.retry",
        stream = %format_args!("{aggregate_type}/{id}"), attempt, ?error, ?pause, "command will be sent again"
    );
}

/// Letting an instance go.
pub(crate) fn passivation_span(stream: &StreamId) -> Span {
    tracing::debug_span!("onefold.passivation", stream = %stream)
}

/// A panic was caught.
pub(crate) fn panicked(stream: &StreamId, stage: &'static str, message: &str) {
    tracing::error!(name: "onefold.panic", stream = %stream, stage, message, "panic caught, the instance is rebuilt");
}

/// A bulk failed after some of its events were applied; the instance is rebuilt.
pub(crate) fn spoiled(stream: &StreamId) {
    tracing::debug!(name: "onefold.spoiled", stream = %stream, "bulk failed midway, the instance is rebuilt");
}

/// An aggregate was quarantined.
pub(crate) fn quarantined(stream: &StreamId, seconds: f64, reason: &str) {
    tracing::error!(name: "onefold.quarantine", stream = %stream, seconds, reason, "aggregate quarantined");
}

/// A recovery failed.
pub(crate) fn recovery_failed(stream: &StreamId, reason: &str) {
    tracing::warn!(name: "onefold.recovery_failed", stream = %stream, reason, "recovery failed");
}

/// The runtime was dropped without a shutdown.
pub(crate) fn dropped_without_shutdown() {
    tracing::error!(
        name: "onefold.dropped",
        "the runtime was dropped without shutdown(): what was acknowledged is safe, what was not is cut off as by a kill"
    );
}
