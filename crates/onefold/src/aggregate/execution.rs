//! One command, straight down: handle, encode and check limits, submit, apply, reply. Nothing here waits for the journal.
//!
//! A failure up to encoding costs nothing but itself. From applying on the state is ahead of the journal; a panic there
//! discards it, before anything was handed to the journal.

mod bulk;
mod claiming;
mod command;
mod deciding;
mod expiry;
mod missed;
mod part;
mod read;
mod remembering;
mod supervised;

use std::future::Future;
use std::sync::Arc;

use onefold_core::journal::{Appended, EncodeError, EncodedEvents};
use onefold_core::{Aggregate, ExpectedVersion, Limits, Metadata, TooLarge};

pub(crate) use self::bulk::{Bulk, Deciding, Progress, Stop};
pub(crate) use self::claiming::{Claiming, Refusals};
pub(crate) use self::command::Command;
pub(crate) use self::expiry::Expiry;
pub(crate) use self::part::Part;
pub(crate) use self::read::Read;
use super::call::Call;
use super::instance::Instance;
use super::run::Runner;
use crate::error::Error;

/// What a call does on an instance: a command, or a read.
pub(crate) trait Work<A: Aggregate>: Sized + Send + 'static {
    type Output: Send + 'static;

    /// Whether the answer tells its place in the journal: then `place` is called before it leaves.
    const TELLS_PLACE: bool;

    /// Whether it may have something to store.
    const STORES: bool;

    /// Whether it always waits in the queue, for the actor to run it.
    const QUEUES: bool = false;

    fn place(output: &mut Self::Output, place: Appended);

    /// What it holds on the heap while it waits.
    fn heap_bytes(&self) -> usize;

    /// A copy for another attempt, if it was told how to make one.
    fn again(&self) -> Option<Self> {
        None
    }

    /// Whether a repeat of it is recognised.
    fn has_key(&self) -> bool {
        false
    }

    fn perform(
        self,
        instance: &mut Instance<A>,
        call: &Arc<Call<A, Self>>,
        runner: Runner,
    ) -> impl Future<Output = Performed<A, Self::Output>> + Send;
}

/// How a call's work ended.
pub(crate) enum Performed<A: Aggregate, T> {
    /// An answer that depends on the state, and nothing to store. Goes through the gate.
    Answered(Result<T, Error<A::Rejection>>),
    /// Something to store: events, by which the state is ahead, or a key that remembers the answer.
    Decided { answer: Result<T, Error<A::Rejection>>, commit: Commit<A::Rejection> },
    /// What it decided is on its way to the journal, with the answer held: as a part of a joint commit.
    Joined,
    /// The events are applied, but can't be handed to the journal: the state is worthless.
    Spoiled(Error<A::Rejection>),
    /// An error that shows nothing of the state, and no version in flight. Leaves at once.
    Failed(Error<A::Rejection>),
    /// The deadline was faster; the caller has been told.
    Cancelled,
}

/// What goes to the journal.
pub(crate) struct Commit<R> {
    pub(crate) expected: ExpectedVersion,
    /// The events, and what is remembered of the command.
    pub(crate) events: EncodedEvents,
    /// What it asks of claims.
    pub(crate) claims: Option<Box<Claiming<R>>>,
    pub(crate) metadata: Vec<u8>,
}

/// The reply to a command, and what goes to the journal before it leaves; or the error that makes the state worthless.
pub(crate) type Applied<T, R> = Result<(T, Commit<R>), Error<R>>;

impl<R> Commit<R> {
    /// Of events alone.
    pub(crate) fn new(expected: impl Into<ExpectedVersion>, events: EncodedEvents, metadata: Vec<u8>) -> Self {
        Commit { expected: expected.into(), events, claims: None, metadata }
    }
}

/// On which terms a command is asked, and what is stored with it.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(crate) expected: ExpectedVersion,
    pub(crate) metadata: Metadata,
}

/// Whether a commit of that many bytes is within its limit.
fn commit_fits(limits: &Limits, actual: usize) -> Result<(), TooLarge> {
    let limit = limits.commit_bytes_max;
    if actual > limit { Err(TooLarge::Commit { actual, limit }) } else { Ok(()) }
}

fn not_encoded<A: Aggregate>(instance: &Instance<A>, error: EncodeError) -> Error<A::Rejection> {
    let (stream, version) = (instance.slot.stream.clone(), instance.version);
    match error {
        EncodeError::TooLarge(what) => Error::TooLarge { stream, version, what },
        error => Error::Encode { stream, version, error },
    }
}
