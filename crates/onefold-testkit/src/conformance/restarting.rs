//! Restarting: after a clean close and after a kill.

use onefold_core::ExpectedVersion::Any;
use onefold_core::journal::JournalHealth;
use tokio::task::JoinSet;

use super::fixture::{Fixture, appended, name};
use super::{How, Subject};
use crate::{SeenCommit, TestEvent, append_one, part, submit_one};

const BOTH: [How; 2] = [How::CleanClose, How::Kill];

/// \[6, 12] A journal without a commit reopens as such.
pub(super) async fn empty_journal_reopens<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for how in [How::Kill, How::CleanClose, How::Kill] {
        let _ = fixture.session("a").await;
        fixture = fixture.reopen(how).await;
        assert_eq!(fixture.journal().health(), JournalHealth::Healthy);
        assert_eq!((fixture.feed().await, fixture.head("a").await), (vec![], 0));
        assert_eq!(fixture.durable_from(0).await, (0, 0));
    }
    assert_eq!(fixture.append(&fixture.session("a").await, 0, 1).await, Ok(appended(1, 1)));
}

/// \[6] Ten restarts of either kind: versions, commits and positions go on as if nothing had happened, and the journal
/// says so from the first moment.
pub(super) async fn numbers_go_on_after_every_restart<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for round in 0..10_u64 {
        assert_eq!(fixture.durable_from(0).await, (round * 3, round * 4));
        let (a, b) = (fixture.open("a").await, fixture.open("b").await);
        assert_eq!((a.head.get(), b.head.get()), (round * 3, round));
        assert_eq!(fixture.append(&a.session, Any, 0).await, Ok(appended(round * 3, round * 4)));
        assert_eq!(fixture.append(&a.session, round * 3, 2).await, Ok(appended(round * 3 + 1, round * 4 + 2)));
        assert_eq!(fixture.append(&b.session, round, 1).await, Ok(appended(round * 3 + 2, round * 4 + 3)));
        assert_eq!(fixture.append(&a.session, round * 3 + 2, 1).await, Ok(appended(round * 3 + 3, round * 4 + 4)));
        fixture = fixture.reopen(BOTH[usize::from(round % 3 == 0)]).await;
    }
    assert_eq!(fixture.feed().await.len(), 30);
    assert_eq!((fixture.events("a").await.len(), fixture.events("b").await.len()), (30, 10));
}

/// \[1, 6] What was acknowledged is there after a clean close, as it was: content, order, numbers.
pub(super) async fn acknowledged_survives_a_clean_close<S: Subject>(fixture: Fixture<S>) {
    acknowledged_survives(fixture, How::CleanClose).await;
}

/// \[1, 6] What was acknowledged is there after a kill, as it was: content, order, numbers.
pub(super) async fn acknowledged_survives_a_kill<S: Subject>(fixture: Fixture<S>) {
    acknowledged_survives(fixture, How::Kill).await;
}

async fn acknowledged_survives<S: Subject>(fixture: Fixture<S>, how: How) {
    let mut fixture = fixture;
    for round in 1..=3_u64 {
        let mut writers = JoinSet::new();
        for writer in 0..8_u64 {
            let journal = fixture.journal().clone();
            writers.spawn(async move {
                let opened = journal.open(&name(&format!("s{writer}"))).await.expect("a healthy journal");
                let mut version = opened.head.get();
                for step in 0..30 {
                    let outcome = append_one(&journal, &opened.session, version, step % 3).await;
                    assert!(outcome.is_ok());
                    version += step % 3;
                }
            });
        }
        writers.join_all().await;
        let before = fixture.feed().await;
        assert_eq!(before.len() as u64, round * 8 * 20);
        fixture = fixture.reopen(how).await;
        check_same(&fixture, &before, how).await;
    }
}

