//! Verifying: everything that can be checked, and nothing changed.
//!
//! ```text
//!   lock ─▶ beacon, redo log, directory (without sled) ─▶ sled: every block, commit, head, index entry, claim, mark
//! ```
//!
//! Opening sled changes its files: of a damaged one it cuts off, and overwrites, what lies behind the damage. So sled is looked
//! at in a copy, unless told otherwise; where the first step finds something wrong, always.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use onefold_core::{CommitNumber, GlobalPosition};

use super::carved::Carved;
use super::claims_check::StoredClaims;
use super::derived_check::{self, Derived};
use super::directory_check::Directory;
use super::error::AdminError;
use super::problem::{Listed, Problem, ProblemKind, StreamLoss};
use super::scratch::{Scratch, parent};
use super::walk::{Bounds, Sink, Walk, Walkthrough};
use super::{OnProgress, Progress};
use crate::config::SledConfig;
use crate::error::OpenJournalError;
use crate::gap::Gap;
use crate::recovery::directory;
use crate::store::Store;
use crate::{beacon, keys};

/// Bytes of sled's cache while a journal is looked at.
const CACHE_BYTES: usize = 64 << 20;

/// How to verify.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Where a copy of sled's files goes if one is needed: a directory on a file system with as much room as they take. By
    /// default the directory in which the journal's lies.
    pub scratch: Option<PathBuf>,
    /// Opens sled where it is, as opening the journal does, if nothing is wrong so far: without a copy, but then sled may
    /// overwrite what a repair could have used.
    pub in_place: bool,
}

impl VerifyOptions {
    /// Opens sled where it is.
    pub(crate) fn in_place() -> Self {
        VerifyOptions { in_place: true, ..VerifyOptions::default() }
    }
}

/// Commits that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first commit that is not there.
    pub first_commit: CommitNumber,
    /// The last one.
    pub last_commit: CommitNumber,
    /// The position of the first event that is not there.
    pub first_position: GlobalPosition,
    /// That of the last one.
    pub last_position: GlobalPosition,
    /// The record of an earlier repair, if one gave them up: then this is no damage.
    pub recorded: Option<Gap>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Commits that are whole.
    pub commits: u64,
    /// Their events.
    pub events: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Streams with a commit.
    pub streams: u64,
    /// Blocks, chunks included.
    pub blocks: u64,
    /// Heads in sled.
    pub heads: u64,
    /// Entries of the sparse index.
    pub index_entries: u64,
    /// Claims in sled.
    pub claims: u64,
    /// Segments of the redo log.
    pub redo_segments: u64,
    /// Whole groups in it.
    pub redo_groups: u64,
}

/// What verifying found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The journal's directory.
    pub path: PathBuf,
    /// Whether it was closed cleanly.
    pub closed_cleanly: bool,
    /// The last commit.
    pub commit: u64,
    /// The position of the last event.
    pub position: u64,
    /// How much was looked at.
    pub checked: Checked,
    /// What is wrong. Nothing: the journal is sound.
    pub problems: Listed<Problem>,
    /// The commits that are not there: given up by an earlier repair, or to be given up by the next one.
    pub holes: Vec<Hole>,
    /// What streams lost with them, as far as it can be told: by commits that came later, and by heads.
    pub lost: Listed<StreamLoss>,
    /// sled was looked at in a copy.
    pub used_copy: bool,
}

impl VerifyReport {
    /// Whether nothing is wrong. Gaps that an earlier repair recorded are not wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// The commits that a repair would give up.
    pub fn losses(&self) -> impl Iterator<Item = &Hole> {
        self.holes.iter().filter(|hole| hole.recorded.is_none())
    }
}

