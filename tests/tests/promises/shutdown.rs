//! P6: the end, graceful or not: everybody is answered, and nobody hangs.

use std::time::Duration;

use futures_util::future::join_all;
use onefold::{Config, Error, NotStoredReason, Runtime};
use onefold_testkit::faults::{AppendFault, Gate, OpenFault, When};
use tokio::time::Instant;

use crate::support::{Add, Seen, Tally, World, capture, endless, reason, settle, slow};

/// P6: a graceful shutdown lets everything that was accepted come to its end.
#[tokio::test(start_paused = true)]
async fn graceful_shutdown_answers_everything() {
    let world = World::start().await;
    let running: Vec<_> = (0..10)
        .flat_map(|id| {
            let id = format!("t{id}");
            let first = tokio::spawn(world.tallies.ask(&id, slow(Duration::from_secs(3))));
            [first, tokio::spawn(world.tallies.ask(&id, Add(1)))]
        })
        .collect();
    settle().await;
    let report = world.runtime.shutdown(Duration::from_secs(10)).await;
    assert!(report.is_clean() && report.unanswered == 0, "{report:?}");
    for (index, answer) in join_all(running).await.into_iter().enumerate() {
        let version = index as u64 % 2 + 1;
        assert_eq!(answer.unwrap(), Ok(Seen::at(version, version)));
    }
}

/// Later asks are told, retry-safe, and find nothing changed.
#[tokio::test(start_paused = true)]
async fn later_asks_are_told() {
    let world = World::start().await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    let tallies = world.tallies.clone();
    assert!(world.runtime.shutdown(Duration::from_secs(1)).await.is_clean());
    for id in ["a", "new"] {
        let refused = tallies.ask(id, Add(1)).await.unwrap_err();
        assert!(refused.is_retry_safe(), "{refused}");
        assert_eq!(reason::<()>(Err(refused)), NotStoredReason::ShuttingDown);
        assert_eq!(reason(tallies.version(id).await), NotStoredReason::ShuttingDown);
    }
}

/// While a shutdown waits, no newcomer is let in.
#[tokio::test(start_paused = true)]
async fn newcomers_during_a_shutdown_are_refused() {
    let world = World::start().await;
    let tallies = world.tallies.clone();
    let running = tokio::spawn(tallies.ask("a", slow(Duration::from_secs(3))));
    settle().await;
    let shutdown = tokio::spawn(world.runtime.shutdown(Duration::from_secs(10)));
    settle().await;
    assert_eq!(reason(tallies.ask("a", Add(1)).await), NotStoredReason::ShuttingDown);
    assert!(!shutdown.is_finished());
    assert_eq!(running.await.unwrap(), Ok(Seen::at(1, 1)));
    assert!(shutdown.await.unwrap().is_clean());
}

/// P6: past its deadline a shutdown answers the rest, says how many, and closes the journal all the same.
#[tokio::test(start_paused = true)]
async fn shutdown_past_its_deadline_reports_and_answers_the_rest() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::nth(1), AppendFault::HoldAnswer(Gate::closed()));
    faults.open(When::nth(3), OpenFault::Hold(Gate::closed()));
    let held = tokio::spawn(world.tallies.ask("held", Add(1)));
    let stuck = tokio::spawn(world.tallies.ask("stuck", endless()).deadline(Duration::from_secs(100)));
    let queued = tokio::spawn(world.tallies.ask("stuck", Add(1)));
    settle().await;
    let opening = tokio::spawn(world.tallies.ask("opening", Add(1)));
    settle().await;
    let started = Instant::now();
    let report = world.runtime.shutdown(Duration::from_secs(2)).await;
    assert_eq!(report.unanswered, 4, "{report:?}");
    let named = report.unanswered_by_aggregate.iter().map(|(stream, count)| (stream.aggregate_id(), *count));
    assert_eq!(named.collect::<Vec<_>>(), [("held", 1), ("opening", 1), ("stuck", 2)]);
    assert!(!report.is_clean() && report.journal.is_err(), "an append that hangs cannot be closed cleanly: {report:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    for answer in [stuck, queued, opening] {
        assert_eq!(reason(answer.await.unwrap()), NotStoredReason::ShuttingDown);
    }
    assert!(matches!(held.await.unwrap(), Err(Error::OutcomeUnknown(_))), "the journal may have it");
}

/// P6: dropped without a shutdown it says so, and answers its callers at once, as safe as a kill.
#[tokio::test(start_paused = true)]
async fn runtime_dropped_without_shutdown_says_so_and_answers() {
    let captured = capture();
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(2), AppendFault::HoldAnswer(gate.clone()));
    world.tallies.ask("a", Add(1)).await.unwrap();
    let held = tokio::spawn(world.tallies.ask("a", Add(1)));
    let stuck = tokio::spawn(world.tallies.ask("b", endless()));
    let queued = tokio::spawn(world.tallies.ask("b", Add(1)));
    settle().await;
    let started = Instant::now();
    drop(world.runtime);
    assert_eq!(captured.named("onefold.dropped").len(), 1, "{:?}", captured.all());
    assert!(captured.named("onefold.dropped")[0].starts_with("ERROR"));
    for answer in [stuck, queued] {
        assert_eq!(reason(answer.await.unwrap()), NotStoredReason::ShuttingDown);
    }
    gate.open();
    assert_eq!(held.await.unwrap(), Ok(Seen::at(2, 2)), "the journal decides what it has");
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(reason(world.tallies.ask("a", Add(1)).await), NotStoredReason::ShuttingDown);
    let next = World::on(world.journal, Config::default()).await;
    assert_eq!(next.tallies.ask("a", Add(1)).await, Ok(Seen::at(3, 3)));
    next.end().await;
}

