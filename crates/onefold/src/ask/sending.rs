//! What a command and a read have in common at their caller's: sent at the first poll, then waited for; perhaps sent again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use compact_str::CompactString;
use onefold_core::{Aggregate, CommandId, CorrelationId, Timestamp};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::retry::Retry;
use crate::aggregate::call::Call;
use crate::aggregate::execution::Work;
use crate::aggregate::kind::Kind;
use crate::aggregate::scope::Scope;
use crate::dispatch::{self, Sent, Times};
use crate::error::{Error, NotStoredReason};
use crate::instant;
use crate::runtime::deadlines::Ticket;
use crate::runtime::shared::Shared;

pin_project! {
    /// Sends at the first poll, then waits for the answer or the deadline.
    pub(crate) struct Sending<A: Aggregate, W: Work<A>> {
        kind: Arc<Kind<A>>,
        pub(super) id: CompactString,
        pub(super) limit: Option<Duration>,
        // Until the first poll.
        pub(super) work: Option<W>,
        call: Option<Arc<Call<A, W>>>,
        ticket: Option<Ticket>,
        pub(super) retry: Option<Box<Retry<W>>>,
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

/// The command that asks, when a handler does: its id and its correlation.
pub(super) type Asking = Option<(CommandId, CorrelationId)>;

impl<A: Aggregate, W: Work<A>> Sending<A, W> {
    pub(super) fn new(kind: Arc<Kind<A>>, id: &str, work: W) -> Self {
        let (id, work) = (CompactString::new(id), Some(work));
        Sending { kind, id, limit: None, work, call: None, ticket: None, retry: None }
    }

    /// The same before its first poll, with other work.
    pub(super) fn map<V: Work<A>>(mut self, map: impl FnOnce(W) -> V) -> Sending<A, V> {
        let (kind, id, work) = (self.kind.clone(), std::mem::take(&mut self.id), self.work.take().map(map));
        let retry = self.retry.take().map(|retry| Box::new(Retry::new(retry.policy)));
        Sending { kind, id, limit: self.limit, work, call: None, ticket: None, retry }
    }

    /// Takes it apart before its first poll.
    pub(super) fn into_parts(mut self) -> (Arc<Kind<A>>, CompactString, Option<Duration>, bool, Option<W>) {
        let (id, work) = (std::mem::take(&mut self.id), self.work.take());
        (self.kind.clone(), id, self.limit, self.retry.is_some(), work)
    }

    /// Sends, and waits for the answer; again after a failure, if that was asked for.
    pub(super) fn poll_with(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        prepare: impl Fn(&Shared, &mut W, Asking, Timestamp) -> Result<(), Error<A::Rejection>>,
    ) -> Poll<Result<W::Output, Error<A::Rejection>>> {
        loop {
            if let Some(retry) = self.as_mut().project().retry {
                ready!(retry.poll_pause(cx));
            }
            let answer = ready!(self.as_mut().poll_attempt(cx, &prepare));
            let this = self.as_mut().project();
            let (Some(retry), Err(error)) = (this.retry, &answer) else { return Poll::Ready(answer) };
            let Some(again) = retry.after(error, &this.kind.shared) else { return Poll::Ready(retry.conclude(answer)) };
            crate::telemetry::retried(A::TYPE, this.id, again.attempt, error.kind(), again.pause);
            *this.work = Some(again.work);
        }
    }

    fn poll_attempt(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        prepare: impl FnOnce(&Shared, &mut W, Asking, Timestamp) -> Result<(), Error<A::Rejection>>,
    ) -> Poll<Result<W::Output, Error<A::Rejection>>> {
        let this = self.project();
        let shared = &this.kind.shared;
        if let Some(mut work) = this.work.take() {
            // One that retries has first to be noted down as an attempt; one with a key is told what is wrong with that.
            if this.retry.is_none()
                && !work.has_key()
                && let Some(refusal) = dispatch::refuses(this.kind, this.id)
            {
                return Poll::Ready(Err(refusal));
            }
            let now = Instant::now();
            let mut deadline = instant::after(now, this.limit.unwrap_or(shared.config.deadline));
            let (scope, chain) = match Scope::current() {
                Some((command, correlation, chain)) => (Some((command, correlation)), Some(chain)),
                None => (None, None),
            };
            if let Err(error) = prepare(shared, &mut work, scope, shared.clock.now()) {
                return Poll::Ready(Err(error));
            }
            if let Some(retry) = this.retry {
                deadline = retry.attempting(deadline, work.has_key(), || work.again());
            }
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
