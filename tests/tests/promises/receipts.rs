//! P2, P3: a receipt tells where a reply stands, and whoever has read that far has seen all that the reply depends on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use onefold::journal::{FeedItem, Journal};
use onefold::{
    Aggregate, Aggregates, Checkpoint, CommitNumber, Config, CorrelationId, Error, ExpectedVersion, GlobalPosition,
    Receipt, StreamVersion,
};
use onefold_testkit::faults::{AppendFault, Gate, When};
use tokio::task::JoinSet;

use crate::support::{Add, Do, Happened, Random, Seen, SlowJournal, Spend, Tally, World, poll_once, settle, stream};

fn receipt<T>(reply: T, version: u64, position: u64, commit: u64) -> Receipt<T> {
    let (version, commit) = (StreamVersion::new(version), CommitNumber::new(commit));
    Receipt { reply, version, position: GlobalPosition::new(position), commit }
}

/// Decides on so many events at once.
fn several(count: u64) -> Do<u64> {
    Do::new(move |tally, _| {
        let events = (0..count).map(|_| Happened::Added { amount: 1 });
        async move { Ok(Aggregate::emit_all(tally, events).reply(|tally: &Tally| tally.sum)) }.boxed()
    })
}

/// P3: version, position and commit are those of the decision's last event, as the journal has it.
#[tokio::test(start_paused = true)]
async fn receipt_tells_where_the_last_event_landed() {
    let world = World::start().await;
    let tallies = &world.tallies;
    assert_eq!(tallies.ask("a", Add(1)).with_receipt().await, Ok(receipt(Seen::at(1, 1), 1, 1, 1)));
    tallies.ask("b", several(3)).await.unwrap();
    assert_eq!(tallies.ask("a", several(4)).with_receipt().await, Ok(receipt(5, 5, 8, 3)));
    let last = tallies.events("a", 0).unwrap().try_collect::<Vec<_>>().await.unwrap().pop().unwrap();
    assert_eq!((last.version.get(), last.position.get(), last.commit.get()), (5, 8, 3));
    world.end().await;
}

/// A reply without events tells the version that it saw, and a position behind all that it depends on.
#[tokio::test(start_paused = true)]
async fn receipt_of_a_reply_without_events_tells_what_it_depends_on() {
    let world = World::start().await;
    let tallies = &world.tallies;
    assert_eq!(tallies.ask("a", several(0)).with_receipt().await, Ok(receipt(0, 0, 0, 0)));
    tallies.ask("a", several(2)).await.unwrap();
    let then = tallies.ask("a", several(0)).with_receipt().await;
    assert_eq!(then, Ok(receipt(2, 2, 2, 1)));
    tallies.ask("b", several(3)).await.unwrap();
    let later = tallies.ask("a", several(0)).with_receipt().await.unwrap();
    assert_eq!((later.reply, later.version.get()), (2, 2));
    assert!(later.position >= then.unwrap().position);
    world.end().await;
}

/// Reads tell it as well, each kind of them.
#[tokio::test(start_paused = true)]
async fn reads_have_receipts() {
    let world = World::start().await;
    let tallies = &world.tallies;
    tallies.ask("a", several(3)).await.unwrap();
    assert_eq!(tallies.read("a", |tally| tally.sum).with_receipt().await, Ok(receipt(3, 3, 3, 1)));
    let with_version = tallies.read_with_version("a", |tally, version| (tally.sum, version.get()));
    assert_eq!(with_version.with_receipt().await, Ok(receipt((3, 3), 3, 3, 1)));
    let in_time = tallies.version("a").with_receipt().deadline(Duration::from_secs(1));
    assert_eq!(in_time.await, Ok(receipt(StreamVersion::new(3), 3, 3, 1)));
    let doubled = tallies.read("a", |tally| tally.sum).with_receipt().await.unwrap().map(|sum| 2 * sum);
    assert_eq!(doubled, receipt(6, 3, 3, 1));
    world.end().await;
}

