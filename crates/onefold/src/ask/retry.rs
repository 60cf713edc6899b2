//! Trying again, for a caller who asked for it: counts attempts, keeps the next one's work, and pauses in between.
//!
//! Only what surely was not stored is tried again, and only while this runtime could still take it; with an idempotency key, by
//! which a repeat is recognised, what was perhaps stored as well. Pauses are kept by the
//! runtime's own table of deadlines, so any executor may poll the caller.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::policy::RetryPolicy;
use crate::error::{Error, NotStoredReason, OutcomeUnknown};
use crate::instant;
use crate::runtime::deadlines::{Deadlines, Ticket, Waiting};
use crate::runtime::shared::Shared;

/// The retries of one command. `W` is the work that an attempt sends.
pub(super) struct Retry<W> {
    pub(super) policy: RetryPolicy,
    /// The next attempt's work, if there may be one.
    next: Option<W>,
    /// How many attempts were made.
    attempt: u32,
    /// That of all attempts together, from the first one on.
    deadline: Option<Instant>,
    pause: Option<Pause>,
    /// Whether a repeat is recognised.
    has_key: bool,
    /// The outcome of an earlier attempt that nobody knows.
    unknown: Option<Box<OutcomeUnknown>>,
}

/// What comes after a failure.
pub(super) struct Again<W> {
    pub(super) work: W,
    pub(super) pause: std::time::Duration,
    pub(super) attempt: u32,
}

impl<W> Retry<W> {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        let policy = policy.bounded();
        Retry { policy, next: None, attempt: 0, deadline: None, pause: None, has_key: false, unknown: None }
    }

    /// An attempt is about to be made: takes `copy` of its work if there may be another. Returns the deadline of all
    /// attempts, which is the first one's.
    pub(super) fn attempting(&mut self, deadline: Instant, has_key: bool, copy: impl FnOnce() -> Option<W>) -> Instant {
        self.attempt += 1;
        self.has_key = has_key;
        self.next = if self.attempt < self.policy.attempts { copy() } else { None };
        *self.deadline.get_or_insert(deadline)
    }

    /// What to do after `error`: `None` if it is the caller's.
    pub(super) fn after<R>(&mut self, error: &Error<R>, shared: &Shared) -> Option<Again<W>> {
        if let Error::OutcomeUnknown(unknown) = error {
            self.unknown = Some(unknown.clone());
        }
        if !may_be_tried_again(error, self.has_key) || shared.is_closing() {
            return None;
        }
        let work = self.next.take()?;
        let pause = self.policy.pause(self.attempt, shared.next_random(), error.retry_after());
        let now = Instant::now();
        let until = instant::after(now, pause);
        // With nothing left for the attempt itself it would only spend the time to fail.
        if self.deadline.is_some_and(|deadline| until >= deadline) {
            return None;
        }
        self.pause = Some(Pause::new(until, shared.deadlines.clone()));
        Some(Again { work, pause, attempt: self.attempt })
    }

    /// What the caller is told by the last answer. An attempt that did not come to a decision says nothing about an earlier one
    /// that was perhaps stored: then that is what the caller must hear.
    pub(super) fn conclude<T, R>(&mut self, answer: Result<T, Error<R>>) -> Result<T, Error<R>> {
        match (answer, self.unknown.take()) {
            (Err(error), Some(unknown)) if !is_decided(&error) => Err(Error::OutcomeUnknown(unknown)),
            (answer, _) => answer,
        }
    }

    /// Ready when no pause is under way.
    pub(super) fn poll_pause(&mut self, cx: &Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            if pause.poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        Poll::Ready(())
    }
}

/// Whether the same command may be sent again, and whether this runtime may answer otherwise then.
///
/// IMPORTANT: an outcome that is not known only with a key: without one by which the first attempt could be recognised, the
/// second one may happen twice. This is the one place that decides it.
fn may_be_tried_again<R>(error: &Error<R>, has_key: bool) -> bool {
    match error {
        Error::NotStored(not_stored)
            if matches!(not_stored.reason, NotStoredReason::Poisoned { .. } | NotStoredReason::ShuttingDown) =>
        {
            false
        }
        Error::OutcomeUnknown(_) => has_key,
        error => error.is_retry_safe(),
    }
}

/// Whether the aggregate has looked at the command: then no earlier attempt of it was stored, or this is its answer.
fn is_decided<R>(error: &Error<R>) -> bool {
    match error {
        Error::Rejected(_)
        | Error::Conflict { .. }
        | Error::TooLarge { .. }
        | Error::Encode { .. }
        | Error::InvalidClaim { .. }
        | Error::ClaimTaken { .. }
        | Error::ClaimNotHeld { .. }
        | Error::KeyReused { .. }
        | Error::AlreadyDone(_) => true,
        Error::InvalidId(_)
        | Error::InvalidTransact(_)
        | Error::InvalidKey(_)
        | Error::Unserializable { .. }
        | Error::Overloaded { .. }
        | Error::DiskLow { .. }
        | Error::NotStored(_)
        | Error::Quarantined(_)
        | Error::OutcomeUnknown(_) => false,
    }
}

/// A pause between two attempts. Dropped, it is not waited for any more.
struct Pause {
    until: Instant,
    deadlines: Arc<Deadlines>,
    sleeper: Arc<Sleeper>,
    ticket: Option<Ticket>,
}

/// Whom to wake at its end.
#[derive(Default)]
struct Sleeper(Mutex<Option<Waker>>);

impl Waiting for Sleeper {
    fn nudge(&self) {
        let waker = self.0.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Pause {
    fn new(until: Instant, deadlines: Arc<Deadlines>) -> Self {
        Pause { until, deadlines, sleeper: Arc::default(), ticket: None }
    }

    /// Ready at its end; or when the tokio runtime has ended, which the next attempt is told.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        // IMPORTANT: before looking at the time. Whoever nudges after the look finds the waker.
        *self.sleeper.0.lock() = Some(cx.waker().clone());
        if Instant::now() >= self.until || self.deadlines.has_ended() {
            return Poll::Ready(());
        }
        if self.ticket.is_none() {
            self.ticket = self.deadlines.enter(self.until, self.sleeper.clone());
        }
        match self.ticket {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.deadlines.leave(ticket);
        }
    }
}
