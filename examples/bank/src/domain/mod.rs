//! The bank's aggregates. The account: what can be asked of it, what can happen to it, and how it says no.
//!
//! ```text
//!   Open ──────▶ ┌─────────┐ ──▶ Opened
//!   Deposit ───▶ │ Account │ ──▶ Deposited        or a rejection, and nothing happened
//!   Withdraw ──▶ └─────────┘ ──▶ Withdrawn        Book is either of the two
//!   Look ──────▶  (no event)  ──▶ a Statement
//! ```
//!
//! The account [`holder`] and a [`subscription`] to an offer are in files of their own. Nothing here knows of disks, threads or the network.

mod account;
mod book;
mod command;
mod event;
pub mod holder;
mod rejection;
pub mod subscription;
#[cfg(test)]
mod tests;

pub use account::{Account, Receipt, Statement};
pub use book::{Book, ParseBookError};
pub use command::{Deposit, Look, Open, Withdraw};
pub use event::AccountEvent;
pub use holder::alias::{ALIASES, ChooseAlias, folded};
pub use holder::{ChangeAddress, ChangeName, Holder, HolderEvent, HolderRejection, LookAtHolder, RegisterHolder};
pub use rejection::AccountRejection;
pub use subscription::{
    Confirm, GiveUp, PLACES, Place, Reserve, Subscription, SubscriptionEvent, SubscriptionRejection,
};
