//! The handle to all aggregates of one type: ask, read, look at events.

use std::fmt;
use std::sync::Arc;

use onefold_core::{Aggregate, Handle, InvalidId, StreamId, StreamVersion};

use crate::aggregate::kind::Kind;
use crate::ask::{Ask, AskAll, AskMany, ReadState};
use crate::commands::Commands;
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

    /// Sends several commands to the aggregate `id`, which decides them in order, each on the state after those before it. Their
    /// events land in one commit, or none of them does.
    ///
    /// The commands are a `Vec` or an array of one type, or a tuple of different ones; the replies come in the same form. If
    /// one is rejected, or fails, nothing is stored, and [`BulkError`](crate::BulkError) tells which it was. A rejection speaks
    /// of the state after the commands before it, which did not happen either.
    ///
    /// The commands share one id, one deadline and one entry of metadata, and `handler_timeout` is each one's own. No other
    /// command comes in between. When one fails and events of others had been applied, the aggregate is rebuilt from its
    /// journal before the next command, which costs a replay: what is likely to be rejected is better asked on its own first.
    ///
    /// A handler that waits in [`Context::durable`](onefold_core::Context::durable) for the commands before it in the bulk would
    /// wait for ever: it is dropped, and the answer is `NotStored(NeverDurable)`.
    ///
    /// ```
    /// # use onefold::*;
    /// # async fn example<A, D, W>(accounts: Aggregates<A>, deposit: D, withdraw: W) -> Result<(), BulkError<A::Rejection>>
    /// # where A: Handle<D> + Handle<W>, D: Send + 'static, W: Send + 'static {
    /// let (deposited, withdrawn) = accounts.ask_all("ada", (deposit, withdraw)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ask_all<S: Commands<A>>(&self, id: impl AsRef<str>, commands: S) -> AskAll<A, S> {
        AskAll::new(self.kind.clone(), id.as_ref(), commands)
    }

    /// Sends a command to each of many aggregates, at most `concurrency` of them at a time, and gives each answer its own:
    /// what becomes of one command is nothing to the others.
    ///
    /// Commands to one aggregate take effect in the order in which they are given. A `concurrency` of 0 counts as 1, and one
    /// beyond [`admitted_max`](crate::Config::admitted_max) as that.
    ///
    /// ```
    /// # use onefold::*;
    /// # async fn example<A: Handle<C>, C: Clone + Send + 'static>(accounts: Aggregates<A>, charge: C) {
    /// let ids = ["ada", "bob", "eve"];
    /// let answers = accounts.ask_many(ids.map(|id| (id, charge.clone())), 64).await;
    /// assert_eq!(answers.len(), 3);
    /// # }
    /// ```
    pub fn ask_many<C, K, S>(
        &self,
        commands: S,
        concurrency: usize,
    ) -> AskMany<impl Iterator<Item = Ask<A, C>> + use<A, C, K, S>>
    where
        A: Handle<C>,
        C: Send + 'static,
        K: AsRef<str>,
        S: IntoIterator<Item = (K, C)>,
    {
        let (this, concurrency) = (self.clone(), concurrency.clamp(1, self.kind.shared.config.admitted_max));
        AskMany::new(commands.into_iter().map(move |(id, command)| this.ask(id, command)), concurrency)
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
