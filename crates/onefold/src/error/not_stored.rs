//! Why surely nothing was stored.

use std::fmt;
use std::time::Duration;

use onefold_core::{StreamId, StreamVersion};

use super::write_place;

/// Surely nothing was stored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStored {
    /// The aggregate.
    pub stream: StreamId,
    /// The version it was at, where that is known.
    pub version: Option<StreamVersion>,
    /// Why.
    pub reason: NotStoredReason,
}

/// Why nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStoredReason {
    /// The deadline passed before the decision was submitted.
    #[error("the deadline passed before it was decided: try again, or allow more time")]
    DeadlinePassed,
    /// The handler took longer than `handler_timeout`.
    #[error("the handler took longer than {limit:?} (handler_timeout): try again, or allow more time")]
    HandlerTimeout {
        /// The limit in force.
        limit: Duration,
    },
    /// A panic was caught. The aggregate is rebuilt from its journal.
    #[error("{stage} panicked: {message}; correct the aggregate's code")]
    Panicked {
        /// Where: `merge`, `handle`, `or_reject`, `apply`, `reply`, `read` or `weight`.
        stage: &'static str,
        /// What the panic said; cut at 1 KiB.
        message: String,
    },
    /// The handler asked an aggregate that is waiting for this very call.
    #[error("the aggregate is waiting for this very call: it would never be answered")]
    Reentrant,
    /// The aggregate waited for the other participants of a [`transact`](crate::transact) longer than it is held.
    #[error("the other participants were not ready within {limit:?} (transact_hold_max): try again")]
    HoldTimedOut {
        /// The limit in force.
        limit: Duration,
    },
    /// A handler inside of `ask_all` waited until everything before it is durable, the commands before it in the same
    /// `ask_all` included, which become durable only together with it.
    #[error("the handler waits for commands of its own bulk to be durable: it would never go on")]
    NeverDurable,
    /// An earlier command of this aggregate could not be stored, or another runtime took the aggregate over.
    #[error("an earlier append failed or another runtime took over, so this decision was discarded: try again")]
    Superseded,
    /// The journal refuses writes after a failure.
    #[error("the journal refuses writes after a failure ({reason}): restart the process")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The journal could not take it, for a passing reason.
    #[error("{reason}: try again")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// What a command with a stale expectation missed can't be read back: it is damaged, or this build does not know it.
    #[error("what the command missed can't be read: {reason}; look at the aggregate's events")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The journal cannot do what the command needs. Another journal may.
    #[error("the journal knows no {what}: use another way, or another journal")]
    Unsupported {
        /// What it does not know.
        what: &'static str,
    },
    /// The instance could not be brought back.
    #[error("the aggregate could not be recovered: {reason}; try again")]
    RecoveryFailed {
        /// Why.
        reason: String,
    },
    /// The runtime is shutting down.
    #[error("the runtime is shutting down: try again on the next one")]
    ShuttingDown,
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.stream, self.version)?;
        write!(f, "nothing was stored: {}", self.reason)
    }
}

impl std::error::Error for NotStored {}
