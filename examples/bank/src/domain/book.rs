//! One line of a booking: a deposit or a withdrawal, whichever its sign says. Several of them are asked for at once by
//! [`ask_all`](onefold::Aggregates::ask_all), whose vectors hold commands of one type.

use std::fmt;
use std::str::FromStr;

use onefold::{Context, Decision, Handle};
use serde::{Deserialize, Serialize};

use super::{Account, AccountRejection, Deposit, Receipt, Withdraw};
use crate::{Money, ParseMoneyError};

/// Pays in or out. Written with a sign, `+100.00` or `-40.00`; in JSON `{"deposit": "100.00"}` or `{"withdraw": "40.00"}`.
///
/// ```
/// use onefold_bank::Money;
/// use onefold_bank::domain::Book;
/// let lunch: Book = "-12.34".parse()?;
/// assert_eq!(lunch, Book::Withdraw(Money::from_cents(1234)));
/// assert_eq!(lunch.to_string(), "-12.34");
/// # Ok::<_, onefold_bank::domain::ParseBookError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Book {
    /// As [`Deposit`](super::Deposit).
    Deposit(Money),
    /// As [`Withdraw`](super::Withdraw).
    Withdraw(Money),
}

impl Handle<Book> for Account {
    type Reply = Receipt;

    async fn handle(&self, book: Book, cx: &Context<Self>) -> Result<Decision<Self, Receipt>, AccountRejection> {
        match book {
            Book::Deposit(amount) => self.handle(Deposit { amount }, cx).await,
            Book::Withdraw(amount) => self.handle(Withdraw { amount }, cx).await,
        }
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Book::Deposit(amount) => write!(f, "+{amount}"),
            Book::Withdraw(amount) => write!(f, "-{amount}"),
        }
    }
}

impl FromStr for Book {
    type Err = ParseBookError;

    fn from_str(text: &str) -> Result<Self, ParseBookError> {
        match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(amount), _) => Ok(Book::Deposit(amount.parse()?)),
            (_, Some(amount)) => Ok(Book::Withdraw(amount.parse()?)),
            (None, None) => Err(ParseBookError::SignMissing { text: text.chars().take(40).collect() }),
        }
    }
}

/// A text that is no deposit or withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseBookError {
    /// Nobody can tell whether it is paid in or out.
    #[error("{text:?} has no sign: +12.34 is paid in, -12.34 is paid out")]
    SignMissing {
        /// Its first 40 characters.
        text: String,
    },
    /// What follows the sign.
    #[error(transparent)]
    Amount(#[from] ParseMoneyError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_says_which_way_the_money_goes() {
        let (some, parse) = (Money::from_cents(1_050), str::parse::<Book>);
        assert_eq!((parse("+10.5"), parse("-10.50")), (Ok(Book::Deposit(some)), Ok(Book::Withdraw(some))));
        for unsigned in ["", "10", "x", " +1", "−1"] {
            assert_eq!(parse(unsigned), Err(ParseBookError::SignMissing { text: unsigned.into() }));
        }
        for wrong in ["+", "-", "+-1", "--1", "+x", "-1.234"] {
            assert!(matches!(parse(wrong), Err(ParseBookError::Amount(_))), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for book in [Book::Deposit(Money::MAX), Book::Withdraw(Money::from_cents(5))] {
            assert_eq!(book.to_string().parse(), Ok(book));
        }
    }
}
