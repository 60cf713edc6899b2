//! P6, P9: panics anywhere in a user's code are caught, attributed to where they happened, and stay with their aggregate.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use onefold::{Aggregate, Config, Error, NotStoredReason};
use onefold_testkit::faults::{Gate, OpenFault, When};

use crate::support::{Add, Do, Happened, No, Seen, World, settle};

/// Panics when it is dropped.
struct Landmine;

impl Drop for Landmine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("stepped on a landmine");
        }
    }
}

/// No quarantine, however often it panics.
fn patient() -> Config {
    Config { crashes_max: u32::MAX, ..Config::default() }
}

/// Where it panicked, and what the panic said.
#[track_caller]
fn panicked<T: std::fmt::Debug>(answer: Result<T, Error<No>>) -> (&'static str, String) {
    let error = answer.unwrap_err();
    assert!(error.is_surely_not_stored() && !error.is_retry_safe(), "{error}");
    match error {
        Error::NotStored(not_stored) => match not_stored.reason {
            NotStoredReason::Panicked { stage, message } => (stage, message),
            other => panic!("expected a panic, got {other}"),
        },
        other => panic!("expected NotStored, got {other}"),
    }
}

fn emitting(event: Happened) -> Do<Seen> {
    Do::new(move |tally, _| {
        async move { Ok(tally.emit(event).reply(|tally| Seen::at(tally.count, tally.sum))) }.boxed()
    })
}

/// P6: every place a panic can come from, each attributed; afterwards the aggregate is as before.
#[tokio::test(start_paused = true)]
async fn each_panic_is_attributed_and_stores_nothing() {
    let world = World::with(patient()).await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(1)).await.unwrap();
    let sync = Do::<Seen>::new(|_, _| panic!("at once"));
    assert_eq!(panicked(tallies.ask("a", sync).await), ("handle", "at once".to_owned()));
    let later = Do::<Seen>::new(|_, _| {
        async move {
            tokio::task::yield_now().await;
            panic!("after {}", "a while")
        }
        .boxed()
    });
    assert_eq!(panicked(tallies.ask("a", later).await), ("handle", "after a while".to_owned()));
    let odd = Do::<Seen>::new(|_, _| std::panic::panic_any(42));
    assert_eq!(panicked(tallies.ask("a", odd).await).0, "handle");
    let dropped = Do::<()>::new(|tally, _| {
        let mine = Landmine;
        async move {
            drop(mine);
            Ok(tally.emit_all([]))
        }
        .boxed()
    });
    assert_eq!(panicked(tallies.ask("a", dropped).await).0, "handle");
    let cursed = tallies.ask("a", emitting(Happened::Cursed)).await;
    assert_eq!(panicked(cursed), ("apply", "this event is cursed".to_owned()));
    let overspent = tallies.ask("a", emitting(Happened::Spent { amount: 1_000 })).await;
    assert_eq!(panicked(overspent).0, "apply");
    let replying = Do::<Seen>::new(|tally, _| {
        async move { Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| panic!("in the reply"))) }.boxed()
    });
    assert_eq!(panicked(tallies.ask("a", replying).await), ("reply", "in the reply".to_owned()));
    let replying = Do::<Seen>::new(|tally, _| async move { Ok(tally.reply(|_| panic!("without events"))) }.boxed());
    assert_eq!(panicked(tallies.ask("a", replying).await).0, "reply");
    let read = tallies.read("a", |_| -> u64 { panic!("in the read") }).await;
    assert_eq!(panicked(read), ("read", "in the read".to_owned()));
    assert_eq!(tallies.read("a", |tally| (tally.sum, tally.count)).await, Ok((1, 1)));
    assert_eq!(tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)));
    world.end().await;
}

/// P15: neighbours never notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_never_notice() {
    let world = World::with(patient()).await;
    let panicking = (0..200).map(|_| world.tallies.ask("a", Do::<Seen>::new(|_, _| panic!("on purpose"))).boxed());
    let adding = (0..200).map(|_| world.tallies.ask("b", Add(1)).boxed());
    let (panics, sums) = tokio::join!(join_all(panicking), join_all(adding));
    assert!(panics.into_iter().all(|answer| panicked(answer).0 == "handle"));
    assert!(sums.into_iter().eq((1..=200).map(|version| Ok(Seen::at(version, version)))));
    world.end().await;
}

