//! The handle to all aggregates of one type: ask, read, look at events.

use std::fmt;
use std::sync::Arc;

use onefold_core::{Aggregate, Handle, InvalidId, StreamId, StreamVersion};

use crate::aggregate::kind::Kind;
use crate::ask::{Ask, ReadState};
use crate::events::EventStream;
use crate::ids::IdStream;

/// All aggregates of one type. Cheap to clone; the only handle a service keeps.
pub struct Aggregates<A: Aggregate> {
    kind: Arc<Kind<A>>,
}

impl<A: Aggregate> Aggregates<A> {
    pub(crate) fn new(kind: Arc<Kind<A>>) -> Self {
        Aggregates { kind }
    }

    /// Sends a command to the aggregate `id` and waits for its reply.
    ///
    /// Returns a future that can be told more before it is awaited: [`Ask::deadline`], [`Ask::expect_version`], metadata.
    /// The command is admitted when the future is first polled, which decides its place in the order of commands. Dropped
    /// before the command has started, it takes the command back; dropped later, the command still runs whole.
    ///
    /// The reply comes when the command's events are durable, not before.
    pub fn ask<C>(&self, id: impl AsRef<str>, command: C) -> Ask<A, C>
    where
        A: Handle<C>,
        C: Send + 'static,
    {
        Ask::new(self.kind.clone(), id.as_ref(), command)
    }

    /// Looks at the state of the aggregate `id`: linearizable with its commands, and never ahead of what is durable. An
    /// aggregate without events is looked at in its default state.
    pub fn read<F, T>(&self, id: impl AsRef<str>, look: F) -> ReadState<A, T>
    where
        F: FnOnce(&A) -> T + Send + 'static,
        T: Send + 'static,
    {
        ReadState::new(self.kind.clone(), id.as_ref(), Box::new(move |state: &A, _| look(state)))
    }

    /// Looks at the state together with its version, as [`read`](Aggregates::read) does.
    pub fn read_with_version<F, T>(&self, id: impl AsRef<str>, look: F) -> ReadState<A, T>
    where
        F: FnOnce(&A, StreamVersion) -> T + Send + 'static,
        T: Send + 'static,
    {
        ReadState::new(self.kind.clone(), id.as_ref(), Box::new(look))
    }

    /// The version of the aggregate `id`: 0 when it has no events.
    pub fn version(&self, id: impl AsRef<str>) -> ReadState<A, StreamVersion> {
        ReadState::new(self.kind.clone(), id.as_ref(), Box::new(|_: &A, version| version))
    }

    /// The durable events of the aggregate `id` with a version above `after`, decoded, up to what is durable now. `0` gives
    /// all.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when the id breaks the rules. Errors of reading and decoding come as items.
    pub fn events(
        &self,
        id: impl AsRef<str>,
        after: impl Into<StreamVersion>,
    ) -> Result<EventStream<A::Event>, InvalidId> {
        let stream = StreamId::new(A::TYPE, id)?;
        Ok(EventStream::new(&*self.kind.shared.journal, stream, after.into()))
    }

    /// The ids of all aggregates of this type that have events, in order, fetched page by page.
    pub fn ids(&self) -> IdStream {
        IdStream::new(self.kind.shared.journal.clone(), A::TYPE)
    }

    /// Forgets the crashes of the aggregate `id` and takes commands for it again at once. Returns whether it was in
    /// quarantine.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when the id breaks the rules.
    pub fn lift_quarantine(&self, id: impl AsRef<str>) -> Result<bool, InvalidId> {
        Ok(self.kind.crashes.lift(&StreamId::new(A::TYPE, id)?))
    }
}

impl<A: Aggregate> Clone for Aggregates<A> {
    fn clone(&self) -> Self {
        Aggregates { kind: self.kind.clone() }
    }
}

impl<A: Aggregate> fmt::Debug for Aggregates<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Aggregates").field(&A::TYPE).finish()
    }
}
