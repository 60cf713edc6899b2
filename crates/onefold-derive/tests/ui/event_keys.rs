//! Keys of `#[event(…)]` are known, in their place, and given once.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core", version = 2)]
enum UnknownOnEnum {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core", revision = 2)]
enum MisplacedOnEnum {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
#[event(prefix = "konto")]
enum GivenTwice {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum OnVariants {
    #[event(rename = "account.paid_in")]
    Deposited { amount: u64 },
    #[event(prefix = "konto")]
    Withdrawn { amount: u64 },
    Renamed {
        #[event(name = "name")]
        to: String,
    },
    #[event(name = account)]
    Closed,
}

fn main() {}
