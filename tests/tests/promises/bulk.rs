//! P2, P5, P7, P9: several commands of one aggregate as one decision: in order, on evolving state, one commit or nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, TryStreamExt};
use onefold::{Aggregate, BulkError, Config, Error, ExpectedVersion, Limits, NotStoredReason, RetryPolicy, TooLarge};
use onefold_testkit::faults::{AppendFault, When};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{
    Add, Do, Happened, No, Random, Seen, SlowJournal, Spend, Tally, World, endless, poll_once, settle,
};

/// Answers without an event.
fn look() -> Do<u64> {
    Do::new(|tally: &Tally, _| async move { Ok(tally.reply(|tally: &Tally| tally.sum)) }.boxed())
}

fn emitting(event: Happened) -> Do<()> {
    Do::new(move |tally: &Tally, _| async move { Ok(tally.emit(event)) }.boxed())
}

/// Which command failed, and why nothing was stored.
#[track_caller]
fn failed<T: std::fmt::Debug>(answer: Result<T, BulkError<No>>) -> (Option<usize>, NotStoredReason) {
    match answer {
        Err(BulkError { index, error: Error::NotStored(not_stored) }) => (index, not_stored.reason),
        other => panic!("expected NotStored, got {other:?}"),
    }
}

/// Sum, count and version.
async fn state(world: &World) -> (u64, u64, u64) {
    world.tallies.read_with_version("a", |tally, version| (tally.sum, tally.count, version.get())).await.unwrap()
}

/// Each command meets the state after those before it, each reply shows the state after its own, and all is one commit.
#[tokio::test(start_paused = true)]
async fn commands_are_decided_in_order_and_land_in_one_commit() {
    let world = World::start().await;
    let tallies = &world.tallies;
    let replies = tallies.ask_all("a", vec![Add(1), Add(2), Add(3)]).await;
    assert_eq!(replies, Ok(vec![Seen::at(1, 1), Seen::at(2, 3), Seen::at(3, 6)]));
    let [added, again] = tallies.ask_all("a", [Add(10), Add(10)]).await.unwrap();
    assert_eq!((added, again), (Seen::at(4, 16), Seen::at(5, 26)));
    let (added, looked, spent, after) = tallies.ask_all("a", (Add(4), look(), Spend(30), look())).await.unwrap();
    assert_eq!((added, looked, spent, after), (Seen::at(6, 30), 30, Seen::at(7, 0), 0));
    let (alone,) = tallies.ask_all("a", (Add(7),)).await.unwrap();
    assert_eq!(alone, Seen::at(8, 7));
    assert_eq!(tallies.ask_all("a", Vec::<Add>::new()).await, Ok(vec![]));
    let stored: Vec<_> = tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    let commits: Vec<_> = stored.iter().map(|event| event.commit.get()).collect();
    assert_eq!(commits, [1, 1, 1, 2, 2, 3, 3, 4]);
    let ids: std::collections::BTreeSet<_> = stored.iter().map(|event| event.metadata.command_id).collect();
    assert_eq!(ids.len(), 4, "one id for each bulk");
    assert_eq!(state(&world).await, (7, 8, 8));
    world.end().await;
}

/// Twelve different ones.
#[tokio::test(start_paused = true)]
async fn tuples_have_up_to_twelve_commands() {
    let world = World::start().await;
    let one = || Add(1);
    let commands = (one(), one(), one(), one(), one(), one(), one(), one(), one(), one(), Spend(10), look());
    let replies = world.tallies.ask_all("a", commands).await.unwrap();
    assert_eq!((replies.0, replies.9, replies.10, replies.11), (Seen::at(1, 1), Seen::at(10, 10), Seen::at(11, 0), 0));
    world.end().await;
}

/// P5, P9: one rejection and nothing of all of them has happened, in memory and in the journal; the error tells which it was.
#[tokio::test(start_paused = true)]
async fn one_rejection_leaves_nothing_of_all() {
    let world = World::start().await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(5)).await.unwrap();
    let rejected = tallies.ask_all("a", (Add(1), Add(2), Spend(100), Add(3))).await.unwrap_err();
    assert_eq!(rejected, BulkError { index: Some(2), error: Error::Rejected(No { sum: 8 }) });
    assert_eq!(rejected.to_string(), "command 2 of the bulk (counted from 0): the tally holds 8 only");
    assert_eq!(state(&world).await, (5, 1, 1));
    assert_eq!(world.runtime.stats().activations, 2, "the spoiled state was thrown away");
    let first = tallies.ask_all("a", (Spend(100), Add(1))).await.unwrap_err();
    assert_eq!((first.index, first.error.rejection()), (Some(0), Some(&No { sum: 5 })));
    let unspoiled = tallies.ask_all("a", (look(), Spend(100))).await.unwrap_err();
    assert_eq!(unspoiled.index, Some(1));
    assert_eq!(world.runtime.stats().activations, 2, "nothing had been applied");
    assert_eq!(tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 6)));
    let stored: Vec<_> = tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    assert!(stored.iter().map(|event| event.event.clone()).eq([5, 1].map(|amount| Happened::Added { amount })));
    let journal = world.journal.clone();
    drop(world.runtime);
    let next = World::on(journal, Config::default()).await;
    assert_eq!(state(&next).await, (6, 2, 2));
    next.end().await;
}

