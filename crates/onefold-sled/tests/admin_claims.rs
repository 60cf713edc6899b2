//! Looking after a journal with claims and with commits without events: verify, repair, back up, write from records.

mod common;

use std::path::Path;

use common::claims::{agree_with_the_log, change, claims, holder, name, open, pin, release, take, take_many};
use common::tampering::{Edit, edit, find, kinds, verify, write_if};
use common::*;
use futures_util::StreamExt as _;
use onefold_core::journal::{AppendError, FeedItem, Journal, KeyOutcome, KeyRecord, PinnedClaim, ReadError};
use onefold_core::{Checkpoint, ClaimName, Holder};
use onefold_sled::OpenJournalError;
use onefold_sled::admin::{self, Entry, Inspector, JournalWriter, ProblemKind, RepairOptions};
use onefold_testkit::{part, prepare, read_feed, with_key};

/// A cleanly closed journal with 20 claims: commit `i + 1` takes `n<i>`, commit 21 is one of one event, commit 22 gives `n0` up
/// again, commit 23 only remembers an answer.
async fn filled(path: &Path) -> Vec<(ClaimName, Holder)> {
    let (journal, dynamic) = open(small(path));
    let session = dynamic.open(&stream("holder")).await.unwrap().session;
    let mut pins: Vec<PinnedClaim> = Vec::new();
    for index in 0..20 {
        pins.push(pin(&dynamic, format!("n{index}")).await);
        change(&dynamic, &session, vec![take(&pins[index])]).await.unwrap();
    }
    let events = dynamic.open(&stream("events")).await.unwrap().session;
    onefold_testkit::append_one(&dynamic, &events, 0, 1).await.unwrap();
    change(&dynamic, &session, vec![release(&pins[0])]).await.unwrap();
    let key = KeyRecord::new("req-1", 7, KeyOutcome::Reply, 1, b"the remembered reply").unwrap();
    let (append, pending) = prepare([with_key(part(&session, 0, &[]), &key)], &Default::default());
    onefold_testkit::submit(&dynamic, append).await;
    pending.await.unwrap();
    let held = claims(&dynamic).await;
    assert_eq!(held.len(), 19);
    journal.close().await.unwrap();
    held
}

async fn claims_in(path: &Path) -> Vec<(ClaimName, Holder)> {
    let (journal, dynamic) = open(small(path));
    let held = claims(&dynamic).await;
    journal.close().await.unwrap();
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_journal_with_claims_is_sound() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let report = verify(&path);
    assert!(report.is_sound(), "{:#?}", report.problems.items);
    assert_eq!((report.commit, report.position, report.checked.events), (23, 1, 1));
    assert_eq!((report.checked.claims, report.checked.heads, report.checked.streams), (19, 2, 2));
    // And so it is after a kill, with what changed since the last checkpoint in the redo log alone.
    let (journal, dynamic) = open(small(&path));
    take_many(&dynamic, 0, 100).await;
    drop((journal, dynamic));
    let report = verify(&path);
    assert!(report.is_sound(), "{:#?}", report.problems.items);
    // Some of it in sled already, some not, and much of it changed twice.
    let (journal, dynamic) = open(small(&path).checkpoint_bytes(64 << 10).dirty_heads_max(1024));
    for _ in 0..3 {
        take_many(&dynamic, 0, 1_500).await;
    }
    assert!(journal.stats().checkpoints > 0);
    drop((journal, dynamic));
    let report = verify(&path);
    assert!(report.is_sound(), "{:#?}", report.problems.items);
}

