//! P14: how many instances are in memory, how many wait for a place, and what they weigh.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use onefold::{Aggregate, Config, Error, NotStoredReason};
use onefold_testkit::faults::{Gate, OpenFault, When};

use crate::support::{Add, Do, Happened, Seen, World, endless, reason, settle};

const MIB: usize = 1024 * 1024;

/// At the limit an idle one makes room, the least recently used first.
#[tokio::test(start_paused = true)]
async fn least_recently_used_idle_instance_makes_room() {
    let world = World::with(Config { resident_max: 8, ..Config::default() }).await;
    for id in 0..100u64 {
        world.tallies.ask(format!("t{id}"), Add(1)).await.unwrap();
        world.tallies.ask("favourite", Add(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(world.runtime.stats().resident <= 8);
    }
    let before = world.runtime.stats().activations;
    assert_eq!(before, 101, "the favourite was never let go");
    assert_eq!(world.tallies.ask("t0", Add(1)).await, Ok(Seen::at(2, 2)));
    world.end().await;
}

/// With none idle, newcomers wait in line; when one becomes idle they are served.
#[tokio::test(start_paused = true)]
async fn newcomers_wait_in_line_when_none_is_idle() {
    let world = World::with(Config { resident_max: 2, ..Config::default() }).await;
    let slow = |time| {
        Do::new(move |tally, _| {
            async move {
                tokio::time::sleep(Duration::from_secs(time)).await;
                Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum)))
            }
            .boxed()
        })
    };
    let busy = [2, 4].map(|time| tokio::spawn(world.tallies.ask(format!("busy{time}"), slow(time))));
    settle().await;
    let newcomers: Vec<_> = (0..10).map(|id| tokio::spawn(world.tallies.ask(format!("new{id}"), Add(1)))).collect();
    settle().await;
    assert!(newcomers.iter().all(|newcomer| !newcomer.is_finished()));
    assert_eq!(world.runtime.stats().resident, 2);
    for newcomer in newcomers {
        assert_eq!(newcomer.await.unwrap(), Ok(Seen::at(1, 1)));
        assert!(world.runtime.stats().resident <= 2);
    }
    for busy in busy {
        busy.await.unwrap().unwrap();
    }
    world.end().await;
}

/// Who waits in line waits to the deadline at most; what was sent never runs.
#[tokio::test(start_paused = true)]
async fn waiting_in_line_ends_at_the_deadline() {
    let config = Config { resident_max: 1, handler_timeout: Duration::from_secs(10), ..Config::default() };
    let world = World::with(config).await;
    let busy = tokio::spawn(world.tallies.ask("busy", endless()));
    settle().await;
    let late = world.tallies.ask("late", Add(1)).deadline(Duration::from_secs(1)).await;
    assert_eq!(reason(late), NotStoredReason::DeadlinePassed);
    assert!(matches!(reason(busy.await.unwrap()), NotStoredReason::HandlerTimeout { .. }));
    assert_eq!(world.tallies.ask("late", Add(10)).await, Ok(Seen::at(1, 10)));
    world.end().await;
}

/// The line is bounded; who finds it full is told which bound, and leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn full_line_is_overloaded() {
    let world = World::with(Config { resident_max: 1, residency_line_max: 3, ..Config::default() }).await;
    let busy = tokio::spawn(world.tallies.ask("busy", endless()));
    settle().await;
    let waiting: Vec<_> = (0..3).map(|id| tokio::spawn(world.tallies.ask(format!("w{id}"), Add(1)))).collect();
    settle().await;
    for _ in 0..5 {
        let refused = world.tallies.ask("late", Add(1)).await.unwrap_err();
        assert!(matches!(refused, Error::Overloaded { bound: "residency_line_max", limit: 3, .. }), "{refused}");
    }
    assert_eq!(world.runtime.stats().admitted, 4);
    assert!(world.tallies.ask("w0", Add(1)).deadline(Duration::from_millis(1)).await.is_err(), "in line already");
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    busy.await.unwrap().unwrap_err();
    assert_eq!(world.tallies.ask("late", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// Places swap between busy aggregates without help from the sweeper, which looks around once a second at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_handed_over_without_waiting_for_the_sweeper() {
    let world = World::with(Config { resident_max: 1, ..Config::default() }).await;
    let rounds = join_all((0..8).map(|id| {
        let tallies = world.tallies.clone();
        async move {
            for _ in 0..100 {
                tallies.ask(format!("t{id}"), Add(1)).await.unwrap();
            }
        }
    }));
    // A hand-over that is missed waits up to a second for the sweeper; 800 of them may not need it even 30 times.
    tokio::time::timeout(Duration::from_secs(30), rounds).await.expect("hand-overs that wait for nothing");
    world.end().await;
}

fn weighing(bytes: usize) -> Do<()> {
    Do::new(move |tally, _| async move { Ok(tally.emit(Happened::Weighed { bytes: bytes as u64 })) }.boxed())
}

/// Heavy instances make room as numerous ones do.
#[tokio::test(start_paused = true)]
async fn heavy_instances_make_room() {
    let world = World::with(Config { resident_bytes_max: 4 * MIB, ..Config::default() }).await;
    for id in 0..20 {
        world.tallies.ask(format!("t{id}"), weighing(MIB)).await.unwrap();
        settle().await;
        assert!(world.runtime.stats().resident <= 5, "{:?}", world.runtime.stats());
    }
    for id in 0..20 {
        assert_eq!(world.tallies.read(format!("t{id}"), |tally| tally.weight).await, Ok(MIB));
    }
    settle().await;
    world.end().await;
}

/// Instances that grow where they are: the idle ones go at the next round, without a newcomer.
#[tokio::test(start_paused = true)]
async fn instances_that_grow_beyond_the_bound_are_let_go() {
    let world = World::with(Config { resident_bytes_max: 4 * MIB, ..Config::default() }).await;
    for id in 0..20 {
        world.tallies.ask(format!("t{id}"), Add(1)).await.unwrap();
    }
    assert_eq!(world.runtime.stats().resident, 20);
    for id in 0..20 {
        world.tallies.ask(format!("t{id}"), weighing(MIB)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.runtime.stats().resident <= 4, "{:?}", world.runtime.stats());
    world.end().await;
}

/// An aggregate heavier than all memory still lives, alone.
#[tokio::test(start_paused = true)]
async fn aggregate_heavier_than_the_bound_lives_alone() {
    let world = World::with(Config { resident_bytes_max: MIB, ..Config::default() }).await;
    world.tallies.ask("heavy", weighing(100 * MIB)).await.unwrap();
    for version in 1..=3 {
        assert_eq!(world.tallies.ask("light", Add(1)).await, Ok(Seen::at(version, version)));
        assert_eq!(world.tallies.read("heavy", |tally| tally.weight).await, Ok(100 * MIB));
        settle().await;
        assert!(world.runtime.stats().resident <= 2);
    }
    world.end().await;
}

/// P14: whoever goes gives its place back, also when others change places at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_place_is_given_back() {
    let config = Config { resident_max: 16, idle_timeout: Duration::from_millis(80), ..Config::default() };
    let world = World::with(config).await;
    for _ in 0..5 {
        let callers = (0..64u64).map(|caller| {
            let tallies = world.tallies.clone();
            tokio::spawn(async move {
                for round in 0..40 {
                    tallies.ask(format!("t{}", (caller * 7 + round) % 97), Add(1)).await.unwrap();
                }
            })
        });
        join_all(callers.collect::<Vec<_>>()).await.into_iter().for_each(|caller| caller.unwrap());
        let empty = async {
            while world.runtime.stats().resident > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), empty).await.expect("places that nobody holds");
    }
    world.end().await;
}

