//! Why nothing was decided together, and whose failure it was.

use std::fmt;

use onefold_core::StreamId;

use crate::error::Error;

/// Why several aggregates did not decide together, and which of them it was. What the error says holds for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactError<R> {
    /// The participant that failed, counted from 0. `None` when it was none in particular.
    pub index: Option<usize>,
    /// Why.
    pub error: Error<R>,
}

impl<R> fmt::Display for TransactError<R>
where
    Error<R>: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "participant {index} of the transact (counted from 0): {}", self.error),
            None => self.error.fmt(f),
        }
    }
}

impl<R: std::error::Error + 'static> std::error::Error for TransactError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<R> From<TransactError<R>> for Error<R> {
    fn from(transact: TransactError<R>) -> Self {
        transact.error
    }
}

impl<R> From<InvalidTransact> for TransactError<R> {
    fn from(invalid: InvalidTransact) -> Self {
        TransactError { index: None, error: Error::InvalidTransact(invalid) }
    }
}

/// These aggregates cannot decide together. Nothing was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTransact {
    /// More than [`transact_participants_max`](crate::Config::transact_participants_max), or than may be in memory at once.
    #[error("the transact has {actual} participants, the limit is {limit} (transact_participants_max): split it")]
    TooMany {
        /// How many.
        actual: usize,
        /// The limit in force.
        limit: usize,
    },
    /// An aggregate takes part twice.
    #[error("{stream} takes part twice: give it one command that does both, or ask it alone with ask_all")]
    Twice {
        /// Which.
        stream: StreamId,
    },
    /// An aggregate is another runtime's.
    #[error("{stream} belongs to another runtime than the first participant")]
    OtherRuntime {
        /// Which.
        stream: StreamId,
    },
    /// An ask was told to retry. Only all of them together can be tried again.
    #[error("{stream} is asked with a retry of its own: retry the transact")]
    RetryInside {
        /// Whose.
        stream: StreamId,
    },
}
