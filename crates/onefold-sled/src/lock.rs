//! One process per directory: a lock file of our own, with the holder's process id in it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::error::OpenJournalError;

/// Held while the journal is open; the system lets it go when the process dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock, or names who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenJournalError> {
        let path = dir.join("lock");
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(&path).map_err(OpenJournalError::io("could not open", &path))?;
        if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(OpenJournalError::io("could not lock", &path)(error.into()));
            }
            let holder = std::fs::read_to_string(&path).ok().and_then(|pid| pid.trim().parse().ok());
            return Err(OpenJournalError::Locked { path: dir.to_owned(), holder });
        }
        let pid = format!("{}\n", std::process::id());
        let written = file.set_len(0).and_then(|()| file.write_all(pid.as_bytes()));
        written.map_err(OpenJournalError::io("could not write", &path))?;
        Ok(DirectoryLock { file })
    }
}

impl Drop for DirectoryLock {
    /// Unlocks by name rather than by closing the file: a child process that another thread is just starting holds a copy
    /// of every open file until it runs its own program, and with a copy the lock would live on for that moment.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}
