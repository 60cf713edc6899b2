//! What survives a crash: the commits, in order, and where each stream's lie.

use std::collections::BTreeMap;
use std::sync::Arc;

use onefold_core::journal::{
    ClaimPage, DurablePosition, FeedItem, KeyRecord, RecordedCommit, RecordedPart, StreamChunk,
};
use onefold_core::{AggregateId, ClaimName, CommitNumber, GlobalPosition, Holder, StreamId, StreamVersion};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// The surface that a [`SimulatedJournal`](crate::SimulatedJournal) writes to. It outlives the journals that are opened on
/// it. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    log: Vec<RecordedCommit>,
    position: GlobalPosition,
    streams: BTreeMap<StreamId, OnDisk>,
    claims: BTreeMap<ClaimName, Holder>,
}

#[derive(Default)]
struct OnDisk {
    version: StreamVersion,
    /// Places in the log.
    commits: Vec<usize>,
    /// What is remembered of commands with idempotency keys.
    keys: BTreeMap<Box<str>, KeyRecord>,
}

/// A part of a commit before it has its numbers.
pub(super) struct Part {
    pub(super) stream: StreamId,
    pub(super) event_count: u32,
    pub(super) events: bytes::Bytes,
    pub(super) extras: bytes::Bytes,
}

/// What an append stores.
pub(super) struct Commit {
    pub(super) parts: SmallVec<[Part; 1]>,
    pub(super) metadata: bytes::Bytes,
    /// The claims that it changes, in order, with their new holders.
    pub(super) holders: Vec<(ClaimName, Option<Holder>)>,
}

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

    /// What is durably remembered of a command with this idempotency key.
    pub fn key(&self, stream: &StreamId, key: &str) -> Option<KeyRecord> {
        self.0.lock().streams.get(stream)?.keys.get(key).cloned()
    }

    /// Makes a commit durable.
    pub(super) fn store(&self, commit: Commit) -> DurablePosition {
        let mut contents = self.0.lock();
        let contents = &mut *contents;
        let (place, number) = (contents.log.len(), CommitNumber::new(contents.log.len() as u64 + 1));
        let Commit { parts, metadata, holders } = commit;
        let mut recorded = Vec::with_capacity(parts.len());
        for Part { stream, event_count, events, extras } in parts {
            let stored = contents.streams.entry(stream.clone()).or_default();
            let part = RecordedPart {
                commit: number,
                first_version: stored.version.next(),
                first_position: contents.position.next(),
                event_count,
                metadata_bytes: metadata.clone(),
                body: events,
                extras_bytes: extras,
            };
            if let Some(record) = part.extras().and_then(|extras| extras.key) {
                stored.keys.entry(record.key().to_string().into()).or_insert(record);
            }
            stored.version = stored.version.plus(u64::from(event_count));
            stored.commits.push(place);
            contents.position = contents.position.plus(u64::from(event_count));
            recorded.push((stream, part));
        }
        for (name, holder) in holders {
            match holder {
                Some(holder) => contents.claims.insert(name, holder),
                None => contents.claims.remove(&name),
            };
        }
        contents.log.push(RecordedCommit { number, parts: recorded });
        DurablePosition { commit: number, position: contents.position }
    }

    /// The stream's commits beyond `after`, without the first `skip` of them.
    pub(super) fn chunk(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        skip: usize,
        commits_max: usize,
    ) -> StreamChunk {
        let contents = self.0.lock();
        let Some(stored) = contents.streams.get(stream) else { return StreamChunk::default() };
        let part_of = |place: usize| {
            let part = contents.log[place].parts.iter().find(|(name, _)| name == stream);
            &part.expect("the index knows where a stream lies").1
        };
        let from = stored.commits.partition_point(|place| !part_of(*place).is_beyond(after));
        let mut bytes = 0;
        let fits = |place: &&usize| {
            let fits = bytes < CHUNK_BYTES_MAX;
            bytes += part_of(**place).body.len() + part_of(**place).extras_bytes.len();
            fits
        };
        let places = stored.commits[from..].iter().skip(skip).take(commits_max).take_while(fits);
        StreamChunk { parts: places.map(|place| part_of(*place).clone()).collect() }
    }

    /// The place of the first commit that a reading beyond `after` shows.
    pub(super) fn place_beyond(&self, after: GlobalPosition) -> usize {
        // It has an event beyond, or none and stands behind.
        let is_beyond = |commit: &RecordedCommit| {
            let events: u64 = commit.parts.iter().map(|(_, part)| u64::from(part.event_count)).sum();
            let first = commit.parts.first().map_or(0, |(_, part)| part.first_position.get());
            first + events.max(1) > after.get() + 1
        };
        self.0.lock().log.partition_point(|commit| !is_beyond(commit))
    }

    pub(super) fn item(&self, place: usize) -> Option<FeedItem> {
        self.0.lock().log.get(place).cloned().map(FeedItem::Commit)
    }

    /// Who durably holds a claim.
    pub fn holder(&self, name: &ClaimName) -> Option<Holder> {
        self.0.lock().claims.get(name).cloned()
    }

    pub(super) fn claims(&self, page: &ClaimPage) -> Vec<(ClaimName, Holder)> {
        let contents = self.0.lock();
        let of_namespace = contents.claims.iter().filter(|(name, _)| name.namespace() == page.namespace);
        let beyond = of_namespace.filter(|(name, _)| page.after.as_ref().is_none_or(|after| name.value() > &**after));
        beyond.take(page.limit).map(|(name, holder)| (name.clone(), holder.clone())).collect()
    }

    pub(super) fn streams(&self, aggregate_type: &str, after: Option<&AggregateId>, limit: usize) -> Vec<StreamId> {
        let contents = self.0.lock();
        let with_events = contents.streams.iter().filter(|(_, stored)| stored.version > StreamVersion::EMPTY);
        let of_type = with_events.map(|(stream, _)| stream).filter(|stream| stream.aggregate_type() == aggregate_type);
        let beyond = of_type.filter(|stream| after.is_none_or(|after| stream.aggregate_id() > after.as_str()));
        beyond.take(limit).cloned().collect()
    }
}

/// Bytes in one chunk of a read, but for its last commit.
const CHUNK_BYTES_MAX: usize = 1024 * 1024;
