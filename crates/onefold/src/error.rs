//! What a caller is told when there is no reply: was it stored, and is it safe to try again?

mod key;

use std::fmt;
use std::time::Duration;

use onefold_core::journal::{AppendError, EncodeError};
use onefold_core::{ExpectedVersion, InvalidId, InvalidKey, StreamId, StreamVersion, TooLarge};

pub use self::key::AlreadyDone;

/// Why a command has no reply. `R` is the aggregate's rejection.
///
/// | variant | stored? | retry safe |
/// |---|---|---|
/// | `InvalidId`, `TooLarge`, `Encode` | no | no |
/// | `Rejected` | no | no |
/// | `Conflict` | no | no |
/// | `InvalidKey`, `KeyReused`, `Unserializable` | no | no |
/// | `AlreadyDone` | by the original command | no |
/// | `Overloaded`, `DiskLow`, `NotStored` | no | yes, but for a caught panic, re-entrance, waiting for itself, or what can't be read |
/// | `Quarantined` | no | no |
/// | `OutcomeUnknown` | perhaps | only with an idempotency key |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error<R> {
    /// The domain said no; nothing happened.
    #[error(transparent)]
    Rejected(R),
    /// The aggregate id breaks the rules.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// The decision is larger than a limit.
    #[error("{stream} at version {version}: {what}")]
    TooLarge {
        /// The aggregate.
        stream: StreamId,
        /// The version it is at.
        version: StreamVersion,
        /// Which limit.
        what: TooLarge,
    },
    /// The decision's events cannot be encoded.
    #[error("{stream} at version {version}: {error}; correct the event's type")]
    Encode {
        /// The aggregate.
        stream: StreamId,
        /// The version it is at.
        version: StreamVersion,
        /// What the codec says.
        error: EncodeError,
    },
    /// The aggregate is not at the version the caller expected.
    #[error(
        "{stream} is at version {actual}, the command expected {expected}: look at what happened, then decide anew"
    )]
    Conflict {
        /// The aggregate.
        stream: StreamId,
        /// What the caller expected.
        expected: ExpectedVersion,
        /// Where it is.
        actual: StreamVersion,
    },
    /// The idempotency key breaks the rules.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// The command has an idempotency key and does not serialize, so it cannot be told from others under the same key.
    #[error("the command does not serialize, which its idempotency key needs: {reason}")]
    Unserializable {
        /// What the command's `Serialize` says.
        reason: String,
    },
    /// The idempotency key belongs to another command, which was answered already. Nothing was stored for this one.
    #[error("{stream}: the idempotency key {key:?} belongs to a different command: take a new key for a new command")]
    KeyReused {
        /// The aggregate.
        stream: StreamId,
        /// The key.
        key: Box<str>,
    },
    /// The command was answered already, but its original reply cannot be had.
    #[error(transparent)]
    AlreadyDone(Box<AlreadyDone>),
    /// A bound is reached. Try again a little later.
    #[error("{stream}: overloaded, {bound} is at its limit of {limit}: try again later")]
    Overloaded {
        /// The aggregate.
        stream: StreamId,
        /// Which bound, by its name in [`Config`](crate::Config), and which share of it if it is one aggregate's share.
        bound: &'static str,
        /// The limit in force.
        limit: usize,
    },
    /// The journal's disk is too full.
    #[error(
        "{stream}: the journal's disk has {free_bytes} bytes free, below its reserve of {reserve_bytes}: free some space"
    )]
    DiskLow {
        /// The aggregate.
        stream: StreamId,
        /// Free bytes.
        free_bytes: u64,
        /// What is kept in reserve.
        reserve_bytes: u64,
    },
    /// Surely nothing was stored.
    #[error(transparent)]
    NotStored(Box<NotStored>),
    /// The aggregate crashed repeatedly, or its stream can't be read.
    #[error(transparent)]
    Quarantined(Box<Quarantined>),
    /// Perhaps it was stored: look at the aggregate, or retry with the same idempotency key.
    #[error(transparent)]
    OutcomeUnknown(Box<OutcomeUnknown>),
}

/// The variants of [`Error`] without their contents, to be mapped mechanically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// [`Error::Rejected`]
    Rejected,
    /// [`Error::InvalidId`]
    InvalidId,
    /// [`Error::TooLarge`]
    TooLarge,
    /// [`Error::Encode`]
    Encode,
    /// [`Error::Conflict`]
    Conflict,
    /// [`Error::InvalidKey`]
    InvalidKey,
    /// [`Error::Unserializable`]
    Unserializable,
    /// [`Error::KeyReused`]
    KeyReused,
    /// [`Error::AlreadyDone`]
    AlreadyDone,
    /// [`Error::Overloaded`]
    Overloaded,
    /// [`Error::DiskLow`]
    DiskLow,
    /// [`Error::NotStored`]
    NotStored,
    /// [`Error::Quarantined`]
    Quarantined,
    /// [`Error::OutcomeUnknown`]
    OutcomeUnknown,
}