/// \[1, 2, 6, 8] Commits in flight at a kill are whole or not there at all, in order, and no number is lost or used twice.
pub(super) async fn in_flight_at_a_kill_is_whole_or_not<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    let (mut a_at, mut b_at) = (0, 0);
    for _ in 0..5 {
        let (a, b) = (fixture.open("a").await, fixture.open("b").await);
        assert_eq!((a.head.get(), b.head.get()), (a_at, b_at));
        let (mut pending, mut expected) = (Vec::new(), (a_at, b_at));
        for _ in 0..100 {
            let (a_events, b_events) = (TestEvent::series([1, 2]), TestEvent::series([3]));
            let parts = [part(&a.session, expected.0, &a_events), part(&b.session, expected.1, &b_events)];
            pending.push(fixture.submit(parts).await);
            expected = (expected.0 + 2, expected.1 + 1);
        }
        // What is acknowledged by now must survive; all else may or may not.
        let acknowledged = pending.iter_mut().filter_map(crate::Pending::decided).filter(Result::is_ok).count() as u64;
        fixture = fixture.reopen(How::Kill).await;
        let (a_now, b_now) = (fixture.events("a").await.len() as u64, fixture.events("b").await.len() as u64);
        let landed = b_now - b_at;
        assert!((acknowledged..=100).contains(&landed), "{landed} landed, {acknowledged} were acknowledged");
        assert_eq!(a_now - a_at, 2 * landed, "half a commit");
        assert!(fixture.feed().await.iter().all(|commit| commit.events.len() == 3), "half a commit");
        for outcome in pending.iter_mut().skip(usize::try_from(landed).expect("small")).filter_map(|p| p.decided()) {
            assert!(outcome.is_err() || outcome.is_ok_and(|appended| appended.commit.get() > b_now));
        }
        (a_at, b_at) = (a_now, b_now);
    }
}

/// \[3, 6, 7] Barriers and failed appends leave no trace in what is reopened.
pub(super) async fn barriers_and_failures_survive_as_nothing<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for how in BOTH {
        let opened = fixture.open("a").await;
        let head = opened.head.get();
        assert!(fixture.append(&opened.session, head, 1).await.is_ok());
        assert!(fixture.append(&opened.session, head + 1, 0).await.is_ok());
        let failed = submit_one(fixture.journal(), &opened.session, 77, 5).await;
        let follower = submit_one(fixture.journal(), &opened.session, head + 1, 5).await;
        assert!(failed.await.is_err() && follower.await.is_err());
        let before = fixture.feed().await;
        fixture = fixture.reopen(how).await;
        check_same(&fixture, &before, how).await;
    }
    assert_eq!(fixture.numbers("a").await, [1, 1]);
}

/// \[1, 2] Large commits, one over several streams among them, survive either restart byte by byte.
pub(super) async fn large_commits_survive<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for (round, how) in (0..).zip(BOTH) {
        let (a, b) = (fixture.open("a").await, fixture.open("b").await);
        let large = [TestEvent::sized(round, 1024 * 1024), TestEvent::sized(round + 1, 900_000)];
        let middling: Vec<_> = (0..200).map(|number| TestEvent::sized(number, 5_000)).collect();
        let parts = [part(&a.session, a.head, &large), part(&b.session, b.head, &middling)];
        assert!(fixture.commit(parts).await.is_ok());
        let before = fixture.feed().await;
        fixture = fixture.reopen(how).await;
        check_same(&fixture, &before, how).await;
    }
    assert_eq!(fixture.events("b").await.len(), 400);
}

/// The journal holds exactly these commits, and all ways to look at it agree.
async fn check_same<S: Subject>(fixture: &Fixture<S>, before: &[SeenCommit], how: How) {
    let after = fixture.feed().await;
    assert_eq!(after.len(), before.len(), "commits after {how:?}");
    assert!(after == before, "the feed differs after {how:?}");
    let last = before.last().expect("something was written");
    let position = last.events.last().expect("a commit has events").position;
    assert_eq!(fixture.durable_from(0).await, (last.number.get(), position.get()), "durable after {how:?}");
    let streams: std::collections::BTreeSet<_> =
        before.iter().flat_map(|commit| &commit.events).map(|seen| seen.stream.clone()).collect();
    for stream in streams {
        let events = fixture.events(stream.as_str()).await;
        let in_feed = before.iter().flat_map(|commit| &commit.events).filter(|seen| seen.stream == stream);
        assert!(events.iter().eq(in_feed), "{stream} differs from the feed after {how:?}");
        assert_eq!(fixture.head(stream.as_str()).await, events.len() as u64, "the head of {stream} after {how:?}");
    }
}
