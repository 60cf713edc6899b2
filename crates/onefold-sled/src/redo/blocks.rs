//! Whole blocks from aligned memory: what lets a file be written past the page cache.
//!
//! A sync of such a file has nothing to look for and to copy, and no two groups share a block of the disk: a power cut that
//! tears the one in flight cannot reach one that was acknowledged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes of a block: what disks write whole, or a multiple of it.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Memory that is kept from group to group.
const KEEP_MAX: usize = 8 << 20;

#[repr(align(4096))]
struct Aligned([u8; 1 << 20]);
static ZEROS: Aligned = Aligned([0; 1 << 20]);

/// Memory from which blocks are written.
#[derive(Debug, Default)]
pub(crate) struct Staging(Vec<u8>);

impl Staging {
    /// Copies bytes to where blocks can be written from, with zeros up to the last block's end.
    pub(crate) fn stage(&mut self, bytes: &[u8]) -> &[u8] {
        let length = bytes.len().next_multiple_of(BLOCK_BYTES);
        if self.0.len() < length + BLOCK_BYTES {
            self.0 = vec![0; length + BLOCK_BYTES];
        }
        let start = self.0.as_ptr().align_offset(BLOCK_BYTES);
        let staged = &mut self.0[start..start + length];
        staged[..bytes.len()].copy_from_slice(bytes);
        staged[bytes.len()..].fill(0);
        staged
    }

    /// Gives memory back that only an uncommonly large group needed.
    pub(crate) fn shrink(&mut self) {
        if self.0.len() > KEEP_MAX {
            self.0 = Vec::new();
        }
    }
}

/// Opens a file to write blocks to: past the page cache where `direct` asks for it and the file system can do it.
pub(crate) fn open(path: &Path, options: &mut OpenOptions, direct: bool) -> io::Result<File> {
    if direct && let Ok(flag) = i32::try_from(OFlags::DIRECT.bits()) {
        match options.custom_flags(flag).open(path) {
            Err(error) if is_refused(&error) => {}
            opened => return opened,
        }
    }
    options.custom_flags(0).open(path)
}

/// Whether a file system or a disk says that it can't write past the page cache, or not in blocks of ours.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Fills a file with so many bytes of real zeros, whole blocks.
pub(crate) fn fill_with_zeros(file: &File, bytes: u64) -> io::Result<()> {
    debug_assert!(bytes.is_multiple_of(BLOCK_BYTES as u64), "whole blocks");
    let zeros = &ZEROS.0;
    let mut offset = 0;
    while offset < bytes {
        let length = usize::try_from(bytes - offset).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(&zeros[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_is_aligned_whole_and_padded() {
        let mut staging = Staging::default();
        for length in [1, 4096, 4097, 100_000, 5] {
            let bytes = vec![7; length];
            let staged = staging.stage(&bytes);
            assert_eq!(staged.as_ptr().align_offset(BLOCK_BYTES), 0);
            assert_eq!(staged.len(), length.next_multiple_of(BLOCK_BYTES));
            assert_eq!(&staged[..length], bytes);
            assert!(staged[length..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn blocks_are_written_past_the_page_cache_or_through_it() {
        let dir = tempfile::tempdir().unwrap();
        for direct in [false, true] {
            let path = dir.path().join("file");
            let mut options = OpenOptions::new();
            let file = open(&path, options.read(true).write(true).create(true).truncate(true), direct).unwrap();
            fill_with_zeros(&file, (1 << 20) + 4096).unwrap();
            file.write_all_at(Staging::default().stage(b"block"), 8192).unwrap();
            file.sync_all().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len(), (1 << 20) + 4096);
            assert_eq!(&bytes[8192..8198], b"block\0");
        }
    }
}
