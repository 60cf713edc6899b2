//! Moving money between two accounts: a withdrawal and a deposit that are decided together, and land in one commit.
//!
//! ```text
//!   ┌ withdraw from A ┐
//!   │                 ├──▶ one commit ──▶ done          either says no, or the commit fails: nothing happened
//!   └ deposit to B    ┘
//! ```
//!
//! Nobody ever sees the money in both accounts, or in none: not a reader, not a crash. [`in_steps`] is how it is done where
//! that cannot be had.

pub mod in_steps;

use std::time::Duration;

use onefold::{Aggregates, CorrelationId, TransactError, transact};

use crate::domain::{Account, Deposit, Receipt, Withdraw};
use crate::{AccountError, Money};

/// The metadata entry that the commit of a transfer carries: `ada to bob`.
pub const TRANSFER: &str = "transfer";

/// How often a transfer is tried while its failures are safe to retry, and the pause between.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// A transfer that took place.
#[derive(Clone, Copy, Debug)]
pub struct Transferred {
    /// What ties its two sides together.
    pub correlation: CorrelationId,
    /// The paying account afterwards.
    pub from: Receipt,
    /// The paid account afterwards.
    pub to: Receipt,
}

/// A transfer that did not take place, or perhaps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Source and destination are the same.
    #[error("a transfer needs two different accounts")]
    SameAccount,
    /// One of the accounts said no, or the bank could not: the money never moved.
    #[error("nothing was transferred: {0}")]
    NothingHappened(AccountError),
    /// It has happened as a whole, or not at all.
    #[error("the transfer may or may not have happened, as a whole; look for {correlation} in either history: {error}")]
    Unknown {
        /// What to look for.
        correlation: CorrelationId,
        /// What is known.
        error: AccountError,
    },
}

impl TransferError {
    /// Whether the money surely is where it was.
    pub fn left_untouched(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

/// Moves `amount` from one account to another.
///
/// # Errors
///
/// [`TransferError`] tells whether the money moved.
pub async fn transfer(
    accounts: &Aggregates<Account>,
    from: &str,
    to: &str,
    amount: Money,
) -> Result<Transferred, TransferError> {
    if from == to {
        return Err(TransferError::SameAccount);
    }
    let correlation = CorrelationId::from_u128(rand::random());
    let mut attempt = 1;
    loop {
        let withdrawal = accounts.ask(from, Withdraw { amount }).correlation(correlation);
        let withdrawal = withdrawal.metadata(TRANSFER, format!("{from} to {to}"));
        let deposit = accounts.ask(to, Deposit { amount });
        match transact((withdrawal, deposit)).await {
            Ok((from, to)) => return Ok(Transferred { correlation, from, to }),
            Err(TransactError { error, .. }) if !error.is_surely_not_stored() => {
                return Err(TransferError::Unknown { correlation, error });
            }
            Err(TransactError { error, .. }) if error.is_retry_safe() && attempt < ATTEMPTS_MAX => attempt += 1,
            Err(TransactError { error, .. }) => return Err(TransferError::NothingHappened(error)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
