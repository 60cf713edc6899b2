//! The journals that can be put under load: opened, looked at, and reopened alike.

use std::ops::{AddAssign, Sub};
use std::path::PathBuf;
use std::sync::Arc;

use onefold::journal::Journal;
use onefold::{Durability, JournalStats, MemoryJournal, OpenJournalError, SledJournal};

use crate::options::{DurabilityKind, JournalKind};

/// What to open.
#[derive(Clone, Debug)]
pub(crate) struct StoreOptions {
    pub(crate) kind: JournalKind,
    pub(crate) durability: DurabilityKind,
    /// Bytes of the journal's caches; by default its own.
    pub(crate) cache_bytes: Option<usize>,
    pub(crate) directory: PathBuf,
}

impl StoreOptions {
    /// The journal in memory, which has no options.
    pub(crate) fn memory() -> Self {
        StoreOptions {
            kind: JournalKind::Memory,
            durability: DurabilityKind::Buffered,
            cache_bytes: None,
            directory: PathBuf::new(),
        }
    }

    /// Opens it.
    pub(crate) fn open(&self) -> anyhow::Result<Store> {
        match self.kind {
            JournalKind::Memory => Ok(Store::Memory(MemoryJournal::new())),
            JournalKind::Sled => Ok(Store::Sled(Arc::new(self.open_sled()?))),
        }
    }

    fn open_sled(&self) -> Result<SledJournal, OpenJournalError> {
        let durability = match self.durability {
            DurabilityKind::Fsync => Durability::Fsync,
            DurabilityKind::ProcessCrash => Durability::ProcessCrash,
            DurabilityKind::Buffered => Durability::Buffered,
        };
        let mut config = SledJournal::builder(&self.directory).durability(durability);
        if let Some(bytes) = self.cache_bytes {
            // As the journal's defaults are: two thirds to sled, one third to the blocks in front of it.
            config = config.cache_bytes((bytes / 3 * 2).max(1 << 20)).block_cache_bytes(bytes / 3);
            // What is not in sled yet is held in memory too; with small caches, no more of it than of those.
            config = config.overlay_bytes_max(bytes.clamp(1 << 20, 64 << 20));
        }
        config.open()
    }
}

/// An open journal.
#[derive(Clone)]
pub(crate) enum Store {
    /// On disk.
    Sled(Arc<SledJournal>),
    /// In memory.
    Memory(MemoryJournal),
}

/// What a journal has written since it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) syncs: u64,
    pub(crate) groups: u64,
    pub(crate) commits: u64,
}

impl Sub for Written {
    type Output = Written;

    fn sub(self, earlier: Written) -> Written {
        Written {
            syncs: self.syncs - earlier.syncs,
            groups: self.groups - earlier.groups,
            commits: self.commits - earlier.commits,
        }
    }
}

impl AddAssign for Written {
    fn add_assign(&mut self, more: Written) {
        self.syncs += more.syncs;
        self.groups += more.groups;
        self.commits += more.commits;
    }
}

impl Store {
    /// For a runtime.
    pub(crate) fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Store::Sled(journal) => Arc::<SledJournal>::clone(journal),
            Store::Memory(journal) => Arc::new(journal.clone()),
        }
    }

    /// What it has written; `None` of a journal that has no disk.
    pub(crate) fn written(&self) -> Option<Written> {
        match self {
            Store::Sled(journal) => {
                let JournalStats { syncs, groups, commits, .. } = journal.stats();
                Some(Written { syncs, groups, commits })
            }
            Store::Memory(_) => None,
        }
    }

    /// Opens it again after it was closed, from what is on disk. No other handle to it may be left.
    pub(crate) fn reopen(self, options: &StoreOptions) -> anyhow::Result<Store> {
        match self {
            Store::Sled(journal) => {
                drop(journal);
                options.open()
            }
            Store::Memory(journal) => {
                journal.reopen();
                Ok(Store::Memory(journal))
            }
        }
    }
}
