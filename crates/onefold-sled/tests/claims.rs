//! Claims in this journal: in memory since the last checkpoint, in sled after it, and never shown before they are durable.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::claims::{agree_with_the_log, change, claims, holder, name, open, pin, release, take, take_many};
use common::*;
use onefold_core::journal::{AppendError, ClaimPage, Journal, ReadError};

/// The bound of what sled does not have yet holds for claims, too: at it a checkpoint comes, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn claims_in_memory_are_bounded() {
    let (_temporary, path) = dir();
    let config = || small(&path).dirty_heads_max(1024).group_commits_max(16);
    let (journal, dynamic) = open(config());
    take_many(&dynamic, 0, 5_000).await;
    let stats = journal.stats();
    assert!(stats.checkpoints > 0 && stats.dirty_claims + stats.dirty_heads <= 1024 + 32, "{stats:?}");
    assert!(stats.resident_claims <= 1024 + 32, "{stats:?}");
    let before = claims(&dynamic).await;
    assert_eq!(before.len(), 3_333);
    agree_with_the_log(&dynamic).await;
    drop((journal, dynamic));
    let (journal, dynamic) = open(config());
    assert_eq!(claims(&dynamic).await, before);
    assert_eq!((holder(&dynamic, "n3000").await, journal.stats().resident_claims), (None, 0));
    assert!(holder(&dynamic, "n4999").await.is_some());
}

/// Some claims are in sled, some only in the log, some changed on both sides of a checkpoint: a kill at any of these moments
/// leaves claims that are those of the log.
#[tokio::test(flavor = "multi_thread")]
async fn claims_are_built_again_from_the_last_checkpoint() {
    let (_temporary, path) = dir();
    for round in 0..6 {
        let (journal, dynamic) = open(small(&path).dirty_heads_max(1024));
        agree_with_the_log(&dynamic).await;
        let session = dynamic.open(&stream("holder")).await.unwrap().session;
        for (claim, _) in claims(&dynamic).await.into_iter().step_by(2) {
            let pin = pin(&dynamic, claim.value()).await;
            change(&dynamic, &session, vec![release(&pin)]).await.unwrap();
        }
        let from = round * 100;
        take_many(&dynamic, from, from + 700 * (1 + round % 2)).await;
        agree_with_the_log(&dynamic).await;
        match round % 3 {
            0 => journal.close().await.unwrap(),
            _ => drop(session),
        }
    }
}

/// A pin keeps a claim in memory, and nothing else does once sled has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_leaves_memory_with_its_last_pin() {
    let (_temporary, path) = dir();
    let (journal, dynamic) = open(small(&path));
    let pins = [pin(&dynamic, "bob").await, pin(&dynamic, "bob").await];
    assert_eq!(journal.stats().resident_claims, 1);
    drop(pins);
    assert_eq!(journal.stats().resident_claims, 0);
    take_many(&dynamic, 0, 1).await;
    assert!(journal.stats().dirty_claims == 1 && journal.stats().resident_claims == 1);
}

/// Looking up, pinning and listing go on beside checkpoints; none of them ever shows a claim as it was before.
#[tokio::test(flavor = "multi_thread")]
async fn reads_beside_checkpoints_miss_nothing() {
    let (_temporary, path) = dir();
    let (_journal, dynamic) = open(small(&path).dirty_heads_max(1024));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = {
        let (journal, done) = (Arc::clone(&dynamic), Arc::clone(&done));
        tokio::spawn(async move {
            let mut held = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // In steps of three one is given up again.
                let listed = claims(&journal).await.len();
                assert!(listed >= held / 3 * 2, "{listed} after {held}");
                held = held.max(listed);
                // The first one may be n0, before it is given up again: with the second, n1 is there, and stays.
                if held > 1 {
                    assert!(holder(&journal, "n1").await.is_some());
                }
            }
        })
    };
    take_many(&dynamic, 0, 6_000).await;
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    reader.await.unwrap();
    assert_eq!(claims(&dynamic).await.len(), 4_000);
}

/// However small the pages, and wherever the claims are: in sled, in memory, or given up in memory and not yet in sled.
#[tokio::test(flavor = "multi_thread")]
async fn small_pages_list_what_one_page_lists() {
    let (_temporary, path) = dir();
    let (journal, dynamic) = open(small(&path));
    take_many(&dynamic, 0, 60).await;
    journal.close().await.unwrap();
    drop((journal, dynamic));
    let (_journal, dynamic) = open(small(&path));
    let session = dynamic.open(&stream("holder")).await.unwrap().session;
    for value in ["n1", "n10", "n11", "n13", "n14", "n16", "n59"] {
        let pin = pin(&dynamic, value).await;
        change(&dynamic, &session, vec![release(&pin)]).await.unwrap();
    }
    drop(session);
    take_many(&dynamic, 60, 100).await;
    let whole = claims(&dynamic).await;
    assert_eq!(whole.len(), 66 - 7);
    for limit in 1..=12 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = ClaimPage { namespace: "name".to_owned(), after, limit };
            let found = dynamic.claims(page).await.unwrap();
            let is_last = found.len() < limit;
            after = found.last().map(|(name, _)| name.value().to_owned());
            listed.extend(found);
            if is_last {
                break;
            }
        }
        assert_eq!(listed, whole, "pages of {limit}");
    }
}

/// A journal that is closed answers nothing about claims, and takes none.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_journal_has_no_claims_to_show() {
    let (_temporary, path) = dir();
    let (journal, dynamic) = open(small(&path));
    let session = dynamic.open(&stream("a")).await.unwrap().session;
    let bob = pin(&dynamic, "bob").await;
    change(&dynamic, &session, vec![take(&bob)]).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(dynamic.claim(name("bob")).await, Err(ReadError::Closed));
    assert!(matches!(dynamic.pin_claims(vec![name("bob"), name("al")]).await, Err(ReadError::Closed)));
    let page = ClaimPage { namespace: "name".to_owned(), after: None, limit: 1 };
    assert_eq!(dynamic.claims(page).await, Err(ReadError::Closed));
    let refused = tokio::time::timeout(Duration::from_secs(20), change(&dynamic, &session, vec![release(&bob)])).await;
    assert_eq!(refused.unwrap(), Err(AppendError::ShuttingDown));
}
