//! The vocabulary of onefold: what a user and a store implement.
//!
//! This crate knows no actor, no thread pool and no disk. It holds
//!
//! * what a **user** writes: [`Aggregate`], [`Handle`], [`Merge`], [`Event`], [`Decision`], [`Context`];
//! * the **words** that everything else is said in: [`StreamId`], [`StreamVersion`], [`ExpectedVersion`],
//!   [`GlobalPosition`], [`CommitNumber`], [`Metadata`], [`ClaimName`];
//! * what a **store** implements: [`journal::Journal`], and [`journal::MemoryJournal`], which keeps it in memory;
//! * the bytes both agree on: [`Codec`] for payloads, [`journal::record`] for the envelope around them.
//!
//! Users depend on the `onefold` crate, which re-exports what they need.
#![forbid(unsafe_code)]

mod aggregate;
mod checkpoint;
mod claim;
mod clock;
mod codec;
mod context;
mod decision;
mod event;
mod idempotency;
pub mod journal;
mod limits;
mod metadata;
mod stream;
mod version;

pub use aggregate::{Aggregate, Handle, Merge};
pub use checkpoint::Checkpoint;
pub use claim::{ClaimName, Holder, InvalidClaim};
pub use clock::{Clock, SystemClock, Timestamp};
#[cfg(feature = "json")]
pub use codec::Json;
pub use codec::{Bincode, Codec, CodecError, CodecId, PayloadWriter};
pub use context::{AwaitDurable, Context};
pub use decision::{ClaimRefused, ClaimRequest, Decision, DecisionParts};
pub use event::{DecodeError, Event, EventType};
pub use idempotency::InvalidKey;
pub use limits::{Limits, TooLarge};
pub use metadata::{CommandId, CorrelationId, Metadata, MetadataEntries};
pub use stream::{AggregateId, InvalidId, StreamId};
pub use version::{CommitNumber, ExpectedVersion, GlobalPosition, StreamVersion};

/// What `derive(Event)` expands to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}
