//! One decision over several aggregates: all of it is stored in one commit, or nothing.

mod error;
mod participants;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use onefold_core::{Metadata, StreamId};
use tokio::time::Instant;

pub use self::error::{InvalidTransact, TransactError};
use self::participants::Taking;
pub use self::participants::{Participants, RejectAs};
use crate::aggregate::joint::{End, Joint, Leaving};
use crate::aggregate::scope::{Chain, Scope};
use crate::dispatch::Times;
use crate::error::{Error, NotStoredReason};
use crate::instant;
use crate::runtime::deadlines::Ticket;
use crate::runtime::shared::Shared;

/// Asks several aggregates, of one type or of several, to decide together: what they decide, claims included, lands in one
/// commit, or nothing of it does. Each gets its own command and gives its own reply.
///
/// ```
/// # use onefold::*;
/// # struct Withdraw { amount: u64 }
/// # struct Deposit { amount: u64 }
/// # async fn example<A>(accounts: Aggregates<A>) -> Result<(), TransactError<<A as Aggregate>::Rejection>>
/// # where
/// #     A: Handle<Withdraw, Reply = u64> + Handle<Deposit, Reply = u64>,
/// # {
/// let amount = 30;
/// let (ada, bob) = transact((
///     accounts.ask("ada", Withdraw { amount }),
///     accounts.ask("bob", Deposit { amount }),
/// ))
/// .await?;
/// # let _: (u64, u64) = (ada, bob);
/// # Ok(())
/// # }
/// ```
///
/// The participants are a tuple of up to eight asks, a `Vec` or an array of them; none may be there twice. Each ask keeps
/// what it was told by [`expect_version`](crate::Ask::expect_version), [`or_merge`](crate::Ask::or_merge) and
/// [`with_receipt`](crate::Ask::with_receipt). A participant that decides on nothing is part of it all the same: the commit
/// lands only if it is still as it was when the others decided.
///
/// **What happens.** Each participant takes its place in its aggregate's queue, all of them at once. Where it is its turn the
/// aggregate is held: it waits until nothing of its own is on its way to the journal, and until all are held. Then all
/// handlers run, each on its own state. When all have decided, and none has failed, all apply, and one commit goes to the
/// journal. An aggregate that is held handles nothing else; that is bounded by
/// [`transact_hold_max`](crate::Config::transact_hold_max).
///
/// **What it costs.** About one sync of the disk for each transact and set of participants: on one pair of aggregates they
/// come one after the other, a sync each, where plain commands would share it. Transacts that have nothing to do with each
/// other share it as any others.
///
/// **Keys.** With an [`idempotency_key`](crate::Ask::idempotency_key) on every participant a repeat is answered with the
/// original replies and has no effect. If only some of them remember their key, nothing happens, and the answer is
/// [`Error::AlreadyDone`]. Rejections are not remembered.
///
/// **Inside.** A handler that asks another participant is told [`NotStoredReason::Reentrant`]: it would wait for itself.
/// `transact` inside of a handler that is itself a participant likewise.
///
/// A journal that cannot store commits of several streams answers with [`NotStoredReason::Unsupported`].
pub fn transact<P: Participants>(participants: P) -> Transact<P, P::Rejection> {
    Transact {
        seated: participants.seat(),
        joint: None,
        shared: None,
        first: None,
        limit: None,
        deadline: None,
        ticket: None,
        end: None,
        rejection: PhantomData,
    }
}

/// Several aggregates on their way to one decision; resolves to a reply of each. See [`transact`].
#[must_use = "commands are sent when their future is awaited"]
pub struct Transact<P: Participants, R> {
    seated: P::Seated,
    joint: Option<Arc<Joint>>,
    shared: Option<Arc<Shared>>,
    /// The first participant, for errors that concern all of them.
    first: Option<StreamId>,
    limit: Option<Duration>,
    deadline: Option<Instant>,
    ticket: Option<Ticket>,
    end: Option<End>,
    rejection: PhantomData<fn() -> R>,
}

impl<P: Participants, R> Unpin for Transact<P, R> {}

