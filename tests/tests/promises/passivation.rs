//! P6, P11, P16: instances are let go when they are idle, and come back as they were; nothing is lost on the way.

use std::time::Duration;

use futures_util::FutureExt;
use onefold::{Aggregate, Config};
use onefold_testkit::faults::{AppendFault, Gate, When};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{Add, Do, Happened, Seen, World, settle};

fn fleeting() -> Config {
    Config { idle_timeout: Duration::from_secs(8), ..Config::default() }
}

/// An idle instance goes after its time, not before, and comes back as it was.
#[tokio::test(start_paused = true)]
async fn idle_instance_goes_after_its_time_and_comes_back_as_it_was() {
    let world = World::with(fleeting()).await;
    world.tallies.ask("a", Add(3)).await.unwrap();
    sleep(Duration::from_secs(7)).await;
    assert_eq!(world.runtime.stats().resident, 1);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(world.runtime.stats().resident, 0);
    assert_eq!(world.runtime.stats().passivations, 1);
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(3));
    assert_eq!(world.tallies.ask("a", Add(4)).await, Ok(Seen::at(2, 7)));
    assert_eq!(world.runtime.stats().activations, 2);
    world.end().await;
}

/// Whoever is used stays, reads included.
#[tokio::test(start_paused = true)]
async fn instance_in_use_stays() {
    let world = World::with(fleeting()).await;
    for _ in 0..20 {
        world.tallies.version("a").await.unwrap();
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(world.runtime.stats().activations, 1);
    world.end().await;
}

/// An instance with a handler that takes long, or with an append that hangs, is not idle.
#[tokio::test(start_paused = true)]
async fn instance_with_work_left_is_not_idle() {
    let (world, faults) = World::faulty(Config { handler_timeout: Duration::from_secs(100), ..fleeting() }).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let held = tokio::spawn(world.tallies.ask("held", Add(1)).deadline(Duration::from_secs(100)));
    let slow = Do::new(|tally, _| {
        async move {
            sleep(Duration::from_secs(50)).await;
            Ok(tally.emit(Happened::Added { amount: 1 }))
        }
        .boxed()
    });
    let slow = tokio::spawn(world.tallies.ask("slow", slow).deadline(Duration::from_secs(100)));
    sleep(Duration::from_secs(30)).await;
    assert_eq!((world.runtime.stats().resident, world.runtime.stats().passivations), (2, 0));
    gate.open();
    held.await.unwrap().unwrap();
    slow.await.unwrap().unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!((world.runtime.stats().resident, world.runtime.stats().activations), (0, 2));
    world.end().await;
}

/// An aggregate that is quarantined, or without events, is let go as well.
#[tokio::test(start_paused = true)]
async fn instances_without_state_are_let_go_as_well() {
    let world = World::with(Config { crashes_max: 1, ..fleeting() }).await;
    world.tallies.version("empty").await.unwrap();
    world.tallies.ask("crashed", Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err();
    assert_eq!(world.runtime.stats().resident, 2);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.runtime.stats().resident, 0);
    world.end().await;
}

/// Under load: many aggregates, a handful of places, idle times of almost nothing; every command counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_instances_come_and_go_under_load() {
    let config = Config { idle_timeout: Duration::from_millis(1), resident_max: 4, ..Config::default() };
    let world = World::with(config).await;
    let mut callers = JoinSet::new();
    for caller in 0..64u64 {
        let tallies = world.tallies.clone();
        callers.spawn(async move {
            for round in 0..40u64 {
                let id = format!("t{}", (caller * 7 + round) % 23);
                let seen = tallies.ask(&id, Add(1)).await.unwrap();
                assert_eq!(seen.sum, seen.version.get());
            }
        });
    }
    callers.join_all().await;
    let mut sum = 0;
    for id in 0..23 {
        sum += world.tallies.read(format!("t{id}"), |tally| tally.sum).await.unwrap();
    }
    assert_eq!(sum, 64 * 40);
    assert!(world.runtime.stats().passivations > 23, "{:?}", world.runtime.stats());
    world.end().await;
}

/// The moment of passivation: a command that arrives just then is served by the successor.
#[tokio::test(start_paused = true)]
async fn command_at_the_moment_of_passivation_is_served() {
    let config = Config { idle_timeout: Duration::from_millis(80), ..Config::default() };
    let world = World::with(config).await;
    for version in 1..=500 {
        assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(version, version)));
        sleep(Duration::from_millis(75 + version % 30)).await;
    }
    assert!(world.runtime.stats().passivations > 50, "{:?}", world.runtime.stats());
    settle().await;
    world.end().await;
}
