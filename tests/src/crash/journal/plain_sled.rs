//! An event store on plain sled 0.34.7, as one would write it from sled's documentation: for comparison, nothing else.
//!
//! A commit is one value under its number, all commits that wait become one batch, and `flush()` comes before their
//! acknowledgement. sled's documentation calls what was flushed durable. Versions and commit numbers are checked as in any
//! journal; there is no redo log, no beacon, no checksum of its own, and an error ends it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use onefold::journal::record::{self, EncodedFacts, PartPlace, RecordView};
use onefold::journal::{
    Append, AppendError, AppendOutcome, Appended, CloseError, DurablePosition, FeedItem, Journal, JournalHealth,
    OpenError, OpenedSession, ReadError, RecordedCommit, Session, StreamChunk, StreamPage, WriterEpoch,
};
use onefold::{Checkpoint, CommitNumber, StreamId, StreamVersion};
use tokio::sync::{oneshot, watch};

/// Commits in one batch, at most.
const BATCH_COMMITS_MAX: usize = 1_024;

/// How often, and after which pause, a locked directory is tried again: for two seconds in all.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The journal's handle.
#[derive(Debug)]
pub struct PlainSled {
    tree: Arc<sled::Db>,
    requests: Sender<Request>,
    durable: watch::Sender<DurablePosition>,
    writer: Option<JoinHandle<()>>,
}

enum Request {
    Open(StreamId, oneshot::Sender<OpenedSession>),
    Append(Append),
    Streams(oneshot::Sender<BTreeMap<StreamId, Vec<CommitNumber>>>),
    Close(oneshot::Sender<()>),
    End,
}

/// The thread that owns what is derived from the commits.
struct Writer {
    tree: Arc<sled::Db>,
    durable: watch::Sender<DurablePosition>,
    streams: BTreeMap<StreamId, Stream>,
    end: DurablePosition,
    failed: Option<Arc<str>>,
}

#[derive(Default)]
struct Stream {
    version: StreamVersion,
    commits: Vec<CommitNumber>,
    session: Option<Session>,
}

impl PlainSled {
    /// Opens the directory.
    ///
    /// # Errors
    ///
    /// Whatever sled says, or that a value is not a commit.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let tree = Arc::new(open_sled(path)?);
        let mut writer = Writer {
            tree: Arc::clone(&tree),
            durable: watch::Sender::new(DurablePosition::default()),
            streams: BTreeMap::new(),
            end: DurablePosition::default(),
            failed: None,
        };
        for entry in tree.iter() {
            let (_, value) = entry?;
            let value = Bytes::from(value.to_vec());
            let commit = RecordView::parse(&value).and_then(|view| view.to_commit(&value));
            writer.note(&commit.map_err(|error| anyhow::anyhow!("a value is no commit: {error}"))?);
        }
        let durable = writer.durable.clone();
        durable.send_replace(writer.end);
        let (requests, received) = channel();
        let thread = std::thread::Builder::new().name("plain-sled".to_owned()).spawn(move || writer.run(&received))?;
        Ok(PlainSled { tree, requests, durable, writer: Some(thread) })
    }
}

impl Drop for PlainSled {
    /// The writer lets go of the directory.
    fn drop(&mut self) {
        let _gone = self.requests.send(Request::End);
        if let Some(writer) = self.writer.take() {
            let _panicked = writer.join();
        }
    }
}

