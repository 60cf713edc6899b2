//! Commits without events, and idempotency records.

use futures_util::StreamExt;
use onefold_core::journal::{Journal, KeyOutcome, KeyRecord, RecordedPart, StreamPage};
use onefold_core::{Checkpoint, GlobalPosition, StreamVersion};

use super::fixture::{Fixture, appended, conflict, name, superseded};
use super::{How, Subject};
use crate::{TestEvent, part, read_parts, with_key};

fn key(number: u64) -> KeyRecord {
    let outcome = if number.is_multiple_of(2) { KeyOutcome::Reply } else { KeyOutcome::Rejection };
    let fingerprint = number << 32 | 7;
    // Text, digits, and a UUID, which are not stored alike.
    let key = match number % 3 {
        0 => format!("req-{number}"),
        1 => format!("{number:08x}"),
        _ => format!("{number:08x}-10b1-426f-9247-bb680e5fe0c8"),
    };
    KeyRecord::new(&key, fingerprint, outcome, 1, &number.to_le_bytes()).expect("a valid key")
}

/// What a part is, in short: commit, first version, events, and the number of its key.
fn shape(part: &RecordedPart) -> (u64, u64, u32, Option<u64>) {
    let number = |key: KeyRecord| u64::from_le_bytes(key.reply().try_into().expect("8 bytes"));
    let key = part.extras().expect("extras that parse").key.map(number);
    (part.commit.get(), part.first_version.get(), part.event_count, key)
}

impl<S: Subject> Fixture<S> {
    async fn parts(&self, stream: &str, after: u64) -> Vec<(u64, u64, u32, Option<u64>)> {
        let parts = read_parts(self.journal(), &name(stream), StreamVersion::new(after)).await;
        parts.expect("a healthy journal reads any stream").iter().map(shape).collect()
    }
}

/// \[6, 7] It is counted as a commit and takes neither version nor position; the head tells of it.
pub(super) async fn a_commit_without_events_has_a_number<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    assert_eq!(fixture.commit([with_key(part(&a, 0, &[]), &key(1))]).await, Ok(appended(1, 0)));
    assert_eq!(fixture.append(&a, 0, 2).await, Ok(appended(2, 2)));
    assert_eq!(fixture.commit([with_key(part(&a, 2, &[]), &key(2))]).await, Ok(appended(3, 2)));
    assert_eq!(fixture.append(&a, 2, 0).await, Ok(appended(3, 2)));
    assert_eq!(fixture.durable_from(3).await, (3, 2));
    assert_eq!(fixture.append(&a, 2, 1).await, Ok(appended(4, 3)));
    let opened = fixture.open("a").await;
    assert_eq!((opened.head.get(), opened.last_commit.get()), (3, 4));
    assert!(fixture.commit([with_key(part(&opened.session, 3, &[]), &key(3))]).await.is_ok());
    let opened = fixture.open("a").await;
    assert_eq!((opened.head.get(), opened.last_commit.get()), (3, 5));
    assert_eq!(fixture.open("b").await.last_commit.get(), 0);
}

/// \[3, 4] It is checked as any other, and stores nothing when it fails.
pub(super) async fn a_commit_without_events_is_checked<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    let newer = fixture.session("a").await;
    assert_eq!(fixture.commit([with_key(part(&a, 0, &[]), &key(1))]).await, superseded("a"));
    assert_eq!(fixture.commit([with_key(part(&newer, 1, &[]), &key(1))]).await, conflict("a", 1, 0));
    assert!(!newer.is_live());
    let opened = fixture.open("a").await;
    assert_eq!((opened.head.get(), opened.last_commit.get()), (0, 0));
    assert_eq!(fixture.feed().await, []);
}