/// P6: a panic between commands that are in flight takes none of them along.
#[tokio::test(start_paused = true)]
async fn panic_takes_nothing_in_flight_along() {
    let (journal, valve) = crate::support::SlowJournal::new();
    let world = World::on(Arc::new(journal), patient()).await;
    let before: Vec<_> = (0..3).map(|_| tokio::spawn(world.tallies.ask("a", Add(1)))).collect();
    let panic = tokio::spawn(world.tallies.ask("a", Do::<Seen>::new(|_, _| panic!("on purpose"))));
    let after: Vec<_> = (0..3).map(|_| tokio::spawn(world.tallies.ask("a", Add(1)))).collect();
    settle().await;
    valve.open();
    assert_eq!(panicked(panic.await.unwrap()).0, "handle");
    for (ask, version) in before.into_iter().chain(after).zip(1..) {
        assert_eq!(ask.await.unwrap(), Ok(Seen::at(version, version)));
    }
    world.end().await;
}

/// P6: a command that panics when it is dropped unrun takes no other caller's answer along.
#[tokio::test(start_paused = true)]
async fn command_that_panics_when_it_is_refused_takes_no_answer_along() {
    let (world, faults) = World::faulty(patient()).await;
    let gate = Gate::closed();
    let mined = |mine: Landmine| {
        Do::<Seen>::new(move |_, _| {
            let _mine = mine;
            panic!("never runs")
        })
    };
    faults.open(When::nth(1), OpenFault::Hold(gate.clone()));
    let first = tokio::spawn(world.tallies.ask("a", Add(1)));
    let mine = tokio::spawn(world.tallies.ask("a", mined(Landmine)));
    let second = tokio::spawn(world.tallies.ask("a", mined(Landmine)));
    let last = tokio::spawn(world.tallies.ask("a", Add(1)));
    settle().await;
    let started = tokio::time::Instant::now();
    drop(world.runtime);
    for answer in [first, mine, second, last] {
        let answer = answer.await.expect("the caller does not panic");
        assert_eq!(crate::support::reason(answer), NotStoredReason::ShuttingDown);
    }
    assert_eq!(started.elapsed().as_secs(), 0, "answered at once, not at the deadline");
}

/// P6: a reply that panics when it is dropped, because its caller left, harms nobody.
#[tokio::test(start_paused = true)]
async fn reply_that_panics_when_it_is_dropped_harms_nobody() {
    let captured = crate::support::capture();
    let (journal, valve) = crate::support::SlowJournal::new();
    let world = World::on(Arc::new(journal), patient()).await;
    let mined =
        || Do::new(|tally, _| async move { Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| Landmine)) }.boxed());
    let left: Vec<_> = (0..3).map(|_| tokio::spawn(world.tallies.ask("a", mined()))).collect();
    let stays = tokio::spawn(world.tallies.ask("a", Add(1)));
    let neighbour = tokio::spawn(world.tallies.ask("b", Add(1)));
    settle().await;
    left.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(left).await;
    valve.open();
    assert_eq!(stays.await.unwrap(), Ok(Seen::at(4, 4)));
    assert_eq!(neighbour.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(5, 5)));
    let panics = captured.named("onefold.panic");
    assert_eq!(panics.iter().filter(|line| line.contains("stage=\"drop\"")).count(), 3, "{panics:?}");
    world.end().await;
}

/// P6: the same without an event, where the answer leaves at once.
#[tokio::test(start_paused = true)]
async fn answer_that_panics_when_it_is_dropped_harms_nobody() {
    let world = World::with(patient()).await;
    let mined = || {
        Do::new(|tally, _| {
            async move {
                tokio::task::yield_now().await;
                Ok(tally.reply(|_| Landmine))
            }
            .boxed()
        })
    };
    for polls in 0..8 {
        let mut ask = Box::pin(world.tallies.ask("a", mined()));
        let mut landmine = None;
        for _ in 0..polls {
            if let std::task::Poll::Ready(answer) = crate::support::poll_once(ask.as_mut()) {
                landmine = Some(answer);
                break;
            }
            tokio::task::yield_now().await;
        }
        std::mem::forget(landmine);
        let next = tokio::spawn(world.tallies.ask("a", Add(1)));
        let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ask)));
        let _ = left;
        assert_eq!(next.await.unwrap(), Ok(Seen::at(polls + 1, polls + 1)), "after {polls} polls");
    }
    settle().await;
    world.end().await;
}
