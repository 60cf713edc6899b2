//! Looking at a journal and looking after it: what command lines and runbooks are made of. All of it blocks; none of it
//! needs a tokio runtime.
//!
//! | | |
//! |---|---|
//! | [`Inspector`] | reads: commits in order, streams, one stream; takes part in nothing |
//! | [`verify`] | checks everything that can be checked, and changes nothing |
//! | [`plan_repair`], [`repair`] | what would be lost; and doing it, with the damaged directory kept as it is |
//! | [`backup`](crate::SledJournal::backup) | a consistent and verified copy of a journal that is in use |
//! | [`JournalWriter`] | a new journal from records: what an import writes to |
//! | [`space`] | where the bytes are |

mod backup;
mod carved;
mod checker;
mod claims_check;
mod derived_check;
mod directory_check;
mod elsewhere;
mod error;
mod inspector;
mod log_scan;
mod problem;
mod redo_index;
mod repair;
mod scratch;
mod space;
mod verify;
mod walk;
mod writer;

pub use backup::BackupReport;
pub use error::AdminError;
pub use inspector::{Entry, Inspector, Parts, Records, StreamSummary};
pub use problem::{Listed, Problem, ProblemKind, StreamLoss};
pub use repair::{RepairOptions, RepairReport, plan_repair, repair};
pub use space::{Space, SpaceOf, space};
pub use verify::{Checked, Hole, VerifyOptions, VerifyReport, verify};
pub use writer::JournalWriter;

/// How far a long task got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, in a few words.
    pub stage: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// Of how much; 0 when that is not known.
    pub total: u64,
}

/// Told how far a long task got, often: be brief.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress);
