//! Why a directory could not be opened as a journal, named by what the operator can do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why [`SledJournal::open`](crate::SledJournal::open) failed. Opening never repairs, deletes or truncates data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenJournalError {
    /// A bound in the configuration is out of its range.
    #[error("the journal's configuration is not usable: {0}")]
    Config(String),
    /// Another journal, in this process or another, has the directory open.
    #[error(
        "the journal at {} is open in another process{}: one process at a time may use it",
        path.display(), holder.map_or_else(String::new, |pid| format!(" (pid {pid})"))
    )]
    Locked {
        /// The journal's directory.
        path: PathBuf,
        /// The holder's process id, if it could be read.
        holder: Option<u32>,
    },
    /// The directory was written by a newer version of onefold.
    #[error("the journal at {} has format {found}, this build knows {known} at most: use a newer build", path.display())]
    NewerFormat {
        /// The journal's directory.
        path: PathBuf,
        /// The format on disk.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// What is on disk is damaged, and what is damaged was acknowledged. No byte of the redo log or the beacon was touched.
    /// sled is opened only when these two agree; when the damage is in sled itself, sled may by then have cut off a torn
    /// tail of its own.
    #[error(
        "the journal is damaged at {place}: {evidence}; the redo log and the beacon were not touched, an explicit repair is needed"
    )]
    Damaged {
        /// Where: a file and an offset, or a key.
        place: String,
        /// What was found there.
        evidence: String,
    },
    /// Commits that were acknowledged are missing at the end of the log. No byte of the redo log or the beacon was touched;
    /// about sled see [`Damaged`](OpenJournalError::Damaged).
    #[error(
        "the journal's tail is missing: commit {acknowledged} was acknowledged, the log ends at {reached} ({evidence}); \
         the redo log and the beacon were not touched, an explicit repair is needed"
    )]
    TailTruncated {
        /// The last commit that is known to have been acknowledged.
        acknowledged: u64,
        /// The last commit that was found.
        reached: u64,
        /// What shows it.
        evidence: String,
    },
    /// sled has spilled to `blobs/`, whose files it never syncs: data in there may be lost at any power cut.
    #[error("{} is not empty: this journal never writes there, so another program has written to it", path.display())]
    ForeignBlobs {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// sled refused.
    #[error("the journal's store failed: {reason}")]
    Storage {
        /// What it said.
        reason: Arc<str>,
    },
}

impl OpenJournalError {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| OpenJournalError::Io { action, path, source }
    }
}
