//! What can be told about a directory without sled: lock, beacon, redo log, foreign files. Nothing is written.

use std::path::{Path, PathBuf};

use super::elsewhere::Elsewhere;
use super::error::AdminError;
use super::problem::{Listed, Problem, ProblemKind};
use super::redo_index::RedoIndex;
use crate::beacon::{self, Beacon, Facts, Found};
use crate::error::OpenJournalError;
use crate::lock::DirectoryLock;
use crate::recovery::judgement::LiveLog;
use crate::redo::{scan, segment};

/// A directory that nobody else uses, as it is without sled.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) facts: Option<Facts>,
    pub(crate) elsewhere: Elsewhere,
    pub(crate) segments: u64,
    pub(crate) problems: Listed<Problem>,
    /// Held as long as the directory is looked at.
    _lock: DirectoryLock,
}

/// Fails when there is no journal in the directory.
pub(crate) fn expect_journal(path: &Path) -> Result<(), AdminError> {
    let has = |name: &str| path.join(name).exists();
    match has("beacon") || has("db") || has("redo") {
        true => Ok(()),
        false => Err(AdminError::NoJournal { path: path.to_owned() }),
    }
}

impl Directory {
    /// Locks the directory and looks at it.
    pub(crate) fn look(path: &Path) -> Result<Self, AdminError> {
        expect_journal(path)?;
        let lock = DirectoryLock::take(path)?;
        let mut problems = Listed::default();
        let redo_dir = path.join("redo");
        let segments = match segment::list(&redo_dir) {
            Ok(segments) => segments,
            Err(error) => {
                let evidence = format!("the redo log cannot be listed: {error}");
                problems.push(Problem::new(ProblemKind::RedoDamaged, redo_dir.display().to_string(), evidence));
                Vec::new()
            }
        };
        let facts = read_beacon(path, &segments, &mut problems)?;
        if let Some(facts) = facts.filter(|facts| !facts.clean) {
            match LiveLog::judge(&facts, &segments) {
                Ok(_) => {}
                Err(OpenJournalError::Damaged { place, evidence }) => {
                    problems.push(Problem::new(ProblemKind::RedoDamaged, place, evidence));
                }
                Err(OpenJournalError::TailTruncated { acknowledged, reached, evidence }) => {
                    let place = format!("the end of the log, commit {reached}");
                    let evidence = format!("commit {acknowledged} was acknowledged; {evidence}");
                    problems.push(Problem::new(ProblemKind::TailTruncated, place, evidence));
                }
                Err(error) => return Err(error.into()),
            }
        }
        note_foreign(path, &mut problems);
        let redo = RedoIndex::read(&segments, facts.map(|facts| facts.generation))?;
        let elsewhere = Elsewhere { redo, carved: None };
        let segments = segments.len() as u64;
        Ok(Directory { path: path.to_owned(), facts, elsewhere, segments, problems, _lock: lock })
    }
}

fn read_beacon(
    dir: &Path,
    segments: &[(u64, PathBuf)],
    problems: &mut Listed<Problem>,
) -> Result<Option<Facts>, AdminError> {
    let path = dir.join("beacon");
    let place = || path.display().to_string();
    match Beacon::read(&path).map_err(AdminError::io("could not read", &path))? {
        Found::Facts { facts, .. } => return Ok(Some(facts)),
        Found::NewerFormat(found) => {
            let path = dir.to_owned();
            return Err(OpenJournalError::NewerFormat { path, found, known: beacon::FORMAT }.into());
        }
        Found::Damaged => {
            let evidence = "neither slot matches its checksum";
            problems.push(Problem::new(ProblemKind::BeaconDamaged, place(), evidence));
        }
        Found::Nothing => {
            for (_, segment) in segments {
                if let Some(group) = scan::any_group(segment)? {
                    let evidence = format!("it is not there, but {group} in {}", segment.display());
                    problems.push(Problem::new(ProblemKind::BeaconMissing, place(), evidence));
                    break;
                }
            }
        }
    }
    Ok(None)
}

fn note_foreign(dir: &Path, problems: &mut Listed<Problem>) {
    let blobs = dir.join("blobs");
    if std::fs::read_dir(&blobs).is_ok_and(|mut entries| entries.next().is_some()) {
        let evidence = "it is not empty: this journal never writes there, so another program has written to it";
        problems.push(Problem::new(ProblemKind::Foreign, blobs.display().to_string(), evidence));
    }
}
