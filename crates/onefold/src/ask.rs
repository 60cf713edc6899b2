//! The caller's side of a command or a read: a hand-written future, `'static`, without a box of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use compact_str::CompactString;
use onefold_core::{Aggregate, CommandId, CorrelationId, ExpectedVersion, Handle, Metadata, StreamVersion};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::aggregate::call::Call;
use crate::aggregate::execution::{Command, Read, Work};
use crate::aggregate::kind::Kind;
use crate::aggregate::scope::Scope;
use crate::dispatch::{self, Sent, Times};
use crate::error::{Error, NotStoredReason};
use crate::instant;
use crate::runtime::deadlines::Ticket;

pin_project! {
    /// A command on its way; resolves to its reply. See [`Aggregates::ask`](crate::Aggregates::ask).
    #[must_use = "a command is sent when its future is awaited"]
    pub struct Ask<A, C>
    where
        A: Handle<C>,
        C: Send,
        C: 'static,
    {
        #[pin]
        sending: Sending<A, Command<C>>,
    }
}

impl<A: Handle<C>, C: Send + 'static> Ask<A, C> {
    pub(crate) fn new(kind: Arc<Kind<A>>, id: &str, command: C) -> Self {
        let work = Command { command, expected: ExpectedVersion::Any, metadata: Metadata::default() };
        Ask { sending: Sending::new(kind, id, work) }
    }

    /// Waits at most this long, from the first poll on. What the error says then tells whether the command may still land:
    /// `NotStored` or `OutcomeUnknown`. Default: [`Config::deadline`](crate::Config::deadline).
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.sending.limit = Some(limit);
        self
    }

    /// Decides only if the aggregate is at this version; otherwise the answer is [`Error::Conflict`].
    pub fn expect_version(mut self, expected: impl Into<ExpectedVersion>) -> Self {
        self.edit(|work| work.expected = expected.into());
        self
    }

    /// Ties the command to a purpose. Default: that of the command being handled, when asked from inside a handler;
    /// otherwise the command's own id.
    pub fn correlation(mut self, correlation: CorrelationId) -> Self {
        self.edit(|work| work.metadata.correlation_id = correlation);
        self
    }

    /// Names the command that caused this one. Default: the command being handled, when asked from inside a handler.
    pub fn causation(mut self, causation: CommandId) -> Self {
        self.edit(|work| work.metadata.causation_id = Some(causation));
        self
    }

    /// Adds an entry to the metadata, which is stored with the events.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.edit(|work| work.metadata.entries.set(key, value));
        self
    }

    /// Everything can be told until the first poll, which takes the future by value or pins it.
    fn edit(&mut self, edit: impl FnOnce(&mut Command<C>)) {
        if let Some(work) = &mut self.sending.work {
            edit(work);
        }
    }
}

impl<A: Handle<C>, C: Send + 'static> Future for Ask<A, C> {
    type Output = Result<A::Reply, Error<A::Rejection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().sending.poll_with(cx, |shared, work, scope, now_command| {
            let metadata = &mut work.metadata;
            metadata.command_id = shared.next_command_id();
            metadata.timestamp = now_command;
            if let Some((command_id, correlation_id)) = scope {
                metadata.causation_id = metadata.causation_id.or(Some(command_id));
                if metadata.correlation_id == CorrelationId::default() {
                    metadata.correlation_id = correlation_id;
                }
            }
            if metadata.correlation_id == CorrelationId::default() {
                metadata.correlation_id = CorrelationId::from_u128(metadata.command_id.as_u128());
            }
        })
    }
}

impl<A: Handle<C>, C: Send + 'static> fmt::Debug for Ask<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("aggregate", &A::TYPE).field("id", &self.sending.id).finish_non_exhaustive()
    }
}

type Look<A, T> = Box<dyn FnOnce(&A, StreamVersion) -> T + Send>;

pin_project! {
    /// A read on its way. See [`Aggregates::read`](crate::Aggregates::read).
    #[must_use = "a read happens when its future is awaited"]
    pub struct ReadState<A: Aggregate, T>
    where
        T: Send,
        T: 'static,
    {
        #[pin]
        sending: Sending<A, Read<Look<A, T>>>,
    }
}

impl<A: Aggregate, T: Send + 'static> ReadState<A, T> {
    pub(crate) fn new(kind: Arc<Kind<A>>, id: &str, look: Look<A, T>) -> Self {
        ReadState { sending: Sending::new(kind, id, Read(look)) }
    }

    /// Waits at most this long, from the first poll on.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.sending.limit = Some(limit);
        self
    }
}

impl<A: Aggregate, T: Send + 'static> Future for ReadState<A, T> {
    type Output = Result<T, Error<A::Rejection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().sending.poll_with(cx, |_, _, _, _| ())
    }
}

impl<A: Aggregate, T: Send + 'static> fmt::Debug for ReadState<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadState").field("aggregate", &A::TYPE).field("id", &self.sending.id).finish_non_exhaustive()
    }
}

pin_project! {
    /// Sends at the first poll, then waits for the answer or the deadline.
    struct Sending<A: Aggregate, W: Work<A>> {
        kind: Arc<Kind<A>>,
        id: CompactString,
        limit: Option<Duration>,
        work: Option<W>,
        call: Option<Arc<Call<A, W>>>,
        ticket: Option<Ticket>,
    }

    impl<A: Aggregate, W: Work<A>> PinnedDrop for Sending<A, W> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(ticket) = this.ticket.take() {
                this.kind.shared.deadlines.leave(ticket);
            }
            if let Some(call) = this.call.take() {
                call.abandon();
            }
        }
    }
}

impl<A: Aggregate, W: Work<A>> Sending<A, W> {
    fn new(kind: Arc<Kind<A>>, id: &str, work: W) -> Self {
        Sending { kind, id: CompactString::new(id), limit: None, work: Some(work), call: None, ticket: None }
    }

    fn poll_with(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        prepare: impl FnOnce(
            &crate::runtime::shared::Shared,
            &mut W,
            Option<(CommandId, CorrelationId)>,
            onefold_core::Timestamp,
        ),
    ) -> Poll<Result<W::Output, Error<A::Rejection>>> {
        let this = self.project();
        let shared = &this.kind.shared;
        if let Some(mut work) = this.work.take() {
            let now = Instant::now();
            let deadline = instant::after(now, this.limit.unwrap_or(shared.config.deadline));
            let (scope, chain) = match Scope::current() {
                Some((command, correlation, chain)) => (Some((command, correlation)), Some(chain)),
                None => (None, None),
            };
            prepare(shared, &mut work, scope, shared.clock.now());
            match dispatch::send(this.kind, this.id, work, Times { now, deadline }, chain, cx) {
                Ok(Sent(call)) => *this.call = Some(call),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let Some(call) = this.call else {
            panic!("a completed future was polled again");
        };
        let answer = match call.poll_answer(cx) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                let reason = if shared.deadlines.has_ended() {
                    NotStoredReason::ShuttingDown
                } else if this.ticket.is_some() {
                    if Instant::now() < call.deadline {
                        return Poll::Pending;
                    }
                    NotStoredReason::DeadlinePassed
                } else {
                    *this.ticket = shared.deadlines.enter(call.deadline, call.clone());
                    match this.ticket {
                        Some(_) => return Poll::Pending,
                        None => NotStoredReason::ShuttingDown,
                    }
                };
                call.expire(reason)
            }
        };
        if let Some(ticket) = this.ticket.take() {
            shared.deadlines.leave(ticket);
        }
        *this.call = None;
        Poll::Ready(answer)
    }
}
