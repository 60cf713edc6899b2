//! P2: nothing shows an event that is not durable yet.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use onefold::{Aggregates, Config, Error};

use crate::support::{Add, Do, Seen, SlowJournal, Spend, Tally, Valve, World, settle};

async fn slow_world() -> (World, Valve) {
    let (journal, valve) = SlowJournal::new();
    (World::on(Arc::new(journal), Config::default()).await, valve)
}

/// The amounts in the events of `id` that can be seen.
async fn visible(tallies: &Aggregates<Tally>, id: &str) -> usize {
    tallies.events(id, 0).unwrap().try_collect::<Vec<_>>().await.unwrap().len()
}

/// P2, replies: held until the events behind them are durable, and released one by one, in order.
#[tokio::test(start_paused = true)]
async fn replies_leave_one_by_one_as_their_events_become_durable() {
    let (world, valve) = slow_world().await;
    let asks: Vec<_> = (1..=5).map(|amount| tokio::spawn(world.tallies.ask("a", Add(amount)))).collect();
    settle().await;
    assert_eq!(valve.held(), 5, "the aggregate does not wait for the journal");
    for done in 0..=5 {
        let answered = asks.iter().map(tokio::task::JoinHandle::is_finished).collect::<Vec<_>>();
        assert_eq!(answered, (0..5).map(|index| index < done).collect::<Vec<_>>());
        assert_eq!(visible(&world.tallies, "a").await, done);
        valve.pass_one();
        settle().await;
    }
    for (index, ask) in (1..).zip(asks) {
        assert_eq!(ask.await.unwrap(), Ok(Seen::at(index, (1..=index).sum())));
    }
    valve.open();
    world.end().await;
}

/// P2, everything else that depends on the state: a rejection, a read, a version, a conflict, an answer without events.
#[tokio::test(start_paused = true)]
async fn what_depends_on_an_event_waits_until_it_is_durable() {
    let (world, valve) = slow_world().await;
    let tallies = &world.tallies;
    let mut added = tokio::spawn(tallies.ask("a", Add(1)));
    settle().await;
    let mut rejected = tokio::spawn(tallies.ask("a", Spend(5)));
    let mut conflict = tokio::spawn(tallies.ask("a", Add(1)).expect_version(0u64));
    let mut answered = tokio::spawn(tallies.ask("a", looking()));
    let mut read = tokio::spawn(tallies.read("a", |tally| tally.sum));
    let mut version = tokio::spawn(tallies.version("a"));
    settle().await;
    assert!((&mut added).now_or_never().is_none());
    assert!((&mut rejected).now_or_never().is_none());
    assert!((&mut conflict).now_or_never().is_none());
    assert!((&mut answered).now_or_never().is_none());
    assert!((&mut read).now_or_never().is_none());
    assert!((&mut version).now_or_never().is_none());
    assert_eq!(visible(tallies, "a").await, 0);
    assert!(tallies.ids().next().await.is_none(), "an id whose first event is not durable");
    valve.open();
    assert_eq!(added.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(rejected.await.unwrap().unwrap_err().rejection().unwrap().sum, 1);
    assert!(matches!(conflict.await.unwrap(), Err(Error::Conflict { actual, .. }) if actual.get() == 1));
    assert_eq!(answered.await.unwrap(), Ok(1));
    assert_eq!(read.await.unwrap(), Ok(1));
    assert_eq!(version.await.unwrap().unwrap().get(), 1);
    world.end().await;
}

/// P2, the other side: with nothing in flight a rejection and a read leave at once; the journal hears nothing of them.
#[tokio::test(start_paused = true)]
async fn with_nothing_in_flight_a_rejection_and_a_read_leave_at_once() {
    let (world, valve) = slow_world().await;
    assert!(matches!(world.tallies.ask("a", Spend(5)).await, Err(Error::Rejected(_))));
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(0));
    assert!(matches!(world.tallies.ask("a", Add(1)).expect_version(3u64).await, Err(Error::Conflict { .. })));
    assert_eq!(world.tallies.ask("a", looking()).await, Ok(0));
    assert_eq!(valve.held(), 0);
    world.end().await;
}

/// P2: an aggregate with events in flight does not hold back the reads of another.
#[tokio::test(start_paused = true)]
async fn events_in_flight_hold_back_their_own_aggregate_only() {
    let (world, valve) = slow_world().await;
    assert_eq!(world.tallies.version("b").await.unwrap().get(), 0);
    let added = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    assert_eq!(world.tallies.read("b", |tally| tally.sum).await, Ok(0));
    assert!(!added.is_finished());
    valve.open();
    added.await.unwrap().unwrap();
    world.end().await;
}

/// P2, errors: one that leaves at once names no version that is not durable.
#[tokio::test(start_paused = true)]
async fn errors_that_leave_at_once_name_no_version_in_flight() {
    let (world, valve) = slow_world().await;
    let tallies = &world.tallies;
    let added = tokio::spawn(tallies.ask("a", Add(1)));
    settle().await;
    let too_large = tokio::spawn(tallies.ask("a", Add(1)).metadata("note", "x".repeat(20_000)));
    let panicked = tokio::spawn(tallies.ask("a", Do::<Seen>::new(|_, _| panic!("on purpose"))));
    settle().await;
    for early in [too_large, panicked] {
        if let Some(answer) = early.now_or_never() {
            let message = answer.unwrap().unwrap_err().to_string();
            assert!(!message.contains("version 1"), "shown before it is durable: {message}");
        }
    }
    valve.open();
    assert_eq!(added.await.unwrap(), Ok(Seen::at(1, 1)));
}

/// P2, after a restart: what is shown is what the journal has, not what the last instance had in mind.
#[tokio::test(start_paused = true)]
async fn an_instance_that_is_brought_back_shows_the_journal_only() {
    let (world, valve) = slow_world().await;
    let lost = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    assert_eq!(valve.held(), 1);
    let journal = world.journal.clone();
    drop(world.runtime);
    let next = World::on(journal, Config::default()).await;
    let read = tokio::spawn(next.tallies.read("a", |tally| tally.sum));
    settle().await;
    assert!(!read.is_finished(), "read before the older append was decided");
    valve.open();
    assert_eq!(read.await.unwrap(), Ok(1));
    assert_eq!(lost.await.unwrap(), Ok(Seen::at(1, 1)));
    next.end().await;
}

/// Answers from the state, without an event.
fn looking() -> Do<u64> {
    Do::new(|tally, _| async move { Ok(onefold::Aggregate::reply(tally, |tally: &Tally| tally.sum)) }.boxed())
}
