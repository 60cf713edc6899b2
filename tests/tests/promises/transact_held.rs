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

use crate::support::{Add, Do, Seen, SlowJournal, Tally, World, reason, settle, slow};

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
