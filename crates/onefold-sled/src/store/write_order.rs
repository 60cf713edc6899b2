//! The order in which sled's writes reach the disk.
//!
//! sled overwrites a part of its file that it has freed only when what replaces it was "written to disk and fsynced": its
//! recovery counts on that. But on Linux it calls `sync_file_range`, which makes neither a new end of the file nor the
//! disk's cache durable. At a power cut between two of our syncs the overwritten part can be there and what replaced it
//! not: then sled panics at every opening, or old pages are silently gone (H13 in `docs/guarantees.md`).
//!
//! So the file carries the attribute that makes every write to it synchronous: a write of sled's returns when it is
//! durable, which is what sled believes anyway. Where the file system has no such attribute, every batch is synced, and
//! batches are so small that sled cannot come around to freed space within one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::IFlags;

use crate::medium::{Medium, Step};

/// Who keeps the order of sled's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOrder {
    /// The file: each write returns when it is durable.
    File,
    /// The journal: it syncs after every batch, and sled does not write on its own.
    Batches,
}

/// Opens, or creates, sled's file before sled does, and sees to the order of its writes.
pub(crate) fn open(path: &Path, medium: &dyn Medium) -> io::Result<(File, WriteOrder)> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let order = match write_through(&file, medium) {
        Ok(()) => WriteOrder::File,
        Err(error) => {
            tracing::warn!(
                path = %path.display(), %error,
                "the file system has no synchronous files: every batch is synced instead, which is slower"
            );
            WriteOrder::Batches
        }
    };
    // IMPORTANT: what was written before the attribute was set, by a copy of the directory for instance, is durable too.
    file.sync_all()?;
    Ok((file, order))
}

/// Makes every write to the file synchronous, whoever writes.
fn write_through(file: &File, medium: &dyn Medium) -> io::Result<()> {
    medium.before(Step::WriteThrough)?;
    let flags = rustix::fs::ioctl_getflags(file)?;
    if flags.contains(IFlags::SYNC) {
        return Ok(());
    }
    rustix::fs::ioctl_setflags(file, flags | IFlags::SYNC)?;
    // Some file systems take what they do not keep.
    match rustix::fs::ioctl_getflags(file)?.contains(IFlags::SYNC) {
        true => Ok(()),
        false => Err(io::Error::other("the attribute was not kept")),
    }
}
