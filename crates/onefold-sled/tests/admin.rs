//! Looking after a journal: damage of each sort is told by name, a repair says exactly what is lost and keeps the rest, a
//! backup of a journal in use is a whole prefix of it.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use common::tampering::{Edit, edit, find, kinds, open_store, replace_store, verify, write_if};
use common::*;
use futures_util::StreamExt as _;
use onefold_core::Checkpoint;
use onefold_core::journal::{FeedItem, Journal, ReadError};
use onefold_sled::SledJournal;
use onefold_sled::admin::{
    self, AdminError, Entry, Inspector, JournalWriter, ProblemKind, RepairOptions, VerifyOptions, VerifyReport,
};

/// Every commit's record, by its number; those of gaps apart.
fn records(path: &Path) -> (BTreeMap<u64, Bytes>, Vec<u64>) {
    let inspector = Inspector::open(path).unwrap();
    let (mut commits, mut removed) = (BTreeMap::new(), Vec::new());
    for (entry, number) in inspector.records(1..=u64::MAX).zip(1..) {
        match entry.unwrap() {
            Entry::Commit(commit, record) => {
                assert_eq!(commit.number.get(), number);
                commits.insert(number, record);
            }
            Entry::Removed(..) => removed.push(number),
        }
    }
    inspector.close().unwrap();
    (commits, removed)
}

/// A cleanly closed journal: short streams, one long enough for an index, one with an event of many chunks.
async fn filled(path: &Path) {
    let journal = small(path).open().unwrap();
    fill(&journal, 10, 40, 100).await;
    fill_one(&journal, "long", 600).await;
    note(&journal, "large", &["small", &"x".repeat(1 << 20), "small"]).await.unwrap();
    note(&journal, "large", &["after"]).await.unwrap();
    journal.close().await.unwrap();
}

