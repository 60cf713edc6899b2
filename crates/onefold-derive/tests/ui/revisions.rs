//! Revisions count from 1 and fit into 16 bits.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum AccountEvent {
    #[event(revision = 0)]
    Deposited { amount: u64 },
    #[event(revision = 70000)]
    Withdrawn { amount: u64 },
    #[event(revision = "2")]
    Closed,
}

fn main() {}
