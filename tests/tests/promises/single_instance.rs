//! P4: at most one live instance of an aggregate, even with two runtimes on one journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{FutureExt, TryStreamExt};
use onefold::journal::Journal;
use onefold::{Aggregate, Config, Error, MemoryJournal, NotStoredReason};
use onefold_testkit::faults::{AppendFault, FaultyJournal, Gate, ReadFault, When};
use tokio::task::JoinSet;

use crate::support::{Add, Do, Happened, Seen, Spend, World, reason, settle};

async fn two_worlds() -> (World, World) {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    (World::on(journal.clone(), Config::default()).await, World::on(journal, Config::default()).await)
}

/// P4: in one runtime handlers of one aggregate never overlap, through passivation and panics.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_of_one_aggregate_never_overlap() {
    let config = Config { resident_max: 1, crashes_max: u32::MAX, ..Config::default() };
    let world = World::with(config).await;
    let (inside, runs) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let mut callers = JoinSet::new();
    for caller in 0..32u64 {
        let (tallies, inside, runs) = (world.tallies.clone(), inside.clone(), runs.clone());
        callers.spawn(async move {
            for round in 0..20 {
                let (inside, runs) = (inside.clone(), runs.clone());
                let alone = Do::new(move |tally, _| {
                    async move {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two handlers at once");
                        tokio::task::yield_now().await;
                        inside.fetch_sub(1, Ordering::SeqCst);
                        runs.fetch_add(1, Ordering::SeqCst);
                        assert!((caller + round) % 5 != 0, "on purpose");
                        Ok(tally.emit(Happened::Added { amount: 1 }))
                    }
                    .boxed()
                });
                let answer = tallies.ask("a", alone).await;
                assert_eq!(answer.is_err(), (caller + round) % 5 == 0, "{answer:?}");
                tallies.version("other").await.unwrap();
            }
        });
    }
    callers.join_all().await;
    assert_eq!(runs.load(Ordering::SeqCst), 32 * 20);
    world.end().await;
}

/// P4: whoever opens later takes over; the former owner notices before it answers anything, reads and rejections included.
#[tokio::test(start_paused = true)]
async fn superseded_runtime_never_answers_from_old_state() {
    let (one, other) = two_worlds().await;
    one.tallies.ask("a", Add(1)).await.unwrap();
    assert_eq!(other.tallies.ask("a", Add(10)).await, Ok(Seen::at(2, 11)));
    assert_eq!(reason(one.tallies.read("a", |tally| tally.sum).await), NotStoredReason::Superseded);
    assert_eq!(one.tallies.read("a", |tally| tally.sum).await, Ok(11), "rebuilt, and so takes over again");
    assert_eq!(reason(other.tallies.ask("a", Spend(1_000)).await), NotStoredReason::Superseded);
    assert_eq!(other.tallies.ask("a", Add(100)).await, Ok(Seen::at(3, 111)));
    assert_eq!(reason(one.tallies.ask("a", Add(1)).expect_version(9u64).await), NotStoredReason::Superseded);
    assert_eq!(one.tallies.version("a").await.map(onefold::StreamVersion::get), Ok(3));
    assert_eq!(reason(other.tallies.ask("a", Add(1)).await), NotStoredReason::Superseded);
    one.end().await;
}

/// P4, P9: the other runtime opens while an append is under way: it waits, and its replay includes that.
#[tokio::test(start_paused = true)]
async fn other_runtime_waits_for_what_is_under_way() {
    let faulty = FaultyJournal::new(Arc::new(MemoryJournal::new()));
    let faults = faulty.faults();
    let journal: Arc<dyn Journal> = Arc::new(faulty);
    let one = World::on(journal.clone(), Config::default()).await;
    let other = World::on(journal, Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let held = tokio::spawn(one.tallies.ask("a", Add(1)));
    settle().await;
    let taking_over = tokio::spawn(other.tallies.ask("a", Add(10)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!taking_over.is_finished(), "took over before the older append was decided");
    gate.open();
    assert_eq!(held.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(taking_over.await.unwrap(), Ok(Seen::at(2, 11)));
    other.end().await;
}

/// P4: the other runtime takes over, and writes, while this one replays. The replay then reaches beyond the head that the
/// opening told; that was taken for damage, and the aggregate quarantined.
#[tokio::test(start_paused = true)]
async fn takeover_during_the_replay_is_no_damage() {
    let faulty = FaultyJournal::new(Arc::new(MemoryJournal::new()));
    let faults = faulty.faults();
    let journal: Arc<dyn Journal> = Arc::new(faulty);
    let (one, other) =
        (World::on(journal.clone(), Config::default()).await, World::on(journal, Config::default()).await);
    other.tallies.ask("a", Add(1)).await.unwrap();
    let gate = Gate::closed();
    faults.read(When::nth(1), ReadFault::Hold(gate.clone()));
    let replaying = tokio::spawn(one.tallies.ask("a", Add(10)));
    settle().await;
    assert_eq!(reason(other.tallies.ask("a", Add(1)).await), NotStoredReason::Superseded);
    assert_eq!(other.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)));
    gate.open();
    assert_eq!(reason(replaying.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(one.tallies.ask("a", Add(10)).await, Ok(Seen::at(3, 12)));
    assert!(one.runtime.quarantined().is_empty());
    one.end().await;
}

/// P4: two runtimes fight for the same aggregates: no version is given twice, and every answer is true.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runtimes_that_fight_lose_and_double_nothing() {
    let (one, other) = two_worlds().await;
    let mut callers = JoinSet::new();
    for caller in 0..16u64 {
        let tallies = if caller % 2 == 0 { one.tallies.clone() } else { other.tallies.clone() };
        callers.spawn(async move {
            let mut stored = [0u64; 3];
            for round in 0..60 {
                let which = usize::try_from((caller + round) % 3).unwrap();
                match tallies.ask(format!("t{which}"), Add(1)).await {
                    Ok(seen) => {
                        assert_eq!(seen.sum, seen.version.get());
                        stored[which] += 1;
                    }
                    Err(Error::NotStored(error)) => assert_eq!(error.reason, NotStoredReason::Superseded),
                    Err(error) => panic!("{error}"),
                }
                tokio::task::yield_now().await;
            }
            stored
        });
    }
    let stored = callers.join_all().await.into_iter().fold([0u64; 3], |sum, one| [0, 1, 2].map(|at| sum[at] + one[at]));
    for (which, stored) in stored.into_iter().enumerate() {
        let events: Vec<_> = one.tallies.events(format!("t{which}"), 0).unwrap().try_collect().await.unwrap();
        assert_eq!(events.len() as u64, stored);
        assert!(events.iter().map(|event| event.version.get()).eq(1..=stored));
    }
    assert!(stored.iter().sum::<u64>() > 0);
}
