//! Serde attributes that the stored form cannot honour, on fields.

use onefold_derive::Event;

#[derive(Event)]
#[event(prefix = "account", crate = "onefold_core")]
enum AccountEvent {
    Opened {
        #[serde(flatten)]
        owner: Owner,
    },
    Deposited {
        #[serde(default)]
        amount: u64,
    },
    Withdrawn {
        #[serde(default = "zero")]
        amount: u64,
    },
    Renamed {
        #[serde(skip)]
        from: String,
        #[serde(skip_serializing)]
        to: String,
        #[serde(skip_deserializing)]
        by: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    Moved(#[serde(alias = "place")] String),
    Split {
        #[serde(rename(serialize = "to", deserialize = "target"))]
        to: String,
    },
    Measured {
        #[serde(getter = "length")]
        length: u64,
    },
}

fn main() {}
