//! A journal in memory: the contract in its smallest complete form, for tests and as the measure of what a disk costs.
//!
//! It encodes, checks and checksums as a durable journal does; then it keeps the bytes. "Durable" means: in memory. It
//! grows without bound.

mod claims;
mod log;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::watch;

use self::claims::ClaimTable;
use self::log::Log;
use super::record::{self, EncodedFacts, PartPlace};
use super::{
    Append, AppendError, AppendOutcome, AppendPart, Appended, ClaimPage, CloseError, DecidedClaims, DurablePosition,
    FeedItem, Journal, JournalHealth, OpenError, OpenedSession, PinnedClaim, ReadError, Session, StreamChunk,
    StreamPage, WriterEpoch,
};
use crate::{Checkpoint, ClaimName, CommitNumber, GlobalPosition, Holder, StreamId, StreamVersion};

/// Commits in one chunk of a read, at most.
const CHUNK_COMMITS_MAX: usize = 256;
/// Bytes in one chunk of a read, but for its last commit.
const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// A [`Journal`] in memory. Clones share the data.
#[derive(Clone)]
pub struct MemoryJournal {
    inner: Arc<Mutex<Inner>>,
    durable: Arc<watch::Sender<DurablePosition>>,
}

struct Inner {
    log: Log,
    position: GlobalPosition,
    streams: Vec<StreamState>,
    by_name: BTreeMap<StreamId, usize>,
    claims: ClaimTable,
    closed: bool,
}

#[derive(Default)]
struct StreamState {
    session: Option<Session>,
    version: StreamVersion,
    commits: Vec<CommitNumber>,
}

impl StreamState {
    fn last_commit(&self) -> CommitNumber {
        self.commits.last().copied().unwrap_or(CommitNumber::NONE)
    }
}

/// What the journal keeps inside a session: which journal, and the stream's index there.
struct SessionState {
    journal: usize,
    stream: usize,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        let inner = Inner {
            log: Log::default(),
            position: GlobalPosition::START,
            streams: Vec::new(),
            by_name: BTreeMap::new(),
            claims: ClaimTable::default(),
            closed: false,
        };
        MemoryJournal {
            inner: Arc::new(Mutex::new(inner)),
            durable: Arc::new(watch::Sender::new(DurablePosition::default())),
        }
    }

    /// Acts out a restart: every session ends, a closed journal takes appends again. What was appended is still there.
    pub fn reopen(&self) {
        let mut inner = self.inner.lock();
        inner.streams.iter_mut().filter_map(|stream| stream.session.take()).for_each(|session| session.end());
        inner.closed = false;
    }

    /// What makes a session ours.
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    fn decide(&self, append: &Append) -> AppendOutcome {
        let mut inner = self.inner.lock();
        let outcome = inner.append(append, self.identity());
        match &outcome {
            Ok(appended) if !append.is_barrier() => {
                // IMPORTANT: inside the lock, so that the durable position never goes backwards.
                self.durable.send_replace(DurablePosition { commit: appended.commit, position: appended.position });
            }
            Ok(_) => {}
            Err(_) => append.parts.iter().for_each(|part| part.session.end()),
        }
        outcome
    }
}

impl Inner {
    fn append(&mut self, append: &Append, journal: usize) -> AppendOutcome {
        if self.closed {
            return Err(AppendError::ShuttingDown);
        }
        let mut places: SmallVec<[PartPlace; 1]> = SmallVec::new();
        let mut indexes: SmallVec<[usize; 1]> = SmallVec::new();
        for part in &append.parts {
            let index = self.check(part, journal)?;
            if part.is_recorded() {
                let stream = &self.streams[index];
                places.push(PartPlace { previous: stream.last_commit(), first_version: stream.version.next() });
                indexes.push(index);
            }
        }
        if places.is_empty() {
            return Ok(Appended { commit: self.log.last(), position: self.position });
        }
        let commit = self.log.last().next();
        let first = self.position.next();
        // IMPORTANT: after session and version of every part, before anything is changed.
        let claims = DecidedClaims::decide(append, commit, |claim| {
            claims::is_of(claim, journal).then(|| self.claims.holder(claim.name()).cloned())
        })?;
        let facts = EncodedFacts::encode(append, &claims);
        self.log.push(|out| record::encode(append, commit, first, &places, &facts, out));
        self.claims.apply(claims);
        let written = append.parts.iter().filter(|part| part.is_recorded());
        for (part, index) in written.zip(indexes) {
            let stream = &mut self.streams[index];
            stream.version = stream.version.plus(part.events.count().into());
            stream.commits.push(commit);
            self.position = self.position.plus(part.events.count().into());
        }
        Ok(Appended { commit, position: self.position })
    }

    /// Checks a part's session and expected version; returns the stream's index.
    fn check(&self, part: &AppendPart, journal: usize) -> Result<usize, AppendError> {
        let superseded = || AppendError::Superseded { stream: part.stream().clone() };
        let state = part.session.state::<SessionState>().filter(|state| state.journal == journal);
        let index = state.filter(|_| part.session.is_live()).ok_or_else(superseded)?.stream;
        let actual = self.streams[index].version;
        if !part.expected.accepts(actual) {
            return Err(AppendError::Conflict { stream: part.stream().clone(), expected: part.expected, actual });
        }
        Ok(index)
    }

    fn commits_of(&self, stream: &StreamId) -> &[CommitNumber] {
        self.by_name.get(stream).map_or(&[], |index| &self.streams[*index].commits)
    }

