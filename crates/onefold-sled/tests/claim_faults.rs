//! Claims while the disk fails: nothing is shown that may not be durable, and whatever is found afterwards agrees with the log.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::claims::{agree_with_the_log, change, claims, holder, open, pin, release, submit, take, take_many};
use common::scripted::{Fault, Script, Scripted};
use common::*;
use onefold_core::journal::{AppendError, Journal, JournalHealth};
use onefold_core::{CommitNumber, Holder};
use onefold_sled::Step;

fn held(id: &str, since: u64) -> Option<Holder> {
    Some(Holder { stream: stream(id), since: CommitNumber::new(since), expires_at: None })
}

/// While its group is being synced a claim looks as it did before, to pins, to look-ups and in lists; what is decided behind
/// it takes it into account all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_shows_when_it_is_durable_and_not_before() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let (_journal, dynamic) = open(small(&path).medium(medium.clone()));
    let (a, b) = (dynamic.open(&stream("a")).await.unwrap(), dynamic.open(&stream("b")).await.unwrap());
    let (bob, al) = (pin(&dynamic, "bob").await, pin(&dynamic, "al").await);
    change(&dynamic, &a.session, vec![take(&bob)]).await.unwrap();
    medium.play(Script::HangSync);
    let given_up = submit(&dynamic, &a.session, vec![release(&bob), take(&al)]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let taken = submit(&dynamic, &b.session, vec![take(&bob)]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((bob.holder(), al.holder()), (held("a", 1), None));
    assert_eq!((holder(&dynamic, "bob").await, holder(&dynamic, "al").await), (held("a", 1), None));
    assert_eq!(claims(&dynamic).await.len(), 1);
    medium.play(Script::Work);
    given_up.await.unwrap();
    taken.await.unwrap();
    assert_eq!((bob.holder(), al.holder()), (held("b", 3), held("a", 2)));
    agree_with_the_log(&dynamic).await;
}

/// Nobody knows whether the claim was taken: it is not shown, and after reopening it is held if the commit is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_outcome_is_unknown_is_not_shown() {
    for script in [Script::FailWrite, Script::WriteHalf, Script::FailSync] {
        let (_temporary, path) = dir();
        let medium = Scripted::new();
        let (journal, dynamic) = open(small(&path).medium(medium.clone()));
        let a = dynamic.open(&stream("a")).await.unwrap().session;
        let (bob, al) = (pin(&dynamic, "bob").await, pin(&dynamic, "al").await);
        change(&dynamic, &a, vec![take(&bob)]).await.unwrap();
        medium.play(script);
        let outcome = change(&dynamic, &a, vec![take(&al), release(&bob)]).await;
        assert!(matches!(outcome, Err(AppendError::Unknown { .. })), "{script:?}: {outcome:?}");
        assert_eq!((bob.holder(), al.holder()), (held("a", 1), None), "{script:?}");
        assert_eq!((holder(&dynamic, "bob").await, claims(&dynamic).await.len()), (held("a", 1), 1));
        assert!(journal.close().await.is_err());
        let copy = path.with_file_name("copy");
        copy_dir(&path, &copy);
        let (_journal, dynamic) = open(small(&copy));
        agree_with_the_log(&dynamic).await;
        assert_eq!(claims(&dynamic).await.len(), 1);
    }
}

/// A checkpoint that fails halfway, with some of the claims in sled: they are built again from the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_fails_halfway_loses_no_claim() {
    for fault in [Fault::Fail, Fault::Panic] {
        let (_temporary, path) = dir();
        let medium = Scripted::new();
        let (journal, dynamic) = open(small(&path).medium(medium.clone()).checkpoint_bytes(1 << 30));
        take_many(&dynamic, 0, 900).await;
        let before = claims(&dynamic).await;
        medium.break_step(Some((Step::StoreSync, fault)));
        assert!(journal.close().await.is_err());
        assert!(matches!(journal.health(), JournalHealth::Poisoned { .. }), "{fault:?}");
        drop((journal, dynamic));
        let copy = path.with_file_name("copy");
        copy_dir(&path, &copy);
        let (_journal, dynamic): (_, Arc<dyn Journal>) = open(small(&copy));
        assert_eq!(claims(&dynamic).await, before, "{fault:?}");
        agree_with_the_log(&dynamic).await;
    }
}
