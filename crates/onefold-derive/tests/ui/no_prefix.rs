//! The prefix is required.

use onefold_derive::Event;

#[derive(Event)]
#[event(crate = "onefold_core")]
enum AccountEvent {
    Deposited { amount: u64 },
}

#[derive(Event)]
enum OtherEvent {
    Deposited { amount: u64 },
}

fn main() {}
