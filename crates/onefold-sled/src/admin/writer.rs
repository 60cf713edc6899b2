//! Writing a new journal from records, each with the numbers that it has: what an import, a backup and a repair end in.
//!
//! The beacon is written last. What was left unfinished has none, so no opening takes it for a journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use onefold_core::Timestamp;

use super::checker::LogChecker;
use super::error::AdminError;
use super::verify::Hole;
use crate::beacon::{self, Beacon, Facts};
use crate::block::{BlockPacker, RECORD_BYTES_MAX};
use crate::config::SledConfig;
use crate::gap::Gap;
use crate::keys;
use crate::lock::DirectoryLock;
use crate::placing::Placing;
use crate::recovery::{Progress, directory, rebuild};
use crate::redo::segment;
use crate::store::{BATCH_BLOCKS_MAX, Store, StoreBatch};

/// Bytes of sled's cache while it is only written.
const CACHE_BYTES: usize = 32 << 20;
/// Heads held at a time while they are built.
const HEADS_MAX: usize = 262_144;

/// A new journal in the making. Dropped before [`finish`](JournalWriter::finish) it is removed.
pub struct JournalWriter {
    path: PathBuf,
    /// Whether the directory was made for it.
    created: bool,
    store: Option<Store>,
    packer: BlockPacker,
    placing: Placing,
    checker: LogChecker,
    generation: u64,
    lock: Option<DirectoryLock>,
}

impl JournalWriter {
    /// Begins a journal in `path`: a directory that is empty, or not there (but its parent is).
    ///
    /// # Errors
    ///
    /// [`AdminError::NotEmpty`]; or the file system or sled refuse.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, AdminError> {
        let path = path.as_ref().to_owned();
        let is_there = path.exists();
        if is_there {
            let mut entries = std::fs::read_dir(&path).map_err(AdminError::io("could not list", &path))?;
            if entries.next().is_some() {
                return Err(AdminError::NotEmpty { path });
            }
        }
        let mut writer = JournalWriter {
            path,
            created: !is_there,
            store: None,
            packer: BlockPacker::default(),
            placing: Placing::default(),
            // Nothing derived is checked beside it, so nothing is remembered for that.
            checker: LogChecker::new(u64::MAX),
            generation: 1,
            lock: None,
        };
        directory::create(&writer.path)?;
        writer.lock = Some(DirectoryLock::take(&writer.path)?);
        let config = SledConfig::new(&writer.path).cache_bytes(CACHE_BYTES);
        writer.store = Some(Store::open(&config, Arc::default()).map_err(AdminError::store(&writer.path))?);
        Ok(writer)
    }

    /// The generation that the beacon will name; the next opening begins the one after it.
    pub(super) fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Adds the record of the next commit, as [`Entry::record`](super::Entry) has it. It is checked first: its checksums, that
    /// its numbers go on from what came before, and that it is all there is in `record`.
    ///
    /// # Errors
    ///
    /// [`AdminError::Record`] when it is not that; or sled refuses.
    pub fn push(&mut self, record: &Bytes) -> Result<(), AdminError> {
        let commit = self.checker.commit + 1;
        let refuse = |evidence: String| AdminError::Record { commit, evidence };
        let length = super::log_scan::record_len(commit, record);
        if length.is_some_and(|length| length != record.len()) || record.len() > RECORD_BYTES_MAX {
            return Err(refuse(format!("its {} bytes are not one record", record.len())));
        }
        self.checker.take(record).map_err(|problem| refuse(problem.evidence))?;
        self.packer.push(commit, record);
        self.write_full()
    }

    /// Adds the record of a gap for each commit of a hole.
    pub(super) fn push_hole(&mut self, hole: &Hole, removed_at: Timestamp) -> Result<(), AdminError> {
        let gap = Gap {
            first_commit: hole.first_commit,
            last_commit: hole.last_commit,
            first_position: hole.first_position,
            last_position: hole.last_position,
            removed_at,
        };
        (hole.first_commit.get()..=hole.last_commit.get()).try_for_each(|commit| self.push(&gap.encode(commit).into()))
    }

    /// The last commit that was added.
    pub fn last_commit(&self) -> u64 {
        self.checker.commit
    }

    /// How many events were added.
    pub fn events(&self) -> u64 {
        self.checker.events
    }

    /// How many streams there are.
    pub fn streams(&self) -> u64 {
        self.checker.stream_count()
    }

    /// Bytes of the records that were added.
    pub fn record_bytes(&self) -> u64 {
        self.checker.record_bytes
    }

    /// Writes what is left, builds heads, index and claims, makes everything durable, and only then the beacon.
    ///
    /// # Errors
    ///
    /// When sled or the file system refuse; the directory is then as it was before.
    pub fn finish(mut self) -> Result<(), AdminError> {
        let (path, commit) = (self.path.clone(), self.checker.commit);
        let Some(store) = self.store.take() else { return Ok(()) };
        let failed = AdminError::store(&path);
        self.packer.seal();
        self.placing.write_all(&store, self.packer.take_full(), |_| ()).map_err(&failed)?;
        let mut batch = StoreBatch::default();
        batch.insert(keys::FORMAT_MARK, &u64::from(beacon::FORMAT).to_le_bytes());
        batch.insert(keys::APPLIED_MARK, &commit.to_le_bytes());
        store.apply(batch).map_err(&failed)?;
        let mut progress = Progress::new(None);
        let position = rebuild::rebuild(&store, commit, HEADS_MAX, &mut progress)?;
        store.sync().map_err(&failed)?;
        drop(store);
        directory::sync_created(&path)?;
        let facts = Facts {
            clean: true,
            generation: self.generation,
            commit,
            position,
            synced_commit: commit,
            ..Facts::default()
        };
        let beacon_path = path.join("beacon");
        let write = || -> std::io::Result<()> {
            Beacon::open(&beacon_path, 0)?.write(|| Ok(facts))?;
            segment::sync_directory(&path)
        };
        // IMPORTANT: last: what it promises is durable.
        write().map_err(AdminError::io("could not write", &beacon_path))?;
        // Nothing is left to be removed.
        self.lock = None;
        self.path = PathBuf::new();
        Ok(())
    }

    fn write_full(&mut self) -> Result<(), AdminError> {
        match &self.store {
            Some(store) if self.packer.full_blocks() >= BATCH_BLOCKS_MAX => {
                let written = self.placing.write(store, self.packer.take_full(), |_| ());
                written.map_err(AdminError::store(&self.path))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        self.store = None;
        if self.path.as_os_str().is_empty() {
            return;
        }
        let removed = match self.created {
            true => std::fs::remove_dir_all(&self.path),
            false => empty(&self.path),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %self.path.display(), %error, "could not remove an unfinished journal");
        }
    }
}

/// Removes everything in a directory that was empty before.
fn empty(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(&path)?,
            false => std::fs::remove_file(&path)?,
        }
    }
    Ok(())
}

impl std::fmt::Debug for JournalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalWriter").field("path", &self.path).finish_non_exhaustive()
    }
}
