//! P6, P7: a passed deadline is an answer. A handler has a timeout of its own.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use onefold::{Aggregate, Config, Error, NotStoredReason};
use onefold_testkit::faults::{AppendFault, Gate, When};
use tokio::time::Instant;

use crate::support::{Add, Do, Seen, Spend, World, endless, reason, settle, slow};

/// P6: nobody waits for ever: there is a default deadline.
#[tokio::test(start_paused = true)]
async fn default_deadline_holds_when_none_is_given() {
    let config = Config { deadline: Duration::from_secs(3), ..Config::default() };
    let world = World::with(config).await;
    let started = Instant::now();
    assert_eq!(reason(world.tallies.ask("a", endless()).await), NotStoredReason::DeadlinePassed);
    assert_eq!(started.elapsed().as_secs(), 3);
    settle().await;
    world.end().await;
}

/// P6: the deadline of one command cuts its handler off; the next one goes on from a clean state.
#[tokio::test(start_paused = true)]
async fn deadline_in_the_handler_stores_nothing() {
    let world = World::start().await;
    let late = world.tallies.ask("a", slow(Duration::from_secs(5))).deadline(Duration::from_secs(1)).await;
    assert_eq!(reason(late), NotStoredReason::DeadlinePassed);
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(1, 10)));
    assert_eq!(world.runtime.stats().activations, 1, "a deadline is no reason to rebuild");
    world.end().await;
}

/// P6: a deadline longer than the default counts as well.
#[tokio::test(start_paused = true)]
async fn longer_deadline_than_the_default_is_honoured() {
    let config = Config { deadline: Duration::from_secs(1), ..Config::default() };
    let world = World::with(config).await;
    let done = world.tallies.ask("a", slow(Duration::from_secs(5))).deadline(Duration::from_secs(9)).await;
    assert_eq!(done, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P17: a deadline that passes in the queue: the command never runs, whatever comes later.
#[tokio::test(start_paused = true)]
async fn deadline_in_the_queue_means_it_never_runs() {
    let world = World::start().await;
    let first = tokio::spawn(world.tallies.ask("a", slow(Duration::from_secs(5))));
    settle().await;
    let queued = (0..10).map(|_| world.tallies.ask("a", Add(100)).deadline(Duration::from_secs(1)));
    for answer in join_all(queued).await {
        assert_eq!(reason(answer), NotStoredReason::DeadlinePassed);
    }
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(1));
    world.end().await;
}

/// P7: from the submission on a passed deadline is an unknown outcome.
#[tokio::test(start_paused = true)]
async fn deadline_on_the_way_to_the_journal_is_an_unknown_outcome() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let unknown = world.tallies.ask("a", Add(1)).deadline(Duration::from_secs(1)).await.unwrap_err();
    let Error::OutcomeUnknown(unknown) = &unknown else { panic!("{unknown}") };
    assert_eq!(unknown.version.map(onefold::StreamVersion::get), Some(1), "the version it would have reached");
    gate.open();
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)));
    world.end().await;
}

/// P2: with earlier events on their way, an unknown outcome names no version: it would tell of them.
#[tokio::test(start_paused = true)]
async fn unknown_outcome_behind_another_names_no_version() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let first = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    let unknown = world.tallies.ask("a", Add(1)).deadline(Duration::from_secs(1)).await.unwrap_err();
    let Error::OutcomeUnknown(unknown) = &unknown else { panic!("{unknown}") };
    assert_eq!(unknown.version, None);
    gate.open();
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P7: what stores nothing surely stored nothing, also when its deadline passes behind the gate.
#[tokio::test(start_paused = true)]
async fn deadline_of_what_stores_nothing_is_never_an_unknown_outcome() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let first = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    let second = Duration::from_secs(1);
    let nothing = Do::<()>::new(|tally, _| async move { Ok(tally.emit_all([])) }.boxed());
    let late = [
        world.tallies.read("a", |_| ()).deadline(second).await.unwrap_err(),
        world.tallies.ask("a", nothing).deadline(second).await.unwrap_err(),
        world.tallies.ask("a", Spend(1_000)).deadline(second).await.unwrap_err(),
        world.tallies.ask("a", Add(1)).expect_version(9u64).deadline(second).await.unwrap_err(),
    ];
    for late in late {
        let Error::NotStored(late) = late else { panic!("{late}") };
        assert_eq!((late.reason, late.version), (NotStoredReason::DeadlinePassed, None));
    }
    gate.open();
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P6: a deadline of nothing is answered, too, and at once.
#[tokio::test(start_paused = true)]
async fn deadline_of_zero_is_answered_at_once() {
    let world = World::start().await;
    let started = Instant::now();
    let answer = world.tallies.ask("a", Add(1)).deadline(Duration::ZERO).await;
    assert!(matches!(answer, Ok(_) | Err(Error::NotStored(_))), "{answer:?}");
    assert!(started.elapsed() <= Duration::from_millis(1), "{:?}", started.elapsed());
    let huge = world.tallies.ask("a", Add(1)).deadline(Duration::MAX).await;
    assert!(huge.is_ok(), "{huge:?}");
    settle().await;
    world.end().await;
}

/// P14: `handler_timeout` drops the handler, and names itself.
#[tokio::test(start_paused = true)]
async fn handler_timeout_drops_the_handler() {
    let config = Config { handler_timeout: Duration::from_secs(2), ..Config::default() };
    let world = World::with(config).await;
    let started = Instant::now();
    let late = world.tallies.ask("a", endless()).await;
    assert_eq!(reason(late), NotStoredReason::HandlerTimeout { limit: Duration::from_secs(2) });
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P14: the handler's timeout begins when the handler does, not when the command was sent.
#[tokio::test(start_paused = true)]
async fn handler_timeout_does_not_count_the_time_in_the_queue() {
    let config = Config { handler_timeout: Duration::from_secs(2), ..Config::default() };
    let world = World::with(config).await;
    let asks = join_all((0..4).map(|_| world.tallies.ask("a", slow(Duration::from_millis(1_500)))));
    assert!(asks.await.iter().all(Result::is_ok));
    world.end().await;
}

/// P6: reads have deadlines as well.
#[tokio::test(start_paused = true)]
async fn read_has_a_deadline() {
    let world = World::start().await;
    let first = tokio::spawn(world.tallies.ask("a", slow(Duration::from_secs(5))));
    settle().await;
    let read = world.tallies.read("a", |tally| tally.sum).deadline(Duration::from_secs(1)).await;
    assert_eq!(reason(read), NotStoredReason::DeadlinePassed);
    first.await.unwrap().unwrap();
    world.end().await;
}
