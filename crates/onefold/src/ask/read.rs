//! The caller's side of a read.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use onefold_core::{Aggregate, StreamVersion};
use pin_project_lite::pin_project;

use super::sending::Sending;
use crate::aggregate::execution::Read;
use crate::aggregate::kind::Kind;
use crate::error::Error;
use crate::receipt::{Answering, ReplyOnly, WithReceipt};

type Look<A, T> = Box<dyn FnOnce(&A, StreamVersion) -> T + Send>;

pin_project! {
    /// A read on its way. See [`Aggregates::read`](crate::Aggregates::read).
    #[must_use = "a read happens when its future is awaited"]
    pub struct ReadState<A: Aggregate, T, F = ReplyOnly>
    where
        T: Send,
        T: 'static,
        F: Answering<T>,
    {
        #[pin]
        sending: Sending<A, Read<Look<A, T>, F>>,
    }
}

impl<A: Aggregate, T: Send + 'static> ReadState<A, T> {
    pub(crate) fn new(kind: Arc<Kind<A>>, id: &str, look: Look<A, T>) -> Self {
        ReadState { sending: Sending::new(kind, id, Read::new(look)) }
    }

    /// Resolves to a [`Receipt`](crate::Receipt): what was read, with the version it was read at and a position behind
    /// everything that it depends on.
    pub fn with_receipt(self) -> ReadState<A, T, WithReceipt> {
        ReadState { sending: self.sending.map(Read::map_answer) }
    }
}

impl<A: Aggregate, T: Send + 'static, F: Answering<T>> ReadState<A, T, F> {
    /// Waits at most this long, from the first poll on.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.sending.limit = Some(limit);
        self
    }
}

impl<A: Aggregate, T: Send + 'static, F: Answering<T>> Future for ReadState<A, T, F> {
    type Output = Result<F::Output, Error<A::Rejection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().sending.poll_with(cx, |_, _, _, _| Ok(()))
    }
}

impl<A: Aggregate, T: Send + 'static, F: Answering<T>> fmt::Debug for ReadState<A, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadState").field("aggregate", &A::TYPE).field("id", &self.sending.id).finish_non_exhaustive()
    }
}
