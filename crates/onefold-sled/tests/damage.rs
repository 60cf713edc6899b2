//! Damage and foreign states of the directory: each is named, none is repaired.

mod common;

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use common::*;
use futures_util::StreamExt as _;
use onefold_core::Checkpoint;
use onefold_core::journal::{Journal, ReadError};
use onefold_sled::{OpenJournalError, SledJournal};

/// A journal with `commits` commits of one text each, each in a group of its own, left as by a kill.
async fn killed(path: &Path, commits: usize) {
    let journal = SledJournal::builder(path).free_space_reserve_bytes(0).open().unwrap();
    for index in 0..commits {
        note(&journal, &format!("s{index}"), &["text"]).await.unwrap();
    }
    // The beacon knows of all of them.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    drop(journal);
}

fn open_error(path: &Path) -> OpenJournalError {
    let before = contents(path);
    let error = small(path).open().expect_err("opening should fail");
    assert_eq!(before, contents(path), "a refused open changes nothing");
    error
}

/// The bytes of the redo log and the beacon.
fn contents(path: &Path) -> Vec<Vec<u8>> {
    let files = segments(path).into_iter().chain([path.join("beacon")]);
    files.map(|file| std::fs::read(file).unwrap_or_default()).collect()
}

fn flip(path: &Path, offset: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

/// Offsets of the groups in a segment.
fn groups(segment: &Path) -> Vec<u64> {
    let bytes = std::fs::read(segment).unwrap();
    let offsets = (4096..bytes.len()).step_by(64).filter(|offset| bytes[*offset..].starts_with(b"1fGr"));
    offsets.map(|offset| offset as u64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_group_before_a_whole_one_is_damage() {
    let (_temporary, path) = dir();
    killed(&path, 5).await;
    let segment = segments(&path).remove(0);
    let groups = groups(&segment);
    assert_eq!(groups.len(), 5);
    for offset in [groups[2], groups[2] + 40, groups[2] + 100, groups[0] + 70] {
        flip(&segment, offset);
        let error = open_error(&path);
        assert!(matches!(error, OpenJournalError::Damaged { .. }), "{offset}: {error}");
        flip(&segment, offset);
    }
    let journal = small(&path).open().unwrap();
    assert_eq!(texts(&journal, "s4").await, ["text"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_last_group_that_was_acknowledged_is_damage() {
    let (_temporary, path) = dir();
    killed(&path, 5).await;
    let segment = segments(&path).remove(0);
    flip(&segment, groups(&segment)[4] + 100);
    let error = open_error(&path);
    assert!(matches!(error, OpenJournalError::Damaged { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zeroed_tail_is_a_truncated_tail() {
    let (_temporary, path) = dir();
    killed(&path, 5).await;
    let segment = segments(&path).remove(0);
    let groups = groups(&segment);
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(&vec![0; 4096], groups[3]).unwrap();
    let error = open_error(&path);
    let truncated = matches!(error, OpenJournalError::TailTruncated { acknowledged: 5, reached: 3, .. });
    assert!(truncated, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_segment_is_a_truncated_tail() {
    let (_temporary, path) = dir();
    killed(&path, 5).await;
    std::fs::remove_file(segments(&path).remove(0)).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, OpenJournalError::TailTruncated { .. }), "{error}");
    assert!(error.to_string().contains("repair"), "{error}");
}

/// A segment that was made ready in advance and then cut off inside its header was told as an I/O error: "failed to fill
/// whole buffer". Found by `cargo crash flip`.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_cut_off_inside_its_header_is_damage() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    fill(&journal, 2, 200, 100).await;
    drop(journal);
    let segments = segments(&path);
    assert!(segments.len() > 1, "one is ready in advance");
    let last = segments.last().unwrap();
    let whole = std::fs::read(last).unwrap();
    for length in [0, 30] {
        std::fs::write(last, &whole[..length]).unwrap();
        let error = open_error(&path);
        assert!(matches!(error, OpenJournalError::Damaged { .. }), "{length}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_store_is_found_out_by_the_beacon() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    note(&journal, "early", &["text"]).await.unwrap();
    journal.close().await.unwrap();
    let copy = path.with_file_name("copy");
    copy_dir(&path, &copy);
    let journal = small(&path).open().unwrap();
    fill(&journal, 10, 100, 100).await;
    journal.close().await.unwrap();
    // sled as it was before: what a silent truncation of its tail leaves.
    for entry in std::fs::read_dir(&path).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "db" || name == "conf" || name.starts_with("snap") {
            std::fs::remove_file(&file).unwrap();
        }
    }
    for entry in std::fs::read_dir(&copy).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "db" || name == "conf" || name.starts_with("snap") {
            std::fs::copy(&file, path.join(name)).unwrap();
        }
    }
    let error = small(&path).open().unwrap_err();
    assert!(matches!(error, OpenJournalError::TailTruncated { acknowledged: 1001, reached: 1, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_damaged_beacon_is_damage() {
    let (_temporary, path) = dir();
    killed(&path, 3).await;
    let beacon = path.join("beacon");
    let bytes = std::fs::read(&beacon).unwrap();
    for offset in [60, 4096 + 60] {
        flip(&beacon, offset);
    }
    assert!(matches!(open_error(&path), OpenJournalError::Damaged { .. }));
    std::fs::remove_file(&beacon).unwrap();
    assert!(matches!(open_error(&path), OpenJournalError::Damaged { .. }));
    std::fs::write(&beacon, bytes).unwrap();
    assert_eq!(texts(&small(&path).open().unwrap(), "s2").await, ["text"]);
}

/// The beacon had its final name before it had its first slot: a crash in between made the directory "damaged" for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_creation_is_gone_on_with() {
    for bytes in [0, 8192] {
        let (_temporary, path) = dir();
        SledJournal::open(&path).unwrap();
        std::fs::write(path.join("beacon"), vec![0; bytes]).unwrap();
        let journal = SledJournal::open(&path).unwrap();
        note(&journal, "a", &["text"]).await.unwrap();
        drop(journal);
        assert_eq!(texts(&SledJournal::open(&path).unwrap(), "a").await, ["text"]);
    }
    // With commits, a beacon of zeros is a beacon that is missing.
    let (_temporary, path) = dir();
    killed(&path, 3).await;
    std::fs::write(path.join("beacon"), [0; 8192]).unwrap();
    assert!(matches!(open_error(&path), OpenJournalError::Damaged { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_open_is_refused_by_name() {
    let (_temporary, path) = dir();
    let journal = SledJournal::open(&path).unwrap();
    let error = SledJournal::open(&path).unwrap_err();
    let holder = Some(std::process::id());
    assert!(matches!(&error, OpenJournalError::Locked { holder: found, .. } if *found == holder), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    journal.close().await.unwrap();
    SledJournal::open(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_is_refused_by_name() {
    let (_temporary, path) = dir();
    SledJournal::open(&path).unwrap().close().await.unwrap();
    let beacon = path.join("beacon");
    let mut bytes = std::fs::read(&beacon).unwrap();
    for slot in bytes.chunks_mut(4096) {
        slot[8] = 2;
        let crc = crc32c::crc32c(&slot[..72]);
        slot[72..76].copy_from_slice(&crc.to_le_bytes());
    }
    std::fs::write(&beacon, bytes).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, OpenJournalError::NewerFormat { found: 2, known: 1, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spilled_blobs_are_refused() {
    let (_temporary, path) = dir();
    SledJournal::open(&path).unwrap().close().await.unwrap();
    std::fs::create_dir_all(path.join("blobs")).unwrap();
    std::fs::write(path.join("blobs/1"), "x").unwrap();
    assert!(matches!(open_error(&path), OpenJournalError::ForeignBlobs { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_snapshot_is_swept_away() {
    let (_temporary, path) = dir();
    SledJournal::open(&path).unwrap().close().await.unwrap();
    let leftover = path.join("snap.000000000000002a.generating");
    std::fs::write(&leftover, "half").unwrap();
    SledJournal::open(&path).unwrap();
    assert!(!leftover.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_private() {
    let (_temporary, path) = dir();
    let journal = SledJournal::open(&path).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("redo")), 0o700);
    let files = ["db", "conf", "beacon", "lock"].map(|name| path.join(name));
    for file in files.into_iter().chain(segments(&path)) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(journal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_there_becomes_private() {
    let (_temporary, path) = dir();
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let journal = SledJournal::open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    drop(journal);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_validated_by_name() {
    let (_temporary, path) = dir();
    let error = SledJournal::builder(&path).segment_bytes(1).open().unwrap_err();
    assert!(matches!(&error, OpenJournalError::Config(message) if message.starts_with("segment_bytes")), "{error}");
    let error = SledJournal::builder(&path).free_space_reserve_bytes(100 << 20).open().unwrap_err();
    assert!(matches!(&error, OpenJournalError::Config(message) if message.starts_with("free_space")), "{error}");
    assert!(!path.exists());
}

/// Flips a bit of a text where it lies in sled.
fn flip_in_store(path: &Path, text: &str, before_text: usize) {
    let db = sled::Config::new().path(path).open().unwrap();
    for entry in db.scan_prefix(b"L") {
        let (key, value) = entry.unwrap();
        if let Some(at) = value.windows(text.len()).position(|window| window == text.as_bytes()) {
            let mut damaged = value.to_vec();
            damaged[at - before_text] ^= 1;
            db.insert(key, damaged).unwrap();
        }
    }
    db.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_payload_quarantines_its_stream_and_stops_the_feed() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    for id in ["a", "b", "c"] {
        note(&journal, id, &[&format!("text of {id}")]).await.unwrap();
    }
    journal.close().await.unwrap();
    drop(journal);
    flip_in_store(&path, "text of b", 0);
    let journal = small(&path).open().unwrap();
    let error = read(&journal, "b", 0).await.unwrap_err();
    let named = matches!(&error, ReadError::Damaged { stream: Some(found), .. } if *found == stream("b"));
    assert!(named, "{error}");
    assert_eq!(texts(&journal, "a").await, ["text of a"]);
    assert_eq!(texts(&journal, "c").await, ["text of c"]);
    let items: Vec<_> = journal.read_all(&Checkpoint::START).collect().await;
    assert!(items.len() == 2 && items[0].is_ok(), "{items:?}");
    assert!(matches!(items[1], Err(ReadError::Damaged { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_beyond_the_mark_is_damage() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    note(&journal, "a", &["text"]).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);
    let db = sled::Config::new().path(&path).open().unwrap();
    db.insert([&b"L"[..], &2u64.to_be_bytes(), &[0, 0]].concat(), "x").unwrap();
    db.flush().unwrap();
    drop(db);
    assert!(matches!(open_error(&path), OpenJournalError::Damaged { .. }));
}

/// Looking for the first commit behind a checkpoint, the feed probes commits that it will never hand out: one of them
/// could be damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_behind_damage_is_read() {
    const COMMITS: u64 = 400;
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    fill(&journal, 1, usize::try_from(COMMITS).unwrap(), 200).await;
    journal.close().await.unwrap();
    drop(journal);
    let db = sled::Config::new().path(&path).open().unwrap();
    let blocks: Vec<_> = db.scan_prefix(b"L").map(Result::unwrap).collect();
    let first = |index: usize| u64::from_be_bytes(blocks[index].0[1..9].try_into().unwrap());
    // Two blocks around the middle, where the first probe goes.
    let middle = (0..blocks.len()).rfind(|index| first(*index) <= COMMITS / 2).unwrap();
    for (key, value) in &blocks[middle..middle + 2] {
        let mut damaged = value.to_vec();
        damaged[0] ^= 1;
        db.insert(key, damaged).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    let (damaged, whole) = (first(middle), first(middle + 2));
    let journal = small(&path).open().unwrap();
    let read = async |after: u64| -> Vec<Result<_, ReadError>> {
        journal.read_all(&Checkpoint::after(onefold_core::GlobalPosition::new(after))).collect().await
    };
    // One event per commit: positions are commit numbers.
    for after in [whole - 1, whole, whole + 5, COMMITS - 1] {
        let items = read(after).await;
        assert_eq!(items.len() as u64, COMMITS - after, "after {after}");
        assert!(items.iter().all(Result::is_ok), "after {after}");
    }
    assert!(read(COMMITS).await.is_empty());
    for after in [1, damaged - 2] {
        let items = read(after).await;
        assert_eq!(items.len() as u64, damaged - after, "after {after}");
        assert!(ends_in_damage(&items));
    }
    for after in [damaged - 1, damaged, whole - 2] {
        let items = read(after).await;
        assert!(items.len() == 1 && ends_in_damage(&items), "after {after}");
    }
}

fn ends_in_damage<T>(items: &[Result<T, ReadError>]) -> bool {
    matches!(items.last(), Some(Err(ReadError::Damaged { .. })))
}
