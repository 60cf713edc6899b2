//! How an account says no. Whatever is rejected has not happened.

use onefold::AggregateId;
use serde::{Deserialize, Serialize};

use crate::Money;

/// The domain's reasons to refuse a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AccountRejection {
    /// Nobody opened it yet.
    #[error("account {account} is not open")]
    NotOpen {
        /// Which account.
        account: AggregateId,
    },
    /// It can be opened only once.
    #[error("account {account} is already open, it belongs to {owner}")]
    AlreadyOpen {
        /// Which account.
        account: AggregateId,
        /// Whose it is.
        owner: String,
    },
    /// A blank owner.
    #[error("account {account} needs an owner's name")]
    OwnerMissing {
        /// Which account.
        account: AggregateId,
    },
    /// Nothing to deposit or withdraw.
    #[error("the amount must be more than zero")]
    AmountZero,
    /// There is less in the account than was asked for.
    #[error("account {account} holds {balance}, which does not cover {amount}")]
    InsufficientFunds {
        /// Which account.
        account: AggregateId,
        /// What it holds.
        balance: Money,
        /// What was asked for.
        amount: Money,
    },
    /// The deposit does not fit.
    #[error("account {account} holds {balance}; {amount} more would exceed the {} an account can hold", Money::MAX)]
    BalanceTooLarge {
        /// Which account.
        account: AggregateId,
        /// What it holds.
        balance: Money,
        /// What should have been paid in.
        amount: Money,
    },
}
