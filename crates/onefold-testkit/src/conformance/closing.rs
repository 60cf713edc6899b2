//! Closing.

use onefold_core::journal::{AppendError, JournalHealth, OpenError};
use tokio::task::JoinSet;

use super::fixture::{Fixture, name};
use super::{How, Subject};
use crate::{append_one, submit_one};

/// \[15] What was accepted before `close` is decided, and told, before it resolves; all that was stored stays.
pub(super) async fn close_decides_what_was_accepted<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    let mut pending = Vec::new();
    for version in 0..100 {
        pending.push(submit_one(fixture.journal(), &session, version, 1).await);
    }
    assert_eq!(fixture.journal().close().await, Ok(()));
    let outcomes = pending.iter_mut().map(|pending| pending.decided().expect("told before close resolves"));
    let stored = outcomes.filter(Result::is_ok).count();
    assert_eq!(stored, 100, "an append accepted by a healthy journal before close is stored");
    let fixture = fixture.reopen(How::CleanClose).await;
    assert_eq!(fixture.events("a").await.len(), 100);
}

/// \[15] After `close`, appends are taken and answered `ShuttingDown`, nothing of them is stored, and nobody can open a
/// stream. (A session that had ended before may also be told that it is superseded.)
pub(super) async fn closed_journal_refuses_appends<S: Subject>(fixture: Fixture<S>) {
    assert_eq!(fixture.journal().health(), JournalHealth::Healthy);
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    assert!(fixture.append(&a, 0, 1).await.is_ok());
    fixture.journal().close().await.expect("a clean close");
    assert_eq!(fixture.journal().health(), JournalHealth::Closed);
    assert_eq!(fixture.append(&a, 1, 1).await, Err(AppendError::ShuttingDown));
    assert_eq!(fixture.append(&b, 0, 0).await, Err(AppendError::ShuttingDown));
    let second = fixture.append(&a, 1, 1).await.expect_err("the journal is closed");
    assert!(matches!(second, AppendError::ShuttingDown | AppendError::Superseded { .. }), "{second}");
    assert!(matches!(fixture.journal().open(&name("a")).await, Err(OpenError::ShuttingDown)));
    let fixture = fixture.reopen(How::CleanClose).await;
    assert_eq!((fixture.numbers("a").await, fixture.head("b").await), (vec![1], 0));
}

/// \[15] Closing again, or at the same time, resolves as well.
pub(super) async fn closing_twice_is_closing_once<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 3).await;
    let (first, second) = tokio::join!(fixture.journal().close(), fixture.journal().close());
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(fixture.journal().close().await, Ok(()));
    let fixture = fixture.reopen(How::CleanClose).await;
    assert_eq!(fixture.numbers("a").await, [1, 2, 3]);
}

/// \[1, 15] Closing while many write: each append is stored or refused, and the reopened journal has exactly the stored.
pub(super) async fn close_in_the_middle_of_appends<S: Subject>(fixture: Fixture<S>) {
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let journal = fixture.journal().clone();
        writers.spawn(async move {
            let stream = format!("s{writer}");
            let session = match journal.open(&name(&stream)).await {
                Ok(opened) => opened.session,
                Err(OpenError::ShuttingDown) => return (stream, 0),
                Err(error) => panic!("a healthy journal answered: {error}"),
            };
            for version in 0.. {
                match append_one(&journal, &session, version, 1).await {
                    Ok(_) => {}
                    Err(AppendError::ShuttingDown) => return (stream, version),
                    Err(error) => panic!("a closing journal answered: {error}"),
                }
            }
            unreachable!("the journal closes")
        });
    }
    fixture.durable_from(50).await;
    assert_eq!(fixture.journal().close().await, Ok(()));
    let stored = writers.join_all().await;
    let fixture = fixture.reopen(How::CleanClose).await;
    let mut total = 0;
    for (stream, version) in stored {
        assert_eq!(fixture.events(&stream).await.len() as u64, version, "{stream}");
        total += version;
    }
    assert_eq!(fixture.feed().await.len() as u64, total);
}