/// The receipt may be asked for before and after everything else that can be told.
#[tokio::test(start_paused = true)]
async fn receipt_goes_with_everything_else_in_any_order() {
    let world = World::start().await;
    let tallies = &world.tallies;
    let purpose = CorrelationId::from_u128(7);
    let first = tallies.ask("a", Add(1)).with_receipt().expect_version(ExpectedVersion::NoStream);
    let first = first.deadline(Duration::from_secs(1)).metadata("user", "ada").correlation(purpose);
    assert_eq!(first.await, Ok(receipt(Seen::at(1, 1), 1, 1, 1)));
    let second = tallies.ask("a", Add(1)).correlation(purpose).metadata("user", "ada").deadline(Duration::from_secs(1));
    assert_eq!(second.expect_version(1u64).with_receipt().await, Ok(receipt(Seen::at(2, 2), 2, 2, 2)));
    let stored: Vec<_> = tallies.events("a", 0).unwrap().try_collect().await.unwrap();
    for event in stored {
        assert_eq!((event.metadata.entries.get("user"), event.metadata.correlation_id), (Some("ada"), purpose));
    }
    let stale = tallies.ask("a", Add(1)).expect_version(1u64).with_receipt().await.unwrap_err();
    assert!(matches!(stale, Error::Conflict { actual, .. } if actual.get() == 2), "{stale}");
    let rejected = tallies.ask("a", Spend(100)).with_receipt().await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected(_)), "{rejected}");
    world.end().await;
}

/// P2: a receipt waits for what it tells, that of a read behind an event too, and tells the place of that event at least.
#[tokio::test(start_paused = true)]
async fn receipt_waits_until_all_that_it_tells_is_durable() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    let tallies = &world.tallies;
    let mut added = tokio::spawn(tallies.ask("a", several(2)).with_receipt());
    settle().await;
    let mut read = tokio::spawn(tallies.read("a", |tally| tally.sum).with_receipt());
    let mut empty = tokio::spawn(tallies.ask("a", several(0)).with_receipt());
    settle().await;
    assert!((&mut added).now_or_never().is_none());
    assert!((&mut read).now_or_never().is_none());
    assert!((&mut empty).now_or_never().is_none());
    valve.open();
    assert_eq!(added.await.unwrap(), Ok(receipt(2, 2, 2, 1)));
    assert_eq!(read.await.unwrap(), Ok(receipt(2, 2, 2, 1)));
    assert_eq!(empty.await.unwrap(), Ok(receipt(2, 2, 2, 1)));
    world.end().await;
}

/// P7: a receipt for something that is perhaps not stored does not exist.
#[tokio::test(start_paused = true)]
async fn there_is_no_receipt_for_an_unknown_outcome() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::nth(1), AppendFault::FailAfterWrite);
    let unknown = world.tallies.ask("a", Add(1)).with_receipt().await;
    assert!(matches!(unknown, Err(Error::OutcomeUnknown(_))), "{unknown:?}");
    let read = world.tallies.read("a", |tally| tally.sum).with_receipt().await;
    assert_eq!(read, Ok(receipt(1, 1, 1, 1)), "it was stored, and the instance was brought back");
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let failed = world.tallies.ask("a", Add(1)).with_receipt().await;
    assert!(matches!(failed, Err(Error::NotStored(_))), "{failed:?}");
    world.end().await;
}

/// A runtime that finds the journal as another left it tells its place all the same.
#[tokio::test(start_paused = true)]
async fn receipt_after_a_restart_counts_what_was_there_before() {
    let world = World::start().await;
    world.tallies.ask("a", several(3)).await.unwrap();
    let journal = world.journal.clone();
    drop(world.runtime);
    let next = World::on(journal, Config::default()).await;
    assert_eq!(next.tallies.read("a", |tally| tally.sum).with_receipt().await, Ok(receipt(3, 3, 3, 1)));
    assert_eq!(next.tallies.ask("a", Add(1)).with_receipt().await, Ok(receipt(Seen::at(4, 4), 4, 4, 2)));
    next.end().await;
}

