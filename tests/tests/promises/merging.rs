//! P2, P9, P10: a command with a stale expectation may ask whether what it missed speaks against it. What was missed is
//! durable when it is looked at, and the answer shows nothing that is not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use onefold::journal::ReadError;
use onefold::{Aggregate, Aggregates, Config, Error, ExpectedVersion, NotStoredReason};
use onefold_testkit::faults::{AppendFault, Gate, ReadFault, When};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::support::{
    Add, Do, Happened, Mindful, No, Seen, SlowJournal, Spend, Tally, World, endless, poll_once, reason, settle,
};

fn added(amount: u64) -> Happened {
    Happened::Added { amount }
}

/// Adds an amount, and merges with additions alone.
fn add(amount: u64) -> Mindful {
    Mindful::new(Add(amount), |missed| missed.iter().all(|event| matches!(event, Happened::Added { .. })))
}

/// Adds an amount, and merges with whatever it missed, which it notes.
fn noting(amount: u64, notes: &Arc<Mutex<Vec<Vec<Happened>>>>) -> Mindful {
    let notes = notes.clone();
    Mindful::new(Add(amount), move |missed| {
        notes.lock().push(missed.to_vec());
        true
    })
}

/// Nobody may ask it.
fn unasked(amount: u64) -> Mindful {
    Mindful::new(Add(amount), |_| panic!("nobody asked for merging"))
}

#[track_caller]
fn conflict(answer: Result<Seen, Error<No>>) -> (ExpectedVersion, u64) {
    let error = answer.unwrap_err();
    assert!(error.is_surely_not_stored() && !error.is_retry_safe(), "{error}");
    let Error::Conflict { expected, actual, .. } = error else { panic!("{error}") };
    (expected, actual.get())
}

/// Several events in one commit.
async fn several(tallies: &Aggregates<Tally>, amounts: impl IntoIterator<Item = u64>) {
    let events: Vec<_> = amounts.into_iter().map(added).collect();
    let deciding = Do::new(|tally: &Tally, _| async move { Ok(tally.emit_all(events)) }.boxed());
    tallies.ask("a", deciding).await.unwrap();
}

/// What was missed decides: additions go together, spending does not.
#[tokio::test(start_paused = true)]
async fn stale_command_goes_ahead_if_what_it_missed_does_not_speak_against_it() {
    let world = World::start().await;
    let tallies = &world.tallies;
    for amount in [1, 2, 3] {
        tallies.ask("a", Add(amount)).await.unwrap();
    }
    let merged = tallies.ask("a", add(10)).expect_version(1u64).or_merge().await;
    assert_eq!(merged, Ok(Seen::at(4, 16)), "on the state as it is, what was missed included");
    tallies.ask("a", Spend(1)).await.unwrap();
    assert_eq!(conflict(tallies.ask("a", add(10)).expect_version(3u64).or_merge().await), (3u64.into(), 5));
    assert_eq!(tallies.ask("a", add(10)).expect_version(5u64).or_merge().await, Ok(Seen::at(6, 25)));
    assert_eq!(tallies.read_with_version("a", |tally, version| (tally.sum, version.get())).await, Ok((25, 6)));
    world.end().await;
}

/// Merging is asked for each time; without, and without need, nobody looks.
#[tokio::test(start_paused = true)]
async fn nothing_is_merged_unasked() {
    let world = World::start().await;
    let tallies = &world.tallies;
    for amount in [1, 2] {
        tallies.ask("a", Add(amount)).await.unwrap();
    }
    assert_eq!(conflict(tallies.ask("a", unasked(10)).expect_version(1u64).await), (1u64.into(), 2));
    assert_eq!(tallies.ask("a", unasked(10)).or_merge().await, Ok(Seen::at(3, 13)), "without an expectation");
    let met = tallies.ask("a", unasked(10)).or_merge().expect_version(3u64).await;
    assert_eq!(met, Ok(Seen::at(4, 23)), "with one that is met");
    let ahead = tallies.ask("a", unasked(10)).expect_version(5u64).or_merge().await;
    assert_eq!(conflict(ahead), (5u64.into(), 4), "nobody has missed what has not happened");
    world.end().await;
}