/// P2: neither the replies nor a rejection in the middle leave before everything in flight is durable; then others go on.
#[tokio::test(start_paused = true)]
async fn bulk_waits_behind_the_gate() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let tallies = &world.tallies;
    let first = tokio::spawn(tallies.ask("a", Add(1)));
    let all = tokio::spawn(tallies.ask_all("a", [Add(2), Add(3)]));
    let rejected = tokio::spawn(tallies.ask_all("a", (Add(4), Spend(1_000))));
    let behind = tokio::spawn(tallies.ask("a", Add(5)));
    settle().await;
    assert_eq!(valve.held(), 3, "a decision, the bulk, and the barrier of its follower's rejection");
    assert!(!all.is_finished() && !rejected.is_finished() && !behind.is_finished());
    valve.pass_one();
    settle().await;
    assert!(first.await.unwrap().is_ok() && !all.is_finished() && !rejected.is_finished());
    valve.open();
    assert_eq!(all.await.unwrap(), Ok([Seen::at(2, 3), Seen::at(3, 6)]));
    assert_eq!(rejected.await.unwrap(), Err(BulkError { index: Some(1), error: Error::Rejected(No { sum: 10 }) }));
    assert_eq!(behind.await.unwrap(), Ok(Seen::at(4, 11)), "on the state without what was rejected");
    world.end().await;
}

/// P7, P9: an append that fails, one way or another, takes all of them along; what was stored is stored whole.
#[tokio::test(start_paused = true)]
async fn failed_append_concerns_all_of_them() {
    let (world, faults) = World::faulty(Config::default()).await;
    let tallies = &world.tallies;
    let bulk = || tallies.ask_all("a", vec![Add(1), Add(2), Add(3)]);
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let (index, why) = failed(bulk().await);
    assert!(index.is_none() && matches!(why, NotStoredReason::Unavailable { .. }));
    assert_eq!(state(&world).await, (0, 0, 0));
    faults.append(When::nth(1), AppendFault::LoseWrite);
    let lost = bulk().await.unwrap_err();
    assert!(lost.index.is_none() && matches!(lost.error, Error::OutcomeUnknown(_)), "{lost}");
    assert_eq!(state(&world).await, (0, 0, 0));
    faults.append(When::nth(1), AppendFault::FailAfterWrite);
    let unknown = bulk().await.unwrap_err();
    assert!(matches!(unknown.error, Error::OutcomeUnknown(_)), "{unknown}");
    assert_eq!(state(&world).await, (6, 3, 3), "stored, and whole");
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    assert_eq!(bulk().retry(RetryPolicy::default()).await.unwrap()[2], Seen::at(6, 12));
    world.end().await;
}

/// P6: panics anywhere, each with its command's number.
#[tokio::test(start_paused = true)]
async fn panic_leaves_nothing_and_names_its_command() {
    let world = World::with(Config { crashes_max: u32::MAX, ..Config::default() }).await;
    let tallies = &world.tallies;
    tallies.ask("a", Add(5)).await.unwrap();
    let in_handle = Do::<()>::new(|_, _| panic!("in the handler"));
    let (index, why) = failed(tallies.ask_all("a", (Add(1), in_handle)).await);
    assert_eq!((index, why.to_string().contains("handle panicked: in the handler")), (Some(1), true));
    let (index, why) = failed(tallies.ask_all("a", (Add(1), Add(1), emitting(Happened::Cursed))).await);
    assert_eq!((index, why.to_string().contains("apply panicked")), (Some(2), true));
    let in_reply = Do::<()>::new(|tally, _| async move { Ok(tally.reply(|_| panic!("in the reply"))) }.boxed());
    let (index, why) = failed(tallies.ask_all("a", (Add(1), in_reply, Add(1))).await);
    assert_eq!((index, why.to_string().contains("reply panicked")), (Some(1), true));
    assert_eq!(state(&world).await, (5, 1, 1));
    world.end().await;
}

