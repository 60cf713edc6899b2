//! The suite can fail: each of these journals breaks the contract in one way, and the case that is there for it says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, future, stream};
use onefold_core::journal::{
    Acknowledgement, Append, AppendPart, Appended, CloseError, DurablePosition, EncodedEvents, FeedItem, Journal,
    JournalHealth, MemoryJournal, OpenError, OpenedSession, ReadError, StreamChunk, StreamPage,
};
use onefold_core::{Checkpoint, CommitNumber, ExpectedVersion, GlobalPosition, StreamId, StreamVersion};
use onefold_testkit::conformance::{self, How, Subject};
use parking_lot::Mutex;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    AcceptsBarriersUnchecked,
    AcceptsAnyVersion,
    AcknowledgesEarly,
    AcknowledgesOutOfOrder,
    NumbersBarriers,
    LosesTheAppend,
    SplitsCommits,
    SplitsStreams,
    LosesMetadata,
    KeepsOlderSessions,
    OpensAtZero,
    OpenHangs,
    ReadsOneTooFew,
    ReadsWithoutBound,
    FailsOnUnknownStreams,
    FeedSkipsOne,
    FeedIgnoresTheCheckpoint,
    ListsWithoutLimit,
    ListsAllTypes,
    DurableIsAhead,
    DurableStands,
    DurableLags,
    ClosesWithoutEffect,
    ForgetsAtAKill,
    ForgetsAtAClose,
}

struct Broken {
    inner: MemoryJournal,
    defect: Defect,
    waiting: Mutex<Option<Append>>,
    session: Mutex<Option<OpenedSession>>,
    durable: watch::Sender<DurablePosition>,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        let inner = MemoryJournal::new();
        let (waiting, session, durable) = Default::default();
        Broken { inner, defect, waiting, session, durable }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// Appends each part, or each event, as a commit of its own.
    fn append_split(&self, append: Append) -> Result<(), Append> {
        let (mut parts, metadata) = (append.parts, append.metadata);
        let last = parts.pop().expect("a part");
        for part in parts {
            let nobody = Acknowledgement::from_fn(drop);
            self.inner.append(Append::new(part, metadata.clone(), nobody))?;
        }
        let count = if self.is(Defect::SplitsCommits) { last.events.count() } else { 1 };
        for _ in 1..count {
            let events = onefold_testkit::TestEvent::encode_all(&[onefold_testkit::TestEvent::numbered(1)]);
            let (session, expected) = (last.session.clone(), ExpectedVersion::Any);
            let part = AppendPart { events, session, expected, claims: Vec::new() };
            self.inner.append(Append::new(part, metadata.clone(), Acknowledgement::from_fn(drop)))?;
        }
        let events = match count {
            0 | 1 => last.events,
            _ => onefold_testkit::TestEvent::encode_all(&[onefold_testkit::TestEvent::numbered(2)]),
        };
        let expected = if count > 1 { ExpectedVersion::Any } else { last.expected };
        let part = AppendPart { events, expected, ..last };
        self.inner.append(Append::new(part, metadata, append.acknowledgement))
    }
}

