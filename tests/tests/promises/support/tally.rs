//! The aggregate of the promise tests: a sum, a count, and a digest that depends on the order of events. Its command
//! [`Do`] runs whatever handler the test writes.

use std::sync::OnceLock;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::pending;
use onefold::{Aggregate, Aggregates, Context, Decision, Event, Handle, Merge, StreamVersion};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// The state: what it shows tells every lost, doubled or misplaced event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sum: u64,
    pub(crate) count: u64,
    /// Depends on every amount and on their order.
    pub(crate) digest: u64,
    /// What the state claims to weigh.
    pub(crate) weight: usize,
}

/// What can happen to a tally.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[event(prefix = "tally")]
pub(crate) enum Happened {
    /// An amount was added.
    Added { amount: u64 },
    /// An amount was spent.
    Spent { amount: u64 },
    /// `apply` panics on it.
    Cursed,
    /// The state claims to weigh so much from now on.
    Weighed { bytes: u64 },
    /// An event of any size.
    Filled { filler: String },
    /// `weight` panics from then on.
    Unweighable,
}

/// The domain says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the tally holds {sum} only")]
pub(crate) struct No {
    pub(crate) sum: u64,
}

/// What handlers may use.
#[derive(Default)]
pub(crate) struct Tools {
    /// All tallies, for handlers that ask others. Set once the runtime runs.
    pub(crate) tallies: OnceLock<Aggregates<Tally>>,
}

impl Aggregate for Tally {
    const TYPE: &'static str = "tally";
    type Event = Happened;
    type Rejection = No;
    type Services = std::sync::Arc<Tools>;

    fn apply(&mut self, event: &Happened) {
        self.count += 1;
        let amount = match event {
            Happened::Added { amount } => {
                self.sum = self.sum.wrapping_add(*amount);
                *amount
            }
            Happened::Spent { amount } => {
                self.sum -= amount;
                !amount
            }
            Happened::Cursed => panic!("this event is cursed"),
            Happened::Weighed { bytes } => {
                self.weight = usize::try_from(*bytes).expect("a weight");
                *bytes
            }
            Happened::Filled { filler } => filler.len() as u64,
            Happened::Unweighable => {
                self.weight = usize::MAX;
                0
            }
        };
        self.digest = self.digest.wrapping_mul(0x0100_0000_01B3).wrapping_add(amount + 1);
    }

    fn weight(&self) -> usize {
        assert!(self.weight < usize::MAX, "on purpose");
        self.weight
    }
}

/// A version, and the sum at that version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) version: StreamVersion,
    pub(crate) sum: u64,
}

impl Seen {
    pub(crate) fn at(version: u64, sum: u64) -> Self {
        Seen { version: version.into(), sum }
    }
}

/// Adds an amount.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Add(pub(crate) u64);

impl Handle<Add> for Tally {
    type Reply = Seen;

    async fn handle(&self, Add(amount): Add, cx: &Context<Self>) -> Result<Decision<Self, Seen>, No> {
        let version = cx.version().next();
        Ok(self.emit(Happened::Added { amount }).reply(move |tally| Seen { version, sum: tally.sum }))
    }
}

/// Spends an amount, if it is there.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spend(pub(crate) u64);

impl Handle<Spend> for Tally {
    type Reply = Seen;

    async fn handle(&self, Spend(amount): Spend, cx: &Context<Self>) -> Result<Decision<Self, Seen>, No> {
        if self.sum < amount {
            return Err(No { sum: self.sum });
        }
        let version = cx.version().next();
        Ok(self.emit(Happened::Spent { amount }).reply(move |tally| Seen { version, sum: tally.sum }))
    }
}

type Handling<'a, R> = BoxFuture<'a, Result<Decision<Tally, R>, No>>;
type Handler<R> = Box<dyn for<'a> FnOnce(&'a Tally, &'a Context<Tally>) -> Handling<'a, R> + Send>;

/// Runs a handler of the test's own.
pub(crate) struct Do<R>(Handler<R>);

impl<R> Do<R> {
    pub(crate) fn new<F>(handler: F) -> Self
    where
        F: for<'a> FnOnce(&'a Tally, &'a Context<Tally>) -> Handling<'a, R> + Send + 'static,
    {
        Do(Box::new(handler))
    }
}

impl<R: Send + 'static> Handle<Do<R>> for Tally {
    type Reply = R;

    async fn handle(&self, Do(handler): Do<R>, cx: &Context<Self>) -> Result<Decision<Self, R>, No> {
        handler(self, cx).await
    }
}

/// Does something, and says for itself whether what it missed speaks against it.
pub(crate) struct Mindful {
    handler: Do<Seen>,
    merges: Judgement,
}

type Judgement = Box<dyn Fn(&[Happened]) -> bool + Send + Sync>;

impl Mindful {
    pub(crate) fn new(add: Add, merges: impl Fn(&[Happened]) -> bool + Send + Sync + 'static) -> Self {
        Self::handled_by(Do::new(move |tally, cx| tally.handle(add, cx).boxed()), merges)
    }

    pub(crate) fn handled_by(handler: Do<Seen>, merges: impl Fn(&[Happened]) -> bool + Send + Sync + 'static) -> Self {
        Mindful { handler, merges: Box::new(merges) }
    }
}

impl Handle<Mindful> for Tally {
    type Reply = Seen;

    async fn handle(&self, mindful: Mindful, cx: &Context<Self>) -> Result<Decision<Self, Seen>, No> {
        self.handle(mindful.handler, cx).await
    }
}

impl Merge<Mindful> for Tally {
    fn merges(mindful: &Mindful, missed: &[Happened]) -> bool {
        (mindful.merges)(missed)
    }
}

/// A handler that is never ready.
pub(crate) fn endless() -> Do<Seen> {
    Do::new(|tally, _| pending::<()>().map(move |()| Ok(tally.reply(|_| Seen::at(0, 0)))).boxed())
}

/// A handler that takes its time, then adds one.
pub(crate) fn slow(time: Duration) -> Do<Seen> {
    Do::new(move |tally, _| {
        async move {
            sleep(time).await;
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    })
}

/// A forger who writes what a [`Tally`] cannot read, into the same streams.
#[derive(Default)]
pub(crate) struct Forger;

/// What the forger writes.
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
#[event(prefix = "tally")]
pub(crate) enum Forged {
    /// A good one.
    Added { amount: u64 },
    /// Panics when it is applied.
    Cursed,
    /// Of another shape.
    Spent { amount: u64, note: String },
    /// Of another revision.
    #[event(revision = 9)]
    Weighed { bytes: u64 },
    /// Nobody knows it.
    Unheard,
}

impl Aggregate for Forger {
    const TYPE: &'static str = Tally::TYPE;
    type Event = Forged;
    type Rejection = No;
    type Services = ();

    fn apply(&mut self, _: &Forged) {}
}

/// Writes what it is told.
pub(crate) struct Forge(pub(crate) Forged);

impl Handle<Forge> for Forger {
    type Reply = ();

    async fn handle(&self, Forge(event): Forge, _: &Context<Self>) -> Result<Decision<Self, ()>, No> {
        Ok(self.emit(event))
    }
}
