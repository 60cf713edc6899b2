//! Opening: from a directory to a journal that serves. Nothing is served before the recovered tail is durable in sled.
//!
//! ```text
//!   lock ─▶ beacon ─▶ judge the redo log ─▶ sweep ─▶ sled ─▶ re-apply ─▶ rebuild heads ─▶ sync ─▶ new generation ─▶ beacon
//! ```

pub(crate) mod directory;
pub(crate) mod judgement;
mod progress;
pub(crate) mod rebuild;
mod replay;
mod supervised;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::judgement::LiveLog;
pub(crate) use self::progress::Progress;
pub(crate) use self::supervised::recover;
use crate::beacon::{self, Beacon, Facts, Found};
use crate::config::{Durability, SledConfig};
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
use crate::timer::Timer;

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

/// Opens the directory. The timer runs while sled is asked to write.
fn open(config: SledConfig, timer: Arc<Timer>) -> Result<Recovered, OpenJournalError> {
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
    let old = segment::list(&redo_dir).map_err(OpenJournalError::io("could not list", &redo_dir))?;
    // IMPORTANT: before sled is opened, which cuts off a torn tail of its own.
    let live = match &facts {
        Some(facts) if facts.clean => None,
        Some(facts) => Some(LiveLog::judge(facts, &old)?),
        None => {
            refuse_groups(&dir, &old)?;
            directory::forget_unfinished(&dir)?;
            None
        }
    };
    directory::sweep(&dir)?;
    let store = Store::open(&config, timer).map_err(stored)?;
    let mut progress = Progress::new(config.progress.clone());
    let heads_max = config.dirty_heads_max;
    match bring_up_to_date(&dir, &store, facts.as_ref(), live.as_ref(), heads_max, &mut progress) {
        Ok((commit, position)) => {
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
        Err(error) => {
            if matches!(error, OpenJournalError::Storage { .. }) {
                // sled failed, so dropping its handle could hang: it is left to the end of the process, and so is the
                // directory.
                store.abandon();
                std::mem::forget(lock);
            }
            Err(error)
        }
    }
}

/// Brings sled to the log's end, durably. Returns the last commit and the last position.
fn bring_up_to_date(
    dir: &Path,
    store: &Store,
    facts: Option<&Facts>,
    live: Option<&LiveLog<'_>>,
    heads_max: usize,
    progress: &mut Progress,
) -> Result<(u64, u64), OpenJournalError> {
    refuse_newer(dir, store)?;
    let commit = match facts {
        Some(facts) => recover_log(store, facts, live, progress)?,
        None => create_log(dir, store)?,
    };
    let position = rebuild::rebuild(store, commit, heads_max, progress)?;
    // IMPORTANT: the recovered tail is durable before anything is served.
    store.sync().map_err(stored)?;
    Ok((commit, position))
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

/// A directory without a beacon is new, or was left in the middle of its creation: it must not hold any commit.
fn refuse_groups(dir: &Path, old: &[(u64, PathBuf)]) -> Result<(), OpenJournalError> {
    for (_, path) in old {
        if let Some(group) = scan::any_group(path)? {
            return Err(beacon_is_missing(dir, &format!("{group} in {}", path.display())));
        }
    }
    Ok(())
}

fn beacon_is_missing(dir: &Path, but: &str) -> OpenJournalError {
    let place = dir.join("beacon").display().to_string();
    OpenJournalError::Damaged { place, evidence: format!("the beacon is missing, but {but}") }
}

fn create_log(dir: &Path, store: &Store) -> Result<u64, OpenJournalError> {
    let applied = store.mark(keys::APPLIED_MARK).map_err(stored)?.unwrap_or(0);
    if applied > 0 {
        return Err(beacon_is_missing(dir, "there are commits"));
    }
    let mut batch = StoreBatch::default();
    batch.insert(keys::FORMAT_MARK, &u64::from(beacon::FORMAT).to_le_bytes());
    batch.insert(keys::APPLIED_MARK, &0u64.to_le_bytes());
    store.apply(batch).map_err(stored)?;
    store.sync().map_err(stored)?;
    directory::sync_created(dir)?;
    Ok(0)
}

/// Checks sled against the beacon and the redo log, and brings it up to date. Returns the last commit.
fn recover_log(
    store: &Store,
    facts: &Facts,
    live: Option<&LiveLog<'_>>,
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
    match live {
        Some(live) => replay::bring_up(store, live, applied, progress),
        None => {
            replay::refuse_beyond(store, applied)?;
            Ok(applied)
        }
    }
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
    // What a checkpoint frees is needed again before the next one: zeros are written once.
    let spares_max = config.checkpoint_bytes / config.segment_bytes + 1;
    let medium = Arc::clone(&config.medium);
    let preparer = Arc::new(Preparer::new(redo_dir.clone(), medium, config.segment_bytes as u64, spares_max));
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
