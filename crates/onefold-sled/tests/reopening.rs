//! What was acknowledged is there after every kind of end.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use onefold_core::journal::{AppendError, Journal, JournalHealth, StreamPage};
use onefold_core::{Checkpoint, ExpectedVersion, GlobalPosition};
use onefold_sled::SledJournal;

#[tokio::test(flavor = "multi_thread")]
async fn appended_commits_are_read_back() {
    let (_temporary, path) = dir();
    let journal = SledJournal::open(&path).unwrap();
    let first = note(&journal, "a", &["one", "two"]).await.unwrap();
    let second = note(&journal, "b", &["three"]).await.unwrap();
    let third = note(&journal, "a", &["four"]).await.unwrap();
    assert_eq!([first, second, third].map(|appended| appended.commit.get()), [1, 2, 3]);
    assert_eq!([first, second, third].map(|appended| appended.position.get()), [2, 3, 4]);
    assert_eq!(texts(&journal, "a").await, ["one", "two", "four"]);
    assert_eq!(texts(&journal, "b").await, ["three"]);
    assert_eq!(texts(&journal, "c").await, [""; 0]);
    let after = Checkpoint::after(GlobalPosition::new(2));
    let seen = feed(&journal, &after).await;
    assert_eq!(seen.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3]);
    journal.close().await.unwrap();
    assert_eq!(journal.health(), JournalHealth::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_clean_close() {
    let (_temporary, path) = dir();
    for round in 0..4 {
        let journal = SledJournal::open(&path).unwrap();
        check_filled(&journal, 5, 30 * round).await;
        fill(&journal, 5, 30, 10).await;
        journal.close().await.unwrap();
    }
    let journal = SledJournal::open(&path).unwrap();
    check_filled(&journal, 5, 120).await;
    assert_eq!(feed(&journal, &Checkpoint::START).await.len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_drop_without_close() {
    let (_temporary, path) = dir();
    for round in 0..4 {
        let journal = small(&path).open().unwrap();
        check_filled(&journal, 7, 300 * round).await;
        fill(&journal, 7, 300, 60).await;
    }
    let journal = small(&path).open().unwrap();
    check_filled(&journal, 7, 1200).await;
    let seen = feed(&journal, &Checkpoint::START).await;
    assert!(seen.iter().zip(1..).all(|((number, _), expected)| *number == expected));
    assert_eq!(seen.len(), 7 * 1200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_listed_from_memory_and_from_sled() {
    let (_temporary, path) = dir();
    let journal = SledJournal::open(&path).unwrap();
    for id in ["b", "d", "f"] {
        note(&journal, id, &["text"]).await.unwrap();
    }
    journal.close().await.unwrap();
    let journal = SledJournal::open(&path).unwrap();
    for id in ["a", "c", "d"] {
        note(&journal, id, &["text"]).await.unwrap();
    }
    journal.open(&stream("empty")).await.unwrap();
    let page = |after: Option<&str>, limit| StreamPage {
        aggregate_type: "note".to_owned(),
        after: after.map(|id| onefold_core::AggregateId::new(id).unwrap()),
        limit,
    };
    let ids = async |page| -> Vec<String> {
        let streams = journal.streams(page).await.unwrap();
        streams.iter().map(|stream| stream.aggregate_id().to_owned()).collect()
    };
    assert_eq!(ids(page(None, 100)).await, ["a", "b", "c", "d", "f"]);
    assert_eq!(ids(page(None, 2)).await, ["a", "b"]);
    assert_eq!(ids(page(Some("b"), 2)).await, ["c", "d"]);
    assert_eq!(ids(page(Some("f"), 2)).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_stream_goes_on_at_its_version() {
    let (_temporary, path) = dir();
    let journal = SledJournal::open(&path).unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    append(&journal, &opened.session, ExpectedVersion::NoStream, &["one"]).await.unwrap();
    drop(journal);
    let journal = SledJournal::open(&path).unwrap();
    // A session of another journal is not honoured.
    let outcome = append(&journal, &opened.session, ExpectedVersion::Any, &["two"]).await;
    assert!(matches!(outcome, Err(AppendError::Superseded { .. })), "{outcome:?}");
    let opened = journal.open(&stream("a")).await.unwrap();
    assert_eq!(opened.head.get(), 1);
    let outcome = append(&journal, &opened.session, ExpectedVersion::NoStream, &["two"]).await;
    assert!(matches!(outcome, Err(AppendError::Conflict { .. })), "{outcome:?}");
    assert!(!opened.session.is_live());
}

/// The first live segment was empty, left behind by a group that it was too small for; the chain was then looked for in
/// that segment alone, and an acknowledged commit was taken for missing.
#[tokio::test(flavor = "multi_thread")]
async fn large_groups_between_checkpoints_survive_a_drop() {
    let (_temporary, path) = dir();
    let large = "x".repeat(300 << 10);
    for round in 0..12 {
        let journal = small(&path).open().unwrap();
        assert_eq!(texts(&journal, "large").await.len(), 2 * round);
        assert_eq!(texts(&journal, "small").await.len(), round);
        note(&journal, "large", &[&large]).await.unwrap();
        let wait = u64::try_from(round).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(3 * wait)).await;
        note(&journal, "small", &["text"]).await.unwrap();
        note(&journal, "large", &[&large]).await.unwrap();
    }
}

/// A checkpoint took the heads that had changed before sled showed them: for that time they were in neither list.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_listed_while_a_checkpoint_saves_them() {
    let (_temporary, path) = dir();
    let journal = Arc::new(small(&path).dirty_heads_max(1_024).open().unwrap());
    let written = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (journal, written) = (Arc::clone(&journal), Arc::clone(&written));
        tokio::spawn(async move {
            for streams in (300..=6_000).step_by(300) {
                fill(&journal, streams, 1, 10).await;
                written.store(streams, Ordering::Release);
            }
        })
    };
    while !writer.is_finished() {
        let least = written.load(Ordering::Acquire);
        let page = StreamPage { aggregate_type: "note".to_owned(), after: None, limit: usize::MAX };
        let listed = journal.streams(page).await.unwrap().len();
        assert!(listed >= least, "{listed} of {least}");
    }
    writer.await.unwrap();
    assert!(journal.stats().checkpoints > 2, "{:?}", journal.stats());
}
