//! Checks the log commit by commit, in order: checksums, numbers, positions, every stream's chain, and claims.
//!
//! Holds 32 bytes and a little per stream, whatever the length of the log: streams are known by two keyed hashes.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};

use bytes::Bytes;
use onefold_core::journal::RecordedCommit;
use onefold_core::journal::record::{RecordError, RecordView};
use onefold_core::{CommitNumber, GlobalPosition, Metadata, StreamId};

use super::claims_check::ClaimLedger;
use super::problem::{Listed, Problem, ProblemKind, StreamLoss, commits};
use super::verify::Hole;
use crate::gap::Gap;
use crate::heads::Place;
use crate::writer::forming::INDEX_VERSIONS;

/// Two keyed hashes, by which streams and claims are known.
#[derive(Default)]
pub(super) struct Hashers(RandomState, RandomState);

impl Hashers {
    pub(super) fn hash(&self, name: &impl Hash) -> u128 {
        u128::from(self.0.hash_one(name)) << 64 | u128::from(self.1.hash_one(name))
    }
}

/// What is known after the commits so far.
pub(crate) struct LogChecker {
    /// The last commit that was dealt with, and the last position.
    pub(crate) commit: u64,
    pub(crate) position: u64,
    streams: HashMap<u128, Place>,
    pub(super) hashers: Hashers,
    pub(super) claims: ClaimLedger,
    /// The commits that are not there, in order: those that a repair recorded, and those that were found missing.
    pub(crate) holes: Vec<Hole>,
    /// The last hole has no end yet: its last position is known when the next commit is.
    open: bool,
    pub(crate) lost: Listed<StreamLoss>,
    pub(crate) commits: u64,
    pub(crate) events: u64,
    pub(crate) record_bytes: u64,
    /// The last commit whose index entries were counted, and how many there have to be.
    index_to: u64,
    pub(crate) index_entries: u64,
}

impl LogChecker {
    /// Before the first commit. Index entries are counted up to `index_to`; of claims that nobody holds, those are remembered
    /// that were given up since.
    pub(crate) fn new(index_to: u64) -> Self {
        LogChecker {
            commit: 0,
            position: 0,
            streams: HashMap::new(),
            hashers: Hashers::default(),
            claims: ClaimLedger::new(index_to),
            holes: Vec::new(),
            open: false,
            lost: Listed::default(),
            commits: 0,
            events: 0,
            record_bytes: 0,
            index_to,
            index_entries: 0,
        }
    }

    /// Takes the record of the next commit. Nothing is taken of one that has a fault.
    pub(crate) fn take(&mut self, record: &Bytes) -> Result<(), Problem> {
        let number = self.commit + 1;
        if let Some(gap) = Gap::parse(record, number) {
            return self.take_gap(gap);
        }
        let fault = |kind, evidence: String| Problem::of_commits(kind, number, number, evidence);
        let damage = |error: RecordError| match error {
            RecordError::PayloadChecksum => fault(ProblemKind::PayloadDamaged, error.to_string()),
            _ => fault(ProblemKind::RecordDamaged, error.to_string()),
        };
        let view = RecordView::parse(record).map_err(damage)?;
        if view.commit().get() != number {
            let evidence = format!("commit {} lies in its place", view.commit());
            return Err(fault(ProblemKind::RecordDamaged, evidence));
        }
        let commit = view.to_commit(record).map_err(|error| Problem { stream: only_stream(&view), ..damage(error) })?;
        let metadata = commit.parts.first().map(|(_, part)| &part.metadata_bytes);
        if metadata.is_none_or(|bytes| Metadata::decode(bytes).is_none()) {
            return Err(fault(ProblemKind::RecordDamaged, "it has no part, or its metadata does not parse".to_owned()));
        }
        let first = view.first_position().get();
        if !self.may_begin_at(first) {
            let evidence = format!("its first position is {first}, the last one before is {}", self.position);
            return Err(fault(ProblemKind::PositionBroken, evidence));
        }
        let previous: Vec<u64> = view.parts().map(|part| part.previous.get()).collect();
        let losses = self.check_chains(&commit, &previous)?;
        self.close_hole(first - 1);
        losses.into_iter().for_each(|loss| self.lost.push(loss));
        self.note(&commit, view.event_count(), record.len());
        Ok(())
    }

    fn take_gap(&mut self, gap: Gap) -> Result<(), Problem> {
        let number = self.commit + 1;
        let known = self.holes.last().is_some_and(|hole| hole.recorded == Some(gap));
        if !known {
            let first = gap.first_position.get();
            if gap.first_commit.get() != number || !self.may_begin_at(first) {
                let evidence = format!("the record of a gap does not go on from position {}", self.position);
                return Err(Problem::of_commits(ProblemKind::PositionBroken, number, number, evidence));
            }
            self.close_hole(first - 1);
            self.holes.push(Hole {
                first_commit: gap.first_commit,
                last_commit: gap.last_commit,
                first_position: gap.first_position,
                last_position: gap.last_position,
                recorded: Some(gap),
            });
        }
        self.position = gap.last_position.get();
        self.commit = number;
        Ok(())
    }

