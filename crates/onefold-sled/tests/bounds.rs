//! Long streams, large events, many streams: all in bounded memory, all bounds reached.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use futures_util::{StreamExt as _, TryStreamExt as _};
use onefold_core::journal::{AppendError, Journal};
use onefold_core::{Checkpoint, ExpectedVersion, StreamVersion};
use onefold_sled::{Durability, SledJournal};

/// One stream of `commits` commits among `others` others, read back in windows.
async fn check_long(commits: usize, others: usize) {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    fill(&journal, 1 + others, commits, 20).await;
    // Once from what is partly in memory, once from sled alone.
    let journal = check_windows(journal, commits).await;
    journal.close().await.unwrap();
    check_windows(small(&path).open().unwrap(), commits).await;
}

async fn check_windows(journal: SledJournal, commits: usize) -> SledJournal {
    check_filled(&journal, 1, commits).await;
    let mut chunks = journal.read_stream(&stream("s0"), StreamVersion::EMPTY);
    while let Some(chunk) = chunks.next().await {
        assert!(chunk.unwrap().parts.len() <= 256);
    }
    for after in [0, 1, 254, 255, 256, 257, commits - 257, commits - 1, commits, commits + 5] {
        let parts = read(&journal, "s0", after as u64).await.unwrap();
        let versions = parts.iter().map(|part| part.first_version.get());
        assert!(versions.eq(after as u64 + 1..=commits as u64), "after {after}");
    }
    journal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_dense_stream_is_read_in_windows() {
    check_long(5000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_interleaved_stream_is_read_in_windows() {
    check_long(1500, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_many_events_cross_windows() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    let texts_of_commit = vec!["text"; 100];
    for commit in 0..30u64 {
        append(&journal, &opened.session, (100 * commit).into(), &texts_of_commit).await.unwrap();
    }
    drop(journal);
    let journal = small(&path).open().unwrap();
    assert_eq!(texts(&journal, "a").await.len(), 3000);
    // A reader that has seen half of a commit gets that commit again, to skip what it knows.
    let parts = read(&journal, "a", 1250).await.unwrap();
    assert_eq!(parts[0].first_version.get(), 1201);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_mebibyte_are_chunked() {
    let (_temporary, path) = dir();
    let large = |index: usize| format!("{index}").repeat(1 << 20);
    for round in 0..3 {
        let journal = small(&path).open().unwrap();
        for index in 0..round * 2 {
            assert_eq!(texts(&journal, "large").await[index].len(), 1 << 20);
        }
        let opened = journal.open(&stream("large")).await.unwrap();
        for index in 0..2 {
            let version = opened.head.plus(index as u64);
            append(&journal, &opened.session, version.into(), &[&large(index)]).await.unwrap();
            note(&journal, "small", &["between"]).await.unwrap();
        }
        let mut chunks = journal.read_stream(&stream("large"), StreamVersion::EMPTY);
        while let Some(chunk) = chunks.next().await {
            let bytes: usize = chunk.unwrap().parts.iter().map(|part| part.body.len()).sum();
            assert!(bytes < 3 << 20, "{bytes} bytes in one chunk");
        }
        drop(chunks);
        if round == 1 {
            journal.close().await.unwrap();
        }
    }
    let journal = small(&path).open().unwrap();
    assert_eq!(feed(&journal, &Checkpoint::START).await.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bounds_are_waited_at_and_nothing_is_lost() {
    let (_temporary, path) = dir();
    let config = || {
        let config = small(&path).overlay_bytes_max(64 << 10).dirty_heads_max(1024).queue_appends_max(64);
        config.group_commits_max(16).cache_bytes(1 << 20).block_cache_bytes(0).reader_threads(1).reader_jobs_max(4)
    };
    let journal = config().open().unwrap();
    fill(&journal, 3000, 5, 40).await;
    let stats = journal.stats();
    assert!(stats.checkpoints > 0 && stats.dirty_heads <= 1024 + 16, "{stats:?}");
    check_filled(&journal, 3000, 5).await;
    drop(journal);
    let journal = config().open().unwrap();
    check_filled(&journal, 3000, 5).await;
    // Nothing keeps a head in memory any more.
    assert_eq!(journal.stats().resident_heads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_rounded_up_to_whole_blocks() {
    let (_temporary, path) = dir();
    let config =
        || SledJournal::builder(&path).segment_bytes(100_000).checkpoint_bytes(1 << 20).free_space_reserve_bytes(0);
    for round in 1..=2 {
        let journal = config().open().unwrap();
        fill(&journal, 20, 400, 100).await;
        note(&journal, "large", &[&"x".repeat(300_000)]).await.unwrap();
        journal.close().await.unwrap();
        drop(journal);
        let journal = config().open().unwrap();
        check_filled(&journal, 20, 400 * round).await;
        assert_eq!(texts(&journal, "large").await.len(), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_recycled() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    fill(&journal, 20, 2000, 100).await;
    let stats = journal.stats();
    assert!(stats.bytes_written > 5 << 20, "{stats:?}");
    // A slow machine brings commits into sled later; what waits for that keeps its segments.
    for _ in 0..300 {
        if segments(&path).len() <= 16 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let live = segments(&path).len();
    assert!(live <= 16, "{live} segments of 64 KiB for {} bytes", stats.bytes_written);
    journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_opens_leave_one_session() {
    let (_temporary, path) = dir();
    for round in 0..20 {
        let journal = Arc::new(small(&path).open().unwrap());
        let opens = (0..8).map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.open(&stream("a")).await.unwrap() })
        });
        let opened: Vec<_> = futures_util::future::try_join_all(opens).await.unwrap();
        assert!(opened.iter().all(|opened| opened.head.get() == round));
        let mut won = 0;
        for opened in &opened {
            match append(&journal, &opened.session, opened.head.into(), &["text"]).await {
                Ok(_) => won += 1,
                Err(AppendError::Superseded { .. }) => assert!(!opened.session.is_live()),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_leaves_memory_with_its_last_session() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    let opened = journal.open(&stream("a")).await.unwrap();
    assert_eq!(journal.stats().resident_heads, 1);
    drop(opened);
    assert_eq!(journal.stats().resident_heads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_modes_of_durability_keep_the_contract() {
    for durability in [Durability::ProcessCrash, Durability::Buffered] {
        let (_temporary, path) = dir();
        let journal = small(&path).durability(durability).open().unwrap();
        fill(&journal, 10, 200, 50).await;
        check_filled(&journal, 10, 200).await;
        assert_eq!(journal.stats().syncs, 0);
        drop(journal);
        let journal = small(&path).open().unwrap();
        check_filled(&journal, 10, 200).await;
        journal.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_see_everything_acknowledged_while_blocks_move_to_sled() {
    let (_temporary, path) = dir();
    let journal = Arc::new(small(&path).overlay_bytes_max(128 << 10).open().unwrap());
    let writer = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { fill(&journal, 10, 1000, 50).await })
    };
    let mut feeds = 0;
    while !writer.is_finished() || feeds == 0 {
        let durable = journal.durable().borrow().commit.get();
        let seen = feed(&journal, &Checkpoint::START).await;
        assert!(seen.len() as u64 >= durable);
        let chunks: Vec<_> = journal.read_stream(&stream("s3"), StreamVersion::EMPTY).try_collect().await.unwrap();
        let versions = chunks.iter().flat_map(|chunk| &chunk.parts).map(|part| part.first_version.get());
        assert!(versions.zip(1..).all(|(version, expected)| version == expected));
        feeds += 1;
    }
    writer.await.unwrap();
    let opened = journal.open(&stream("s3")).await.unwrap();
    append(&journal, &opened.session, ExpectedVersion::Exact(opened.head), &["1000"]).await.unwrap();
    assert_eq!(texts(&journal, "s3").await.len(), 1001);
}
