//! The bank's one aggregate, the account: what can be asked of it, what can happen to it, and how it says no.
//!
//! ```text
//!   Open ──────▶ ┌─────────┐ ──▶ Opened
//!   Deposit ───▶ │ Account │ ──▶ Deposited        or a rejection, and nothing happened
//!   Withdraw ──▶ └─────────┘ ──▶ Withdrawn
//!   Look ──────▶  (no event)  ──▶ a Statement
//! ```
//!
//! Nothing here knows of disks, threads or the network.

mod account;
mod command;
mod event;
mod rejection;
#[cfg(test)]
mod tests;

pub use account::{Account, Receipt, Statement};
pub use command::{Deposit, Look, Open, Withdraw};
pub use event::AccountEvent;
pub use rejection::AccountRejection;
