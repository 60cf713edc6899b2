//! Appending: checks, acknowledgements, barriers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use onefold_core::ExpectedVersion::{Any, Exact, NoStream};
use onefold_core::journal::{Acknowledge, Acknowledgement, Append, AppendOutcome, Session};
use onefold_core::{Metadata, StreamVersion};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Subject;
use super::fixture::{Fixture, appended, conflict, name};
use crate::{TestEvent, part, prepare, submit, submit_one};

/// \[6] The first event is version 1 at position 1 in commit 1.
pub(super) async fn numbers_begin_at_one<S: Subject>(fixture: Fixture<S>) {
    let opened = fixture.open("a").await;
    assert_eq!(opened.head, StreamVersion::EMPTY);
    assert_eq!(opened.session.stream(), &name("a"));
    assert!(opened.session.is_live());
    assert_eq!(fixture.append(&opened.session, 0, 1).await, Ok(appended(1, 1)));
    assert_eq!(fixture.append(&opened.session, 1, 2).await, Ok(appended(2, 3)));
    let events = fixture.events("a").await;
    let numbers: Vec<_> = events.iter().map(|e| (e.version.get(), e.position.get(), e.commit.get())).collect();
    assert_eq!(numbers, [(1, 1, 1), (2, 2, 2), (3, 3, 2)]);
    assert_eq!(fixture.head("a").await, 3);
}

/// \[3] `Any` is met by every version.
pub(super) async fn any_version_is_always_accepted<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    for count in [1, 0, 3, 0, 1] {
        assert!(fixture.append(&session, Any, count).await.is_ok());
    }
    assert_eq!(fixture.head("a").await, 5);
}

/// \[3] `NoStream` is met by an empty stream, also one that was opened or had a barrier, and by no other.
pub(super) async fn no_stream_is_accepted_once<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, NoStream, 0).await, Ok(appended(0, 0)));
    assert_eq!(fixture.append(&session, NoStream, 1).await, Ok(appended(1, 1)));
    assert_eq!(fixture.append(&session, NoStream, 1).await, conflict("a", NoStream, 1));
    assert_eq!(fixture.numbers("a").await, [1]);
}

/// \[3] A version too low or too high is a conflict, which tells the stream, what was expected, and what is.
pub(super) async fn wrong_version_is_a_conflict<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, 1, 1).await, conflict("a", 1, 0));
    fixture.fill("a", 3).await;
    for wrong in [0, 1, 2, 4, u64::MAX] {
        let session = fixture.session("a").await;
        assert_eq!(fixture.append(&session, wrong, 1).await, conflict("a", wrong, 3));
    }
    assert_eq!(fixture.numbers("a").await, [1, 2, 3]);
}

/// \[3, 8] A rejected append leaves no trace in the stream, the feed, the head, the list or the durable position.
pub(super) async fn rejected_append_stores_nothing<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("never").await;
    assert_eq!(fixture.append(&session, 5, 3).await, conflict("never", 5, 0));
    fixture.fill("a", 1).await;
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, 0, 3).await, conflict("a", 0, 1));
    assert_eq!(fixture.feed().await.len(), 1);
    assert_eq!(fixture.numbers("a").await, [1]);
    assert_eq!(fixture.numbers("never").await, [0; 0]);
    assert_eq!((fixture.head("a").await, fixture.head("never").await), (1, 0));
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, 1, 1).await, Ok(appended(2, 2)));
}

/// \[5] The acknowledgements of a session come in the order of submission: successes, barriers and failures alike.
pub(super) async fn acknowledged_in_order_of_submission<S: Subject>(fixture: Fixture<S>) {
    const APPENDS: u64 = 200;
    let session = fixture.session("a").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut version = 0;
    for number in 0..APPENDS {
        // Every third is a barrier, and the one at three quarters fails, so all behind it are superseded.
        let count = u64::from(number % 3 != 0);
        let expected = if number == APPENDS * 3 / 4 { u64::MAX } else { version };
        version += count;
        let tell = tell.clone();
        let acknowledgement = Acknowledgement::from_fn(move |outcome| {
            let _ = tell.send((number, outcome.is_ok()));
        });
        let append = one_event_append(&session, expected, count, acknowledgement);
        submit(fixture.journal(), append).await;
    }
    for expected in 0..APPENDS {
        assert_eq!(told.recv().await, Some((expected, expected < APPENDS * 3 / 4)));
    }
}

