//! Reading a journal in tests: every read checks what any read must hold to, order and density first of all.

use std::sync::Arc;

use futures_util::StreamExt;
use onefold_core::journal::{FeedItem, Journal, ReadError, RecordedExtras, RecordedPart};
use onefold_core::{Checkpoint, CommitNumber, GlobalPosition, Metadata, StreamId, StreamVersion};

use crate::{ClaimsByLog, TestEvent};

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
    /// The position of its last event; without events, of the last one before.
    pub position: GlobalPosition,
    /// The extras of the parts that have any, in order.
    pub extras: Vec<(StreamId, RecordedExtras)>,
}

/// Reads the test events of a stream above `after`.
///
/// # Errors
///
/// What the journal answers.
///
/// # Panics
///
/// As [`read_parts`], and when an event does not decode.
pub async fn read_events(
    journal: &Arc<dyn Journal>,
    stream: &StreamId,
    after: StreamVersion,
) -> Result<Vec<SeenEvent>, ReadError> {
    let parts = read_parts(journal, stream, after).await?;
    let events = parts.iter().flat_map(|part| decode_part(stream, part));
    let seen: Vec<_> = events.filter(|event| event.version > after).collect();
    for (index, event) in seen.iter().enumerate() {
        let dense = after.plus(index as u64 + 1);
        assert_eq!(event.version, dense, "{stream} after {after}: versions are not dense");
    }
    assert!(seen.is_sorted_by(|a, b| a.position < b.position), "{stream}: global positions do not grow");
    Ok(seen)
}

/// Reads the parts of a stream behind event `after`.
///
/// # Errors
///
/// What the journal answers.
///
/// # Panics
///
/// When a part comes twice, out of order, or though it lies before `after`; when versions leave a gap, or a chunk is empty.
pub async fn read_parts(
    journal: &Arc<dyn Journal>,
    stream: &StreamId,
    after: StreamVersion,
) -> Result<Vec<RecordedPart>, ReadError> {
    let mut chunks = journal.read_stream(stream, after);
    let mut seen: Vec<RecordedPart> = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        assert!(!chunk.parts.is_empty(), "{stream} after {after}: an empty chunk");
        seen.extend(chunk.parts);
    }
    for (index, part) in seen.iter().enumerate() {
        // Only the first part may begin with what the reader has seen; whole parts of that are never repeated.
        assert!(part.is_beyond(after), "{stream} after {after}: a part ends at {}", part.last_version());
        assert!(index == 0 || part.first_version > after, "{stream}: {} comes again", part.first_version);
        assert!(part.extras().is_some(), "{stream}: the extras of commit {} do not parse", part.commit);
    }
    assert!(seen.is_sorted_by(|a, b| a.commit < b.commit), "{stream}: commits are out of order");
    let dense = |a: &RecordedPart, b: &RecordedPart| a.last_version().next() == b.first_version;
    assert!(seen.is_sorted_by(dense), "{stream}: the versions of the parts are not dense");
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
        let position = checkpoint.position();
        if let Some(last) = events.last() {
            assert_eq!(position, last.position, "the checkpoint is not after the last event");
        }
        if let Some(before) = seen.last() {
            let end = before.position.plus(events.len() as u64);
            assert_eq!(position, end, "commit {} stands elsewhere than its neighbours say", commit.number);
        }
        let extras = commit.parts.iter().filter(|(_, part)| !part.extras_bytes.is_empty());
        let extras = extras.map(|(stream, part)| (stream.clone(), part.extras().expect("extras that parse")));
        let extras: Vec<_> = extras.collect();
        assert!(!events.is_empty() || !extras.is_empty(), "commit {} has nothing in it", commit.number);
        seen.push(SeenCommit { number: commit.number, metadata, events, position, extras });
    }
    check_feed(&seen, after);
    Ok(seen)
}

fn check_feed(seen: &[SeenCommit], after: &Checkpoint) {
    let positions: Vec<_> = seen.iter().flat_map(|commit| commit.events.iter().map(|event| event.position)).collect();
    assert!(positions.is_sorted_by(|a, b| a.next() == *b), "global positions are not dense: {positions:?}");
    let numbers: Vec<_> = seen.iter().map(|commit| commit.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a.next() == *b), "commit numbers are not dense: {numbers:?}");
    let (next, first) = (after.position().next(), positions.first());
    assert!(first.is_none_or(|first| *first <= next), "the feed after {after:?} begins at {first:?}");
    if let Some(commit) = seen.first() {
        let beyond = if commit.events.is_empty() { after.position() } else { next };
        assert!(commit.position >= beyond, "the feed after {after:?} begins with a commit that was dealt with");
    }
}

/// Who holds which claim when these are all commits of a journal.
///
/// # Panics
///
/// When a fact contradicts those before, see [`ClaimsByLog::note`].
pub fn claims_by_log(feed: &[SeenCommit]) -> ClaimsByLog {
    let mut claims = ClaimsByLog::default();
    for commit in feed {
        for (stream, extras) in &commit.extras {
            let noted = claims.note(commit.number, stream, extras);
            noted.unwrap_or_else(|contradiction| panic!("commit {}: {contradiction}", commit.number));
        }
    }
    claims
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