/// Each way in which the claims in sled can be wrong is told by name, by verifying and by whoever asks for that claim; the
/// others are there; and a repair builds them again.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_claims_are_told_and_built_again() {
    type Change = fn(usize, &[u8], &mut Vec<u8>) -> Edit;
    fn seal(key: &[u8], value: &mut [u8]) {
        let end = value.len() - 4;
        let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[..end]);
        value[end..].copy_from_slice(&crc.to_le_bytes());
    }
    let cases: [(ProblemKind, Change); 5] = [
        (ProblemKind::ClaimDamaged, |index, _, value| write_if(index == 4, || value[3] ^= 1)),
        (ProblemKind::ClaimMissing, |index, _, _| if index == 4 { Edit::Remove } else { Edit::Keep }),
        (ProblemKind::ClaimWrong, |index, key, value| {
            write_if(index == 4, || {
                // Another holder.
                let last = value.len() - 5;
                value[last] = b'x';
                seal(key, value);
            })
        }),
        (ProblemKind::ClaimWrong, |index, key, value| {
            write_if(index == 4, || {
                // Held since another commit.
                value[0] += 1;
                seal(key, value);
            })
        }),
        (ProblemKind::ClaimDamaged, |index, _, value| write_if(index == 4, || value.clear())),
    ];
    for (case, (problem, change)) in cases.into_iter().enumerate() {
        let (_temporary, path) = dir();
        let held = filled(&path).await;
        edit(&path, b'C', change);
        let report = verify(&path);
        assert!(kinds(&report).contains(&problem), "{case}: {:#?}", report.problems.items);
        if problem == ProblemKind::ClaimDamaged {
            let (_journal, dynamic) = open(small(&path));
            let (damaged, other) = (held[4].0.clone(), held[5].clone());
            assert!(matches!(dynamic.claim(damaged.clone()).await, Err(ReadError::Damaged { .. })));
            assert!(matches!(dynamic.pin_claims(vec![damaged]).await, Err(ReadError::Damaged { .. })));
            assert_eq!(dynamic.claim(other.0).await, Ok(Some(other.1)));
        }
        let repaired = admin::repair(&path, &RepairOptions::default(), &mut |_| ()).unwrap();
        assert!(repaired.after.is_sound() && repaired.before.losses().next().is_none());
        assert_eq!(claims_in(&path).await, held, "{case}");
    }
}

/// A claim of which sled says that it lies beyond the log's end would belong to a commit that nobody has.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_beyond_the_end_of_the_log_is_damage() {
    let (_temporary, path) = dir();
    let held = filled(&path).await;
    edit(&path, b'C', |index, key, value| {
        write_if(index == 0, || {
            value[1] = 1;
            let end = value.len() - 4;
            let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[..end]);
            value[end..].copy_from_slice(&crc.to_le_bytes());
        })
    });
    let (_journal, dynamic) = open(small(&path));
    let error = dynamic.claim(held[0].0.clone()).await.unwrap_err();
    assert!(error.to_string().contains("beyond the end of the log"), "{error}");
}

/// What a repair had to give up of claims is gone like events: a claim taken in a lost commit is free, one given up in a lost
/// commit is held as before. The claims are those of the log that is left, from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_leaves_the_claims_of_the_commits_that_are_left() {
    for (commit, text, lost, still_held) in [(6, "n5", Some("n5"), None), (22, "n0", None, Some("n0"))] {
        let (_temporary, path) = dir();
        let held = filled(&path).await;
        let mut seen = 0;
        edit(&path, b'L', |_, _, value| {
            let mut from = 0;
            while let Some(at) = find(&value[from..], text) {
                (from, seen) = (from + at + 1, seen + 1);
                // The release is the second mention of n0.
                if (commit == 6 && seen == 1) || (commit == 22 && seen == 2) {
                    value[from] ^= 1;
                    return Edit::Write;
                }
            }
            Edit::Keep
        });
        // The redo log of a small journal still has it: as if it had been used again.
        segments(&path).iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
        let report = verify(&path);
        assert!(kinds(&report).contains(&ProblemKind::PayloadDamaged), "{:#?}", report.problems.items);
        let repaired = admin::repair(&path, &RepairOptions::default(), &mut |_| ()).unwrap();
        let holes: Vec<_> =
            repaired.before.losses().map(|hole| (hole.first_commit.get(), hole.last_commit.get())).collect();
        assert_eq!(holes, [(commit, commit)]);
        assert!(repaired.before.lost.is_empty(), "no event was lost: {:#?}", repaired.before.lost);
        let report = verify(&path);
        assert!(report.is_sound(), "{:#?}", report.problems.items);
        let (journal, dynamic) = open(small(&path));
        let mut expected: Vec<_> = held.into_iter().map(|(name, _)| name.value().to_owned()).collect();
        expected.retain(|value| Some(&**value) != lost);
        expected.extend(still_held.map(str::to_owned));
        expected.sort();
        let left: Vec<_> = claims(&dynamic).await.into_iter().map(|(name, _)| name.value().to_owned()).collect();
        assert_eq!(left, expected);
        // The feed says that something is gone, and that no event is.
        let items: Vec<_> = dynamic.read_all(&Checkpoint::START).map(Result::unwrap).collect().await;
        let removed = items.iter().find_map(|item| match item {
            FeedItem::Removed { from, to } => Some((from.get(), to.get())),
            _ => None,
        });
        let before = if commit == 6 { 0 } else { 1 };
        assert_eq!((items.len(), removed), (23, Some((before + 1, before))));
        let opened = dynamic.open(&stream("holder")).await.unwrap();
        assert_eq!((opened.head.get(), opened.last_commit.get()), (0, 23));
        assert_eq!(note(&journal, "events", &["more"]).await.unwrap().position.get(), 2);
        journal.close().await.unwrap();
        assert!(verify(&path).is_sound());
    }
}