/// It is shown what it missed, exactly: in order, from the middle of a commit if need be, once.
#[tokio::test(start_paused = true)]
async fn what_was_missed_is_shown_exactly() {
    let world = World::start().await;
    let (tallies, notes) = (&world.tallies, Arc::default());
    several(tallies, [1, 2, 3]).await;
    several(tallies, [4]).await;
    several(tallies, [5, 6]).await;
    for seen in 0..6u64 {
        let stale = tallies.ask("a", noting(0, &notes)).expect_version(seen).or_merge().await.unwrap();
        let missed = std::mem::take(&mut *notes.lock());
        let index = |version: u64| usize::try_from(version).unwrap();
        let noted = std::iter::repeat_n(0, index(stale.version.get()) - 7);
        let so_far: Vec<_> = (1..=6).chain(noted).map(added).collect();
        assert_eq!(missed, [so_far[index(seen)..].to_vec()], "after {seen}");
    }
    let none = tallies.ask("a", noting(0, &notes)).expect_version(ExpectedVersion::NoStream).or_merge();
    assert_eq!(none.await.unwrap().version.get(), 13);
    assert_eq!(notes.lock()[0].len(), 12, "whoever expects no stream has seen nothing");
    world.end().await;
}

/// P2, P16: what was missed may be in flight. It waits until that is durable, and others wait behind it.
#[tokio::test(start_paused = true)]
async fn missed_events_in_flight_are_waited_for() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let (tallies, notes) = (&world.tallies, Arc::default());
    let first: Vec<_> = (1..=3).map(|amount| tokio::spawn(tallies.ask("a", Add(amount)))).collect();
    settle().await;
    let merging = tokio::spawn(tallies.ask("a", noting(10, &notes)).expect_version(0u64).or_merge());
    let against = tokio::spawn(tallies.ask("a", Mindful::new(Add(100), |_| false)).expect_version(1u64).or_merge());
    let behind = tokio::spawn(tallies.ask("a", Add(1_000)));
    for held in [3, 2, 1] {
        settle().await;
        assert_eq!(valve.held(), held, "nothing was decided behind it");
        assert!(!merging.is_finished() && !against.is_finished() && !behind.is_finished());
        assert!(notes.lock().is_empty(), "shown before it is durable");
        valve.pass_one();
    }
    settle().await;
    assert_eq!(*notes.lock(), [vec![added(1), added(2), added(3)]]);
    assert_eq!(valve.held(), 1, "the merged decision is on its way, its conflicting follower waits for it");
    assert!(!merging.is_finished() && !against.is_finished() && !behind.is_finished());
    valve.open();
    for (version, ask) in (1..).zip(first) {
        assert_eq!(ask.await.unwrap().unwrap().version.get(), version);
    }
    assert_eq!(merging.await.unwrap(), Ok(Seen::at(4, 16)));
    assert_eq!(conflict(against.await.unwrap()), (1u64.into(), 4));
    assert_eq!(behind.await.unwrap(), Ok(Seen::at(5, 1_016)));
    world.end().await;
}

/// P9: what was missed is lost on its way. Then there is nothing to merge with, and the caller may try again.
#[tokio::test(start_paused = true)]
async fn missed_events_that_fail_take_the_merging_command_along() {
    for (fault, stored) in [(AppendFault::FailBeforeWrite, 0), (AppendFault::FailAfterWrite, 1)] {
        let (world, faults) = World::faulty(Config::default()).await;
        let gate = Gate::closed();
        faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
        faults.append(When::nth(1), fault);
        let (tallies, notes) = (&world.tallies, Arc::default());
        let held = tokio::spawn(tallies.ask("a", Add(1)));
        let failing = tokio::spawn(tallies.ask("a", Add(2)));
        settle().await;
        let merging = tokio::spawn(tallies.ask("a", noting(10, &notes)).expect_version(0u64).or_merge());
        settle().await;
        gate.open();
        assert_eq!(held.await.unwrap(), Ok(Seen::at(1, 1)));
        failing.await.unwrap().unwrap_err();
        assert_eq!(reason(merging.await.unwrap()), NotStoredReason::Superseded);
        assert!(notes.lock().is_empty());
        let again = tallies.ask("a", noting(10, &notes)).expect_version(0u64).or_merge().await;
        assert_eq!(again, Ok(Seen::at(2 + stored, 11 + 2 * stored)));
        assert_eq!(notes.lock()[0].len() as u64, 1 + stored);
        world.end().await;
    }
}

