//! The promises of onefold, one module per promise or topic; each names its number.
//!
//! Everything here goes through the public API. Where time matters it is paused, so nothing depends on how fast the machine
//! is; random tests print their seed.

mod support;

mod at_rest;
mod at_rest_panics;
mod cancellation;
mod deadlines;
mod dozing;
mod durability;
mod durable;
mod exception_reports;
mod expected_version;
mod faults;
mod faults_of_opening;
mod limits;
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
mod reentrance;
mod replay;
mod residency;
mod scanning;
mod scanning_faults;
mod shutdown;
mod single_instance;
mod starting;
mod storm;
mod versions;
mod wall_clock;