impl Writer {
    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut appends = Vec::new();
            let more = std::iter::from_fn(|| requests.try_recv().ok());
            for request in std::iter::once(first).chain(more.take(BATCH_COMMITS_MAX)) {
                match request {
                    Request::Append(append) => appends.push(append),
                    Request::Open(stream, reply) => {
                        self.append(std::mem::take(&mut appends));
                        let _gone = reply.send(self.open(stream));
                    }
                    Request::Streams(reply) => {
                        let streams = self.streams.iter();
                        let streams = streams.map(|(id, stream)| (id.clone(), stream.commits.clone()));
                        let _gone = reply.send(streams.filter(|(_, commits)| !commits.is_empty()).collect());
                    }
                    Request::Close(reply) => {
                        self.append(std::mem::take(&mut appends));
                        let _gone = reply.send(());
                    }
                    Request::End => return self.append(appends),
                }
            }
            self.append(appends);
        }
    }

    fn open(&mut self, id: StreamId) -> OpenedSession {
        let stream = self.streams.entry(id.clone()).or_default();
        let session = Session::new(id, WriterEpoch::default(), ());
        if let Some(older) = stream.session.replace(session.clone()) {
            older.end();
        }
        let last_commit = stream.commits.last().copied().unwrap_or(CommitNumber::NONE);
        OpenedSession { session, head: stream.version, last_commit }
    }

    /// One batch, one flush, then the answers.
    fn append(&mut self, appends: Vec<Append>) {
        let mut batch = sled::Batch::default();
        let decided: Vec<(Append, AppendOutcome)> = appends
            .into_iter()
            .map(|append| {
                let outcome = self.decide(&append, &mut batch);
                if outcome.is_err() {
                    append.parts.iter().for_each(|part| part.session.end());
                }
                (append, outcome)
            })
            .collect();
        if decided.is_empty() {
            return;
        }
        let stored = self.tree.apply_batch(batch).and_then(|()| self.tree.flush());
        if let Err(error) = stored {
            self.failed = Some(error.to_string().into());
        }
        if self.failed.is_none() {
            self.durable.send_replace(self.end);
        }
        for (append, outcome) in decided {
            let unknown = |reason: &Arc<str>| Err(AppendError::Unknown { reason: Arc::clone(reason) });
            let outcome = match (&self.failed, outcome) {
                (Some(reason), Ok(_)) => unknown(reason),
                (_, outcome) => outcome,
            };
            append.acknowledgement.complete(outcome);
        }
    }

    fn decide(&mut self, append: &Append, batch: &mut sled::Batch) -> AppendOutcome {
        if let Some(reason) = &self.failed {
            return Err(AppendError::Poisoned { reason: Arc::clone(reason) });
        }
        let mut places = Vec::new();
        for part in &append.parts {
            let id = part.stream();
            let stream = self.streams.entry(id.clone()).or_default();
            if !part.session.is_live() {
                return Err(AppendError::Superseded { stream: id.clone() });
            }
            if !part.expected.accepts(stream.version) {
                let (stream, expected, actual) = (id.clone(), part.expected, stream.version);
                return Err(AppendError::Conflict { stream, expected, actual });
            }
            if part.has_extras() {
                return Err(AppendError::Unsupported { what: "extras" });
            }
            if !part.events.is_empty() {
                let previous = stream.commits.last().copied().unwrap_or(CommitNumber::NONE);
                places.push(PartPlace { previous, first_version: stream.version.next() });
            }
        }
        if !places.is_empty() {
            let (commit, mut value) = (self.end.commit.next(), Vec::new());
            record::encode(append, commit, self.end.position.next(), &places, &EncodedFacts::default(), &mut value);
            batch.insert(&commit.get().to_be_bytes(), &*value);
            for part in append.parts.iter().filter(|part| !part.events.is_empty()) {
                self.advance(part.stream(), commit, part.events.count());
            }
        }
        Ok(Appended { commit: self.end.commit, position: self.end.position })
    }

    /// Takes in a commit that was read.
    fn note(&mut self, commit: &RecordedCommit) {
        for (id, part) in &commit.parts {
            self.advance(id, commit.number, part.event_count);
        }
    }

    fn advance(&mut self, id: &StreamId, commit: CommitNumber, events: u32) {
        let stream = self.streams.entry(id.clone()).or_default();
        stream.version = stream.version.plus(events.into());
        stream.commits.push(commit);
        self.end = DurablePosition { commit, position: self.end.position.plus(events.into()) };
    }
}

