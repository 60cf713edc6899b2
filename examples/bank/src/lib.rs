//! A bank of event-sourced accounts on onefold: a demonstration, a small CLI over a journal, and a JSON API.
//!
//! Read [`domain`] first: it is all that a bank needs to say. [`transfer`](mod@transfer) moves money between two accounts,
//! [`Bank`] opens and closes the journal. [`booking`] changes one account several times in one
//! commit, [`bonus`] many accounts in a commit each. [`alias`](mod@alias) and [`offer`](mod@offer) show values that only one aggregate can
//! have. [`owners`] checks a rule over all accounts, [`audit`](mod@audit) the whole history. [`http`] and [`cli`] are the two
//! doors, [`scenario`] tells the story that
//! `cargo run --release` shows.
#![forbid(unsafe_code)]

mod money;

pub mod alias;
pub mod audit;
mod bank;
pub mod bonus;
pub mod booking;
pub mod cli;
pub mod domain;
pub mod history;
pub mod http;
pub mod offer;
pub mod owners;
pub mod scenario;
pub mod transfer;

pub use bank::Bank;
pub use money::{Money, ParseMoneyError};

/// What can go wrong with a command to an account.
pub type AccountError = onefold::Error<domain::AccountRejection>;

/// What can go wrong with a command to a holder.
pub type HolderError = onefold::Error<domain::HolderRejection>;
