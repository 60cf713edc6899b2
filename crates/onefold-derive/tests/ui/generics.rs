//! Neither generics nor lifetimes: a stored name stands for one owned type.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum GenericEvent<T> {
    Deposited { amount: T },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum BorrowedEvent<'a> {
    Renamed(&'a str),
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum StaticEvent {
    Renamed(&'static str),
}

fn main() {}
