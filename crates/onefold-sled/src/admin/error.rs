//! Why looking after a journal failed, named by what the operator can do.

use std::io;
use std::path::{Path, PathBuf};

use onefold_core::journal::{CloseError, ReadError};

use crate::error::OpenJournalError;
use crate::store::StoreError;

/// Why a task of [`admin`](crate::admin) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no journal in the directory.
    #[error("there is no journal in {}: it has no beacon, no redo log and no db", path.display())]
    NoJournal {
        /// The directory.
        path: PathBuf,
    },
    /// Something is where a new journal should go.
    #[error("{} is there already: name a place where nothing is", path.display())]
    TargetExists {
        /// The place.
        path: PathBuf,
    },
    /// The directory for a new journal has something in it.
    #[error("{} is not empty: name an empty directory, or one that is not there yet", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The journal does not open.
    #[error(transparent)]
    Open(#[from] OpenJournalError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal did not close cleanly.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// A record for a new journal is not the one that has to come next, or is damaged.
    #[error("commit {commit} cannot be written: {evidence}")]
    Record {
        /// The commit that had to come next.
        commit: u64,
        /// What is wrong with it.
        evidence: String,
    },
    /// sled refused.
    #[error("the store of {} failed: {reason}", path.display())]
    Store {
        /// The journal's directory.
        path: PathBuf,
        /// What it said.
        reason: StoreError,
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
    /// What was written was read back, and is not sound.
    #[error("what was written to {} does not verify: {problem}", path.display())]
    NotVerified {
        /// The new journal.
        path: PathBuf,
        /// The first thing that is wrong with it.
        problem: String,
    },
    /// A repair would lose something that cannot be told without reading the store.
    #[error("{} cannot be repaired: {reason}", path.display())]
    NotRepairable {
        /// The journal's directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl AdminError {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| AdminError::Io { action, path, source }
    }

    /// For `map_err` on the store.
    pub(crate) fn store(path: &Path) -> impl Fn(StoreError) -> Self {
        let path = path.to_owned();
        move |reason| AdminError::Store { path: path.clone(), reason }
    }
}
