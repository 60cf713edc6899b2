//! P10, P2: `expect_version` is checked by the aggregate, and its conflict goes through the gate.

use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use onefold::{Config, Error, ExpectedVersion, StreamVersion};

use crate::support::{Add, Happened, Seen, SlowJournal, World, settle};

/// Each kind of expectation, met and not met.
#[tokio::test(start_paused = true)]
async fn expectation_decides() {
    let world = World::start().await;
    let tallies = &world.tallies;
    assert_eq!(tallies.ask("a", Add(1)).expect_version(ExpectedVersion::NoStream).await, Ok(Seen::at(1, 1)));
    assert_eq!(tallies.ask("a", Add(1)).expect_version(1u64).await, Ok(Seen::at(2, 2)));
    assert_eq!(tallies.ask("a", Add(1)).expect_version(StreamVersion::new(2)).await, Ok(Seen::at(3, 3)));
    assert_eq!(tallies.ask("a", Add(1)).expect_version(ExpectedVersion::Any).await, Ok(Seen::at(4, 4)));
    for wrong in [ExpectedVersion::NoStream, 3u64.into(), 5u64.into()] {
        let conflict = tallies.ask("a", Add(100)).expect_version(wrong).await.unwrap_err();
        let Error::Conflict { expected, actual, .. } = &conflict else { panic!("{conflict}") };
        assert_eq!((*expected, actual.get()), (wrong, 4));
        assert!(!conflict.is_retry_safe(), "the caller must look first");
    }
    assert_eq!(tallies.read("a", |tally| tally.sum).await, Ok(4));
    world.end().await;
}

/// Of many that expect the same version one wins, and the others learn the version that beat them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_with_the_same_expectation_wins() {
    let world = World::start().await;
    for round in 0..20u64 {
        let asks = (0..16).map(|_| tokio::spawn(world.tallies.ask("a", Add(1)).expect_version(round)));
        let answers = join_all(asks).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}");
        let lost = answers.into_iter().filter_map(Result::err);
        for error in lost {
            assert!(matches!(error, Error::Conflict { actual, .. } if actual.get() == round + 1), "{error}");
        }
    }
    world.end().await;
}

/// P7: a command with a stale expectation surely stored nothing, and what it missed is one look at the events away.
#[tokio::test(start_paused = true)]
async fn stale_expectation_stores_nothing_and_what_was_missed_can_be_read() {
    let world = World::start().await;
    let tallies = &world.tallies;
    for amount in 1..=5 {
        tallies.ask("a", Add(amount)).await.unwrap();
    }
    let stale = [(ExpectedVersion::NoStream, vec![1, 2, 3, 4, 5]), (2u64.into(), vec![3, 4, 5]), (9u64.into(), vec![])];
    for (wrong, missed) in stale {
        let conflict = tallies.ask("a", Add(100)).expect_version(wrong).await.unwrap_err();
        assert!(conflict.is_surely_not_stored());
        let Error::Conflict { expected, actual, .. } = conflict else { panic!("{conflict}") };
        let events: Vec<_> = tallies.events("a", expected).unwrap().try_collect().await.unwrap();
        let missed = missed.into_iter().map(|amount| Happened::Added { amount });
        assert!(events.iter().map(|event| event.event.clone()).eq(missed), "{events:?}");
        assert!(
            events.iter().all(|event| event.version <= actual),
            "what can be read now is what the conflict tells of"
        );
    }
    assert_eq!(tallies.read_with_version("a", |tally, version| (tally.sum, version.get())).await, Ok((15, 5)));
    world.end().await;
}

/// P2: a conflict with a version that is not durable yet waits for it.
#[tokio::test(start_paused = true)]
async fn conflict_waits_for_the_version_it_names() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let added = tokio::spawn(world.tallies.ask("a", Add(1)));
    let conflict = tokio::spawn(world.tallies.ask("a", Add(1)).expect_version(0u64));
    settle().await;
    assert!(!conflict.is_finished());
    valve.open();
    added.await.unwrap().unwrap();
    assert!(matches!(conflict.await.unwrap(), Err(Error::Conflict { actual, .. }) if actual.get() == 1));
    world.end().await;
}
