//! A backup of the journal underneath, while the runtime goes on.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use onefold_core::journal::Journal;
use onefold_sled::SledJournal;
use onefold_sled::admin::{AdminError, BackupReport};

use super::Runtime;

impl Runtime {
    /// Copies everything that is durable at this moment into a new journal in `target`, and verifies that. Commands go on
    /// meanwhile. What was acknowledged before the call is in the copy; it is a journal like any other, to be opened where it
    /// is. The directory `target` must not be there yet, its parent must.
    ///
    /// It takes as long as [`SledJournal::backup`] says, on a thread of its own. Dropped before its end, the copy is made all
    /// the same.
    ///
    /// # Errors
    ///
    /// [`BackupError`]. Nothing is left at the target then.
    pub async fn backup(&self, target: impl Into<PathBuf>) -> Result<BackupReport, BackupError> {
        let (journal, target) = (Arc::clone(&self.shared.journal), target.into());
        let copied = tokio::task::spawn_blocking(move || match sled_journal(&*journal) {
            Some(journal) => Ok(journal.backup(target, &mut |_| ())?),
            None => Err(BackupError::Unsupported),
        });
        copied.await.unwrap_or_else(|error| Err(BackupError::Interrupted { reason: error.to_string() }))
    }
}

/// The sled journal that this one is, or shares.
fn sled_journal(journal: &dyn Journal) -> Option<&SledJournal> {
    let any: &dyn Any = journal;
    if let Some(journal) = any.downcast_ref::<Arc<dyn Journal>>() {
        return sled_journal(&**journal);
    }
    any.downcast_ref::<SledJournal>().or_else(|| any.downcast_ref::<Arc<SledJournal>>().map(|journal| &**journal))
}

/// Why a backup was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The journal is not a `SledJournal`.
    #[error("this journal is no SledJournal: back it up in its own way")]
    Unsupported,
    /// It could not be copied.
    #[error(transparent)]
    Failed(#[from] AdminError),
    /// The copying thread came to a bad end.
    #[error("the backup was interrupted: {reason}")]
    Interrupted {
        /// What it said.
        reason: String,
    },
}