impl<P: Participants, R> Transact<P, R> {
    /// Waits at most this long, from the first poll on; `NotStored` or `OutcomeUnknown` tells whether it may still land.
    /// Default: the least that a participant was told, or else [`Config::deadline`](crate::Config::deadline).
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Tells rejections as an `S`, which those of all participants can be turned into. Without it they are told as those of
    /// the first participant.
    pub fn rejecting_as<S>(mut self) -> Transact<P, S>
    where
        P: RejectAs<S>,
    {
        Transact {
            seated: P::take(&mut self.seated),
            joint: None,
            shared: None,
            first: None,
            limit: self.limit,
            deadline: None,
            ticket: None,
            end: None,
            rejection: PhantomData,
        }
    }
}

impl<P: RejectAs<R>, R> Transact<P, R> {
    /// Puts everybody into their queue. Returns whether there is anything to wait for.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, TransactError<R>> {
        let mut each = P::each(&mut self.seated);
        let Some(first) = each.first() else { return Ok(false) };
        let shared = first.0.shared().clone();
        self.first = check(&each, &shared)?.into_iter().next();
        let (asking, chain) = match Scope::current() {
            Some((command, correlation, chain)) => (Some((command, correlation)), Some(chain)),
            None => (None, None),
        };
        let now = Instant::now();
        let mut metadata = merged(&mut each);
        crate::ask::identify(&mut metadata, &shared, asking, shared.clock.now());
        let limit = self.limit.or_else(|| each.iter().filter_map(|participant| participant.0.limit()).min());
        let deadline = instant::after(now, limit.unwrap_or(shared.config.deadline));
        let joint = Joint::new(shared.clone(), each.len());
        let mut slots = Vec::with_capacity(each.len());
        // IMPORTANT: all of them under one lock, see there.
        let in_order = shared.transacts.lock();
        for (index, participant) in each.iter_mut().enumerate() {
            participant.0.terms(&metadata);
            match participant.0.send(index, &joint, Times { now, deadline }, chain.clone(), cx) {
                Ok(slot) => slots.push(slot),
                Err(error) => {
                    drop(in_order);
                    joint.abandon();
                    each.iter_mut().for_each(|participant| participant.0.abandon());
                    return Err(TransactError { index: Some(index), error });
                }
            }
        }
        drop(in_order);
        joint.seal(Chain::with(slots, chain));
        self.deadline = Some(deadline);
        (self.joint, self.shared) = (Some(joint), Some(shared));
        Ok(true)
    }

    /// Waits until it has ended, or until its deadline.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Error<R>>> {
        let (Some(joint), Some(shared), Some(deadline)) = (&self.joint, &self.shared, self.deadline) else {
            panic!("a completed future was polled again");
        };
        if let Poll::Ready(end) = joint.poll_end(cx) {
            return Poll::Ready(Ok(end));
        }
        let reason = if shared.deadlines.has_ended() {
            NotStoredReason::ShuttingDown
        } else if self.ticket.is_some() {
            if Instant::now() < deadline {
                return Poll::Pending;
            }
            NotStoredReason::DeadlinePassed
        } else {
            self.ticket = shared.deadlines.enter(deadline, joint.clone());
            match self.ticket {
                Some(_) => return Poll::Pending,
                None => NotStoredReason::ShuttingDown,
            }
        };
        let Some(first) = &self.first else { panic!("a completed future was polled again") };
        let is_late = reason == NotStoredReason::DeadlinePassed;
        Poll::Ready(match joint.leave() {
            Leaving::Over(end) => Ok(end),
            Leaving::Unstored => Err(Error::not_stored(first, None, reason)),
            Leaving::Perhaps => {
                let what = if is_late { "the deadline passed" } else { "the runtime ended" };
                Err(Error::unknown(first, None, format!("{what} while it was on its way to the journal")))
            }
        })
    }

    fn poll_answers(&mut self, end: End, cx: &mut Context<'_>) -> Poll<Result<P::Replies, TransactError<R>>> {
        let mut each = P::each(&mut self.seated);
        if let End::Failed(index) = end {
            let Some(culprit) = each.get_mut(index) else { panic!("there is no participant {index}") };
            return culprit.0.poll_answer(cx).map(|answer| match answer {
                Err(error) => Err(TransactError { index: Some(index), error }),
                // Only a bug in this crate gets here; the caller still gets an answer.
                Ok(()) => Err(TransactError { index: Some(index), error: lost(self.first.as_ref()) }),
            });
        }
        for (index, participant) in each.iter_mut().enumerate() {
            match participant.0.poll_answer(cx) {
                Poll::Ready(Ok(())) => (),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(TransactError { index: Some(index), error })),
                Poll::Pending => return Poll::Pending,
            }
        }
        let whole = |error| TransactError { index: None, error };
        Poll::Ready(P::replies(&mut self.seated).ok_or_else(|| whole(lost(self.first.as_ref()))))
    }
}