/// \[20] Idempotency records come back byte by byte, with events and without, in each part its own.
pub(super) async fn idempotency_records_come_back<S: Subject>(fixture: Fixture<S>) {
    let (a, b, c) = (fixture.session("a").await, fixture.session("b").await, fixture.session("c").await);
    let reply = (0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    let large = KeyRecord::new(&"ö".repeat(127), u64::MAX, KeyOutcome::Rejection, 255, &reply).expect("a valid key");
    let empty = KeyRecord::new("req-4", 0, KeyOutcome::Reply, 1, &[]).expect("a valid key");
    let parts = [
        with_key(part(&a, 0, &TestEvent::series([1, 2])), &large),
        with_key(part(&b, 0, &[]), &empty),
        part(&c, 0, &TestEvent::series([3])),
    ];
    assert_eq!(fixture.commit(parts).await, Ok(appended(1, 3)));
    let key_of = async |stream: &str| {
        let parts = read_parts(fixture.journal(), &name(stream), StreamVersion::EMPTY).await.expect("a good read");
        assert_eq!(parts.len(), 1, "{stream}");
        (parts[0].event_count, parts[0].extras().expect("extras that parse").key)
    };
    assert_eq!(key_of("a").await, (2, Some(large.clone())));
    assert_eq!(key_of("b").await, (0, Some(empty.clone())));
    assert_eq!(key_of("c").await, (1, None));
    let commit = fixture.feed().await.remove(0);
    let keys: Vec<_> = commit.extras.into_iter().map(|(stream, extras)| (stream, extras.key)).collect();
    assert_eq!(keys, [(name("a"), Some(large)), (name("b"), Some(empty))]);
}

/// \[7, 11] They are read with their stream, in order, each once: those behind the event that the reading begins after.
pub(super) async fn commits_without_events_belong_to_their_streams<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let mut expected = Vec::new();
    let mut version = 0;
    for number in 1..=30_u64 {
        // Two without events, then one of two events, and so on; a neighbour's in between.
        let count = if number % 3 == 0 { 2 } else { 0 };
        let events = TestEvent::series(0..count);
        let commit = fixture.commit([with_key(part(&a, version, &events), &key(number))]).await;
        let commit = commit.expect("a stream of one's own").commit.get();
        expected.push((commit, version + 1, u32::try_from(count).expect("small"), Some(number)));
        version += count;
        assert!(fixture.append(&b, number - 1, 1).await.is_ok());
    }
    assert_eq!(fixture.parts("a", 0).await, expected);
    for after in 0..=20 {
        let (after_commit, inside) = (after / 2, after % 2 == 1);
        let skipped = usize::try_from(after_commit * 3).expect("small") + if inside { 2 } else { 0 };
        assert_eq!(fixture.parts("a", after).await, expected[skipped..], "after {after}");
    }
    assert_eq!(fixture.parts("a", 21).await, []);
    assert_eq!(fixture.parts("b", 0).await.len(), 30);
}

/// \[6, 12] A stream of which there is only a remembered rejection is at version 0, and is no stream with events.
pub(super) async fn a_stream_may_have_commits_and_no_events<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    for number in 1..=3 {
        assert_eq!(fixture.commit([with_key(part(&a, 0, &[]), &key(number))]).await, Ok(appended(number, 0)));
    }
    assert_eq!(fixture.events("a").await, []);
    let all = [(1, 1, 0, Some(1)), (2, 1, 0, Some(2)), (3, 1, 0, Some(3))];
    assert_eq!(fixture.parts("a", 0).await, all);
    assert_eq!(fixture.parts("a", 1).await, []);
    let page = StreamPage { aggregate_type: "test".to_owned(), after: None, limit: 10 };
    assert_eq!(fixture.journal().streams(page.clone()).await, Ok(vec![]));
    assert!(fixture.append(&a, 0, 1).await.is_ok());
    assert_eq!(fixture.journal().streams(page).await, Ok(vec![name("a")]));
    assert_eq!(fixture.parts("a", 1).await, []);
}

