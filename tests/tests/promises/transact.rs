//! P5: what several aggregates decide together lands in one commit, or nothing of it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, pending};
use futures_util::{FutureExt, StreamExt};
use onefold::{
    Aggregate, Aggregates, Checkpoint, Config, Context, Decision, Error, ErrorKind, Event, Handle, InvalidTransact,
    NotStoredReason, RetryPolicy, Runtime, TransactError, transact,
};
use serde::{Deserialize, Serialize};

use crate::support::{
    Add, Do, Happened, No, Seen, SlowJournal, Spend, Tally, Tools, World, endless, reason, settle, stream,
};

type Moved = Result<(Seen, Seen), TransactError<No>>;

async fn transfer(tallies: &Aggregates<Tally>, from: &str, to: &str, amount: u64) -> Moved {
    transact((tallies.ask(from, Spend(amount)), tallies.ask(to, Add(amount)))).await
}

async fn sums<const N: usize>(world: &World, ids: [&str; N]) -> [u64; N] {
    let mut sums = [0; N];
    for (sum, id) in sums.iter_mut().zip(ids) {
        *sum = world.tallies.read(id, |tally| tally.sum).await.unwrap();
    }
    sums
}

async fn commits(world: &World) -> usize {
    world.journal.read_all(&Checkpoint::START).count().await
}

/// Both sides of a transfer happen, in one commit, and each gives its own reply.
#[tokio::test(start_paused = true)]
async fn all_of_it_is_one_commit() {
    let world = World::start().await;
    world.tallies.ask("a", Add(100)).await.unwrap();
    assert_eq!(transfer(&world.tallies, "a", "b", 30).await, Ok((Seen::at(2, 70), Seen::at(1, 30))));
    assert_eq!(commits(&world).await, 2);
    let asks = (world.tallies.ask("b", Spend(5)).with_receipt(), world.tallies.ask("a", Add(5)).with_receipt());
    let (b, a) = transact(asks).await.unwrap();
    assert_eq!((b.commit, b.position), (a.commit, a.position));
    assert_eq!((b.version.get(), a.version.get(), a.position.get()), (2, 3, 5));
    assert_eq!(sums(&world, ["a", "b"]).await, [75, 25]);
    world.end().await;
}

/// When one says no, nothing happens to the others, and nobody is the worse for it.
#[tokio::test(start_paused = true)]
async fn one_rejection_is_everybodys() {
    let world = World::start().await;
    world.tallies.ask("a", Add(10)).await.unwrap();
    for (index, moved) in [
        (0, transfer(&world.tallies, "a", "b", 30).await),
        (1, transact((world.tallies.ask("b", Add(30)), world.tallies.ask("a", Spend(30)))).await),
    ] {
        assert_eq!(moved, Err(TransactError { index: Some(index), error: Error::Rejected(No { sum: 10 }) }));
    }
    assert_eq!((commits(&world).await, sums(&world, ["a", "b"]).await), (1, [10, 0]));
    assert_eq!(world.tallies.ask("b", Add(5)).await, Ok(Seen::at(1, 5)));
    world.end().await;
}

/// A participant that decides on nothing is checked as the others are; and expectations are its own.
#[tokio::test(start_paused = true)]
async fn participant_without_events_is_part_of_it() {
    let world = World::start().await;
    world.tallies.ask("a", Add(10)).await.unwrap();
    let look = || {
        Do::new(|tally: &Tally, _: &_| {
            let decision = tally.reply(|tally| Seen::at(tally.count, tally.sum));
            async move { Ok(decision) }.boxed()
        })
    };
    let moved = transact((world.tallies.ask("a", look()).expect_version(1u64), world.tallies.ask("b", Add(1)))).await;
    assert_eq!(moved, Ok((Seen::at(1, 10), Seen::at(1, 1))));
    let stale = transact((world.tallies.ask("b", Add(1)), world.tallies.ask("a", look()).expect_version(0u64))).await;
    let TransactError { index, error } = stale.unwrap_err();
    assert_eq!((index, error.kind()), (Some(1), ErrorKind::Conflict));
    let nothing = transact([world.tallies.ask("a", look()), world.tallies.ask("b", look())]).await;
    assert_eq!(nothing, Ok([Seen::at(1, 10), Seen::at(1, 1)]));
    assert_eq!((commits(&world).await, sums(&world, ["b"]).await), (2, [1]));
    world.end().await;
}

