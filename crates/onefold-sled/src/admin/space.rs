//! Where a journal's bytes are.

use std::path::Path;

use onefold_core::journal::ReadError;

use super::derived_check::of_kind;
use super::error::AdminError;
use super::inspector::Inspector;
use super::{OnProgress, Progress};
use crate::keys;
use crate::reader::{Reader, storage};

/// Entries between two reports of progress.
const TELL_EVERY: u64 = 1_024;

/// Entries of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceOf {
    /// How many.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// What takes how much space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Space {
    /// Blocks of the log, chunks included.
    pub blocks: SpaceOf,
    /// Heads.
    pub heads: SpaceOf,
    /// Entries of the sparse index.
    pub index: SpaceOf,
    /// Claims.
    pub claims: SpaceOf,
    /// Marks.
    pub marks: SpaceOf,
    /// Segments of the redo log.
    pub redo: SpaceOf,
    /// sled's files in all.
    pub store_bytes: u64,
    /// What sled's files take beyond keys and values: its own structure, and room that it will use again.
    pub store_overhead_bytes: u64,
    /// Beacon and lock.
    pub other_bytes: u64,
    /// All files.
    pub total_bytes: u64,
    /// What is free on the file system.
    pub free_bytes: u64,
}

/// Looks it up: reads all of sled.
///
/// # Errors
///
/// When the store or the directory cannot be read.
pub fn space(inspector: &Inspector, on_progress: OnProgress<'_>) -> Result<Space, AdminError> {
    let shared = inspector.journal().shared();
    let reader = Reader::new(shared)?;
    let mut done = 0;
    let mut of = |kind: u8| -> Result<SpaceOf, ReadError> {
        let mut space = SpaceOf::default();
        for entry in of_kind(&reader.store, kind) {
            let (key, value) = entry.map_err(storage)?;
            space.entries += 1;
            space.bytes += (key.len() + value.len()) as u64;
            done += 1;
            if done % TELL_EVERY == 0 {
                on_progress(Progress { stage: "measuring entries", done, total: 0 });
            }
        }
        Ok(space)
    };
    let (blocks, heads, index) = (of(keys::LOG)?, of(keys::HEAD)?, of(keys::INDEX)?);
    let (claims, marks) = (of(keys::CLAIM)?, of(keys::MARK)?);
    let dir = &shared.config.path;
    let store = files(dir, |name| name == "db" || name == "conf" || name.starts_with("snap."))?;
    let blobs = files(&dir.join("blobs"), |_| true).unwrap_or_default();
    let other = files(dir, |name| name == "beacon" || name == "lock")?;
    let redo = files(&shared.redo_dir, |_| true)?;
    let inside = blocks.bytes + heads.bytes + index.bytes + claims.bytes + marks.bytes;
    let store_bytes = store.bytes + blobs.bytes;
    let stat = rustix::fs::statvfs(dir).map_err(|error| AdminError::io("could not measure", dir)(error.into()))?;
    Ok(Space {
        blocks,
        heads,
        index,
        claims,
        marks,
        redo,
        store_bytes,
        store_overhead_bytes: store_bytes.saturating_sub(inside),
        other_bytes: other.bytes,
        total_bytes: store_bytes + other.bytes + redo.bytes,
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

fn files(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<SpaceOf, AdminError> {
    let mut space = SpaceOf::default();
    let entries = std::fs::read_dir(dir).map_err(AdminError::io("could not list", dir))?;
    for entry in entries.flatten().filter(|entry| wanted(&entry.file_name().to_string_lossy())) {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            space.entries += 1;
            space.bytes += metadata.len();
        }
    }
    Ok(space)
}
