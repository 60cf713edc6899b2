//! Sessions: who may append, until when.

use std::time::Duration;

use futures_util::FutureExt;
use onefold_core::ExpectedVersion::Any;
use onefold_core::StreamVersion;
use onefold_core::journal::StreamPage;

use super::fixture::{Fixture, appended, conflict, name, superseded};
use super::{How, Subject};
use crate::submit_one;

/// \[4] After a conflict nothing of the session is stored, not even what would fit; what was under way is superseded.
pub(super) async fn conflict_ends_the_session<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    let mut pending = Vec::new();
    for expected in [0, 1, 7, 2, 3] {
        pending.push(submit_one(fixture.journal(), &session, expected, 1).await);
    }
    let mut outcomes = Vec::new();
    for outcome in pending {
        outcomes.push(outcome.await);
    }
    let expected = [Ok(appended(1, 1)), Ok(appended(2, 2)), conflict("a", 7, 2), superseded("a"), superseded("a")];
    assert_eq!(outcomes, expected);
    assert!(!session.is_live());
    assert_eq!(fixture.append(&session, 2, 1).await, superseded("a"));
    assert_eq!(fixture.append(&session, Any, 1).await, superseded("a"));
    assert_eq!(fixture.append(&session, Any, 0).await, superseded("a"));
    let opened = fixture.open("a").await;
    assert_eq!(opened.head, StreamVersion::new(2));
    assert_eq!(fixture.append(&opened.session, 2, 1).await, Ok(appended(3, 3)));
}

/// \[3, 4, 7] A barrier is checked as any append is, and its failure ends the session too: the version alone would let
/// the next append pass.
pub(super) async fn failed_barrier_ends_the_session<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, 0, 1).await, Ok(appended(1, 1)));
    let barrier = submit_one(fixture.journal(), &session, 0, 0).await;
    let follower = submit_one(fixture.journal(), &session, 1, 1).await;
    assert_eq!(barrier.await, conflict("a", 0, 1));
    assert_eq!(follower.await, superseded("a"));
    assert_eq!(fixture.numbers("a").await, [1]);
}

/// \[10] Opening a stream ends its older sessions, though they know the right version; clones are the same session.
pub(super) async fn newer_open_ends_the_older_session<S: Subject>(fixture: Fixture<S>) {
    let older = fixture.session("a").await;
    assert_eq!(fixture.append(&older, 0, 1).await, Ok(appended(1, 1)));
    let newer = fixture.session("a").await;
    assert!(!older.is_live() && newer.is_live());
    assert!(!older.same(&newer));
    assert_eq!(fixture.append(&older, 1, 1).await, superseded("a"));
    assert_eq!(fixture.append(&older.clone(), 1, 0).await, superseded("a"));
    assert_eq!(fixture.append(&newer.clone(), 1, 1).await, Ok(appended(2, 2)));
    let newest = fixture.open("a").await;
    assert_eq!(newest.head, StreamVersion::new(2));
    assert_eq!(fixture.append(&newer, 2, 1).await, superseded("a"));
    assert_eq!(fixture.append(&newest.session, 2, 1).await, Ok(appended(3, 3)));
}

/// \[10] `open` answers once every older append is decided; the head has all that were stored.
pub(super) async fn open_waits_for_older_appends<S: Subject>(fixture: Fixture<S>) {
    let mut session = fixture.session("a").await;
    let mut head = 0;
    for _ in 0..20 {
        let mut pending = Vec::new();
        for index in 0..30 {
            pending.push(submit_one(fixture.journal(), &session, head + index, 1).await);
        }
        let opened = fixture.open("a").await;
        let mut stored = 0;
        for outcome in &mut pending {
            // Decided, so its acknowledgement is at most on its way.
            let outcome = tokio::time::timeout(Duration::from_secs(10), outcome).await.expect("decided before open");
            match outcome {
                Ok(_) => stored += 1,
                Err(error) => assert!(error.surely_not_stored(), "{error}"),
            }
        }
        assert_eq!(opened.head.get(), head + stored, "the head of open includes every older append");
        head += stored;
        session = opened.session;
    }
    assert!(head > 0, "an append submitted before open is not superseded by it as a rule");
    assert_eq!(fixture.events("a").await.len() as u64, head);
}

/// \[4, 10] A failure, or an opening, concerns one stream.
pub(super) async fn sessions_of_other_streams_go_on<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    assert_eq!(fixture.append(&a, 9, 1).await, conflict("a", 9, 0));
    assert_eq!(fixture.append(&b, 0, 1).await, Ok(appended(1, 1)));
    let _ = fixture.session("a").await;
    assert!(b.is_live());
    assert_eq!(fixture.append(&b, 1, 1).await, Ok(appended(2, 2)));
}

/// \[3] A session of another journal is no right to append here, though stream and version are the same.
pub(super) async fn foreign_session_is_superseded<S: Subject>(fixture: Fixture<S>) {
    let other = fixture.another().await;
    let ours = fixture.session("a").await;
    let foreign = other.session("a").await;
    assert_eq!(fixture.append(&foreign, 0, 1).await, superseded("a"));
    assert_eq!(fixture.append(&ours, 0, 1).await, Ok(appended(1, 1)));
    assert_eq!(fixture.numbers("a").await, [1]);
    assert_eq!(other.numbers("a").await, [0; 0]);
}

/// \[3, 10] A session belongs to the journal that gave it, and not to the one that opens the same data later.
pub(super) async fn session_does_not_survive_a_restart<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for how in [How::CleanClose, How::Kill] {
        let opened = fixture.open("a").await;
        let version = opened.head.get();
        assert!(fixture.append(&opened.session, version, 1).await.is_ok());
        fixture = fixture.reopen(how).await;
        assert_eq!(fixture.append(&opened.session, version + 1, 1).await, superseded("a"), "after {how:?}");
        assert_eq!(fixture.head("a").await, version + 1);
        assert_eq!(fixture.append(&opened.session, version + 1, 1).await, superseded("a"), "after {how:?} and open");
    }
}

/// \[edge case] An `open` that is dropped, before or after its first poll, leaves nothing behind: no stream, no lock, no
/// used-up resource.
pub(super) async fn dropped_open_leaves_nothing_behind<S: Subject>(fixture: Fixture<S>) {
    for round in 0..500 {
        let unpolled = fixture.journal().open(&name("a"));
        let mut polled = fixture.journal().open(&name(&format!("b-{round}")));
        let _ = (&mut polled).now_or_never();
        drop((unpolled, polled));
    }
    let page = StreamPage { aggregate_type: "test".to_owned(), after: None, limit: 10 };
    assert_eq!(fixture.journal().streams(page).await, Ok(vec![]));
    let opened = fixture.open("a").await;
    assert_eq!(fixture.append(&opened.session, 0, 1).await, Ok(appended(1, 1)));
    drop(fixture.journal().open(&name("a")));
    assert!(opened.session.is_live(), "an open that was never polled did something");
    assert_eq!(fixture.append(&opened.session, 1, 1).await, Ok(appended(2, 2)));
    let mut polled = fixture.journal().open(&name("a"));
    let _ = (&mut polled).now_or_never();
    drop(polled);
    assert_eq!(fixture.head("a").await, 2);
    assert_eq!(fixture.head("b-0").await, 0);
}
