//! Names are short and of plain characters.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "Account", crate = "onefold_core")]
enum PrefixEvent {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "", crate = "onefold_core")]
enum EmptyPrefixEvent {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum NameEvent {
    #[event(name = "account deposited")]
    Deposited { amount: u64 },
    #[event(name = "")]
    Withdrawn { amount: u64 },
    #[event(name = "account.a_name_that_is_far_too_long_to_be_stored_with_every_single_event_of_a_journal_that_holds_many_millions_of_them_altogether")]
    Closed,
    Überwiesen,
}

fn main() {}
