//! Numbers: dense whatever fails, and the durable position that follows them.

use futures_util::StreamExt;
use onefold_core::journal::FeedItem;
use onefold_core::{Checkpoint, GlobalPosition};

use super::Subject;
use super::fixture::{Fixture, appended, conflict};
use crate::{TestEvent, part, submit_one};

/// \[6] Conflicts, superseded appends and barriers use up no number.
pub(super) async fn failures_leave_no_gap<S: Subject>(fixture: Fixture<S>) {
    for round in 0..20 {
        let session = fixture.session("a").await;
        assert_eq!(fixture.append(&session, round, 1).await, Ok(appended(round + 1, round + 1)));
        assert!(fixture.append(&session, round + 1, 0).await.is_ok());
        let failed = submit_one(fixture.journal(), &session, round, 2).await;
        let follower = submit_one(fixture.journal(), &session, round + 1, 2).await;
        assert_eq!(failed.await, conflict("a", round, round + 1));
        assert!(follower.await.is_err());
    }
    assert_eq!(fixture.feed().await.len(), 20);
    assert_eq!(fixture.numbers("a").await, [1; 20]);
}

/// \[6] Each stream counts its own versions, while positions and commits are the journal's.
pub(super) async fn streams_number_apart<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    for round in 0..10 {
        assert_eq!(fixture.append(&a, round, 1).await, Ok(appended(2 * round + 1, 3 * round + 1)));
        assert_eq!(fixture.append(&b, 2 * round, 2).await, Ok(appended(2 * round + 2, 3 * round + 3)));
    }
    assert_eq!((fixture.head("a").await, fixture.head("b").await), (10, 20));
    let versions: Vec<_> = fixture.feed().await[18..].iter().map(|commit| commit.events[0].version.get()).collect();
    assert_eq!(versions, [10, 19]);
}

/// \[1] The durable position begins at nothing, reaches each acknowledged commit, and stays at the last.
pub(super) async fn durable_position_follows_the_acknowledgements<S: Subject>(fixture: Fixture<S>) {
    assert_eq!(fixture.durable_from(0).await, (0, 0));
    let session = fixture.session("a").await;
    for round in 0..20 {
        let told = fixture.append(&session, 2 * round, 2).await.expect("an append to a stream of one's own");
        assert_eq!(fixture.durable_from(told.commit.get()).await, (told.commit.get(), told.position.get()));
    }
    assert!(fixture.append(&session, 40, 0).await.is_ok());
    assert!(fixture.append(&session, 0, 3).await.is_err());
    assert_eq!(fixture.durable_from(20).await, (20, 40));
}

/// \[14] Who is told of a commit, or of a head, finds the durable position there already.
pub(super) async fn durable_position_is_never_behind_the_acknowledgements<S: Subject>(fixture: Fixture<S>) {
    let journal = fixture.journal();
    let durable = || *journal.durable().borrow();
    let session = fixture.session("a").await;
    for round in 0..200 {
        let told = fixture.append(&session, round, 1).await.expect("an append to a stream of one's own");
        assert!(durable().commit >= told.commit, "{told:?} is acknowledged, {:?} is durable", durable());
        assert!(durable().position >= told.position, "{told:?} is acknowledged, {:?} is durable", durable());
        let barrier = fixture.append(&session, round + 1, 0).await.expect("a barrier");
        assert!(durable().position >= barrier.position, "{barrier:?} is acknowledged, {:?} is durable", durable());
    }
    for round in 0..100 {
        let (session, at) = (fixture.session("b").await, 2 * round);
        let pending = fixture.submit([part(&session, at, &TestEvent::series([at + 1, at + 2]))]).await;
        let head = fixture.head("b").await;
        assert!(durable().position.get() >= 200 + head, "the head is at {head}, {:?} is durable", durable());
        assert_eq!((head, pending.await.is_ok()), (at + 2, true));
    }
}

/// \[1, 11] Whoever sees the durable position move can read up to it at once; it never goes back.
pub(super) async fn durable_position_is_never_ahead_of_reads<S: Subject>(fixture: Fixture<S>) {
    const COMMITS: u64 = 400;
    let mut durable = fixture.journal().durable();
    let journal = fixture.journal().clone();
    let watcher = tokio::spawn(async move {
        let mut reached = GlobalPosition::START;
        while reached.get() < COMMITS {
            durable.changed().await.expect("the journal is there");
            let now = *durable.borrow_and_update();
            assert!(now.position >= reached, "the durable position went back from {reached} to {}", now.position);
            assert_eq!(now.position.get(), now.commit.get(), "each commit has one event");
            let mut feed = journal.read_all(&Checkpoint::after(reached));
            while reached < now.position {
                let item = feed.next().await.expect("the feed reaches the durable position").expect("a good read");
                let FeedItem::Commit(commit) = item else { panic!("nothing was removed") };
                reached = reached.next();
                assert_eq!(commit.number.get(), reached.get());
            }
        }
    });
    fixture.fill("a", COMMITS / 2).await;
    fixture.fill("b", COMMITS / 2).await;
    watcher.await.expect("the watcher is content");
}
