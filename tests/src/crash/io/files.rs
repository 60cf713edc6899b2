//! The files below a folder that is served: by inode number, with what a failed sync takes away.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// FUSE's number for the folder itself.
const ROOT: u64 = 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    paths: HashMap<u64, PathBuf>,
    open: HashMap<u64, Arc<File>>,
    next_handle: u64,
    unsynced: HashMap<u64, Vec<Overwritten>>,
    synchronous: HashMap<u64, u32>,
}

/// What a write that is not synced yet has overwritten.
#[derive(Debug)]
struct Overwritten {
    offset: u64,
    before: Vec<u8>,
    length_before: u64,
}

impl Files {
    /// What lies below `root`.
    pub(super) fn new(root: &Path) -> Self {
        Files {
            root: root.to_owned(),
            paths: HashMap::from([(ROOT, root.to_owned())]),
            open: HashMap::new(),
            next_handle: 1,
            unsynced: HashMap::new(),
            synchronous: HashMap::new(),
        }
    }

    /// Where a file is.
    pub(super) fn path(&self, inode: u64) -> io::Result<PathBuf> {
        self.paths.get(&inode).cloned().ok_or_else(|| rustix::io::Errno::STALE.into())
    }

    /// Where a file is, or would be.
    pub(super) fn child(&self, parent: u64, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.path(parent)?.join(name))
    }

    /// A path for people.
    pub(super) fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Looks at what lies there, and remembers where that is.
    pub(super) fn note(&mut self, path: PathBuf) -> io::Result<Metadata> {
        let metadata = path.symlink_metadata()?;
        self.paths.insert(metadata.ino(), path);
        Ok(metadata)
    }

    /// Keeps a file open; returns its handle.
    pub(super) fn keep(&mut self, file: File) -> u64 {
        self.next_handle += 1;
        self.open.insert(self.next_handle, Arc::new(file));
        self.next_handle
    }

    /// An open file.
    pub(super) fn get(&self, handle: u64) -> io::Result<Arc<File>> {
        self.open.get(&handle).cloned().ok_or_else(|| rustix::io::Errno::BADF.into())
    }

    /// Closes a file.
    pub(super) fn close(&mut self, handle: u64) {
        self.open.remove(&handle);
    }

    /// Writes; a sync that fails will take it back.
    pub(super) fn write(&mut self, inode: u64, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        // A synchronous file's writes are durable when they return.
        if !self.synchronous.contains_key(&inode) {
            let length_before = file.metadata()?.len();
            let kept = length_before.saturating_sub(offset).min(data.len() as u64);
            let mut before = vec![0; usize::try_from(kept).map_err(io::Error::other)?];
            file.read_exact_at(&mut before, offset)?;
            self.unsynced.entry(inode).or_default().push(Overwritten { offset, before, length_before });
        }
        file.write_all_at(data, offset)
    }

    /// What was written is durable.
    pub(super) fn synced(&mut self, inode: u64) {
        self.unsynced.remove(&inode);
    }

    /// What was written since the last sync is gone, and nobody will say so again.
    pub(super) fn lose_unsynced(&mut self, inode: u64) -> io::Result<()> {
        let path = self.path(inode)?;
        let file = File::options().write(true).open(path)?;
        for write in self.unsynced.remove(&inode).unwrap_or_default().iter().rev() {
            file.write_all_at(&write.before, write.offset)?;
            file.set_len(write.length_before)?;
        }
        Ok(())
    }

    /// The file's attributes, as `FS_IOC_SETFLAGS` has set them.
    pub(super) fn flags(&self, inode: u64) -> u32 {
        self.synchronous.get(&inode).copied().unwrap_or(0)
    }

    /// Sets them.
    pub(super) fn set_flags(&mut self, inode: u64, flags: u32) {
        let is_synchronous = flags & rustix::fs::IFlags::SYNC.bits() != 0;
        match is_synchronous {
            true => drop(self.synchronous.insert(inode, flags)),
            false => drop(self.synchronous.remove(&inode)),
        }
    }

    /// A file was removed: its number may come again.
    pub(super) fn forget(&mut self, path: &Path) {
        if let Ok(metadata) = path.symlink_metadata() {
            self.unsynced.remove(&metadata.ino());
            self.synchronous.remove(&metadata.ino());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_takes_back_what_was_written_since_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut files = Files::new(directory.path());
        let inode = files.note(path.clone()).unwrap().ino();
        files.write(inode, &file, 0, b"old text").unwrap();
        files.synced(inode);
        files.write(inode, &file, 4, b"words and more").unwrap();
        files.write(inode, &file, 0, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new words and more");
        files.lose_unsynced(inode).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old text");
        files.set_flags(inode, rustix::fs::IFlags::SYNC.bits());
        files.write(inode, &file, 0, b"synchronous").unwrap();
        files.lose_unsynced(inode).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"synchronous");
    }
}
