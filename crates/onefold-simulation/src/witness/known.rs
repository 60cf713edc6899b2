//! What is known about an operation when it is answered: what the answer is held against.

use std::time::Duration;

use onefold::{ExpectedVersion, StreamId, StreamVersion};

use super::{Keyed, LATE, Operation, OperationId, Witness};
use crate::journal::SimulatedJournal;

impl Witness {
    /// What is known about an operation when it is answered.
    pub(crate) fn known(&self, id: OperationId) -> Known {
        let mut state = self.state.lock();
        let life = state.life.as_ref();
        let (ending, runtimes, panics) = life.map_or((true, 1, 0), |life| (life.ending, life.runtimes, life.panics));
        let handler_timeout = life.map_or(Duration::MAX, |life| life.handler_timeout);
        let deadline = life.map_or(Duration::MAX, |life| life.deadline);
        let (brisk, ended) = life.map_or((false, None), |life| (life.brisk, life.ended));
        let journal = life.map(|life| life.journal.clone());
        let faults = journal.as_ref().map(SimulatedJournal::faults).unwrap_or_default();
        // What happened to one participant of a transact is told of all.
        let stores = state.any_together(id, |state, id| state.operation(id).stores());
        let stream_failed = state.any_together(id, |state, id| {
            let Operation { asked, began, .. } = state.operation(id);
            journal.as_ref().and_then(|journal| journal.failed_at(&asked.stream)) >= Some(*began)
        });
        let operation = state.operation(id);
        let stream = operation.asked.stream.clone();
        Known {
            started: operation.started.map(|started| (started.version, started.digest)),
            decided: operation.decided,
            stores,
            claims: operation.claims,
            keyed: operation.asked.keyed.clone(),
            panics: operation.asked.panics,
            expected: operation.asked.expected,
            deadline_passed: operation.began.elapsed() >= operation.asked.deadline.unwrap_or(deadline),
            handler_timed_out: operation.started.is_some_and(|started| started.at.elapsed() >= handler_timeout),
            stream_failed,
            has_no_reason_to_wait: (brisk && operation.asked.deadline.is_none())
                || (operation.started.is_none()
                    && !operation.asked.may_be_answered_unrun()
                    && ended.is_some_and(|ended| ended.elapsed() > LATE)),
            somebody_panicked: panics > 0,
            faults,
            ending,
            runtimes,
            stream,
        }
    }
}

/// See [`Witness::known`].
pub(crate) struct Known {
    pub(crate) stream: StreamId,
    pub(crate) started: Option<(StreamVersion, u64)>,
    pub(crate) decided: Option<u64>,
    /// Whether there is something of it to store.
    pub(crate) stores: bool,
    /// Whether its handler asked for claims.
    pub(crate) claims: bool,
    pub(crate) keyed: Option<Keyed>,
    pub(crate) panics: bool,
    pub(crate) expected: ExpectedVersion,
    pub(crate) deadline_passed: bool,
    pub(crate) handler_timed_out: bool,
    /// An append of the stream was told that it failed, since the operation began.
    pub(crate) stream_failed: bool,
    pub(crate) has_no_reason_to_wait: bool,
    pub(crate) somebody_panicked: bool,
    pub(crate) faults: crate::journal::Faults,
    pub(crate) ending: bool,
    pub(crate) runtimes: usize,
}

impl Known {
    /// Whether its answer can only be what had come of its key before: its handler did not run.
    pub(crate) fn is_repeated(&self) -> bool {
        self.keyed.is_some() && self.started.is_none()
    }
}
