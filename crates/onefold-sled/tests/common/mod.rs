//! What the tests of the journal share: one kind of event, and appends that are awaited.

#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own share of this")]

pub(crate) mod claims;
pub(crate) mod scripted;
pub(crate) mod tampering;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use onefold_core::journal::{
    Acknowledgement, Append, AppendOutcome, AppendPart, EncodedEvents, FeedItem, Journal, ReadError, RecordedPart,
    Session,
};
use onefold_core::{
    Checkpoint, CodecError, CodecId, DecodeError, Event, EventType, ExpectedVersion, Limits, Metadata, PayloadWriter,
    StreamId, StreamVersion,
};
use onefold_sled::{SledConfig, SledJournal};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Text, as an event.
pub(crate) struct Noted(pub(crate) String);

impl Event for Noted {
    const TYPES: &'static [EventType] = &[EventType { name: "note.noted", revision: 1 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, codec: CodecId, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        codec.encode(&self.0, out)
    }

    fn decode(name: &str, revision: u16, codec: CodecId, payload: &[u8]) -> Result<Self, DecodeError> {
        codec.decode(payload).map(Noted).map_err(|error| DecodeError::payload(name, revision, error))
    }
}

/// A journal's directory in a temporary one.
pub(crate) fn dir() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = temporary.path().join("journal");
    (temporary, path)
}

/// Small segments, so that little data makes much happen.
pub(crate) fn small(path: &Path) -> SledConfig {
    SledJournal::builder(path)
        .segment_bytes(64 << 10)
        .checkpoint_bytes(256 << 10)
        .unwritten_bytes_max(128 << 10)
        .free_space_reserve_bytes(0)
}

pub(crate) fn stream(id: impl std::fmt::Display) -> StreamId {
    StreamId::new("note", id.to_string()).unwrap()
}

pub(crate) fn events(texts: &[&str]) -> EncodedEvents {
    let events: Vec<Noted> = texts.iter().map(|text| Noted((*text).to_owned())).collect();
    EncodedEvents::encode(&events, CodecId::Bincode, &Limits::CEILING).unwrap()
}

/// An append of one part, and where its outcome will be told.
pub(crate) fn append_of(
    session: &Session,
    expected: ExpectedVersion,
    texts: &[&str],
) -> (Append, oneshot::Receiver<AppendOutcome>) {
    let (sender, receiver) = oneshot::channel();
    let part = AppendPart { session: session.clone(), expected, events: events(texts), claims: Vec::new() };
    let mut metadata = Vec::new();
    Metadata::default().encode(&Limits::default(), &mut metadata).unwrap();
    let acknowledgement = Acknowledgement::from_fn(move |outcome| drop(sender.send(outcome)));
    (Append::new(part, metadata, acknowledgement), receiver)
}

/// Submits, waiting for room; the outcome is awaited by whoever wants it.
pub(crate) async fn submit(
    journal: &SledJournal,
    session: &Session,
    expected: ExpectedVersion,
    texts: &[&str],
) -> oneshot::Receiver<AppendOutcome> {
    let (mut append, receiver) = append_of(session, expected, texts);
    while let Err(back) = journal.append(append) {
        append = back;
        journal.capacity().await;
    }
    receiver
}

pub(crate) async fn append(
    journal: &SledJournal,
    session: &Session,
    expected: ExpectedVersion,
    texts: &[&str],
) -> AppendOutcome {
    answer(submit(journal, session, expected, texts).await).await
}

/// The answer, which must come soon.
pub(crate) async fn answer(receiver: oneshot::Receiver<AppendOutcome>) -> AppendOutcome {
    let answer = tokio::time::timeout(Duration::from_secs(20), receiver).await;
    answer.expect("an answer in time").expect("an answer")
}

/// Opens a stream and appends to it once.
pub(crate) async fn note(journal: &SledJournal, id: &str, texts: &[&str]) -> AppendOutcome {
    let opened = journal.open(&stream(id)).await.unwrap();
    append(journal, &opened.session, opened.head.into(), texts).await
}