    /// The commits up to `last` are not to be had.
    pub(crate) fn lose(&mut self, last: u64) {
        let first = self.commit + 1;
        match self.holes.last_mut().filter(|_| self.open) {
            Some(hole) => hole.last_commit = CommitNumber::new(last),
            None => {
                let first_position = GlobalPosition::new(self.position + 1);
                self.holes.push(Hole {
                    first_commit: CommitNumber::new(first),
                    last_commit: CommitNumber::new(last),
                    first_position,
                    last_position: first_position,
                    recorded: None,
                });
            }
        }
        self.open = true;
        self.commit = last;
    }

    /// The hole at the end, if there is one, goes up to `position`; if that is not known, each of its commits is taken to
    /// have had one event.
    pub(crate) fn end(&mut self, position: Option<u64>) {
        if self.open {
            let lost = self.holes.last().map_or(0, |hole| hole.last_commit.get() - hole.first_commit.get() + 1);
            self.close_hole(position.map_or(self.position + lost, |position| position.max(self.position)));
        }
    }

    /// The first hole from `index` on that has an end.
    pub(crate) fn closed_holes(&self) -> &[Hole] {
        &self.holes[..self.holes.len() - usize::from(self.open)]
    }

    /// Whether the next commit can begin with this position: behind a hole, whose commits may have had no events.
    fn may_begin_at(&self, position: u64) -> bool {
        match self.open {
            false => position == self.position + 1,
            true => position > self.position,
        }
    }

    fn close_hole(&mut self, position: u64) {
        if std::mem::take(&mut self.open)
            && let Some(hole) = self.holes.last_mut()
        {
            hole.last_position = GlobalPosition::new(position);
            self.position = position;
        }
    }

    /// Whether a commit is one of those that are not there.
    pub(crate) fn in_hole(&self, commit: u64) -> bool {
        let after = self.holes.partition_point(|hole| hole.first_commit.get() <= commit);
        after > 0 && commit <= self.holes[after - 1].last_commit.get()
    }

    /// Where a stream ends, by the log.
    pub(crate) fn place(&self, stream: &StreamId) -> Place {
        self.streams.get(&self.key(stream)).copied().unwrap_or_default()
    }

    /// How many streams there are.
    pub(crate) fn stream_count(&self) -> u64 {
        self.streams.len() as u64
    }

    fn check_chains(&self, commit: &RecordedCommit, previous: &[u64]) -> Result<Vec<StreamLoss>, Problem> {
        let mut losses = Vec::new();
        for (index, ((stream, part), previous)) in commit.parts.iter().zip(previous).enumerate() {
            let (before, first) = (self.place(stream), part.first_version.get());
            let twice = commit.parts[..index].iter().any(|(other, _)| other == stream);
            if first == before.version + 1 && *previous == before.commit && !twice {
                continue;
            }
            if *previous > before.commit && self.in_hole(*previous) && first > before.version && !twice {
                // Without events, what is gone has no version.
                if first > before.version + 1 {
                    let (first_version, last_version) = (before.version + 1, first - 1);
                    losses.push(StreamLoss { stream: stream.clone(), first_version, last_version });
                }
                continue;
            }
            let evidence = format!(
                "version {first} follows on commit {previous}, but the stream is at version {} of commit {}",
                before.version, before.commit
            );
            let place = commits(commit.number.get(), commit.number.get());
            return Err(Problem { kind: ProblemKind::ChainBroken, place, evidence, stream: Some(stream.clone()) });
        }
        Ok(losses)
    }

    fn note(&mut self, commit: &RecordedCommit, events: u64, bytes: usize) {
        self.commit = commit.number.get();
        self.position += events;
        self.commits += 1;
        self.events += events;
        self.record_bytes += bytes as u64;
        self.claims.note(commit, &self.hashers, !self.holes.is_empty());
        for (stream, part) in &commit.parts {
            let (before, version) = (part.first_version.get() - 1, part.last_version().get());
            let crosses = before / INDEX_VERSIONS != version / INDEX_VERSIONS;
            self.index_entries += u64::from(crosses && self.commit <= self.index_to);
            let key = self.key(stream);
            self.streams.insert(key, Place { version, commit: self.commit });
        }
    }

    fn key(&self, stream: &StreamId) -> u128 {
        self.hashers.hash(stream)
    }
}

/// The stream of a commit that concerns only one.
fn only_stream(view: &RecordView<'_>) -> Option<StreamId> {
    let mut parts = view.parts();
    let part = parts.next().filter(|_| parts.next().is_none())?;
    StreamId::new(part.aggregate_type, part.aggregate_id).ok()
}
