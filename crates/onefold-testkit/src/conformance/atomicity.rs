//! A commit is whole or not: several events, several streams, the largest there is.

use onefold_core::ExpectedVersion::Any;
use onefold_core::Limits;

use super::Subject;
use super::fixture::{Fixture, appended, conflict, name, superseded};
use crate::{TestEvent, part, submit_one};

/// \[2, 6] The events of one commit have consecutive versions and positions, and one commit number.
pub(super) async fn several_events_are_one_commit<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, 0, 3).await, Ok(appended(1, 3)));
    assert_eq!(fixture.append(&session, 3, 2).await, Ok(appended(2, 5)));
    let feed = fixture.feed().await;
    let shape: Vec<_> = feed.iter().map(|commit| (commit.number.get(), commit.events.len())).collect();
    assert_eq!(shape, [(1, 3), (2, 2)]);
    assert_eq!(fixture.numbers("a").await, [1, 2, 3, 1, 2]);
}

/// \[2, 6] A commit over several streams is one commit; its events are numbered in the order of its parts.
pub(super) async fn several_streams_are_one_commit<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("b", 2).await;
    let (a, b, c) = (fixture.session("a").await, fixture.session("b").await, fixture.session("c").await);
    let parts = [
        part(&b, 2, &TestEvent::series([10, 11])),
        part(&c, 0, &TestEvent::series([20])),
        part(&a, Any, &TestEvent::series([30, 31, 32])),
    ];
    assert_eq!(fixture.commit(parts).await, Ok(appended(3, 8)));
    let commit = fixture.feed_after(2).await.remove(0);
    let shape = |seen: &crate::SeenEvent| {
        (seen.stream.aggregate_id().to_owned(), seen.version.get(), seen.position.get(), seen.event.number)
    };
    let own = |(id, version, position, number): (&str, u64, u64, u64)| (id.to_owned(), version, position, number);
    let expected =
        [("b", 3, 3, 10), ("b", 4, 4, 11), ("c", 1, 5, 20), ("a", 1, 6, 30), ("a", 2, 7, 31), ("a", 3, 8, 32)];
    assert_eq!(commit.events.iter().map(shape).collect::<Vec<_>>(), expected.map(own));
    for (stream, first) in [("a", 6), ("b", 1), ("c", 5)] {
        assert_eq!(fixture.events(stream).await[0].position.get(), first);
    }
    // Each session goes on from there.
    for (session, version) in [(&a, 3), (&b, 4), (&c, 1)] {
        assert!(fixture.append(session, version, 1).await.is_ok());
    }
}

/// \[2, 3, 7] A part without events beside others is checked, and leaves nothing in its stream.
pub(super) async fn part_without_events_is_only_checked<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 2).await;
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let parts = [part(&a, 2, &[]), part(&b, 0, &TestEvent::series([7]))];
    assert_eq!(fixture.commit(parts).await, Ok(appended(3, 3)));
    assert_eq!(fixture.feed_after(2).await[0].events.len(), 1);
    assert_eq!((fixture.numbers("a").await, fixture.numbers("b").await), (vec![1, 2], vec![7]));
    let parts = [part(&b, 1, &TestEvent::series([8])), part(&a, 1, &[])];
    assert_eq!(fixture.commit(parts).await, conflict("a", 1, 2));
    assert_eq!(fixture.numbers("b").await, [7]);
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    assert_eq!(fixture.commit([part(&a, 2, &[]), part(&b, 1, &[])]).await, Ok(appended(3, 3)));
}

/// \[2, 3] One part with a wrong version, first, last or in the middle, and no part is stored.
pub(super) async fn one_conflicting_part_fails_all<S: Subject>(fixture: Fixture<S>) {
    for bad in 0..3 {
        let mut parts = Vec::new();
        for (index, stream) in ["a", "b", "c"].into_iter().enumerate() {
            let expected = if index == bad { 5 } else { 0 };
            parts.push(part(&fixture.session(stream).await, expected, &TestEvent::series([1, 2])));
        }
        let stream = ["a", "b", "c"][bad];
        assert_eq!(fixture.commit(parts).await, conflict(stream, 5, 0));
    }
    assert_eq!(fixture.feed().await, []);
    for stream in ["a", "b", "c"] {
        assert_eq!((fixture.events(stream).await, fixture.head(stream).await), (vec![], 0));
    }
}

