//! P6, P7, P12: openings and reads that fail while an instance is brought back.

use std::time::Duration;

use futures_util::future::join_all;
use onefold::journal::{OpenError, ReadError};
use onefold::{Config, Error, NotStoredReason};
use onefold_testkit::faults::{Gate, OpenFault, ReadFault, When};

use crate::support::{Add, Seen, World, reason, stream};

fn impatient() -> Config {
    Config { recovery_timeout: Duration::from_secs(3), ..Config::default() }
}

fn storage() -> ReadError {
    ReadError::Storage { reason: "a scripted failure".into() }
}

/// P6: an opening that hangs is given up after `recovery_timeout`, everybody who waited is told, and the next one tries
/// again.
#[tokio::test(start_paused = true)]
async fn hanging_opening_is_given_up_after_the_recovery_timeout() {
    let (world, faults) = World::faulty(impatient()).await;
    faults.open(When::nth(1), OpenFault::Hold(Gate::closed()));
    let started = tokio::time::Instant::now();
    for answer in join_all((0..10).map(|_| world.tallies.ask("a", Add(1)))).await {
        let NotStoredReason::RecoveryFailed { reason } = reason(answer) else { panic!("another reason") };
        assert!(reason.contains("recovery_timeout"), "{reason}");
    }
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    assert!(world.runtime.quarantined().is_empty());
    world.end().await;
}

/// P6: the same for a replay that hangs half-way.
#[tokio::test(start_paused = true)]
async fn hanging_replay_is_given_up_after_the_recovery_timeout() {
    let (world, faults) = World::faulty(impatient()).await;
    World::forge(&world.journal, "a", [crate::support::Forged::Added { amount: 7 }]).await;
    faults.read(When::nth(1), ReadFault::Hold(Gate::closed()));
    let answer = world.tallies.ask("a", Add(1)).await;
    assert!(matches!(reason(answer), NotStoredReason::RecoveryFailed { .. }));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 8)));
    world.end().await;
}

/// P6: a caller with a deadline of its own does not wait for the recovery's; what it sent never runs.
#[tokio::test(start_paused = true)]
async fn deadline_passes_while_the_opening_hangs() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    let answer = world.tallies.ask("a", Add(1)).deadline(Duration::from_secs(1)).await;
    assert_eq!(reason(answer), NotStoredReason::DeadlinePassed);
    gate.open();
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(1, 10)));
    world.end().await;
}

/// P7: a passing failure of the store is safe to retry, and no reason for a quarantine.
#[tokio::test(start_paused = true)]
async fn passing_failure_of_the_store_is_retry_safe() {
    let (world, faults) = World::faulty(Config::default()).await;
    World::forge(&world.journal, "a", [crate::support::Forged::Added { amount: 7 }]).await;
    faults.open(When::nth(1), OpenFault::Fail(OpenError::Read(storage())));
    faults.read(When::nth(1), ReadFault::Fail(storage()));
    faults.read(When::nth(1), ReadFault::FailAfter { items: 1, error: storage() });
    for attempt in 1..=3 {
        let failed = world.tallies.ask("a", Add(1)).await.unwrap_err();
        assert!(failed.is_retry_safe(), "attempt {attempt}: {failed}");
        assert!(matches!(reason::<()>(Err(failed)), NotStoredReason::RecoveryFailed { .. }), "attempt {attempt}");
    }
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 8)));
    world.end().await;
}

/// P12: damage quarantines the stream at once, and only that stream.
#[tokio::test(start_paused = true)]
async fn damaged_stream_is_quarantined_and_its_neighbour_is_not() {
    let (world, faults) = World::faulty(Config::default()).await;
    for id in ["a", "b"] {
        World::forge(&world.journal, id, [crate::support::Forged::Added { amount: 7 }]).await;
    }
    let damaged = ReadError::Damaged {
        stream: Some(stream("a")),
        commit: None,
        place: "block 17".to_owned(),
        evidence: "the checksum does not match".to_owned(),
    };
    faults.read(When::next(1).of(&stream("a")), ReadFault::Fail(damaged));
    let failed = world.tallies.ask("a", Add(1)).await;
    let Err(Error::Quarantined(quarantined)) = failed else { panic!("{failed:?}") };
    assert!(quarantined.reason.contains("block 17"), "{quarantined}");
    assert!(matches!(world.tallies.read("a", |tally| tally.sum).await, Err(Error::Quarantined(_))));
    assert_eq!(world.tallies.ask("b", Add(1)).await, Ok(Seen::at(2, 8)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 8)), "tried again when the quarantine is over");
    world.end().await;
}

/// P6: the journal is closed under the runtime: everybody is told, nobody hangs.
#[tokio::test(start_paused = true)]
async fn journal_closed_by_somebody_else_is_a_shutdown() {
    let (world, _) = World::faulty(Config::default()).await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    world.journal.close().await.unwrap();
    assert_eq!(reason(world.tallies.ask("a", Add(1)).await), NotStoredReason::ShuttingDown);
    assert_eq!(reason(world.tallies.ask("b", Add(1)).await), NotStoredReason::ShuttingDown);
    assert!(!world.runtime.health().is_healthy());
}