/// A graceful shutdown is silent.
#[tokio::test(start_paused = true)]
async fn graceful_shutdown_logs_no_error() {
    let captured = capture();
    let world = World::start().await;
    world.tallies.ask("a", Add(1)).await.unwrap();
    world.end().await;
    let errors: Vec<_> = captured.all().into_iter().filter(|line| !line.starts_with(['D', 'T'])).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!captured.named("onefold.recovered").is_empty(), "{:?}", captured.all());
}

/// P6: the tokio runtime underneath ends first: callers on another one are told, and nobody hangs or panics.
#[test]
fn callers_are_told_when_the_tokio_runtime_ends() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = tokio.block_on(World::start());
    let callers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stuck = callers.spawn(world.tallies.ask("stuck", endless()));
    let queued = callers.spawn(world.tallies.ask("stuck", Add(1)));
    while world.runtime.stats().admitted < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    tokio.shutdown_timeout(Duration::from_secs(5));
    for answer in [stuck, queued] {
        let answer = callers.block_on(async { tokio::time::timeout(Duration::from_secs(5), answer).await });
        let answer = answer.expect("answered, not left waiting").expect("no panic in the caller");
        assert_eq!(reason(answer), NotStoredReason::ShuttingDown);
    }
    let late = callers.spawn(world.tallies.ask("late", Add(1)));
    let late = callers.block_on(async { tokio::time::timeout(Duration::from_secs(5), late).await });
    let late = late.expect("answered, not left waiting").expect("no panic in the caller");
    assert!(matches!(late, Err(Error::NotStored(_))), "{late:?}");
}

/// P6: a shutdown that was given up is none: the runtime is dropped as safely as without it, whichever goes first.
#[tokio::test(start_paused = true)]
async fn shutdown_that_is_given_up_leaves_nobody_waiting() {
    for runtime_first in [false, true] {
        for begun in [false, true] {
            let captured = capture();
            let world = World::start().await;
            let stuck = tokio::spawn(world.tallies.ask("a", endless()));
            let queued = tokio::spawn(world.tallies.ask("a", Add(1)));
            settle().await;
            let mut shutdown = Box::pin(world.runtime.shutdown(Duration::from_secs(10)));
            if begun {
                assert!(crate::support::poll_once(shutdown.as_mut()).is_pending());
            }
            let started = Instant::now();
            if runtime_first {
                drop(world.runtime);
                settle().await;
                assert!(!stuck.is_finished(), "the shutdown goes on");
                drop(shutdown);
            } else {
                drop(shutdown);
                drop(world.runtime);
            }
            for answer in [stuck, queued] {
                assert_eq!(reason(answer.await.unwrap()), NotStoredReason::ShuttingDown);
            }
            assert_eq!(started.elapsed(), Duration::ZERO);
            assert_eq!(captured.named("onefold.dropped").len(), 1, "{:?}", captured.all());
        }
    }
}

/// A shutdown goes on to its end when the runtime itself is dropped meanwhile.
#[tokio::test(start_paused = true)]
async fn shutdown_outlives_its_runtime() {
    let captured = capture();
    let world = World::start().await;
    let running = tokio::spawn(world.tallies.ask("a", slow(Duration::from_secs(3))));
    settle().await;
    let shutdown = world.runtime.shutdown(Duration::from_secs(10));
    drop(world.runtime);
    assert!(shutdown.await.is_clean());
    assert_eq!(running.await.unwrap(), Ok(Seen::at(1, 1)));
    assert!(captured.named("onefold.dropped").is_empty(), "{:?}", captured.all());
}

/// P15: closing a journal may block; whoever holds it last, no tokio worker waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_is_not_dropped_on_a_tokio_worker() {
    for graceful in [false, true] {
        let (journal, valve) = crate::support::SlowJournal::new();
        valve.open();
        let runtime = Runtime::builder(journal).aggregate::<Tally>(Default::default()).start().await.unwrap();
        let tallies = runtime.aggregates::<Tally>().unwrap();
        tallies.ask("a", Add(1)).await.unwrap();
        if graceful {
            assert!(runtime.shutdown(Duration::from_secs(5)).await.is_clean());
        }
        drop((runtime, tallies));
        let within_tokio = tokio::time::timeout(Duration::from_secs(10), valve.dropped()).await;
        assert!(!within_tokio.expect("it is dropped"), "a worker has waited for it");
    }
}
