//! An actor with nothing to do for a second goes; the instance keeps its place in memory, and callers run their own calls on
//! it. Nothing that is promised may depend on whether there is an actor: one comes when it is needed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use onefold::journal::Journal;
use onefold::{Aggregate, Config, MemoryJournal, NotStoredReason, Runtime};

use onefold_testkit::faults::{AppendFault, Gate, When};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::support::{Add, Do, Happened, Random, Seen, Tally, World, poll_once, reason, settle};

/// Long enough for the actor to be sent home.
const QUIET: Duration = Duration::from_millis(2_500);

fn adding_later() -> Do<Seen> {
    Do::new(|tally, _| {
        async move {
            yield_now().await;
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    })
}

/// A world with one instance, at version 1, whose actor has gone.
async fn dozing(world: &World, id: &str) {
    world.tallies.ask(id, Add(1)).await.unwrap();
    sleep(QUIET).await;
    let stats = world.runtime.stats();
    assert_eq!(stats.actors, 0, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn instance_stays_in_memory_and_answers_without_an_actor() {
    let world = World::start().await;
    dozing(&world, "a").await;
    for version in 2..=5 {
        assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(version, version)));
        assert_eq!(world.tallies.version("a").await.unwrap().get(), version);
    }
    let stats = world.runtime.stats();
    assert_eq!((stats.resident, stats.actors, stats.activations), (1, 0, 1));
    world.end().await;
}

/// P6, P16: what has to wait gets an actor again, and keeps its order.
#[tokio::test(start_paused = true)]
async fn busy_aggregate_gets_an_actor_again() {
    let world = World::start().await;
    dozing(&world, "a").await;
    let answers = join_all((0..100).map(|_| world.tallies.ask("a", Add(1)))).await;
    let expected: Vec<_> = (2..=101).map(|version| Ok(Seen::at(version, version))).collect();
    assert_eq!(answers, expected);
    sleep(QUIET).await;
    assert_eq!(world.tallies.ask("a", adding_later()).await, Ok(Seen::at(102, 102)), "a handler that waits");
    assert_eq!(world.runtime.stats().activations, 1);
    world.end().await;
}

/// P9: a failed append throws the state away, also when nobody but its caller ran on it.
#[tokio::test(start_paused = true)]
async fn failed_append_of_a_dozing_instance_is_recovered_from() {
    let (world, faults) = World::faulty(Config::default()).await;
    dozing(&world, "a").await;
    for fault in [AppendFault::FailBeforeWrite, AppendFault::FailAfterWrite] {
        let version = world.tallies.version("a").await.unwrap().get();
        faults.append(When::nth(1), fault.clone());
        world.tallies.ask("a", Add(1)).await.unwrap_err();
        let stored = version + u64::from(matches!(fault, AppendFault::FailAfterWrite));
        assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(stored + 1, stored + 1)));
        sleep(QUIET).await;
        assert_eq!(world.runtime.stats().actors, 0);
    }
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn panic_on_a_dozing_instance_is_recovered_from() {
    let world = World::start().await;
    dozing(&world, "a").await;
    let panics = Do::<Seen>::new(|_, _| async { panic!("on purpose") }.boxed());
    let answer = world.tallies.ask("a", panics).await;
    assert!(matches!(reason(answer), NotStoredReason::Panicked { stage: "handle", .. }));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)));
    assert_eq!(world.runtime.stats().activations, 2);
    world.end().await;
}

/// P14: who dozes gives its place to a newcomer, and goes after its idle time, like any other.
#[tokio::test(start_paused = true)]
async fn dozing_instances_are_let_go_at_the_limit_and_after_their_time() {
    let world =
        World::with(Config { resident_max: 3, idle_timeout: Duration::from_secs(60), ..Config::default() }).await;
    for round in 1..=3 {
        for id in ["a", "b", "c", "d", "e"] {
            dozing(&world, id).await;
            assert_eq!(world.tallies.version(id).await.unwrap().get(), round);
        }
    }
    let stats = world.runtime.stats();
    assert_eq!((stats.resident, stats.activations, stats.passivations), (3, 15, 12));
    sleep(Duration::from_secs(90)).await;
    let stats = world.runtime.stats();
    assert_eq!((stats.resident, stats.passivations), (0, 15));
    world.end().await;
}

/// A runtime that ends, gracefully or not, leaves nothing behind of an instance without an actor.
#[tokio::test(start_paused = true)]
async fn end_of_the_runtime_frees_dozing_instances() {
    for graceful in [true, false] {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let observed = Arc::downgrade(&journal);
        let builder = Runtime::builder(journal).aggregate::<Tally>(Arc::default());
        let runtime = builder.start().await.unwrap();
        let tallies = runtime.aggregates::<Tally>().unwrap();
        for id in ["a", "b"] {
            tallies.ask(id, Add(1)).await.unwrap();
        }
        sleep(QUIET).await;
        assert_eq!((runtime.stats().resident, runtime.stats().actors), (2, 0));
        if graceful {
            assert!(runtime.shutdown(Duration::from_secs(1)).await.is_clean());
            assert_eq!(runtime.stats().resident, 0);
        }
        drop((runtime, tallies));
        // Its last owner drops it on a thread of its own.
        for _ in 0..200 {
            settle().await;
            if observed.strong_count() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(observed.strong_count(), 0, "graceful: {graceful}");
    }
}

/// P6, P16, seeded: actors come and go while callers come and go; nothing is lost, nothing doubled.
#[tokio::test(start_paused = true)]
async fn storm_of_quiet_and_busy_times_loses_nothing() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let (world, faults) = World::faulty(Config { resident_max: 4, ..Config::default() }).await;
        let mut sums = [0u64; 6];
        for _ in 0..30 {
            let id = random.below(6);
            let (count, gate) = (1 + random.below(4), Gate::closed());
            if random.one_in(3) {
                faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
            }
            let mut asks: Vec<_> = (0..count)
                .map(|number| match number % 2 {
                    0 => world.tallies.ask(id.to_string(), Add(1)).left_future(),
                    _ => world.tallies.ask(id.to_string(), adding_later()).right_future(),
                })
                .map(Box::pin)
                .collect();
            for ask in &mut asks {
                assert!(poll_once(ask.as_mut()).is_pending());
            }
            if random.one_in(4) {
                sleep(QUIET).await;
            }
            gate.open();
            for (number, answer) in (1..).zip(join_all(asks).await) {
                let sum = sums[usize::try_from(id).unwrap()] + number;
                assert_eq!(answer, Ok(Seen::at(sum, sum)), "seed {seed}");
            }
            sums[usize::try_from(id).unwrap()] += count;
            if random.one_in(2) {
                sleep(QUIET).await;
            }
        }
        sleep(QUIET).await;
        assert_eq!(world.runtime.stats().actors, 0);
        world.end().await;
    }
}
