//! Repairing: a new journal from everything that can be had, beside the damaged one, which is kept as it is.
//!
//! ```text
//!   journal ──▶ copy of sled's files ──▶ walk ──▶ journal.repaired ──▶ verified
//!      ▲                                                │
//!      └────────── the two exchange their names ────────┘
//!                  journal.repaired, the damaged one, becomes journal.damaged-1
//! ```
//!
//! What cannot be had is given up by name: its commits are records of a gap, so that no number comes twice. Killed at any
//! moment, the damaged journal is there under one of these names, with every byte that it had.

use std::path::{Path, PathBuf};

use onefold_core::{Clock as _, SystemClock};
use rustix::fs::{CWD, RenameFlags};

use super::directory_check::Directory;
use super::error::AdminError;
use super::problem::ProblemKind;
use super::scratch::parent;
use super::verify::{Ground, VerifyOptions, VerifyReport, verify};
use super::walk::Walked;
use super::writer::JournalWriter;
use super::{OnProgress, Progress};
use crate::redo::segment;

/// How to repair.
#[derive(Clone, Debug, Default)]
pub struct RepairOptions {
    /// Where a copy of sled's files goes, see [`VerifyOptions::scratch`].
    pub scratch: Option<PathBuf>,
}

/// What a repair did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepairReport {
    /// What was wrong before, and what was lost: its holes are records of gaps now.
    pub before: VerifyReport,
    /// What verifying found afterwards.
    pub after: VerifyReport,
    /// Where the damaged journal is now, with every byte that it had.
    pub evidence: PathBuf,
}

/// Says what is wrong with a journal and what a repair would lose: the report's [`losses`](VerifyReport::losses). Changes
/// no byte of it.
///
/// # Errors
///
/// As [`verify`].
pub fn plan_repair(
    path: impl AsRef<Path>,
    options: &RepairOptions,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, AdminError> {
    ground(path.as_ref(), options, &mut *on_progress)?.survey(on_progress)
}

/// Repairs a journal: everything that can be had is in its directory afterwards, and what could not is recorded as a gap. The
/// damaged directory is kept beside it. Needs as much room as the journal takes, twice for a while.
///
/// # Errors
///
/// As [`verify`]; and when the new journal cannot be written, does not verify, or cannot take the directory's place. The
/// damaged journal is then where it was, or its new place is named.
pub fn repair(
    path: impl AsRef<Path>,
    options: &RepairOptions,
    on_progress: OnProgress<'_>,
) -> Result<RepairReport, AdminError> {
    let path = path.as_ref();
    let canonical = path.canonicalize().map_err(AdminError::io("could not find", path))?;
    let name = canonical.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = |suffix: &str| parent(&canonical).join(format!("{name}.{suffix}"));
    let repaired = beside("repaired");
    if repaired.exists() {
        return Err(AdminError::TargetExists { path: repaired });
    }
    let mut ground = ground(path, options, &mut *on_progress)?;
    ground.survey(&mut *on_progress)?;
    let mut writer = JournalWriter::create(&repaired)?;
    writer.set_generation(ground.directory.facts.map_or(0, |facts| facts.generation) + 1);
    let now = SystemClock.now();
    let mut sink = |walked: Walked<'_>| match walked {
        Walked::Record(record) => writer.push(record),
        Walked::Hole(hole) => writer.push_hole(hole, now),
    };
    let before = ground.examine(&mut sink, &mut *on_progress)?;
    on_progress(Progress { stage: "building heads and index", done: 0, total: 0 });
    writer.finish()?;
    let after = verify(&repaired, &VerifyOptions::in_place(), on_progress)?;
    if let Some(problem) = after.problems.items.first() {
        return Err(AdminError::NotVerified { path: repaired, problem: problem.to_string() });
    }
    let mut number = 1;
    let mut evidence = beside("damaged-1");
    while evidence.exists() {
        number += 1;
        evidence = beside(&format!("damaged-{number}"));
    }
    // IMPORTANT: at no moment is there no journal: a service that starts would make a new, empty one.
    match rustix::fs::renameat_with(CWD, &repaired, CWD, &canonical, RenameFlags::EXCHANGE) {
        Ok(()) => rename(&repaired, &evidence)?,
        // A file system that cannot exchange names.
        Err(rustix::io::Errno::INVAL) => {
            rename(&canonical, &evidence)?;
            rename(&repaired, &canonical)?;
        }
        Err(error) => return Err(AdminError::io("could not put in the journal's place", &repaired)(error.into())),
    }
    let after = VerifyReport { path: path.to_owned(), ..after };
    Ok(RepairReport { before, after, evidence })
}

/// sled is always looked at in a copy: the damaged directory is evidence.
fn ground(path: &Path, options: &RepairOptions, on_progress: OnProgress<'_>) -> Result<Ground, AdminError> {
    let directory = Directory::look(path)?;
    let options = VerifyOptions { scratch: options.scratch.clone(), in_place: false };
    let ground = Ground::prepare(directory, &options, true, on_progress)?;
    // Without sled the beacon alone says how many commits there have to be; they can be looked for in sled's file.
    let is_lost = ground.has_no_store() && (ground.directory.facts.is_none() || !path.join("db").exists());
    let mut problems = ground.directory.problems.items.iter();
    let unreadable = problems.find(|problem| problem.kind == ProblemKind::StoreUnreadable && is_lost);
    match unreadable {
        Some(problem) => {
            let reason = format!("{problem}; nothing tells how much there was: restore a backup");
            Err(AdminError::NotRepairable { path: path.to_owned(), reason })
        }
        None => Ok(ground),
    }
}

/// Gives a directory a new name that nothing has, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), AdminError> {
    let renamed = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that does not know the flag.
        Err(rustix::io::Errno::INVAL) if !to.exists() => std::fs::rename(from, to),
        renamed => renamed.map_err(Into::into),
    };
    renamed
        .and_then(|()| segment::sync_directory(&parent(to)))
        .map_err(AdminError::io("could not give its new name to", from))
}
