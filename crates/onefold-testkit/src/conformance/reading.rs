//! Reading one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use onefold_core::journal::{AppendPart, EncodedEvents, StreamChunk};
use onefold_core::{CodecId, CommandId, CorrelationId, Limits, Metadata, MetadataEntries, StreamVersion, Timestamp};

use super::Subject;
use super::fixture::{Fixture, name};
use crate::{TestEvent, part, prepare, read_events, submit};

/// Commits in one chunk that no journal needs to exceed.
const CHUNK_COMMITS_MAX: usize = 4_096;
/// Bytes in one chunk that no journal needs to exceed: twice the largest commit of the default limits.
const CHUNK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// \[11] All events, in order, each once.
pub(super) async fn replays_all<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 5).await;
    assert_eq!(fixture.numbers("a").await, [1, 2, 3, 4, 5]);
    // Reading changes nothing.
    assert_eq!(fixture.numbers("a").await, [1, 2, 3, 4, 5]);
}

/// \[11] A read after any version begins with the next one, also inside a commit.
pub(super) async fn replays_from_a_lower_bound<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    let mut version = 0;
    for count in [1, 4, 2, 1, 3] {
        let events = TestEvent::series(version + 1..=version + count);
        assert!(fixture.commit([part(&session, version, &events)]).await.is_ok());
        fixture.fill("neighbour", 1).await;
        version += count;
    }
    for after in 0..version {
        let numbers: Vec<_> = fixture.events_after("a", after).await.iter().map(|seen| seen.event.number).collect();
        assert_eq!(numbers, (after + 1..=version).collect::<Vec<_>>(), "after {after}");
    }
}

/// \[12] A stream that was never written is empty, though its neighbours, and longer and shorter names, have events.
pub(super) async fn unknown_stream_is_empty<S: Subject>(fixture: Fixture<S>) {
    assert_eq!(fixture.events("a").await, []);
    assert_eq!(fixture.events_after("a", 7).await, []);
    for neighbour in ["aa", "other/a", "b", "A"] {
        fixture.fill(neighbour, 1).await;
    }
    let _ = fixture.session("a").await;
    assert_eq!(fixture.events("a").await, []);
    assert_eq!(fixture.head("a").await, 0);
}

/// \[edge case] A read after the head, or after a version beyond it, is empty.
pub(super) async fn after_beyond_the_head_is_empty<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 3).await;
    for after in [3, 4, 1_000, u64::MAX] {
        assert_eq!(fixture.events_after("a", after).await, [], "after {after}");
    }
}

/// \[edge case] A reader that wants only so many events drops the stream; nothing stays behind, however often.
pub(super) async fn reads_can_be_dropped_early<S: Subject>(fixture: Fixture<S>) {
    fixture.fill("a", 1_000).await;
    for round in 0..300 {
        let mut chunks = fixture.journal().read_stream(&name("a"), StreamVersion::new(round));
        if round % 3 == 0 {
            continue;
        }
        let first = chunks.next().await.expect("events").expect("a good read");
        let after = StreamVersion::new(round);
        let part = &first.parts[0];
        assert!(part.first_version <= after.next() && part.last_version() >= after.next());
    }
    assert_eq!(fixture.events("a").await.len(), 1_000);
    fixture.fill("a", 1).await;
}

/// \[1, 11] Readers beside a writer see a dense beginning of the stream that has at least what was acknowledged when
/// they started.
pub(super) async fn reading_while_appending<S: Subject>(fixture: Fixture<S>) {
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..3 {
        let (journal, done) = (fixture.journal().clone(), done.clone());
        readers.spawn(async move {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let after = if reader == 0 { seen } else { 0 };
                let events = read_events(&journal, &name("a"), StreamVersion::new(after)).await.expect("a good read");
                let end = after + events.len() as u64;
                assert!(end >= seen, "a later read ends earlier");
                assert!(events.iter().all(|event| event.event.number == event.version.get()));
                seen = end;
                tokio::task::yield_now().await;
            }
        });
    }
    for round in 1..=30 {
        fixture.fill("a", 10).await;
        assert!(fixture.events("a").await.len() >= round * 10, "an acknowledged event is missing");
    }
    done.store(true, Ordering::Relaxed);
    readers.join_all().await;
}

