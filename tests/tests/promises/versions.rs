//! P3: versions, commit numbers and positions run without gap or repeat. P5: a commit is atomic.

use std::collections::BTreeSet;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use onefold::journal::FeedItem;
use onefold::{Checkpoint, Config, Error};
use tokio::task::JoinSet;

use crate::support::{Add, Do, Happened, Seen, Spend, World};

/// P3: 64 callers at one aggregate are told the versions 1, 2, 3 …, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_contiguous_under_64_callers() {
    let world = World::start().await;
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let tallies = world.tallies.clone();
        callers.spawn(async move {
            let mut told = Vec::new();
            for _ in 0..50 {
                told.push(tallies.ask("hot", Add(1)).await.unwrap());
            }
            assert!(told.is_sorted_by_key(|seen| seen.version), "one caller sees the versions grow");
            told
        });
    }
    let mut told = BTreeSet::new();
    for seen in callers.join_all().await.into_iter().flatten() {
        assert_eq!(seen.sum, seen.version.get(), "the reply shows the state at its own version");
        assert!(told.insert(seen.version.get()), "version {} was told twice", seen.version);
    }
    assert_eq!(told, (1..=64 * 50).collect());
    let stored: Vec<_> = world.tallies.events("hot", 0).unwrap().try_collect().await.unwrap();
    assert!(stored.iter().map(|event| event.version.get()).eq(1..=64 * 50));
    world.end().await;
}

/// P3: numbers of commits and events in the whole journal are dense, whatever was refused in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_leave_no_gap_in_any_number() {
    let world = World::with(Config { crashes_max: u32::MAX, ..Config::default() }).await;
    let mut callers = JoinSet::new();
    for caller in 0..16u64 {
        let tallies = world.tallies.clone();
        callers.spawn(async move {
            for round in 0..40u64 {
                let id = format!("t{}", (caller + round) % 5);
                match round % 4 {
                    0 => drop(tallies.ask(&id, Spend(1_000_000)).await.unwrap_err()),
                    1 => drop(tallies.ask(&id, Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err()),
                    2 => drop(tallies.ask(&id, Add(1)).expect_version(1_000_000u64).await.unwrap_err()),
                    _ => drop(tallies.ask(&id, Add(1)).await.unwrap()),
                }
            }
        });
    }
    callers.join_all().await;
    let mut feed = world.journal.read_all(&Checkpoint::START);
    let (mut commits, mut position) = (0, 0);
    while let Some(item) = feed.next().await {
        let FeedItem::Commit(commit) = item.unwrap() else { panic!("nothing was removed") };
        commits += 1;
        assert_eq!(commit.number.get(), commits);
        assert_eq!(commit.parts[0].1.first_position.get(), position + 1);
        position += u64::from(commit.parts[0].1.event_count);
    }
    assert_eq!((commits, position), (160, 160), "16 callers, each with 10 additions among its refusals");
    world.end().await;
}

/// P3: the next version after a rejection, a panic and a passivation is the next number.
#[tokio::test(start_paused = true)]
async fn numbering_goes_on_after_a_rejection_a_panic_and_a_restart() {
    let world = World::start().await;
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    world.tallies.ask("a", Spend(9)).await.unwrap_err();
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)));
    world.tallies.ask("a", Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err();
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(3, 3)));
    let journal = world.journal.clone();
    drop(world.runtime);
    let next = World::on(journal, Config::default()).await;
    assert_eq!(next.tallies.ask("a", Add(1)).await, Ok(Seen::at(4, 4)));
    next.end().await;
}

fn three(last: Happened) -> Do<u64> {
    Do::new(|tally, _| {
        let events = [Happened::Added { amount: 1 }, Happened::Added { amount: 2 }, last];
        async move { Ok(onefold::Aggregate::emit_all(tally, events).reply(|tally| tally.sum)) }.boxed()
    })
}

/// P5: the events of one decision land together, next to each other, in one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_decision_land_in_one_commit() {
    let world = World::start().await;
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let tallies = world.tallies.clone();
        callers.spawn(async move { tallies.ask("a", three(Happened::Added { amount: 3 })).await.unwrap() });
    }
    let mut sums = callers.join_all().await;
    sums.sort_unstable();
    assert!(sums.into_iter().eq((1..=32).map(|decisions| decisions * 6)), "a reply between the events of a decision");
    let stored: Vec<_> = world.tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    for (number, commit) in (1u64..).zip(stored.chunks(3)) {
        assert!(commit.iter().all(|event| event.commit.get() == number));
        let amounts = commit.iter().map(|event| event.event.clone());
        assert!(amounts.eq((1..=3).map(|amount| Happened::Added { amount })));
    }
    world.end().await;
}

/// P5: a decision whose last event cannot be applied leaves nothing of the first two.
#[tokio::test(start_paused = true)]
async fn decision_that_fails_at_its_last_event_leaves_nothing() {
    let world = World::start().await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    let failed = world.tallies.ask("a", three(Happened::Cursed)).await;
    assert!(matches!(failed, Err(Error::NotStored(_))), "{failed:?}");
    assert_eq!(world.tallies.read("a", |tally| (tally.sum, tally.count)).await, Ok((1, 1)));
    assert_eq!(world.tallies.events("a", 0).unwrap().count().await, 1);
    world.end().await;
}
