//! `Runtime::scan`: everything that happened, typed, in order, each event once, up to what is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use onefold::{Aggregates, Checkpoint, Config, GlobalPosition, MemoryJournal, Runtime, Scan};
use onefold_testkit::faults::{Gate, ReadFault, When};

use crate::starting::Idler;
use crate::support::{Add, Do, Forged, Happened, Tally, World, poll_once, settle};

/// What was seen: whose event, its version, its position, and its amount.
type Seen = Vec<(String, u64, u64, u64)>;

fn after(position: u64) -> Checkpoint {
    Checkpoint::after(GlobalPosition::new(position))
}

/// Notes every amount that was added to a tally.
fn amounts(runtime: &Runtime, checkpoint: &Checkpoint, seen: Seen) -> Scan<Seen> {
    runtime.scan(checkpoint, seen).on::<Tally>(|seen, id, recorded| {
        let Happened::Added { amount } = recorded.event else { panic!("{recorded:?}") };
        seen.push((id.to_string(), recorded.version.get(), recorded.position.get(), amount));
    })
}

async fn add(tallies: &Aggregates<Tally>, id: &str, amount: u64) {
    tallies.ask(id, Add(amount)).await.unwrap();
}

/// Decides on several events at once.
async fn add_all(tallies: &Aggregates<Tally>, id: &str, amounts: [u64; 3]) {
    let events = amounts.map(|amount| Happened::Added { amount });
    let decide = Do::new(move |tally: &Tally, _| {
        let decision = onefold::Aggregate::emit_all(tally, events);
        Box::pin(async move { Ok(decision) })
    });
    tallies.ask(id, decide).await.unwrap();
}

/// In the order of the whole journal, with their numbers, and the checkpoint is behind the last one.
#[tokio::test(start_paused = true)]
async fn events_come_in_the_order_of_the_journal() {
    let world = World::start().await;
    let empty = amounts(&world.runtime, &Checkpoint::START, Vec::new()).run().await.unwrap();
    assert_eq!((empty.state.len(), empty.checkpoint, empty.is_complete), (0, Checkpoint::START, true));

    add(&world.tallies, "a", 10).await;
    add(&world.tallies, "b", 20).await;
    add_all(&world.tallies, "a", [11, 12, 13]).await;
    add(&world.tallies, "b", 21).await;
    let scanned = amounts(&world.runtime, &Checkpoint::START, Vec::new()).run().await.unwrap();
    let rows = [("a", 1, 10), ("b", 1, 20), ("a", 2, 11), ("a", 3, 12), ("a", 4, 13), ("b", 2, 21)];
    let expected = (1..).zip(rows).map(|(position, (id, version, amount))| (id.to_owned(), version, position, amount));
    assert_eq!(scanned.state, expected.collect::<Seen>());
    assert_eq!((scanned.checkpoint, scanned.is_complete, scanned.observed), (after(6), true, 6));
    world.end().await;
}

/// Wherever one scan ends and the next begins, also inside a commit, nothing is seen twice and nothing left out.
#[tokio::test(start_paused = true)]
async fn scans_go_on_where_the_last_one_ended() {
    let world = World::start().await;
    add(&world.tallies, "a", 1).await;
    add_all(&world.tallies, "a", [2, 3, 4]).await;
    add(&world.tallies, "b", 5).await;
    let whole = amounts(&world.runtime, &Checkpoint::START, Vec::new()).run().await.unwrap();
    for position in 0..=5 {
        let first =
            amounts(&world.runtime, &Checkpoint::START, Vec::new()).until(&after(position)).run().await.unwrap();
        // A commit is seen whole.
        let reached = if (2..=4).contains(&position) { 4 } else { position };
        assert_eq!((&first.checkpoint, first.is_complete, first.observed), (&after(reached), true, reached));
        let second = amounts(&world.runtime, &first.checkpoint, first.state).run().await.unwrap();
        assert_eq!((second.state, second.checkpoint, second.observed), (whole.state.clone(), after(5), 5 - reached));
        // A checkpoint of another kind of reader may lie inside.
        let rest = amounts(&world.runtime, &after(position), Vec::new()).run().await.unwrap();
        assert_eq!(rest.state, whole.state[usize::try_from(position).unwrap()..]);
    }
    world.end().await;
}

/// Each type has its own observer; what has none is passed over, and its events are not decoded.
#[tokio::test(start_paused = true)]
async fn types_that_are_not_named_are_passed_over() {
    let world = World::start().await;
    add(&world.tallies, "a", 1).await;
    World::forge(&world.journal, "a", [Forged::Unheard]).await;
    add(&world.tallies, "b", 2).await;
    let scan = world.runtime.scan(&Checkpoint::START, 0_u64).on::<Idler>(|seen, _, _| *seen += 1);
    let scanned = scan.run().await.unwrap();
    assert_eq!((scanned.state, scanned.observed, scanned.checkpoint), (0, 0, after(3)));
    let nobody = world.runtime.scan(&Checkpoint::START, ()).run().await.unwrap();
    assert_eq!((nobody.observed, nobody.checkpoint), (0, after(3)));
    world.end().await;
}

