//! A journal whose appends are not durable, and not visible, before the test lets them through: what P2 is tested on.
//!
//! Unlike a [`FaultyJournal`](onefold_testkit::faults::FaultyJournal), which stores at once and holds back the answer, it
//! holds back the write itself.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use onefold::journal::{
    Append, ClaimPage, CloseError, DurablePosition, FeedItem, Journal, JournalHealth, OpenError, OpenedSession,
    PinnedClaim, ReadError, StreamChunk, StreamPage,
};
use onefold::{Checkpoint, ClaimName, Holder, MemoryJournal, StreamId, StreamVersion};
use parking_lot::Mutex;
use tokio::sync::watch;

/// See the module.
pub(crate) struct SlowJournal {
    inner: MemoryJournal,
    valve: Valve,
}

/// Lets appends through. Clones are the same.
#[derive(Clone)]
pub(crate) struct Valve(Arc<Held>);

struct Held {
    inner: MemoryJournal,
    appends: Mutex<VecDeque<Append>>,
    /// Whether everything passes at once.
    open: Mutex<bool>,
    /// How many are held.
    count: watch::Sender<usize>,
    /// How many streams are being read, and how many were at most.
    reads: Mutex<(usize, usize)>,
    /// Whether the next append panics.
    panics: Mutex<bool>,
    /// Whether it was dropped within tokio, once it was.
    dropped: watch::Sender<Option<bool>>,
}

impl Drop for SlowJournal {
    fn drop(&mut self) {
        self.valve.0.dropped.send_replace(Some(tokio::runtime::Handle::try_current().is_ok()));
    }
}

/// A stream being read, until it is dropped.
struct Read(Arc<Held>);

impl Read {
    fn begin(held: &Arc<Held>) -> Self {
        let mut reads = held.reads.lock();
        reads.0 += 1;
        reads.1 = reads.1.max(reads.0);
        drop(reads);
        Read(held.clone())
    }

    fn goes_on(&self) {
        assert!(self.0.reads.lock().0 > 0);
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.0.reads.lock().0 -= 1;
    }
}

impl SlowJournal {
    /// A journal whose valve is closed.
    pub(crate) fn new() -> (Self, Valve) {
        let inner = MemoryJournal::new();
        let (appends, open, count) = (Mutex::default(), Mutex::new(false), watch::Sender::new(0));
        let (inner_too, reads) = (inner.clone(), Mutex::default());
        let (panics, dropped) = (Mutex::new(false), watch::Sender::new(None));
        let valve = Valve(Arc::new(Held { inner: inner_too, appends, open, count, reads, panics, dropped }));
        (SlowJournal { inner, valve: valve.clone() }, valve)
    }
}

impl Valve {
    /// Makes the oldest append durable, and acknowledges it. False if there is none.
    pub(crate) fn pass_one(&self) -> bool {
        let append = self.0.appends.lock().pop_front();
        let passed = append.is_some();
        if let Some(append) = append {
            self.0.inner.append(append).expect("memory has room");
            self.0.count.send_modify(|count| *count -= 1);
        }
        passed
    }

    /// From now on everything passes at once.
    pub(crate) fn open(&self) {
        // Locked all along, so that nothing overtakes what is held.
        let mut open = self.0.open.lock();
        *open = true;
        while self.pass_one() {}
    }

    /// How many streams were read at the same time at most.
    pub(crate) fn reads_most(&self) -> usize {
        self.0.reads.lock().1
    }

    /// The next append panics.
    pub(crate) fn panic_at_next(&self) {
        *self.0.panics.lock() = true;
    }

    /// Waits until the journal is dropped; whether that happened within tokio.
    pub(crate) async fn dropped(&self) -> bool {
        let mut dropped = self.0.dropped.subscribe();
        let dropped = dropped.wait_for(Option::is_some).await.expect("held by this valve");
        dropped.expect("some")
    }

    /// How many appends wait.
    pub(crate) fn held(&self) -> usize {
        *self.0.count.borrow()
    }
}

impl Journal for SlowJournal {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (inner, stream, held) = (self.inner.clone(), stream.clone(), self.valve.0.clone());
        Box::pin(async move {
            // Everything older is decided first. It waits for more than it must: for all streams.
            let _ = held.count.subscribe().wait_for(|count| *count == 0).await;
            inner.open(&stream).await
        })
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        assert!(!std::mem::take(&mut *self.valve.0.panics.lock()), "the journal panics, on purpose");
        let open = self.valve.0.open.lock();
        if *open {
            return self.inner.append(append);
        }
        self.valve.0.appends.lock().push_back(append);
        self.valve.0.count.send_modify(|count| *count += 1);
        Ok(())
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        self.inner.capacity()
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let counted = Read::begin(&self.valve.0);
        Box::pin(self.inner.read_stream(stream, after).inspect(move |_| counted.goes_on()))
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        self.inner.read_all(after)
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        self.inner.streams(page)
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        self.inner.pin_claims(names)
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        self.inner.claim(name)
    }

    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        self.inner.claims(page)
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.inner.durable()
    }

    fn health(&self) -> JournalHealth {
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        self.inner.close()
    }
}
