//! A stored name leads to one variant.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum AccountEvent {
    Deposited { amount: u64 },
    #[event(name = "account.deposited", revision = 2)]
    PaidIn { amount: u64 },
    HTTPFailed,
    HttpFailed,
}

fn main() {}
