//! What comes out of the journal.

use std::sync::Arc;

use bytes::Bytes;

use super::{EventFrames, RecordedExtras};
use crate::{AggregateId, Checkpoint, CommitNumber, GlobalPosition, Metadata, StreamId, StreamVersion};

/// One stream's share of a recorded commit.
#[derive(Clone, Debug)]
pub struct RecordedPart {
    /// The commit it is part of.
    pub commit: CommitNumber,
    /// The version of its first event; without events, the version that the stream's next event will have.
    pub first_version: StreamVersion,
    /// The global position of its first event; without events, the one that the next event will have.
    pub first_position: GlobalPosition,
    /// How many events; 0 of a commit that only changes claims, or remembers an answer.
    pub event_count: u32,
    /// The command's metadata in its stored form, see [`RecordedPart::metadata`].
    pub metadata_bytes: Bytes,
    /// The encoded events, checked against their checksum.
    pub body: Bytes,
    /// The extras in their stored form, checked; empty without extras. See [`RecordedPart::extras`].
    pub extras_bytes: Bytes,
}

impl RecordedPart {
    /// The stream's version after this part: that of its last event; without events, of the last event before.
    ///
    /// Where a reading stands is not told by the version alone: several parts without events can have the same.
    pub fn last_version(&self) -> StreamVersion {
        StreamVersion::new((self.first_version.get() + u64::from(self.event_count)).saturating_sub(1))
    }

    /// Whether a reading of the stream beyond `after` shows this part: it has an event beyond, or none and stands behind.
    pub fn is_beyond(&self, after: StreamVersion) -> bool {
        is_beyond(self.first_version.get(), self.event_count.into(), after.get())
    }

    /// The events, in order. `None` marks a frame that does not parse: damage.
    pub fn events(&self) -> EventFrames<'_> {
        EventFrames::new(&self.body, self.event_count)
    }

    /// What it carries beside its events; nothing, most of the time. `None` when it does not parse: damage.
    pub fn extras(&self) -> Option<RecordedExtras> {
        RecordedExtras::decode(&self.extras_bytes)
    }

    /// The command's metadata; `None` when it does not parse: damage.
    pub fn metadata(&self) -> Option<Metadata> {
        Metadata::decode(&self.metadata_bytes)
    }
}

/// Whether what has `count` events, the first numbered `first`, is shown by a reading beyond the event `after`: it has an
/// event beyond; or it has none, and stands behind that event.
pub(super) fn is_beyond(first: u64, count: u64, after: u64) -> bool {
    first.saturating_add(count.max(1)).saturating_sub(1) > after
}

/// Some consecutive commits of one stream, in commit order.
#[derive(Clone, Debug, Default)]
pub struct StreamChunk {
    /// The commits' parts that belong to the stream. A reader that wants only versions above `after` skips the events
    /// at the start of the first part that it has already seen.
    pub parts: Vec<RecordedPart>,
}

/// A recorded commit, all its parts.
#[derive(Clone, Debug)]
pub struct RecordedCommit {
    /// Its number.
    pub number: CommitNumber,
    /// Its parts, in the order they were submitted; their events are numbered in this order.
    pub parts: Vec<(StreamId, RecordedPart)>,
}

/// One item of the global feed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FeedItem {
    /// A commit.
    Commit(RecordedCommit),
    /// Commits that were removed on purpose, by archiving; the record of the gap.
    Removed {
        /// The first position that is gone.
        from: GlobalPosition,
        /// The last position that is gone.
        to: GlobalPosition,
    },
}

impl FeedItem {
    /// Where a reader stands that has dealt with this item: after its last event. A commit without events stands where the
    /// last event before it does, so a reader that goes on from here may meet it again, and the commits without events
    /// around it; but no event twice.
    pub fn checkpoint(&self) -> Checkpoint {
        match self {
            FeedItem::Commit(commit) => {
                let ends = commit.parts.iter().map(|(_, part)| part.first_position.get() + u64::from(part.event_count));
                Checkpoint::after(GlobalPosition::new(ends.max().unwrap_or(0).saturating_sub(1)))
            }
            FeedItem::Removed { to, .. } => Checkpoint::after(*to),
        }
    }
}

/// The durable end of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurablePosition {
    /// The last durable commit.
    pub commit: CommitNumber,
    /// The position of the last durable event.
    pub position: GlobalPosition,
}

/// Which streams to list.
#[derive(Clone, Debug)]
pub struct StreamPage {
    /// Of this aggregate type.
    pub aggregate_type: String,
    /// With ids greater than this one.
    pub after: Option<AggregateId>,
    /// At most so many.
    pub limit: usize,
}

/// How a journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalHealth {
    /// Takes appends.
    Healthy,
    /// Refuses appends until there is more free space. Reads go on.
    DiskLow {
        /// Free bytes.
        free_bytes: u64,
        /// What is kept in reserve.
        reserve_bytes: u64,
    },
    /// Refuses appends until a new process opens it. Reads go on.
    Poisoned {
        /// The first failure.
        reason: Arc<str>,
    },
    /// Closed, or closing.
    Closed,
}

impl JournalHealth {
    /// Whether appends are taken.
    pub fn is_healthy(&self) -> bool {
        matches!(self, JournalHealth::Healthy)
    }
}