/// Verifies the journal in a directory that nobody has open. Holds about 50 bytes per stream.
///
/// # Errors
///
/// [`AdminError`] when it cannot be looked at: not there, in use, of a newer format. What is wrong with it is no error but in
/// the report.
pub fn verify(
    path: impl AsRef<Path>,
    options: &VerifyOptions,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, AdminError> {
    let directory = Directory::look(path.as_ref())?;
    let in_copy = !options.in_place || !directory.problems.is_empty();
    let mut ground = Ground::prepare(directory, options, in_copy, &mut *on_progress)?;
    ground.survey(on_progress)
}

/// A journal's directory, and its store or a copy of that.
///
/// IMPORTANT: dropped in this order: the store before the copy that it lies in, the directory's lock last.
pub(super) struct Ground {
    store: Option<Store>,
    scratch: Option<Scratch>,
    pub(super) directory: Directory,
    bounds: Bounds,
}

impl Ground {
    /// Opens the store, or a copy of it.
    pub(super) fn prepare(
        mut directory: Directory,
        options: &VerifyOptions,
        in_copy: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Self, AdminError> {
        let path = directory.path.clone();
        let mut scratch = None;
        let mut store = None;
        match path.join("db").exists() {
            // Left in the middle of its creation.
            false if directory.facts.is_none() && directory.elsewhere.redo.groups == 0 => {}
            false => {
                let place = path.join("db").display().to_string();
                directory.problems.push(Problem::new(ProblemKind::StoreUnreadable, place, "it is not there"));
            }
            true => {
                if in_copy {
                    on_progress(Progress { stage: "copying sled's files", done: 0, total: 0 });
                    let place = options.scratch.clone().unwrap_or_else(|| parent(&path));
                    scratch = Some(Scratch::copy(&path, &place)?);
                } else {
                    directory::sweep(&path)?;
                }
                on_progress(Progress { stage: "opening sled", done: 0, total: 0 });
                let at = scratch.as_ref().map_or(&*path, Scratch::path);
                match Store::open(&SledConfig::new(at).cache_bytes(CACHE_BYTES), Arc::default()) {
                    Ok(opened) => store = Some(opened),
                    Err(reason) => {
                        let evidence = format!("sled does not open: {reason}");
                        let place = path.join("db").display().to_string();
                        directory.problems.push(Problem::new(ProblemKind::StoreUnreadable, place, evidence));
                    }
                }
            }
        }
        let bounds = bounds(&mut directory, store.as_ref())?;
        Ok(Ground { store, scratch, directory, bounds })
    }

    /// Whether sled could not be opened.
    pub(super) fn has_no_store(&self) -> bool {
        self.store.is_none()
    }

    /// Looks at everything; if something is nowhere, looks for it in the bytes of sled's file and then once more.
    pub(super) fn survey(&mut self, on_progress: OnProgress<'_>) -> Result<VerifyReport, AdminError> {
        let report = self.examine(&mut |_| Ok(()), &mut *on_progress)?;
        if report.losses().next().is_none() || !self.directory.path.join("db").exists() {
            return Ok(report);
        }
        let holes: Vec<Hole> = report.losses().copied().collect();
        // The file itself, not the copy that sled has opened and perhaps cut off.
        let path = &self.directory.path;
        let carved = Carved::look(path, &holes, &mut *on_progress);
        self.directory.elsewhere.carved = Some(carved.map_err(AdminError::io("could not read sled's file in", path))?);
        self.examine(&mut |_| Ok(()), on_progress)
    }

    /// Looks at everything; `sink` is told the commits in order, and the holes between them.
    pub(super) fn examine(&mut self, sink: Sink<'_>, on_progress: OnProgress<'_>) -> Result<VerifyReport, AdminError> {
        let mut problems = self.directory.problems.clone();
        let walk = Walk {
            bounds: self.bounds,
            elsewhere: &self.directory.elsewhere,
            problems: &mut problems,
            sink,
            on_progress: &mut *on_progress,
        };
        let Walkthrough { mut checker, blocks } = walk.run(self.store.as_ref())?;
        let mut checked = Checked {
            commits: checker.commits,
            events: checker.events,
            record_bytes: checker.record_bytes,
            streams: checker.stream_count(),
            blocks,
            redo_segments: self.directory.segments,
            redo_groups: self.directory.elsewhere.redo.groups,
            ..Checked::default()
        };
        let mut lost = std::mem::take(&mut checker.lost);
        std::mem::take(&mut checker.claims.broken).items.into_iter().for_each(|broken| problems.push(broken));
        if let Some(store) = &self.store {
            let mut derived =
                Derived { store, checker: &checker, indexed: self.bounds.indexed, problems: &mut problems };
            (checked.heads, checked.index_entries) = derived.check(&mut lost, &mut *on_progress);
            let (indexed, problems) = (self.bounds.indexed, &mut problems);
            checked.claims = StoredClaims { store, checker: &checker, indexed, problems }.check(on_progress);
            derived_check::note_foreign_keys(store, problems);
        }
        Ok(VerifyReport {
            path: self.directory.path.clone(),
            closed_cleanly: self.bounds.clean,
            commit: checker.commit,
            position: checker.position,
            checked,
            problems,
            holes: checker.holes,
            lost,
            used_copy: self.scratch.is_some(),
        })
    }
}

/// How far the log has to go, by beacon, redo log and sled's marks; notes where they contradict each other.
fn bounds(directory: &mut Directory, store: Option<&Store>) -> Result<Bounds, AdminError> {
    let mark = |key: &[u8]| store.map_or(Ok(None), |store| store.mark(key)).unwrap_or(None).unwrap_or(0);
    let format = u32::try_from(mark(keys::FORMAT_MARK)).unwrap_or(u32::MAX);
    if format > beacon::FORMAT {
        let path = directory.path.clone();
        return Err(OpenJournalError::NewerFormat { path, found: format, known: beacon::FORMAT }.into());
    }
    let (applied, indexed) = (mark(keys::APPLIED_MARK), mark(keys::HEADS_MARK));
    let redo_end = directory.elsewhere.redo.end;
    let Some(facts) = directory.facts else {
        if applied > 0 && directory.problems.is_empty() {
            let place = directory.path.join("beacon").display().to_string();
            directory.problems.push(Problem::new(
                ProblemKind::BeaconMissing,
                place,
                "it is not there, but commits are",
            ));
        }
        // What was acknowledged is known to nobody: everything that is there counts.
        let required = redo_end.max(applied).max(indexed);
        let (in_store, required_position) = (applied, None);
        return Ok(Bounds { required, required_position, applied, in_store, clean: false, indexed });
    };
    let in_store = if facts.clean { facts.commit } else { facts.synced_commit };
    if store.is_some() && applied < in_store {
        let evidence = format!("commit {} was acknowledged, and sled was synced up to {in_store}", facts.commit);
        let place = format!("the end of sled's log, commit {applied}");
        directory.problems.push(Problem::new(ProblemKind::TailTruncated, place, evidence));
    }
    if facts.clean && applied > facts.commit {
        let evidence = format!("it says {applied}, the beacon says {} after a clean close", facts.commit);
        directory.problems.push(Problem::new(ProblemKind::MarkWrong, "the mark of the last commit", evidence));
    }
    let required = if facts.clean { facts.commit } else { facts.commit.max(redo_end) };
    let required_position = (required == facts.commit).then_some(facts.position);
    Ok(Bounds { required, required_position, applied, in_store, clean: facts.clean, indexed })
}
