//! A running handler, watched: its timeout, the caller's deadline, and earlier appends that fail under it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use onefold_core::Aggregate;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

use super::super::run::Runner;
use super::super::scope::Scope;
use super::super::slot::Slot;
use crate::config::Config;
use crate::error::NotStoredReason;
use crate::instant;

/// How a handler ended.
pub(super) enum End<T> {
    Returned(T),
    /// `handler_timeout`.
    TimedOut,
    DeadlinePassed,
    /// An earlier append failed: the state it looked at is not the journal's.
    Superseded,
    /// The runtime ended.
    Closed,
    /// It waits for what its own bulk has not stored yet.
    NeverDurable,
}

impl<T> End<T> {
    /// Why there is nothing to store. One that returned never asks.
    pub(super) fn reason(self, config: &Config) -> NotStoredReason {
        match self {
            End::TimedOut => NotStoredReason::HandlerTimeout { limit: config.handler_timeout },
            End::DeadlinePassed => NotStoredReason::DeadlinePassed,
            End::Returned(_) | End::Superseded => NotStoredReason::Superseded,
            End::Closed => NotStoredReason::ShuttingDown,
            End::NeverDurable => NotStoredReason::NeverDurable,
        }
    }
}

pin_project! {
    /// Most handlers are ready at the first poll; only those that are not pay for a timer. `runner` says afterwards who polls
    /// from now on.
    pub(super) struct Supervised<'a, A: Aggregate, F> {
        #[pin]
        handler: F,
        slot: &'a Slot<A>,
        scope: Option<Scope>,
        span: Span,
        // `None`: nothing but the deadline ends it.
        timeout: Option<Duration>,
        deadline: Instant,
        timer: Option<Pin<Box<Sleep>>>,
        runner: &'a mut Runner,
    }
}

impl<'a, A: Aggregate, F: Future> Supervised<'a, A, F> {
    pub(super) fn new(
        handler: F,
        slot: &'a Slot<A>,
        scope: Option<Scope>,
        span: Span,
        deadline: Instant,
        runner: &'a mut Runner,
    ) -> Self {
        let timeout = Some(slot.shared.config.handler_timeout);
        Supervised { handler, slot, scope, span, timeout, deadline, timer: None, runner }
    }

    /// What is no handler, and has no time but its deadline.
    pub(super) fn without_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }
}

impl<A: Aggregate, F: Future> Future for Supervised<'_, A, F> {
    type Output = End<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let entered = this.span.enter();
        let polled = Scope::enter(this.scope, || this.handler.poll(cx));
        drop(entered);
        if let Poll::Ready(output) = polled {
            return Poll::Ready(End::Returned(output));
        }
        // IMPORTANT: only the actor may wait with the slot, which knows a single waker. It will poll again at once.
        if std::mem::replace(*this.runner, Runner::Actor) == Runner::Caller {
            return Poll::Pending;
        }
        if this.slot.awaits_itself() {
            return Poll::Ready(End::NeverDurable);
        }
        let timer = this.timer.get_or_insert_with(|| {
            let limit = this.timeout.map_or(*this.deadline, |timeout| instant::after(Instant::now(), timeout));
            Box::pin(sleep_until(limit.min(*this.deadline)))
        });
        if timer.as_mut().poll(cx).is_ready() {
            let late = timer.deadline() >= *this.deadline;
            return Poll::Ready(if late { End::DeadlinePassed } else { End::TimedOut });
        }
        if this.slot.poll_broken(cx).is_ready() {
            return Poll::Ready(if this.slot.is_closed() { End::Closed } else { End::Superseded });
        }
        Poll::Pending
    }
}