/// A read that hangs behind a held acknowledgement, at its caller's or at the actor's, is placed when it is let go.
#[tokio::test(start_paused = true)]
async fn receipt_is_the_same_whoever_runs_the_call() {
    let (world, faults) = World::faulty(Config::default()).await;
    let tallies = &world.tallies;
    tallies.version("a").await.unwrap();
    let gate = Gate::closed();
    faults.append(When::nth(1), AppendFault::HoldAnswer(gate.clone()));
    let mut at_caller = Box::pin(tallies.ask("a", Add(1)).with_receipt());
    assert!(poll_once(at_caller.as_mut()).is_pending());
    let behind = tokio::spawn(tallies.read("a", |tally| tally.sum).with_receipt());
    settle().await;
    gate.open();
    assert_eq!(at_caller.await, Ok(receipt(Seen::at(1, 1), 1, 1, 1)));
    assert_eq!(behind.await.unwrap(), Ok(receipt(1, 1, 1, 1)));
    world.end().await;
}

/// Where a stream's events are, as the global feed has it up to `position`.
async fn version_at(journal: &Arc<dyn Journal>, id: &str, position: GlobalPosition) -> u64 {
    let (mut feed, mut version) = (journal.read_all(&Checkpoint::START), 0);
    while let Some(item) = feed.next().await {
        let FeedItem::Commit(commit) = item.unwrap() else { panic!("nothing was removed") };
        let (of, part) = &commit.parts[0];
        if part.first_position > position {
            break;
        }
        if *of == stream(id) {
            version = part.last_version().get();
        }
    }
    version
}

async fn ask_at_random(tallies: &Aggregates<Tally>, journal: &Arc<dyn Journal>, random: &mut Random) {
    let id = format!("t{}", random.below(3));
    let (version, position) = match random.below(4) {
        0 => {
            let read = tallies.read("t0", |_| ()).with_receipt().await.unwrap();
            return assert!(version_at(journal, "t0", read.position).await >= read.version.get());
        }
        1 => {
            let told = tallies.ask(&id, several(0)).with_receipt().await.unwrap();
            (told.version, told.position)
        }
        count => {
            let told = tallies.ask(&id, several(count)).with_receipt().await.unwrap();
            assert_eq!(version_at(journal, &id, told.position).await, told.version.get(), "the last event's own place");
            (told.version, told.position)
        }
    };
    assert!(version_at(journal, &id, position).await >= version.get(), "{id} was told at {version}, {position}");
}

/// Many at once: read up to its position, every receipt is seen to be covered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_read_as_far_as_a_receipt_has_seen_all_that_it_depends_on() {
    let world = World::start().await;
    let mut callers = JoinSet::new();
    for seed in 0..8 {
        let (tallies, journal) = (world.tallies.clone(), world.journal.clone());
        callers.spawn(async move {
            let mut random = Random::new(seed);
            for _ in 0..40 {
                ask_at_random(&tallies, &journal, &mut random).await;
            }
        });
    }
    callers.join_all().await;
    world.end().await;
}

/// P17: a receipt that nobody waits for any more changes nothing: what has started runs whole.
#[tokio::test(start_paused = true)]
async fn caller_may_leave_its_receipt_behind() {
    let world = World::start().await;
    let left = Arc::new(AtomicBool::new(false));
    let seen = left.clone();
    let slow = Do::new(move |tally, _| {
        async move {
            settle().await;
            seen.store(true, Ordering::SeqCst);
            Ok(tally.emit(Happened::Added { amount: 1 }).reply(|tally: &Tally| tally.sum))
        }
        .boxed()
    });
    let mut ask = Box::pin(world.tallies.ask("a", slow).with_receipt());
    assert!(poll_once(ask.as_mut()).is_pending());
    settle().await;
    drop(ask);
    settle().await;
    settle().await;
    assert!(left.load(Ordering::SeqCst));
    assert_eq!(world.tallies.read("a", |tally| tally.sum).with_receipt().await, Ok(receipt(1, 1, 1, 1)));
    world.end().await;
}