/// Damage to the extras of a commit that opening has to look at fails the opening, as damage to a header does.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_extras_in_the_range_of_opening_fail_it() {
    let (_temporary, path) = dir();
    filled(&path).await;
    edit(&path, b'L', |_, _, value| match find(value, "n7") {
        Some(at) => {
            value[at] ^= 1;
            Edit::Write
        }
        None => Edit::Keep,
    });
    // As if no checkpoint had come since the first commit.
    edit(&path, b'M', |_, key, value| write_if(key == b"Mheads", || value.fill(0)));
    let error = small(&path).open().unwrap_err();
    assert!(matches!(&error, OpenJournalError::Damaged { place, .. } if place.ends_with("commit 8")), "{error}");
}

/// A backup, and a journal written from records, have the claims and the remembered answers of the original.
#[tokio::test(flavor = "multi_thread")]
async fn copies_have_the_same_claims() {
    let (_temporary, path) = dir();
    let held = filled(&path).await;
    let (journal, dynamic) = open(small(&path));
    let target = path.with_file_name("backup");
    let report = journal.backup(&target, &mut |_| ()).unwrap();
    assert_eq!((report.commit.get(), report.position.get()), (23, 1));
    let feed = read_feed(&dynamic, &Checkpoint::START).await.unwrap();
    assert!(feed.last().unwrap().extras[0].1.key.is_some());
    journal.close().await.unwrap();
    drop((journal, dynamic));
    let written = path.with_file_name("written");
    let mut writer = JournalWriter::create(&written).unwrap();
    let inspector = Inspector::open(&path).unwrap();
    for entry in inspector.records(1..=u64::MAX) {
        let entry = entry.unwrap();
        assert!(matches!(entry, Entry::Commit(..)));
        writer.push(entry.record()).unwrap();
    }
    inspector.close().unwrap();
    writer.finish().unwrap();
    for copy in [&target, &written] {
        assert!(verify(copy).is_sound());
        let (copied, dynamic) = open(small(copy));
        assert_eq!(claims(&dynamic).await, held);
        assert_eq!(read_feed(&dynamic, &Checkpoint::START).await.unwrap(), feed);
        agree_with_the_log(&dynamic).await;
        let other = dynamic.open(&stream("other")).await.unwrap().session;
        let refused = change(&dynamic, &other, vec![take(&pin(&dynamic, "n3").await)]).await;
        assert!(matches!(refused, Err(AppendError::ClaimTaken { .. })), "{refused:?}");
        assert_eq!(holder(&dynamic, "n0").await, None);
        copied.close().await.unwrap();
    }
}

/// A feed that ends with commits without events is read on from its last position, also behind damage that was passed on
/// purpose.
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_goes_on_behind_damage_at_commits_without_events() {
    let (_temporary, path) = dir();
    let (journal, dynamic) = open(small(&path));
    note(&journal, "a", &["event 1"]).await.unwrap();
    note(&journal, "a", &["event 2, to be damaged"]).await.unwrap();
    let session = dynamic.open(&stream("holder")).await.unwrap().session;
    for value in ["x", "y"] {
        change(&dynamic, &session, vec![take(&pin(&dynamic, value).await)]).await.unwrap();
    }
    note(&journal, "a", &["event 3"]).await.unwrap();
    change(&dynamic, &session, vec![take(&pin(&dynamic, "z").await)]).await.unwrap();
    journal.close().await.unwrap();
    edit(&path, b'L', |_, _, value| match find(value, "to be damaged") {
        Some(at) => {
            value[at] ^= 1;
            Edit::Write
        }
        None => Edit::Keep,
    });
    let (journal, dynamic) = open(small(&path));
    let numbers = async |after: u64| -> Vec<u64> {
        let checkpoint = Checkpoint::after(onefold_core::GlobalPosition::new(after));
        let items = dynamic.read_all(&checkpoint).map(|item| match item {
            Ok(FeedItem::Commit(commit)) => commit.number.get(),
            Ok(other) => panic!("{other:?}"),
            Err(_) => 0,
        });
        items.collect().await
    };
    assert_eq!(numbers(0).await, [1, 0]);
    assert_eq!(numbers(1).await, [0]);
    assert_eq!(numbers(2).await, [3, 4, 5, 6]);
    assert_eq!(numbers(3).await, [6]);
    assert_eq!(numbers(4).await, [0; 0]);
    assert!(dynamic.claim(name("z")).await.unwrap().is_some());
    journal.close().await.unwrap();
}
