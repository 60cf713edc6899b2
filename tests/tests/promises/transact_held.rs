//! P5, P7: what a transact is told when something happens on its way. Found by the simulation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use onefold::journal::MemoryJournal;
use onefold::{
    Aggregate, Aggregates, Config, Context, Decision, Error, ErrorKind, Event, Handle, NotStoredReason, Runtime,
    TransactError, transact,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::support::{Add, Do, Happened, Seen, SlowJournal, Tally, World, reason, settle, slow};

/// Cannot be weighed with 13 on it.
#[derive(Debug, Default)]
struct Scale {
    grams: u64,
}

#[derive(Debug, Event, Serialize, Deserialize)]
#[event(prefix = "scale")]
enum ScaleEvent {
    Put { grams: u64 },
}

impl Aggregate for Scale {
    const TYPE: &'static str = "scale";
    type Event = ScaleEvent;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, event: &ScaleEvent) {
        let ScaleEvent::Put { grams } = event;
        self.grams += grams;
    }

    fn weight(&self) -> usize {
        assert!(self.grams != 13, "on purpose");
        usize::try_from(self.grams).unwrap_or(usize::MAX)
    }
}

#[derive(Clone, Debug)]
struct Put(u64);

impl Handle<Put> for Scale {
    type Reply = u64;

    async fn handle(&self, Put(grams): Put, _: &Context<Self>) -> Result<Decision<Self, u64>, Infallible> {
        Ok(self.emit(ScaleEvent::Put { grams }).reply(|scale| scale.grams))
    }
}

/// The states were weighed after the commit had been handed over: a panic in `weight` was told as "nothing was stored", and
/// all of it was.
#[tokio::test(start_paused = true)]
async fn panic_in_weight_of_one_leaves_nothing_stored() {
    let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Scale>(()).start().await.unwrap();
    let scales: Aggregates<Scale> = runtime.aggregates().unwrap();
    for culprit in [0, 1] {
        let mut asks = vec![scales.ask("a", Put(1)), scales.ask("c", Put(1))];
        asks.insert(culprit, scales.ask("b", Put(13)));
        let TransactError { index, error } = transact(asks).await.unwrap_err();
        let Error::NotStored(not_stored) = error else { panic!("{error}") };
        let NotStoredReason::Panicked { stage, .. } = not_stored.reason else { panic!("{not_stored:?}") };
        assert_eq!((index, stage), (Some(culprit), "weight"));
        for id in ["a", "b", "c"] {
            assert_eq!(scales.read(id, |scale| scale.grams).await.unwrap(), 0, "{id}");
        }
    }
    assert_eq!(transact([scales.ask("a", Put(1)), scales.ask("b", Put(2))]).await.unwrap(), [1, 2]);
    assert!(runtime.shutdown(Duration::from_secs(10)).await.is_clean());
}

/// Waiting for the others counted as a handler's time: with a `handler_timeout` shorter than their turn took, a participant
/// whose own handler had not even begun was told that it took too long.
#[tokio::test(start_paused = true)]
async fn waiting_for_others_is_no_handlers_time() {
    let config = Config { handler_timeout: Duration::from_millis(50), ..Config::default() };
    let world = World::on(Arc::new(MemoryJournal::new()), config).await;
    // Each is quick enough by itself.
    let busy: Vec<_> = (0..4).map(|_| tokio::spawn(world.tallies.ask("b", slow(Duration::from_millis(40))))).collect();
    settle().await;
    let both = transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(1)))).await;
    assert_eq!(both.map(|(a, _)| a), Ok(Seen::at(1, 1)));
    for busy in busy {
        busy.await.unwrap().unwrap();
    }
    // The caller's deadline is named as what it is.
    let busy: Vec<_> = (0..4).map(|_| tokio::spawn(world.tallies.ask("b", slow(Duration::from_millis(40))))).collect();
    settle().await;
    let late = transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(1))));
    let error = late.deadline(Duration::from_millis(100)).await.unwrap_err().error;
    assert_eq!(reason::<()>(Err(error)), NotStoredReason::DeadlinePassed);
    for busy in busy {
        busy.await.unwrap().unwrap();
    }
    world.end().await;
}