/// \[1] Each acknowledgement is called exactly once, whatever the outcome.
pub(super) async fn acknowledged_exactly_once<S: Subject>(fixture: Fixture<S>) {
    struct Counter(AtomicU32);
    impl Acknowledge for Counter {
        fn acknowledge(self: Arc<Self>, _: AppendOutcome) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let session = fixture.session("a").await;
    let mut counters = Vec::new();
    // Stored, a barrier, a conflict, superseded.
    for (expected, count) in [(0, 2), (2, 0), (7, 1), (2, 1)] {
        let counter = Arc::new(Counter(AtomicU32::new(0)));
        counters.push(counter.clone());
        let append = one_event_append(&session, expected, count, Acknowledgement::new(counter));
        submit(fixture.journal(), append).await;
    }
    // Opening waits for all of them; closing gives a late second call its chance.
    let _ = fixture.session("a").await;
    fixture.journal().close().await.expect("a clean close");
    let calls: Vec<_> = counters.iter().map(|counter| counter.0.load(Ordering::SeqCst)).collect();
    assert_eq!(calls, [1, 1, 1, 1]);
}

/// \[1, 11] What is acknowledged is visible to reads that start while the acknowledgement is being told.
pub(super) async fn acknowledged_is_visible_at_once<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    for version in 1..=50_u64 {
        let (tell, mut told) = mpsc::unbounded_channel();
        let journal = Arc::downgrade(fixture.journal());
        let after = StreamVersion::new(version - 1);
        let acknowledgement = Acknowledgement::from_fn(move |outcome| {
            let read = journal.upgrade().map(|journal| journal.read_stream(&name("a"), after));
            let _ = tell.send((outcome, read));
        });
        submit(fixture.journal(), one_event_append(&session, version - 1, 1, acknowledgement)).await;
        let (outcome, read) = told.recv().await.expect("an acknowledgement");
        assert_eq!(outcome, Ok(appended(version, version)));
        let first = read.expect("the journal is there").next().await.expect("the event").expect("a good read");
        assert_eq!(first.parts.first().map(|part| part.first_version.get()), Some(version));
    }
}

/// \[7] A barrier changes nothing, and answers with where the journal stands.
pub(super) async fn barrier_takes_no_number<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    assert_eq!(fixture.append(&session, 0, 0).await, Ok(appended(0, 0)));
    assert_eq!(fixture.append(&session, 0, 2).await, Ok(appended(1, 2)));
    for _ in 0..3 {
        assert_eq!(fixture.append(&session, 2, 0).await, Ok(appended(1, 2)));
    }
    assert_eq!(fixture.append(&session, 2, 1).await, Ok(appended(2, 3)));
    assert_eq!(fixture.feed().await.len(), 2);
    assert_eq!(fixture.durable_from(2).await, (2, 3));
}

/// \[7] When a barrier is acknowledged, everything submitted before it to its stream is durable and acknowledged.
pub(super) async fn barrier_is_acknowledged_after_what_came_before<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    for round in 0..20_u64 {
        let mut before = Vec::new();
        for index in 0..10 {
            before.push(submit_one(fixture.journal(), &a, round * 10 + index, 1).await);
            // A neighbour's traffic in between.
            submit_one(fixture.journal(), &b, Any, 1).await.await.expect("an append");
        }
        let barrier = submit_one(fixture.journal(), &a, (round + 1) * 10, 0).await.await;
        let barrier = barrier.expect("the barrier's version is right");
        for pending in &mut before {
            let outcome = pending.decided().expect("acknowledged before the barrier");
            assert!(outcome.is_ok_and(|appended| appended.position <= barrier.position));
        }
        assert_eq!(fixture.events("a").await.len() as u64, (round + 1) * 10);
    }
}

/// \[9] A full queue hands the very append back, and takes it once there is capacity. Nothing submitted is lost.
pub(super) async fn full_queue_hands_the_append_back<S: Subject>(fixture: Fixture<S>) {
    const APPENDS: u64 = 5_000;
    let session = fixture.session("a").await;
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    for version in 0..APPENDS {
        let outcomes = outcomes.clone();
        let acknowledgement = Acknowledgement::from_fn(move |outcome| outcomes.lock().push(outcome));
        let mut append = one_event_append(&session, Exact(StreamVersion::new(version)), 1, acknowledgement);
        while let Err(handed_back) = fixture.journal().append(append) {
            assert_eq!(handed_back.parts[0].expected, Exact(StreamVersion::new(version)));
            append = handed_back;
            fixture.journal().capacity().await;
        }
    }
    let barrier = fixture.append(&session, APPENDS, 0).await;
    assert_eq!(barrier, Ok(appended(APPENDS, APPENDS)));
    assert_eq!(outcomes.lock().iter().filter(|outcome| outcome.is_ok()).count() as u64, APPENDS);
}

fn one_event_append(
    session: &Session,
    expected: impl Into<onefold_core::ExpectedVersion>,
    count: u64,
    acknowledgement: Acknowledgement,
) -> Append {
    let (append, _) = prepare([part(session, expected, &TestEvent::series(1..=count))], &Metadata::default());
    Append { acknowledgement, ..append }
}
