//! Several deposits and withdrawals of one account as one: decided in order, each on the balance after those before it.
//!
//! ```text
//!   +100.00 ──▶ -40.00 ──▶ -5.00 ──▶ one commit        one says no, or the commit fails: nothing happened
//! ```
//!
//! A [`transfer`](mod@crate::transfer) changes two accounts; here it is one, and so it costs no more than a deposit.

use std::fmt;
use std::time::Duration;

use onefold::{Aggregates, BulkError, ErrorKind, ExpectedVersion};

use crate::AccountError;
use crate::domain::{Account, Book, Receipt};

/// On which terms something is booked.
#[derive(Clone, Debug, Default)]
pub struct BookingTerms {
    /// Where the account must be. Every event counts: a booking of three entries takes it three versions further.
    pub expected: ExpectedVersion,
    /// Under which the same entries may be sent again without a second effect.
    pub key: Option<String>,
    /// Answer within this time.
    pub deadline: Option<Duration>,
}

/// Why nothing was booked, or perhaps. The entries land together or not at all, so what the error says holds for all of them.
#[derive(Debug)]
pub struct BookError {
    /// The entry that failed, counted from 1; `None` when it was none in particular.
    pub entry: Option<(usize, Book)>,
    /// Why.
    pub error: AccountError,
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BookError { entry, error } = self;
        match (entry, error.kind()) {
            (Some((number, entry)), _) => write!(f, "nothing was booked, because of entry {number}, {entry}: {error}"),
            // These two say themselves what happened.
            (None, ErrorKind::OutcomeUnknown | ErrorKind::AlreadyDone) => error.fmt(f),
            (None, _) => write!(f, "nothing was booked: {error}"),
        }
    }
}

impl std::error::Error for BookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Books all of `entries` in one commit, or none of them; tells where the account stands after each.
///
/// # Errors
///
/// [`BookError`] tells which entry failed.
pub async fn book(
    accounts: &Aggregates<Account>,
    account: &str,
    entries: Vec<Book>,
    terms: BookingTerms,
) -> Result<Vec<Receipt>, BookError> {
    let mut ask = accounts.ask_all(account, entries.clone()).expect_version(terms.expected);
    if let Some(key) = terms.key {
        ask = ask.idempotency_key(key);
    }
    if let Some(deadline) = terms.deadline {
        ask = ask.deadline(deadline);
    }
    ask.await.map_err(|BulkError { index, error }| {
        let entry = index.and_then(|index| Some((index + 1, *entries.get(index)?)));
        BookError { entry, error }
    })
}