/// A handler that looks at another tally, then adds one.
fn looking_at(id: &'static str) -> Do<Seen> {
    Do::new(move |tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap();
            let _ = others.read(id, |tally| tally.count).await;
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    })
}

/// A handler inside of one transact asks whom another one holds, whose handler asks the first one's: nobody finds that out, as
/// the guide says, and the bounds end it.
#[tokio::test(start_paused = true)]
async fn circle_of_two_transacts_is_ended_by_the_bounds() {
    let (handler_timeout, limit) = (Duration::from_secs(3), Duration::from_secs(2));
    let config = Config { handler_timeout, transact_hold_max: limit, ..Config::default() };
    let world = World::on(Arc::new(MemoryJournal::new()), config).await;
    let ask = |id: &str| world.tallies.ask(id, Add(1));
    let begun = Instant::now();
    let one = transact((world.tallies.ask("a", looking_at("b")), ask("c")));
    let other = transact((world.tallies.ask("b", looking_at("a")), ask("d")));
    let (one, other) = tokio::join!(one, other);
    for answer in [one, other] {
        let TransactError { index, error } = answer.unwrap_err();
        assert_eq!((index, reason::<()>(Err(error))), (Some(1), NotStoredReason::HoldTimedOut { limit }));
    }
    assert!(begun.elapsed() <= handler_timeout, "{:?}", begun.elapsed());
    for id in ["a", "b", "c", "d"] {
        assert_eq!(world.tallies.version(id).await.unwrap().get(), 0, "{id}");
    }
    // All of them work, together as well.
    assert_eq!(transact([ask("a"), ask("b"), ask("c"), ask("d")]).await.unwrap(), [Seen::at(1, 1); 4]);
    world.end().await;
}

/// Where the callers have less time than the hold their deadline ends it.
#[tokio::test(start_paused = true)]
async fn circle_of_two_transacts_is_ended_by_the_deadline() {
    let world = World::start().await;
    let one = transact((world.tallies.ask("a", looking_at("b")), world.tallies.ask("c", Add(1))));
    let other = transact((world.tallies.ask("b", looking_at("a")), world.tallies.ask("d", Add(1))));
    let deadline = Duration::from_secs(1);
    let (one, other) = tokio::join!(one.deadline(deadline), other.deadline(deadline));
    for answer in [one, other] {
        assert_eq!(reason::<()>(Err(answer.unwrap_err().error)), NotStoredReason::DeadlinePassed);
    }
    for id in ["a", "b", "c", "d"] {
        assert_eq!(world.tallies.ask(id, Add(1)).await, Ok(Seen::at(1, 1)), "{id}");
    }
    world.end().await;
}

/// A transact of which nobody stored anything was told "perhaps stored" at its deadline.
#[tokio::test(start_paused = true)]
async fn transact_with_nothing_to_store_is_never_of_unknown_outcome() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    for id in ["a", "b", "c", "d"] {
        world.tallies.version(id).await.unwrap();
    }
    let look = || {
        Do::new(|tally: &Tally, _: &_| {
            let decision = tally.reply(|tally| Seen::at(tally.count, tally.sum));
            async move { Ok(decision) }.boxed()
        })
    };
    let looks = transact([world.tallies.ask("a", look()), world.tallies.ask("b", look())]);
    let error = looks.deadline(Duration::from_secs(1)).await.unwrap_err().error;
    assert_eq!(reason::<()>(Err(error)), NotStoredReason::DeadlinePassed);
    // One that stores something makes it a matter of all.
    let both = transact([world.tallies.ask("c", look()), world.tallies.ask("d", slow(Duration::ZERO))]);
    let error = both.deadline(Duration::from_secs(1)).await.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    valve.open();
    let mut versions = Vec::new();
    for id in ["a", "b", "c", "d"] {
        versions.push(world.tallies.version(id).await.unwrap().get());
    }
    assert_eq!(versions, [0, 0, 0, 1]);
    world.end().await;
}
