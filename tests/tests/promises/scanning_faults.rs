//! P12 for scans: nothing is passed over silently. What stops a scan is named, with its place, and passing it is the reader's
//! explicit act.

use futures_util::{StreamExt, stream};
use onefold::journal::{FeedItem, ReadError};
use onefold::{Checkpoint, Config, EventsError, GlobalPosition, Runtime, Scan, ScanError, ScanStop, Scanned};
use onefold_testkit::faults::{Feed, ReadFault, When};

use crate::support::{Add, Forged, Tally, World};

fn after(position: u64) -> Checkpoint {
    Checkpoint::after(GlobalPosition::new(position))
}

/// Counts the events of tallies.
fn count(runtime: &Runtime, checkpoint: &Checkpoint, counted: u64) -> Scan<u64> {
    runtime.scan(checkpoint, counted).on::<Tally>(|counted, _, _| *counted += 1)
}

async fn stopped(world: &World) -> ScanError {
    count(&world.runtime, &Checkpoint::START, 0).run().await.unwrap_err()
}

/// The two scans that pass what stopped one: up to there, and from behind it.
async fn pass(world: &World, reached: &Checkpoint, beyond: &Checkpoint) -> Scanned<u64> {
    let up_to = count(&world.runtime, &Checkpoint::START, 0).until(reached).run().await.unwrap();
    assert_eq!((&up_to.checkpoint, up_to.is_complete), (reached, true));
    count(&world.runtime, beyond, up_to.state).run().await.unwrap()
}

/// An event of a named type that is unknown, of another revision or of another shape stops a scan before it.
#[tokio::test(start_paused = true)]
async fn an_event_that_does_not_decode_stops_a_scan() {
    for forged in [Forged::Unheard, Forged::Weighed { bytes: 1 }, Forged::Spent { amount: 1, note: "x".to_owned() }] {
        let world = World::start().await;
        world.tallies.ask("a", Add(1)).await.unwrap();
        World::forge(&world.journal, "b", [Forged::Added { amount: 1 }, forged, Forged::Added { amount: 1 }]).await;
        let error = stopped(&world).await;
        assert!(
            matches!(&error.stop, ScanStop::Event(EventsError::Decode { version, .. }) if version.get() == 2),
            "{error}"
        );
        assert_eq!((&error.reached, error.beyond.clone()), (&after(2), Some(after(3))));
        let message = error.to_string();
        assert!(
            message.starts_with("the scan stopped after position 2: tally/b at version 2: event \"tally."),
            "{message}"
        );

        let passed = pass(&world, &error.reached, &error.beyond.unwrap()).await;
        assert_eq!((passed.state, passed.checkpoint), (3, after(4)));
        world.end().await;
    }
}

async fn four(config: Config) -> (World, onefold_testkit::faults::Faults) {
    let (world, faults) = World::faulty(config).await;
    for amount in 1..=4 {
        world.tallies.ask("a", Add(amount)).await.unwrap();
    }
    (world, faults)
}

/// Shows the feed with its third item changed.
fn bend_third(items: Feed, change: impl Fn(FeedItem) -> FeedItem + Send + Sync + 'static) -> Feed {
    let changed = items.map(move |item| match item {
        Ok(item) if item.checkpoint() == after(3) => Ok(change(item)),
        item => item,
    });
    changed.boxed()
}

/// Damage stops a scan, in the journal's own words. What was good before it can be had, and what lies behind it, by saying so.
#[tokio::test(start_paused = true)]
async fn damage_stops_a_scan() {
    let (world, faults) = four(Config::default()).await;
    let damage = ReadError::Damaged {
        stream: None,
        commit: Some(onefold::CommitNumber::new(3)),
        place: "commit 3".to_owned(),
        evidence: "scripted".to_owned(),
    };
    faults.read(When::next(1), ReadFault::FailAfter { items: 2, error: damage.clone() });
    let error = stopped(&world).await;
    assert_eq!((&error.stop, &error.reached, &error.beyond), (&ScanStop::Read(damage), &after(2), &None));
    let message = "the scan stopped after position 2: the journal is damaged at commit 3: scripted";
    assert_eq!(error.to_string(), message);
    let passed = pass(&world, &error.reached, &after(3)).await;
    assert_eq!((passed.state, passed.checkpoint), (3, after(4)));
    world.end().await;
}