/// In whatever order they name their participants, transacts never wait for each other in a circle; and no money is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opposite_transfers_do_not_wait_for_each_other() {
    let world = World::start().await;
    let ids = ["a", "b", "c", "d", "e"];
    for id in ids {
        world.tallies.ask(id, Add(100)).await.unwrap();
    }
    let clients = (0..32usize).map(|client| {
        let tallies = world.tallies.clone();
        tokio::spawn(async move {
            for step in 0..50usize {
                let from = (client + step) % ids.len();
                let to = (from + 1 + (client * 7 + step) % (ids.len() - 1)) % ids.len();
                match transfer(&tallies, ids[from], ids[to], 1 + (step % 40) as u64).await {
                    Ok(_) => (),
                    Err(TransactError { error: Error::Rejected(_), .. }) => (),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    assert_eq!(sums(&world, ids).await.iter().sum::<u64>(), 500);
    conserved(&world, 500, ids.len()).await;
    world.end().await;
}

/// At every commit of the log the sum over all is what it was, once everybody has been given theirs.
async fn conserved(world: &World, total: u64, givers: usize) {
    let mut balance = i128::from(total);
    let mut feed = world.journal.read_all(&Checkpoint::START).enumerate();
    while let Some((number, item)) = feed.next().await {
        let onefold::journal::FeedItem::Commit(commit) = item.unwrap() else { panic!("a gap") };
        for event in commit.parts.iter().flat_map(|(_, part)| part.events()) {
            match event.unwrap().decode::<Happened>().unwrap() {
                Happened::Added { amount } => balance += i128::from(amount),
                Happened::Spent { amount } => balance -= i128::from(amount),
                other => panic!("{other:?}"),
            }
        }
        if number < givers {
            balance -= i128::from(total) / givers as i128;
        }
        assert_eq!(balance, i128::from(total), "after commit {}", number + 1);
    }
}

/// Held: what an aggregate decided before must be durable first, and what comes behind waits.
#[tokio::test(start_paused = true)]
async fn participants_are_held_until_nothing_is_in_flight() {
    let (journal, valve) = SlowJournal::new();
    let world =
        World::on(Arc::new(journal), Config { transact_hold_max: Duration::from_secs(9), ..Config::default() }).await;
    for id in ["a", "b"] {
        world.tallies.version(id).await.unwrap();
    }
    let earlier = tokio::spawn(world.tallies.ask("a", Add(50)));
    settle().await;
    let moved = tokio::spawn(transact((world.tallies.ask("a", Spend(50)), world.tallies.ask("b", Add(50)))));
    let behind = tokio::spawn(world.tallies.ask("b", Add(1)));
    settle().await;
    assert_eq!(valve.held(), 1, "neither the transact nor what is behind it is decided");
    assert!(valve.pass_one());
    settle().await;
    assert_eq!(valve.held(), 1, "the transact is; what is behind it waits for its outcome");
    valve.open();
    assert_eq!(earlier.await.unwrap(), Ok(Seen::at(1, 50)));
    assert_eq!(moved.await.unwrap(), Ok((Seen::at(2, 0), Seen::at(1, 50))));
    assert_eq!(behind.await.unwrap(), Ok(Seen::at(2, 51)));
    world.end().await;
}

/// P14: an aggregate is held for so long and no longer; then it goes on with what waits.
#[tokio::test(start_paused = true)]
async fn hold_is_bounded() {
    let world = World::start().await;
    world.tallies.ask("b", Add(1)).await.unwrap();
    let busy = tokio::spawn(world.tallies.ask("b", endless()));
    settle().await;
    let begun = tokio::time::Instant::now();
    let moved = tokio::spawn(transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(1)))));
    settle().await;
    let behind = tokio::spawn(world.tallies.ask("a", Add(7)));
    let TransactError { index, error } = moved.await.unwrap().unwrap_err();
    assert!(error.is_retry_safe());
    let limit = Duration::from_secs(2);
    assert_eq!((index, reason::<()>(Err(error))), (Some(0), NotStoredReason::HoldTimedOut { limit }));
    assert_eq!((behind.await.unwrap(), begun.elapsed()), (Ok(Seen::at(1, 7)), limit));
    assert_eq!(reason(busy.await.unwrap()), NotStoredReason::HandlerTimeout { limit: Duration::from_secs(10) });
    assert_eq!(world.tallies.ask("b", Add(1)).await, Ok(Seen::at(2, 2)), "what was taken back left nothing behind");
    world.end().await;
}

/// An `ask` from inside to a participant would wait for itself.
#[tokio::test(start_paused = true)]
async fn asking_a_participant_from_inside_is_refused() {
    let world = World::start().await;
    let asks_b = Do::new(|tally: &Tally, cx: &Context<Tally>| {
        async move {
            let answer = cx.services().tallies.get().unwrap().ask("b", Add(1)).await;
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| answer))
        }
        .boxed()
    });
    let (answer, seen) = transact((world.tallies.ask("a", asks_b), world.tallies.ask("b", Add(5)))).await.unwrap();
    assert_eq!((reason(answer), seen), (NotStoredReason::Reentrant, Seen::at(1, 5)));
    let inside = Do::new(|tally: &Tally, cx: &Context<Tally>| {
        async move {
            let tallies = cx.services().tallies.get().unwrap();
            let answer = transact((tallies.ask("c", Add(1)), tallies.ask("a", Add(1)))).await;
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|_| answer))
        }
        .boxed()
    });
    let TransactError { index, error } = world.tallies.ask("a", inside).await.unwrap().unwrap_err();
    assert_eq!((index, reason::<()>(Err(error))), (Some(1), NotStoredReason::Reentrant));
    assert_eq!(sums(&world, ["a", "b", "c"]).await, [2, 5, 0]);
    world.end().await;
}

