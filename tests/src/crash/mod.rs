//! The crash harness: processes under load are killed, disks are cut off, files are damaged; then the journal is read back
//! and held against what was said before.
//!
//! ```text
//!   attack ──▶ Directory ── spawns ─▶ crash child   the runtime under load: attempts, answers, what reads showed
//!   (kill, power, io, soak)    │                         │ each a line in a file outside the attacked disk, by one write
//!                              │                         ▼
//!                              ├─ spawns ─▶ crash read   opens anew, reads everything, two ways: a line per commit
//!                              │                         │
//!                              ▼                         ▼
//!                           Ledger ◀───────────────── transcripts      pure: text in, findings out
//! ```
//!
//! Both run as processes of their own, so that one that hangs, panics or aborts is a finding and not the end of the
//! attack. What the reader has shown counts as shown, however soon it is killed: it must still be there the next time.
//!
//! `flip` damages files and needs no load; it has its own processes.

pub mod cli;

pub mod flip;
pub mod io;
pub mod kill;
pub mod power;
pub mod soak;

pub mod mutations;
pub mod simulate;

pub mod directory;
pub mod disk;

pub mod ledger;

pub mod process;
pub mod transcript;

pub mod load;
pub mod read;

pub mod chronicle;
pub mod journal;

pub mod place;
pub mod progress;
pub mod random;
pub mod verdict;
