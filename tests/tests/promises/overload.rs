//! P14: every bound of admission. Overload answers early, names the bound, and leaves nothing behind.

use std::time::Duration;

use futures_util::future::join_all;
use onefold::{Aggregate, Config, Error};
use onefold_testkit::faults::{Gate, OpenFault, When};
use tokio::task::JoinHandle;

use crate::support::{Add, No, Seen, World, settle, stream};

/// At most two per aggregate, 32 in all.
fn tiny() -> Config {
    Config { admitted_per_aggregate_max: 2, admitted_max: 32, ..Config::default() }
}

#[track_caller]
fn overloaded<T: std::fmt::Debug>(answer: Result<T, Error<No>>) -> (&'static str, usize) {
    let error = answer.unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    let Error::Overloaded { bound, limit, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains(bound), "{error}");
    (bound, limit)
}

/// Commands that wait behind a gate, `per` each for aggregates `0..aggregates`.
async fn fill(world: &World, aggregates: usize, per: usize) -> Vec<JoinHandle<Result<Seen, Error<No>>>> {
    let ids = (0..aggregates).flat_map(|id| std::iter::repeat_n(id, per));
    let waiting = ids.map(|id| tokio::spawn(world.tallies.ask(format!("t{id}"), Add(1)))).collect();
    settle().await;
    waiting
}

/// P14: the aggregate's own bound; its neighbours have room.
#[tokio::test(start_paused = true)]
async fn full_aggregate_refuses_and_its_neighbour_does_not() {
    let (world, faults) = World::faulty(tiny()).await;
    let gate = Gate::closed();
    faults.open(When::nth(1).of(&stream("t0")), OpenFault::Hold(gate.clone()));
    let waiting = fill(&world, 1, 2).await;
    for _ in 0..10 {
        assert_eq!(overloaded(world.tallies.ask("t0", Add(1)).await), ("admitted_per_aggregate_max", 2));
        assert_eq!(overloaded(world.tallies.version("t0").await), ("admitted_per_aggregate_max", 2));
    }
    assert_eq!(world.runtime.stats().admitted, 2, "a refusal leaves nothing behind");
    assert_eq!(world.tallies.ask("neighbour", Add(1)).await, Ok(Seen::at(1, 1)));
    gate.open();
    assert!(join_all(waiting).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    assert_eq!(world.tallies.ask("t0", Add(1)).await, Ok(Seen::at(3, 3)));
    world.end().await;
}

/// P14: the total bound.
#[tokio::test(start_paused = true)]
async fn total_bound_refuses_whoever_comes() {
    let (world, faults) = World::faulty(tiny()).await;
    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let waiting = fill(&world, 16, 2).await;
    assert_eq!(world.runtime.stats().admitted, 32);
    for id in ["t0", "new"] {
        assert_eq!(overloaded(world.tallies.ask(id, Add(1)).await), ("admitted_max", 32));
    }
    assert_eq!(world.runtime.stats().resident, 16, "a refused newcomer takes no place");
    faults.clear();
    gate.open();
    assert!(join_all(waiting).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    assert_eq!(world.tallies.ask("new", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P14: the bound in bytes counts what the command's type occupies; a bulky type is refused earlier than a small one.
#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_as_well() {
    struct Bulky([u8; 8 * 1024]);
    impl onefold::Handle<Bulky> for crate::support::Tally {
        type Reply = u8;
        async fn handle(
            &self,
            Bulky(bytes): Bulky,
            _: &onefold::Context<Self>,
        ) -> Result<onefold::Decision<Self, u8>, No> {
            Ok(self.reply(move |_| bytes[0]))
        }
    }
    let config = Config { admitted_bytes_max: 64 * 1024, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let asks: Vec<_> = (0..9).map(|_| tokio::spawn(world.tallies.ask("a", Bulky([7; 8 * 1024])))).collect();
    settle().await;
    let admitted = world.runtime.stats().admitted;
    assert!((6..=7).contains(&admitted), "{admitted} commands of 8 KiB and a bit fit into 64 KiB");
    gate.open();
    let answers = join_all(asks).await.into_iter().map(Result::unwrap);
    let (done, refused): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
    assert_eq!(done.len(), admitted);
    for answer in refused {
        assert_eq!(overloaded(answer), ("admitted_bytes_max", 64 * 1024));
    }
    assert_eq!(world.tallies.ask("a", Bulky([7; 8 * 1024])).await, Ok(7));
    world.end().await;
}

/// P14: a refused or cancelled command gives its place back, however it ends.
#[tokio::test(start_paused = true)]
async fn every_end_gives_its_place_back() {
    let world = World::with(tiny()).await;
    for round in 0..50u64 {
        let id = format!("t{}", round % 3);
        match round % 5 {
            0 => drop(world.tallies.ask(&id, Add(1)).await),
            1 => drop(world.tallies.ask(&id, crate::support::Spend(1_000)).await),
            2 => drop(world.tallies.ask(&id, Add(1)).deadline(Duration::ZERO).await),
            3 => drop(tokio::time::timeout(Duration::ZERO, world.tallies.ask(&id, Add(1))).await),
            _ => drop(world.tallies.ask(&id, Add(1)).expect_version(9_999u64).await),
        }
        settle().await;
        assert_eq!(world.runtime.stats().admitted, 0, "round {round}");
    }
    world.end().await;
}
