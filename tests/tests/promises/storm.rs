//! P3–P7, P9, P16, P17 all at once: many callers, panics, drops, passivation, failing appends; the history checker finds
//! nothing lost, nothing doubled, and every aggregate linearizable.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use onefold::journal::ReadError;
use onefold::{Aggregate, Aggregates, Config, Error};
use onefold_testkit::faults::{AppendFault, Faults, OpenFault, ReadFault, When};
use onefold_testkit::history::{History, Invocation, OPERATION_ENTRY, Report, operation_in_metadata};
use onefold_testkit::seeds;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use crate::support::{Do, Happened, No, Random, Seen, Tally, World, settle, stream};

const CALLERS: u64 = 64;
const AGGREGATES: u64 = 7;

/// How wild it is.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) rounds: u64,
    /// One append in so many fails; 0 is never.
    pub(crate) faults: u64,
    /// One command in so many panics, and one in so many callers leaves.
    pub(crate) wildness: u64,
}

/// Few places, short idle times, no quarantine.
fn config() -> Config {
    Config {
        idle_timeout: Duration::from_millis(10),
        resident_max: 3,
        crashes_max: u32::MAX,
        turn_commands_max: 3,
        admitted_per_aggregate_max: 32,
        admitted_max: 512,
        ..Config::default()
    }
}

/// A command of the storm: awaits now and then, panics now and then, decides on up to three events.
fn command(mut random: Random, wildness: u64) -> Do<(Seen, u64)> {
    Do::new(move |tally, cx| {
        async move {
            for _ in 0..random.below(3) {
                yield_now().await;
            }
            if random.one_in(13) {
                cx.durable().await;
            }
            assert!(!random.one_in(wildness), "on purpose");
            let amount = random.below(100);
            if tally.sum < amount && random.one_in(2) {
                return Err(No { sum: tally.sum });
            }
            let mut events: Vec<_> = (0..random.below(4)).map(|_| Happened::Added { amount: 1 }).collect();
            if random.one_in(wildness) {
                events.push(Happened::Cursed);
            }
            let (count, version) = (events.len() as u64, cx.version().plus(events.len() as u64));
            let panics = random.one_in(wildness);
            Ok(tally.emit_all(events).reply(move |tally| {
                assert!(!panics, "on purpose");
                (Seen { version, sum: tally.sum }, count)
            }))
        }
        .boxed()
    })
}

fn record(operation: Invocation, answer: Result<(Seen, u64), Error<No>>) {
    match answer {
        Ok((seen, 0)) => operation.read(seen.version),
        Ok((seen, events)) => operation.stored(seen.version, events),
        Err(Error::Rejected(_)) => operation.rejected(),
        Err(error) if error.is_surely_not_stored() => operation.not_stored(),
        Err(_) => operation.unknown(),
    }
}

pub(crate) async fn call(tallies: Aggregates<Tally>, history: History, mut random: Random, weather: Weather) {
    for _ in 0..weather.rounds {
        let id = format!("t{}", random.below(AGGREGATES));
        let operation = history.begin(&stream(&id));
        if random.one_in(4) {
            match tallies.version(&id).await {
                Ok(version) => operation.read(version),
                Err(_) => operation.not_stored(),
            }
            continue;
        }
        let mark = operation.id().get().to_string();
        let mut ask = tallies.ask(&id, command(random.fork(), weather.wildness)).metadata(OPERATION_ENTRY, mark);
        if random.one_in(weather.wildness) {
            ask = ask.deadline(Duration::from_millis(random.below(5)));
        }
        if random.one_in(weather.wildness) {
            // The caller leaves: nobody knows.
            drop(timeout(Duration::from_micros(random.below(3_000)), ask).await);
            drop(operation);
            continue;
        }
        record(operation, ask.await);
    }
}

/// Appends, openings and reads fail now and then.
fn script(faults: &Faults, random: &mut Random, weather: Weather) {
    if weather.faults == 0 {
        return;
    }
    let storage = || ReadError::Storage { reason: "scripted".into() };
    for _ in 0..CALLERS * weather.rounds / weather.faults {
        let when = When::nth(1 + random.below(weather.faults));
        match random.below(6) {
            0 => faults.append(when, AppendFault::FailBeforeWrite),
            1 => faults.append(when, AppendFault::FailAfterWrite),
            2 => faults.append(when, AppendFault::LoseWrite),
            3 => faults.append(when, AppendFault::DelayAnswer(Duration::from_millis(random.below(10)))),
            4 => faults.open(when, OpenFault::Delay(Duration::from_millis(random.below(5)))),
            _ => faults.read(when, ReadFault::Fail(storage())),
        }
    }
}

