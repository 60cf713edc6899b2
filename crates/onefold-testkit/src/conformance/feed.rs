//! Reading the whole journal, in global order.

use futures_util::StreamExt;
use onefold_core::Checkpoint;

use super::Subject;
use super::fixture::Fixture;
use crate::{TestEvent, part, read_feed};

/// \[6, 11] From the start: every commit, in order, none twice, commits and positions dense from 1.
pub(super) async fn feed_from_the_start<S: Subject>(fixture: Fixture<S>) {
    assert_eq!(fixture.feed().await, []);
    for round in 0..20 {
        fixture.fill(&format!("s{}", round % 7), 1 + round % 3).await;
    }
    let feed = fixture.feed().await;
    assert_eq!(feed.first().map(|commit| commit.number.get()), Some(1));
    assert_eq!(feed.first().map(|commit| commit.events[0].position.get()), Some(1));
    assert_eq!(feed.len() as u64, (0..20).map(|round| 1 + round % 3).sum::<u64>());
    for index in 0..7 {
        let stream = format!("s{index}");
        let events: Vec<_> = feed.iter().flat_map(|commit| commit.events.clone()).collect();
        let of_stream: Vec<_> = events.into_iter().filter(|seen| seen.stream.aggregate_id() == stream).collect();
        assert_eq!(fixture.events(&stream).await, of_stream, "feed and stream agree");
    }
}

/// \[6, 11] From every position: the feed begins with the commit of the next event. A position inside a commit gives that
/// commit whole.
pub(super) async fn feed_from_every_checkpoint<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    for round in 0..6 {
        let parts = [part(&a, 2 * round, &TestEvent::series([1, 2])), part(&b, round, &TestEvent::series([3]))];
        assert!(fixture.commit(parts).await.is_ok());
    }
    let all = fixture.feed().await;
    for position in 0..18 {
        let commits_done = usize::try_from(position / 3).expect("small");
        assert_eq!(fixture.feed_after(position).await, all[commits_done..], "after {position}");
        let checkpoint = Checkpoint::after(onefold_core::GlobalPosition::new(position));
        let stored = Checkpoint::from_bytes(&checkpoint.to_bytes()).expect("a checkpoint can be stored");
        assert_eq!(read_feed(fixture.journal(), &stored).await.as_deref(), Ok(&all[commits_done..]));
    }
}

/// \[edge case] At the end, and beyond it, the feed is empty.
pub(super) async fn feed_beyond_the_end_is_empty<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 3).await;
    for position in [3, 4, 1_000_000] {
        assert_eq!(fixture.feed_after(position).await, []);
    }
}

/// \[6, 11] A reader that goes on from its checkpoint while others write sees every event exactly once.
pub(super) async fn feed_while_appending<S: Subject>(fixture: Fixture<S>) {
    const EVENTS: u64 = 4 * 10 * 15;
    let mut writers = tokio::task::JoinSet::new();
    let journal = fixture.journal().clone();
    let reader = tokio::spawn(async move {
        let (mut durable, mut position) = (journal.durable(), 0);
        while position < EVENTS {
            durable.wait_for(|durable| durable.position.get() > position).await.expect("the journal is there");
            let after = Checkpoint::after(onefold_core::GlobalPosition::new(position));
            for commit in read_feed(&journal, &after).await.expect("a good read") {
                for seen in commit.events {
                    position += 1;
                    assert_eq!(seen.position.get(), position, "the feed skipped or repeated an event");
                }
            }
        }
    });
    for writer in 0..4 {
        let journal = fixture.journal().clone();
        writers.spawn(async move {
            let opened = journal.open(&super::fixture::name(&format!("s{writer}"))).await.expect("a healthy journal");
            for round in 0..15 {
                let outcome = crate::append_one(&journal, &opened.session, round * 10, 10).await;
                assert!(outcome.is_ok());
            }
        });
    }
    writers.join_all().await;
    reader.await.expect("the reader is content");
}

/// \[edge case] A reader that stops early leaves nothing behind, however often.
pub(super) async fn feed_can_be_dropped_early<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 500).await;
    for round in 0..300 {
        let mut items = fixture.journal().read_all(&Checkpoint::START);
        for _ in 0..round % 4 {
            items.next().await.expect("a commit").expect("a good read");
        }
    }
    assert_eq!(fixture.feed().await.len(), 500);
}
