//! Reading a journal in tests: every read checks what any read must hold to, order and density first of all.

use std::sync::Arc;

use futures_util::StreamExt;
use onefold_core::journal::{FeedItem, Journal, ReadError, RecordedPart};
use onefold_core::{Checkpoint, CommitNumber, GlobalPosition, Metadata, StreamId, StreamVersion};

use crate::TestEvent;

/// A test event as a reader saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub version: StreamVersion,
    /// Its place in the journal.
    pub position: GlobalPosition,
    /// The commit it came with.
    pub commit: CommitNumber,
    /// What was stored.
    pub event: TestEvent,
}

/// A commit as a reader of the global feed saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCommit {
    /// Its number.
    pub number: CommitNumber,
    /// Its metadata.
    pub metadata: Metadata,
    /// The events of all parts, in order.
    pub events: Vec<SeenEvent>,
}

/// Reads the test events of a stream above `after`.
///
/// # Errors
///
/// What the journal answers.
///
/// # Panics
///
/// When the versions are not dense from `after`, the positions do not grow, or something does not decode.
pub async fn read_events(
    journal: &Arc<dyn Journal>,
    stream: &StreamId,
    after: StreamVersion,
) -> Result<Vec<SeenEvent>, ReadError> {
    let mut chunks = journal.read_stream(stream, after);
    let mut seen: Vec<SeenEvent> = Vec::new();
    let mut first_part = true;
    while let Some(chunk) = chunks.next().await {
        for part in chunk?.parts {
            let events = decode_part(stream, &part);
            // Only the first part may begin with what the reader has seen; whole parts of that are never repeated.
            assert!(part.last_version() > after, "{stream} after {after}: a part ends at {}", part.last_version());
            assert!(first_part || part.first_version > after, "{stream}: {} comes again", part.first_version);
            first_part = false;
            seen.extend(events.into_iter().filter(|event| event.version > after));
        }
    }
    for (index, event) in seen.iter().enumerate() {
        let dense = after.plus(index as u64 + 1);
        assert_eq!(event.version, dense, "{stream} after {after}: versions are not dense");
    }
    assert!(seen.is_sorted_by(|a, b| a.position < b.position), "{stream}: global positions do not grow");
    assert!(seen.is_sorted_by_key(|event| event.commit), "{stream}: commits are out of order");
    Ok(seen)
}

/// Reads the global feed beyond `after`.
///
/// # Errors
///
/// What the journal answers.
///
/// # Panics
///
/// When commit numbers or positions are not dense, something was removed, or something does not decode.
pub async fn read_feed(journal: &Arc<dyn Journal>, after: &Checkpoint) -> Result<Vec<SeenCommit>, ReadError> {
    let mut items = journal.read_all(after);
    let mut seen: Vec<SeenCommit> = Vec::new();
    while let Some(item) = items.next().await {
        let item = item?;
        let checkpoint = item.checkpoint();
        let FeedItem::Commit(commit) = item else { panic!("the feed has {item:?}, and nothing was removed") };
        let metadata = commit.parts.first().and_then(|(_, part)| part.metadata()).expect("metadata that decodes");
        let events: Vec<_> = commit.parts.iter().flat_map(|(stream, part)| decode_part(stream, part)).collect();
        for (_, part) in &commit.parts {
            assert_eq!(part.commit, commit.number, "a part carries another commit's number");
            assert_eq!(part.metadata().as_ref(), Some(&metadata), "the parts of {} differ in metadata", commit.number);
        }
        let last = events.last().expect("a commit in the feed has events");
        assert_eq!(checkpoint, Checkpoint::after(last.position), "the checkpoint is not after the last event");
        seen.push(SeenCommit { number: commit.number, metadata, events });
    }
    check_feed(&seen, after);
    Ok(seen)
}

fn check_feed(seen: &[SeenCommit], after: &Checkpoint) {
    let positions: Vec<_> = seen.iter().flat_map(|commit| commit.events.iter().map(|event| event.position)).collect();
    assert!(positions.is_sorted_by(|a, b| a.next() == *b), "global positions are not dense: {positions:?}");
    let numbers: Vec<_> = seen.iter().map(|commit| commit.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a.next() == *b), "commit numbers are not dense: {numbers:?}");
    if let (Some(first), Some(commit)) = (positions.first(), seen.first()) {
        let next = after.position().next();
        let last_of_first = commit.events.last().map(|event| event.position);
        assert!(*first <= next, "the feed after {after:?} begins at {first}");
        assert!(last_of_first >= Some(next), "the feed after {after:?} begins with a commit that was dealt with");
    }
}

fn decode_part(stream: &StreamId, part: &RecordedPart) -> Vec<SeenEvent> {
    let frames: Vec<_> = part.events().collect();
    assert_eq!(frames.len(), part.event_count as usize, "{stream}: a part without its promised number of events");
    let decoded = frames.into_iter().enumerate().map(|(index, frame)| SeenEvent {
        stream: stream.clone(),
        version: part.first_version.plus(index as u64),
        position: part.first_position.plus(index as u64),
        commit: part.commit,
        event: frame.expect("a frame that parses").decode().expect("an event that decodes"),
    });
    decoded.collect()
}