fn lost<R>(first: Option<&StreamId>) -> Error<R> {
    match first {
        Some(stream) => Error::unknown(stream, None, "the answer was lost"),
        None => panic!("a completed future was polled again"),
    }
}

/// Whether they can decide together; their streams, in order.
fn check<R>(each: &[Taking<'_, R>], shared: &Arc<Shared>) -> Result<Vec<StreamId>, TransactError<R>> {
    // More than can be in memory would wait for each other's places.
    let limit = shared.config.transact_participants_max.min(shared.config.resident_max);
    let actual = each.len();
    if actual > limit {
        return Err(InvalidTransact::TooMany { actual, limit }.into());
    }
    let mut streams = Vec::with_capacity(actual);
    for (index, participant) in each.iter().enumerate() {
        let refused = |error| TransactError { index: Some(index), error };
        let stream = participant.0.stream().map_err(|invalid| refused(invalid.into()))?;
        participant.0.check().map_err(refused)?;
        let invalid = if !Arc::ptr_eq(participant.0.shared(), shared) {
            Some(InvalidTransact::OtherRuntime { stream: stream.clone() })
        } else if participant.0.retries() {
            Some(InvalidTransact::RetryInside { stream: stream.clone() })
        } else if streams.contains(&stream) {
            Some(InvalidTransact::Twice { stream: stream.clone() })
        } else {
            None
        };
        match invalid {
            Some(invalid) => return Err(refused(Error::InvalidTransact(invalid))),
            None => streams.push(stream),
        }
    }
    Ok(streams)
}

/// The metadata of the one commit: what any participant was told. Of two that were told different things, the first.
fn merged<R>(each: &mut [Taking<'_, R>]) -> Metadata {
    let mut all = each.iter_mut().map(|participant| participant.0.metadata());
    let mut merged = all.next().unwrap_or_default();
    for metadata in all {
        merged.causation_id = merged.causation_id.or(metadata.causation_id);
        if merged.correlation_id == Default::default() {
            merged.correlation_id = metadata.correlation_id;
        }
        for (key, value) in metadata.entries.iter() {
            if merged.entries.get(key).is_none() {
                merged.entries.set(key, value);
            }
        }
    }
    merged
}

impl<P: RejectAs<R>, R> Future for Transact<P, R> {
    type Output = Result<P::Replies, TransactError<R>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.joint.is_none() && !this.send(cx)? {
            // Nobody takes part: nothing is asked, and nothing happens.
            let none = P::replies(&mut this.seated).expect("the replies of nobody are there");
            return Poll::Ready(Ok(none));
        }
        let end = match this.end {
            Some(end) => end,
            None => match this.poll_end(cx) {
                Poll::Ready(Ok(end)) => *this.end.insert(end),
                Poll::Ready(Err(error)) => {
                    this.leave();
                    return Poll::Ready(Err(TransactError { index: None, error }));
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        let answer = std::task::ready!(this.poll_answers(end, cx));
        this.leave();
        Poll::Ready(answer)
    }
}

impl<P: Participants, R> Transact<P, R> {
    /// Goes away: what waits in a queue is taken back.
    fn leave(&mut self) {
        if let (Some(ticket), Some(shared)) = (self.ticket.take(), &self.shared) {
            shared.deadlines.leave(ticket);
        }
        if let Some(joint) = &self.joint {
            joint.abandon();
            P::abandon(&mut self.seated);
        }
    }
}

impl<P: Participants, R> Drop for Transact<P, R> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<P: Participants, R> fmt::Debug for Transact<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transact").field("first", &self.first).finish_non_exhaustive()
    }
}
