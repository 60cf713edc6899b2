//! A journal that fails on cue: any [`Journal`] behind a script of faults.
//!
//! ```text
//!   append ─▶ script ──▶ not written ───────────────┐
//!                │                                  ▼
//!                └─────▶ the journal ─▶ answer ─▶ [ line ] ─▶ acknowledgement
//!                                        held, delayed, falsified; per stream in order of submission
//! ```
//!
//! The wrapper keeps the contract, so that a test sees what a failing store may do and nothing else: a failed append ends
//! its session, everything later in that session is superseded and surely not stored, acknowledgements of a stream come
//! in order of submission, and `open` waits for those that are held back. Without faults it passes the conformance suite.
//!
//! Everything is decided by counting, never by chance or by the clock; delays are [`tokio::time`]'s, so they work under
//! paused time.
//!
//! ```
//! # use std::sync::Arc;
//! # use onefold_core::{ExpectedVersion, StreamId, journal::{AppendError, Journal, MemoryJournal}};
//! use onefold_testkit::append_one;
//! use onefold_testkit::faults::{AppendFault, FaultyJournal, When};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let faulty = FaultyJournal::new(Arc::new(MemoryJournal::new()));
//! let faults = faulty.faults();
//! let journal: Arc<dyn Journal> = Arc::new(faulty);
//! faults.append(When::nth(2), AppendFault::FailAfterWrite);
//!
//! let session = journal.open(&StreamId::new("account", "a").unwrap()).await.unwrap().session;
//! assert!(append_one(&journal, &session, 0, 1).await.is_ok());
//! assert!(matches!(append_one(&journal, &session, 1, 1).await, Err(AppendError::Unknown { .. })));
//! assert!(matches!(append_one(&journal, &session, 2, 1).await, Err(AppendError::Superseded { .. })));
//! # }
//! ```

mod gate;
mod line;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, future, stream};
use onefold_core::journal::{
    Acknowledgement, Append, AppendError, ClaimPage, CloseError, DurablePosition, FeedItem, Journal, JournalHealth,
    OpenError, OpenedSession, PinnedClaim, ReadError, StreamChunk, StreamPage,
};
use onefold_core::{Checkpoint, ClaimName, Holder, StreamId, StreamVersion};
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::gate::Gate;
use self::line::{Entry, Line};
use self::script::Script;
pub use self::script::{AppendFault, Faults, Feed, OpenFault, ReadFault, When};

/// A [`Journal`] in front of another, with [`Faults`]. Dropped, it answers what it holds back with
/// [`AppendError::Unknown`].
pub struct FaultyJournal {
    inner: Arc<dyn Journal>,
    line: Arc<Line>,
    /// Locked while an append is submitted, so that line and journal agree on the order.
    script: Arc<Mutex<Script>>,
    submitted: Arc<AtomicU64>,
}

impl FaultyJournal {
    /// Without faults at first.
    pub fn new(inner: Arc<dyn Journal>) -> Self {
        let (line, script, submitted) = <(Arc<Line>, Arc<Mutex<Script>>, Arc<AtomicU64>)>::default();
        FaultyJournal { inner, line, script, submitted }
    }

    /// The script's handle.
    pub fn faults(&self) -> Faults {
        Faults { script: self.script.clone(), line: self.line.clone(), submitted: self.submitted.clone() }
    }

    /// Admits an append to the line, and passes it on to the journal.
    fn submit(&self, mut entry: Entry, append: Append) -> Result<(), Append> {
        entry.acknowledgement = Some(append.acknowledgement);
        if entry.unwritten.is_some() {
            self.line.admit(entry);
            return Ok(());
        }
        let id = self.line.admit(entry);
        let line = self.line.clone();
        let acknowledgement = Acknowledgement::from_fn(move |outcome| line.answer(id, outcome));
        let handed_back = self.inner.append(Append { acknowledgement, ..append });
        handed_back.map_err(|append| match self.line.withdraw(id) {
            Some(acknowledgement) => Append { acknowledgement, ..append },
            None => append,
        })
    }
}

impl Drop for FaultyJournal {
    fn drop(&mut self) {
        self.line.abandon();
    }
}

