//! P8: an idempotency key on several commands of one aggregate: they happen together, and once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use futures_util::TryStreamExt;
use onefold::{
    Aggregate, BulkError, Config, Context, Decision, Error, ErrorKind, Handle, Limits, MemoryJournal, RetryPolicy,
    TooLarge,
};
use onefold_testkit::faults::{AppendFault, When};
use serde::Serialize;

use crate::support::{Add, No, Seen, SlowJournal, Spend, Tally, World, settle};

async fn sum(world: &World) -> u64 {
    world.tallies.read("a", |tally| tally.sum).await.unwrap()
}

async fn commits(world: &World) -> usize {
    let events: Vec<_> = world.tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    let commits: std::collections::BTreeSet<_> = events.iter().map(|event| event.commit).collect();
    commits.len()
}

/// Tells the sum.
#[derive(Clone, Copy, Serialize)]
struct Look;

impl Handle<Look> for Tally {
    type Reply = u64;

    async fn handle(&self, Look: Look, _: &Context<Self>) -> Result<Decision<Self, u64>, No> {
        Ok(self.reply(|tally: &Tally| tally.sum))
    }
}

/// Is never ready, from its second run on.
#[derive(Clone, Serialize)]
struct Stalling {
    /// How often it ran.
    #[serde(skip)]
    runs: Arc<AtomicU32>,
}

impl Handle<Stalling> for Tally {
    type Reply = ();