async fn storm(seed: u64, weather: Weather) -> Report {
    let _guard = seeds::announce(seed);
    let mut random = Random::new(seed);
    let (world, faults) = World::faulty(config()).await;
    script(&faults, &mut random, weather);
    let (history, mut callers) = (History::new(), JoinSet::new());
    for _ in 0..CALLERS {
        callers.spawn(call(world.tallies.clone(), history.clone(), random.fork(), weather));
    }
    callers.join_all().await;
    faults.clear();
    // Those whose callers left come to their end.
    for _ in 0..1_000 {
        if world.runtime.stats().admitted == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for id in 0..AGGREGATES {
        let id = format!("t{id}");
        let live = world.tallies.read(&id, Tally::clone).await.unwrap();
        let events: Vec<_> =
            futures_util::TryStreamExt::try_collect(world.tallies.events(&id, 0).unwrap()).await.unwrap();
        let mut replayed = Tally::default();
        events.iter().for_each(|event| replayed.apply(&event.event));
        assert_eq!(live, replayed, "{id}");
    }
    let stats = world.runtime.stats();
    assert!(stats.activations > AGGREGATES && stats.passivations > 0, "{stats:?}");
    let journal = world.journal.clone();
    settle().await;
    world.end().await;
    let report = history.check_journal(&journal, |part, _| operation_in_metadata(part)).await;
    report.unwrap_or_else(|violation| panic!("{violation}"))
}

fn assert_varied(report: &Report) {
    let Report { stored, reads, rejected, not_stored, unknown, .. } = *report;
    assert!([stored, reads, rejected, not_stored, unknown].iter().all(|count| *count > 0), "{report:?}");
}

/// Nothing fails but the users' code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_of_panics_drops_and_passivations_loses_and_doubles_nothing() {
    for seed in seeds::from_env_or(&[1, 2]) {
        assert_varied(&storm(seed, Weather { rounds: 50, faults: 0, wildness: 11 }).await);
    }
}

/// The journal fails as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_on_a_failing_journal_loses_and_doubles_nothing() {
    for seed in seeds::from_env_or(&[11, 12]) {
        let report = storm(seed, Weather { rounds: 50, faults: 9, wildness: 17 }).await;
        assert_varied(&report);
        assert!(report.unknown_stored > 0, "{report:?}");
    }
}

/// On one thread under paused time, where every interleaving repeats with its seed.
#[tokio::test(start_paused = true)]
async fn storm_on_one_thread_loses_and_doubles_nothing() {
    for seed in seeds::from_env_or(&[21, 22, 23, 24]) {
        assert_varied(&storm(seed, Weather { rounds: 30, faults: 9, wildness: 13 }).await);
    }
}

/// The same seed gives the same history, on one thread under paused time.
#[tokio::test(start_paused = true)]
async fn storm_repeats_with_its_seed() {
    let weather = Weather { rounds: 10, faults: 7, wildness: 7 };
    let first = storm(31, weather).await;
    assert_eq!(storm(31, weather).await, first);
}

/// P6: a runtime that is dropped in the middle of it is as safe as a kill, and leaves nobody waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_ends_with_a_drop_and_everybody_is_answered() {
    let world = World::with(config()).await;
    let history = History::new();
    let mut callers = JoinSet::new();
    let (mut random, weather) = (Random::new(41), Weather { rounds: 1_000, faults: 0, wildness: 17 });
    for _ in 0..CALLERS {
        callers.spawn(call(world.tallies.clone(), history.clone(), random.fork(), weather));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let journal = Arc::clone(&world.journal);
    drop(world.runtime);
    timeout(Duration::from_secs(20), callers.join_all()).await.expect("everybody is answered");
    let report = history.check_journal(&journal, |part, _| operation_in_metadata(part)).await;
    report.unwrap_or_else(|violation| panic!("{violation}"));
}