fn panics(stage: &'static str) -> Do<Seen> {
    Do::new(move |tally: &Tally, _: &_| {
        assert!(stage != "handle", "on purpose");
        let event = match stage {
            "apply" => Happened::Cursed,
            "weight" => Happened::Unweighable,
            _ => Happened::Added { amount: 1 },
        };
        let decision = tally.emit(event).reply(move |tally| {
            assert!(stage != "reply", "on purpose");
            Seen::at(tally.count, tally.sum)
        });
        async move { Ok(decision) }.boxed()
    })
}

/// A panic of one, wherever it is: nothing of it happens to anybody, and the others go on from where they were.
#[tokio::test(start_paused = true)]
async fn panic_of_one_leaves_the_others_as_they_were() {
    for stage in ["handle", "apply", "reply", "weight"] {
        let world = World::start().await;
        for id in ["a", "b", "c"] {
            world.tallies.ask(id, Add(10)).await.unwrap();
        }
        let moved = transact((
            world.tallies.ask("a", Add(1)),
            world.tallies.ask("b", panics(stage)),
            world.tallies.ask("c", Add(1)),
        ))
        .await;
        let TransactError { index, error } = moved.unwrap_err();
        let NotStoredReason::Panicked { stage: at, .. } = reason::<()>(Err(error)) else { panic!("in {stage}") };
        assert_eq!((index, at), (Some(1), stage));
        assert_eq!((commits(&world).await, sums(&world, ["a", "b", "c"]).await), (3, [10, 10, 10]), "{stage}");
        assert_eq!(transfer(&world.tallies, "a", "b", 1).await, Ok((Seen::at(2, 9), Seen::at(2, 11))));
        world.end().await;
    }
}

