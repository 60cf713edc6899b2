//! One pass over everything that happened, from a checkpoint to the durable end: typed, in order, in bounded memory.
//!
//! ```text
//!   checkpoint ─▶ read_all ─▶ commit ─▶ whose type is named? ─▶ decode ─▶ observe(state, id, event)
//!                    │           │        others: passed over, not decoded
//!                    │           └─▶ Removed: told, or the scan ends
//!                    └─▶ damage, an event that does not decode: the scan ends, and says where
//! ```
//!
//! Nothing is passed over silently. The state goes in by value and comes out with the checkpoint that belongs to it, or not at
//! all: a scan that failed, or was dropped, leaves no half of a state behind.
//!
//! `observer` knows the types, `run` is the pass itself, `error` says why one ended early. [`report`](crate::ExceptionReport) is
//! what scans are made for so far; projections are to be.

mod error;
mod observer;
mod run;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use onefold_core::journal::Journal;
use onefold_core::{Aggregate, AggregateId, Checkpoint, GlobalPosition};

pub use error::{ScanError, ScanStop};

use self::observer::{Observe, Typed};
use crate::events::RecordedEvent;
use crate::runtime::Runtime;

/// A pass over the journal, to be told what to look at and then [run](Scan::run). See [`Runtime::scan`].
#[must_use = "a scan reads nothing before .run() or .report(…)"]
pub struct Scan<S> {
    journal: Arc<dyn Journal>,
    after: Checkpoint,
    state: S,
    observers: Vec<Box<dyn Observe<S>>>,
    removed: Option<OnRemoved<S>>,
    until: Option<Checkpoint>,
    time_limit: Option<Duration>,
}

type OnRemoved<S> = Box<dyn FnMut(&mut S, GlobalPosition, GlobalPosition) + Send>;

/// What a scan came to. Store `state` and `checkpoint` together, in one write: apart they are worth nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scanned<S> {
    /// The state, with everything in it up to the checkpoint and nothing beyond.
    pub state: S,
    /// Where the next scan begins.
    pub checkpoint: Checkpoint,
    /// Whether the scan reached what was durable when it began, or what [`Scan::until`] named; otherwise its
    /// [time](Scan::time_limit) was up.
    pub is_complete: bool,
    /// How many events were observed.
    pub observed: u64,
}

impl Runtime {
    /// Begins a pass over the journal's events after `after`, up to what is durable when it runs. They are folded into `state`:
    /// what the last scan came to, or an empty one together with [`Checkpoint::START`].
    ///
    /// ```
    /// # use onefold::{Aggregate, Checkpoint, Context, Decision, Event, Handle, MemoryJournal, Runtime};
    /// # #[derive(Default)] struct Counter;
    /// # #[derive(Event)] #[event(prefix = "counter")] enum CounterEvent { Counted }
    /// # impl Aggregate for Counter {
    /// #     const TYPE: &'static str = "counter";
    /// #     type Event = CounterEvent; type Rejection = std::convert::Infallible; type Services = ();
    /// #     fn apply(&mut self, _: &CounterEvent) {}
    /// # }
    /// # struct Count;
    /// # impl Handle<Count> for Counter {
    /// #     type Reply = ();
    /// #     async fn handle(&self, _: Count, _: &Context<Self>) -> Result<Decision<Self, ()>, Self::Rejection> {
    /// #         Ok(self.emit(CounterEvent::Counted))
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Counter>(()).start().await?;
    /// let counters = runtime.aggregates::<Counter>()?;
    /// counters.ask("visits", Count).await?;
    ///
    /// let observe = |total: &mut u64, _: &_, _: &_| *total += 1;
    /// let first = runtime.scan(&Checkpoint::START, 0).on::<Counter>(observe).run().await?;
    /// assert_eq!(first.state, 1);
    ///
    /// counters.ask("clicks", Count).await?;
    /// let second = runtime.scan(&first.checkpoint, first.state).on::<Counter>(observe).run().await?;
    /// assert_eq!((second.state, second.observed), (2, 1));
    /// # runtime.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan<S: Send>(&self, after: &Checkpoint, state: S) -> Scan<S> {
        Scan {
            journal: self.journal().clone(),
            after: after.clone(),
            state,
            observers: Vec::new(),
            removed: None,
            until: None,
            time_limit: None,
        }
    }
}

impl<S: Send> Scan<S> {
    /// Looks at the events of one aggregate type, in the order in which they happened in the whole journal. All of that type's
    /// events have to decode: one that does not ends the scan.
    ///
    /// A type may be named twice; then both look, in the order in which they were named.
    pub fn on<A: Aggregate>(
        mut self,
        observe: impl FnMut(&mut S, &AggregateId, &RecordedEvent<A::Event>) + Send + 'static,
    ) -> Self {
        self.observers.push(Box::new(Typed::<A, _>::new(observe)));
        self
    }

    /// Goes on behind events that were removed on purpose, after `observe` was told the first and the last position that are
    /// gone. Without it they end the scan: what is left of the state may then be wrong, and only its owner can tell.
    pub fn on_removed(mut self, observe: impl FnMut(&mut S, GlobalPosition, GlobalPosition) + Send + 'static) -> Self {
        self.removed = Some(Box::new(observe));
        self
    }

    /// Goes no further than this, though more may be durable.
    pub fn until(mut self, checkpoint: &Checkpoint) -> Self {
        self.until = Some(checkpoint.clone());
        self
    }

    /// Ends when so much time has passed, behind a whole commit, with [`is_complete`](Scanned::is_complete) false. The next
    /// scan goes on from there.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }
}

impl<S> fmt::Debug for Scan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<_> = self.observers.iter().map(|observer| observer.aggregate_type()).collect();
        f.debug_struct("Scan").field("after", &self.after).field("on", &types).finish_non_exhaustive()
    }
}
