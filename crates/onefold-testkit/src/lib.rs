//! Tests on onefold, and of what it is made of.
//!
//! For **your aggregates** there is [`Given`]: given these events, when this command, then those events and that reply, or a
//! rejection. A service that depends on `onefold` adds this crate to its `[dev-dependencies]`; it knows nothing but
//! `onefold-core`, so a test needs no runtime and no journal. The guide is `docs/guide/testing.md`.
//!
//! For **journals and runtimes**:
//!
//! * [`mod@conformance`]: the suite that every [`Journal`](onefold_core::journal::Journal) passes.
//! * [`faults`]: any journal behind a script of failures, delays and silence.
//! * [`history`]: what many concurrent callers were told, checked for linearizability against the journal.
//! * [`seeds`] of random tests, and [clocks](ManualClock) that show what the test says.
//! * [`TestEvent`] and functions to [append](append_one) and [read](read_events) with it.
//!
//! A journal of your own is held to the contract in ten lines:
//!
//! ```
//! use std::sync::Arc;
//! use onefold_core::journal::{Journal, MemoryJournal};
//! use onefold_testkit::conformance::{How, Subject};
//!
//! struct Memory(MemoryJournal);
//!
//! impl Subject for Memory {
//!     async fn open(&self) -> Arc<dyn Journal> { Arc::new(self.0.clone()) }
//!     async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
//!         if how == How::CleanClose { journal.close().await.unwrap() }
//!         self.0.reopen();
//!         journal
//!     }
//! }
//!
//! onefold_testkit::conformance!(|| Memory(MemoryJournal::new()));
//! # fn main() { onefold_testkit::conformance::run("replays_all", || Memory(MemoryJournal::new())) }
//! ```
#![forbid(unsafe_code)]

mod claims;
mod clock;
pub mod conformance;
mod event;
pub mod faults;
pub mod given;
pub mod history;
mod reading;
pub mod seeds;
mod writing;

pub use claims::ClaimsByLog;
pub use clock::{ManualClock, SimulatedClock};
pub use event::TestEvent;
pub use given::Given;
pub use reading::{SeenCommit, SeenEvent, claims_by_log, read_events, read_feed, read_parts};
pub use writing::{Pending, append_one, part, prepare, submit, submit_one, with_claims, with_key};
