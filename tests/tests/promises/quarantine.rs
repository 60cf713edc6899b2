//! P12, P14: aggregates that crash again and again, or cannot be read, are left alone for a while; seen, and lifted.

use std::time::Duration;

use onefold::{Config, Error, Quarantined};
use tokio::time::sleep;

use crate::support::{Add, Do, Forged, No, Seen, World, settle};

fn config() -> Config {
    Config {
        crashes_max: 3,
        crash_window: Duration::from_secs(60),
        quarantine_min: Duration::from_secs(1),
        quarantine_max: Duration::from_secs(5),
        ..Config::default()
    }
}

async fn crash(world: &World, id: &str) -> Error<No> {
    world.tallies.ask(id, Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err()
}

#[track_caller]
fn quarantined<T: std::fmt::Debug>(answer: Result<T, Error<No>>) -> Quarantined {
    match answer {
        Err(Error::Quarantined(quarantined)) => *quarantined,
        other => panic!("expected Quarantined, got {other:?}"),
    }
}

/// A crash loop: the third crash quarantines, each quarantine lasts twice as long as the one before, up to a bound.
#[tokio::test(start_paused = true)]
async fn crash_loop_is_quarantined_for_longer_each_time() {
    let world = World::with(config()).await;
    for seconds in [1, 2, 4, 5, 5] {
        for _ in 0..3 {
            assert!(matches!(crash(&world, "a").await, Error::NotStored(_)), "the crash itself is told as such");
        }
        let refused = quarantined(world.tallies.ask("a", Add(1)).await);
        assert_eq!(refused.retry_after, Duration::from_secs(seconds));
        assert!(refused.reason.contains("handle panicked: on purpose"), "{refused}");
        assert_eq!(quarantined(world.tallies.version("a").await).retry_after, Duration::from_secs(seconds));
        assert_eq!(world.runtime.quarantined(), [refused]);
        assert_eq!(world.runtime.health().quarantined, 1);
        assert!(world.runtime.health().is_healthy(), "its neighbours are well");
        assert_eq!(world.tallies.ask("b", Add(0)).await.unwrap().sum, 0);
        sleep(Duration::from_secs(seconds)).await;
        assert!(world.runtime.quarantined().is_empty());
    }
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// Crashes far apart are no loop, and long quiet forgives the past.
#[tokio::test(start_paused = true)]
async fn crashes_far_apart_are_no_loop() {
    let world = World::with(config()).await;
    for _ in 0..10 {
        crash(&world, "a").await;
        sleep(Duration::from_secs(61)).await;
    }
    assert!(world.runtime.quarantined().is_empty());
    for _ in 0..6 {
        crash(&world, "a").await;
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(600)).await;
    for _ in 0..3 {
        crash(&world, "a").await;
    }
    assert_eq!(quarantined(world.tallies.ask("a", Add(1)).await).retry_after.as_secs(), 1, "forgiven");
    world.end().await;
}

/// What waits behind the crash that quarantines is told.
#[tokio::test(start_paused = true)]
async fn those_who_wait_behind_the_last_crash_are_told() {
    let world = World::with(config()).await;
    let crashes: Vec<_> =
        (0..3).map(|_| tokio::spawn(world.tallies.ask("a", Do::<Seen>::new(|_, _| panic!("on purpose"))))).collect();
    let behind = tokio::spawn(world.tallies.ask("a", Add(1)));
    for crash in crashes {
        assert!(matches!(crash.await.unwrap(), Err(Error::NotStored(_))));
    }
    quarantined(behind.await.unwrap());
    settle().await;
    world.end().await;
}

/// Lifted, it takes commands at once, and its past is forgotten.
#[tokio::test(start_paused = true)]
async fn lifted_quarantine_takes_commands_at_once() {
    let world = World::with(config()).await;
    assert_eq!(world.tallies.lift_quarantine("a"), Ok(false), "there is none");
    for _ in 0..2 {
        for _ in 0..3 {
            crash(&world, "a").await;
        }
        assert_eq!(world.tallies.lift_quarantine("a"), Ok(true));
        assert!(world.runtime.quarantined().is_empty());
    }
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    for _ in 0..3 {
        crash(&world, "a").await;
    }
    assert_eq!(quarantined(world.tallies.ask("a", Add(1)).await).retry_after.as_secs(), 1, "as if for the first time");
    world.end().await;
}

/// P12: what cannot be read back quarantines at once, says which version and why, and nothing is skipped or guessed.
#[tokio::test(start_paused = true)]
async fn stream_that_does_not_decode_is_quarantined_at_once() {
    let forged = [
        ("unheard", Forged::Unheard, "\"tally.unheard\" (revision 1) is not declared"),
        ("revision", Forged::Weighed { bytes: 1 }, "stored in revision 9, but only revision 1"),
        ("shape", Forged::Spent { amount: 1, note: "x".to_owned() }, "only 1 were read"),
        ("cursed", Forged::Cursed, "replay panicked: this event is cursed"),
    ];
    let world = World::with(config()).await;
    for (id, forgery, expected) in forged {
        World::forge(&world.journal, id, [Forged::Added { amount: 1 }, forgery]).await;
        let refused = quarantined(world.tallies.ask(id, Add(1)).await);
        assert!(refused.reason.contains(expected), "{id}: {refused}");
        assert!(refused.reason.contains("version 2"), "{id}: {refused}");
        quarantined(world.tallies.read(id, |tally| tally.sum).await);
    }
    assert_eq!(world.runtime.quarantined().len(), 4);
    let streams: Vec<_> = world.runtime.quarantined().into_iter().map(|one| one.stream.to_string()).collect();
    assert_eq!(streams, ["tally/cursed", "tally/revision", "tally/shape", "tally/unheard"]);
    assert_eq!(world.tallies.ask("whole", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P12: it stays quarantined for longer each time it is tried, and nothing is written behind the damage.
#[tokio::test(start_paused = true)]
async fn unreadable_stream_backs_off_and_is_never_written_to() {
    let world = World::with(config()).await;
    World::forge(&world.journal, "a", [Forged::Unheard]).await;
    for seconds in [1, 2, 4, 5] {
        assert_eq!(quarantined(world.tallies.ask("a", Add(1)).await).retry_after, Duration::from_secs(seconds));
        sleep(Duration::from_secs(seconds)).await;
    }
    assert_eq!(world.journal.durable().borrow().position.get(), 1);
    world.end().await;
}

/// P14: the records of crashes are bounded; at the bound the oldest is forgotten.
#[tokio::test(start_paused = true)]
async fn records_of_crashes_are_bounded() {
    let world = World::with(Config { crashes_max: 1, crash_records_max: 4, ..config() }).await;
    for id in 0..20 {
        crash(&world, &format!("t{id:02}")).await;
    }
    let known: Vec<_> = world.runtime.quarantined().into_iter().map(|one| one.stream.to_string()).collect();
    assert_eq!(known, ["tally/t16", "tally/t17", "tally/t18", "tally/t19"]);
    world.end().await;
}
