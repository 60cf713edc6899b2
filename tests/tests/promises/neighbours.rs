//! P15: a command waits for another aggregate only through named shared resources.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use onefold::{Config, NotStoredReason};
use onefold_testkit::faults::{AppendFault, FaultyJournal, Gate, OpenFault, ReadFault, When};

use crate::support::{Add, Forged, Seen, World, endless, reason, settle, stream};

/// P15: an aggregate whose handler never returns stops nobody else.
#[tokio::test(start_paused = true)]
async fn handler_that_never_returns_stops_nobody_else() {
    let world = World::start().await;
    let stuck: Vec<_> = (0..100).map(|_| tokio::spawn(world.tallies.ask("stuck", endless()))).collect();
    settle().await;
    for id in 0..50 {
        assert_eq!(world.tallies.ask(format!("free-{id}"), Add(1)).await, Ok(Seen::at(1, 1)));
    }
    assert_eq!(world.runtime.stats().admitted, 100);
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(stuck).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.end().await;
}

/// P15: an aggregate whose appends hang, or whose opening hangs, stops nobody else.
#[tokio::test(start_paused = true)]
async fn stream_that_hangs_in_the_journal_stops_nobody_else() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::always().of(&stream("slow")), AppendFault::HoldAnswer(gate.clone()));
    faults.open(When::always().of(&stream("closed")), OpenFault::Hold(gate.clone()));
    let waiting = ["slow", "closed"].map(|id| tokio::spawn(world.tallies.ask(id, Add(1))));
    settle().await;
    for id in 0..50 {
        assert_eq!(world.tallies.ask(format!("free-{id}"), Add(1)).await, Ok(Seen::at(1, 1)));
    }
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    gate.open();
    for answer in join_all(waiting).await {
        assert_eq!(answer.unwrap(), Ok(Seen::at(1, 1)));
    }
    world.end().await;
}

/// P15: recovery permits are a named shared resource: with all of them taken, others wait, and go on when one is back.
#[tokio::test(start_paused = true)]
async fn recoveries_wait_for_a_permit_and_no_longer() {
    let (world, faults) = World::faulty(Config { recoveries_max: 2, ..Config::default() }).await;
    for id in ["x", "y", "z"] {
        World::forge(&world.journal, id, [Forged::Added { amount: 7 }]).await;
    }
    let gate = Gate::closed();
    for id in ["x", "y"] {
        faults.read(When::nth(1).of(&stream(id)), ReadFault::Hold(gate.clone()));
    }
    world.tallies.ask("warm", Add(1)).await.unwrap();
    let holding = ["x", "y"].map(|id| tokio::spawn(world.tallies.ask(id, Add(1))));
    settle().await;
    let waiting = tokio::spawn(world.tallies.ask("z", Add(1)));
    settle().await;
    assert!(!waiting.is_finished(), "two permits, and both are taken");
    assert_eq!(world.tallies.ask("warm", Add(1)).await, Ok(Seen::at(2, 2)), "who is resident needs none");
    gate.open();
    assert_eq!(waiting.await.unwrap(), Ok(Seen::at(2, 8)));
    for answer in join_all(holding).await {
        assert_eq!(answer.unwrap(), Ok(Seen::at(2, 8)));
    }
    world.end().await;
}

/// P14: who waits for a permit keeps no chunk in memory that was read ahead, but for a few.
#[tokio::test(start_paused = true)]
async fn replays_that_wait_for_a_permit_are_bounded() {
    let (journal, valve) = crate::support::SlowJournal::new();
    valve.open();
    let first = World::on(Arc::new(journal), Config::default()).await;
    let ids: Vec<_> = (0..20).map(|id| format!("t{id}")).collect();
    for id in &ids {
        // More than one chunk of the in-memory journal.
        assert!(join_all((0..300).map(|_| first.tallies.ask(id, Add(1)))).await.iter().all(Result::is_ok));
    }
    let journal = first.journal.clone();
    drop(first.runtime);
    settle().await;
    let faulty = FaultyJournal::new(journal);
    faulty.faults().read(When::always(), ReadFault::Delay(Duration::from_millis(1)));
    let world = World::on(Arc::new(faulty), Config { recoveries_max: 1, ..Config::default() }).await;
    let sums = join_all(ids.iter().map(|id| world.tallies.read(id, |tally| tally.sum))).await;
    assert!(sums.into_iter().all(|sum| sum == Ok(300)));
    assert!((1..=4).contains(&valve.reads_most()), "{} streams at once", valve.reads_most());
    world.end().await;
}

/// P15: a permit is given back when a recovery is given up.
#[tokio::test(start_paused = true)]
async fn recovery_that_is_given_up_gives_its_permit_back() {
    let config = Config { recoveries_max: 1, recovery_timeout: Duration::from_secs(1), ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    for id in ["a", "b0", "b1", "b2"] {
        World::forge(&world.journal, id, [Forged::Added { amount: 7 }]).await;
    }
    // While it reads, it holds the only permit.
    faults.read(When::next(3).of(&stream("a")), ReadFault::Hold(Gate::closed()));
    for id in ["b0", "b1", "b2"] {
        let given_up = tokio::spawn(world.tallies.ask("a", Add(1)));
        settle().await;
        let waiting = tokio::spawn(world.tallies.ask(id, Add(1)));
        settle().await;
        assert!(!waiting.is_finished(), "the permit is taken");
        assert!(matches!(reason(given_up.await.unwrap()), NotStoredReason::RecoveryFailed { .. }));
        assert_eq!(waiting.await.unwrap(), Ok(Seen::at(2, 8)));
    }
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 8)));
    world.end().await;
}

/// P15: a hot aggregate lets others run in between, on a single thread.
#[tokio::test(start_paused = true)]
async fn hot_aggregate_lets_others_run() {
    let world = World::with(Config { turn_commands_max: 4, ..Config::default() }).await;
    world.tallies.version("cold").await.unwrap();
    let done = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let hot = join_all((0..4_000).map(|_| {
        let (ask, done) = (world.tallies.ask("hot", Add(1)), done.clone());
        async move {
            ask.await.unwrap();
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }));
    let hot = tokio::spawn(hot);
    tokio::task::yield_now().await;
    world.tallies.ask("cold", Add(1)).await.unwrap();
    assert!(!hot.is_finished(), "the cold one came last");
    hot.await.unwrap();
    world.end().await;
}
