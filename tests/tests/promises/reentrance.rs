//! An `ask` from a handler to an aggregate that waits for this very call is refused instead of waited for.

use std::time::Duration;

use futures_util::FutureExt;
use onefold::{Aggregate, Error, NotStoredReason};

use crate::support::{Add, Do, Happened, No, Seen, World};

type Answer = Result<Seen, Error<No>>;

/// A handler that asks each of `path` from within the one before, then adds one; it replies what the last ask said.
fn through(path: &'static [&'static str]) -> Do<Answer> {
    Do::new(move |tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap();
            let answer = match path {
                [] => Ok(Seen::at(0, 0)),
                [last] => others.ask(last, Add(1)).await,
                [next, rest @ ..] => others.ask(next, through(rest)).await.unwrap(),
            };
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| answer))
        }
        .boxed()
    })
}

#[track_caller]
fn reentrant(answer: Answer) {
    let error = answer.unwrap_err();
    assert!(!error.is_retry_safe(), "again would not help: {error}");
    let Error::NotStored(not_stored) = error else { panic!("{error}") };
    assert_eq!(not_stored.reason, NotStoredReason::Reentrant);
}

/// A → A.
#[tokio::test(start_paused = true)]
async fn asking_oneself_is_refused() {
    let world = World::start().await;
    reentrant(world.tallies.ask("a", through(&["a"])).await.unwrap());
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)), "the handler went on, and so does life");
    world.end().await;
}

/// A → B → A, and A → B → C → B.
#[tokio::test(start_paused = true)]
async fn asking_somebody_who_waits_is_refused() {
    let world = World::start().await;
    reentrant(world.tallies.ask("a", through(&["b", "a"])).await.unwrap());
    reentrant(world.tallies.ask("a", through(&["b", "c", "b"])).await.unwrap());
    let counts = ["a", "b", "c"].map(|id| world.tallies.read(id, |tally| tally.count));
    let counts = futures_util::future::join_all(counts).await;
    assert_eq!(counts, [Ok(2), Ok(2), Ok(1)]);
    world.end().await;
}

/// A plain chain is fine, and two of them may cross.
#[tokio::test(start_paused = true)]
async fn plain_chain_is_not_refused() {
    let world = World::start().await;
    assert!(world.tallies.ask("a", through(&["b", "c", "d"])).await.unwrap().is_ok());
    assert!(world.tallies.ask("a", through(&["b"])).await.unwrap().is_ok());
    let (one, other) =
        tokio::join!(world.tallies.ask("a", through(&["b", "c"])), world.tallies.ask("d", through(&["b", "c"])));
    assert!(one.unwrap().is_ok() && other.unwrap().is_ok());
    world.end().await;
}

/// One after the other to the same aggregate is no circle.
#[tokio::test(start_paused = true)]
async fn asking_the_same_neighbour_twice_is_not_refused() {
    let world = World::start().await;
    let twice = Do::new(|tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap();
            let both = (others.ask("b", Add(1)).await, others.ask("b", Add(1)).await);
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| both))
        }
        .boxed()
    });
    assert_eq!(world.tallies.ask("a", twice).await, Ok((Ok(Seen::at(1, 1)), Ok(Seen::at(2, 2)))));
    world.end().await;
}

/// Reads wait as commands do, so they are refused as well.
#[tokio::test(start_paused = true)]
async fn reading_oneself_is_refused() {
    let world = World::start().await;
    let reading = Do::new(|tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap();
            let sum = others.read("a", |tally| tally.sum).await;
            Ok(tally.emit_all([]).reply(|_| sum))
        }
        .boxed()
    });
    let sum = world.tallies.ask("a", reading).await.unwrap();
    reentrant(sum.map(|sum| Seen::at(0, sum)));
    world.end().await;
}

/// Two handlers that ask each other at the same moment are no circle of one call: a deadline parts them.
#[tokio::test(start_paused = true)]
async fn two_calls_that_wait_for_each_other_are_parted_by_a_deadline() {
    let world = World::start().await;
    let crossing = |other: &'static str| {
        Do::new(move |tally, cx| {
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let others = cx.services().tallies.get().unwrap();
                let answer = others.ask(other, Add(1)).deadline(Duration::from_secs(2)).await;
                Ok(tally.emit_all([]).reply(|_| answer))
            }
            .boxed()
        })
    };
    let (one, other) = tokio::join!(world.tallies.ask("a", crossing("b")), world.tallies.ask("b", crossing("a")));
    for answer in [one.unwrap(), other.unwrap()] {
        assert!(matches!(answer, Ok(_) | Err(Error::NotStored(_) | Error::OutcomeUnknown(_))), "{answer:?}");
    }
    crate::support::settle().await;
    world.end().await;
}

/// A task that a handler spawns is outside of it: it may ask the same aggregate, and is served afterwards.
#[tokio::test(start_paused = true)]
async fn spawned_task_may_ask_the_same_aggregate() {
    let world = World::start().await;
    let spawning = Do::new(|tally, cx| {
        async move {
            let others = cx.services().tallies.get().unwrap().clone();
            let task = tokio::spawn(async move { others.ask("a", Add(10)).await });
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| task))
        }
        .boxed()
    });
    let task = world.tallies.ask("a", spawning).await.unwrap();
    assert_eq!(task.await.unwrap(), Ok(Seen::at(2, 11)));
    world.end().await;
}
