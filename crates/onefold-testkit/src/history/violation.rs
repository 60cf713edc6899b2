//! What can be wrong with a history.

use onefold_core::journal::ReadError;
use onefold_core::{CommitNumber, StreamId, StreamVersion};

use super::{OperationId, Reply};

/// Why a history is not that of linearizable aggregates on this journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Two successes replied the same version.
    #[error("{stream}: operations {first} and {second} were both told version {version}")]
    SameVersion {
        /// The aggregate.
        stream: StreamId,
        /// The version both replied.
        version: StreamVersion,
        /// One of them.
        first: OperationId,
        /// The other.
        second: OperationId,
    },
    /// A success replied a version that cannot be: fewer versions than events.
    #[error("{stream}: operation {operation} was told version {version} after storing {events} events")]
    ImpossibleVersion {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// The version it replied.
        version: StreamVersion,
        /// The events it claims.
        events: u64,
    },
    /// An operation returned before another began, yet comes after it.
    #[error(
        "{stream}: operation {later} began after {earlier} had returned, yet it stood at version {later_at} and the \
         earlier one at {earlier_at}"
    )]
    OutOfOrder {
        /// The aggregate.
        stream: StreamId,
        /// Returned first.
        earlier: OperationId,
        /// The version it reached or saw.
        earlier_at: StreamVersion,
        /// Began after that.
        later: OperationId,
        /// The version it saw, or decided on.
        later_at: StreamVersion,
    },
    /// A success is not in the journal.
    #[error("{stream}: operation {operation} was told version {version}, but the journal has nothing of it")]
    Lost {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// The version it replied.
        version: StreamVersion,
    },
    /// A success is in the journal at other versions than it replied.
    #[error(
        "{stream}: operation {operation} was told versions {told:?}, the journal has it at {found:?} (first, last)"
    )]
    Misplaced {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// First and last version by its reply.
        told: (StreamVersion, StreamVersion),
        /// First and last version in the journal.
        found: (StreamVersion, StreamVersion),
    },
    /// An operation that did not store anything, by its reply, is in the journal.
    #[error("{stream}: operation {operation} ended with {reply:?}, yet the journal has it at version {version}")]
    Resurrected {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// How it ended.
        reply: Reply,
        /// Where it is.
        version: StreamVersion,
    },
    /// One operation is in the journal with two commits.
    #[error("{stream}: operation {operation} took effect twice, in commits {first} and {second}")]
    Twice {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// One commit.
        first: CommitNumber,
        /// The other.
        second: CommitNumber,
    },
    /// The events of one commit are not next to each other.
    #[error("{stream}: the events of operation {operation} are torn apart at version {version}")]
    Interleaved {
        /// The aggregate.
        stream: StreamId,
        /// The operation.
        operation: OperationId,
        /// Where it goes on.
        version: StreamVersion,
    },
    /// The journal has an event that no operation on that aggregate wrote.
    #[error("{stream}: nobody wrote the event at version {version} (it names operation {operation:?})")]
    Stranger {
        /// The aggregate.
        stream: StreamId,
        /// The event.
        version: StreamVersion,
        /// What it names as its writer.
        operation: Option<OperationId>,
    },
    /// The versions of a stream are not dense.
    #[error("{stream}: version {expected} is missing or there twice, {found} stands in its place")]
    Gap {
        /// The aggregate.
        stream: StreamId,
        /// What should be there.
        expected: StreamVersion,
        /// What is.
        found: StreamVersion,
    },
    /// A read saw a version that the aggregate never reached.
    #[error("{stream}: operation {operation} saw version {version}, but the stream ends at {head}")]
    ReadBeyondHead {
        /// The aggregate.
        stream: StreamId,
        /// The reader.
        operation: OperationId,
        /// What it saw.
        version: StreamVersion,
        /// Where the stream ends.
        head: StreamVersion,
    },
    /// A read saw a commit in part.
    #[error("{stream}: operation {operation} saw version {version}, which is in the middle of a commit")]
    TornRead {
        /// The aggregate.
        stream: StreamId,
        /// The reader.
        operation: OperationId,
        /// What it saw.
        version: StreamVersion,
    },
    /// The journal could not be read.
    #[error("the journal could not be read: {0}")]
    Unreadable(ReadError),
}
