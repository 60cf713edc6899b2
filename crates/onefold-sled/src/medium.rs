//! The seam between the redo log and the disk, so that tests can script what goes wrong there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// How the redo log writes and syncs its groups.
pub trait Medium: Send + Sync {
    /// Writes all of `bytes` at `offset`: whole blocks of 4 KiB, in memory that is aligned so. The file may refuse other
    /// lengths, offsets and memory, because it is written past the page cache.
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

    /// Called before a step that does not pass through here; an error is that step's.
    ///
    /// # Errors
    ///
    /// What the disk is to say.
    fn before(&self, step: Step) -> io::Result<()> {
        let _ = step;
        Ok(())
    }
}

/// What the journal is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Make sled's file synchronous.
    WriteThrough,
    /// Make room for blocks in sled.
    Place,
    /// Apply a batch to sled.
    Batch,
    /// Wait until sled has written what it was given.
    StoreWrite,
    /// Sync sled.
    StoreSync,
    /// Make the next segment ready.
    Segment,
    /// Write the beacon.
    Beacon,
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