impl<R> Error<R> {
    /// Which variant.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Rejected(_) => ErrorKind::Rejected,
            Error::InvalidId(_) => ErrorKind::InvalidId,
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::Encode { .. } => ErrorKind::Encode,
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::InvalidKey(_) => ErrorKind::InvalidKey,
            Error::Unserializable { .. } => ErrorKind::Unserializable,
            Error::KeyReused { .. } => ErrorKind::KeyReused,
            Error::AlreadyDone(_) => ErrorKind::AlreadyDone,
            Error::Overloaded { .. } => ErrorKind::Overloaded,
            Error::DiskLow { .. } => ErrorKind::DiskLow,
            Error::NotStored(_) => ErrorKind::NotStored,
            Error::Quarantined(_) => ErrorKind::Quarantined,
            Error::OutcomeUnknown(_) => ErrorKind::OutcomeUnknown,
        }
    }

    /// Whether sending the same command again cannot make it happen twice, and may help.
    pub fn is_retry_safe(&self) -> bool {
        match self {
            Error::Overloaded { .. } | Error::DiskLow { .. } => true,
            Error::NotStored(error) => {
                use NotStoredReason::{NeverDurable, Panicked, Reentrant, Unreadable};
                !matches!(error.reason, Panicked { .. } | Reentrant | NeverDurable | Unreadable { .. })
            }
            _ => false,
        }
    }

    /// How long to wait before another try can help, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Quarantined(quarantined) => Some(quarantined.retry_after),
            _ => None,
        }
    }

    /// Whether the command is surely not in the journal.
    pub fn is_surely_not_stored(&self) -> bool {
        self.kind() != ErrorKind::OutcomeUnknown
    }

    /// The rejection, if the domain said no.
    pub fn rejection(&self) -> Option<&R> {
        match self {
            Error::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    pub(crate) fn not_stored(stream: &StreamId, version: Option<StreamVersion>, reason: NotStoredReason) -> Self {
        Error::NotStored(Box::new(NotStored { stream: stream.clone(), version, reason }))
    }

    pub(crate) fn unknown(stream: &StreamId, version: Option<StreamVersion>, reason: impl Into<String>) -> Self {
        Error::OutcomeUnknown(Box::new(OutcomeUnknown { stream: stream.clone(), version, reason: reason.into() }))
    }

    /// What a failed append means to the caller when it is perhaps stored. `version` is the one it would have reached.
    pub(crate) fn unknown_append(stream: &StreamId, version: Option<StreamVersion>, error: AppendError) -> Self {
        match error {
            AppendError::Unknown { reason } => Error::unknown(stream, version, &*reason),
            other => Error::unknown(stream, version, other.to_string()),
        }
    }

    /// What a failed append means to the caller when surely nothing of it was stored: because the journal says so, or
    /// because there was nothing to store. `version` is where the aggregate surely is, if that is known.
    pub(crate) fn from_append(stream: &StreamId, version: Option<StreamVersion>, error: AppendError) -> Self {
        match error {
            AppendError::Unknown { reason } => {
                let reason = format!("the journal's answer is unknown ({reason})");
                Error::not_stored(stream, version, NotStoredReason::Unavailable { reason })
            }
            AppendError::DiskLow { free_bytes, reserve_bytes } => {
                Error::DiskLow { stream: stream.clone(), free_bytes, reserve_bytes }
            }
            AppendError::ShuttingDown => Error::not_stored(stream, version, NotStoredReason::ShuttingDown),
            AppendError::Poisoned { reason } => {
                Error::not_stored(stream, version, NotStoredReason::Poisoned { reason: reason.to_string() })
            }
            AppendError::Superseded { .. } | AppendError::Conflict { .. } => {
                // A conflict with the actor's own expectation: somebody else wrote. The caller's own expectation was
                // checked before. Where the aggregate is now, only a new session can tell.
                Error::not_stored(stream, None, NotStoredReason::Superseded)
            }
            // `Unavailable`, and whatever may be added: that surely nothing was stored is known by now.
            other => Error::not_stored(stream, version, NotStoredReason::Unavailable { reason: other.to_string() }),
        }
    }
}

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
        /// Where: `merge`, `handle`, `apply`, `reply`, `read` or `weight`.
        stage: &'static str,
        /// What the panic said; cut at 1 KiB.
        message: String,
    },
    /// The handler asked an aggregate that is waiting for this very call.
    #[error("the aggregate is waiting for this very call: it would never be answered")]
    Reentrant,
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

/// The aggregate takes no commands for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The aggregate.
    pub stream: StreamId,
    /// How long from now until it is tried again.
    pub retry_after: Duration,
    /// What happened last.
    pub reason: String,
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quarantined { stream, retry_after, reason } = self;
        write!(
            f,
            "{stream} is quarantined for {retry_after:.1?} ({reason}): correct the cause, then lift the quarantine or wait"
        )
    }
}

impl std::error::Error for Quarantined {}

/// Perhaps it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeUnknown {
    /// The aggregate.
    pub stream: StreamId,
    /// The version it would have reached, where that is known and everything before it is durable.
    pub version: Option<StreamVersion>,
    /// Why.
    pub reason: String,
}

impl fmt::Display for OutcomeUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.stream, self.version)?;
        write!(f, "perhaps stored ({}): read the aggregate before you send the command again", self.reason)
    }
}

impl std::error::Error for OutcomeUnknown {}

fn write_place(f: &mut fmt::Formatter<'_>, stream: &StreamId, version: Option<StreamVersion>) -> fmt::Result {
    match version {
        Some(version) => write!(f, "{stream} at version {version}: "),
        None => write!(f, "{stream}: "),
    }
}
