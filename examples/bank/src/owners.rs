//! A rule that no account can keep by itself: an owner has no more than so many accounts. It is broken for a while, and
//! checked now and then: `bank check-owners`.
//!
//! ```text
//!   what happened ──scan──▶ AccountsPerOwner ──violations──▶ for each surplus account: ask for a Review ──▶ ReviewRequested
//!        ▲                        │                                                                              │
//!        └────────────────────────┼──────────────────────────────────────────────────────────────────────────────┘
//!                                 └──▶ Progress: rule and checkpoint, stored together when all is done
//! ```
//!
//! A review that was asked for is an event like any other. So the rule sees what was done, and a second check asks for nothing
//! twice, whether the first one came to its end or not.

mod progress;
mod review;
mod rule;

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use onefold::{Aggregates, Error};

pub use progress::Progress;
pub use review::{RequestReview, Review, ReviewEvent};
pub use rule::{AccountsPerOwner, Surplus};

use crate::Bank;
use crate::domain::Account;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How many events were new to it.
    pub observed: u64,
    /// The reviews that it asked for.
    pub requested: Vec<Surplus>,
}

/// Checks the rule on everything that happened since the last check, asks for the reviews that are missing, and then stores
/// how far it got.
///
/// # Errors
///
/// When the progress cannot be read or stored, the journal not be read, or a review not be asked for. Nothing is stored then: the
/// next check begins where this one did, and asks only for the reviews that this one did not get.
pub async fn check(bank: &Bank, accounts_max: usize, progress: &Path) -> anyhow::Result<Checked> {
    let Progress { checkpoint, mut rule } = Progress::load(progress).await?;
    rule.accounts_max = accounts_max;

    let requested = Mutex::new(Vec::new());
    let scan = bank.runtime().scan(&checkpoint, rule);
    let scanned = scan
        .on::<Account>(|rule, account, recorded| rule.see_account(account, &recorded.event))
        .on::<Review>(|rule, account, _| rule.see_review(account))
        .report(|surplus| request_review(bank.reviews(), surplus, &requested))
        .await?;

    // IMPORTANT: last. A crash before this line repeats the check, and loses nothing.
    Progress { checkpoint: scanned.checkpoint, rule: scanned.state }.store(progress).await?;
    Ok(Checked {
        observed: scanned.observed,
        requested: requested.into_inner().unwrap_or_else(PoisonError::into_inner),
    })
}

/// Safe to repeat: a review is there once, however often it is asked for.
async fn request_review(
    reviews: &Aggregates<Review>,
    surplus: Surplus,
    requested: &Mutex<Vec<Surplus>>,
) -> Result<(), Error<Infallible>> {
    reviews.ask(&surplus.account, RequestReview { reason: surplus.to_string() }).await?;
    requested.lock().unwrap_or_else(PoisonError::into_inner).push(surplus);
    Ok(())
}
