//! What a simulation can find to be wrong.

use onefold::{StreamId, StreamVersion};
use onefold_testkit::history;

use crate::witness::OperationId;

/// A broken promise, by its number in `docs/guarantees.md`, or a mistake in the simulated aggregate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The answers do not fit together, or not with what is stored.
    #[error("P1, P3, P5, P7 or P10: {0}")]
    History(#[from] history::Violation),
    /// Something was shown before it was durable.
    #[error("P2: {stream}: operation {operation} was shown version {version} when only {durable} was durable")]
    NotDurable {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// What it was shown.
        version: StreamVersion,
        /// What was durable.
        durable: StreamVersion,
    },
    /// The numbers of commits or positions are not dense.
    #[error("P3: commit {commit}: {reason}")]
    Numbers {
        /// The commit.
        commit: u64,
        /// What is wrong.
        reason: String,
    },
    /// What the journal says of claims does not fit together: one had two holders.
    #[error("P5: commit {commit}: {reason}")]
    Claims {
        /// The commit.
        commit: u64,
        /// What is wrong.
        reason: String,
    },
    /// Of what several aggregates decided together one part is stored and another is not.
    #[error("P5: asked together: {operations:?}: {reason}")]
    NotTogether {
        /// The participants.
        operations: Vec<OperationId>,
        /// What is wrong.
        reason: String,
    },
    /// Two commands ran on one instance at the same time.
    #[error("P4: {stream}: operation {second} was begun while {first} was running")]
    TwoAtOnce {
        /// The aggregate.
        stream: StreamId,
        /// The one that ran.
        first: OperationId,
        /// The one that was begun.
        second: OperationId,
    },
    /// Somebody was not answered.
    #[error("P6: never answered: {operations:?}")]
    Unanswered {
        /// The operations; at most ten.
        operations: Vec<OperationId>,
    },
    /// Somebody was answered long after the deadline.
    #[error("P6: {stream}: operation {operation} was answered {late:?} after its deadline")]
    Late {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// How long after.
        late: std::time::Duration,
    },
    /// Everything is answered, and the runtime still counts something as admitted; or it did not end cleanly.
    #[error("P6: {what}")]
    LeftOver {
        /// What is left.
        what: String,
    },
    /// An answer that does not fit what happened.
    #[error("P7: {stream}: operation {operation} was answered \"{answer}\", but {why}")]
    WrongAnswer {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// The answer.
        answer: String,
        /// What speaks against it.
        why: &'static str,
    },
    /// A command ran though the outcome of its idempotency key was stored.
    #[error("P8: {stream}: operation {operation} ran, though what came of its key {key} was stored")]
    RanAgain {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// Its key.
        key: String,
    },
    /// A command with an idempotency key was answered something else than what is stored with the key.
    #[error("P8: {stream}: operation {operation} was told {told} for its key {key}, and stored is {stored}")]
    WrongRepeat {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// Its key.
        key: String,
        /// The answer.
        told: String,
        /// What is stored.
        stored: String,
    },
    /// One idempotency key has two effects in the journal.
    #[error("P8: {stream}: key {key} is in commit {first} and in commit {second}")]
    SecondEffect {
        /// The aggregate.
        stream: StreamId,
        /// The key.
        key: String,
        /// The one commit.
        first: u64,
        /// The other one.
        second: u64,
    },
    /// A commit does not remember the idempotency key of its command, or another one.
    #[error("P8: {stream}: commit {commit} is of a command with the key {key:?}, and remembers {remembered:?}")]
    KeyNotStored {
        /// The aggregate.
        stream: StreamId,
        /// The commit.
        commit: u64,
        /// The command's key.
        key: Option<String>,
        /// What is stored.
        remembered: Option<String>,
    },
    /// A state in memory is not what the events of the journal give.
    #[error("P11: {stream}: the state that operation {operation} saw at version {version} is not the journal's")]
    StateDiffers {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// The version of the state.
        version: StreamVersion,
    },
    /// A state in memory is not what a replay gives, by the scenario's `view`.
    #[error("P11: {stream} at version {version}: in memory {live}, after a replay {replayed}")]
    LiveDiffers {
        /// The aggregate.
        stream: StreamId,
        /// The version of both.
        version: StreamVersion,
        /// The state in memory.
        live: String,
        /// The state after a replay.
        replayed: String,
    },
    /// The runtime's version is not the number of events applied.
    #[error("P11: {stream}: operation {operation} ran at version {told}, its state has {applied} events")]
    VersionDiffers {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// The runtime's version.
        told: StreamVersion,
        /// The state's.
        applied: StreamVersion,
    },
    /// A bound was not kept.
    #[error("P14: {what}")]
    Bound {
        /// Which, and what was found.
        what: String,
    },
    /// A command ran before one that was admitted earlier.
    #[error("P16: {stream}: operation {operation} ran after {later}, which was admitted later")]
    OutOfOrder {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// The one that overtook it.
        later: OperationId,
    },
    /// A command ran twice.
    #[error("P17: {stream}: operation {operation} ran twice")]
    RanTwice {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
    },
    /// A command ran though its caller had left, or had been answered, before it began.
    #[error("P17: {stream}: operation {operation} was begun after its caller had left or had been answered")]
    RanAfterLeaving {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
    },
    /// A command ran though its deadline had passed before it began.
    #[error("P17: {stream}: operation {operation} was begun after its deadline")]
    RanAfterDeadline {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
    },
    /// A handler was dropped in the middle, without a reason.
    #[error("P17: {stream}: the handler of operation {operation} was dropped in the middle")]
    Dropped {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
    },
    /// The aggregate's own code panicked.
    #[error("your aggregate: {stream}: {stage} panicked: {message}")]
    Panicked {
        /// The aggregate.
        stream: StreamId,
        /// Where: handle, apply, reply, read or weight.
        stage: String,
        /// What it said.
        message: String,
    },
    /// Something outside of the aggregate's code panicked.
    #[error("the runtime panicked: {message}")]
    RuntimePanicked {
        /// What it said.
        message: String,
    },
    /// The scenario's `invariant` does not hold.
    #[error("your aggregate: {stream} at version {version}: {reason}")]
    Invariant {
        /// The aggregate.
        stream: StreamId,
        /// The version of the state.
        version: StreamVersion,
        /// What the invariant says.
        reason: String,
    },
    /// A command's own check does not hold.
    #[error("your aggregate: {stream}: operation {operation} was given a wrong reply: {reason}")]
    WrongReply {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// What the check says.
        reason: String,
    },
    /// What is stored can't be read back.
    #[error("P12: {stream} at version {version}: what is stored can't be read: {reason}")]
    Unreadable {
        /// The aggregate.
        stream: StreamId,
        /// The event.
        version: StreamVersion,
        /// Why.
        reason: String,
    },
}
