//! What can be wrong with a journal, each by a name that does not change.

use std::fmt;

use onefold_core::StreamId;

/// What sort of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// There are commits, and no beacon.
    BeaconMissing,
    /// Neither slot of the beacon matches its checksum.
    BeaconDamaged,
    /// A segment or a group of the redo log is damaged.
    RedoDamaged,
    /// The log ends before what was acknowledged.
    TailTruncated,
    /// sled does not open, or cannot be read in places.
    StoreUnreadable,
    /// A block's header does not match its checksum.
    BlockDamaged,
    /// A chunk of a large commit is damaged or missing.
    ChunkDamaged,
    /// A commit's header does not match its checksum.
    RecordDamaged,
    /// A commit's events or metadata do not match their checksum.
    PayloadDamaged,
    /// Commits are not where they have to be.
    CommitsMissing,
    /// A block lies where others are, or beyond the end.
    BlockMisplaced,
    /// Positions do not go on from commit to commit.
    PositionBroken,
    /// A stream's versions, or its chain of commits, do not go on.
    ChainBroken,
    /// A stream's head does not match its checksum.
    HeadDamaged,
    /// A stream's head does not say where its stream ends.
    HeadWrong,
    /// Streams have no head.
    HeadMissing,
    /// An index entry does not match its checksum.
    IndexDamaged,
    /// An index entry does not lead to its version.
    IndexWrong,
    /// Index entries are missing.
    IndexMissing,
    /// What the log says of a claim does not follow from what it said before.
    ClaimBroken,
    /// A claim's entry does not match its checksum.
    ClaimDamaged,
    /// A claim's entry does not say who holds it.
    ClaimWrong,
    /// Claims have no entry.
    ClaimMissing,
    /// A mark is missing, or contradicts the beacon.
    MarkWrong,
    /// There is something that no journal writes.
    Foreign,
}

impl ProblemKind {
    /// Its name, for machines: it does not change.
    pub fn name(self) -> &'static str {
        match self {
            ProblemKind::BeaconMissing => "beacon-missing",
            ProblemKind::BeaconDamaged => "beacon-damaged",
            ProblemKind::RedoDamaged => "redo-damaged",
            ProblemKind::TailTruncated => "tail-truncated",
            ProblemKind::StoreUnreadable => "store-unreadable",
            ProblemKind::BlockDamaged => "block-damaged",
            ProblemKind::ChunkDamaged => "chunk-damaged",
            ProblemKind::RecordDamaged => "record-damaged",
            ProblemKind::PayloadDamaged => "payload-damaged",
            ProblemKind::CommitsMissing => "commits-missing",
            ProblemKind::BlockMisplaced => "block-misplaced",
            ProblemKind::PositionBroken => "position-broken",
            ProblemKind::ChainBroken => "chain-broken",
            ProblemKind::HeadDamaged => "head-damaged",
            ProblemKind::HeadWrong => "head-wrong",
            ProblemKind::HeadMissing => "head-missing",
            ProblemKind::IndexDamaged => "index-damaged",
            ProblemKind::IndexWrong => "index-wrong",
            ProblemKind::IndexMissing => "index-missing",
            ProblemKind::ClaimBroken => "claim-broken",
            ProblemKind::ClaimDamaged => "claim-damaged",
            ProblemKind::ClaimWrong => "claim-wrong",
            ProblemKind::ClaimMissing => "claim-missing",
            ProblemKind::MarkWrong => "mark-wrong",
            ProblemKind::Foreign => "foreign",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What sort of thing.
    pub kind: ProblemKind,
    /// Where: a file and an offset, a commit, a stream.
    pub place: String,
    /// What was found there.
    pub evidence: String,
    /// The stream, when it concerns one that is known.
    pub stream: Option<StreamId>,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, place: impl Into<String>, evidence: impl Into<String>) -> Self {
        Problem { kind, place: place.into(), evidence: evidence.into(), stream: None }
    }

    pub(crate) fn of_commits(kind: ProblemKind, first: u64, last: u64, evidence: impl Into<String>) -> Self {
        Problem::new(kind, commits(first, last), evidence)
    }
}

/// `commit 7`, or `commits 7 to 9`.
pub(crate) fn commits(first: u64, last: u64) -> String {
    match first == last {
        true => format!("commit {first}"),
        false => format!("commits {first} to {last}"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.kind.name(), self.place, self.evidence)?;
        match &self.stream {
            Some(stream) => write!(f, " (stream {stream})"),
            None => Ok(()),
        }
    }
}

/// What a stream has lost: these versions are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLoss {
    /// The stream.
    pub stream: StreamId,
    /// The first version that is gone.
    pub first_version: u64,
    /// The last one.
    pub last_version: u64,
}

impl fmt::Display for StreamLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamLoss { stream, first_version, last_version } = self;
        match first_version == last_version {
            true => write!(f, "{stream}: version {first_version}"),
            false => write!(f, "{stream}: versions {first_version} to {last_version}"),
        }
    }
}

/// The first so many of things that may be very many, and their count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The first ones, at most [`Listed::MAX`].
    pub items: Vec<T>,
    /// How many there are.
    pub count: u64,
}

impl<T> Listed<T> {
    /// How many are kept.
    pub const MAX: usize = 1_000;

    pub(crate) fn push(&mut self, item: T) {
        self.count += 1;
        if self.items.len() < Self::MAX {
            self.items.push(item);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Listed { items: Vec::new(), count: 0 }
    }
}