/// \[2, 3] One part whose session has ended, and no part is stored.
pub(super) async fn one_superseded_part_fails_all<S: Subject>(fixture: Fixture<S>) {
    let (a, ended) = (fixture.session("a").await, fixture.session("b").await);
    let b = fixture.session("b").await;
    let parts = [part(&a, 0, &TestEvent::series([1])), part(&ended, 0, &TestEvent::series([1]))];
    assert_eq!(fixture.commit(parts).await, superseded("b"));
    assert_eq!(fixture.feed().await, []);
    assert_eq!(fixture.append(&b, 0, 1).await, Ok(appended(1, 1)));
}

/// \[4] A failed commit is the first failure of each of its sessions, and ends them all, also that of a part which was in
/// order; what was under way behind it is superseded.
pub(super) async fn failed_commit_ends_all_its_sessions<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let before = submit_one(fixture.journal(), &a, 0, 1).await;
    let parts = [part(&a, 1, &TestEvent::series([1])), part(&b, 9, &TestEvent::series([1]))];
    let failed = fixture.submit(parts).await;
    let behind_a = submit_one(fixture.journal(), &a, 1, 1).await;
    let behind_b = submit_one(fixture.journal(), &b, 0, 1).await;
    assert_eq!(before.await, Ok(appended(1, 1)));
    assert_eq!(failed.await, conflict("b", 9, 0));
    assert_eq!((behind_a.await, behind_b.await), (superseded("a"), superseded("b")));
    assert!(!a.is_live() && !b.is_live());
    assert_eq!(fixture.feed().await.len(), 1);
}

/// \[2, 11] Everything within the default limits fits: an event of 1 MiB, a commit of 4 MiB, one of 1,024 events, and one
/// of 300 streams.
pub(super) async fn largest_events_and_commits_fit<S: Subject>(fixture: Fixture<S>) {
    let limits = Limits::default();
    let session = fixture.session("large").await;
    let frame_bytes = TestEvent::encode_all(&[TestEvent::numbered(0)]).bytes().len() - 8;
    let largest: Vec<_> = (0..4).map(|n| TestEvent::sized(n, limits.event_bytes_max - frame_bytes)).collect();
    assert_eq!(TestEvent::encode_all(&largest).bytes().len(), limits.commit_bytes_max);
    let one = [TestEvent::sized(9, limits.event_bytes_max)];
    assert_eq!(fixture.commit([part(&session, 0, &one)]).await, Ok(appended(1, 1)));
    assert_eq!(fixture.commit([part(&session, 1, &largest)]).await, Ok(appended(2, 5)));
    let many = TestEvent::series(0..limits.events_per_commit_max as u64);
    assert_eq!(fixture.commit([part(&session, 5, &many)]).await, Ok(appended(3, 1_029)));
    let expected: Vec<_> = one.into_iter().chain(largest).chain(many).collect();
    let read: Vec<_> = fixture.events("large").await.into_iter().map(|seen| seen.event).collect();
    assert!(read == expected, "large events did not come back as they were written");

    let mut parts = Vec::new();
    for index in 0..300 {
        parts.push(part(&fixture.session(&format!("wide-{index}")).await, 0, &TestEvent::series([index])));
    }
    assert_eq!(fixture.commit(parts).await, Ok(appended(4, 1_329)));
    let commit = fixture.feed_after(1_029).await.remove(0);
    assert_eq!(commit.events.len(), 300);
    assert_eq!(commit.events[299].stream, name("wide-299"));
    assert_eq!(fixture.numbers("wide-77").await, [77]);
}
