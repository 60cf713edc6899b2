//! P14: every bound of admission. Overload answers early, names the bound, and leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use onefold::{Aggregate, Config, Decision, Error};
use onefold_testkit::faults::{AppendFault, Gate, OpenFault, When};
use tokio::task::JoinHandle;

use crate::support::{Add, Happened, No, Seen, World, settle, stream};

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
        assert_eq!(overloaded(world.tallies.version(id).await), ("admitted_max", 32));
        assert_eq!(overloaded(world.tallies.ask(id, Add(1)).idempotency_key("again").await), ("admitted_max", 32));
    }
    let answer = world.tallies.ask("t0", Add(1)).idempotency_key("").await;
    assert!(matches!(answer, Err(Error::InvalidKey(_))), "what trying again does not mend is told: {answer:?}");
    for id in ["", "a\nb", &"x".repeat(256)] {
        let answer = world.tallies.ask(id, Add(1)).await;
        assert!(matches!(answer, Err(Error::InvalidId(_))), "what trying again does not mend is told: {answer:?}");
    }
    assert_eq!(world.runtime.stats().resident, 16, "a refused newcomer takes no place");
    faults.clear();
    gate.open();
    assert!(join_all(waiting).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    assert_eq!(world.tallies.ask("new", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// A command whose type is large.
struct Bulky([u8; 8 * 1024]);

impl onefold::Handle<Bulky> for crate::support::Tally {
    type Reply = u8;

    async fn handle(&self, Bulky(bytes): Bulky, _: &onefold::Context<Self>) -> Result<Decision<Self, u8>, No> {
        Ok(self.reply(move |_| bytes[0]))
    }
}

const BULKY: Bulky = Bulky([7; 8 * 1024]);

/// P14, P15: the bound in bytes counts what the command's type occupies; one aggregate has a sixteenth of it.
#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_as_well() {
    let config = Config { admitted_bytes_max: 1024 * 1024, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let mut waiting = Vec::new();
    let mut refused = [0, 0];
    for aggregate in 0..18 {
        let id = format!("t{aggregate}");
        let asks: Vec<_> = (0..9).map(|_| tokio::spawn(world.tallies.ask(&id, BULKY))).collect();
        settle().await;
        for ask in asks {
            if !ask.is_finished() {
                waiting.push(ask);
                continue;
            }
            match overloaded(ask.await.unwrap()) {
                ("admitted_bytes_max / 16", limit) => refused[0] += usize::from(limit == 64 * 1024),
                ("admitted_bytes_max", limit) => refused[1] += usize::from(limit == 1024 * 1024),
                other => panic!("{other:?}"),
            }
        }
        assert!(aggregate > 0 || (6..=7).contains(&waiting.len()), "7 of 8 KiB and a bit fit into 64 KiB");
    }
    assert!((120..=127).contains(&waiting.len()), "{} of 8 KiB and a bit fit into 1 MiB", waiting.len());
    assert!(refused[0] > 30 && refused[1] > 0 && refused[0] + refused[1] + waiting.len() == 18 * 9, "{refused:?}");
    gate.open();
    assert!(join_all(waiting).await.into_iter().all(|answer| answer.unwrap() == Ok(7)));
    assert_eq!(world.tallies.ask("t0", BULKY).await, Ok(7));
    world.end().await;
}

/// P15: a command larger than an aggregate's share is taken when the aggregate has no other.
#[tokio::test(start_paused = true)]
async fn command_larger_than_the_share_goes_alone() {
    let config = Config { admitted_bytes_max: 64 * 1024, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let alone = ["a", "b"].map(|id| tokio::spawn(world.tallies.ask(id, BULKY)));
    settle().await;
    for id in ["a", "b"] {
        assert_eq!(overloaded(world.tallies.ask(id, BULKY).await), ("admitted_bytes_max / 16", 4 * 1024));
    }
    gate.open();
    for answer in alone {
        assert_eq!(answer.await.unwrap(), Ok(7));
    }
    world.end().await;
}

/// A command whose type is small, and which points to what is large.
struct Parcel(Vec<u8>);

impl onefold::Handle<Parcel> for crate::support::Tally {
    type Reply = usize;

    async fn handle(&self, Parcel(bytes): Parcel, _: &onefold::Context<Self>) -> Result<Decision<Self, usize>, No> {
        Ok(self.reply(move |_| bytes.len()))
    }

    fn weight_of(Parcel(bytes): &Parcel) -> usize {
        bytes.capacity()
    }
}

/// P14: the bound in bytes counts what a waiting command points to, and the metadata that its caller gave it.
#[tokio::test(start_paused = true)]
async fn what_a_command_points_to_counts() {
    let config = Config { admitted_bytes_max: 1024 * 1024, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let parcel = || Parcel(vec![7; 8 * 1024]);
    let heavy: Vec<_> = (0..9).map(|_| tokio::spawn(world.tallies.ask("heavy", parcel()))).collect();
    settle().await;
    assert_eq!(heavy.iter().filter(|ask| !ask.is_finished()).count(), 7, "7 of 8 KiB and a bit fit into 64 KiB");
    assert_eq!(overloaded(world.tallies.ask("heavy", parcel()).await), ("admitted_bytes_max / 16", 64 * 1024));
    let told: Vec<_> = (0..9)
        .map(|_| tokio::spawn(world.tallies.ask("told", Add(1)).metadata("reason", "r".repeat(8 * 1024))))
        .collect();
    settle().await;
    assert_eq!(told.iter().filter(|ask| !ask.is_finished()).count(), 7, "so do 7 with as much metadata");
    gate.open();
    let answered = join_all(heavy).await.into_iter().filter(|answer| *answer.as_ref().unwrap() == Ok(8 * 1024)).count();
    assert_eq!(answered, 7);
    assert_eq!(join_all(told).await.into_iter().filter(|answer| answer.as_ref().unwrap().is_ok()).count(), 7);
    assert_eq!(world.runtime.stats().admitted, 0);
    world.end().await;
}

/// P14: what weighs more than the whole bound takes all of it, and waits for nobody for ever: it goes when nothing else is
/// admitted.
#[tokio::test(start_paused = true)]
async fn command_heavier_than_the_whole_bound_goes_alone() {
    let config = Config { admitted_bytes_max: 64 * 1024, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let alone = tokio::spawn(world.tallies.ask("a", Parcel(vec![7; 1024 * 1024])));
    settle().await;
    assert_eq!(overloaded(world.tallies.ask("b", Add(1)).await), ("admitted_bytes_max", 64 * 1024));
    gate.open();
    assert_eq!(alone.await.unwrap(), Ok(1024 * 1024));
    assert!(world.tallies.ask("b", Add(1)).await.is_ok());
    world.end().await;
}

/// P14: found by a profile of the heap in an overload. An append for which the journal had no room waited with its aggregate,
/// one for each of them, and nobody counted their memory; and all of them were woken whenever there was room for one.
#[tokio::test(start_paused = true)]
async fn few_commands_are_decided_while_the_journal_has_no_room() {
    let (world, faults) = World::faulty(Config::default()).await;
    for id in 0..200 {
        assert!(world.tallies.ask(format!("t{id}"), Add(1)).await.is_ok());
    }
    faults.queue_max(1);
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let decided = Arc::new(AtomicUsize::new(0));
    let ask = |id| tokio::spawn(world.tallies.ask(format!("t{id}"), Told(decided.clone())));
    let asks: Vec<_> = (0..200).map(ask).collect();
    settle().await;
    // One is with the journal, one waited for room before anybody knew that there is none, 64 had a permit.
    let before = decided.load(Ordering::Relaxed);
    assert!((2..=67).contains(&before), "{before} of 200 were decided");
    assert_eq!(world.tallies.read("new", |tally| tally.sum).await, Ok(0), "what stores nothing is served");
    // Whoever waits undecided is still reached by its deadline, and then surely nothing is stored.
    let late = world.tallies.ask("t150", Add(1)).deadline(Duration::from_millis(5)).await;
    assert!(matches!(late, Err(Error::NotStored(_))), "{late:?}");
    gate.open();
    assert!(join_all(asks).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    assert_eq!(decided.load(Ordering::Relaxed), 200);
    assert_eq!(world.runtime.stats().admitted, 0);
    world.end().await;
}

/// P14, P15: found by `cargo load overload`. Tens of thousands of commands were admitted whatever became of their events, and
/// when the overload was over, everybody waited for seconds until the journal had written them. While it is behind, no more
/// are admitted than it writes within `backlog_time_max`, and one aggregate has a sixteenth of them.
#[tokio::test(start_paused = true)]
async fn few_commands_are_admitted_while_the_journal_is_behind() {
    let (world, faults) = World::faulty(Config::default()).await;
    let limit = || world.runtime.stats().admitted_limit;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let first = fill(&world, 1, 1).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(limit(), 65_536, "nobody knows yet");
    gate.open();
    assert!(join_all(first).await.into_iter().all(|answer| answer.unwrap() == Ok(Seen::at(1, 1))));
    assert_eq!(limit(), 64, "one answer in three seconds: as few as may be");

    let gate = Gate::closed();
    faults.open(When::always(), OpenFault::Hold(gate.clone()));
    let ask = |id: usize| tokio::spawn(world.tallies.ask(format!("new{}", id % 16), Add(1)));
    let mut waiting: Vec<_> = (0..63).map(ask).collect();
    settle().await;
    assert_eq!(overloaded(world.tallies.ask("new0", Add(1)).await), ("backlog_time_max / 16", 4));
    assert_eq!(overloaded(world.tallies.version("new0").await), ("backlog_time_max / 16", 4));
    waiting.push(ask(63));
    settle().await;
    assert_eq!(overloaded(world.tallies.ask("t0", Add(1)).await), ("backlog_time_max", 64));
    assert_eq!(world.runtime.stats().admitted, 64, "a refusal leaves nothing behind");

    faults.clear();
    gate.open();
    assert!(join_all(waiting).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    for count in 2..=12 {
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(world.tallies.ask("t0", Add(1)).await, Ok(Seen::at(count, count)));
    }
    assert_eq!(limit(), 65_536, "it keeps up again");
    world.end().await;
}

/// Tells that it was decided, and stores something.
struct Told(Arc<AtomicUsize>);

impl onefold::Handle<Told> for crate::support::Tally {
    type Reply = ();

    async fn handle(&self, Told(decided): Told, _: &onefold::Context<Self>) -> Result<Decision<Self, ()>, No> {
        decided.fetch_add(1, Ordering::Relaxed);
        Ok(self.emit(Happened::Added { amount: 1 }))
    }
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

/// P14: a command whose caller left, or whose deadline passed, in the queue gives its place back at once, and leaves behind
/// no more than a husk: those are bounded as well.
#[tokio::test(start_paused = true)]
async fn cancelled_calls_give_their_place_back_at_once() {
    let (world, faults) = World::faulty(tiny()).await;
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    let first = tokio::spawn(world.tallies.ask("t0", Add(1)));
    settle().await;
    for round in 0..10_000u64 {
        let mut ask = Box::pin(world.tallies.ask("t0", Add(100)).deadline(Duration::from_millis(1)));
        assert!(crate::support::poll_once(ask.as_mut()).is_pending(), "round {round}: it finds a place");
        if round % 100 == 0 {
            overloaded(world.tallies.ask("t0", Add(100)).await);
            assert!(matches!(ask.as_mut().await, Err(Error::NotStored(_))));
            assert_eq!(world.runtime.stats().admitted, 1);
        }
    }
    gate.open();
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(world.tallies.ask("t0", Add(1)).await, Ok(Seen::at(2, 2)));
    world.end().await;
}

/// P14: a queue in which nobody is left brings nothing back, and a shutdown does not wait for it.
#[tokio::test(start_paused = true)]
async fn queue_without_callers_is_not_worth_a_recovery() {
    let world = World::with(Config { resident_max: 1, ..tiny() }).await;
    let slow = crate::support::Do::<()>::new(|tally, _| {
        futures_util::FutureExt::boxed(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(tally.emit_all([]))
        })
    });
    let busy = tokio::spawn(world.tallies.ask("busy", slow));
    settle().await;
    for id in 0..10 {
        // In line, and gone.
        let late = world.tallies.ask(format!("t{id}"), Add(1)).deadline(Duration::from_millis(1)).await;
        assert!(matches!(late, Err(Error::NotStored(_))));
    }
    busy.await.unwrap().unwrap();
    settle().await;
    assert_eq!(world.runtime.stats().activations, 1);
    assert_eq!(world.tallies.ask("next", Add(1)).await, Ok(Seen::at(1, 1)));
    world.end().await;
}

/// P6: a shutdown does not wait for calls whose callers have left.
#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_those_who_left() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.open(When::nth(1), OpenFault::Hold(Gate::closed()));
    for _ in 0..5 {
        let mut ask = Box::pin(world.tallies.ask("a", Add(1)));
        assert!(crate::support::poll_once(ask.as_mut()).is_pending());
    }
    let started = tokio::time::Instant::now();
    assert!(world.runtime.shutdown(Duration::from_secs(10)).await.is_clean());
    assert_eq!(started.elapsed().as_secs(), 0);
}