/// P6, P17: a deadline in the middle, and a handler that takes too long.
#[tokio::test(start_paused = true)]
async fn deadline_in_the_middle_leaves_nothing() {
    let world = World::with(Config { handler_timeout: Duration::from_secs(5), ..Config::default() }).await;
    let tallies = &world.tallies;
    let started = Instant::now();
    let late = tallies.ask_all("a", (Add(1), endless(), Add(2))).deadline(Duration::from_secs(2)).await;
    assert_eq!(failed(late), (Some(1), NotStoredReason::DeadlinePassed));
    assert_eq!(started.elapsed().as_secs(), 2);
    let slow = tallies.ask_all("a", (Add(1), Add(1), endless())).await;
    assert_eq!(failed(slow), (Some(2), NotStoredReason::HandlerTimeout { limit: Duration::from_secs(5) }));
    assert_eq!(started.elapsed().as_secs(), 7);
    assert_eq!(state(&world).await, (0, 0, 0));
    world.end().await;
}

/// P17: a deadline that passes while a handler computes: the caller was told, so nothing may land.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_that_was_told_of_its_deadline_finds_nothing() {
    let world = World::start().await;
    let busy = Do::<()>::new(|tally, _| {
        // As no handler should: nobody but the caller's own clock notices the deadline.
        std::thread::sleep(Duration::from_millis(300));
        async move { Ok(tally.emit_all([])) }.boxed()
    });
    let asked = tokio::spawn(world.tallies.ask_all("a", (Add(1), busy)).deadline(Duration::from_millis(50)));
    let (_, why) = failed(asked.await.unwrap());
    assert_eq!(why, NotStoredReason::DeadlinePassed);
    assert_eq!(state(&world).await, (0, 0, 0));
    world.end().await;
}

/// P2: inside of a bulk nothing of the bulk can be durable; a handler that waits for that is told so.
#[tokio::test(start_paused = true)]
async fn handler_that_waits_for_its_own_bulk_is_dropped() {
    let world = World::start().await;
    let careful = || {
        Do::<()>::new(|tally, cx| {
            async move {
                cx.durable().await;
                Ok(tally.emit(Happened::Added { amount: 1 }))
            }
            .boxed()
        })
    };
    let started = Instant::now();
    let (index, why) = failed(world.tallies.ask_all("a", (Add(1), careful())).await);
    assert_eq!((index, why), (Some(1), NotStoredReason::NeverDurable));
    assert_eq!(started.elapsed(), Duration::ZERO, "at once");
    assert_eq!(state(&world).await, (0, 0, 0));
    assert!(world.tallies.ask_all("a", (careful(), Add(1))).await.is_ok(), "before anything is applied it may wait");
    assert!(world.tallies.ask("a", careful()).await.is_ok());
    world.end().await;
}

/// P14: the number of commands, of events and of bytes has its bound, for all of them together.
#[tokio::test(start_paused = true)]
async fn bulk_has_its_bounds() {
    let limits = Limits { events_per_commit_max: 4, commit_bytes_max: 2_000, ..Limits::default() };
    let world = World::with(Config { bulk_commands_max: 6, limits, ..Config::default() }).await;
    let tallies = &world.tallies;
    let looks = |count| (0..count).map(|_| look()).collect::<Vec<_>>();
    assert_eq!(tallies.ask_all("a", looks(6)).await.unwrap().len(), 6);
    let many = tallies.ask_all("a", looks(7)).await.unwrap_err();
    assert!(many.index.is_none() && many.to_string().contains("bulk_commands_max"), "{many}");
    let events = tallies.ask_all("a", vec![Add(1); 5]).await.unwrap_err();
    assert_eq!(events.index, Some(4), "the one that was one too many");
    assert!(matches!(events.error, Error::TooLarge { what: TooLarge::EventsPerCommit { actual: 5, limit: 4 }, .. }));
    let fill = || emitting(Happened::Filled { filler: "x".repeat(800) });
    let bytes = tallies.ask_all("a", vec![fill(), fill(), fill()]).await.unwrap_err();
    assert_eq!(bytes.index, Some(2));
    assert!(matches!(bytes.error, Error::TooLarge { what: TooLarge::Commit { limit: 2_000, .. }, .. }), "{bytes}");
    assert_eq!(state(&world).await, (0, 0, 0));
    world.end().await;

    let world = World::with(Config { admitted_bytes_max: 64 * 1024, ..Config::default() }).await;
    let other = tokio::spawn(world.tallies.ask("b", endless()));
    settle().await;
    let heavy = world.tallies.ask_all("a", vec![Add(1); 16 * 1024]).await.unwrap_err();
    assert!(matches!(heavy.error, Error::Overloaded { bound: "admitted_bytes_max", .. }), "{heavy}");
    assert!(other.await.unwrap().is_err(), "its time is up");
    world.end().await;
}

