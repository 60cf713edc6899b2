//! Events are enums.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
struct Deposited {
    amount: u64,
}

fn main() {}
