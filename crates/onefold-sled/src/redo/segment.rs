//! Segments: the files of the redo log, all of real zeros before the first group is written, so that a sync has only
//! data to write.
//!
//! ```text
//!  0  magic u64
//!  8  format u32          = 2
//! 12  relaxed u32         1: written without a sync per group, so a torn group may lie before a whole one
//! 16  generation u64      one per opening of the journal; groups of another are not of this log
//! 24  sequence u64        the file's number and name: redo/<sequence in hex>.redo
//! 32  salt u64            random, one per opening: seeds the checksums of the groups
//! 40  first group u64     groups with a lower number are left over from an earlier use of the file
//! 48  crc u32             CRC-32C of 0..48
//! 52  zeros to 4096, where the first group begins
//! ```

use std::fs::{File, OpenOptions};
use std::hash::BuildHasher as _;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::blocks::{self, Staging};
use crate::fields::{put, u32_at, u64_at};

/// Where the first group begins.
pub(crate) const GROUPS_AT: usize = 4096;
/// The format of segments and groups.
pub(crate) const FORMAT: u32 = 2;
const MAGIC: u64 = u64::from_le_bytes(*b"1foldRdo");
const CRC_AT: usize = 48;
const HEADER_BYTES: usize = CRC_AT + 4;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) format: u32,
    pub(crate) relaxed: bool,
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) salt: u64,
    pub(crate) first_group: u64,
}

/// A salt for an opening. Whoever sends payloads must not be able to make one that looks like a group: checksums alone
/// have no secret.
pub(crate) fn random_salt() -> u64 {
    // Keyed by the system's randomness, per process and call.
    std::hash::RandomState::new().hash_one(MAGIC)
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![0; GROUPS_AT];
        put(&mut bytes, 0, &MAGIC.to_le_bytes());
        put(&mut bytes, 8, &self.format.to_le_bytes());
        put(&mut bytes, 12, &u32::from(self.relaxed).to_le_bytes());
        put(&mut bytes, 16, &self.generation.to_le_bytes());
        put(&mut bytes, 24, &self.sequence.to_le_bytes());
        put(&mut bytes, 32, &self.salt.to_le_bytes());
        put(&mut bytes, 40, &self.first_group.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        put(&mut bytes, CRC_AT, &crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when the bytes are none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let intact = u64_at(header, 0) == MAGIC && crc32c::crc32c(&header[..CRC_AT]) == u32_at(header, CRC_AT);
        intact.then(|| SegmentHeader {
            format: u32_at(header, 8),
            relaxed: u32_at(header, 12) != 0,
            generation: u64_at(header, 16),
            sequence: u64_at(header, 24),
            salt: u64_at(header, 32),
            first_group: u64_at(header, 40),
        })
    }
}

/// A segment that is open for writing.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: File,
    pub(crate) sequence: u64,
    pub(crate) bytes: u64,
}

/// The path of a segment.
pub(crate) fn path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:016x}.redo"))
}

/// The segments in a directory: sequence and path, in order.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let sequence = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".redo"));
        if let Some(sequence) = sequence.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            segments.push((sequence, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Makes a segment ready for its first group: from `spare`, a file that is no longer needed, or anew with `bytes` of
/// zeros. It has its final name only when it is wholly on disk.
///
/// With a sync per group it is written past the page cache; without one, the page cache is what makes it fast.
pub(crate) fn prepare(dir: &Path, header: SegmentHeader, bytes: u64, spare: Option<PathBuf>) -> io::Result<Segment> {
    let temporary = dir.join("next.tmp");
    let recycled = spare.is_some();
    if let Some(spare) = spare {
        std::fs::rename(spare, &temporary)?;
    }
    let bytes = if recycled { 0 } else { bytes };
    let file = match write_header(&temporary, header, bytes, !header.relaxed) {
        // It could be opened so, but not written.
        Err(error) if blocks::is_refused(&error) && !header.relaxed => write_header(&temporary, header, bytes, false)?,
        written => written?,
    };
    let bytes = file.metadata()?.len();
    std::fs::rename(&temporary, path(dir, header.sequence))?;
    sync_directory(dir)?;
    Ok(Segment { file, sequence: header.sequence, bytes })
}

/// Writes the header, durably, to a new file of so many bytes; to the one that is there, if there are to be none.
fn write_header(path: &Path, header: SegmentHeader, bytes: u64, direct: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).create(bytes > 0).truncate(bytes > 0);
    let file = blocks::open(path, &mut options, direct)?;
    blocks::fill_with_zeros(&file, bytes)?;
    file.write_all_at(Staging::default().stage(&header.encode()), 0)?;
    file.sync_all()?;
    Ok(file)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
