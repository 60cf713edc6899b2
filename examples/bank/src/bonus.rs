//! A bonus: the same deposit to many accounts, several at a time.
//!
//! Each account has a commit and an answer of its own: one that is not open keeps nobody else from the bonus. The bonus's name is
//! the idempotency key of every deposit. So a run that a crash or a full disk cut short is simply run again, and who was paid is
//! answered as then; and the runtime itself may try again, whatever became of the first try.

use std::time::Duration;

use onefold::{Aggregates, RetryPolicy};

use crate::domain::{Account, Deposit, Receipt};
use crate::{AccountError, Money};

/// How many accounts are asked at once.
const CONCURRENCY: usize = 64;

/// How long one account may take, all its tries together.
const DEADLINE: Duration = Duration::from_secs(10);

/// Pays `amount` to each of `accounts` that has not had the bonus `name` yet; an answer for each, in their order.
pub async fn pay_bonus(
    aggregates: &Aggregates<Account>,
    name: &str,
    accounts: &[String],
    amount: Money,
) -> Vec<Result<Receipt, AccountError>> {
    let deposits = accounts.iter().map(|account| (account, Deposit { amount }));
    let paying = aggregates.ask_many(deposits, CONCURRENCY);
    paying.each(|ask| ask.idempotency_key(name).retry(RetryPolicy::default()).deadline(DEADLINE)).await
}