/// P14: more than the bounds is a conflict, without a look.
#[tokio::test(start_paused = true)]
async fn more_than_the_bounds_is_a_conflict() {
    let world = World::with(Config { missed_events_max: 3, ..Config::default() }).await;
    several(&world.tallies, 1..=4).await;
    assert_eq!(conflict(world.tallies.ask("a", unasked(0)).expect_version(0u64).or_merge().await), (0u64.into(), 4));
    assert_eq!(world.tallies.ask("a", add(0)).expect_version(1u64).or_merge().await, Ok(Seen::at(5, 10)));
    world.end().await;

    let world = World::with(Config { missed_bytes_max: 1_000, ..Config::default() }).await;
    let fill = |bytes| {
        let filled = Happened::Filled { filler: "x".repeat(bytes) };
        Do::new(move |tally: &Tally, _| async move { Ok(tally.emit(filled)) }.boxed())
    };
    let notes = Arc::default();
    world.tallies.ask("a", fill(400)).await.unwrap();
    world.tallies.ask("a", fill(400)).await.unwrap();
    assert!(world.tallies.ask("a", noting(0, &notes)).expect_version(0u64).or_merge().await.is_ok());
    world.tallies.ask("a", fill(400)).await.unwrap();
    assert_eq!(conflict(world.tallies.ask("a", unasked(0)).expect_version(0u64).or_merge().await), (0u64.into(), 4));
    assert!(world.tallies.ask("a", noting(0, &notes)).expect_version(2u64).or_merge().await.is_ok());
    world.end().await;
}

/// P7, P12: what can't be read is no conflict, and no reason to go ahead.
#[tokio::test(start_paused = true)]
async fn missed_events_that_cannot_be_read_are_an_error() {
    let (world, faults) = World::faulty(Config::default()).await;
    several(&world.tallies, [1, 2]).await;
    let merging = || world.tallies.ask("a", add(10)).expect_version(0u64).or_merge();
    faults.read(When::nth(1), ReadFault::Fail(ReadError::Storage { reason: "a hiccup".into() }));
    let passing = merging().await.unwrap_err();
    assert!(passing.is_retry_safe() && passing.to_string().contains("a hiccup"), "{passing}");
    let damaged = ReadError::Damaged {
        stream: None,
        commit: None,
        place: "here".to_owned(),
        evidence: "a flipped bit".to_owned(),
    };
    faults.read(When::nth(1), ReadFault::Fail(damaged));
    let damaged = merging().await.unwrap_err();
    assert!(!damaged.is_retry_safe() && damaged.is_surely_not_stored(), "{damaged}");
    assert!(
        matches!(reason::<()>(Err(damaged)), NotStoredReason::Unreadable { reason } if reason.contains("a flipped bit"))
    );
    faults.read(When::nth(1), ReadFault::FailAfter { items: 0, error: ReadError::Closed });
    assert_eq!(reason(merging().await), NotStoredReason::ShuttingDown);
    assert_eq!(merging().await, Ok(Seen::at(3, 13)));
    assert_eq!(world.runtime.stats().activations, 1, "the instance stayed as it was");
    world.end().await;
}

/// P6, P14: the look is bounded by the handler's timeout and by the caller's deadline; the handler has its own time after it.
#[tokio::test(start_paused = true)]
async fn look_at_what_was_missed_has_its_time() {
    let (world, faults) = World::faulty(Config { handler_timeout: Duration::from_secs(5), ..Config::default() }).await;
    let tallies = &world.tallies;
    several(tallies, [1, 2]).await;
    let started = Instant::now();
    faults.read(When::nth(1), ReadFault::Hold(Gate::closed()));
    let late = tallies.ask("a", add(1)).expect_version(0u64).or_merge().deadline(Duration::from_secs(2)).await;
    assert_eq!(reason(late), NotStoredReason::DeadlinePassed);
    assert_eq!(started.elapsed().as_secs(), 2);
    faults.read(When::nth(1), ReadFault::Hold(Gate::closed()));
    let slow = tallies.ask("a", add(1)).expect_version(0u64).or_merge().await;
    assert_eq!(reason(slow), NotStoredReason::HandlerTimeout { limit: Duration::from_secs(5) });
    assert_eq!(started.elapsed().as_secs(), 7);
    for delay in [Duration::ZERO, Duration::from_secs(3)] {
        let started = Instant::now();
        faults.read(When::nth(1), ReadFault::Delay(delay));
        let hanging = Mindful::handled_by(endless(), |_| true);
        let hanging = tallies.ask("a", hanging).expect_version(0u64).or_merge().await;
        assert_eq!(reason(hanging), NotStoredReason::HandlerTimeout { limit: Duration::from_secs(5) });
        assert_eq!(started.elapsed().as_secs(), 5 + delay.as_secs(), "after a look of {delay:?}");
    }
    assert_eq!(tallies.ask("a", add(1)).expect_version(0u64).or_merge().await, Ok(Seen::at(3, 4)));
    world.end().await;
}

