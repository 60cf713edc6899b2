//! A journal in memory that decides later, in a task of its own, one append after the other; and fails on cue.
//!
//! Its lock is none of shuttle's: it is not what is explored, and nobody changes to another thread while it is held.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use onefold_core::journal::{
    Acknowledgement, Append, AppendError, AppendOutcome, CloseError, DurablePosition, FeedItem, Journal, JournalHealth,
    MemoryJournal, OpenError, OpenedSession, PinnedClaim, ReadError, StreamChunk, StreamPage,
};
use onefold_core::{Aggregate, Checkpoint, ClaimName, StreamId, StreamVersion};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::count::{Count, pause};

/// How an append goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    NotStored,
    /// Nobody can tell, and it is not stored.
    UnknownAndLost,
    /// Nobody can tell, and it is stored.
    UnknownAndStored,
}

/// See the module. Clones share the data.
#[derive(Clone)]
pub(super) struct LateJournal(Arc<Inner>);

struct Inner {
    memory: MemoryJournal,
    line: Mutex<Line>,
    /// How many appends wait at most; further ones are handed back.
    line_max: usize,
    /// The append that goes wrong, counted from 1, barriers included.
    fault: Option<(usize, Fault)>,
    /// Tells that there is room in the line, and that an append was decided.
    progress: Notify,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Append>,
    decided: usize,
    undecided: BTreeMap<StreamId, usize>,
    durable_events: BTreeMap<StreamId, u64>,
    writer: Option<Waker>,
    ending: bool,
    opened_early: bool,
}

impl LateJournal {
    pub(super) fn new(line_max: usize, fault: Option<(usize, Fault)>) -> Self {
        let (memory, line, progress) = (MemoryJournal::new(), Mutex::default(), Notify::new());
        LateJournal(Arc::new(Inner { memory, line, line_max, fault, progress }))
    }

    /// Decides what is appended, until the journal ends.
    pub(super) async fn write(self) {
        while let Some(append) = poll_fn(|cx| self.poll_append(cx)).await {
            self.decide(append);
        }
    }

    /// Ends the writer when nothing waits any more.
    pub(super) fn end(&self) {
        let mut line = self.0.line.lock();
        line.ending = true;
        let writer = line.writer.take();
        drop(line);
        writer.into_iter().for_each(Waker::wake);
    }

    /// How many events of the aggregate are durable.
    pub(super) fn durable_events(&self, id: &str) -> u64 {
        let stream = StreamId::new(Count::TYPE, id).expect("a valid id");
        self.0.line.lock().durable_events.get(&stream).copied().unwrap_or_default()
    }

    /// Whether a stream was opened while an append to it was undecided. The journal waits then, as it must; but a slot
    /// that closed or recovered when it should is never that early.
    pub(super) fn was_opened_early(&self) -> bool {
        self.0.line.lock().opened_early
    }

    fn poll_append(&self, cx: &Context<'_>) -> Poll<Option<Append>> {
        let mut line = self.0.line.lock();
        match line.waiting.pop_front() {
            Some(append) => Poll::Ready(Some(append)),
            None if line.ending => Poll::Ready(None),
            None => {
                line.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn decide(&self, append: Append) {
        let Append { parts, metadata, acknowledgement } = append;
        let sessions: Vec<_> = parts.iter().map(|part| (part.session.clone(), part.events.count())).collect();
        let nth = self.0.line.lock().decided + 1;
        let fault = self.0.fault.filter(|(at, _)| *at == nth).map(|(_, fault)| fault);
        let stored = match fault {
            Some(Fault::NotStored | Fault::UnknownAndLost) => None,
            Some(Fault::UnknownAndStored) | None => {
                let told = Arc::new(Mutex::new(None));
                let tell = told.clone();
                let note = Acknowledgement::from_fn(move |outcome| *tell.lock() = Some(outcome));
                self.0.memory.append(Append { parts, metadata, acknowledgement: note }).expect("memory takes all");
                told.lock().take()
            }
        };
        let reason = "on cue".into();
        let outcome: AppendOutcome = match (fault, stored.clone()) {
            (None, Some(outcome)) => outcome,
            (Some(Fault::NotStored), _) | (None, None) => Err(AppendError::Unavailable { reason }),
            (Some(Fault::UnknownAndLost | Fault::UnknownAndStored), _) => Err(AppendError::Unknown { reason }),
        };
        if outcome.is_err() {
            sessions.iter().for_each(|(session, _)| session.end());
        }
        let mut line = self.0.line.lock();
        line.decided = nth;
        for (session, events) in &sessions {
            *line.undecided.get_mut(session.stream()).expect("counted") -= 1;
            if matches!(stored, Some(Ok(_))) {
                *line.durable_events.entry(session.stream().clone()).or_default() += u64::from(*events);
            }
        }
        drop(line);
        self.0.progress.notify_waiters();
        acknowledgement.complete(outcome);
    }

    fn is_undecided(&self, stream: &StreamId) -> bool {
        self.0.line.lock().undecided.get(stream).is_some_and(|count| *count > 0)
    }
}

impl Journal for LateJournal {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (this, stream) = (self.clone(), stream.clone());
        Box::pin(async move {
            if this.is_undecided(&stream) {
                this.0.line.lock().opened_early = true;
            }
            pause(1).await;
            loop {
                let progress = this.0.progress.notified();
                if !this.is_undecided(&stream) {
                    break;
                }
                progress.await;
            }
            this.0.memory.open(&stream).await
        })
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        let mut line = self.0.line.lock();
        if line.waiting.len() >= self.0.line_max {
            return Err(append);
        }
        for part in &append.parts {
            *line.undecided.entry(part.stream().clone()).or_default() += 1;
        }
        line.waiting.push_back(append);
        let writer = line.writer.take();
        drop(line);
        writer.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        let this = self.clone();
        Box::pin(async move {
            loop {
                let progress = this.0.progress.notified();
                if this.0.line.lock().waiting.len() < this.0.line_max {
                    return;
                }
                progress.await;
            }
        })
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        self.0.memory.read_stream(stream, after)
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        self.0.memory.read_all(after)
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        self.0.memory.streams(page)
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        self.0.memory.pin_claims(names)
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.0.memory.durable()
    }

    fn health(&self) -> JournalHealth {
        self.0.memory.health()
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        self.0.memory.close()
    }
}
