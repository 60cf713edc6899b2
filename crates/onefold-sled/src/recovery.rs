//! Opening: from a directory to a journal that serves. Nothing is served before the recovered tail is durable in sled.
//!
//! ```text
//!   lock ─▶ beacon ─▶ sweep ─▶ sled ─▶ judge the redo log ─▶ re-apply ─▶ rebuild heads ─▶ sync ─▶ new generation ─▶ beacon
//! ```

mod directory;
mod rebuild;
mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::replay::LiveLog;
use crate::beacon::{self, Beacon, Facts, Found};
use crate::block::{self, Parsed};
use crate::config::{Durability, ProgressCallback, RebuildProgress, SledConfig};
use crate::error::OpenJournalError;
use crate::keys;
use crate::lock::DirectoryLock;
use crate::redo::ledger::Ledger;
use crate::redo::preparer::Preparer;
use crate::redo::scan;
use crate::redo::segment::{self, Segment, SegmentHeader};
use crate::redo::{FIRST_SEGMENT_BYTES, RedoLog, RedoParts};
use crate::shared::{Opened, Shared};
use crate::store::{Store, StoreBatch, StoreError};

/// How often progress is told, and after how long for the first time.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);

/// What is needed to start the threads.
pub(crate) struct Recovered {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: RedoLog,
    pub(crate) lock: DirectoryLock,
}

/// For `map_err` on the store.
pub(crate) fn stored(reason: StoreError) -> OpenJournalError {
    OpenJournalError::Storage { reason }
}

/// Opens the directory.
pub(crate) fn recover(config: SledConfig) -> Result<Recovered, OpenJournalError> {
    let dir = config.path.clone();
    let redo_dir = directory::redo(&dir);
    directory::create(&dir)?;
    let lock = DirectoryLock::take(&dir)?;
    let (mut facts, mut counter) = read_beacon(&dir)?;
    if !facts.is_some_and(|facts| facts.clean) {
        // IMPORTANT: the beacon once more, as it is on the disk.
        directory::settle(&dir)?;
        (facts, counter) = read_beacon(&dir)?;
    }
    directory::refuse_blobs(&dir)?;
    directory::sweep(&dir)?;
    let store = Store::open(&config).map_err(stored)?;
    let old = segment::list(&redo_dir).map_err(OpenJournalError::io("could not list", &redo_dir))?;
    refuse_newer(&dir, &store)?;
    let mut progress = Progress::new(config.progress.clone());
    let commit = match facts {
        Some(facts) => recover_log(&store, &facts, &old, &mut progress)?,
        None => create_log(&dir, &store, &old)?,
    };
    let position = rebuild::rebuild(&store, commit, config.dirty_heads_max, &mut progress)?;
    // IMPORTANT: the recovered tail is durable before anything is served.
    store.sync().map_err(stored)?;
    let facts = Facts {
        clean: false,
        generation: facts.map_or(0, |facts| facts.generation) + 1,
        commit,
        position,
        synced_commit: commit,
        ..Facts::default()
    };
    new_generation(config, redo_dir, &old, store, (facts, counter), lock)
}

fn read_beacon(dir: &Path) -> Result<(Option<Facts>, u64), OpenJournalError> {
    let path = dir.join("beacon");
    match Beacon::read(&path).map_err(OpenJournalError::io("could not read", &path))? {
        Found::Nothing => Ok((None, 0)),
        Found::Facts { facts, counter } => Ok((Some(facts), counter)),
        Found::NewerFormat(found) => {
            Err(OpenJournalError::NewerFormat { path: dir.to_owned(), found, known: beacon::FORMAT })
        }
        Found::Damaged => Err(OpenJournalError::Damaged {
            place: path.display().to_string(),
            evidence: "neither slot matches its checksum".to_owned(),
        }),
    }
}

