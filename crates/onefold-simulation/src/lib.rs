//! Deterministic simulation for onefold: your aggregates on the real runtime.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod command;
mod journal;
mod leaving;
mod ledger;
mod plan;
mod random;
mod report;
mod run;
mod scenario;
mod simulated;
mod violation;
mod witness;

pub use command::Command;
pub use journal::{Boundary, Faults, SimulatedDisk, SimulatedJournal, Weather};
pub use ledger::{simulate, sweep, sweep_with};
pub use random::Random;
pub use report::{FAILURES_MAX, Failure, Report, Summary};
pub use scenario::{Scenario, Simulation};
pub use violation::Violation;
pub use witness::OperationId;