impl Journal for Broken {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        if self.is(Defect::OpenHangs) {
            return future::pending().boxed();
        }
        if let Some(opened) = self.session.lock().clone().filter(|opened| opened.session.stream() == stream) {
            return future::ready(Ok(opened)).boxed();
        }
        let opened = self.inner.open(stream).now_or_never().expect("memory answers at once");
        if self.is(Defect::KeepsOlderSessions) {
            *self.session.lock() = opened.clone().ok();
        }
        let zero = self.is(Defect::OpensAtZero);
        let opened = opened.map(|o| if zero { OpenedSession { head: StreamVersion::EMPTY, ..o } } else { o });
        future::ready(opened).boxed()
    }

    fn append(&self, mut append: Append) -> Result<(), Append> {
        match self.defect {
            Defect::AcceptsBarriersUnchecked if append.is_barrier() => {
                append.parts.iter_mut().for_each(|part| part.expected = ExpectedVersion::Any);
            }
            Defect::AcceptsAnyVersion => append.parts.iter_mut().for_each(|part| part.expected = ExpectedVersion::Any),
            Defect::AcknowledgesEarly => {
                let now = *self.inner.durable().borrow();
                let (commit, position) = (now.commit.next(), now.position.next());
                let acknowledgement = std::mem::replace(&mut append.acknowledgement, Acknowledgement::from_fn(drop));
                let inner = self.inner.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    inner.append(append)
                });
                acknowledgement.complete(Ok(Appended { commit, position }));
                return Ok(());
            }
            Defect::AcknowledgesOutOfOrder => {
                let mut waiting = self.waiting.lock();
                let later = waiting.take();
                if later.is_none() && !append.parts[0].events.is_empty() {
                    let (tell, told) = std::sync::mpsc::channel();
                    let intercept = Acknowledgement::from_fn(move |outcome| drop(tell.send(outcome)));
                    let real = std::mem::replace(&mut append.acknowledgement, intercept);
                    let (nothing, session) = (EncodedEvents::NONE, append.parts[0].session.clone());
                    let part =
                        AppendPart { session, expected: ExpectedVersion::Any, events: nothing, claims: Vec::new() };
                    let late = Acknowledgement::from_fn(move |_| real.complete(told.recv().expect("an outcome")));
                    *waiting = Some(Append::new(part, Vec::new(), late));
                    return self.inner.append(append);
                }
                self.inner.append(append)?;
                return later.map_or(Ok(()), |later| self.inner.append(later));
            }
            Defect::NumbersBarriers if append.is_barrier() => {
                let acknowledgement = std::mem::replace(&mut append.acknowledgement, Acknowledgement::from_fn(drop));
                append.acknowledgement = Acknowledgement::from_fn(move |outcome| {
                    acknowledgement.complete(outcome.map(|at| Appended { commit: at.commit.next(), ..at }));
                });
            }
            Defect::LosesTheAppend => return Ok(()),
            Defect::SplitsCommits | Defect::SplitsStreams => return self.append_split(append),
            Defect::LosesMetadata => {
                append.metadata.clear();
                let empty = onefold_core::Metadata::default();
                empty.encode(&onefold_core::Limits::default(), &mut append.metadata).expect("small");
            }
            _ => {}
        }
        self.inner.append(append)
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        self.inner.capacity()
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let chunks = self.inner.read_stream(stream, after);
        match self.defect {
            Defect::ReadsOneTooFew => self.inner.read_stream(stream, after.plus(1)),
            Defect::ReadsWithoutBound => chunks
                .fold(StreamChunk::default(), |mut all, chunk| {
                    all.parts.extend(chunk.expect("a good read").parts);
                    future::ready(all)
                })
                .into_stream()
                .map(Ok)
                .boxed(),
            Defect::FailsOnUnknownStreams => chunks.chain(stream::iter([Err(ReadError::Closed)])).boxed(),
            _ => chunks,
        }
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        match self.defect {
            Defect::FeedSkipsOne => self.inner.read_all(after).skip(1).boxed(),
            Defect::FeedIgnoresTheCheckpoint => self.inner.read_all(&Checkpoint::START),
            _ => self.inner.read_all(after),
        }
    }

    fn streams(&self, mut page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        match self.defect {
            Defect::ListsWithoutLimit => page.limit = usize::MAX,
            Defect::ListsAllTypes if page.aggregate_type == "b" => page.aggregate_type = "a".to_owned(),
            _ => {}
        }
        self.inner.streams(page)
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        match self.defect {
            Defect::DurableIsAhead => {
                let ahead = DurablePosition { commit: CommitNumber::new(400), position: GlobalPosition::new(400) };
                let receiver = self.durable.subscribe();
                self.durable.send_replace(ahead);
                receiver
            }
            Defect::DurableStands => self.durable.subscribe(),
            Defect::DurableLags => {
                let mut real = self.inner.durable();
                let late = watch::Sender::new(DurablePosition::default());
                let receiver = late.subscribe();
                tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        late.send_replace(*real.borrow_and_update());
                    }
                });
                receiver
            }
            _ => self.inner.durable(),
        }
    }

    fn health(&self) -> JournalHealth {
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        if self.is(Defect::ClosesWithoutEffect) { future::ready(Ok(())).boxed() } else { self.inner.close() }
    }
}

struct BrokenSubject(Arc<Broken>);

impl Subject for BrokenSubject {
    const PATIENCE: Duration = Duration::from_secs(2);

    async fn open(&self) -> Arc<dyn Journal> {
        self.0.clone()
    }

    async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
        if how == How::CleanClose {
            journal.close().await.expect("memory closes cleanly");
        }
        self.0.inner.reopen();
        match (self.0.defect, how) {
            (Defect::ForgetsAtAKill, How::Kill) | (Defect::ForgetsAtAClose, How::CleanClose) => {
                Arc::new(MemoryJournal::new())
            }
            _ => journal,
        }
    }
}

macro_rules! caught {
    ($($defect:ident by $case:ident)*) => {
        $(#[test]
        fn $case() {
            let factory = || BrokenSubject(Arc::new(Broken::new(Defect::$defect)));
            let run = catch_unwind(AssertUnwindSafe(|| conformance::run(stringify!($case), factory)));
            assert!(run.is_err(), "{:?} was not caught", Defect::$defect);
        })*
    };
}

caught! {
    AcceptsBarriersUnchecked by failed_barrier_ends_the_session
    AcceptsAnyVersion by wrong_version_is_a_conflict
    AcknowledgesEarly by acknowledged_is_visible_at_once
    AcknowledgesOutOfOrder by acknowledged_in_order_of_submission
    NumbersBarriers by barrier_takes_no_number
    LosesTheAppend by any_version_is_always_accepted
    SplitsCommits by several_events_are_one_commit
    SplitsStreams by several_streams_are_one_commit
    LosesMetadata by payloads_and_metadata_come_back
    KeepsOlderSessions by newer_open_ends_the_older_session
    OpensAtZero by open_waits_for_older_appends
    OpenHangs by numbers_begin_at_one
    ReadsOneTooFew by replays_all
    ReadsWithoutBound by long_stream_comes_in_bounded_chunks
    FailsOnUnknownStreams by unknown_stream_is_empty
    FeedSkipsOne by feed_from_the_start
    FeedIgnoresTheCheckpoint by feed_from_every_checkpoint
    ListsWithoutLimit by lists_in_pages
    ListsAllTypes by lists_by_type_in_order
    DurableIsAhead by durable_position_is_never_ahead_of_reads
    DurableStands by durable_position_follows_the_acknowledgements
    DurableLags by durable_position_is_never_behind_the_acknowledgements
    ClosesWithoutEffect by closed_journal_refuses_appends
    ForgetsAtAKill by acknowledged_survives_a_kill
    ForgetsAtAClose by acknowledged_survives_a_clean_close
}