/// P6: a panic while merging is attributed, and the aggregate is as before.
#[tokio::test(start_paused = true)]
async fn panic_while_merging_is_attributed() {
    let world = World::start().await;
    several(&world.tallies, [1, 2]).await;
    let panicking = Mindful::new(Add(1), |_| panic!("cannot decide"));
    let panicked = world.tallies.ask("a", panicking).expect_version(0u64).or_merge().await;
    let expected = NotStoredReason::Panicked { stage: "merge", message: "cannot decide".to_owned() };
    assert_eq!(reason(panicked), expected);
    assert_eq!(world.tallies.ask("a", add(1)).expect_version(0u64).or_merge().await, Ok(Seen::at(3, 4)));
    world.end().await;
}

/// P17: a look that has begun goes on, and the command runs whole, when its caller leaves.
#[tokio::test(start_paused = true)]
async fn merging_command_runs_whole_when_its_caller_leaves() {
    let (world, faults) = World::faulty(Config::default()).await;
    several(&world.tallies, [1, 2]).await;
    let gate = Gate::closed();
    faults.read(When::nth(1), ReadFault::Hold(gate.clone()));
    let mut merging = Box::pin(world.tallies.ask("a", add(10)).expect_version(0u64).or_merge());
    assert!(poll_once(merging.as_mut()).is_pending());
    settle().await;
    drop(merging);
    gate.open();
    settle().await;
    assert_eq!(world.tallies.read_with_version("a", |tally, version| (tally.sum, version.get())).await, Ok((13, 3)));
    world.end().await;
}

/// P4, P10: another runtime writes while this one looks. It merges with what it knows of, and the journal refuses the result.
#[tokio::test(start_paused = true)]
async fn merged_decision_of_a_superseded_runtime_is_refused() {
    let (world, faults) = World::faulty(Config::default()).await;
    several(&world.tallies, [1, 2]).await;
    let (gate, notes) = (Gate::closed(), Arc::default());
    faults.read(When::nth(1), ReadFault::Hold(gate.clone()));
    let merging = tokio::spawn(world.tallies.ask("a", noting(10, &notes)).expect_version(0u64).or_merge());
    settle().await;
    let other = World::on(world.journal.clone(), Config::default()).await;
    other.tallies.ask("a", Spend(3)).await.unwrap();
    drop(other.runtime);
    gate.open();
    assert_eq!(reason(merging.await.unwrap()), NotStoredReason::Superseded);
    assert_eq!(*notes.lock(), [vec![added(1), added(2)]]);
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(0));
    world.end().await;
}

/// Everything that can be told goes with it: a receipt, metadata, in any order.
#[tokio::test(start_paused = true)]
async fn merged_command_has_its_receipt_and_its_metadata() {
    let world = World::start().await;
    several(&world.tallies, [1, 2]).await;
    let merged = world.tallies.ask("a", add(3)).or_merge().metadata("user", "ada").with_receipt().expect_version(1u64);
    let receipt = merged.await.unwrap();
    assert_eq!((receipt.reply, receipt.version.get(), receipt.commit.get()), (Seen::at(3, 6), 3, 2));
    let last = world.tallies.events("a", 2).unwrap().next().await.unwrap().unwrap();
    assert_eq!(last.metadata.entries.get("user"), Some("ada"));
    world.end().await;
}

/// Two kinds of clerks at one aggregate: whoever merges is stored once, whoever conflicts not at all, and every reply is true.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_commands_merge_or_conflict_and_nothing_is_lost() {
    let world = World::start().await;
    let mut expected_sum = 0;
    for round in 0..20u64 {
        let version = world.tallies.version("a").await.unwrap();
        let adding = (0..8).map(|_| tokio::spawn(world.tallies.ask("a", add(10)).expect_version(version).or_merge()));
        let stubborn = (0..8).map(|_| {
            let command = Mindful::new(Add(1), |missed| missed.is_empty());
            tokio::spawn(world.tallies.ask("a", command).expect_version(version).or_merge())
        });
        let answers = join_all(adding.chain(stubborn)).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        let (adding, stubborn) = answers.split_at(8);
        assert!(adding.iter().all(Result::is_ok), "round {round}: additions go with each other and with one");
        let lucky = stubborn.iter().filter(|answer| answer.is_ok()).count();
        assert!(lucky <= 1, "round {round}: only the first of all may have missed nothing");
        let mut versions: Vec<_> = answers.iter().flatten().map(|seen| seen.version.get()).collect();
        versions.sort_unstable();
        assert!(versions.into_iter().eq((1..=8 + lucky as u64).map(|number| version.get() + number)));
        expected_sum += 80 + lucky as u64;
    }
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await, Ok(expected_sum));
    let stored: Vec<_> = world.tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    assert_eq!(stored.len() as u64, world.tallies.version("a").await.unwrap().get());
    world.end().await;
}
