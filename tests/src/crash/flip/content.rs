//! What a journal holds, read in every way there is, with each error where it came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use onefold::journal::{ClaimPage, FeedItem, Journal, ReadError, RecordedPart, StreamPage};
use onefold::{Aggregate as _, Checkpoint, ClaimName, Holder, StreamId, StreamVersion};

use crate::crash::chronicle::Chronicle;
use crate::crash::transcript::NAMESPACE;

/// One stream's part of a commit, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) commit: u64,
    pub(super) position: u64,
    pub(super) version: u64,
    pub(super) events: u32,
    pub(super) metadata: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// What it carries beside its events: facts of claims, and the key with its answer.
    pub(super) extras: Vec<u8>,
    /// Who holds the claims that it changed after it, by its extras.
    pub(super) holders: Vec<(ClaimName, Option<Holder>)>,
}

/// Something read in order, up to its end or an error.
#[derive(Clone, Debug)]
pub(super) struct Sequence<T> {
    pub(super) items: Vec<T>,
    pub(super) error: Option<String>,
}

/// What one stream is by itself.
#[derive(Clone, Debug)]
pub(super) struct StreamContent {
    pub(super) parts: Sequence<Part>,
    /// Its head, by opening it.
    pub(super) head: Result<u64, String>,
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// The global feed.
    pub(super) feed: Sequence<(StreamId, Part)>,
    /// The streams that were asked for, and those listed.
    pub(super) streams: BTreeMap<StreamId, StreamContent>,
    pub(super) listing: Result<Vec<StreamId>, String>,
    /// The claims that are held, as they are listed.
    pub(super) claims: Result<Vec<(ClaimName, Holder)>, String>,
}

impl Part {
    fn of(stream: &StreamId, part: &RecordedPart) -> Part {
        // Extras that do not parse are other bytes than before.
        let claims = part.extras().unwrap_or_default().claims;
        let holders = claims.iter().map(|fact| (fact.claim().clone(), fact.holder(stream, part.commit)));
        Part {
            commit: part.commit.get(),
            position: part.first_position.get(),
            version: part.first_version.get(),
            events: part.event_count,
            metadata: part.metadata_bytes.to_vec(),
            body: part.body.to_vec(),
            extras: part.extras_bytes.to_vec(),
            holders: holders.collect(),
        }
    }

    /// The version of its last event.
    pub(super) fn last_version(&self) -> u64 {
        self.version + u64::from(self.events) - 1
    }
}

impl Content {
    /// Reads everything; of streams those in `known`, beside those that are listed.
    pub(super) async fn read(journal: &Arc<dyn Journal>, known: impl Iterator<Item = &StreamId>) -> Content {
        let feed = feed(journal).await;
        let page = StreamPage { aggregate_type: Chronicle::TYPE.to_owned(), after: None, limit: usize::from(u16::MAX) };
        let listing = journal.streams(page).await.map_err(|error| error.to_string());
        let claims = claims(journal).await;
        let mut streams = BTreeMap::new();
        let mut ids: BTreeSet<StreamId> = known.cloned().collect();
        ids.extend(listing.iter().flatten().cloned());
        for id in ids {
            let content = stream(journal, &id).await;
            streams.insert(id, content);
        }
        Content { feed, streams, listing, claims }
    }

    /// The claims that are held after a commit, by the feed.
    pub(super) fn held_after(&self, commit: u64) -> Vec<(ClaimName, Holder)> {
        let mut held = BTreeMap::new();
        let changes = self.feed.items.iter().filter(|(_, part)| part.commit <= commit);
        for (name, holder) in changes.flat_map(|(_, part)| part.holders.iter().cloned()) {
            match holder {
                Some(holder) => drop(held.insert(name, holder)),
                None => drop(held.remove(&name)),
            }
        }
        held.into_iter().collect()
    }

    /// The streams that have events up to a commit, by the feed.
    pub(super) fn written_up_to(&self, commit: u64) -> BTreeMap<&StreamId, Vec<&Part>> {
        let mut streams: BTreeMap<&StreamId, Vec<&Part>> = BTreeMap::new();
        for (stream, part) in self.feed.items.iter().filter(|(_, part)| part.commit <= commit) {
            streams.entry(stream).or_default().push(part);
        }
        streams
    }

    /// The last commit.
    pub(super) fn end(&self) -> u64 {
        self.feed.items.last().map_or(0, |(_, part)| part.commit)
    }

    /// The first error there was, wherever.
    pub(super) fn error(&self) -> Option<&String> {
        let of_streams =
            self.streams.values().flat_map(|stream| [stream.parts.error.as_ref(), stream.head.as_ref().err()]);
        let of_all = [self.feed.error.as_ref(), self.listing.as_ref().err(), self.claims.as_ref().err()];
        of_all.into_iter().chain(of_streams).find_map(|error| error)
    }
}

async fn feed(journal: &Arc<dyn Journal>) -> Sequence<(StreamId, Part)> {
    let (mut items, mut feed) = (Vec::new(), journal.read_all(&Checkpoint::START));
    loop {
        match feed.try_next().await {
            Ok(Some(FeedItem::Commit(commit))) => {
                items.extend(commit.parts.iter().map(|(stream, part)| (stream.clone(), Part::of(stream, part))));
            }
            Ok(Some(other)) => return Sequence { items, error: Some(format!("the feed says {other:?}")) },
            Ok(None) => return Sequence { items, error: None },
            Err(error) => return Sequence { items, error: Some(error.to_string()) },
        }
    }
}

async fn claims(journal: &Arc<dyn Journal>) -> Result<Vec<(ClaimName, Holder)>, String> {
    let page = ClaimPage { namespace: NAMESPACE.to_owned(), after: None, limit: usize::from(u16::MAX) };
    match journal.claims(page).await {
        Err(ReadError::Unsupported { .. }) => Ok(Vec::new()),
        claims => claims.map_err(|error| error.to_string()),
    }
}

async fn stream(journal: &Arc<dyn Journal>, id: &StreamId) -> StreamContent {
    let (mut items, mut error) = (Vec::new(), None);
    let mut chunks = journal.read_stream(id, StreamVersion::EMPTY);
    loop {
        match chunks.try_next().await {
            Ok(Some(chunk)) => items.extend(chunk.parts.iter().map(|part| Part::of(id, part))),
            Ok(None) => break,
            Err(failed) => {
                error = Some(failed.to_string());
                break;
            }
        }
    }
    let head = journal.open(id).await.map(|opened| opened.head.get()).map_err(|error| error.to_string());
    StreamContent { parts: Sequence { items, error }, head }
}
