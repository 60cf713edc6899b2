//! The default journal of onefold: a redo log, synced once per group of commits, in front of sled.
//!
//! ```text
//!  append ─▶ queue ─▶ writer ─▶ redo log: one write, one sync ─▶ acknowledgement
//!                                   │
//!                                overlay (memory) ─▶ applier ─▶ sled: blocks of 4 KiB, heads, index
//!                                   ▲                              ▲
//!                                   └── readers: memory first ─────┘
//! ```
//!
//! * The **redo log** is the commit point. It is short-lived: a segment is recycled when sled is synced beyond it.
//! * **sled** is the indexed history that aggregates replay from. Nothing acknowledged depends on sled's own durability.
//! * The **beacon**, a small file of its own, knows how far the log was acknowledged, so that a tail that went missing is
//!   noticed at open.
//!
//! The bytes are drawn in `docs/format.md`; why it is built like this says `docs/adr/0001-redo-log-in-front-of-sled.md`.
//!
//! ```
//! # use onefold_core::journal::Journal;
//! # use onefold_core::StreamId;
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("journal");
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use onefold_sled::SledJournal;
//! let journal = SledJournal::open(&path)?;
//! let opened = journal.open(&StreamId::new("account", "acc-1")?).await?;
//! assert_eq!(opened.head.get(), 0);
//! journal.close().await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod admin;
mod config;
mod error;
mod journal;
mod medium;
mod stats;

mod shared;
mod threads;

mod writer;

mod redo;

mod overlay;
mod placing;

mod applier;
mod checkpoint;

mod reader;

mod recovery;

mod beacon;
mod block;
mod claims;
mod derived;
mod fields;
mod gap;
mod heads;
mod keys;
mod lock;
mod poison;
mod resident;
mod space;
mod store;
mod timer;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

pub use config::{Durability, RebuildProgress, SledConfig};
pub use error::OpenJournalError;
pub use gap::Gap;
pub use journal::SledJournal;
#[doc(hidden)]
pub use medium::{Disk, Medium, Step};
pub use stats::JournalStats;
