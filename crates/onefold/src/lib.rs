//! onefold: one actor per aggregate, one journal, and no answer before it is durable.
//!
//! An embedded runtime for event-sourced services. Each aggregate id maps to a lazily spawned actor; commands to one
//! aggregate run one after the other, commands to different aggregates run side by side; an answer leaves only when the
//! events behind it are durable. So two commands that reach the same aggregate at the same moment end as two decisions in a
//! row, not as a version clash.
//!
//! ```
//! use onefold::{Aggregate, Config, Context, Decision, Handle, MemoryJournal, Runtime};
//! use onefold::{CodecError, CodecId, DecodeError, Event, EventType, PayloadWriter};
//! # pub struct Counted;
//! # impl Event for Counted {
//! #     const TYPES: &'static [EventType] = &[EventType { name: "counter.counted", revision: 1 }];
//! #     fn event_type(&self) -> EventType { Self::TYPES[0] }
//! #     fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> { Ok(()) }
//! #     fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> { Ok(Counted) }
//! # }
//! #[derive(Default)]
//! struct Counter { count: u64 }
//!
//! impl Aggregate for Counter {
//!     const TYPE: &'static str = "counter";
//!     type Event = Counted;
//!     type Rejection = std::convert::Infallible;
//!     type Services = ();
//!     fn apply(&mut self, _: &Counted) { self.count += 1 }
//! }
//!
//! struct Count;
//!
//! impl Handle<Count> for Counter {
//!     type Reply = u64;
//!     async fn handle(&self, _: Count, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
//!         Ok(self.emit(Counted).reply(|counter| counter.count))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Counter>(()).start().await?;
//! let counters = runtime.aggregates::<Counter>()?;
//! assert_eq!(counters.ask("visits", Count).await?, 1);
//! assert_eq!(counters.ask("visits", Count).expect_version(1u64).await?, 2);
//! assert_eq!(counters.read("visits", |counter| counter.count).await?, 2);
//! runtime.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!(
    "onefold catches panics of handlers so that neighbours don't notice: it can't be built with panic = \"abort\""
);

mod aggregate;
mod aggregates;
mod ask;
mod claims;
mod commands;
mod config;
mod dispatch;
mod error;
mod events;
#[cfg(all(test, onefold_shuttle))]
mod exploration;
mod fingerprint;
mod ids;
mod instant;
mod keyed;
mod pages;
mod receipt;
mod report;
mod runtime;
mod scan;
mod sync;
mod telemetry;
mod transact;

pub use aggregates::Aggregates;
pub use ask::{AllAnswers, Ask, AskAll, AskMany, BulkError, Jitter, ReadState, RetryPolicy};
pub use claims::{ClaimError, ClaimStream};
pub use commands::Commands;
pub use config::{Config, ConfigError};
pub use error::{AlreadyDone, Error, ErrorKind, NotStored, NotStoredReason, OutcomeUnknown, Quarantined};
pub use events::{EventStream, EventsError, RecordedEvent};
pub use ids::IdStream;
pub use receipt::{Answering, Receipt, ReplyOnly, WithReceipt};
pub use report::{ExceptionReport, ReportError};
pub use runtime::{Health, NotRegistered, Runtime, RuntimeBuilder, RuntimeStats, ShutdownReport, StartError};
pub use scan::{Scan, ScanError, ScanStop, Scanned};
pub use transact::{InvalidTransact, Participants, RejectAs, Transact, TransactError, transact};

pub use onefold_core::journal::{self, MemoryJournal};
pub use onefold_core::*;
#[cfg(feature = "derive")]
pub use onefold_derive::Event;
#[cfg(feature = "sled")]
pub use onefold_sled::*;
#[cfg(feature = "sled")]
pub use runtime::BackupError;

#[doc(hidden)]
pub use onefold_core::__private;
