//! P6, P7, P9, P10, P13: appends that fail, one way or another. Every caller is told, and told the truth.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use onefold::journal::{AppendError, JournalHealth};
use onefold::{Config, Error, NotStoredReason};
use onefold_testkit::faults::{AppendFault, Gate, When};

use crate::support::{Add, Happened, No, Seen, World, reason, settle};

/// P7: a failure before the write is `NotStored`, and trying again works.
#[tokio::test(start_paused = true)]
async fn failure_before_the_write_can_be_retried() {
    let (world, faults) = World::faulty(Config::default()).await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let failed = world.tallies.ask("a", Add(10)).await.unwrap_err();
    assert!(failed.is_retry_safe() && failed.is_surely_not_stored(), "{failed}");
    assert!(matches!(reason::<()>(Err(failed)), NotStoredReason::Unavailable { .. }));
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(2, 11)));
    world.end().await;
}

/// P7: a full disk has an error of its own.
#[tokio::test(start_paused = true)]
async fn low_disk_is_told_as_such() {
    let (world, faults) = World::faulty(Config::default()).await;
    let low = AppendError::DiskLow { free_bytes: 1, reserve_bytes: 2 };
    faults.append(When::nth(1), AppendFault::FailBeforeWriteWith(low));
    let failed = world.tallies.ask("a", Add(1)).await.unwrap_err();
    assert!(matches!(failed, Error::DiskLow { free_bytes: 1, reserve_bytes: 2, .. }), "{failed}");
    assert!(failed.is_retry_safe());
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P9: what was decided on top of a decision that failed is not stored either, reads and rejections included.
#[tokio::test(start_paused = true)]
async fn followers_of_a_failed_append_are_superseded() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let tallies = &world.tallies;
    let good = tokio::spawn(tallies.ask("a", Add(1)));
    let failing = tokio::spawn(tallies.ask("a", Add(10)));
    let follower = tokio::spawn(tallies.ask("a", Add(100)));
    let rejected = tokio::spawn(tallies.ask("a", crate::support::Spend(10_000)));
    let read = tokio::spawn(tallies.read("a", |tally| tally.sum));
    settle().await;
    gate.open();
    assert_eq!(good.await.unwrap(), Ok(Seen::at(1, 1)));
    assert!(matches!(reason(failing.await.unwrap()), NotStoredReason::Unavailable { .. }));
    assert_eq!(reason(follower.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(reason(rejected.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(reason(read.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(tallies.ask("a", Add(1_000)).await, Ok(Seen::at(2, 1_001)));
    world.end().await;
}

/// P7, P9: a failure after the write is `OutcomeUnknown`; the instance is rebuilt and shows the event, once.
#[tokio::test(start_paused = true)]
async fn unknown_outcome_that_was_stored_shows_once() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::nth(1), AppendFault::FailAfterWrite);
    let unknown = world.tallies.ask("a", Add(5)).await.unwrap_err();
    assert!(matches!(unknown, Error::OutcomeUnknown(_)), "{unknown}");
    assert!(!unknown.is_retry_safe() && !unknown.is_surely_not_stored());
    assert_eq!(world.tallies.read("a", |tally| (tally.sum, tally.count)).await, Ok((5, 1)));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 6)));
    assert_eq!(world.tallies.events("a", 0).unwrap().count().await, 2);
    world.end().await;
}

/// P7, P9: the same words for a write that was lost; the rebuilt instance does not show it.
#[tokio::test(start_paused = true)]
async fn unknown_outcome_that_was_lost_shows_never() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::nth(1), AppendFault::LoseWrite);
    let unknown = world.tallies.ask("a", Add(5)).await;
    assert!(matches!(unknown, Err(Error::OutcomeUnknown(_))), "{unknown:?}");
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(0));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P9: a barrier that fails (a read behind an event) discards the instance like any other append.
#[tokio::test(start_paused = true)]
async fn failed_barrier_discards_the_instance_too() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let added = tokio::spawn(world.tallies.ask("a", Add(1)));
    let read = tokio::spawn(world.tallies.read("a", |tally| tally.sum));
    let behind = tokio::spawn(world.tallies.ask("a", Add(10)));
    settle().await;
    gate.open();
    assert_eq!(added.await.unwrap(), Ok(Seen::at(1, 1)));
    assert!(matches!(reason(read.await.unwrap()), NotStoredReason::Unavailable { .. }));
    assert_eq!(reason(behind.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(world.runtime.stats().activations, 1);
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(1));
    assert_eq!(world.runtime.stats().activations, 2);
    world.end().await;
}

