//! P16: commands to one aggregate take effect in the order they were admitted, which is at the first poll of `ask`.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use onefold::{Aggregate, Config};
use onefold_testkit::faults::{AppendFault, Gate, OpenFault, When};

use crate::support::{Add, Do, Seen, World, poll_once, settle, stream};

/// The sums after adding 1, 2, 3 … in that order.
fn in_order(count: u64) -> Vec<Seen> {
    (1..=count).map(|version| Seen::at(version, (1..=version).sum())).collect()
}

/// P16: one task sends 1,000 commands at once to a hot aggregate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_commands_take_effect_in_the_order_they_were_sent() {
    let world = World::start().await;
    let answers = join_all((1..=1_000).map(|amount| world.tallies.ask("hot", Add(amount)))).await;
    assert_eq!(answers.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), in_order(1_000));
    world.end().await;
}

/// P16: what counts is the first poll, not the call of `ask`.
#[tokio::test(start_paused = true)]
async fn order_is_that_of_the_first_polls() {
    let world = World::start().await;
    let (mut second, mut first) = (pin!(world.tallies.ask("a", Add(2))), pin!(world.tallies.ask("a", Add(1))));
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(second.await, Ok(Seen::at(2, 3)));
    assert_eq!(first.await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P16, through recovery: what waits for the replay is served in order.
#[tokio::test(start_paused = true)]
async fn order_is_kept_through_recovery() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    let answers = tokio::spawn(join_all((1..=100).map(|amount| world.tallies.ask("a", Add(amount)))));
    settle().await;
    gate.open();
    assert_eq!(answers.await.unwrap().into_iter().collect::<Result<Vec<_>, _>>().unwrap(), in_order(100));
    world.end().await;
}

/// P16, through passivation: an aggregate that is let go again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_through_passivation() {
    let world = World::with(Config { resident_max: 1, ..Config::default() }).await;
    for round in 0..50u64 {
        let (first, last) = (round * 10 + 1, round * 10 + 10);
        let asks = join_all((first..=last).map(|amount| world.tallies.ask("a", Add(amount))));
        let (answers, other) = tokio::join!(asks, world.tallies.ask("other", Add(1)));
        other.unwrap();
        let expected = (first..=last).map(|version| Ok(Seen::at(version, (1..=version).sum())));
        assert!(answers.into_iter().eq(expected), "round {round}");
    }
    assert!(world.runtime.stats().passivations > 50, "{:?}", world.runtime.stats());
    world.end().await;
}

/// P16, through a panic: the queue stays as it is, and goes on behind it.
#[tokio::test(start_paused = true)]
async fn order_is_kept_through_a_panic() {
    let world = World::start().await;
    let panicking = Do::<Seen>::new(|_, _| panic!("on purpose"));
    let before = (1..=20).map(|amount| world.tallies.ask("a", Add(amount)).boxed());
    let after = (21..=40).map(|amount| world.tallies.ask("a", Add(amount)).boxed());
    let all = before.chain([world.tallies.ask("a", panicking).boxed()]).chain(after);
    let mut answers = join_all(all).await;
    assert!(answers.remove(20).is_err());
    assert_eq!(answers.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), in_order(40));
    world.end().await;
}

/// P16, through a failed append: those behind it are refused or take effect in order, never one before an earlier one.
#[tokio::test(start_paused = true)]
async fn order_is_kept_through_a_failed_append() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(3), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(3), AppendFault::FailBeforeWrite);
    let slow = Do::new(|tally, _| {
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(tally
                .emit(crate::support::Happened::Added { amount: 0 })
                .reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    });
    let early = (1..=10).map(|amount| world.tallies.ask("a", Add(amount)).boxed());
    let late = (11..=20).map(|amount| world.tallies.ask("a", Add(amount)).boxed());
    let all = early.chain([world.tallies.ask("a", slow).boxed()]).chain(late);
    let answers = tokio::spawn(join_all(all));
    settle().await;
    gate.open();
    let done: Vec<_> = answers.await.unwrap().into_iter().flatten().collect();
    assert!(done.len() >= 12, "those that had not been decided yet go on: {done:?}");
    assert!(done.is_sorted_by(|a, b| a.version < b.version), "{done:?}");
    let stored = world.tallies.read("a", |tally| tally.count).await.unwrap();
    assert_eq!(stored, done.len() as u64);
    assert_eq!(world.tallies.events(stream("a").aggregate_id(), 0).unwrap().count().await, done.len());
    world.end().await;
}
