//! The caller's side of several commands that are decided as one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use onefold_core::{Aggregate, CommandId, CorrelationId, ExpectedVersion};
use pin_project_lite::pin_project;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::policy::RetryPolicy;
use super::retry::Retry;
use super::sending::Sending;
use super::{identify, terms};
use crate::aggregate::execution::{Bulk, Progress, Terms};
use crate::aggregate::kind::Kind;
use crate::commands::Commands;
use crate::error::Error;
use crate::receipt::{Answering, ReplyOnly, WithReceipt};

pin_project! {
    /// Several commands of one aggregate on their way; resolves to a reply for each. See
    /// [`Aggregates::ask_all`](crate::Aggregates::ask_all).
    #[must_use = "commands are sent when their future is awaited"]
    pub struct AskAll<A, S, F = ReplyOnly>
    where
        A: Aggregate,
        S: Commands<A>,
        F: Answering<S::Replies>,
    {
        #[pin]
        sending: Sending<A, Bulk<A, S, F>>,
        progress: Arc<Progress>,
    }
}

impl<A: Aggregate, S: Commands<A>> AskAll<A, S> {
    pub(crate) fn new(kind: Arc<Kind<A>>, id: &str, commands: S) -> Self {
        let work = Bulk::new(commands);
        let progress = work.progress.clone();
        AskAll { sending: Sending::new(kind, id, work), progress }
    }

    /// Resolves to a [`Receipt`](crate::Receipt): the replies, with the version, the global position and the commit that they
    /// stand at.
    pub fn with_receipt(self) -> AskAll<A, S, WithReceipt> {
        AskAll { sending: self.sending.map(Bulk::map_answer), progress: self.progress }
    }
}

impl<A: Aggregate, S: Commands<A>, F: Answering<S::Replies>> AskAll<A, S, F> {
    terms!();

    /// Sends the commands again, all of them, when surely nothing was stored; with an
    /// [idempotency key](AskAll::idempotency_key) also when nobody knows. As [`Ask::retry`](crate::Ask::retry).
    pub fn retry(mut self, policy: RetryPolicy) -> Self
    where
        S: Clone,
    {
        if let Some(work) = &mut self.sending.work {
            work.copy = Some(S::clone);
        }
        self.sending.retry = Some(Box::new(Retry::new(policy)));
        self
    }

    /// Gives all of them together one key, under which they may be sent again without a second effect: a repeat is answered with
    /// the original replies. As [`Ask::idempotency_key`](crate::Ask::idempotency_key): the same key with other commands, with more
    /// or fewer of them, or in another order is [`Error::KeyReused`]; the same commands in another form, as a tuple instead of a
    /// vector, may be [`Error::AlreadyDone`]. Their replies together are one to remember, with its bound
    /// ([`reply_bytes_max`](onefold_core::Limits::reply_bytes_max)). If one of them is rejected nothing is remembered, and a repeat is
    /// decided anew. serde bounds arrays with a key to 32 commands; a `Vec` has no such bound.
    pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self
    where
        S: Serialize,
        S::Replies: Serialize + DeserializeOwned,
    {
        if let Some(work) = &mut self.sending.work {
            work.give_key(key.as_ref());
        }
        self
    }
}

impl<A: Aggregate, S: Commands<A>, F: Answering<S::Replies>> Future for AskAll<A, S, F> {
    type Output = Result<F::Output, BulkError<A::Rejection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.sending.poll_with(cx, |shared, work, asking, now| {
            work.progress.whole();
            identify(&mut work.terms.metadata, shared, asking, now);
            work.check_key()
        }));
        Poll::Ready(answer.map_err(|error| {
            // That nobody knows is never a single one's failure. A later attempt may have failed at one since.
            let is_unknown = matches!(error, Error::OutcomeUnknown(_));
            let index = if is_unknown { None } else { this.progress.index() };
            BulkError { index, error }
        }))
    }
}

impl<A: Aggregate, S: Commands<A>, F: Answering<S::Replies>> fmt::Debug for AskAll<A, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskAll").field("aggregate", &A::TYPE).field("id", &self.sending.id).finish_non_exhaustive()
    }
}

/// Why none of several commands has a reply, and which of them it was.
///
/// What the error says holds for all of them: they land together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkError<R> {
    /// The command that failed, counted from 0. `None` when it was none in particular: they were refused, or failed, as a
    /// whole.
    pub index: Option<usize>,
    /// Why.
    pub error: Error<R>,
}

impl<R: fmt::Display> fmt::Display for BulkError<R>
where
    Error<R>: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "command {index} of the bulk (counted from 0): {}", self.error),
            None => self.error.fmt(f),
        }
    }
}

impl<R: std::error::Error + 'static> std::error::Error for BulkError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<R> From<BulkError<R>> for Error<R> {
    fn from(bulk: BulkError<R>) -> Self {
        bulk.error
    }
}