/// \[6, 11] The feed has them in commit order, at the position of the event before; from a checkpoint it begins right behind
/// the event there.
pub(super) async fn the_feed_shows_commits_without_events<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    // Commit by commit, how many events: positions 0 0 2 2 3 3 3 5.
    let counts = [0, 0, 2, 0, 1, 0, 0, 2];
    for (number, count) in (1..).zip(counts) {
        let events = TestEvent::series(0..count);
        assert!(
            fixture
                .commit([with_key(part(&a, onefold_core::ExpectedVersion::Any, &events), &key(number))])
                .await
                .is_ok()
        );
    }
    let feed = fixture.feed().await;
    let positions: Vec<_> = feed.iter().map(|commit| commit.position.get()).collect();
    assert_eq!(positions, [0, 0, 2, 2, 3, 3, 3, 5]);
    for (after, skipped) in [(0, 0), (1, 2), (2, 3), (3, 5), (4, 7), (5, 8), (6, 8)] {
        assert_eq!(fixture.feed_after(after).await, feed[skipped..], "after {after}");
    }
    // Whoever goes on from the checkpoint of each item meets every event once.
    for (index, commit) in feed.iter().enumerate() {
        let checkpoint = Checkpoint::after(commit.position);
        let stored = Checkpoint::from_bytes(&checkpoint.to_bytes()).expect("a checkpoint can be stored");
        let rest = fixture.feed_after(stored.position().get()).await;
        let events: Vec<_> = rest.iter().flat_map(|commit| &commit.events).collect();
        assert_eq!(events, feed[index + 1..].iter().flat_map(|commit| &commit.events).collect::<Vec<_>>());
        assert!(rest.len() >= feed.len() - index - 1, "a commit without events was left out");
    }
}

/// \[11] However many follow each other, they come in chunks of bounded size, each once.
pub(super) async fn many_commits_without_events_come_in_bounded_chunks<S: Subject>(fixture: Fixture<S>) {
    const COMMITS: u64 = 9_000;
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    assert!(fixture.append(&a, 0, 1).await.is_ok());
    let mut pending = Vec::new();
    for number in 0..COMMITS {
        pending.push(fixture.submit([with_key(part(&a, 1, &[]), &key(number))]).await);
        if number % 100 == 0 {
            pending.push(fixture.submit([part(&b, onefold_core::ExpectedVersion::Any, &TestEvent::series([1]))]).await);
        }
    }
    for outcome in pending {
        outcome.await.expect("an append to a stream of one's own");
    }
    let numbers = |parts: &[(u64, u64, u32, Option<u64>)]| parts.iter().filter_map(|part| part.3).collect::<Vec<_>>();
    for after in [0, 1] {
        let parts = fixture.parts("a", after).await;
        assert_eq!(parts.len() as u64, COMMITS + 1 - after);
        assert_eq!(numbers(&parts), (0..COMMITS).collect::<Vec<_>>());
    }
    let mut chunks = fixture.journal().read_stream(&name("a"), StreamVersion::EMPTY);
    while let Some(chunk) = chunks.next().await {
        assert!(chunk.expect("a good read").parts.len() <= 4_096);
    }
    let feed = fixture.feed_after(GlobalPosition::new(1).get()).await;
    assert_eq!(feed.len() as u64, COMMITS + COMMITS / 100);
}

/// \[1, 6, 10] They are there after a restart of either kind, also as a stream's last commits, and numbers go on behind them.
pub(super) async fn commits_without_events_survive_restarts<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    let (mut commit, mut version) = (0, 0);
    for round in 0..8_u64 {
        let opened = fixture.open("a").await;
        assert_eq!((opened.head.get(), opened.last_commit.get()), (version, commit));
        assert_eq!(fixture.durable_from(0).await, (commit, version));
        if round % 3 == 1 {
            assert!(fixture.append(&opened.session, version, 1).await.is_ok());
            (commit, version) = (commit + 1, version + 1);
        }
        for _ in 0..=round % 2 {
            commit += 1;
            let keyed = with_key(part(&opened.session, version, &[]), &key(commit));
            assert_eq!(fixture.commit([keyed]).await, Ok(appended(commit, version)));
        }
        let (feed, parts) = (fixture.feed().await, fixture.parts("a", 0).await);
        assert_eq!((feed.len() as u64, parts.len() as u64), (commit, commit));
        fixture = fixture.reopen(if round % 2 == 0 { How::Kill } else { How::CleanClose }).await;
        assert_eq!((fixture.feed().await, fixture.parts("a", 0).await), (feed, parts));
    }
}