/// P6: the end of a runtime with a long line in front of it: everybody is answered, however long the line.
#[test]
fn end_with_a_long_line_answers_everybody() {
    for tokio_ends in [false, true] {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = Config { resident_max: 1, ..Config::default() };
        let world = tokio.block_on(World::with(config));
        let mut busy = Box::pin(world.tallies.ask("busy", endless()));
        tokio.block_on(async {
            assert!(crate::support::poll_once(busy.as_mut()).is_pending());
            settle().await;
        });
        let mut line: Vec<_> = (0..16_000).map(|id| Box::pin(world.tallies.ask(format!("t{id}"), Add(1)))).collect();
        assert!(line.iter_mut().all(|ask| crate::support::poll_once(ask.as_mut()).is_pending()));
        if tokio_ends {
            drop(tokio);
        } else {
            drop(world.runtime);
            tokio.block_on(settle());
        }
        for ask in line {
            let refused = crate::support::block_on(ask).unwrap_err();
            assert!(refused.is_surely_not_stored(), "{refused}");
        }
        assert_eq!(reason(crate::support::block_on(busy)), NotStoredReason::ShuttingDown);
    }
}

/// A crash leaves nothing in memory worth a place: whoever stands in line gets it, without waiting for the sweeper.
#[tokio::test(start_paused = true)]
async fn place_is_handed_over_after_a_crash() {
    let world = World::with(Config { resident_max: 1, ..Config::default() }).await;
    let crashing = Do::<Seen>::new(|_, _| {
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            panic!("on purpose")
        }
        .boxed()
    });
    let crash = tokio::spawn(world.tallies.ask("a", crashing));
    settle().await;
    let started = tokio::time::Instant::now();
    assert_eq!(world.tallies.ask("b", Add(1)).await, Ok(Seen::at(1, 1)));
    assert_eq!(started.elapsed().as_millis(), 100);
    crash.await.unwrap().unwrap_err();
    world.end().await;
}

/// P14: whatever a state claims to weigh, the sum of it all makes sense.
#[tokio::test(start_paused = true)]
async fn weights_beyond_all_bounds_are_only_heavy() {
    let world = World::start().await;
    for id in 0..5 {
        assert_eq!(world.tallies.ask(format!("t{id}"), weighing(usize::MAX - 5)).await, Ok(()));
        assert_eq!(world.tallies.ask(format!("t{id}"), Add(1)).await.map(|seen| seen.sum), Ok(1));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.runtime.stats().resident <= 1, "{:?}", world.runtime.stats());
    world.end().await;
}

/// P14: an aggregate that is being brought back is not idle, though all who asked for it have left.
#[tokio::test(start_paused = true)]
async fn recovery_whose_callers_left_keeps_its_place() {
    let (world, faults) = World::faulty(Config { resident_max: 1, ..Config::default() }).await;
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    for _ in 0..99 {
        // So many that their husks are swept out, three times 33.
        let mut ask = Box::pin(world.tallies.ask("a", Add(1)));
        assert!(crate::support::poll_once(ask.as_mut()).is_pending());
        settle().await;
    }
    let newcomer = tokio::spawn(world.tallies.ask("b", Add(1)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!newcomer.is_finished(), "the only place is taken");
    gate.open();
    assert_eq!(newcomer.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(world.runtime.stats().resident, 1);
    world.end().await;
}
