//! Every way in which the disk can fail, scripted, and what callers are told.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::scripted::{Fault, Script, Scripted};
use common::*;
use onefold_core::ExpectedVersion;
use onefold_core::journal::{AppendError, Journal, JournalHealth, OpenError};
use onefold_sled::{Durability, Medium, OpenJournalError, SledJournal, Step};

/// An event of the failing group: large enough for more than one block.
fn perhaps() -> String {
    "perhaps ".repeat(1000)
}

/// One append before the failure, two in the failing group, and what is told then and afterwards.
async fn check_poisoned_by(script: Script) -> Vec<String> {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let journal = small(&path).medium(medium.clone()).open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    append(&journal, &opened.session, ExpectedVersion::NoStream, &["kept"]).await.unwrap();
    medium.play(script);
    let outcome = append(&journal, &opened.session, 1.into(), &[&perhaps()]).await;
    assert!(matches!(outcome, Err(AppendError::Unknown { .. })), "{script:?}: {outcome:?}");
    assert!(!opened.session.is_live());
    // It sticks, though the disk works again.
    medium.play(Script::Work);
    let outcome = append(&journal, &opened.session, 1.into(), &["never"]).await;
    assert!(matches!(outcome, Err(AppendError::Poisoned { .. })), "{script:?}: {outcome:?}");
    assert!(matches!(journal.open(&stream("b")).await, Err(OpenError::Poisoned { .. })));
    assert!(matches!(journal.health(), JournalHealth::Poisoned { .. }));
    // Reads go on, and show nothing that may not be durable.
    assert_eq!(texts(&journal, "a").await, ["kept"]);
    assert!(journal.close().await.is_err());
    drop(journal);
    // Only a new process may open it; a copy stands in for that.
    assert!(matches!(small(&path).open(), Err(OpenJournalError::Locked { .. })));
    let copy = path.with_file_name("copy");
    copy_dir(&path, &copy);
    let journal = small(&copy).open().unwrap();
    let texts = texts(&journal, "a").await;
    let outcome = note(&journal, "a", &["after"]).await.unwrap();
    assert_eq!(outcome.position.get(), texts.len() as u64 + 1);
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_poisons_for_ever() {
    assert_eq!(check_poisoned_by(Script::FailWrite).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_poisons_for_ever() {
    // Written, so perhaps stored: here it is.
    assert_eq!(check_poisoned_by(Script::FailSync).await, ["kept", &perhaps()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_group_is_dropped_whole() {
    assert_eq!(check_poisoned_by(Script::WriteHalf).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_sync_is_answered_by_the_watchdog() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let config = small(&path).medium(medium.clone()).watchdog_timeout(Duration::from_millis(100));
    let journal = config.open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    append(&journal, &opened.session, ExpectedVersion::NoStream, &["kept"]).await.unwrap();
    medium.play(Script::HangSync);
    let in_flight = submit(&journal, &opened.session, 1.into(), &["perhaps"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let queued = submit(&journal, &opened.session, 2.into(), &["never"]).await;
    assert!(matches!(answer(in_flight).await, Err(AppendError::Unknown { .. })));
    let queued = answer(queued).await;
    assert!(matches!(queued, Err(AppendError::Poisoned { .. })), "{queued:?}");
    // When the disk answers after all, nobody is told twice and nothing is published.
    medium.play(Script::Work);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(texts(&journal, "a").await, ["kept"]);
    let late = append(&journal, &opened.session, 1.into(), &["never"]).await;
    assert!(matches!(late, Err(AppendError::Poisoned { .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_before_it_is_durable() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let journal = small(&path).medium(medium.clone()).open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    append(&journal, &opened.session, ExpectedVersion::NoStream, &["one"]).await.unwrap();
    medium.play(Script::HangSync);
    let in_flight = submit(&journal, &opened.session, 1.into(), &["two"]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(texts(&journal, "a").await, ["one"]);
    assert_eq!(journal.durable().borrow().commit.get(), 1);
    medium.play(Script::Work);
    answer(in_flight).await.unwrap();
    assert_eq!(texts(&journal, "a").await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_larger_groups() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let journal = small(&path).medium(medium.clone()).open().unwrap();
    medium.play(Script::Delay(Duration::from_millis(20)));
    fill(&journal, 100, 10, 20).await;
    let stats = journal.stats();
    assert_eq!(stats.commits, 1000);
    assert!(stats.groups <= 20, "{stats:?}");
    check_filled(&journal, 100, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_journal_answers_everybody() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let journal = small(&path).medium(medium.clone()).open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    medium.play(Script::Delay(Duration::from_millis(50)));
    let mut answers = Vec::new();
    for version in 0..20u64 {
        answers.push(submit(&journal, &opened.session, version.into(), &["text"]).await);
    }
    drop(journal);
    let mut stored = 0;
    for receiver in answers {
        match answer(receiver).await {
            Ok(_) => stored += 1,
            Err(error) => assert!(error.surely_not_stored(), "{error}"),
        }
    }
    let journal = small(&path).open().unwrap();
    assert_eq!(texts(&journal, "a").await.len(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_are_refused_while_the_disk_is_low() {
    let (_temporary, path) = dir();
    let journal = small(&path).free_space_reserve_bytes(u64::MAX).open().unwrap();
    assert!(matches!(journal.health(), JournalHealth::DiskLow { .. }));
    let opened = journal.open(&stream("a")).await.unwrap();
    // A barrier writes nothing.
    append(&journal, &opened.session, ExpectedVersion::NoStream, &[]).await.unwrap();
    let outcome = append(&journal, &opened.session, ExpectedVersion::NoStream, &["text"]).await;
    assert!(matches!(outcome, Err(AppendError::DiskLow { .. })), "{outcome:?}");
    assert!(!opened.session.is_live());
    assert_eq!(texts(&journal, "a").await, [""; 0]);
    journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_hands_back_and_nothing_is_lost() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let journal = small(&path).medium(medium.clone()).queue_appends_max(4).open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    medium.play(Script::HangSync);
    let mut answers = Vec::new();
    for version in 0..4u64 {
        answers.push(submit(&journal, &opened.session, version.into(), &["text"]).await);
    }
    let (fifth, receiver) = append_of(&opened.session, 4.into(), &["text"]);
    let Err(fifth) = journal.append(fifth) else { panic!("the queue is full") };
    let capacity = journal.capacity();
    tokio::pin!(capacity);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut capacity).await.is_err());
    medium.play(Script::Work);
    capacity.await;
    assert!(journal.append(fifth).is_ok());
    answers.push(receiver);
    for receiver in answers {
        answer(receiver).await.unwrap();
    }
    assert_eq!(texts(&journal, "a").await.len(), 5);
}

/// The beacon promised what was published, and in this mode that is before the redo log has it: a kill in between left a
/// journal that refused to open, for a tail that nobody was promised.
#[tokio::test(flavor = "multi_thread")]
async fn the_beacon_never_promises_what_the_redo_log_does_not_have() {
    let (_temporary, path) = dir();
    let medium = Scripted::new();
    let journal = small(&path).durability(Durability::Buffered).medium(medium.clone()).open().unwrap();
    note(&journal, "a", &["kept"]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    medium.play(Script::HangWrite);
    note(&journal, "a", &["acknowledged, but only in memory"]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let copy = path.with_file_name("copy");
    copy_dir(&path, &copy);
    medium.play(Script::Work);
    assert_eq!(texts(&small(&copy).open().unwrap(), "a").await, ["kept"]);
}

/// A journal with some commits that are not in sled yet, in a directory of its own.
async fn filled(medium: &Arc<Scripted>) -> (tempfile::TempDir, std::path::PathBuf, SledJournal) {
    let (temporary, path) = dir();
    let config = small(&path).medium(Arc::clone(medium) as Arc<dyn Medium>);
    let journal = config.watchdog_timeout(Duration::from_millis(100)).open().unwrap();
    fill(&journal, 5, 20, 20).await;
    (temporary, path, journal)
}

/// Closing fails in time, and the journal is poisoned; what was acknowledged is there all the same.
async fn check_close_fails(medium: &Scripted, path: &std::path::Path, journal: SledJournal) {
    let closed = tokio::time::timeout(Duration::from_secs(10), journal.close()).await;
    assert!(closed.expect("an end in time").is_err());
    assert!(matches!(journal.health(), JournalHealth::Poisoned { .. }));
    assert!(matches!(small(path).open(), Err(OpenJournalError::Locked { .. })));
    let copy = path.with_file_name("copy");
    copy_dir(path, &copy);
    medium.break_step(None);
    check_filled(&small(&copy).open().unwrap(), 5, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_closing_checkpoint_poisons() {
    for step in [Step::Batch, Step::StoreSync, Step::Beacon] {
        for fault in [Fault::Fail, Fault::Panic] {
            if (step, fault) == (Step::Beacon, Fault::Panic) {
                continue;
            }
            let medium = Scripted::new();
            let (_temporary, path, journal) = filled(&medium).await;
            medium.break_step(Some((step, fault)));
            check_close_fails(&medium, &path, journal).await;
        }
    }
}

/// The thread that hangs is the one that brings the journal to its end.
#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_though_sled_or_the_beacon_hangs() {
    for step in [Step::Batch, Step::StoreSync, Step::Beacon] {
        let medium = Scripted::new();
        let (_temporary, path, journal) = filled(&medium).await;
        medium.break_step(Some((step, Fault::Hang)));
        check_close_fails(&medium, &path, journal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_that_hangs_or_fails_poisons() {
    for fault in [Fault::Fail, Fault::Hang] {
        let medium = Scripted::new();
        let (_temporary, _path, journal) = filled(&medium).await;
        medium.break_step(Some((Step::Beacon, fault)));
        // It may be refused: the beacon is due by itself, too.
        let _ = note(&journal, "a", &["text"]).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(matches!(journal.health(), JournalHealth::Poisoned { .. }), "{fault:?}");
        medium.break_step(None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_a_new_segment_poisons() {
    let medium = Scripted::new();
    let (_temporary, path, journal) = filled(&medium).await;
    medium.break_step(Some((Step::Segment, Fault::Fail)));
    let opened = journal.open(&stream("a")).await.unwrap();
    let mut stored = 0u64;
    // The first segment was asked for before; the next one fails.
    let error = loop {
        match append(&journal, &opened.session, stored.into(), &[&"x".repeat(10_000)]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Unknown { .. }), "{error}");
    assert!(matches!(journal.health(), JournalHealth::Poisoned { .. }));
    assert_eq!(texts(&journal, "a").await.len() as u64, stored);
    assert!(journal.close().await.is_err());
    let copy = path.with_file_name("copy");
    copy_dir(&path, &copy);
    let journal = small(&copy).open().unwrap();
    check_filled(&journal, 5, 20).await;
    assert_eq!(texts(&journal, "a").await.len() as u64, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_or_is_not_written_poisons_and_reads_go_on() {
    let faults = [Fault::Fail, Fault::Panic, Fault::Hang];
    for (step, fault) in [Step::Batch, Step::StoreWrite].into_iter().flat_map(|step| faults.map(|fault| (step, fault)))
    {
        let medium = Scripted::new();
        let (_temporary, _path, journal) = filled(&medium).await;
        medium.break_step(Some((step, fault)));
        let opened = journal.open(&stream("a")).await.unwrap();
        let mut stored = 0u64;
        while append(&journal, &opened.session, stored.into(), &[&"x".repeat(10_000)]).await.is_ok() {
            stored += 1;
            assert!(stored < 10_000, "{step:?} {fault:?} is not noticed");
        }
        assert!(matches!(journal.health(), JournalHealth::Poisoned { .. }), "{step:?} {fault:?}");
        assert_eq!(texts(&journal, "a").await.len() as u64, stored);
        check_filled(&journal, 5, 20).await;
        assert!(journal.close().await.is_err());
        medium.break_step(None);
    }
}

/// Found by `cargo crash io`: a write of sled's failed while a new directory was opened, on a disk that had become full, and
/// opening never came back: sled does not always wake who waits for a write that fails.
#[tokio::test(flavor = "multi_thread")]
async fn opening_ends_though_sled_hangs() {
    for step in [Step::Batch, Step::StoreSync] {
        let (_temporary, path) = dir();
        let medium = Scripted::new();
        medium.break_step(Some((step, Fault::Hang)));
        let config = small(&path).medium(medium.clone()).watchdog_timeout(Duration::from_millis(100));
        let opening = tokio::task::spawn_blocking(move || config.open().map(drop));
        let opened = tokio::time::timeout(Duration::from_secs(20), opening).await.expect("an answer in time").unwrap();
        match opened {
            Err(OpenJournalError::Storage { reason }) => assert!(reason.contains("has not answered"), "{reason}"),
            other => panic!("{step:?}: {other:?}"),
        }
        // As long as somebody may still write there, nobody else may.
        assert!(matches!(small(&path).open().map(drop), Err(OpenJournalError::Locked { .. })));
        medium.break_step(None);
    }
}
