//! Every commit of a journal once, in order, each from where it can be had: sled first, then the redo log. What is nowhere is
//! a hole.

use bytes::Bytes;

use super::checker::LogChecker;
use super::elsewhere::Elsewhere;
use super::error::AdminError;
use super::log_scan::{LogScan, Scanned};
use super::problem::{Listed, Problem, ProblemKind};
use super::verify::Hole;
use super::{OnProgress, Progress};
use crate::store::Store;

/// Commits between two reports of progress.
const TELL_EVERY: u64 = 1_024;

/// How far the log has to go, and what may be missing where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Everything up to here was acknowledged.
    pub(crate) required: u64,
    /// The position of its last event, if that is known.
    pub(crate) required_position: Option<u64>,
    /// What sled's mark says.
    pub(crate) applied: u64,
    /// Up to here sled has to have everything by itself.
    pub(crate) in_store: u64,
    /// Closed cleanly: nothing may lie beyond the end.
    pub(crate) clean: bool,
    /// Index entries are complete up to here.
    pub(crate) indexed: u64,
}

/// What comes next.
pub(crate) enum Walked<'a> {
    /// A commit's record, checked; or that of a gap.
    Record(&'a Bytes),
    /// Commits that are nowhere.
    Hole(&'a Hole),
}

pub(crate) type Sink<'a> = &'a mut dyn FnMut(Walked<'_>) -> Result<(), AdminError>;

/// A walk over the log.
pub(crate) struct Walk<'a> {
    pub(crate) bounds: Bounds,
    pub(crate) elsewhere: &'a Elsewhere,
    pub(crate) problems: &'a mut Listed<Problem>,
    pub(crate) sink: Sink<'a>,
    pub(crate) on_progress: OnProgress<'a>,
}

/// What a walk found out.
pub(crate) struct Walkthrough {
    pub(crate) checker: LogChecker,
    pub(crate) blocks: u64,
}

impl Walk<'_> {
    /// Walks to the end. Only the sink's errors end it early.
    pub(crate) fn run(mut self, store: Option<&Store>) -> Result<Walkthrough, AdminError> {
        let mut checker = LogChecker::new(self.bounds.indexed);
        let mut told = 0;
        let limit = self.bounds.required.max(self.bounds.applied);
        let mut beyond = 0u64;
        let mut blocks = 0;
        if let Some(store) = store {
            let mut scan = LogScan::new(store, limit);
            for scanned in scan.by_ref() {
                match scanned {
                    Scanned::Problem(problem) => self.problems.push(problem),
                    Scanned::Record(commit, _) if commit <= checker.commit => self.misplaced(commit),
                    Scanned::Record(commit, _) if commit > limit => beyond = if beyond == 0 { commit } else { beyond },
                    // A batch of sled's that failed halfway: the redo log knows what belongs there.
                    Scanned::Record(commit, _) if self.prefers_redo(commit) => {}
                    // Nothing says that it was acknowledged, and it does not follow.
                    Scanned::Record(commit, _) if commit > self.bounds.required.max(checker.commit + 1) => {}
                    Scanned::Record(commit, record) => {
                        self.fill(&mut checker, &mut told, commit - 1)?;
                        self.offer(&mut checker, &mut told, &record)?;
                    }
                }
            }
            blocks = scan.blocks;
        }
        if self.bounds.clean && beyond > 0 {
            let evidence = format!("it lies beyond the end, which is at commit {limit}");
            self.problems.push(Problem::of_commits(ProblemKind::BlockMisplaced, beyond, beyond, evidence));
        }
        self.fill(&mut checker, &mut told, self.bounds.required)?;
        checker.end(self.bounds.required_position);
        self.tell_holes(&checker, &mut told)?;
        Ok(Walkthrough { checker, blocks })
    }

    fn prefers_redo(&self, commit: u64) -> bool {
        !self.bounds.clean && commit > self.bounds.applied && self.elsewhere.redo.next(commit) == Some(commit)
    }

    fn misplaced(&mut self, commit: u64) {
        let evidence = "its block overlaps the one before";
        self.problems.push(Problem::of_commits(ProblemKind::BlockMisplaced, commit, commit, evidence));
    }

    /// Goes on to commit `to` without sled.
    fn fill(&mut self, checker: &mut LogChecker, told: &mut usize, to: u64) -> Result<(), AdminError> {
        // Stretches that are found in the same place are one problem.
        let mut found: Option<(u64, u64, &'static str)> = None;
        while checker.commit < to {
            let commit = checker.commit + 1;
            let Some((record, place)) = self.elsewhere.record(commit) else {
                let last = self.elsewhere.next(commit).map_or(to, |next| (next - 1).min(to)).max(commit);
                let evidence = "neither sled nor the redo log has it";
                self.problems.push(Problem::of_commits(ProblemKind::CommitsMissing, commit, last, evidence));
                checker.lose(last);
                continue;
            };
            if commit <= self.bounds.in_store || self.elsewhere.redo.next(commit) != Some(commit) {
                found = match found {
                    Some((first, last, same)) if last + 1 == commit && same == place => Some((first, commit, place)),
                    other => {
                        self.note_found(other);
                        Some((commit, commit, place))
                    }
                };
            }
            self.offer(checker, told, &record)?;
        }
        self.note_found(found);
        Ok(())
    }

    fn note_found(&mut self, found: Option<(u64, u64, &'static str)>) {
        if let Some((first, last, place)) = found {
            let evidence = format!("sled does not have it; {place}");
            self.problems.push(Problem::of_commits(ProblemKind::CommitsMissing, first, last, evidence));
        }
    }

    /// The next commit's record; if it is damaged, the redo log may have another copy.
    fn offer(&mut self, checker: &mut LogChecker, told: &mut usize, record: &Bytes) -> Result<(), AdminError> {
        let commit = checker.commit + 1;
        let taken = match checker.take(record) {
            Ok(()) => Some(record.clone()),
            Err(problem) => {
                let mut copies = self.elsewhere.copies(commit);
                let copy = copies.find(|copy| copy != record && checker.take(copy).is_ok());
                let outcome = if copy.is_some() { "; a whole copy was found" } else { "" };
                let evidence = format!("{}{outcome}", problem.evidence);
                self.problems.push(Problem { evidence, ..problem });
                copy
            }
        };
        match taken {
            Some(record) => {
                self.tell_holes(checker, told)?;
                (self.sink)(Walked::Record(&record))?;
            }
            None => checker.lose(commit),
        }
        if commit.is_multiple_of(TELL_EVERY) {
            let total = self.bounds.required.max(self.bounds.applied);
            (self.on_progress)(Progress { stage: "checking commits", done: commit, total });
        }
        Ok(())
    }

    fn tell_holes(&mut self, checker: &LogChecker, told: &mut usize) -> Result<(), AdminError> {
        let closed = checker.closed_holes();
        for hole in closed.get(*told..).unwrap_or_default() {
            if hole.recorded.is_none() {
                (self.sink)(Walked::Hole(hole))?;
            }
        }
        *told = closed.len();
        Ok(())
    }
}
