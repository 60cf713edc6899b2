//! A journal behind a script of faults keeps the contract, and each fault does what it says.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use onefold_core::ExpectedVersion::Any;
use onefold_core::journal::{AppendError, AppendOutcome, Journal, JournalHealth, MemoryJournal, OpenError, ReadError};
use onefold_core::{Checkpoint, Metadata, StreamId, StreamVersion};
use onefold_testkit::conformance::{How, Subject};
use onefold_testkit::faults::{AppendFault, Faults, FaultyJournal, Gate, OpenFault, ReadFault, When};
use onefold_testkit::{TestEvent, append_one, part, prepare, read_events, submit, submit_one};
use tokio::time::Instant;

/// A faulty journal over one in memory.
struct Faulty {
    memory: MemoryJournal,
    late: bool,
}

impl Faulty {
    fn new(late: bool) -> Self {
        Faulty { memory: MemoryJournal::new(), late }
    }

    fn wrap(&self) -> Arc<dyn Journal> {
        let journal = FaultyJournal::new(Arc::new(self.memory.clone()));
        if self.late {
            journal.faults().append(When::always(), AppendFault::DelayAnswer(Duration::from_micros(100)));
            journal.faults().queue_max(100);
        }
        Arc::new(journal)
    }
}

impl Subject for Faulty {
    async fn open(&self) -> Arc<dyn Journal> {
        self.wrap()
    }

    async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
        if how == How::CleanClose {
            journal.close().await.expect("memory closes cleanly");
        }
        self.memory.reopen();
        self.wrap()
    }
}

mod without_faults {
    use super::*;
    onefold_testkit::conformance!(|| Faulty::new(false));
}

/// Every acknowledgement late, and a short queue: what a disk looks like to the suite.
mod with_late_answers {
    use super::*;
    onefold_testkit::conformance!(|| Faulty::new(true));
}

fn faulty() -> (Arc<dyn Journal>, Faults) {
    let journal = FaultyJournal::new(Arc::new(MemoryJournal::new()));
    let faults = journal.faults();
    (Arc::new(journal), faults)
}

fn stream(id: &str) -> StreamId {
    StreamId::new("test", id).unwrap()
}

async fn versions(journal: &Arc<dyn Journal>, id: &str) -> usize {
    read_events(journal, &stream(id), StreamVersion::EMPTY).await.unwrap().len()
}

fn kind(outcome: AppendOutcome) -> &'static str {
    match outcome {
        Ok(_) => "stored",
        Err(AppendError::Conflict { .. }) => "conflict",
        Err(AppendError::Superseded { .. }) => "superseded",
        Err(AppendError::Unavailable { .. }) => "unavailable",
        Err(AppendError::Unknown { .. }) => "unknown",
        Err(AppendError::Poisoned { .. }) => "poisoned",
        Err(_) => "other",
    }
}

/// Submits five appends at once, of which the third meets `fault`.
async fn third_of_five(fault: AppendFault) -> (Vec<&'static str>, usize) {
    let (journal, faults) = faulty();
    faults.append(When::nth(3), fault);
    let session = journal.open(&stream("a")).await.unwrap().session;
    let mut pending = Vec::new();
    for version in 0..5 {
        pending.push(submit_one(&journal, &session, version, 1).await);
    }
    let mut kinds = Vec::new();
    for outcome in pending {
        kinds.push(kind(outcome.await));
    }
    let stored = versions(&journal, "a").await;
    let opened = journal.open(&stream("a")).await.unwrap();
    assert_eq!(opened.head.get(), stored as u64);
    assert!(!session.is_live());
    assert!(append_one(&journal, &opened.session, opened.head, 1).await.is_ok());
    (kinds, stored)
}

#[tokio::test]
async fn fail_before_write_stores_nothing_and_ends_the_session() {
    let (kinds, stored) = third_of_five(AppendFault::FailBeforeWrite).await;
    assert_eq!((kinds, stored), (vec!["stored", "stored", "unavailable", "superseded", "superseded"], 2));
    let low = AppendError::DiskLow { free_bytes: 1, reserve_bytes: 2 };
    let (kinds, stored) = third_of_five(AppendFault::FailBeforeWriteWith(low)).await;
    assert_eq!((kinds[2], stored), ("other", 2));
}

