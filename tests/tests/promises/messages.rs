//! Every error says which aggregate, at which version where that is known, and what to do.

use std::time::Duration;

use futures_util::FutureExt;
use onefold::journal::AppendError;
use onefold::{Aggregate, Config, Error};
use onefold_testkit::faults::{AppendFault, Gate, OpenFault, When};

use crate::support::{Add, Do, Happened, No, Seen, Spend, World, settle};

#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, Error<No>>, expected: &str) {
    assert_eq!(answer.unwrap_err().to_string(), expected);
}

/// What the aggregate itself refuses.
#[tokio::test(start_paused = true)]
async fn refusals_say_where_and_what_to_do() {
    let world = World::with(Config { crashes_max: 4, ..Config::default() }).await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(1)).await.unwrap();
    check(tallies.ask("a", Spend(5)).await, "the tally holds 1 only");
    check(
        tallies.ask("a", Add(1)).expect_version(7u64).await,
        "tally/a is at version 1, the command expected version 7: look at what happened, then decide anew",
    );
    check(
        tallies.ask("a", Add(1)).metadata("k", "x".repeat(20_000)).await,
        "tally/a at version 1: the metadata has 20068 bytes, the limit is 16384 (metadata_bytes_max)",
    );
    let panicking = || Do::<Seen>::new(|_, _| panic!("oh no"));
    let caught = "tally/a at version 1: nothing was stored: handle panicked: oh no; correct the aggregate's code";
    for _ in 0..3 {
        check(tallies.ask("a", panicking()).await, caught);
    }
    let cursed = Do::new(|tally, _| {
        async move { Ok(tally.emit_all([Happened::Added { amount: 1 }, Happened::Cursed])) }.boxed()
    });
    check(
        tallies.ask("a", cursed).await,
        "tally/a at version 1: nothing was stored: apply panicked: this event is cursed; correct the aggregate's code",
    );
    check(
        tallies.ask("a", Add(1)).await,
        "tally/a is quarantined for 1.0s (apply panicked: this event is cursed): correct the cause, then lift the \
         quarantine or wait",
    );
    let replying = Do::<Seen>::new(|tally, _| {
        async move { Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| panic!("in the reply"))) }.boxed()
    });
    tallies.ask("b", Add(1)).await.unwrap();
    check(
        tallies.ask("b", replying).await,
        "tally/b at version 1: nothing was stored: reply panicked: in the reply; correct the aggregate's code",
    );
    world.end().await;
}

/// Times that run out.
#[tokio::test(start_paused = true)]
async fn timeouts_say_where_and_what_to_do() {
    let config = Config {
        handler_timeout: Duration::from_secs(2),
        recovery_timeout: Duration::from_secs(3),
        ..Config::default()
    };
    let (world, faults) = World::faulty(config).await;
    let tallies = &world.tallies;
    let endless = || Do::<Seen>::new(|_, _| std::future::pending().boxed());
    tallies.ask("a", Add(1)).await.unwrap();
    check(
        tallies.ask("a", endless()).await,
        "tally/a at version 1: nothing was stored: the handler took longer than 2s (handler_timeout): try again, or allow \
         more time",
    );
    check(
        tallies.ask("a", endless()).deadline(Duration::from_secs(1)).await,
        "tally/a at version 1: nothing was stored: the deadline passed before it was decided: try again, or allow more \
         time",
    );
    faults.open(When::nth(1), OpenFault::Hold(Gate::closed()));
    check(
        tallies.ask("cold", Add(1)).await,
        "tally/cold: nothing was stored: the aggregate could not be recovered: it took longer than 3s \
         (recovery_timeout); try again",
    );
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    check(
        tallies.ask("a", Add(1)).deadline(Duration::from_secs(1)).await,
        "tally/a at version 2: perhaps stored (the deadline passed while it was on its way to the journal): read the \
         aggregate before you send the command again",
    );
    gate.open();
    settle().await;
    world.end().await;
}

/// What the journal refuses: the version is the one that the aggregate is at, not one that it never reached.
#[tokio::test(start_paused = true)]
async fn failures_of_the_journal_say_where_and_what_to_do() {
    let (world, faults) = World::faulty(Config::default()).await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(1)).await.unwrap();
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    check(
        tallies.ask("a", Add(1)).await,
        "tally/a at version 1: nothing was stored: the journal could not take the append: a scripted fault before the \
         write: try again",
    );
    let low = AppendError::DiskLow { free_bytes: 1, reserve_bytes: 2 };
    faults.append(When::nth(1), AppendFault::FailBeforeWriteWith(low));
    check(
        tallies.ask("a", Add(1)).await,
        "tally/a: the journal's disk has 1 bytes free, below its reserve of 2: free some space",
    );
    faults.append(When::nth(1), AppendFault::LoseWrite);
    check(
        tallies.ask("a", Add(1)).await,
        "tally/a at version 2: perhaps stored (a scripted fault lost the write): read the aggregate before you send the \
         command again",
    );
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let asks = [1, 2, 3].map(|amount| tokio::spawn(tallies.ask("a", Add(amount))));
    settle().await;
    gate.open();
    let [held, failed, follower] = asks;
    held.await.unwrap().unwrap();
    failed.await.unwrap().unwrap_err();
    check(
        follower.await.unwrap(),
        "tally/a: nothing was stored: an earlier append failed or another runtime took over, so this decision was \
         discarded: try again",
    );
    faults.poison("an I/O error");
    check(
        tallies.ask("a", Add(1)).await,
        "tally/a: nothing was stored: the journal refuses writes after a failure (an I/O error): restart the process",
    );
    world.end().await;
}

/// The end of the runtime, and the bounds.
#[tokio::test(start_paused = true)]
async fn bounds_and_the_end_say_where_and_what_to_do() {
    let config = Config { admitted_per_aggregate_max: 1, ..Config::default() };
    let (world, faults) = World::faulty(config).await;
    faults.open(When::nth(1), OpenFault::Hold(Gate::closed()));
    let tallies = world.tallies.clone();
    let waiting = tokio::spawn(tallies.ask("a", Add(1)));
    settle().await;
    check(
        tallies.ask("a", Add(1)).await,
        "tally/a: overloaded, admitted_per_aggregate_max is at its limit of 1: try again later",
    );
    drop(world.runtime);
    let ended = "tally/a: nothing was stored: the runtime is shutting down: try again on the next one";
    check(waiting.await.unwrap(), ended);
    check(tallies.ask("a", Add(1)).await, ended);
    check(tallies.ask("", Add(1)).await, "an aggregate id must not be empty");
}