    async fn handle(&self, Stalling { runs }: Stalling, _: &Context<Self>) -> Result<Decision<Self, ()>, No> {
        if runs.fetch_add(1, Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
        Ok(self.reply(|_| ()))
    }
}

/// A repeat gives the original replies and their version, whatever has happened since, also after a restart; whether it
/// comes as a vector, an array or a tuple.
#[tokio::test(start_paused = true)]
async fn repeat_gives_the_original_replies() {
    let journal = MemoryJournal::new();
    let world = World::on(Arc::new(journal.clone()), Config::default()).await;
    let of_two = |world: &World| world.tallies.ask_all("a", [Add(1), Add(2)]).idempotency_key("two");
    let mixed = |world: &World| world.tallies.ask_all("a", (Add(10), Spend(4))).idempotency_key("mixed");
    let of_three = |world: &World| world.tallies.ask_all("a", vec![Add(1); 3]).idempotency_key("three").with_receipt();
    let two = Ok([Seen::at(1, 1), Seen::at(2, 3)]);
    assert_eq!(of_two(&world).await, two);
    let (added, spent) = mixed(&world).await.unwrap();
    assert_eq!((added.sum, spent.sum), (13, 9));
    let three = of_three(&world).await.unwrap();
    assert_eq!(three.reply.iter().map(|seen| seen.sum).collect::<Vec<_>>(), [10, 11, 12]);
    world.tallies.ask("a", Add(100)).await.unwrap();
    assert_eq!(of_two(&world).await, two);
    world.end().await;

    journal.reopen();
    let world = World::on(Arc::new(journal), Config::default()).await;
    assert_eq!(of_two(&world).await, two);
    assert_eq!(mixed(&world).await, Ok((added, spent)));
    let again = of_three(&world).await.unwrap();
    assert!(again.position >= three.position && again.commit >= three.commit);
    assert_eq!((again.reply, again.version), (three.reply, three.version));
    assert_eq!((sum(&world).await, commits(&world).await), (112, 4));
    world.end().await;
}

/// What was expected was checked when it happened, and a repeat needs no room: neither stands in its way.
#[tokio::test(start_paused = true)]
async fn nothing_stands_in_the_way_of_a_repeat() {
    let world = World::with(Config { idempotency_bytes_max: 100, ..Config::default() }).await;
    let first = || world.tallies.ask_all("a", [Add(1), Add(2)]).idempotency_key("first").expect_version(0);
    let replies = Ok([Seen::at(1, 1), Seen::at(2, 3)]);
    assert_eq!(first().await, replies);
    assert_eq!(first().await, replies, "the version is another one");
    let full = world.tallies.ask_all("a", [Add(1)]).idempotency_key("second").await.unwrap_err();
    assert_eq!((full.index, full.error.kind()), (None, ErrorKind::Overloaded));
    assert_eq!((first().await, sum(&world).await), (replies, 3));
    world.end().await;
}

/// A key belongs to what it was first used for: other commands, another order, more or fewer of them, a single one.
#[tokio::test(start_paused = true)]
async fn key_with_other_commands_is_refused() {
    let world = World::start().await;
    let ask = |commands: Vec<Add>| world.tallies.ask_all("a", commands).idempotency_key("k");
    ask(vec![Add(1), Add(2)]).await.unwrap();
    for others in [vec![Add(2), Add(1)], vec![Add(1)], vec![Add(1), Add(2), Add(3)], vec![]] {
        let BulkError { index, error } = ask(others).await.unwrap_err();
        assert_eq!((index, error.kind()), (None, ErrorKind::KeyReused));
    }
    let single = world.tallies.ask("a", Add(1)).idempotency_key("k").await.unwrap_err();
    assert_eq!(single.kind(), ErrorKind::KeyReused);
    let BulkError { index, error } = world.tallies.ask_all("a", [Add(1)]).idempotency_key("").await.unwrap_err();
    assert_eq!((index, error.kind()), (None, ErrorKind::InvalidKey));
    assert_eq!((sum(&world).await, commits(&world).await), (3, 1));
    world.end().await;
}

/// Nothing happened, so nothing is remembered: the same key may succeed later.
#[tokio::test(start_paused = true)]
async fn rejection_is_not_remembered() {
    let world = World::start().await;
    let pay = || world.tallies.ask_all("a", (Add(1), Spend(5))).idempotency_key("pay");
    let rejected = BulkError { index: Some(1), error: Error::Rejected(No { sum: 1 }) };
    assert_eq!(pay().await, Err(rejected));
    world.tallies.ask("a", Add(10)).await.unwrap();
    let paid = pay().await.unwrap();
    assert_eq!((paid.1.sum, pay().await), (6, Ok(paid)));
    assert_eq!(sum(&world).await, 6);
    world.end().await;
}

/// Commands that change nothing are remembered with what they saw, also after a restart; so are none at all.
#[tokio::test(start_paused = true)]
async fn replies_without_events_are_remembered() {
    let journal = MemoryJournal::new();
    let world = World::on(Arc::new(journal.clone()), Config::default()).await;
    let none = |world: &World| world.tallies.ask_all("a", Vec::<Add>::new()).idempotency_key("none");
    let look = |world: &World| world.tallies.ask_all("a", [Look, Look]).idempotency_key("look");
    assert_eq!((none(&world).await, look(&world).await), (Ok(vec![]), Ok([0, 0])));
    world.tallies.ask("a", Add(5)).await.unwrap();
    assert_eq!((none(&world).await, look(&world).await), (Ok(vec![]), Ok([0, 0])));
    world.end().await;

    journal.reopen();
    let world = World::on(Arc::new(journal), Config::default()).await;
    assert_eq!((none(&world).await, look(&world).await), (Ok(vec![]), Ok([0, 0])));
    let other = world.tallies.ask_all("a", [Look]).idempotency_key("none").await.unwrap_err();
    assert_eq!(other.error.kind(), ErrorKind::KeyReused);
    assert_eq!((sum(&world).await, commits(&world).await), (5, 1));
    world.end().await;
}

/// Commands of one type have one fingerprint in all forms, but not their replies: never a second effect.
#[tokio::test(start_paused = true)]
async fn repeat_in_another_form_has_no_effect() {
    let world = World::start().await;
    world.tallies.ask_all("a", vec![Add(1), Add(2)]).idempotency_key("k").await.unwrap();
    let tuple = world.tallies.ask_all("a", (Add(1), Add(2))).idempotency_key("k").await.unwrap_err();
    assert_eq!(tuple.error.kind(), ErrorKind::AlreadyDone);
    assert_eq!((sum(&world).await, commits(&world).await), (3, 1));
    world.end().await;
}

/// After an outcome that nobody knows the retry recognises what was stored, and does again what was not.
#[tokio::test(start_paused = true)]
async fn retry_goes_on_after_an_unknown_outcome() {
    for fault in [AppendFault::FailAfterWrite, AppendFault::LoseWrite, AppendFault::FailBeforeWrite] {
        let (world, faults) = World::faulty(Config::default()).await;
        faults.append(When::nth(1), fault);
        let bulk = world.tallies.ask_all("a", [Add(1), Add(2)]).idempotency_key("k").retry(RetryPolicy::default());
        assert_eq!(bulk.await, Ok([Seen::at(1, 1), Seen::at(2, 3)]));
        assert_eq!((sum(&world).await, commits(&world).await), (3, 1));
        world.end().await;
    }
}

/// A repeat of a key that is still in flight waits behind the same gate.
#[tokio::test(start_paused = true)]
async fn repeat_in_flight_waits_for_the_first_one() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    world.tallies.version("a").await.unwrap();
    let ask = || world.tallies.ask_all("a", [Add(1), Add(2)]).idempotency_key("k");
    let first = tokio::spawn(ask());
    settle().await;
    let second = tokio::spawn(ask());
    settle().await;
    assert!(!first.is_finished() && !second.is_finished());
    valve.open();
    let replies = Ok([Seen::at(1, 1), Seen::at(2, 3)]);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (replies.clone(), replies));
    assert_eq!(sum(&world).await, 3);
    world.end().await;
}