#[tokio::test]
async fn fail_after_write_stores_and_does_not_tell() {
    let (kinds, stored) = third_of_five(AppendFault::FailAfterWrite).await;
    assert_eq!((kinds, stored), (vec!["stored", "stored", "unknown", "superseded", "superseded"], 3));
}

#[tokio::test]
async fn lost_write_is_unknown_and_not_stored() {
    let (kinds, stored) = third_of_five(AppendFault::LoseWrite).await;
    assert_eq!((kinds, stored), (vec!["stored", "stored", "unknown", "superseded", "superseded"], 2));
}

#[tokio::test]
async fn refused_appends_keep_their_answer() {
    let (journal, faults) = faulty();
    faults.append(When::always(), AppendFault::FailAfterWrite);
    let session = journal.open(&stream("a")).await.unwrap().session;
    assert_eq!(kind(append_one(&journal, &session, 4, 1).await), "conflict");
}

#[tokio::test(start_paused = true)]
async fn delayed_answers_come_in_order_in_virtual_time() {
    let (journal, faults) = faulty();
    faults.append(When::next(1), AppendFault::DelayAnswer(Duration::from_secs(3600)));
    faults.append(When::next(1), AppendFault::DelayAnswer(Duration::from_secs(60)));
    let start = Instant::now();
    let session = journal.open(&stream("a")).await.unwrap().session;
    let neighbour = journal.open(&stream("b")).await.unwrap().session;
    let mut first = submit_one(&journal, &session, 0, 1).await;
    let second = submit_one(&journal, &session, 1, 1).await;
    let third = submit_one(&journal, &session, 2, 0).await;
    assert!(append_one(&journal, &neighbour, 0, 1).await.is_ok());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(third.await.is_ok());
    assert_eq!(start.elapsed().as_secs(), 3600);
    assert!(first.decided().is_some_and(|outcome| outcome.is_ok()));
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn held_answers_are_told_in_order_when_the_gate_opens() {
    let (journal, faults) = faulty();
    let gate = Gate::closed();
    faults.append(When::nth(1).of(&stream("a")), AppendFault::HoldAnswer(gate.clone()));
    let (a, b) = (journal.open(&stream("a")).await.unwrap().session, journal.open(&stream("b")).await.unwrap().session);
    assert!(append_one(&journal, &b, 0, 1).await.is_ok());
    let mut held = submit_one(&journal, &a, 0, 1).await;
    let parts = [part(&b, 1, &TestEvent::series([1])), part(&a, 1, &TestEvent::series([1]))];
    let (append, mut both) = prepare(parts, &Metadata::default());
    submit(&journal, append).await;
    let mut behind = submit_one(&journal, &b, 2, 1).await;
    assert_eq!((held.decided(), both.decided(), behind.decided()), (None, None, None));
    assert_eq!(faults.appends_under_way(), 3);
    let mut open = journal.open(&stream("b"));
    assert!((&mut open).now_or_never().is_none(), "open waits for what is held");
    gate.open();
    assert!(
        [held.decided(), both.decided(), behind.decided()].into_iter().flatten().filter(|o| o.is_ok()).count() == 3
    );
    assert_eq!(open.await.unwrap().head, StreamVersion::new(3));
    assert_eq!(faults.appends_under_way(), 0);
}

#[tokio::test]
async fn unanswered_appends_are_unknown_when_the_journal_is_dropped() {
    let (journal, faults) = faulty();
    let never = Gate::closed();
    faults.append(When::next(2), AppendFault::HoldAnswer(never.clone()));
    let session = journal.open(&stream("a")).await.unwrap().session;
    let mut pending = Vec::new();
    for version in 0..4 {
        pending.push(submit_one(&journal, &session, version, 1).await);
    }
    let opening = journal.open(&stream("a"));
    drop(journal);
    for outcome in pending {
        assert_eq!(kind(outcome.await), "unknown");
    }
    assert_eq!(opening.await.unwrap().head, StreamVersion::new(4));
    never.open();
}

#[tokio::test]
async fn openings_fail_wait_and_are_held() {
    let (journal, faults) = faulty();
    let gate = Gate::closed();
    faults.open(When::nth(1), OpenFault::Fail(OpenError::Read(ReadError::Closed)));
    faults.open(When::next(1).of(&stream("a")), OpenFault::Hold(gate.clone()));
    assert!(journal.open(&stream("a")).await.is_err());
    assert!(journal.open(&stream("b")).await.is_ok());
    let mut held = journal.open(&stream("a"));
    assert!((&mut held).now_or_never().is_none());
    gate.open();
    assert!(held.await.is_ok());
    faults.open(When::next(1), OpenFault::Delay(Duration::from_millis(1)));
    assert!(journal.open(&stream("a")).await.is_ok());
}

#[tokio::test]
async fn reads_fail_wait_and_are_held() {
    let (journal, faults) = faulty();
    let session = journal.open(&stream("a")).await.unwrap().session;
    for version in 0..600 {
        assert!(append_one(&journal, &session, version, 1).await.is_ok());
    }
    let error = ReadError::Storage { reason: "scripted".into() };
    faults.read(When::next(1), ReadFault::Fail(error.clone()));
    assert_eq!(read_events(&journal, &stream("a"), StreamVersion::EMPTY).await, Err(error.clone()));
    faults.read(When::next(1).of(&stream("a")), ReadFault::FailAfter { items: 1, error: error.clone() });
    assert!(journal.read_all(&Checkpoint::START).next().await.unwrap().is_ok());
    let mut chunks = journal.read_stream(&stream("a"), StreamVersion::EMPTY);
    assert!(chunks.next().await.unwrap().is_ok());
    assert_eq!(chunks.next().await.unwrap().unwrap_err(), error);
    assert!(chunks.next().await.is_none());
    let gate = Gate::closed();
    faults.read(When::next(1), ReadFault::Hold(gate.clone()));
    let mut held = journal.read_stream(&stream("a"), StreamVersion::EMPTY);
    assert!(held.next().now_or_never().is_none());
    gate.open();
    assert!(held.next().await.unwrap().is_ok());
    faults.read(When::next(1), ReadFault::Delay(Duration::from_millis(1)));
    assert_eq!(versions(&journal, "a").await, 600);
}

#[tokio::test]
async fn poisoned_journal_refuses_writers_and_serves_readers() {
    let (journal, faults) = faulty();
    let session = journal.open(&stream("a")).await.unwrap().session;
    assert!(append_one(&journal, &session, 0, 1).await.is_ok());
    assert!(journal.health().is_healthy());
    faults.poison("a scripted failure of a sync");
    faults.poison("a later one");
    for _ in 0..2 {
        assert_eq!(kind(append_one(&journal, &session, 1, 1).await), "poisoned");
    }
    let reason = Arc::from("a scripted failure of a sync");
    assert!(matches!(journal.open(&stream("a")).await, Err(OpenError::Poisoned { .. })));
    assert_eq!(journal.health(), JournalHealth::Poisoned { reason });
    assert_eq!(versions(&journal, "a").await, 1);
}

#[tokio::test]
async fn full_queue_hands_back_until_answers_are_told() {
    let (journal, faults) = faulty();
    let gate = Gate::closed();
    faults.queue_max(2);
    faults.append(When::always(), AppendFault::HoldAnswer(gate.clone()));
    let session = journal.open(&stream("a")).await.unwrap().session;
    let first = submit_one(&journal, &session, Any, 1).await;
    let second = submit_one(&journal, &session, Any, 1).await;
    let (append, third) = prepare([part(&session, 2, &TestEvent::series([3]))], &Metadata::default());
    let append = journal.append(append).expect_err("the queue is full");
    let mut capacity = journal.capacity();
    assert!((&mut capacity).now_or_never().is_none());
    gate.open();
    capacity.await;
    assert!(journal.append(append).is_ok());
    for outcome in [first, second, third] {
        assert!(outcome.await.is_ok());
    }
    assert_eq!(faults.appends_taken(), 3);
}
