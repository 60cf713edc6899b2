//! The rule: who has which accounts, and which of them are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use onefold::{AggregateId, ExceptionReport};
use serde::{Deserialize, Serialize};

use crate::domain::AccountEvent;

/// An owner has no more than so many accounts, and what was seen of it so far. It grows with the number of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsPerOwner {
    /// How many accounts an owner may have. Not stored: each check says it anew.
    #[serde(skip)]
    pub accounts_max: usize,
    /// By owner, in the order in which they were opened.
    accounts: BTreeMap<String, Vec<String>>,
    /// Accounts that are looked at already.
    under_review: BTreeSet<String>,
}

/// An account more than its owner may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// Whose it is.
    pub owner: String,
    /// Which one.
    pub account: String,
    /// The first account of its owner is number 1.
    pub number: usize,
}

impl AccountsPerOwner {
    pub(super) fn see_account(&mut self, account: &AggregateId, event: &AccountEvent) {
        if let AccountEvent::Opened { owner } = event {
            self.accounts.entry(owner.clone()).or_default().push(account.to_string());
        }
    }

    pub(super) fn see_review(&mut self, account: &AggregateId) {
        self.under_review.insert(account.to_string());
    }
}

impl ExceptionReport for AccountsPerOwner {
    type Violation = Surplus;

    /// What is under review already is dealt with.
    fn violations(&self) -> impl Iterator<Item = Surplus> + Send {
        self.accounts.iter().flat_map(|(owner, accounts)| {
            let surplus = accounts.iter().enumerate().skip(self.accounts_max);
            surplus.filter(|(_, account)| !self.under_review.contains(*account)).map(|(index, account)| Surplus {
                owner: owner.clone(),
                account: account.clone(),
                number: index + 1,
            })
        })
    }
}

impl fmt::Display for Surplus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is account number {} of {}", self.account, self.number, self.owner)
    }
}