/// An outcome that nobody knows is all of theirs, though a later attempt came to nothing at one of them.
#[tokio::test(start_paused = true)]
async fn unknown_outcome_blames_no_single_one() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::nth(1), AppendFault::LoseWrite);
    let stalling = Stalling { runs: Arc::default() };
    let runs = stalling.runs.clone();
    let bulk = world.tallies.ask_all("a", (Add(1), stalling)).idempotency_key("k");
    let failed = bulk.retry(RetryPolicy { attempts: 2, ..RetryPolicy::default() }).await.unwrap_err();
    assert_eq!((failed.index, failed.error.kind()), (None, ErrorKind::OutcomeUnknown));
    assert_eq!((runs.load(Relaxed), sum(&world).await), (2, 0));
    world.end().await;
}

/// A command that its deadline takes back leaves no key behind, in memory neither.
#[tokio::test(start_paused = true)]
async fn deadline_leaves_the_key_free() {
    let world = World::start().await;
    let runs = Arc::new(AtomicU32::new(1));
    let ask = || world.tallies.ask_all("a", (Look, Stalling { runs: runs.clone() })).idempotency_key("k");
    let late = ask().deadline(Duration::from_secs(1)).await.unwrap_err();
    assert!(late.error.is_surely_not_stored(), "{late}");
    runs.store(0, Relaxed);
    assert_eq!(ask().await.unwrap().0, 0);
    world.tallies.ask("a", Add(5)).await.unwrap();
    assert_eq!((ask().await.unwrap().0, runs.load(Relaxed)), (0, 1));
    world.end().await;
}

/// Replies that do not fit, or make the commit too large, fail all of it, in memory too; the key stays free.
#[tokio::test(start_paused = true)]
async fn replies_that_do_not_fit_leave_nothing() {
    let key = "a key of some 70 bytes, which does not look like a number, makes the commit large";
    for limits in
        [Limits { reply_bytes_max: 10, ..Limits::default() }, Limits { commit_bytes_max: 220, ..Limits::default() }]
    {
        let world = World::with(Config { limits, ..Config::default() }).await;
        world.tallies.ask("a", Add(1)).await.unwrap();
        let ask = |count: usize| world.tallies.ask_all("a", vec![Add(1); count]).idempotency_key(key);
        let BulkError { index, error } = ask(6).await.unwrap_err();
        let Error::TooLarge { version, what, .. } = error else { panic!("{error}") };
        assert!(matches!(what, TooLarge::Reply { .. } | TooLarge::Commit { .. }), "{what}");
        assert_eq!((index, version.get()), (None, 1), "none of them alone is too large");
        assert_eq!((sum(&world).await, commits(&world).await), (1, 1));
        world.tallies.ask_all("a", vec![Add(1); 6]).await.unwrap();
        let few = ask(1).await.unwrap();
        assert_eq!((few[0].sum, sum(&world).await), (8, 8));
        world.end().await;
    }
}
