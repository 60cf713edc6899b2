//! What an idempotency key stands for, when its reply is lost.

use std::fmt;

use onefold_core::StreamId;

/// The command with this idempotency key was answered already. It did not run again, and never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlreadyDone {
    /// The aggregate.
    pub stream: StreamId,
    /// The idempotency key.
    pub key: Box<str>,
    /// Why the original reply cannot be had.
    pub reason: String,
}

impl fmt::Display for AlreadyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AlreadyDone { stream, key, reason } = self;
        write!(f, "{stream}: the command with the idempotency key {key:?} is done already, its reply is lost: {reason}")
    }
}

impl std::error::Error for AlreadyDone {}