pub(crate) fn texts_of(part: &RecordedPart) -> Vec<String> {
    part.events().map(|frame| frame.expect("a frame").decode::<Noted>().unwrap().0).collect()
}

pub(crate) async fn read(journal: &SledJournal, id: &str, after: u64) -> Result<Vec<RecordedPart>, ReadError> {
    let chunks: Vec<_> = journal.read_stream(&stream(id), StreamVersion::new(after)).try_collect().await?;
    Ok(chunks.into_iter().flat_map(|chunk| chunk.parts).collect())
}

/// All texts of a stream, with its versions checked.
pub(crate) async fn texts(journal: &SledJournal, id: &str) -> Vec<String> {
    let parts = read(journal, id, 0).await.unwrap();
    let mut texts = Vec::new();
    for part in &parts {
        assert_eq!(part.first_version.get(), texts.len() as u64 + 1, "versions are dense");
        texts.extend(texts_of(part));
    }
    texts
}

/// Every commit in the journal: its number, and its streams' ids with their texts.
pub(crate) async fn feed(journal: &SledJournal, after: &Checkpoint) -> Vec<(u64, Vec<(String, Vec<String>)>)> {
    let items = journal.read_all(after).map(|item| match item.unwrap() {
        FeedItem::Commit(commit) => {
            let parts = commit.parts.iter();
            let parts = parts.map(|(stream, part)| (stream.aggregate_id().to_owned(), texts_of(part)));
            (commit.number.get(), parts.collect())
        }
        other => panic!("{other:?}"),
    });
    items.collect().await
}

/// Fills many streams, so that segments and checkpoints come and go: stream `s<i>` gets texts `0`, `1`, ….
pub(crate) async fn fill(journal: &SledJournal, streams: usize, commits: usize, text_bytes: usize) {
    let mut sessions = Vec::new();
    for index in 0..streams {
        sessions.push(journal.open(&stream(format!("s{index}"))).await.unwrap());
    }
    let mut answers = Vec::new();
    for commit in 0..commits {
        for opened in &sessions {
            let text = format!("{:0>text_bytes$}", opened.head.get() + commit as u64);
            let expected = opened.head.plus(commit as u64).into();
            answers.push(submit(journal, &opened.session, expected, &[&text]).await);
        }
    }
    for receiver in answers {
        answer(receiver).await.unwrap();
    }
}

/// Checks what [`fill`] wrote.
pub(crate) async fn check_filled(journal: &SledJournal, streams: usize, commits: usize) {
    for index in 0..streams {
        let texts = texts(journal, &format!("s{index}")).await;
        assert_eq!(texts.len(), commits, "stream s{index}");
        assert!(texts.iter().enumerate().all(|(at, text)| text.parse() == Ok(at)), "stream s{index}");
    }
}

/// Copies a directory as a kill at one moment would leave it.
///
/// Copying takes a while, and sled writes in the background. A copy with what was written later in one place and without
/// what was written earlier in another is the image of no moment, and sled panics on some of those. So it is taken again
/// until nothing was written meanwhile.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    for _ in 0..COPIES_MAX {
        let before = stamps(from);
        let whole = copy_files(from, to).is_ok();
        if whole && stamps(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} is never quiet", from.display());
}

/// Two seconds and more: sled flushes once a second.
const COPIES_MAX: u32 = 1_000;

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_files(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Every file with its length and when it was written last. A file that vanishes meanwhile is a change like any other.
fn stamps(dir: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut stamps = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        match metadata.is_dir() {
            true => stamps.extend(self::stamps(&entry.path())),
            false => stamps.push((entry.path(), metadata.len(), metadata.modified().ok())),
        }
    }
    stamps.sort();
    stamps
}

/// The redo segments, in order.
pub(crate) fn segments(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path.join("redo")).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "redo")).collect();
    segments.sort();
    segments
}
