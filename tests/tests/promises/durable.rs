//! P2: `cx.durable()` waits for every earlier decision, so that an effect on the outside never gets ahead of the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use onefold::{Aggregate, Config, NotStoredReason};
use onefold_testkit::faults::{AppendFault, Gate, When};

use crate::support::{Add, Do, Happened, Seen, SlowJournal, World, reason, settle};

/// A handler that makes its decisions durable, then does something to the outside.
fn careful(outside: &Arc<AtomicBool>) -> Do<Seen> {
    let outside = outside.clone();
    Do::new(move |tally, cx| {
        async move {
            cx.durable().await;
            outside.store(true, Ordering::SeqCst);
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum)))
        }
        .boxed()
    })
}

/// P2: the effect waits until the last earlier decision is durable.
#[tokio::test(start_paused = true)]
async fn effect_waits_until_earlier_decisions_are_durable() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let earlier: Vec<_> = (0..3).map(|_| tokio::spawn(world.tallies.ask("a", Add(10)))).collect();
    settle().await;
    let outside = Arc::new(AtomicBool::new(false));
    let last = tokio::spawn(world.tallies.ask("a", careful(&outside)));
    for _ in 0..3 {
        settle().await;
        assert!(!outside.load(Ordering::SeqCst), "with {} on their way", valve.held());
        valve.pass_one();
    }
    settle().await;
    assert!(outside.load(Ordering::SeqCst));
    valve.open();
    assert_eq!(last.await.unwrap(), Ok(Seen::at(4, 31)));
    for ask in earlier {
        ask.await.unwrap().unwrap();
    }
    world.end().await;
}

/// P2: with nothing in flight it does not wait.
#[tokio::test(start_paused = true)]
async fn effect_with_nothing_in_flight_does_not_wait() {
    let world = World::start().await;
    let outside = Arc::new(AtomicBool::new(false));
    assert_eq!(world.tallies.ask("a", careful(&outside)).await, Ok(Seen::at(1, 1)));
    assert!(outside.load(Ordering::SeqCst));
    world.end().await;
}

/// P9: should an earlier decision fail, the handler is dropped where it waits, before its effect.
#[tokio::test(start_paused = true)]
async fn handler_is_dropped_when_an_earlier_decision_fails() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let held = tokio::spawn(world.tallies.ask("a", Add(10)));
    let failing = tokio::spawn(world.tallies.ask("a", Add(10)));
    let outside = Arc::new(AtomicBool::new(false));
    let waiting = tokio::spawn(world.tallies.ask("a", careful(&outside)));
    settle().await;
    gate.open();
    assert_eq!(held.await.unwrap(), Ok(Seen::at(1, 10)));
    failing.await.unwrap().unwrap_err();
    assert_eq!(reason(waiting.await.unwrap()), NotStoredReason::Superseded);
    assert!(!outside.load(Ordering::SeqCst), "the effect got ahead of the journal");
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(10));
    world.end().await;
}

/// P9: also when the handler waits for something else.
#[tokio::test(start_paused = true)]
async fn handler_that_waits_for_anything_is_dropped_when_an_earlier_decision_fails() {
    let (world, faults) = World::faulty(Config::default()).await;
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::LoseWrite);
    let _held = tokio::spawn(world.tallies.ask("a", Add(10)));
    let _failing = tokio::spawn(world.tallies.ask("a", Add(10)));
    let endless = Do::<()>::new(|_, _| std::future::pending().boxed());
    let waiting = tokio::spawn(world.tallies.ask("a", endless));
    settle().await;
    gate.open();
    settle().await;
    assert_eq!(reason(waiting.await.unwrap()), NotStoredReason::Superseded);
    world.end().await;
}

/// Two waits in one handler, with earlier decisions that trickle in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_twice_is_no_deadlock() {
    let world = World::start().await;
    let twice = || {
        Do::new(|tally, cx| {
            async move {
                cx.durable().await;
                tokio::task::yield_now().await;
                cx.durable().await;
                Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally| tally.sum))
            }
            .boxed()
        })
    };
    let asks = (0..200).map(|index| match index % 2 {
        0 => world.tallies.ask("a", Add(1)).map(|seen| seen.map(|seen| seen.sum)).boxed(),
        _ => world.tallies.ask("a", twice()).boxed(),
    });
    let sums = futures_util::future::join_all(asks).await;
    assert!(sums.into_iter().eq((1..=200).map(Ok)));
    world.end().await;
}
