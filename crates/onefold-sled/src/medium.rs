//! The seam between the redo log and the disk, so that tests can script what goes wrong there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// How the redo log writes and syncs its groups.
pub trait Medium: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// The journal is poisoned by any.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes durable what was written.
    ///
    /// # Errors
    ///
    /// The journal is poisoned by any.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The disk itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Medium for Disk {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
