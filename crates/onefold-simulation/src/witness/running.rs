//! A handler at work: what its beginning and its end tell.

use std::sync::Arc;
use std::time::Duration;

use onefold::StreamVersion;
use tokio::time::Instant;

use super::{Operation, OperationId, Over, Started, State, Witness};
use crate::Violation;

/// A handler at work. Dropped before it is told how it ended, it was dropped in the middle.
pub(crate) struct Running {
    witness: Arc<Witness>,
    operation: OperationId,
    ended: bool,
}

impl State {
    pub(super) fn note(&mut self, what: &[u64]) {
        for number in what {
            self.trace = (self.trace.rotate_left(5) ^ number).wrapping_mul(0x517C_C1B7_2722_0A95);
        }
    }

    pub(super) fn operation(&mut self, id: OperationId) -> &mut Operation {
        let index = usize::try_from(id.get()).expect("fewer operations than fit into memory");
        &mut self.operations[index]
    }

    pub(super) fn start(&mut self, id: OperationId, version: StreamVersion, digest: u64) -> Result<(), Violation> {
        let operation = self.operation(id);
        let (stream, runtime) = (operation.asked.stream.clone(), operation.asked.runtime);
        if operation.started.is_some() {
            return Err(Violation::RanTwice { stream, operation: id });
        }
        operation.started = Some(Started { at: Instant::now(), version, digest });
        let (over, group) = (operation.over != Over::No, operation.group);
        let (waited, own_deadline) = (operation.began.elapsed(), operation.asked.deadline);
        // A transact runs whole as soon as one of its handlers has begun.
        let has_begun = group.is_some()
            && self.any_together(id, |state, other| other != id && state.operation(other).started.is_some());
        let Some(life) = &mut self.life else { return Ok(()) };
        if waited >= own_deadline.unwrap_or(life.deadline) {
            return Err(Violation::RanAfterDeadline { stream, operation: id });
        }
        if over && !has_begun && !life.killed {
            return Err(Violation::RanAfterLeaving { stream, operation: id });
        }
        let place = (runtime, stream);
        if let Some(first) = life.running.insert(place.clone(), id) {
            return Err(Violation::TwoAtOnce { stream: place.1, first, second: id });
        }
        match life.latest.insert(place.clone(), id) {
            Some(later) if later > id => Err(Violation::OutOfOrder { stream: place.1, operation: id, later }),
            _ => Ok(()),
        }
    }

    /// The handler's end. `decided`: how many events; `None` when it was dropped or panicked.
    fn stop(&mut self, id: OperationId, decided: Option<u64>, rejected: bool) -> Result<(), Violation> {
        if self.life.as_ref().is_some_and(|life| !life.killed) {
            // In which order tokio drops its tasks at its own end depends on how many there were in the whole process.
            self.note(&[9, id.get(), decided.unwrap_or(u64::MAX)]);
        }
        let operation = self.operation(id);
        (operation.decided, operation.rejected) = (decided, rejected);
        let (stream, runtime) = (operation.asked.stream.clone(), operation.asked.runtime);
        let (panics, is_alone) = (operation.asked.panics, operation.group.is_none());
        let (began, waited, own_deadline) = (operation.began, operation.began.elapsed(), operation.asked.deadline);
        let ran = operation.started.map_or(Duration::ZERO, |started| started.at.elapsed());
        let Some(life) = &mut self.life else { return Ok(()) };
        life.running.remove(&(runtime, stream.clone()));
        let panicking = std::thread::panicking();
        if panicking || (panics && decided.is_some()) {
            life.panics += 1;
            self.counts.panics += 1;
        }
        // When one participant fails, the others' handlers need not come to their end.
        if decided.is_some() || life.ending || panicking || !is_alone {
            return Ok(());
        }
        let timed_out = waited >= own_deadline.unwrap_or(life.deadline) || ran >= life.handler_timeout;
        match timed_out || life.runtimes > 1 || life.journal.failed_at(&stream) >= Some(began) {
            true => Ok(()),
            false => Err(Violation::Dropped { stream, operation: id }),
        }
    }
}

impl Running {
    pub(super) fn new(witness: &Arc<Witness>, operation: OperationId) -> Self {
        Running { witness: witness.clone(), operation, ended: false }
    }

    /// The handler decided on so many events, and perhaps on claims.
    pub(crate) fn decided(mut self, events: u64, claims: bool) {
        if claims {
            let mut state = self.witness.state.lock();
            state.operation(self.operation).claims = true;
            state.counts.claiming += 1;
        }
        self.end(Some(events), false);
    }

    /// The domain said no.
    pub(crate) fn rejected(mut self) {
        self.end(Some(0), true);
    }

    fn end(&mut self, decided: Option<u64>, rejected: bool) {
        if !std::mem::replace(&mut self.ended, true) {
            let mut state = self.witness.state.lock();
            if let Err(violation) = state.stop(self.operation, decided, rejected) {
                state.violation.get_or_insert(violation);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(None, false);
    }
}
