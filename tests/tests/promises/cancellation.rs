//! P17: an accepted command runs whole or, if its caller left before it started, not at all.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use onefold::{Aggregate, Config};
use onefold_testkit::faults::{Gate, OpenFault, When};
use tokio::task::yield_now;

use crate::support::{Add, Do, Happened, Seen, World, poll_once, settle};

/// A handler that awaits `yields` times, then adds one; it counts how often it began and ended.
fn hesitant(yields: u32, began: &Arc<AtomicU64>, ended: &Arc<AtomicU64>) -> Do<Seen> {
    let (began, ended) = (began.clone(), ended.clone());
    Do::new(move |tally, cx| {
        async move {
            began.fetch_add(1, Ordering::SeqCst);
            for _ in 0..yields {
                yield_now().await;
            }
            ended.fetch_add(1, Ordering::SeqCst);
            let version = cx.version().next();
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(move |tally| Seen { version, sum: tally.sum }))
        }
        .boxed()
    })
}

/// P17: dropped before it started, a command never runs.
#[tokio::test(start_paused = true)]
async fn command_dropped_before_it_started_never_runs() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    let (began, ended) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let mut ask = Box::pin(world.tallies.ask("a", hesitant(0, &began, &ended)));
    assert!(poll_once(ask.as_mut()).is_pending());
    settle().await;
    drop(ask);
    gate.open();
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(1, 10)));
    assert_eq!(began.load(Ordering::SeqCst), 0);
    world.end().await;
}

/// P17: a command whose deadline passed before it started never runs, however late its caller's own timer is.
#[tokio::test(start_paused = true)]
async fn command_whose_deadline_passed_before_it_started_never_runs() {
    let world = World::start().await;
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(1, 10)));
    let (began, ended) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let late = world.tallies.ask("a", hesitant(0, &began, &ended)).deadline(Duration::ZERO).await;
    let error = late.expect_err("its deadline had passed");
    assert!(error.is_retry_safe() && error.to_string().contains("deadline"), "{error}");
    assert_eq!(began.load(Ordering::SeqCst), 0);
    let look = world.tallies.read_with_version("a", |tally, version| (tally.sum, version.get()));
    assert_eq!(look.await, Ok((10, 1)));
    world.end().await;
}

/// P17: an `ask` that was never polled was never sent.
#[tokio::test(start_paused = true)]
async fn command_that_was_never_polled_was_never_sent() {
    let world = World::start().await;
    drop(world.tallies.ask("a", Add(1)));
    settle().await;
    assert_eq!(world.runtime.stats().resident, 0);
    world.end().await;
}

/// P17: dropped in the middle of its handler, a command still runs whole.
#[tokio::test(start_paused = true)]
async fn command_dropped_after_it_started_runs_whole() {
    let world = World::start().await;
    let (began, ended) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let slow = Do::new({
        let (began, ended) = (began.clone(), ended.clone());
        move |tally, _| {
            async move {
                began.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                ended.fetch_add(1, Ordering::SeqCst);
                Ok(tally.emit(Happened::Added { amount: 1 }))
            }
            .boxed()
        }
    });
    let ask = tokio::spawn(world.tallies.ask("a", slow));
    while began.load(Ordering::SeqCst) == 0 {
        yield_now().await;
    }
    ask.abort();
    assert!(ask.await.unwrap_err().is_cancelled());
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(2, 11)));
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    world.end().await;
}

/// P17: a caller that leaves at any await point leaves behind all of its command or nothing, and nothing admitted.
#[tokio::test(start_paused = true)]
async fn caller_may_leave_at_every_await_point() {
    const YIELDS: u32 = 5;
    let (mut whole, mut nothing) = (0, 0);
    for warm in [false, true] {
        for polls in 0..40 {
            let world = World::start().await;
            if warm {
                world.tallies.version("a").await.unwrap();
            }
            let (began, ended) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
            let mut answered = false;
            // Somebody is before it, so that it is queued for a while.
            let other = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
            let before = tokio::spawn(world.tallies.ask("a", hesitant(YIELDS, &other.0, &other.1)));
            yield_now().await;
            {
                let mut ask = pin!(world.tallies.ask("a", hesitant(YIELDS, &began, &ended)));
                for _ in 0..polls {
                    if poll_once(ask.as_mut()).is_ready() {
                        answered = true;
                        break;
                    }
                    yield_now().await;
                }
            }
            assert!(before.await.unwrap().is_ok());
            settle().await;
            let (began, ended) = (began.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
            assert_eq!(began, ended, "after {polls} polls: what began must end");
            assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(ended + 1), "after {polls} polls");
            assert!(!answered || ended == 1);
            (whole, nothing) = (whole + ended, nothing + 1 - ended);
            world.end().await;
        }
    }
    assert!(whole > 10 && nothing > 2, "both ends were met: {whole} whole, {nothing} not at all");
}

/// P17: the same for reads, and for callers that leave while the aggregate is being brought back.
#[tokio::test(start_paused = true)]
async fn callers_that_leave_during_recovery_do_not_stop_it() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    for _ in 0..10 {
        let mut read = Box::pin(world.tallies.read("a", |tally| tally.sum));
        assert!(poll_once(read.as_mut()).is_pending());
        settle().await;
    }
    assert_eq!(world.runtime.stats().admitted, 0, "who has left takes no room");
    gate.open();
    settle().await;
    assert_eq!(world.runtime.stats().admitted, 0);
    assert_eq!(world.runtime.stats().activations, 1, "the recovery went on without its callers");
    world.end().await;
}

/// P17: a caller that leaves while its event is on its way: the event lands, once.
#[tokio::test(start_paused = true)]
async fn caller_that_leaves_after_the_append_changes_nothing() {
    let (journal, valve) = crate::support::SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let ask = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    assert_eq!(valve.held(), 1);
    ask.abort();
    settle().await;
    assert_eq!(world.runtime.stats().admitted, 1, "it is with the journal");
    valve.open();
    settle().await;
    assert_eq!(world.runtime.stats().admitted, 0);
    assert_eq!(world.tallies.ask("a", Add(10)).await, Ok(Seen::at(2, 11)));
    world.end().await;
}
