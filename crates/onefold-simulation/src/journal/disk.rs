//! What survives a crash: the commits, in order, and where each stream's lie.

use std::collections::BTreeMap;
use std::sync::Arc;

use onefold_core::journal::{DurablePosition, FeedItem, RecordedCommit, RecordedPart, StreamChunk};
use onefold_core::{AggregateId, CommitNumber, GlobalPosition, StreamId, StreamVersion};
use parking_lot::Mutex;

/// The surface that a [`SimulatedJournal`](crate::SimulatedJournal) writes to. It outlives the journals that are opened on
/// it. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    log: Vec<RecordedCommit>,
    position: GlobalPosition,
    streams: BTreeMap<StreamId, OnDisk>,
}

#[derive(Default)]
struct OnDisk {
    version: StreamVersion,
    /// Places in the log.
    commits: Vec<usize>,
}

/// A part of a commit before it has its numbers: the stream, how many events, and their bytes.
pub(super) type Part = (StreamId, u32, bytes::Bytes);

impl SimulatedDisk {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of the last durable event of a stream.
    pub fn version(&self, stream: &StreamId) -> StreamVersion {
        self.0.lock().streams.get(stream).map_or(StreamVersion::EMPTY, |stored| stored.version)
    }

    /// That version, and the stream's last commit.
    pub(super) fn head(&self, stream: &StreamId) -> (StreamVersion, CommitNumber) {
        let contents = self.0.lock();
        let Some(stored) = contents.streams.get(stream) else { return Default::default() };
        let last = stored.commits.last().map_or(CommitNumber::NONE, |place| contents.log[*place].number);
        (stored.version, last)
    }

    /// The end of what is durable.
    pub fn end(&self) -> DurablePosition {
        let contents = self.0.lock();
        DurablePosition { commit: CommitNumber::new(contents.log.len() as u64), position: contents.position }
    }

    /// All commits, in order.
    pub fn commits(&self) -> Vec<RecordedCommit> {
        self.0.lock().log.clone()
    }

    /// Makes a commit durable.
    pub(super) fn store(&self, parts: &[Part], metadata: &bytes::Bytes) -> DurablePosition {
        let mut contents = self.0.lock();
        let contents = &mut *contents;
        let (place, number) = (contents.log.len(), CommitNumber::new(contents.log.len() as u64 + 1));
        let mut recorded = Vec::with_capacity(parts.len());
        for (stream, event_count, body) in parts {
            let stored = contents.streams.entry(stream.clone()).or_default();
            let part = RecordedPart {
                commit: number,
                first_version: stored.version.next(),
                first_position: contents.position.next(),
                event_count: *event_count,
                metadata_bytes: metadata.clone(),
                body: body.clone(),
                extras_bytes: bytes::Bytes::new(),
            };
            stored.version = stored.version.plus(u64::from(*event_count));
            stored.commits.push(place);
            contents.position = contents.position.plus(u64::from(*event_count));
            recorded.push((stream.clone(), part));
        }
        contents.log.push(RecordedCommit { number, parts: recorded });
        DurablePosition { commit: number, position: contents.position }
    }

    pub(super) fn chunk(&self, stream: &StreamId, after: StreamVersion, commits_max: usize) -> StreamChunk {
        let contents = self.0.lock();
        let Some(stored) = contents.streams.get(stream) else { return StreamChunk::default() };
        let part_of = |place: usize| {
            let part = contents.log[place].parts.iter().find(|(name, _)| name == stream);
            &part.expect("the index knows where a stream lies").1
        };
        let from = stored.commits.partition_point(|place| part_of(*place).last_version() <= after);
        let mut bytes = 0;
        let fits = |place: &&usize| {
            let fits = bytes < CHUNK_BYTES_MAX;
            bytes += part_of(**place).body.len();
            fits
        };
        let places = stored.commits[from..].iter().take(commits_max).take_while(fits);
        StreamChunk { parts: places.map(|place| part_of(*place).clone()).collect() }
    }

    pub(super) fn item(&self, after: GlobalPosition) -> Option<FeedItem> {
        let contents = self.0.lock();
        let begins =
            |commit: &RecordedCommit| commit.parts.first().is_some_and(|(_, part)| part.first_position > after);
        let place = contents.log.partition_point(|commit| !begins(commit));
        // The one before may reach beyond `after`: a position in the middle of a commit shows the commit again.
        let ends = |commit: &RecordedCommit| {
            commit.parts.last().map(|(_, part)| part.first_position.get() + u64::from(part.event_count) - 1)
        };
        let reaches = |place: &usize| contents.log.get(*place).and_then(ends).is_some_and(|end| end > after.get());
        let place = place.checked_sub(1).filter(reaches).unwrap_or(place);
        contents.log.get(place).cloned().map(FeedItem::Commit)
    }

    pub(super) fn streams(&self, aggregate_type: &str, after: Option<&AggregateId>, limit: usize) -> Vec<StreamId> {
        let contents = self.0.lock();
        let of_type = contents.streams.keys().filter(|stream| stream.aggregate_type() == aggregate_type);
        let beyond = of_type.filter(|stream| after.is_none_or(|after| stream.aggregate_id() > after.as_str()));
        beyond.take(limit).cloned().collect()
    }
}

/// Bytes in one chunk of a read, but for its last commit.
const CHUNK_BYTES_MAX: usize = 1024 * 1024;