/// P7: what stores nothing is never perhaps stored.
#[tokio::test(start_paused = true)]
async fn transact_that_stores_nothing_is_never_perhaps_stored() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    for id in ["a", "b"] {
        world.tallies.version(id).await.unwrap();
    }
    let look = || {
        Do::new(|tally: &Tally, _: &_| {
            let decision = tally.reply(|tally| Seen::at(tally.count, tally.sum));
            async move { Ok(decision) }.boxed()
        })
    };
    let looking = transact([world.tallies.ask("a", look()), world.tallies.ask("b", look())]);
    let error = looking.deadline(Duration::from_secs(1)).await.unwrap_err().error;
    assert_eq!((valve.held(), reason::<()>(Err(error))), (1, NotStoredReason::DeadlinePassed));
    valve.open();
    settle().await;
    world.end().await;
}

/// P14: it is one commit, and has the bounds of one. A participant more than fit into memory would wait for ever.
#[tokio::test(start_paused = true)]
async fn bounds_of_a_commit_are_those_of_all_together() {
    let limits = onefold::Limits { events_per_commit_max: 2, commit_bytes_max: 1_000, ..Default::default() };
    let world = World::with(Config { limits, resident_max: 3, ..Config::default() }).await;
    let add = |id: &str| world.tallies.ask(id, Add(1));
    let three = transact([add("a"), add("b"), add("c")]).await.unwrap_err();
    let what = onefold::TooLarge::EventsPerCommit { actual: 3, limit: 2 };
    let too_large = Error::TooLarge { stream: stream("c"), version: 0.into(), what };
    assert_eq!(three, TransactError { index: Some(2), error: too_large });
    let fill = |id: &str| {
        let filler = "x".repeat(600);
        let command = Do::new(move |tally: &Tally, _: &_| {
            let decision = tally.emit(Happened::Filled { filler }).reply(|tally| Seen::at(tally.count, tally.sum));
            async move { Ok(decision) }.boxed()
        });
        world.tallies.ask(id, command)
    };
    let large = transact([fill("a"), fill("b")]).await.unwrap_err();
    assert_eq!((large.index, large.error.kind()), (Some(1), ErrorKind::TooLarge));
    assert_eq!(transact([fill("a")]).await, Ok([Seen::at(1, 0)]));
    let many = transact([add("a"), add("b"), add("c"), add("d")]).await.unwrap_err().error;
    assert_eq!(many, Error::InvalidTransact(InvalidTransact::TooMany { actual: 4, limit: 3 }));
    world.end().await;
}

/// Whoever comes to apply late finds it stored already, and is none the worse for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transact_costs_nobody_the_instance() {
    let world = World::start().await;
    for _ in 0..200 {
        transact([world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(1))]).await.unwrap();
    }
    assert_eq!((world.runtime.stats().activations, sums(&world, ["a", "b"]).await), (2, [200, 200]));
    world.end().await;
}

/// P7: a deadline that passes before everybody has decided: nothing is stored. Later: perhaps, and so it is.
#[tokio::test(start_paused = true)]
async fn deadline_tells_whether_it_may_still_land() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    for id in ["a", "b"] {
        world.tallies.version(id).await.unwrap();
    }
    let slow = Do::new(|tally: &Tally, _: &_| {
        let decision = tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum));
        tokio::time::sleep(Duration::from_millis(1500)).map(move |()| Ok(decision)).boxed()
    });
    let early = transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", slow)));
    let error = early.deadline(Duration::from_secs(1)).await.unwrap_err().error;
    assert_eq!(reason::<()>(Err(error)), NotStoredReason::DeadlinePassed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(valve.held(), 0);
    let late = transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(2))));
    let TransactError { index, error } = late.deadline(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((index, error.kind()), (None, ErrorKind::OutcomeUnknown));
    valve.open();
    assert_eq!(sums(&world, ["a", "b"]).await, [1, 2]);
    world.end().await;
}