/// sled knows the format, too: a beacon from elsewhere does not open what it does not belong to.
fn refuse_newer(dir: &Path, store: &Store) -> Result<(), OpenJournalError> {
    let found = store.mark(keys::FORMAT_MARK).map_err(stored)?.unwrap_or(0);
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    match found > beacon::FORMAT {
        true => Err(OpenJournalError::NewerFormat { path: dir.to_owned(), found, known: beacon::FORMAT }),
        false => Ok(()),
    }
}

/// A directory without a beacon is new, or was left in the middle of its creation; it must not hold any commit.
fn create_log(dir: &Path, store: &Store, old: &[(u64, PathBuf)]) -> Result<u64, OpenJournalError> {
    let applied = store.mark(keys::APPLIED_MARK).map_err(stored)?.unwrap_or(0);
    let missing = |what: &str| OpenJournalError::Damaged {
        place: dir.join("beacon").display().to_string(),
        evidence: format!("the beacon is missing, but {what}"),
    };
    if applied > 0 {
        return Err(missing("there are commits"));
    }
    for (_, path) in old {
        if let Some(group) = scan::any_group(path)? {
            return Err(missing(&format!("{group} of {}", path.display())));
        }
    }
    let mut batch = StoreBatch::default();
    batch.insert(keys::FORMAT_MARK, &u64::from(beacon::FORMAT).to_le_bytes());
    batch.insert(keys::APPLIED_MARK, &0u64.to_le_bytes());
    store.apply(batch).map_err(stored)?;
    store.sync().map_err(stored)?;
    directory::sync_created(dir)?;
    Ok(0)
}

/// Checks sled and the redo log against the beacon and each other, and brings sled up to date. Returns the last commit.
fn recover_log(
    store: &Store,
    facts: &Facts,
    old: &[(u64, PathBuf)],
    progress: &mut Progress,
) -> Result<u64, OpenJournalError> {
    let applied = store.mark(keys::APPLIED_MARK).map_err(stored)?.unwrap_or(0);
    let at_least = if facts.clean { facts.commit } else { facts.synced_commit };
    if applied < at_least {
        return Err(OpenJournalError::TailTruncated {
            acknowledged: facts.commit,
            reached: applied,
            evidence: format!("sled was synced up to commit {at_least}, and ends at {applied}"),
        });
    }
    refuse_beyond(store, applied)?;
    if facts.clean {
        return Ok(applied);
    }
    let live = live_segments(facts, applied, old)?;
    let log = LiveLog { segments: &live, facts, applied };
    let commit = log.judge()?;
    progress.last_commit = commit;
    log.reapply(store, progress)?;
    Ok(commit)
}

/// Nothing in the log may lie beyond its mark, but for the first chunks of a large commit whose mark was yet to come.
fn refuse_beyond(store: &Store, applied: u64) -> Result<(), OpenJournalError> {
    let (low, high) = (keys::log(applied + 1, 0), keys::log(u64::MAX, u16::MAX));
    for entry in store.range(&low, &high) {
        let (key, value) = entry.map_err(stored)?;
        let first = keys::parse_log(&key).map_or(0, |(first, _)| first);
        let is_chunk = matches!(block::parse(&key, &value), Ok(Parsed::Chunk { .. }));
        if first != applied + 1 || !is_chunk {
            return Err(OpenJournalError::Damaged {
                place: format!("sled, the block of commit {first}"),
                evidence: format!("it lies beyond the mark, which says {applied}"),
            });
        }
    }
    Ok(())
}

/// The segments that the beacon calls live, and those of the same generation behind them.
fn live_segments(facts: &Facts, applied: u64, old: &[(u64, PathBuf)]) -> Result<Vec<(u64, PathBuf)>, OpenJournalError> {
    for sequence in facts.first_segment..=facts.current_segment {
        if !old.iter().any(|(number, _)| *number == sequence) {
            return Err(OpenJournalError::TailTruncated {
                acknowledged: facts.commit,
                reached: applied,
                evidence: format!("segment {sequence:016x}.redo of the redo log is missing"),
            });
        }
    }
    let mut live = Vec::new();
    for (sequence, path) in old.iter().filter(|(sequence, _)| *sequence >= facts.first_segment) {
        // A segment of the next generation was made by an opening that did not get as far as the beacon: it is empty.
        if *sequence > facts.current_segment && generation_of(path)? == Some(facts.generation + 1) {
            continue;
        }
        live.push((*sequence, path.clone()));
    }
    Ok(live)
}