/// Whoever had the directory before in this process lets go of it a moment after its end.
fn open_sled(path: &Path) -> sled::Result<sled::Db> {
    let mut tries = LOCK_TRIES;
    loop {
        match sled::Config::new().path(path).cache_capacity(64 << 20).open() {
            Err(error) if tries > 0 && error.to_string().contains("could not acquire lock") => {
                tries -= 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
}

fn read(tree: &sled::Db, number: CommitNumber) -> Result<Option<RecordedCommit>, ReadError> {
    let storage = |error: sled::Error| ReadError::Storage { reason: error.to_string().into() };
    let Some(value) = tree.get(number.get().to_be_bytes()).map_err(storage)? else { return Ok(None) };
    let value = Bytes::from(value.to_vec());
    let commit = RecordView::parse(&value).ok().and_then(|view| view.to_commit(&value).ok());
    let place = format!("commit {number}");
    let evidence = "the value is no commit".to_owned();
    commit.map(Some).ok_or(ReadError::Damaged { stream: None, commit: Some(number), place, evidence })
}

impl Journal for PlainSled {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (reply, opened) = oneshot::channel();
        let _gone = self.requests.send(Request::Open(stream.clone(), reply));
        async move { opened.await.map_err(|_| OpenError::ShuttingDown) }.boxed()
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        // Dropped when the writer is gone, which tells that the outcome is unknown.
        let _gone = self.requests.send(Request::Append(append));
        Ok(())
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let (tree, stream) = (Arc::clone(&self.tree), stream.clone());
        let (reply, streams) = oneshot::channel();
        let _gone = self.requests.send(Request::Streams(reply));
        let chunks = async move {
            let mut streams = streams.await.unwrap_or_default();
            let commits = streams.remove(&stream).unwrap_or_default();
            let chunk = move |number| -> Option<Result<StreamChunk, ReadError>> {
                let commit = match read(&tree, number) {
                    Ok(commit) => commit?,
                    Err(error) => return Some(Err(error)),
                };
                let parts = commit.parts.into_iter().filter(|(id, part)| *id == stream && part.last_version() > after);
                Some(Ok(StreamChunk { parts: parts.map(|(_, part)| part).collect() }))
            };
            stream::iter(commits.into_iter().filter_map(chunk))
        };
        chunks.flatten_stream().boxed()
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        let (tree, after, end) = (Arc::clone(&self.tree), after.position(), self.durable.borrow().commit.get());
        let items = (1..=end).map(move |number| read(&tree, CommitNumber::new(number)));
        let items = items.filter_map(move |read| match read {
            Ok(Some(commit)) => {
                let item = FeedItem::Commit(commit);
                (item.checkpoint().position() > after).then_some(Ok(item))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        });
        stream::iter(items).boxed()
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        let (reply, streams) = oneshot::channel();
        let _gone = self.requests.send(Request::Streams(reply));
        async move {
            let streams = streams.await.map_err(|_| ReadError::Closed)?.into_keys();
            let of_type = streams.filter(|id| id.aggregate_type() == page.aggregate_type);
            let after = |id: &StreamId| page.after.as_ref().is_none_or(|after| id.aggregate_id() > after.as_str());
            Ok(of_type.filter(after).take(page.limit).collect())
        }
        .boxed()
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.durable.subscribe()
    }

    fn health(&self) -> JournalHealth {
        JournalHealth::Healthy
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        let (reply, closed) = oneshot::channel();
        let _gone = self.requests.send(Request::Close(reply));
        async move { closed.await.map_err(|_| CloseError { reason: "the writer is gone".into() }) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use onefold::{Aggregates, GlobalPosition, Runtime};

    use super::*;
    use crate::crash::chronicle::{Chronicle, Write};

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_an_honest_journal_while_nobody_pulls_the_plug() {
        let temporary = tempfile::tempdir().unwrap();
        let journal = Arc::new(PlainSled::open(&temporary.path().join("plain")).unwrap());
        let runtime = Runtime::builder(Arc::clone(&journal)).aggregate::<Chronicle>(()).start().await.unwrap();
        let chronicles: Aggregates<Chronicle> = runtime.aggregates().unwrap();
        for number in 1..=3 {
            let write = Write { number, count: 3, event_bytes: 20..=2_000 };
            assert_eq!(chronicles.ask("one", write).await.unwrap(), number * 3);
        }
        assert_eq!(journal.durable().borrow().position, GlobalPosition::new(9));
        let commits: Vec<FeedItem> = journal.read_all(&Checkpoint::START).try_collect().await.unwrap();
        assert_eq!(commits.len(), 3);
        assert!(runtime.shutdown(std::time::Duration::from_secs(20)).await.is_clean());
    }
}
