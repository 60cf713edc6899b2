//! There is at least one event.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum AccountEvent {}

fn main() {}
