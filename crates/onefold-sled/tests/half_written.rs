//! What a batch of sled's leaves behind that failed halfway, and what a lost commit does.

mod common;

use std::path::{Path, PathBuf};

use common::*;
use onefold_core::journal::Journal;
use onefold_sled::{Durability, OpenJournalError, SledConfig, SledJournal};
use tempfile::TempDir;

/// No checkpoint before the end: all that is in sled is in the redo log, too.
fn config(path: &Path) -> SledConfig {
    SledJournal::builder(path).free_space_reserve_bytes(0)
}

/// A journal left as by a kill, with blocks in sled that sled was never synced beyond.
async fn killed() -> (TempDir, PathBuf) {
    let (temporary, path) = dir();
    let journal = config(&path).open().unwrap();
    fill(&journal, 10, 600, 200).await;
    while journal.stats().store_batches < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(journal.stats().checkpoints, 0);
    drop(journal);
    (temporary, path)
}

fn blocks(db: &sled::Db) -> Vec<(sled::IVec, sled::IVec)> {
    db.scan_prefix(b"L").map(Result::unwrap).collect()
}

async fn check_whole(path: &Path) {
    let journal = config(path).open().unwrap();
    check_filled(&journal, 10, 600).await;
    fill(&journal, 10, 5, 200).await;
    journal.close().await.unwrap();
    drop(journal);
    let journal = config(path).open().unwrap();
    check_filled(&journal, 10, 605).await;
    let commits = feed(&journal, &onefold_core::Checkpoint::START).await;
    assert!(commits.iter().zip(1..).all(|((number, _), expected)| *number == expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_a_mark_lacks_come_from_the_redo_log() {
    let (_temporary, path) = killed().await;
    let db = sled::Config::new().path(&path).open().unwrap();
    let blocks = blocks(&db);
    for (key, _) in [&blocks[blocks.len() - 3], &blocks[blocks.len() - 20]] {
        db.remove(key).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    check_whole(&path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_beyond_an_old_mark_are_applied_again() {
    let (_temporary, path) = killed().await;
    let db = sled::Config::new().path(&path).open().unwrap();
    let blocks = blocks(&db);
    let first = |index: usize| u64::from_be_bytes(blocks[index].0[1..9].try_into().unwrap());
    // The mark of the batch before, and a block of the failed one that did not come back.
    let middle = blocks.len() - 30;
    db.insert(b"Mapplied", &(first(middle) - 1).to_le_bytes()).unwrap();
    db.remove(&blocks[middle + 5].0).unwrap();
    db.flush().unwrap();
    drop(db);
    check_whole(&path).await;
}

/// A place under a number that lies inside a block, once the commits are packed again, would hide that block.
#[tokio::test(flavor = "multi_thread")]
async fn places_without_blocks_are_removed() {
    let (_temporary, path) = killed().await;
    let db = sled::Config::new().path(&path).open().unwrap();
    let last = blocks(&db).iter().rev().find(|(_, value)| !value.is_empty()).unwrap().0.clone();
    let beyond = u64::from_be_bytes(last[1..9].try_into().unwrap()) + 30;
    for commit in [beyond, beyond + 1, beyond + 7, 1_000_000] {
        let key = [&b"L"[..], &commit.to_be_bytes(), &[0, 0]].concat();
        db.insert(key, &[]).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    check_whole(&path).await;
    let db = sled::Config::new().path(&path).open().unwrap();
    assert!(blocks(&db).iter().all(|(_, value)| !value.is_empty()));
}

/// The chunks of a large commit, taken from a journal of their own.
async fn chunks_of_commit_2(text_bytes: usize) -> Vec<(sled::IVec, sled::IVec)> {
    let (_temporary, path) = dir();
    let journal = config(&path).open().unwrap();
    note(&journal, "a", &["one"]).await.unwrap();
    note(&journal, "a", &[&"x".repeat(text_bytes)]).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);
    let db = sled::Config::new().path(&path).open().unwrap();
    blocks(&db).into_iter().skip(1).collect()
}

/// A journal with one commit, left as by a power cut that took a large second one, but for some chunks in sled.
async fn with_leftover_chunks(durability: Durability) -> (TempDir, PathBuf) {
    let chunks = chunks_of_commit_2(60_000).await;
    let (temporary, path) = dir();
    let journal = config(&path).durability(durability).open().unwrap();
    note(&journal, "a", &["one"]).await.unwrap();
    drop(journal);
    let db = sled::Config::new().path(&path).open().unwrap();
    chunks.iter().skip(1).for_each(|(key, value)| drop(db.insert(key, value).unwrap()));
    db.flush().unwrap();
    drop(db);
    (temporary, path)
}

/// The next commit with that number was put together from its own chunks and the leftover ones.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_a_lost_commit_are_removed() {
    let (_temporary, path) = with_leftover_chunks(Durability::ProcessCrash).await;
    let text = "y".repeat(20_000);
    let journal = config(&path).open().unwrap();
    note(&journal, "a", &[&text]).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);
    assert_eq!(texts(&config(&path).open().unwrap(), "a").await, ["one", &text]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_synced_redo_log_does_not_have_is_damage() {
    let (_temporary, path) = with_leftover_chunks(Durability::Fsync).await;
    let error = config(&path).open().unwrap_err();
    assert!(matches!(error, OpenJournalError::Damaged { .. }), "{error}");
}
