//! What can happen to an account. The names are on disk: `account.opened`, `account.deposited`, `account.withdrawn`.

use onefold::Event;
use serde::{Deserialize, Serialize};

use crate::Money;

/// A fact in an account's stream.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[event(prefix = "account")]
pub enum AccountEvent {
    /// The account was opened.
    Opened {
        /// Whose account it is.
        owner: String,
    },
    /// Money was paid in.
    Deposited {
        /// How much.
        amount: Money,
    },
    /// Money was paid out.
    Withdrawn {
        /// How much.
        amount: Money,
    },
}