async fn fill_one(journal: &SledJournal, id: &str, commits: u64) {
    let opened = journal.open(&stream(id)).await.unwrap();
    let mut answers = Vec::new();
    for version in 0..commits {
        answers.push(submit(journal, &opened.session, version.into(), &[&version.to_string()]).await);
    }
    for receiver in answers {
        answer(receiver).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_journal_is_sound_and_stays_as_it_was() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let untouched = bytes_in(&path);
    let report = verify(&path);
    assert!(report.is_sound(), "{:#?}", report.problems.items);
    assert_eq!(bytes_in(&path), untouched, "not a byte has changed");
    assert!(report.closed_cleanly && report.used_copy && report.holes.is_empty());
    assert_eq!((report.commit, report.position), (1002, 1004));
    assert_eq!((report.checked.commits, report.checked.events, report.checked.streams), (1002, 1004, 12));
    assert_eq!((report.checked.heads, report.checked.index_entries), (12, 2));
    // Looked at once more, after an opening that was not closed, and one that was killed with work to do.
    drop(small(&path).open().unwrap());
    assert!(verify(&path).is_sound());
    let journal = small(&path).open().unwrap();
    fill_one(&journal, "more", 50).await;
    drop(journal);
    let report = verify(&path);
    assert!(report.is_sound() && !report.closed_cleanly, "{:#?}", report.problems.items);
    assert_eq!(report.commit, 1052);
    let in_place = VerifyOptions { in_place: true, ..VerifyOptions::default() };
    let report = admin::verify(&path, &in_place, &mut |_| ()).unwrap();
    assert!(report.is_sound() && !report.used_copy);
    assert_eq!(texts(&small(&path).open().unwrap(), "more").await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_in_use_or_none_is_told_by_name() {
    let (temporary, path) = dir();
    let none = admin::verify(&path, &VerifyOptions::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(none, AdminError::NoJournal { .. }), "{none}");
    assert!(matches!(Inspector::open(temporary.path()).unwrap_err(), AdminError::NoJournal { .. }));
    assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_none(), "nothing was made");
    // Killed in the middle of its creation: there is nothing that could be wrong.
    std::fs::create_dir_all(path.join("redo")).unwrap();
    assert!(verify(&path).is_sound());
    let journal = small(&path).open().unwrap();
    let locked = admin::verify(&path, &VerifyOptions::default(), &mut |_| ()).unwrap_err();
    assert!(locked.to_string().contains(&format!("pid {}", std::process::id())), "{locked}");
    drop(journal);
}

/// Repairs, and checks that exactly these commits are gone and everything else is as it was.
async fn repair(path: &Path, before: &BTreeMap<u64, Bytes>, lost: &[u64]) -> admin::RepairReport {
    let copy = bytes_in(path);
    let plan = admin::plan_repair(path, &RepairOptions::default(), &mut |_| ()).unwrap();
    let told = |report: &VerifyReport| -> Vec<u64> {
        report.losses().flat_map(|hole| hole.first_commit.get()..=hole.last_commit.get()).collect()
    };
    assert_eq!(told(&plan), lost);
    assert_eq!(bytes_in(path), copy, "a plan changes nothing");
    let report = admin::repair(path, &RepairOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(told(&report.before), lost);
    assert_eq!(bytes_in(&report.evidence), copy, "the evidence is as it was");
    assert!(report.after.is_sound());
    let report_again = verify(path);
    assert!(report_again.is_sound(), "{:#?}", report_again.problems.items);
    let (after, removed) = records(path);
    assert_eq!(removed, lost);
    let mut expected = before.clone();
    lost.iter().for_each(|commit| drop(expected.remove(commit)));
    assert!(after == expected, "everything else is as it was");
    let mut leftovers = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let known = [path.to_owned(), report.evidence.clone()];
    assert!(leftovers.all(|left| known.contains(&left)), "nothing is left over");
    report
}

/// The bytes of every file but the lock, which has the process id of whoever looked last.
fn bytes_in(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for dir in [path.to_owned(), path.join("redo")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() && !file.ends_with("lock") {
                files.insert(file.strip_prefix(path).unwrap().to_owned(), std::fs::read(&file).unwrap());
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_payload_costs_its_commit_and_nothing_else() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let (before, _) = records(&path);
    // Stream s3's text 7 is in commit 7 * 10 + 4.
    let text = format!("{:0>100}", 7);
    let mut seen = 0;
    edit(&path, b'L', |_, _, value| {
        let mut from = 0;
        while let Some(at) = find(&value[from..], &text) {
            seen += 1;
            from += at + 1;
            if seen == 4 {
                value[from + 10] ^= 1;
                return Edit::Write;
            }
        }
        Edit::Keep
    });
    let report = verify(&path);
    assert_eq!(kinds(&report), [ProblemKind::PayloadDamaged], "{:#?}", report.problems.items);
    assert_eq!(report.problems.items[0].place, "commit 74");
    assert_eq!(report.problems.items[0].stream, Some(stream("s3")));
    let repaired = repair(&path, &before, &[74]).await;
    let lost = &repaired.before.lost.items;
    assert_eq!(lost.iter().map(ToString::to_string).collect::<Vec<_>>(), ["note/s3: version 8"]);
    // The feed passes the gap by name, the stream says what happened, the others go on; numbers go on, too.
    let journal = small(&path).open().unwrap();
    let items: Vec<_> = journal.read_all(&Checkpoint::START).map(Result::unwrap).collect().await;
    assert_eq!(items.len(), 1002);
    let removed = items.iter().filter_map(|item| match item {
        FeedItem::Removed { from, to } => Some((from.get(), to.get())),
        _ => None,
    });
    assert_eq!(removed.collect::<Vec<_>>(), [(74, 74)]);
    for after in [72, 73, 74, 75] {
        let checkpoint = Checkpoint::after(onefold_core::GlobalPosition::new(after));
        let items: Vec<_> = journal.read_all(&checkpoint).map(Result::unwrap).collect().await;
        assert_eq!(items.len() as u64, 1002 - after, "after {after}");
    }
    let error = read(&journal, "s3", 0).await.unwrap_err();
    assert!(matches!(error, ReadError::Damaged { .. }) && error.to_string().contains("repair"), "{error}");
    assert_eq!(texts(&journal, "s4").await.len(), 40);
    assert_eq!(note(&journal, "new", &["text"]).await.unwrap().commit.get(), 1003);
    journal.close().await.unwrap();
    assert!(verify(&path).is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_block_header_costs_nothing() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let (before, _) = records(&path);
    edit(&path, b'L', |index, _, value| write_if(index == 3, || value[1] ^= 4));
    let report = verify(&path);
    assert_eq!(kinds(&report), [ProblemKind::BlockDamaged], "{:#?}", report.problems.items);
    repair(&path, &before, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_block_costs_its_commits() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let (before, _) = records(&path);
    let mut firsts = Vec::new();
    edit(&path, b'L', |index, key, _| {
        firsts.push(u64::from_be_bytes(key[1..9].try_into().unwrap()));
        if index == 2 { Edit::Remove } else { Edit::Keep }
    });
    // The redo log of a small journal still has it: as if it had been used again.
    segments(&path).iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
    let report = verify(&path);
    assert_eq!(kinds(&report), [ProblemKind::CommitsMissing], "{:#?}", report.problems.items);
    let lost: Vec<u64> = (firsts[2]..firsts[3]).collect();
    let repaired = repair(&path, &before, &lost).await;
    let versions = repaired.before.lost.items.iter().map(|loss| loss.last_version - loss.first_version + 1);
    assert_eq!(versions.sum::<u64>(), lost.len() as u64, "every version that is gone is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_damaged_chunk_costs_its_commit() {
    for (chunk, damage) in [(5, None), (0, None), (7, Some(100))] {
        let (_temporary, path) = dir();
        filled(&path).await;
        let (before, _) = records(&path);
        segments(&path).iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
        edit(&path, b'L', |_, key, value| {
            let is_it = key[1..9] == 1001u64.to_be_bytes() && key[9..] == u16::to_be_bytes(chunk);
            match damage {
                Some(at) => write_if(is_it, || value[at] ^= 1),
                None if is_it => Edit::Remove,
                None => Edit::Keep,
            }
        });
        let report = verify(&path);
        let expected = if damage.is_some() { ProblemKind::PayloadDamaged } else { ProblemKind::ChunkDamaged };
        assert_eq!(report.problems.items[0].kind, expected, "{chunk}: {:#?}", report.problems.items);
        let repaired = repair(&path, &before, &[1001]).await;
        let lost = repaired.before.lost.items.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(lost, ["note/large: versions 1 to 3"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_heads_and_index_entries_are_told_and_built_again() {
    type Change = fn(usize, &[u8], &mut Vec<u8>) -> Edit;
    let cases: [(u8, ProblemKind, Change); 6] = [
        (b'H', ProblemKind::HeadDamaged, |index, _, value| write_if(index == 4, || value[3] ^= 1)),
        (b'H', ProblemKind::HeadMissing, |index, _, _| if index == 4 { Edit::Remove } else { Edit::Keep }),
        (b'H', ProblemKind::HeadWrong, |index, key, value| {
            write_if(index == 4, || {
                value[0] -= 1;
                let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[..16]);
                value[16..].copy_from_slice(&crc.to_le_bytes());
            })
        }),
        (b'X', ProblemKind::IndexDamaged, |index, _, value| write_if(index == 0, || value[0] ^= 1)),
        (b'X', ProblemKind::IndexMissing, |index, _, _| if index == 0 { Edit::Remove } else { Edit::Keep }),
        (b'X', ProblemKind::IndexWrong, |index, key, value| {
            write_if(index == 0, || {
                value[0] += 1;
                let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[..8]);
                value[8..].copy_from_slice(&crc.to_le_bytes());
            })
        }),
    ];
    for (kind, problem, change) in cases {
        let (_temporary, path) = dir();
        filled(&path).await;
        let (before, _) = records(&path);
        edit(&path, kind, change);
        let report = verify(&path);
        assert!(kinds(&report).contains(&problem), "{problem:?}: {:#?}", report.problems.items);
        repair(&path, &before, &[]).await;
    }
}

/// A journal as a kill leaves it, with groups of one commit in the redo log.
async fn killed(path: &Path) -> BTreeMap<u64, Bytes> {
    let journal = SledJournal::builder(path).free_space_reserve_bytes(0).open().unwrap();
    for index in 0..20 {
        note(&journal, &format!("s{}", index % 5), &[&format!("text {index}")]).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    drop(journal);
    let copy = path.with_file_name("copy");
    copy_dir(path, &copy);
    let (before, _) = records(&copy);
    std::fs::remove_dir_all(copy).unwrap();
    before
}

fn groups(segment: &Path) -> Vec<u64> {
    let bytes = std::fs::read(segment).unwrap();
    let offsets = (4096..bytes.len()).step_by(64).filter(|offset| bytes[*offset..].starts_with(b"1fGr"));
    offsets.map(|offset| offset as u64).collect()
}

fn flip(path: &Path, offset: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_redo_log_costs_what_is_damaged() {
    // What to do to the segment with its groups, which commits are lost, and how it is called.
    type Damage = fn(&Path, &[u64]);
    let cases: [(Damage, &[u64], ProblemKind); 7] = [
        // The group's header: the records behind it are whole.
        (|segment, groups| flip(segment, groups[9] + 4), &[], ProblemKind::RedoDamaged),
        (|segment, groups| flip(segment, groups[9] + 64 + 90), &[10], ProblemKind::RedoDamaged),
        (|segment, groups| flip(segment, groups[19] + 64 + 90), &[20], ProblemKind::RedoDamaged),
        // The segment's header.
        (|segment, _| flip(segment, 10), &[], ProblemKind::RedoDamaged),
        (|segment, groups| zero(segment, groups[4], groups[7]), &[5, 6, 7], ProblemKind::TailTruncated),
        (|segment, groups| zero(segment, groups[17], 1 << 20), &[18, 19, 20], ProblemKind::TailTruncated),
        (
            |segment, _| std::fs::remove_file(segment).unwrap(),
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
            ProblemKind::TailTruncated,
        ),
    ];
    for (index, (damage, lost, kind)) in cases.into_iter().enumerate() {
        let (_temporary, path) = dir();
        let before = killed(&path).await;
        let segment = segments(&path).remove(0);
        damage(&segment, &groups(&segment));
        let untouched = bytes_in(&path);
        let report = verify(&path);
        assert!(report.used_copy && kinds(&report).contains(&kind), "{index}: {:#?}", report.problems.items);
        assert_eq!(bytes_in(&path), untouched, "{index}: evidence is not touched");
        repair(&path, &before, lost).await;
        let journal = small(&path).open().unwrap();
        let appended = note(&journal, "new", &["text"]).await.unwrap();
        assert_eq!((appended.commit.get(), appended.position.get()), (21, 21), "{index}: no number comes twice");
    }
}

fn zero(path: &Path, from: u64, to: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![0; usize::try_from(to - from).unwrap()], from).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_beacon_everything_that_is_there_counts() {
    for is_killed in [true, false] {
        for damaged in [true, false] {
            let (_temporary, path) = dir();
            let before = match is_killed {
                true => killed(&path).await,
                false => {
                    filled(&path).await;
                    records(&path).0
                }
            };
            match damaged {
                true => std::fs::write(path.join("beacon"), vec![7; 8192]).unwrap(),
                false => std::fs::remove_file(path.join("beacon")).unwrap(),
            }
            let report = verify(&path);
            let kind = if damaged { ProblemKind::BeaconDamaged } else { ProblemKind::BeaconMissing };
            assert_eq!(kinds(&report), [kind], "{:#?}", report.problems.items);
            repair(&path, &before, &[]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_its_end_gets_it_from_the_redo_log_or_records_the_gap() {
    let (_temporary, path) = dir();
    let journal = SledJournal::builder(&path).free_space_reserve_bytes(0).open().unwrap();
    note(&journal, "early", &["text"]).await.unwrap();
    journal.close().await.unwrap();
    let copy = path.with_file_name("copy");
    copy_dir(&path, &copy);
    let journal = SledJournal::builder(&path).free_space_reserve_bytes(0).open().unwrap();
    fill(&journal, 10, 10, 100).await;
    journal.close().await.unwrap();
    let (before, _) = records(&path);
    replace_store(&copy, &path);
    std::fs::remove_dir_all(&copy).unwrap();
    let report = verify(&path);
    assert_eq!(kinds(&report)[0], ProblemKind::TailTruncated, "{:#?}", report.problems.items);
    let lost: Vec<u64> = (2..=101).collect();
    repair(&path, &before, &lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_things_are_told() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let db = open_store(&path);
    for key in [&b"A"[..], b"I", b"LL", b"Ma", b"N", b"Z"] {
        db.insert(key, b"foreign").unwrap();
    }
    db.flush().unwrap();
    drop(db);
    let report = verify(&path);
    assert_eq!(kinds(&report), [ProblemKind::Foreign; 5], "marks may be added: {:#?}", report.problems.items);
    std::fs::write(path.join("blobs/1"), "x").unwrap();
    assert_eq!(verify(&path).problems.count, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_cannot_be_repaired() {
    let (_temporary, path) = dir();
    filled(&path).await;
    std::fs::remove_file(path.join("db")).unwrap();
    let report = verify(&path);
    assert_eq!(kinds(&report)[0], ProblemKind::StoreUnreadable);
    assert!(!path.join("db").exists(), "looking makes nothing");
    let error = admin::repair(&path, &RepairOptions::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, AdminError::NotRepairable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_refuses_what_does_not_come_next_and_leaves_nothing() {
    let (temporary, path) = dir();
    filled(&path).await;
    let (before, _) = records(&path);
    let target = temporary.path().join("target");
    let mut writer = JournalWriter::create(&target).unwrap();
    writer.push(&before[&1]).unwrap();
    let damaged: Bytes = {
        let mut bytes = before[&2].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes.into()
    };
    let longer: Bytes = [&before[&2][..], b"x"].concat().into();
    for record in [&before[&1], &before[&3], &damaged, &longer, &Bytes::new()] {
        let error = writer.push(record).unwrap_err();
        assert!(matches!(error, AdminError::Record { commit: 2, .. }), "{error}");
    }
    assert!(target.exists());
    drop(writer);
    assert!(!target.exists(), "an unfinished journal is removed");
    let error = JournalWriter::create(&path).unwrap_err();
    assert!(matches!(error, AdminError::NotEmpty { .. }), "{error}");
}

/// Appends go on while the copy is made. It is a prefix, and holds everything that was acknowledged before.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_a_prefix_with_everything_acknowledged() {
    let (temporary, path) = dir();
    let journal = std::sync::Arc::new(small(&path).open().unwrap());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writing = tokio::spawn({
        let (journal, stop) = (journal.clone(), stop.clone());
        async move {
            let opened = journal.open(&stream("busy")).await.unwrap();
            let mut version = 0u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                append(&journal, &opened.session, version.into(), &[&version.to_string()]).await.unwrap();
                version += 1;
            }
        }
    });
    fill(&journal, 10, 50, 1000).await;
    let target = temporary.path().join("backup");
    let acknowledged = journal.durable().borrow().commit.get();
    let report = tokio::task::spawn_blocking({
        let (journal, target) = (journal.clone(), target.clone());
        move || journal.backup(target, &mut |_| ()).unwrap()
    });
    let report = report.await.unwrap();
    let again = journal.backup(&target, &mut |_| ()).unwrap_err();
    assert!(matches!(again, AdminError::TargetExists { .. }), "{again}");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writing.await.unwrap();
    journal.close().await.unwrap();
    assert!(report.commit.get() >= acknowledged && report.commit.get() > 500);
    assert!(verify(&target).is_sound());
    let (copied, removed) = records(&target);
    let (all, _) = records(&path);
    assert!(removed.is_empty() && copied.len() as u64 == report.commit.get());
    assert!(copied.iter().all(|(commit, record)| all[commit] == record), "a prefix");
    let backup = small(&target).open().unwrap();
    check_filled(&backup, 10, 50).await;
    note(&backup, "s0", &["more"]).await.unwrap();
    assert!(!temporary.path().join("backup.partial").exists());
}

/// Blocks wait for their leaves; the chunks of a commit must not be torn apart by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_journal_of_large_commits_is_sound() {
    for commits in [30, 31, 32] {
        let (_temporary, path) = dir();
        let journal = SledJournal::builder(&path).free_space_reserve_bytes(0).open().unwrap();
        for _ in 0..commits {
            note(&journal, "large", &[&"x".repeat(20_000)]).await.unwrap();
        }
        while journal.stats().store_batches < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(journal);
        let report = verify(&path);
        assert!(report.is_sound(), "{:?}", report.problems.items);
    }
}

/// One bit in sled's file can keep sled from opening or make it forget everything behind: then the commits are taken from the
/// bytes of the file.
#[tokio::test(flavor = "multi_thread")]
async fn what_sled_does_not_give_is_found_in_its_file() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let (before, _) = records(&path);
    let db = std::fs::read(path.join("db")).unwrap();
    let (mut forgotten, mut unreadable) = (0, 0);
    for place in 1..8 {
        let (_temporary, copy) = dir();
        copy_dir(&path, &copy);
        segments(&copy).iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
        let mut bytes = db.clone();
        // Where a message of sled's begins, in the middle of the file: its own bytes, not one of ours.
        let at = db.len() / 8 * place;
        bytes[at..at + 2].copy_from_slice(&[0xa5, 0x5a]);
        std::fs::write(copy.join("db"), &bytes).unwrap();
        let report = verify(&copy);
        let lost: u64 = report.losses().map(|hole| hole.last_commit.get() - hole.first_commit.get() + 1).sum();
        forgotten += u64::from(kinds(&report).contains(&ProblemKind::TailTruncated));
        unreadable += u64::from(kinds(&report).contains(&ProblemKind::StoreUnreadable));
        assert!(
            lost <= 100,
            "place {place}: at most what lay in one page is lost, not {lost}: {:?}",
            report.problems.items
        );
        if report.is_sound() {
            continue;
        }
        admin::repair(&copy, &RepairOptions::default(), &mut |_| ()).unwrap();
        let (after, removed) = records(&copy);
        assert_eq!(removed.len() as u64, lost);
        assert!(after.iter().all(|(commit, record)| before[commit] == record), "no wrong value");
        assert_eq!((after.len() + removed.len()), before.len());
    }
    assert!(forgotten + unreadable > 0, "sled was hurt by it");
}

/// sled's file is there, and sled cannot use any of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_open_at_all_is_read_from_its_bytes() {
    let (_temporary, path) = dir();
    filled(&path).await;
    let (before, _) = records(&path);
    segments(&path).iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
    std::fs::write(path.join("conf"), "not sled's").unwrap();
    assert_eq!(kinds(&verify(&path))[0], ProblemKind::StoreUnreadable);
    repair(&path, &before, &[]).await;
}
