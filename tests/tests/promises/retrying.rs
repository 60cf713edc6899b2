//! P6, P7: a caller may ask for retries. Only what surely was not stored is sent again, never beyond the deadline, and the last
//! error is told as it is.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use onefold::journal::AppendError;
use onefold::{Config, Error, Jitter, MemoryJournal, NotStoredReason, RetryPolicy, Runtime};
use onefold_testkit::faults::{AppendFault, Gate, When};
use tokio::time::Instant;

use crate::support::{Add, Seen, Spend, Tally, Tools, World, block_on, capture, poll_once, reason, settle};

/// Pauses of 1, 2, 4 … s, up to 8.
fn steady(attempts: u32) -> RetryPolicy {
    let (backoff_min, backoff_max) = (Duration::from_secs(1), Duration::from_secs(8));
    RetryPolicy { attempts, backoff_min, backoff_max, jitter: Jitter::None }
}

/// A world whose next appends fail before the write.
async fn failing(appends: u64) -> World {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::next(appends), AppendFault::FailBeforeWrite);
    world
}

/// P7: what surely was not stored is sent again, after pauses that double.
#[tokio::test(start_paused = true)]
async fn command_that_was_not_stored_is_sent_again() {
    let world = failing(3).await;
    let started = Instant::now();
    assert_eq!(world.tallies.ask("a", Add(5)).retry(steady(4)).await, Ok(Seen::at(1, 5)));
    assert_eq!(started.elapsed().as_secs(), 1 + 2 + 4);
    assert_eq!(world.tallies.read("a", |tally| (tally.sum, tally.count)).await, Ok((5, 1)));
    world.end().await;
}

/// The last error is the caller's, as it is; and a policy of one attempt is none.
#[tokio::test(start_paused = true)]
async fn last_error_is_returned_as_it_is() {
    let (world, faults) = World::faulty(Config::default()).await;
    for attempts in [0, 1, 3] {
        let low = AppendError::DiskLow { free_bytes: 1, reserve_bytes: 2 };
        faults.append(When::next(attempts.max(1) - 1), AppendFault::FailBeforeWrite);
        faults.append(When::nth(1), AppendFault::FailBeforeWriteWith(low));
        let taken = faults.appends_taken();
        let failed = world.tallies.ask("a", Add(1)).retry(steady(u32::try_from(attempts).unwrap())).await.unwrap_err();
        assert!(matches!(failed, Error::DiskLow { free_bytes: 1, .. }), "{failed}");
        assert_eq!(faults.appends_taken() - taken, attempts.max(1));
    }
    world.end().await;
}

/// P7: what may have happened is never sent again; nor what would only fail again.
#[tokio::test(start_paused = true)]
async fn other_outcomes_are_not_sent_again() {
    let (world, faults) = World::faulty(Config { crashes_max: 1, ..Config::default() }).await;
    let (tallies, started) = (&world.tallies, Instant::now());
    for fault in [AppendFault::FailAfterWrite, AppendFault::LoseWrite] {
        faults.append(When::nth(1), fault);
        let unknown = tallies.ask("a", Add(1)).retry(steady(9)).await;
        assert!(matches!(unknown, Err(Error::OutcomeUnknown(_))), "{unknown:?}");
    }
    assert_eq!(tallies.read("a", |tally| tally.count).await, Ok(1));
    assert!(matches!(tallies.ask("a", Spend(100)).retry(steady(9)).await, Err(Error::Rejected(_))));
    let conflict = tallies.ask("a", Add(1)).retry(steady(9)).expect_version(9u64).await;
    assert!(matches!(conflict, Err(Error::Conflict { .. })));
    assert!(matches!(tallies.ask("", Add(1)).retry(steady(9)).await, Err(Error::InvalidId(_))));
    let large = tallies.ask("a", Add(1)).metadata("note", "x".repeat(20_000)).retry(steady(9)).await;
    assert!(matches!(large, Err(Error::TooLarge { .. })));
    assert_eq!(started.elapsed(), Duration::ZERO, "there was no pause");
    world.end().await;
}

