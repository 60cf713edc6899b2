//! The promises of onefold, one module per promise or topic; each names its number.
//!
//! Everything here goes through the public API. Where time matters it is paused, so nothing depends on how fast the machine
//! is; random tests print their seed.

mod support;

mod at_rest;
mod at_rest_panics;
mod bulk;
mod bulk_keys;
mod cancellation;
mod claims;
mod deadlines;
mod dozing;
mod durability;
mod durable;
mod exception_reports;
mod expected_version;
mod faults;
mod faults_of_opening;
mod holds;
mod idempotency;
mod limits;
mod many;
mod many_keys;
mod merging;
mod messages;
mod metadata;
mod neighbours;
mod order;
mod output_gate;
mod overload;
mod panics;
mod passivation;
mod quarantine;
mod reading;
mod receipts;
mod reentrance;
mod replay;
mod residency;
mod retrying;
mod scanning;
mod scanning_faults;
mod shutdown;
mod single_instance;
mod starting;
mod storm;
mod transact;
mod transact_held;
mod transact_stored;
mod versions;
mod wall_clock;