    /// How many of the stream's commits a reading beyond `after` leaves out.
    fn commits_to(&self, stream: &StreamId, after: StreamVersion) -> usize {
        let is_behind =
            |commit: &CommitNumber| self.log.view(*commit).part_of(stream).is_some_and(|part| !part.is_beyond(after));
        self.commits_of(stream).partition_point(is_behind)
    }

    /// The next of the stream's commits, without the first `skip`.
    fn stream_chunk(&self, stream: &StreamId, skip: usize) -> Result<StreamChunk, ReadError> {
        let mut chunk = StreamChunk::default();
        let mut bytes = 0;
        for commit in self.commits_of(stream).iter().skip(skip).take(CHUNK_COMMITS_MAX) {
            if bytes >= CHUNK_BYTES_MAX {
                break;
            }
            let source = self.log.bytes(*commit);
            let view = self.log.parse(&source);
            bytes += view.len();
            let part = view.part_of(stream).and_then(|part| view.take(&part, &source).ok());
            chunk.parts.push(part.ok_or_else(|| ReadError::Damaged {
                stream: Some(stream.clone()),
                commit: Some(*commit),
                place: "memory".to_owned(),
                evidence: "a record does not match its checksum".to_owned(),
            })?);
        }
        Ok(chunk)
    }

    fn feed_item(&self, number: CommitNumber) -> Option<FeedItem> {
        let in_range = number > CommitNumber::NONE && number <= self.log.last();
        in_range.then(|| {
            let source = self.log.bytes(number);
            let commit = self.log.parse(&source).to_commit(&source);
            FeedItem::Commit(commit.expect("memory keeps what was written"))
        })
    }

    /// The first commit that a reading beyond `after` shows.
    fn first_commit_after(&self, after: GlobalPosition) -> CommitNumber {
        let (mut low, mut high) = (1, self.log.last().get() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.log.view(CommitNumber::new(middle)).is_beyond(after) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        CommitNumber::new(low)
    }
}

impl Journal for MemoryJournal {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (this, stream) = (self.clone(), stream.clone());
        Box::pin(async move {
            let mut inner = this.inner.lock();
            if inner.closed {
                return Err(OpenError::ShuttingDown);
            }
            let index = match inner.by_name.get(&stream) {
                Some(index) => *index,
                None => {
                    inner.streams.push(StreamState::default());
                    let index = inner.streams.len() - 1;
                    inner.by_name.insert(stream.clone(), index);
                    index
                }
            };
            let state = SessionState { journal: this.identity(), stream: index };
            let session = Session::new(stream, WriterEpoch::default(), state);
            let entry = &mut inner.streams[index];
            if let Some(older) = entry.session.replace(session.clone()) {
                older.end();
            }
            Ok(OpenedSession { session, head: entry.version, last_commit: entry.last_commit() })
        })
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        let outcome = self.decide(&append);
        append.acknowledgement.complete(outcome);
        Ok(())
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let (this, stream, mut read) = (self.clone(), stream.clone(), None);
        Box::pin(Items(move || {
            let inner = this.inner.lock();
            // By count, not by version: commits without events have none of their own.
            let skip = read.get_or_insert_with(|| inner.commits_to(&stream, after));
            let chunk = inner.stream_chunk(&stream, *skip);
            if let Ok(chunk) = &chunk {
                *skip += chunk.parts.len();
            }
            (!chunk.as_ref().is_ok_and(|chunk| chunk.parts.is_empty())).then_some(chunk)
        }))
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        let this = self.clone();
        let mut next = this.inner.lock().first_commit_after(after.position());
        Box::pin(Items(move || {
            let item = this.inner.lock().feed_item(next)?;
            next = next.next();
            Some(Ok(item))
        }))
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        let this = self.clone();
        Box::pin(async move {
            let inner = this.inner.lock();
            // Nothing sorts below the first possible id, so that is where a type begins.
            let after = page.after.as_ref().map_or("\u{20}", |id| id.as_str());
            let Ok(from) = StreamId::new(&page.aggregate_type, after) else { return Ok(Vec::new()) };
            let from = if page.after.is_some() { Bound::Excluded(from) } else { Bound::Included(from) };
            let of_type = inner.by_name.range((from, Bound::Unbounded));
            let of_type = of_type.take_while(|(stream, _)| stream.aggregate_type() == page.aggregate_type);
            let written = of_type.filter(|(_, index)| inner.streams[**index].version > StreamVersion::EMPTY);
            Ok(written.take(page.limit).map(|(stream, _)| stream.clone()).collect())
        })
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        let pins = names.into_iter().map(|name| claims::pin(&self.inner, name)).collect();
        Box::pin(std::future::ready(Ok(pins)))
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        let this = self.clone();
        Box::pin(async move { Ok(this.inner.lock().claims.holder(&name).cloned()) })
    }

    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        let this = self.clone();
        Box::pin(async move { Ok(this.inner.lock().claims.page(&page)) })
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.durable.subscribe()
    }

    fn health(&self) -> JournalHealth {
        match self.inner.lock().closed {
            true => JournalHealth::Closed,
            false => JournalHealth::Healthy,
        }
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        let this = self.clone();
        Box::pin(async move {
            this.inner.lock().closed = true;
            Ok(())
        })
    }
}

/// A stream whose items are there at once.
struct Items<F>(F);

impl<F> Unpin for Items<F> {}

impl<T, F: FnMut() -> Option<T>> Stream for Items<F> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready((self.0)())
    }
}
