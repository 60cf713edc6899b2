//! P11: the state is a pure function of the events: live = replay.

use futures_util::{FutureExt, TryStreamExt};
use onefold::{Aggregate, Config};
use onefold_testkit::seeds;
use proptest::prelude::*;

use crate::support::{Add, Do, Happened, Random, Spend, Tally, World};

/// One step of a life.
#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Spend(u64),
    /// Several events, of which the last may be cursed.
    Several(Vec<u64>, bool),
    Panic,
    /// Let go, and brought back.
    Passivate,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..1_000u64).prop_map(Step::Add),
        3 => (0..1_000u64).prop_map(Step::Spend),
        2 => (proptest::collection::vec(0..1_000u64, 0..5), any::<bool>()).prop_map(|(all, bad)| Step::Several(all, bad)),
        1 => Just(Step::Panic),
        1 => Just(Step::Passivate),
    ]
}

async fn take(world: &World, step: Step) {
    let tallies = &world.tallies;
    match step {
        Step::Add(amount) => drop(tallies.ask("a", Add(amount)).await.unwrap()),
        Step::Spend(amount) => drop(tallies.ask("a", Spend(amount)).await),
        Step::Several(amounts, cursed) => {
            let events = amounts.into_iter().map(|amount| Happened::Added { amount });
            let events: Vec<_> = events.chain(cursed.then_some(Happened::Cursed)).collect();
            let several = Do::new(|tally, _| async move { Ok(tally.emit_all(events)) }.boxed());
            assert_eq!(tallies.ask("a", several).await.is_err(), cursed);
        }
        Step::Panic => drop(tallies.ask("a", Do::<()>::new(|_, _| panic!("on purpose"))).await.unwrap_err()),
        // The only place is taken by another.
        Step::Passivate => drop(tallies.version("other").await.unwrap()),
    }
}

/// The state of `a`, and what its events make by hand.
async fn live_and_replayed(world: &World) -> (Tally, Tally) {
    let live = world.tallies.read("a", Tally::clone).await.unwrap();
    let events: Vec<_> = world.tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    let mut replayed = Tally::default();
    events.iter().for_each(|event| replayed.apply(&event.event));
    (live, replayed)
}

fn config() -> Config {
    Config { resident_max: 1, crashes_max: u32::MAX, ..Config::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// P11: after any life the state is what its events make, and stays so when it is brought back.
    #[test]
    fn live_state_is_what_the_events_make(steps in proptest::collection::vec(any_step(), 0..40)) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        tokio.block_on(async {
            let world = World::with(config()).await;
            for step in steps {
                take(&world, step).await;
            }
            let (live, replayed) = live_and_replayed(&world).await;
            assert_eq!(live, replayed);
            take(&world, Step::Passivate).await;
            let (again, _) = live_and_replayed(&world).await;
            assert_eq!(again, live);
            world.end().await;
        });
    }
}

/// P11: a long stream, replayed in many chunks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_stream_is_replayed_whole() {
    for seed in seeds::from_env_or(&[1]) {
        let _guard = seeds::announce(seed);
        let mut random = Random::new(seed);
        let world = World::with(config()).await;
        for _ in 0..1_500 {
            take(&world, Step::Several((0..random.below(4)).map(|_| random.below(1_000)).collect(), false)).await;
        }
        let (live, replayed) = live_and_replayed(&world).await;
        assert_eq!(live, replayed);
        take(&world, Step::Passivate).await;
        assert_eq!(world.tallies.read("a", Tally::clone).await, Ok(live));
        world.end().await;
    }
}