/// Retry safe in general, and hopeless in this process: a poisoned journal, and the end of the runtime.
#[tokio::test(start_paused = true)]
async fn what_this_runtime_will_not_get_over_is_not_sent_again() {
    let (world, faults) = World::faulty(Config::default()).await;
    let started = Instant::now();
    faults.poison("a failed sync");
    let poisoned = world.tallies.ask("a", Add(1)).retry(steady(9)).await;
    assert!(matches!(reason(poisoned), NotStoredReason::Poisoned { .. }));
    let tallies = world.tallies.clone();
    let _ = world.runtime.shutdown(Duration::from_secs(5)).await;
    assert_eq!(reason(tallies.ask("a", Add(1)).retry(steady(9)).await), NotStoredReason::ShuttingDown);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// P6: all attempts together have the one deadline, and the last one what is left of it.
#[tokio::test(start_paused = true)]
async fn deadline_spans_all_attempts() {
    let world = failing(u64::MAX).await;
    let started = Instant::now();
    let limit = Duration::from_millis(6_500);
    let failed = world.tallies.ask("a", Add(1)).retry(steady(9)).deadline(limit).await;
    assert!(matches!(reason(failed), NotStoredReason::Unavailable { .. }), "the last error, not that of a deadline");
    assert_eq!(started.elapsed().as_secs(), 3, "a pause of 4 s more would have been too long");

    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let started = Instant::now();
    let hanging = world.tallies.ask("a", Add(1)).retry(steady(9)).deadline(Duration::from_secs(5)).await;
    assert!(matches!(hanging, Err(Error::OutcomeUnknown(_))), "{hanging:?}");
    assert_eq!(started.elapsed().as_secs(), 5, "the second attempt had 4 s");
    gate.open();
    settle().await;
    world.end().await;
}

/// P14: overload passes, and a caller that waits gets through.
#[tokio::test(start_paused = true)]
async fn overload_is_waited_out() {
    let config = Config { admitted_per_aggregate_max: 1, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let first = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    let refused = world.tallies.ask("a", Add(10)).await;
    assert!(matches!(refused, Err(Error::Overloaded { .. })));
    let mut patient = Box::pin(world.tallies.ask("a", Add(10)).retry(steady(5)));
    assert!(poll_once(patient.as_mut()).is_pending());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    gate.open();
    assert_eq!(patient.await, Ok(Seen::at(2, 11)));
    first.await.unwrap().unwrap();
    world.end().await;
}

/// Each retry is an event; the pauses are drawn from the runtime's seed, so that a simulation repeats.
#[tokio::test(start_paused = true)]
async fn retries_can_be_seen_and_repeat_with_the_seed() {
    let policy = RetryPolicy { attempts: 6, ..RetryPolicy::default() };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = failing(5).await;
        let captured = capture();
        world.tallies.ask("a", Add(1)).retry(policy).await.unwrap();
        runs.push(captured.named("onefold.retry"));
        drop(captured);
        world.end().await;
    }
    assert_eq!(runs[0].len(), 5);
    for (attempt, line) in (1..).zip(&runs[0]) {
        let expected = format!(" stream=tally/a attempt={attempt} error=NotStored pause=");
        assert!(line.contains(&expected), "{line}");
    }
    assert_eq!(runs[0], runs[1]);
    let pauses =
        runs[0].iter().filter_map(|line| line.split("pause=").nth(1)).collect::<std::collections::BTreeSet<_>>();
    assert!(pauses.len() > 3, "full jitter: {pauses:?}");
}

/// A command keeps its id, and everything else that it was told, through all attempts; a receipt and merging go with it.
#[tokio::test(start_paused = true)]
async fn command_is_the_same_in_every_attempt() {
    let world = failing(2).await;
    let receipt = world.tallies.ask("a", Add(1)).retry(steady(3)).metadata("user", "ada").with_receipt().await.unwrap();
    assert_eq!((receipt.reply, receipt.version.get()), (Seen::at(1, 1), 1));
    let early = world.tallies.ask("a", Add(1)).with_receipt().retry(steady(3)).expect_version(1u64).await.unwrap();
    assert_eq!(early.version.get(), 2);
    let stored: Vec<_> = futures_util::TryStreamExt::try_collect(world.tallies.events("a", 0).unwrap()).await.unwrap();
    let stored: Vec<onefold::RecordedEvent<_>> = stored;
    let first = &stored[0].metadata;
    assert_eq!(first.entries.get("user"), Some("ada"));
    assert_eq!(
        first.command_id.as_u128() + 1,
        stored[1].metadata.command_id.as_u128(),
        "three attempts are one command"
    );
    world.end().await;
}

/// P17: a caller that leaves during a pause leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn caller_may_leave_in_a_pause() {
    let world = failing(1).await;
    let mut patient = Box::pin(world.tallies.ask("a", Add(1)).retry(steady(9)));
    while (&mut patient).now_or_never().is_none() && world.runtime.stats().admitted > 0 {
        settle().await;
    }
    drop(patient);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.tallies.read("a", |tally| tally.count).await, Ok(0));
    world.end().await;
}

/// The pauses are kept by the runtime: any executor may poll the caller.
#[test]
fn retries_do_not_need_the_callers_own_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (runtime, faults) = tokio.block_on(async {
        let faulty = onefold_testkit::faults::FaultyJournal::new(Arc::new(MemoryJournal::new()));
        let faults = faulty.faults();
        (Runtime::builder(faulty).aggregate::<Tally>(Arc::new(Tools::default())).start().await.unwrap(), faults)
    });
    faults.append(When::next(3), AppendFault::FailBeforeWrite);
    let tallies = runtime.aggregates::<Tally>().unwrap();
    let policy = RetryPolicy { backoff_max: Duration::from_millis(20), ..RetryPolicy::default() };
    assert_eq!(block_on(tallies.ask("a", Add(1)).retry(policy)), Ok(Seen::at(1, 1)));
    assert!(tokio.block_on(runtime.shutdown(Duration::from_secs(5))).is_clean());
}

/// P6: the tokio runtime underneath ends in the middle of a pause.
#[test]
fn pause_ends_with_the_tokio_runtime() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = tokio.block_on(failing(1));
    let mut patient = Box::pin(world.tallies.ask("a", Add(1)).retry(steady(9)));
    tokio.block_on(async {
        assert!(poll_once(patient.as_mut()).is_pending());
        settle().await;
        assert!(poll_once(patient.as_mut()).is_pending());
    });
    drop(tokio);
    assert_eq!(reason(block_on(patient)), NotStoredReason::ShuttingDown);
}