/// P17: it runs whole, or not at all, if its caller left before everybody was held.
#[tokio::test(start_paused = true)]
async fn caller_that_leaves_cancels_what_has_not_begun() {
    let world = World::start().await;
    let busy = tokio::spawn(world.tallies.ask("b", crate::support::slow(Duration::from_secs(1))));
    settle().await;
    let waiting = tokio::spawn(transact((world.tallies.ask("a", Add(1)), world.tallies.ask("b", Add(1)))));
    settle().await;
    waiting.abort();
    settle().await;
    assert_eq!(world.tallies.ask("a", Add(5)).await, Ok(Seen::at(1, 5)), "it is held no longer");
    busy.await.unwrap().unwrap();
    let begun = Arc::new(AtomicBool::new(false));
    let handler = {
        let begun = begun.clone();
        Do::new(move |tally: &Tally, _: &_| {
            begun.store(true, Ordering::SeqCst);
            let decision = tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum));
            tokio::time::sleep(Duration::from_millis(500)).map(move |()| Ok(decision)).boxed()
        })
    };
    let running = tokio::spawn(transact((world.tallies.ask("a", handler), world.tallies.ask("b", Add(1)))));
    settle().await;
    assert!(begun.load(Ordering::SeqCst));
    running.abort();
    assert_eq!(sums(&world, ["a", "b"]).await, [6, 2], "what has begun runs whole");
    world.end().await;
}

/// What cannot decide together is refused before anybody is asked.
#[tokio::test(start_paused = true)]
async fn bad_participants_are_refused() {
    let config = Config { transact_participants_max: 3, ..Config::default() };
    let (world, other) = (World::with(config).await, World::start().await);
    let add = |id: &str| world.tallies.ask(id, Add(1));
    let refused = |answer: Result<Vec<Seen>, TransactError<No>>| match answer.unwrap_err() {
        TransactError { index, error: Error::InvalidTransact(invalid) } => (index, invalid),
        other => panic!("{other:?}"),
    };
    assert_eq!(transact(Vec::from_iter([add("a")].into_iter().skip(1))).await, Ok(Vec::new()));
    let nobody: [onefold::Ask<Tally, Add>; 0] = [];
    assert_eq!(transact(nobody).await, Ok([]));
    let twice = refused(transact(vec![add("a"), add("b"), add("a")]).await);
    assert_eq!(twice, (Some(2), InvalidTransact::Twice { stream: stream("a") }));
    let many = refused(transact(vec![add("a"), add("b"), add("c"), add("d")]).await);
    assert_eq!(many, (None, InvalidTransact::TooMany { actual: 4, limit: 3 }));
    let elsewhere = refused(transact(vec![add("a"), other.tallies.ask("b", Add(1))]).await);
    assert_eq!(elsewhere, (Some(1), InvalidTransact::OtherRuntime { stream: stream("b") }));
    let retries = refused(transact(vec![add("a"), add("b").retry(RetryPolicy::default())]).await);
    assert_eq!(retries, (Some(1), InvalidTransact::RetryInside { stream: stream("b") }));
    let invalid = transact(vec![add("a"), add("")]).await.unwrap_err();
    assert_eq!((invalid.index, invalid.error.kind()), (Some(1), ErrorKind::InvalidId));
    assert_eq!(commits(&world).await, 0);
    world.end().await;
    other.end().await;
}

/// P14: at a bound all of it is refused, and nobody is left waiting in a queue.
#[tokio::test(start_paused = true)]
async fn overload_refuses_all_of_it() {
    let config = Config { admitted_per_aggregate_max: 1, ..Config::default() };
    let world = World::with(config).await;
    let busy = tokio::spawn(world.tallies.ask("b", crate::support::slow(Duration::from_secs(1))));
    settle().await;
    let TransactError { index, error } = transfer(&world.tallies, "a", "b", 0).await.unwrap_err();
    assert_eq!((index, error.kind()), (Some(1), ErrorKind::Overloaded));
    assert_eq!(world.tallies.ask("a", Add(1)).await, Ok(Seen::at(1, 1)));
    busy.await.unwrap().unwrap();
    world.end().await;
}

