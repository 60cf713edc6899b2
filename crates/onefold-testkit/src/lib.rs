//! Tests for what onefold is made of: a conformance suite for journals, and what tests of journals and runtimes need.
#![forbid(unsafe_code)]

pub mod conformance;
mod event;
pub mod faults;
mod reading;
mod writing;

pub use event::TestEvent;
pub use reading::{SeenCommit, SeenEvent, read_events, read_feed};
pub use writing::{Pending, append_one, part, prepare, submit, submit_one};
