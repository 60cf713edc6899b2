//! Operations that are participants of one transact (P5): all of it in one commit, or nothing of it anywhere.

use onefold::StreamId;

use super::{Asked, OperationId, State, Witness};
use crate::Violation;

/// The participants of each transact.
#[derive(Default)]
pub(super) struct Groups(Vec<Vec<OperationId>>);

impl State {
    /// The operation and those that it was asked together with.
    fn together(&mut self, id: OperationId) -> Vec<OperationId> {
        match self.operation(id).group {
            Some(group) => self.groups.0[group].clone(),
            None => vec![id],
        }
    }

    /// Whether any of them did.
    pub(super) fn any_together(&mut self, id: OperationId, did: impl Fn(&mut State, OperationId) -> bool) -> bool {
        self.together(id).into_iter().any(|id| did(self, id))
    }
}

impl Witness {
    /// A client is about to poll its transact for the first time.
    pub(crate) fn begin_together(&self, asked: Vec<Asked>) -> Vec<OperationId> {
        let ids: Vec<OperationId> = asked.into_iter().map(|asked| self.begins(asked)).collect();
        let mut state = self.state.lock();
        let group = state.groups.0.len();
        for id in &ids {
            state.operation(*id).group = Some(group);
        }
        state.groups.0.push(ids.clone());
        state.counts.transacts += 1;
        ids
    }

    /// A transact was answered with everybody's reply.
    pub(crate) fn count_transacted(&self) {
        self.state.lock().counts.transacted += 1;
    }

    /// Whose part of a commit it is that has the mark `id`: there is one for all parts, and it is the first participant's.
    pub(crate) fn participant(&self, id: OperationId, stream: &StreamId) -> OperationId {
        let mut state = self.state.lock();
        let ids = state.together(id);
        ids.into_iter().find(|id| state.operation(*id).asked.stream == *stream).unwrap_or(id)
    }

    /// Whether a commit with the mark `id` has what all participants decided, and nobody else's. `parts`: how many events of
    /// which stream.
    pub(crate) fn check_together(&self, id: OperationId, parts: &[(StreamId, u64)]) -> Result<(), Violation> {
        let mut state = self.state.lock();
        if state.operation(id).group.is_none() {
            return Ok(());
        }
        let operations = state.together(id);
        let fault = |reason| Err(Violation::NotTogether { operations: operations.clone(), reason });
        for id in &operations {
            let operation = state.operation(*id);
            let stream = &operation.asked.stream;
            let stored = parts.iter().find(|(part, _)| part == stream).map_or(0, |(_, events)| *events);
            if operation.decided != Some(stored) {
                let decided = operation.decided;
                return fault(format!("{stream} decided on {decided:?} events, and {stored} are in the commit"));
            }
            if operation.rejected {
                return fault(format!("{stream} said no, and the commit is there"));
            }
        }
        match parts.iter().find(|(stream, _)| !operations.iter().any(|id| state.operation(*id).asked.stream == *stream))
        {
            Some((stream, _)) => fault(format!("{stream} takes no part, and is in the commit")),
            None => Ok(()),
        }
    }
}