/// Two may look at one type, one after the other.
#[tokio::test(start_paused = true)]
async fn a_type_may_be_named_twice() {
    let world = World::start().await;
    add(&world.tallies, "a", 1).await;
    add(&world.tallies, "b", 2).await;
    let scan = world.runtime.scan(&Checkpoint::START, String::new());
    let scan = scan.on::<Tally>(|seen, id, _| seen.push_str(id.as_str()));
    let scanned = scan.on::<Tally>(|seen, id, _| seen.push_str(&id.as_str().to_uppercase())).run().await.unwrap();
    assert_eq!((scanned.state.as_str(), scanned.observed), ("aAbB", 4));
    world.end().await;
}

/// A scan ends at what was durable when it began, however much happens meanwhile.
#[tokio::test(start_paused = true)]
async fn what_happens_meanwhile_is_left_to_the_next_scan() {
    let (world, faults) = World::faulty(Config::default()).await;
    add(&world.tallies, "a", 1).await;
    let gate = Gate::default();
    faults.read(When::next(1), ReadFault::Hold(gate.clone()));
    let mut scan = Box::pin(amounts(&world.runtime, &Checkpoint::START, Vec::new()).run());
    assert!(poll_once(scan.as_mut()).is_pending());
    add(&world.tallies, "a", 2).await;
    gate.open();
    let scanned = scan.await.unwrap();
    assert_eq!((scanned.observed, &scanned.checkpoint, scanned.is_complete), (1, &after(1), true));
    let next = amounts(&world.runtime, &scanned.checkpoint, scanned.state).run().await.unwrap();
    assert_eq!((next.observed, next.state.len()), (1, 2));
    world.end().await;
}

/// Its time bounds a scan, behind a whole commit, also while the journal does not answer. The next one goes on.
#[tokio::test(start_paused = true)]
async fn time_ends_a_scan_behind_a_commit() {
    let (world, faults) = World::faulty(Config::default()).await;
    for amount in 1..=10 {
        add_all(&world.tallies, "a", [amount; 3]).await;
    }
    faults.bend_feed(|items| {
        let slowly = items.then(|item| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            item
        });
        slowly.boxed()
    });
    let (mut checkpoint, mut seen, mut scans) = (Checkpoint::START, Vec::new(), 0);
    loop {
        let began = tokio::time::Instant::now();
        let scan = amounts(&world.runtime, &checkpoint, seen).time_limit(Duration::from_millis(3_500));
        let scanned = scan.run().await.unwrap();
        (checkpoint, seen, scans) = (scanned.checkpoint, scanned.state, scans + 1);
        assert_eq!(checkpoint.position().get() % 3, 0);
        if scanned.is_complete {
            break;
        }
        assert_eq!((scanned.observed, began.elapsed()), (9, Duration::from_millis(3_500)));
    }
    assert_eq!((scans, seen.len(), checkpoint), (4, 30, after(30)));
    world.end().await;
}

/// P14: it takes an item when it has dealt with the one before, and keeps none.
#[tokio::test(start_paused = true)]
async fn a_scan_holds_one_commit_at_a_time() {
    let (world, faults) = World::faulty(Config::default()).await;
    for amount in 0..500 {
        add(&world.tallies, "a", amount).await;
    }
    let (shown, observed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counters = (shown.clone(), observed.clone());
    faults.bend_feed(move |items| {
        let (shown, observed) = counters.clone();
        let counted = items.inspect(move |_| {
            let ahead = shown.fetch_add(1, Ordering::SeqCst) - observed.load(Ordering::SeqCst);
            assert_eq!(ahead, 0, "another item was taken before the last one was dealt with");
        });
        counted.boxed()
    });
    let scan = world.runtime.scan(&Checkpoint::START, ()).on::<Tally>(move |(), _, _| {
        observed.fetch_add(1, Ordering::SeqCst);
    });
    scan.run().await.unwrap();
    assert_eq!(shown.load(Ordering::SeqCst), 500);
    world.end().await;
}

/// On one thread, over a journal that is always ready, others still run.
#[tokio::test]
async fn a_scan_gives_way_to_others() {
    let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Tally>(Arc::default()).start().await.unwrap();
    let tallies = runtime.aggregates::<Tally>().unwrap();
    for amount in 0..2_000 {
        add(&tallies, "a", amount).await;
    }
    let turns = Arc::new(AtomicU64::new(0));
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    settle().await;
    let before = turns.load(Ordering::SeqCst);
    amounts(&runtime, &Checkpoint::START, Vec::new()).run().await.unwrap();
    let turns = turns.load(Ordering::SeqCst) - before;
    assert!(turns >= 10, "others had {turns} turns beside 2,000 commits");
    other.abort();
    runtime.shutdown(Duration::from_secs(10)).await;
}

/// Neither does it wake an aggregate, nor leave anything behind when it is dropped half way.
#[tokio::test(start_paused = true)]
async fn a_scan_can_be_dropped_and_wakes_nobody() {
    let (world, faults) = World::faulty(Config::default()).await;
    add(&world.tallies, "a", 1).await;
    add(&world.tallies, "b", 2).await;
    let before = world.runtime.stats();
    let gate = Gate::default();
    faults.read(When::next(1), ReadFault::Hold(gate.clone()));
    let mut scan = Box::pin(amounts(&world.runtime, &Checkpoint::START, Vec::new()).run());
    assert!(poll_once(scan.as_mut()).is_pending());
    drop(scan);
    let scanned = amounts(&world.runtime, &Checkpoint::START, Vec::new()).run().await.unwrap();
    assert_eq!(scanned.observed, 2);
    assert_eq!(world.runtime.stats(), before);
    world.end().await;
}