/// A frame that does not parse is damage of that event, and no event before it in its commit counts.
#[tokio::test(start_paused = true)]
async fn an_event_that_does_not_parse_stops_a_scan() {
    let (world, faults) = four(Config::default()).await;
    faults.bend_feed(|items| {
        bend_third(items, |item| {
            let FeedItem::Commit(mut commit) = item else { panic!("{item:?}") };
            for (_, part) in &mut commit.parts {
                part.body = part.body.slice(..part.body.len() - 1);
            }
            FeedItem::Commit(commit)
        })
    });
    let error = stopped(&world).await;
    assert!(
        matches!(&error.stop, ScanStop::Event(EventsError::Malformed { version, .. }) if version.get() == 3),
        "{error}"
    );
    assert_eq!((error.reached, error.beyond), (after(2), Some(after(3))));
    // Whom it does not concern, it does not stop.
    let others = world.runtime.scan(&Checkpoint::START, 0).on::<crate::starting::Idler>(|seen, _, _| *seen += 1);
    assert_eq!(others.run().await.unwrap().checkpoint, after(4));
    world.end().await;
}

/// Events that were removed on purpose stop a scan that does not say what to do, and are told to one that does.
#[tokio::test(start_paused = true)]
async fn removed_events_are_told() {
    let (world, faults) = four(Config::default()).await;
    faults.bend_feed(|items| {
        let kept = items.enumerate().filter_map(|(index, item)| async move {
            match index {
                1 => None,
                2 => Some(Ok(FeedItem::Removed { from: GlobalPosition::new(2), to: GlobalPosition::new(3) })),
                _ => Some(item),
            }
        });
        kept.boxed()
    });
    let error = stopped(&world).await;
    let removed = ScanStop::Removed { from: GlobalPosition::new(2), to: GlobalPosition::new(3) };
    assert_eq!((error.stop, error.reached, error.beyond), (removed, after(1), Some(after(3))));

    let scan = world.runtime.scan(&Checkpoint::START, Vec::new());
    let scan = scan.on::<Tally>(|seen, _, recorded| seen.push((recorded.position.get(), recorded.position.get())));
    let scanned = scan.on_removed(|seen, from, to| seen.push((from.get(), to.get()))).run().await.unwrap();
    assert_eq!((scanned.state, scanned.observed), (vec![(1, 1), (2, 3), (4, 4)], 2));
    assert_eq!((scanned.checkpoint, scanned.is_complete), (after(4), true));
    world.end().await;
}

/// A checkpoint beyond the journal's end is of another journal, or of a copy that is older: what it says was seen is not there.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_beyond_the_journal_is_refused() {
    let (world, _) = four(Config::default()).await;
    let error = count(&world.runtime, &after(5), 5).run().await.unwrap_err();
    assert_eq!(error.stop, ScanStop::Ahead { durable: GlobalPosition::new(4) });
    let message =
        "the scan stopped after position 5: the journal ends at 4: is it the one that the checkpoint was taken of?";
    assert_eq!(error.to_string(), message);
    assert_eq!(count(&world.runtime, &after(4), 4).run().await.unwrap().state, 4);
    world.end().await;
}

/// A feed that ends before what is durable, or brings what nobody asked for, is not taken for the whole.
#[tokio::test(start_paused = true)]
async fn a_feed_that_ends_early_is_not_taken_for_the_whole() {
    let (world, faults) = four(Config::default()).await;
    faults.bend_feed(|items| items.take(2).boxed());
    let error = stopped(&world).await;
    assert_eq!((error.stop, error.reached), (ScanStop::EndedEarly { durable: GlobalPosition::new(4) }, after(2)));
    faults.bend_feed(|_| stream::empty().boxed());
    assert_eq!(stopped(&world).await.reached, Checkpoint::START);
    world.end().await;
}

/// A commit without events, whatever it is for, does not set a reader back.
#[tokio::test(start_paused = true)]
async fn a_commit_without_events_sets_nobody_back() {
    let (world, faults) = four(Config::default()).await;
    faults.bend_feed(|items| {
        let with_empty = items.flat_map(|item| {
            let empty = onefold::journal::RecordedCommit { number: onefold::CommitNumber::new(9), parts: Vec::new() };
            stream::iter([item, Ok(FeedItem::Commit(empty))])
        });
        with_empty.boxed()
    });
    let scanned = count(&world.runtime, &Checkpoint::START, 0).run().await.unwrap();
    assert_eq!((scanned.state, scanned.checkpoint), (4, after(4)));
    world.end().await;
}