/// Everything else that can be told goes with it.
#[tokio::test(start_paused = true)]
async fn bulk_has_expectation_receipt_and_metadata() {
    let world = World::start().await;
    let tallies = &world.tallies;
    let first = tallies.ask_all("a", [Add(1), Add(2)]).with_receipt().expect_version(ExpectedVersion::NoStream);
    let receipt = first.metadata("user", "ada").await.unwrap();
    assert_eq!((receipt.version.get(), receipt.position.get(), receipt.commit.get()), (2, 2, 1));
    let stale = tallies.ask_all("a", [Add(1), Add(2)]).expect_version(1u64).with_receipt().await.unwrap_err();
    assert!(matches!(stale, BulkError { index: None, error: Error::Conflict { actual, .. } } if actual.get() == 2));
    let looked = tallies.ask_all("a", (look(), look())).with_receipt().await.unwrap();
    assert_eq!((looked.reply, looked.version.get(), looked.position.get()), ((3, 3), 2, 2));
    let stored: Vec<_> = tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    assert!(stored.iter().all(|event| event.metadata.entries.get("user") == Some("ada")));
    world.end().await;
}

/// P17: a bulk that has begun runs whole when its caller leaves; one that was queued does not run.
#[tokio::test(start_paused = true)]
async fn bulk_runs_whole_or_not_at_all() {
    let world = World::start().await;
    let tallies = &world.tallies;
    tallies.version("a").await.unwrap();
    let slow = || crate::support::slow(Duration::from_secs(1));
    let mut begun = Box::pin(tallies.ask_all("a", (Add(10), slow(), Add(100))));
    assert!(poll_once(begun.as_mut()).is_pending());
    let mut queued = Box::pin(tallies.ask_all("a", [Add(1_000), Add(1_000)]));
    assert!(poll_once(queued.as_mut()).is_pending());
    drop((begun, queued));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(state(&world).await, (111, 3, 3));
    world.end().await;
}

/// P15: a long bulk of quick handlers lets other tasks run, and is whole all the same.
#[tokio::test(start_paused = true)]
async fn long_bulk_takes_turns() {
    let world = World::with(Config { turn_commands_max: 8, ..Config::default() }).await;
    world.tallies.version("a").await.unwrap();
    let mut long = Box::pin(world.tallies.ask_all("a", vec![Add(1); 100]));
    assert!(poll_once(long.as_mut()).is_pending());
    let others = tokio::spawn(world.tallies.ask("b", Add(1)));
    let replies = long.await.unwrap();
    assert!(replies.iter().map(|seen| seen.sum).eq(1..=100));
    others.await.unwrap().unwrap();
    world.end().await;
}

/// Many bulks at once on a journal that fails now and then: whole or not at all, told truly, and in no other's middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_bulks_are_whole_whatever_fails() {
    let (world, faults) = World::faulty(Config::default()).await;
    for nth in [5, 11, 17, 40] {
        faults.append(When::nth(nth), AppendFault::FailBeforeWrite);
        faults.append(When::nth(nth + 2), AppendFault::FailAfterWrite);
    }
    let mut callers = JoinSet::new();
    for caller in 0..6u64 {
        let tallies = world.tallies.clone();
        callers.spawn(async move {
            let (mut random, mut stored, mut unknown) = (Random::new(caller), 0, 0);
            for _ in 0..30 {
                let count = 2 + random.below(4);
                let spoils = random.one_in(4);
                let mut commands: Vec<Do<()>> = (0..count).map(|_| emitting(Happened::Added { amount: 1 })).collect();
                if spoils {
                    commands.push(Do::new(|tally, _| async move { Err(No { sum: tally.sum }) }.boxed()));
                }
                match tallies.ask_all("a", commands).metadata("count", count.to_string()).await {
                    Ok(replies) => {
                        assert_eq!((replies.len() as u64, spoils), (count, false));
                        stored += count;
                    }
                    Err(error) if error.error.is_surely_not_stored() => {}
                    Err(_) => unknown += count,
                }
            }
            (stored, unknown)
        });
    }
    let told = callers.join_all().await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let events: Vec<_> = world.tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    let total = events.len() as u64;
    assert!((told.0..=told.0 + told.1).contains(&total), "{total} events, told of {told:?}");
    for commit in events.chunk_by(|one, next| one.commit == next.commit) {
        assert_eq!(commit[0].metadata.entries.get("count"), Some(commit.len().to_string().as_str()), "a bulk is whole");
    }
    assert_eq!(state(&world).await, (total, total, total));
    world.end().await;
}
