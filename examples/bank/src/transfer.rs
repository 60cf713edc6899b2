//! Moving money between two accounts: a withdrawal, then a deposit, and a refund when the deposit did not happen.
//!
//! ```text
//!   withdraw from A ──ok──▶ deposit to B ──ok──▶ done
//!        │                      ├─ rejected, or surely not stored ──▶ refund A ──▶ Refunded
//!        └─▶ NothingHappened    └─ perhaps stored ──▶ hands off: a refund could make money out of nothing
//! ```
//!
//! All steps carry one correlation id and a `transfer` entry in their metadata, so the two histories can be matched. The
//! steps are separate commits: a crash in between leaves the money withdrawn and not deposited, to be found by that id.

use std::time::Duration;

use onefold::{Aggregates, CorrelationId};

use crate::domain::{Account, Deposit, Receipt, Withdraw};
use crate::{AccountError, Money};

/// The metadata entry that each step of a transfer carries: `to bob`, `from ada`, `refund, not paid to bob`.
pub const TRANSFER: &str = "transfer";

/// How often a refund is tried while its failures are safe to retry, and the pause between.
const REFUND_ATTEMPTS_MAX: u32 = 10;
const REFUND_PAUSE: Duration = Duration::from_millis(100);

/// A transfer that took place.
#[derive(Clone, Copy, Debug)]
pub struct Transferred {
    /// What ties its steps together.
    pub correlation: CorrelationId,
    /// The paying account afterwards.
    pub from: Receipt,
    /// The paid account afterwards.
    pub to: Receipt,
}

/// A transfer that did not take place as asked. The variants tell where the money is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Source and destination are the same.
    #[error("a transfer needs two different accounts")]
    SameAccount,
    /// The withdrawal was refused: the money never moved.
    #[error("nothing was transferred: {0}")]
    NothingHappened(AccountError),
    /// The deposit was refused: the money went back.
    #[error("nothing was transferred, the withdrawal is refunded: {0}")]
    Refunded(AccountError),
    /// It is not known whether the withdrawal happened; the deposit was not tried.
    #[error(
        "the withdrawal may or may not have happened, nothing was deposited; \
         look for {correlation} in the payer's history: {error}"
    )]
    WithdrawalUnknown {
        /// What to look for in the history.
        correlation: CorrelationId,
        /// What is known.
        error: AccountError,
    },
    /// The withdrawal happened; whether the deposit did is not known, so it was not refunded.
    #[error(
        "the money was withdrawn, and may or may not have been deposited; \
         look for {correlation} in the payee's history: {error}"
    )]
    DepositUnknown {
        /// What to look for in the history.
        correlation: CorrelationId,
        /// What is known.
        error: AccountError,
    },
    /// The withdrawal happened, the deposit did not, and the refund failed or is not known to have happened.
    #[error("the money was withdrawn and not deposited, and the refund of {correlation} failed: {error}")]
    NotRefunded {
        /// What to look for in the history.
        correlation: CorrelationId,
        /// Why.
        error: AccountError,
    },
}

impl TransferError {
    /// Whether the money surely is where it was.
    pub fn left_untouched(&self) -> bool {
        matches!(self, Self::SameAccount | Self::NothingHappened(_) | Self::Refunded(_))
    }
}

/// Moves `amount` from one account to another.
///
/// # Errors
///
/// [`TransferError`] tells where the money is.
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

    let withdrawal =
        accounts.ask(from, Withdraw { amount }).correlation(correlation).metadata(TRANSFER, format!("to {to}"));
    let paid = match withdrawal.await {
        Ok(receipt) => receipt,
        Err(error) if !error.is_surely_not_stored() => {
            return Err(TransferError::WithdrawalUnknown { correlation, error });
        }
        Err(error) => return Err(TransferError::NothingHappened(error)),
    };

    let deposit =
        accounts.ask(to, Deposit { amount }).correlation(correlation).metadata(TRANSFER, format!("from {from}"));
    match deposit.await {
        Ok(received) => Ok(Transferred { correlation, from: paid, to: received }),
        Err(error) if !error.is_surely_not_stored() => Err(TransferError::DepositUnknown { correlation, error }),
        Err(refusal) => match refund(accounts, from, to, amount, correlation).await {
            Ok(_) => Err(TransferError::Refunded(refusal)),
            Err(error) => Err(TransferError::NotRefunded { correlation, error }),
        },
    }
}

/// Gives the money back. Tries again only after failures that surely stored nothing.
async fn refund(
    accounts: &Aggregates<Account>,
    from: &str,
    to: &str,
    amount: Money,
    correlation: CorrelationId,
) -> Result<Receipt, AccountError> {
    let mut attempt = 1;
    loop {
        let deposit = accounts.ask(from, Deposit { amount }).correlation(correlation);
        match deposit.metadata(TRANSFER, format!("refund, not paid to {to}")).await {
            Err(error) if error.is_retry_safe() && attempt < REFUND_ATTEMPTS_MAX => attempt += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(REFUND_PAUSE).await;
    }
}