/// P13: a poisoned journal refuses writes, health says so; an idle resident instance still answers reads.
#[tokio::test(start_paused = true)]
async fn poisoned_journal_refuses_writes_and_residents_still_answer_reads() {
    let (world, faults) = World::faulty(Config::default()).await;
    for id in ["a", "b"] {
        world.tallies.ask(id, Add(1)).await.unwrap();
    }
    assert!(world.runtime.health().is_healthy());
    faults.poison("a failed sync");
    let health = world.runtime.health();
    assert!(!health.is_healthy() && health.accepting);
    assert!(matches!(health.journal, JournalHealth::Poisoned { .. }));
    let refused = world.tallies.ask("b", Add(1)).await;
    assert_eq!(reason(refused), NotStoredReason::Poisoned { reason: "a failed sync".to_owned() });
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(1));
    assert_eq!(world.tallies.version("a").await.map(onefold::StreamVersion::get), Ok(1));
    let cold = world.tallies.read("cold", |tally| tally.sum).await;
    assert!(matches!(reason(cold), NotStoredReason::Poisoned { .. }));
    assert!(world.runtime.quarantined().is_empty(), "that is nobody's fault");
    world.end().await;
}

/// P6: a journal that stops answering. The deadline is an answer: unknown for what it has.
#[tokio::test(start_paused = true)]
async fn journal_that_stops_answering_gives_unknown_at_the_deadline() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let asks = (1..=3).map(|amount| world.tallies.ask("a", Add(amount)).deadline(Duration::from_secs(2)));
    for answer in join_all(asks).await {
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    }
    assert_eq!(world.runtime.stats().admitted, 3, "they are still with the journal");
    gate.open();
    settle().await;
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(6), "they did land");
    world.end().await;
}

/// P6, P14: a full journal queue holds the aggregate back; then everything is done. Those that never got there are surely
/// not stored.
#[tokio::test(start_paused = true)]
async fn full_journal_queue_holds_back_and_loses_nothing() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.queue_max(2);
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let patient: Vec<_> = (1..=5).map(|amount| tokio::spawn(world.tallies.ask("a", Add(amount)))).collect();
    settle().await;
    let hurried = world.tallies.ask("a", Add(100)).deadline(Duration::from_secs(1)).await;
    assert_eq!(reason(hurried), NotStoredReason::DeadlinePassed, "it was still queued");
    assert_eq!(faults.appends_under_way(), 2);
    gate.open();
    for (ask, version) in patient.into_iter().zip(1..) {
        assert_eq!(ask.await.unwrap(), Ok(Seen::at(version, (1..=version).sum())));
    }
    world.end().await;
}

/// P9: nothing replays the stream while an older append is undecided; then the replay includes it.
#[tokio::test(start_paused = true)]
async fn nothing_replays_while_an_older_append_is_undecided() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let held = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    let panicking = crate::support::Do::<Seen>::new(|_, _| panic!("on purpose"));
    let panicked = world.tallies.ask("a", panicking).await;
    assert!(matches!(reason(panicked), NotStoredReason::Panicked { .. }));
    let mut next = tokio::spawn(world.tallies.ask("a", Add(10)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!((&mut next).now_or_never().is_none(), "the instance was rebuilt too early");
    assert_eq!(world.runtime.stats().activations, 1);
    gate.open();
    assert_eq!(held.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(next.await.unwrap(), Ok(Seen::at(2, 11)));
    world.end().await;
}

/// P10: the journal checks every append, although the actor is the single writer: what another wrote is not overwritten.
#[tokio::test(start_paused = true)]
async fn foreign_write_is_noticed_and_never_overwritten() {
    let (world, _) = World::faulty(Config::default()).await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    World::forge(&world.journal, "a", [crate::support::Forged::Added { amount: 41 }]).await;
    let stale: Result<Seen, Error<No>> = world.tallies.ask("a", Add(100)).await;
    assert_eq!(reason(stale), NotStoredReason::Superseded);
    assert_eq!(world.tallies.ask("a", Add(100)).await, Ok(Seen::at(3, 142)));
    let amounts = world.tallies.events("a", 0).unwrap().map(|event| event.unwrap().event);
    let expected = [1, 41, 100].map(|amount| Happened::Added { amount });
    assert_eq!(amounts.collect::<Vec<_>>().await, expected);
    world.end().await;
}

/// P7: a barrier whose outcome is unknown stored nothing all the same: the read behind it may be tried again.
#[tokio::test(start_paused = true)]
async fn unknown_barrier_surely_stored_nothing() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::LoseWrite);
    let first = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    let read = tokio::spawn(world.tallies.read("a", |tally| tally.sum));
    settle().await;
    gate.open();
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 1)));
    let refused = read.await.unwrap().unwrap_err();
    assert!(refused.is_surely_not_stored() && refused.is_retry_safe(), "{refused}");
    assert_eq!(
        refused.to_string(),
        "tally/a at version 1: nothing was stored: the journal's answer is unknown (a scripted fault lost the write): \
         try again"
    );
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(1));
    world.end().await;
}