/// \[11] Names, revisions, codecs, payloads and metadata come back as they were written, for each commit its own.
pub(super) async fn payloads_and_metadata_come_back<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    let mut entries = MetadataEntries::default();
    entries.set("user", "Zoë / 佐藤");
    entries.set("", "");
    entries.set("long", "x".repeat(15 * 1024));
    let rich = Metadata {
        command_id: CommandId::from_u128(u128::MAX),
        correlation_id: CorrelationId::from_u128(1),
        causation_id: Some(CommandId::from_u128(7)),
        timestamp: Timestamp::from_micros(u64::MAX),
        entries,
    };
    let written = [
        (Metadata::default(), CodecId::Bincode, vec![TestEvent::numbered(u64::MAX)]),
        (rich, CodecId::Json, vec![TestEvent::sized(0, 10_000), TestEvent::numbered(0), TestEvent::sized(255, 4_097)]),
        (
            Metadata::default(),
            CodecId::Bincode,
            (0..40_u8).map(|n| TestEvent::sized(n.into(), 100 * usize::from(n))).collect(),
        ),
    ];
    for (metadata, codec, events) in &written {
        let (append, pending) = prepare([encoded(&session, events, *codec)], metadata);
        submit(fixture.journal(), append).await;
        pending.await.expect("an append to a stream of one's own");
    }
    let chunks: Vec<StreamChunk> = fixture
        .journal()
        .read_stream(&name("a"), StreamVersion::EMPTY)
        .map(|chunk| chunk.expect("a good read"))
        .collect()
        .await;
    let parts: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.parts).collect();
    assert_eq!(parts.len(), written.len());
    for (part, (metadata, codec, events)) in parts.iter().zip(&written) {
        assert_eq!(part.metadata().as_ref(), Some(metadata));
        let encoded = encoded(&session, events, *codec);
        assert_eq!(&part.body[..], encoded.events.bytes(), "the encoded events come back byte by byte");
        assert!(part.events().all(|frame| frame.is_some_and(|frame| frame.codec == codec.number())));
    }
    let events: Vec<_> = fixture.events("a").await.into_iter().map(|seen| seen.event).collect();
    assert_eq!(events, written.into_iter().flat_map(|(_, _, events)| events).collect::<Vec<_>>());
}

/// \[11] 10,000 commits, with another stream's in between, come in order, in chunks of bounded size.
pub(super) async fn long_stream_comes_in_bounded_chunks<S: Subject>(fixture: Fixture<S>) {
    for _ in 0..10 {
        fixture.fill("long", 1_000).await;
        fixture.fill("other", 100).await;
    }
    check_chunks(&fixture, "long").await;
    let numbers: Vec<_> = fixture.events("long").await.iter().map(|seen| seen.event.number).collect();
    assert_eq!(numbers, (1..=10_000).collect::<Vec<_>>());
    assert_eq!(fixture.events_after("long", 9_990).await.len(), 10);
    assert_eq!(fixture.feed_after(10_990).await.len(), 10);
}

/// \[11] Chunks are bounded in bytes as well: 40 MiB do not come at once.
pub(super) async fn large_events_come_in_bounded_chunks<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("large").await;
    for version in 0..40 {
        let event = TestEvent::sized(version, 1024 * 1024);
        assert!(fixture.commit([part(&session, version, &[event])]).await.is_ok());
    }
    check_chunks(&fixture, "large").await;
    assert_eq!(fixture.numbers("large").await, (0..40).collect::<Vec<_>>());
}

async fn check_chunks<S: Subject>(fixture: &Fixture<S>, stream: &str) {
    let mut chunks = fixture.journal().read_stream(&name(stream), StreamVersion::EMPTY);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.expect("a good read");
        let bytes: usize = chunk.parts.iter().map(|part| part.body.len() + part.metadata_bytes.len()).sum();
        assert!(chunk.parts.len() <= CHUNK_COMMITS_MAX, "a chunk has {} commits", chunk.parts.len());
        assert!(bytes <= CHUNK_BYTES_MAX, "a chunk has {bytes} bytes");
    }
}

fn encoded(session: &onefold_core::journal::Session, events: &[TestEvent], codec: CodecId) -> AppendPart {
    let events = EncodedEvents::encode(events, codec, &Limits::default()).expect("within the limits");
    AppendPart { session: session.clone(), expected: onefold_core::ExpectedVersion::Any, events, claims: Vec::new() }
}
