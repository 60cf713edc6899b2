//! What a caller is told when there is no reply: was it stored, and is it safe to try again?

mod key;
mod not_stored;

use std::fmt;
use std::time::Duration;

use onefold_core::journal::{AppendError, EncodeError};
use onefold_core::{
    ClaimName, ExpectedVersion, Holder, InvalidClaim, InvalidId, InvalidKey, StreamId, StreamVersion, TooLarge,
};

pub use self::key::AlreadyDone;
pub use self::not_stored::{NotStored, NotStoredReason};
use crate::transact::InvalidTransact;

/// Why a command has no reply. `R` is the aggregate's rejection.
///
/// | variant | stored? | retry safe |
/// |---|---|---|
/// | `InvalidId`, `InvalidClaim`, `InvalidTransact`, `TooLarge`, `Encode` | no | no |
/// | `Rejected` | no | no |
/// | `Conflict`, `ClaimTaken`, `ClaimNotHeld` | no | no |
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
    /// The decision names a claim that breaks the rules.
    #[error("{stream} at version {version}: {error}")]
    InvalidClaim {
        /// The aggregate.
        stream: StreamId,
        /// The version it is at.
        version: StreamVersion,
        /// What is wrong with it.
        error: InvalidClaim,
    },
    /// Another aggregate holds a claim that the decision takes.
    #[error("{stream} cannot have the claim {claim}: {} holds it", holder.stream)]
    ClaimTaken {
        /// The aggregate.
        stream: StreamId,
        /// The claim.
        claim: ClaimName,
        /// Who holds it.
        holder: Box<Holder>,
    },
    /// The decision confirms, releases or moves a claim that the aggregate does not hold.
    #[error("{stream} does not hold the claim {claim}{}", held_by(holder.as_deref()))]
    ClaimNotHeld {
        /// The aggregate.
        stream: StreamId,
        /// The claim.
        claim: ClaimName,
        /// Who does, if anybody.
        holder: Option<Box<Holder>>,
    },
    /// These aggregates cannot decide together.
    #[error(transparent)]
    InvalidTransact(InvalidTransact),
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
    /// [`Error::InvalidClaim`]
    InvalidClaim,
    /// [`Error::ClaimTaken`]
    ClaimTaken,
    /// [`Error::ClaimNotHeld`]
    ClaimNotHeld,
    /// [`Error::InvalidTransact`]
    InvalidTransact,
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
            Error::InvalidClaim { .. } => ErrorKind::InvalidClaim,
            Error::ClaimTaken { .. } => ErrorKind::ClaimTaken,
            Error::ClaimNotHeld { .. } => ErrorKind::ClaimNotHeld,
            Error::InvalidTransact(_) => ErrorKind::InvalidTransact,
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
                use NotStoredReason::{NeverDurable, Panicked, Reentrant, Unreadable, Unsupported};
                !matches!(
                    error.reason,
                    Panicked { .. } | Reentrant | NeverDurable | Unreadable { .. } | Unsupported { .. }
                )
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

    /// The same error, with the rejection told in other words.
    pub fn map_rejection<S>(self, map: impl FnOnce(R) -> S) -> Error<S> {
        match self {
            Error::Rejected(rejection) => Error::Rejected(map(rejection)),
            Error::InvalidId(error) => Error::InvalidId(error),
            Error::TooLarge { stream, version, what } => Error::TooLarge { stream, version, what },
            Error::Encode { stream, version, error } => Error::Encode { stream, version, error },
            Error::Conflict { stream, expected, actual } => Error::Conflict { stream, expected, actual },
            Error::InvalidClaim { stream, version, error } => Error::InvalidClaim { stream, version, error },
            Error::ClaimTaken { stream, claim, holder } => Error::ClaimTaken { stream, claim, holder },
            Error::ClaimNotHeld { stream, claim, holder } => Error::ClaimNotHeld { stream, claim, holder },
            Error::InvalidTransact(error) => Error::InvalidTransact(error),
            Error::InvalidKey(error) => Error::InvalidKey(error),
            Error::Unserializable { reason } => Error::Unserializable { reason },
            Error::KeyReused { stream, key } => Error::KeyReused { stream, key },
            Error::AlreadyDone(error) => Error::AlreadyDone(error),
            Error::Overloaded { stream, bound, limit } => Error::Overloaded { stream, bound, limit },
            Error::DiskLow { stream, free_bytes, reserve_bytes } => {
                Error::DiskLow { stream, free_bytes, reserve_bytes }
            }
            Error::NotStored(error) => Error::NotStored(error),
            Error::Quarantined(error) => Error::Quarantined(error),
            Error::OutcomeUnknown(error) => Error::OutcomeUnknown(error),
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
            AppendError::Unsupported { what } => {
                Error::not_stored(stream, version, NotStoredReason::Unsupported { what })
            }
            // `Unavailable`, and whatever may be added: that surely nothing was stored is known by now.
            other => Error::not_stored(stream, version, NotStoredReason::Unavailable { reason: other.to_string() }),
        }
    }
}

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

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(": {} does", holder.stream))
}

fn write_place(f: &mut fmt::Formatter<'_>, stream: &StreamId, version: Option<StreamVersion>) -> fmt::Result {
    match version {
        Some(version) => write!(f, "{stream} at version {version}: "),
        None => write!(f, "{stream}: "),
    }
}
