//! What comes out of the journal.

use std::sync::Arc;

use bytes::Bytes;

use super::EventFrames;
use crate::{AggregateId, Checkpoint, CommitNumber, GlobalPosition, Metadata, StreamId, StreamVersion};

/// One stream's share of a recorded commit.
#[derive(Clone, Debug)]
pub struct RecordedPart {
    /// The commit it is part of.
    pub commit: CommitNumber,
    /// The version of its first event.
    pub first_version: StreamVersion,
    /// The global position of its first event.
    pub first_position: GlobalPosition,
    /// How many events.
    pub event_count: u32,
    /// The command's metadata in its stored form, see [`RecordedPart::metadata`].
    pub metadata_bytes: Bytes,
    /// The encoded events, checked against their checksum.
    pub body: Bytes,
}

impl RecordedPart {
    /// The version of the last event.
    pub fn last_version(&self) -> StreamVersion {
        StreamVersion::new(self.first_version.get() + u64::from(self.event_count) - 1)
    }

    /// The events, in order. `None` marks a frame that does not parse: damage.
    pub fn events(&self) -> EventFrames<'_> {
        EventFrames::new(&self.body, self.event_count)
    }

    /// The command's metadata; `None` when it does not parse: damage.
    pub fn metadata(&self) -> Option<Metadata> {
        Metadata::decode(&self.metadata_bytes)
    }
}

/// Some consecutive commits of one stream, in version order.
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
    /// Where a reader stands that has dealt with this item.
    pub fn checkpoint(&self) -> Checkpoint {
        match self {
            FeedItem::Commit(commit) => {
                let ends = commit.parts.iter().map(|(_, part)| part.first_position.get() + u64::from(part.event_count));
                Checkpoint::after(GlobalPosition::new(ends.max().unwrap_or(1) - 1))
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