fn generation_of(path: &Path) -> Result<Option<u64>, OpenJournalError> {
    use std::os::unix::fs::FileExt as _;
    let mut header = [0; 64];
    let read = std::fs::File::open(path).and_then(|file| file.read_exact_at(&mut header, 0));
    read.map_err(OpenJournalError::io("could not read", path))?;
    Ok(SegmentHeader::parse(&header).map(|header| header.generation))
}

/// Starts a fresh segment, tells the beacon, and lets the old segments go.
fn new_generation(
    config: SledConfig,
    redo_dir: PathBuf,
    old: &[(u64, PathBuf)],
    store: Store,
    (mut facts, counter): (Facts, u64),
    lock: DirectoryLock,
) -> Result<Recovered, OpenJournalError> {
    let relaxed = config.durability != Durability::Fsync;
    let sequence = old.last().map_or(0, |(sequence, _)| *sequence) + 1;
    let salt = segment::random_salt();
    let (format, generation) = (segment::FORMAT, facts.generation);
    let header = SegmentHeader { format, relaxed, generation, sequence, salt, first_group: 1 };
    let bytes = FIRST_SEGMENT_BYTES.min(config.segment_bytes as u64);
    let current = segment::prepare(&redo_dir, header, bytes, None)
        .map_err(OpenJournalError::io("could not create a segment in", &redo_dir))?;
    let path = config.path.join("beacon");
    let beacon = Beacon::open(&path, counter).map_err(OpenJournalError::io("could not open", &path))?;
    (facts.first_segment, facts.current_segment) = (sequence, sequence);
    let written = beacon.write(|| Ok(facts)).and_then(|()| segment::sync_directory(&config.path));
    written.map_err(OpenJournalError::io("could not write", &path))?;
    let preparer = Arc::new(Preparer::new(redo_dir.clone()));
    // IMPORTANT: after the beacon, which must never name a segment that is gone.
    old.iter().for_each(|(_, path)| preparer.give_spare(path.clone()));
    let Segment { file, sequence, bytes } = current;
    let file = Arc::new(file);
    let ledger = Arc::new(Ledger::new(sequence, Arc::clone(&file)));
    let parts = RedoParts {
        generation,
        salt,
        relaxed,
        segment_bytes: config.segment_bytes as u64,
        medium: Arc::clone(&config.medium),
        ledger: Arc::clone(&ledger),
        preparer: Arc::clone(&preparer),
    };
    let log = RedoLog::new(parts, sequence, bytes, file, facts.commit);
    let opened = Opened {
        redo_dir,
        generation: facts.generation,
        ledger,
        preparer,
        beacon,
        store,
        commit: facts.commit,
        position: facts.position,
        config,
    };
    Ok(Recovered { shared: Arc::new(Shared::new(opened)), log, lock })
}

/// Tells how far rebuilding got, when it takes long.
pub(crate) struct Progress {
    callback: Option<ProgressCallback>,
    last_commit: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    fn new(callback: Option<ProgressCallback>) -> Self {
        let now = Instant::now();
        Progress { callback, last_commit: 0, started: now, told: now }
    }

    /// Dealt with everything up to `commit`.
    pub(crate) fn tell(&mut self, commit: u64) {
        if self.told.elapsed() < PROGRESS_PERIOD {
            return;
        }
        self.told = Instant::now();
        let last_commit = self.last_commit.max(commit);
        let elapsed = self.started.elapsed();
        tracing::info!(commit, last_commit, ?elapsed, "rebuilding the journal");
        if let Some(callback) = &self.callback {
            callback(RebuildProgress { commit, last_commit, elapsed });
        }
    }
}
