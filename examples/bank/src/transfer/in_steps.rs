//! The way of a process manager, for a journal that cannot store one commit for several streams: a step after the other, each
//! with an idempotency key of the transfer's. Whoever finds a transfer unfinished, after a crash say, runs all of it again: what
//! has happened is answered as it was, and the rest happens.
//!
//! Between the steps the money is in neither account, and anybody can see that.

use onefold::{Aggregates, Error};

use crate::domain::{Account, Deposit, Withdraw};
use crate::{AccountError, Money};

/// How a transfer in steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InSteps {
    /// The money is with the payee.
    Done,
    /// The payee did not take it, and the payer has it back.
    Refunded,
}

/// Moves `amount` from one account to another; `transfer` names the intent, and is the same in every try.
///
/// # Errors
///
/// What kept a step from happening. Unless the payer said no, the transfer is unfinished then: run it again.
pub async fn transfer_in_steps(
    accounts: &Aggregates<Account>,
    transfer: &str,
    (from, to): (&str, &str),
    amount: Money,
) -> Result<InSteps, AccountError> {
    let key = |step: &str| format!("{transfer}/{step}");
    accounts.ask(from, Withdraw { amount }).idempotency_key(key("withdraw")).remember_rejection().await?;
    match accounts.ask(to, Deposit { amount }).idempotency_key(key("deposit")).remember_rejection().await {
        Ok(_) => Ok(InSteps::Done),
        Err(Error::Rejected(_)) => {
            accounts.ask(from, Deposit { amount }).idempotency_key(key("refund")).await?;
            Ok(InSteps::Refunded)
        }
        Err(error) => Err(error),
    }
}