/// P6: the end of the runtime answers whoever waits, held or queued.
#[tokio::test(start_paused = true)]
async fn end_of_the_runtime_answers() {
    let world = World::start().await;
    let never = Do::new(|tally: &Tally, _: &_| {
        let decision = tally.emit(Happened::Added { amount: 1 }).reply(|tally| Seen::at(tally.count, tally.sum));
        pending::<()>().map(move |()| Ok(decision)).boxed()
    });
    let deciding = tokio::spawn(transact((world.tallies.ask("a", never), world.tallies.ask("b", Add(1)))));
    settle().await;
    let queued = tokio::spawn(transact((world.tallies.ask("c", Add(1)), world.tallies.ask("b", Add(1)))));
    settle().await;
    world.runtime.shutdown(Duration::from_millis(100)).await;
    for answer in [deciding.await.unwrap(), queued.await.unwrap()] {
        assert_eq!(reason(answer.map_err(Error::from)), NotStoredReason::ShuttingDown);
    }
}

/// Aggregates of several types decide together; rejections are told as one type.
#[tokio::test(start_paused = true)]
async fn several_types_decide_together() {
    let builder = Runtime::builder(onefold::MemoryJournal::new()).aggregate::<Tally>(Arc::new(Tools::default()));
    let runtime = builder.aggregate::<Shelf>(()).start().await.unwrap();
    let (tallies, shelves) = (runtime.aggregates::<Tally>().unwrap(), runtime.aggregates::<Shelf>().unwrap());
    tallies.ask("ada", Add(10)).await.unwrap();
    shelves.ask("books", Stock(1)).await.unwrap();
    let buy = || transact((tallies.ask("ada", Spend(4)), shelves.ask("books", Take))).rejecting_as::<NotBought>();
    assert_eq!(buy().await, Ok((Seen::at(2, 6), 0)));
    let TransactError { index, error } = buy().await.unwrap_err();
    assert_eq!((index, error), (Some(1), Error::Rejected(NotBought::SoldOut)));
    assert_eq!(tallies.read("ada", |tally| tally.sum).await, Ok(6));
    assert!(runtime.shutdown(Duration::from_secs(10)).await.is_clean());
}

#[derive(Debug, PartialEq)]
enum NotBought {
    TooPoor,
    SoldOut,
}

impl From<No> for NotBought {
    fn from(_: No) -> Self {
        NotBought::TooPoor
    }
}

impl From<Empty> for NotBought {
    fn from(_: Empty) -> Self {
        NotBought::SoldOut
    }
}

#[derive(Default)]
struct Shelf(u64);

#[derive(Debug, Event, Serialize, Deserialize)]
#[event(prefix = "shelf")]
enum ShelfEvent {
    Stocked { count: u64 },
    Taken,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the shelf is empty")]
struct Empty;

impl Aggregate for Shelf {
    const TYPE: &'static str = "shelf";
    type Event = ShelfEvent;
    type Rejection = Empty;
    type Services = ();

    fn apply(&mut self, event: &ShelfEvent) {
        match event {
            ShelfEvent::Stocked { count } => self.0 += count,
            ShelfEvent::Taken => self.0 -= 1,
        }
    }
}

struct Stock(u64);

impl Handle<Stock> for Shelf {
    type Reply = u64;

    async fn handle(&self, Stock(count): Stock, _: &Context<Self>) -> Result<Decision<Self, u64>, Empty> {
        Ok(self.emit(ShelfEvent::Stocked { count }).reply(|shelf| shelf.0))
    }
}

struct Take;

impl Handle<Take> for Shelf {
    type Reply = u64;

    async fn handle(&self, _: Take, _: &Context<Self>) -> Result<Decision<Self, u64>, Empty> {
        if self.0 == 0 {
            return Err(Empty);
        }
        Ok(self.emit(ShelfEvent::Taken).reply(|shelf| shelf.0))
    }
}
