//! The journal's errors, one enum per operation, named by what the caller can do.

use std::sync::Arc;

use crate::{ClaimName, CommitNumber, ExpectedVersion, Holder, StreamId, StreamVersion};

/// Why an append failed. All but [`Unknown`](AppendError::Unknown) mean: surely not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream is not at the expected version.
    #[error("stream {stream} is at version {actual}, the append expected {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the append expected.
        expected: ExpectedVersion,
        /// Where the stream is.
        actual: StreamVersion,
    },
    /// Another stream holds a claim that the append would take.
    #[error("claim {claim} is held by stream {}", holder.stream)]
    ClaimTaken {
        /// The claim.
        claim: ClaimName,
        /// Who holds it.
        holder: Box<Holder>,
    },
    /// The append confirms, releases or moves a claim that its stream does not hold.
    #[error("stream {stream} does not hold claim {claim}, {}", held_by(holder.as_deref()))]
    ClaimNotHeld {
        /// The claim.
        claim: ClaimName,
        /// The stream that does not hold it.
        stream: StreamId,
        /// Who does.
        holder: Option<Box<Holder>>,
    },
    /// The journal does not know what the append asks for. It never will.
    #[error("the journal knows no {what}")]
    Unsupported {
        /// What it does not know.
        what: &'static str,
    },
    /// The session has ended: an earlier append of it failed, or the stream was opened anew. Open again.
    #[error("the session on stream {stream} has ended: open the stream again")]
    Superseded {
        /// The stream.
        stream: StreamId,
    },
    /// The journal is poisoned by an earlier failure and refuses writes until a new process opens it.
    #[error("the journal refuses writes after a failure ({reason}): restart the process to reopen it")]
    Poisoned {
        /// The first failure.
        reason: Arc<str>,
    },
    /// There is too little free space on the journal's disk.
    #[error("the journal's disk has {free_bytes} bytes free, {reserve_bytes} are its reserve: free some space")]
    DiskLow {
        /// Free bytes.
        free_bytes: u64,
        /// What is kept in reserve.
        reserve_bytes: u64,
    },
    /// The journal was asked to close.
    #[error("the journal is shutting down")]
    ShuttingDown,
    /// The append was not taken, for a passing reason: try again.
    #[error("the journal could not take the append: {reason}")]
    Unavailable {
        /// Why.
        reason: Arc<str>,
    },
    /// Nobody can tell whether the commit is stored. After recovery the stream tells.
    #[error("the outcome of the append is unknown: {reason}")]
    Unknown {
        /// Why.
        reason: Arc<str>,
    },
}

impl AppendError {
    /// Whether the commit is surely not in the journal and never will be.
    pub fn surely_not_stored(&self) -> bool {
        // By name: whoever adds a variant says here what it means.
        match self {
            AppendError::Unknown { .. } => false,
            AppendError::Conflict { .. }
            | AppendError::ClaimTaken { .. }
            | AppendError::ClaimNotHeld { .. }
            | AppendError::Unsupported { .. }
            | AppendError::Superseded { .. }
            | AppendError::Poisoned { .. }
            | AppendError::DiskLow { .. }
            | AppendError::ShuttingDown
            | AppendError::Unavailable { .. } => true,
        }
    }
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "nobody does".to_owned(), |holder| format!("stream {} does", holder.stream))
}

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The stream's head could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal is poisoned and refuses writers until a new process opens it. Reads go on.
    #[error("the journal refuses writes after a failure ({reason}): restart the process to reopen it")]
    Poisoned {
        /// The first failure.
        reason: Arc<str>,
    },
    /// The journal was asked to close.
    #[error("the journal is shutting down")]
    ShuttingDown,
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What is stored is damaged. No byte was touched; `repair` is an explicit act.
    #[error("the journal is damaged at {place}: {evidence}")]
    Damaged {
        /// The stream that was read, if the damage concerns one.
        stream: Option<StreamId>,
        /// The commit, as far as it is known.
        commit: Option<CommitNumber>,
        /// Where, in words: a key, a file and an offset.
        place: String,
        /// What was found there.
        evidence: String,
    },
    /// The storage failed to answer.
    #[error("the journal's storage failed: {reason}")]
    Storage {
        /// What it said.
        reason: Arc<str>,
    },
    /// The journal does not have what was asked for. It never will.
    #[error("the journal knows no {what}")]
    Unsupported {
        /// What it does not know.
        what: &'static str,
    },
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
}

/// Why a journal did not close cleanly. Everything acknowledged is still there: opening takes longer, that is all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal did not close cleanly: {reason}")]
pub struct CloseError {
    /// What went wrong.
    pub reason: Arc<str>,
}
