//! Backing up: a consistent copy of a journal that is in use, read commit by commit and verified before it has its name.
//!
//! It is written under `<target>.partial` and renamed at the very end: what is there under the target's name is whole.

use std::path::{Path, PathBuf};

use onefold_core::{CommitNumber, GlobalPosition};

use super::error::AdminError;
use super::repair::rename;
use super::verify::{VerifyOptions, verify};
use super::writer::JournalWriter;
use super::{OnProgress, Progress};
use crate::journal::SledJournal;
use crate::reader::Reader;

/// Commits that are read before the store is let go of, so that a journal can close meanwhile.
const COMMITS_AT_ONCE: u64 = 1_024;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Where it is.
    pub path: PathBuf,
    /// The last commit in it.
    pub commit: CommitNumber,
    /// The position of its last event.
    pub position: GlobalPosition,
    /// How many streams it has.
    pub streams: u64,
    /// Bytes of its commits.
    pub record_bytes: u64,
}

impl SledJournal {
    /// Copies everything that is durable at this moment into a new journal in `target`, and verifies that. Appends and reads go
    /// on meanwhile, and share the disk with it. The copy holds a prefix of the commits: all that were acknowledged before the
    /// call, and none that comes later than its end.
    ///
    /// Blocks for as long as it takes: about twice as long as writing the journal's commits to this disk. Holds about 50 bytes
    /// per stream.
    ///
    /// # Errors
    ///
    /// [`AdminError::TargetExists`] when something is in the target's place; [`AdminError::Read`] when the journal is damaged
    /// or is closed meanwhile; or the target cannot be written. Nothing is left at the target then.
    pub fn backup(&self, target: impl AsRef<Path>, on_progress: OnProgress<'_>) -> Result<BackupReport, AdminError> {
        let target = target.as_ref();
        let shared = self.shared();
        let durable = shared.durable_position();
        let total = durable.commit.get();
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = target.with_file_name(name);
        if let Some(path) = [target, &partial].into_iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(AdminError::TargetExists { path: path.to_owned() });
        }
        let mut writer = JournalWriter::create(&partial)?;
        while writer.last_commit() < total {
            let mut reader = Reader::new(shared)?;
            let first = writer.last_commit() + 1;
            for commit in first..=total.min(first + COMMITS_AT_ONCE - 1) {
                writer.push(&reader.record(commit)?)?;
            }
            on_progress(Progress { stage: "copying commits", done: writer.last_commit(), total });
        }
        let (streams, record_bytes) = (writer.streams(), writer.record_bytes());
        writer.finish()?;
        let unfinished = Unfinished(&partial);
        let verified = verify(&partial, &VerifyOptions::in_place(), on_progress)?;
        if let Some(problem) = verified.problems.items.first() {
            return Err(AdminError::NotVerified { path: partial.clone(), problem: problem.to_string() });
        }
        rename(&partial, target)?;
        std::mem::forget(unfinished);
        let (commit, position) = (durable.commit, durable.position);
        Ok(BackupReport { path: target.to_owned(), commit, position, streams, record_bytes })
    }
}

/// Removes a copy that did not get its name.
struct Unfinished<'a>(&'a Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(self.0) {
            tracing::warn!(path = %self.0.display(), %error, "could not remove an unfinished backup");
        }
    }
}