impl Journal for FaultyJournal {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (inner, line, script, stream) =
            (self.inner.clone(), self.line.clone(), self.script.clone(), stream.clone());
        Box::pin(async move {
            if let Some(reason) = script.lock().poison() {
                return Err(OpenError::Poisoned { reason });
            }
            let fault = script.lock().on_open(&stream);
            match fault {
                Some(OpenFault::Delay(delay)) => tokio::time::sleep(delay).await,
                Some(OpenFault::Hold(gate)) => gate.wait().await,
                Some(OpenFault::Fail(error)) => return Err(error),
                None => {}
            }
            let opened = inner.open(&stream).await?;
            // IMPORTANT: after the journal's own opening, which ends the older sessions: only then no append can come
            // that is older than this opening and stored.
            line.settled(&stream).await;
            Ok(opened)
        })
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        let mut script = self.script.lock();
        if self.line.len() >= script.queue_max() {
            return Err(append);
        }
        let before = script.clone();
        let superseded = self.line.doomed(&append);
        let fault = if superseded.is_none() { script.on_append(&append) } else { None };
        let poisoned = script.poison().map(|reason| AppendError::Poisoned { reason });
        let superseded = superseded.map(|stream| AppendError::Superseded { stream });
        let unwritten = poisoned.or(superseded).or_else(|| fault.as_ref()?.unwritten());
        let entry = Entry {
            sessions: append.parts.iter().map(|part| part.session.clone()).collect(),
            doomed: unwritten.is_some() || matches!(fault, Some(AppendFault::FailAfterWrite)),
            unwritten,
            held: fault.as_ref().and_then(AppendFault::held),
            ..Entry::default()
        };
        self.line.pause();
        let submitted = self.submit(entry, append);
        match &submitted {
            Ok(()) => {
                self.submitted.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => *script = before,
        }
        // IMPORTANT: unlock first. The acknowledgements that are due may call back.
        drop(script);
        self.line.resume();
        submitted
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        let (queue_max, delay) = {
            let script = self.script.lock();
            (script.queue_max(), script.capacity_delay())
        };
        let (inner, line) = (self.inner.capacity(), self.line.clone());
        Box::pin(async move {
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            line.shorter_than(queue_max).await;
            inner.await;
        })
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let fault = self.script.lock().on_read(Some(stream));
        faulty_read(fault, self.inner.read_stream(stream, after))
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        let (fault, bend) = {
            let mut script = self.script.lock();
            (script.on_read(None), script.bend_feed())
        };
        let items = faulty_read(fault, self.inner.read_all(after));
        match bend {
            Some(bend) => bend(items),
            None => items,
        }
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        self.inner.streams(page)
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        let fault = self.script.lock().on_claims();
        faulty_answer(fault, self.inner.pin_claims(names))
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        let fault = self.script.lock().on_claims();
        faulty_answer(fault, self.inner.claim(name))
    }

    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        let fault = self.script.lock().on_claims();
        faulty_answer(fault, self.inner.claims(page))
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.inner.durable()
    }

    fn health(&self) -> JournalHealth {
        match self.script.lock().poison() {
            Some(reason) => JournalHealth::Poisoned { reason },
            None => self.inner.health(),
        }
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        let (inner, line) = (self.inner.clone(), self.line.clone());
        Box::pin(async move {
            let closed = inner.close().await;
            line.all_settled().await;
            closed
        })
    }
}

fn faulty_answer<T: Send + 'static>(
    fault: Option<ReadFault>,
    answer: BoxFuture<'static, Result<T, ReadError>>,
) -> BoxFuture<'static, Result<T, ReadError>> {
    let mut answers = faulty_read(fault, answer.into_stream().boxed());
    Box::pin(async move { answers.next().await.unwrap_or(Err(ReadError::Closed)) })
}

fn faulty_read<T: Send + 'static>(
    fault: Option<ReadFault>,
    items: BoxStream<'static, Result<T, ReadError>>,
) -> BoxStream<'static, Result<T, ReadError>> {
    let later = |wait: BoxFuture<'static, ()>, items| {
        wait.into_stream().filter_map(|()| future::ready(None)).chain(items).boxed()
    };
    match fault {
        None => items,
        Some(ReadFault::Delay(delay)) => later(async move { tokio::time::sleep(delay).await }.boxed(), items),
        Some(ReadFault::Hold(gate)) => later(async move { gate.wait().await }.boxed(), items),
        Some(ReadFault::Fail(error)) => stream::once(future::ready(Err(error))).boxed(),
        Some(ReadFault::FailAfter { items: good, error }) => {
            items.take(good).chain(stream::once(future::ready(Err(error)))).boxed()
        }
    }
}
