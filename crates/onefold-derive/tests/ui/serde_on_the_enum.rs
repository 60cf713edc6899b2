//! Serde attributes that the stored form cannot honour, on the enum and its variants.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
#[serde(tag = "type")]
enum TaggedEvent {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
#[serde(untagged)]
enum UntaggedEvent {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
#[serde(from = "Stored", into = "Stored")]
enum ConvertedEvent {
    Deposited { amount: u64 },
}

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum VariantEvent {
    #[serde(skip)]
    Deposited { amount: u64 },
    #[serde(untagged)]
    Withdrawn { amount: u64 },
    #[serde(with = "closed")]
    Closed,
    #[serde(other)]
    Other,
}

fn main() {}
