//! What can be asked of an account.

use serde::{Deserialize, Serialize};

use crate::Money;

/// Opens the account, empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Whose account it is; not blank.
    pub owner: String,
}

/// Pays in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Deposit {
    /// More than zero.
    pub amount: Money,
}

/// Pays out, if the balance allows it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Withdraw {
    /// More than zero.
    pub amount: Money,
}

/// Asks for a statement. Changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Look;
