//! A runtime with one registered aggregate on a journal of any kind, and small helpers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use onefold::journal::Journal;
use onefold::{Aggregates, Config, Error, MemoryJournal, NotStoredReason, Runtime, StreamId};
use onefold_testkit::faults::{Faults, FaultyJournal};

use super::{Forge, Forged, Forger, No, Tally, Tools};

/// A running runtime, the handle to its tallies, and the journal underneath.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) tallies: Aggregates<Tally>,
    pub(crate) journal: Arc<dyn Journal>,
}

impl World {
    /// On a new in-memory journal, with all defaults.
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// On a new in-memory journal.
    pub(crate) async fn with(config: Config) -> Self {
        Self::on(Arc::new(MemoryJournal::new()), config).await
    }

    /// On a new in-memory journal that fails on cue.
    pub(crate) async fn faulty(config: Config) -> (Self, Faults) {
        let faulty = FaultyJournal::new(Arc::new(MemoryJournal::new()));
        let faults = faulty.faults();
        (Self::on(Arc::new(faulty), config).await, faults)
    }

    /// On any journal.
    pub(crate) async fn on(journal: Arc<dyn Journal>, config: Config) -> Self {
        let tools = Arc::new(Tools::default());
        let builder = Runtime::builder(journal.clone()).config(config).seed(1);
        let runtime = builder.aggregate::<Tally>(tools.clone()).start().await.expect("a runtime that starts");
        let tallies = runtime.aggregates::<Tally>().expect("a registered type");
        tools.tallies.set(tallies.clone()).expect("set once");
        World { runtime, tallies, journal }
    }

    /// Writes forged events to a stream, through a runtime of their own.
    pub(crate) async fn forge(journal: &Arc<dyn Journal>, id: &str, events: impl IntoIterator<Item = Forged>) {
        let runtime = Runtime::builder(journal.clone()).aggregate::<Forger>(()).start().await.expect("it starts");
        let forgers = runtime.aggregates::<Forger>().expect("registered");
        for event in events {
            forgers.ask(id, Forge(event)).await.expect("forged");
        }
        drop(runtime);
        settle().await;
    }

    /// Ends it, and expects that nothing is left over: nothing unanswered, nothing admitted.
    pub(crate) async fn end(self) {
        assert_eq!(self.runtime.stats().admitted, 0, "everything is answered, yet something is admitted");
        let report = self.runtime.shutdown(Duration::from_secs(10)).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

/// The stream of a tally.
pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new("tally", id).expect("a valid id")
}

/// Lets everything else run as far as it can. Under paused time this does not move the clock.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Polls once, without a waker.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls to the end on this thread, without tokio.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// Why nothing was stored; panics when something else happened.
#[track_caller]
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Error<No>>) -> NotStoredReason {
    match answer {
        Err(Error::NotStored(not_stored)) => not_stored.reason,
        other => panic!("expected NotStored, got {other:?}"),
    }
}
