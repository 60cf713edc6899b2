//! `crash read`: opens a directory and reads everything in it, three ways, because any of them could be wrong alone: the
//! whole log in order, each stream by itself, and a sample of aggregates brought back by the runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use futures_util::TryStreamExt as _;
use onefold::journal::{FeedItem, Journal, RecordedCommit, RecordedPart, StreamPage};
use onefold::{Aggregate as _, Aggregates, Checkpoint, CommitNumber, Runtime, StreamId, StreamVersion};

use super::chronicle::{Chronicle, ChronicleEvent, Entry, Write};
use super::journal::JournalOptions;
use super::transcript::{CommitLine, Line, Recorder, WrongKind};
use super::{load, process};

/// Aggregates that the runtime brings back, at most.
const REPLAYED_MAX: usize = 128;

/// Streams in a page of the listing.
const PAGE: usize = 1_000;

/// How long the clean end may take.
const CLOSE: Duration = Duration::from_secs(60);

/// `crash read`.
#[derive(Clone, Debug, Args)]
pub struct ReadOptions {
    #[command(flatten)]
    journal: JournalOptions,
    /// Where to say what is there: a file outside the attacked disk
    #[arg(long)]
    transcript: PathBuf,
    /// Ends without closing the journal, as a kill would
    #[arg(long)]
    leave: bool,
}

/// The command that starts the reader.
pub fn reader(process: &mut Command, journal: &JournalOptions, leave: bool) {
    process.arg("read");
    journal.pass_to(process);
    if leave {
        process.arg("--leave");
    }
}

/// Reads everything.
///
/// # Errors
///
/// Whatever kept it from starting, beside the journal.
pub(super) fn run(options: &ReadOptions) -> anyhow::Result<ExitCode> {
    let recorder = Recorder::open(&options.transcript)?;
    recorder.hear_panics();
    process::hear_parent();
    let Some(journal) = load::open(&options.journal, &recorder) else {
        return Ok(ExitCode::from(process::COULD_NOT_OPEN));
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let read = tokio.block_on(read(&journal, &recorder, options.leave));
    recorder.say(&match &read {
        Ok(()) => Line::Done,
        Err(error) => Line::Failed { error: format!("{error:#}") },
    });
    let code = if read.is_ok() { 0 } else { process::COULD_NOT_OPEN };
    if options.leave {
        // No destructor runs: sled's would tidy up.
        std::process::exit(code.into());
    }
    drop(journal);
    tokio.shutdown_background();
    Ok(ExitCode::from(code))
}

async fn read(journal: &Arc<dyn Journal>, recorder: &Recorder, leave: bool) -> anyhow::Result<()> {
    let reader = Reader { journal: Arc::clone(journal), recorder: recorder.clone() };
    let streams = reader.feed().await?;
    reader.listing(&streams).await?;
    for (stream, state) in &streams {
        reader.stream(stream, *state).await?;
    }
    reader.replay(&streams, leave).await
}

struct Reader {
    journal: Arc<dyn Journal>,
    recorder: Recorder,
}

/// The streams, and what their events lead to.
type Streams = BTreeMap<StreamId, Chronicle>;

impl Reader {
    /// The whole log, in order.
    async fn feed(&self) -> anyhow::Result<Streams> {
        let mut streams = Streams::new();
        let mut feed = self.journal.read_all(&Checkpoint::START);
        let mut last = (0, 0);
        while let Some(item) = feed.try_next().await? {
            let FeedItem::Commit(commit) = item else { anyhow::bail!("the feed tells of a removal") };
            if let Some((stream, line)) = self.line(&commit) {
                let state = streams.entry(stream.clone()).or_default();
                for place in 0..line.events {
                    apply(state, line.number, place);
                }
                last = (line.commit, line.position + u64::from(line.events) - 1);
                self.recorder.say(&Line::Commit(line));
            }
        }
        let durable = *self.journal.durable().borrow();
        if last != (durable.commit.get(), durable.position.get()) {
            self.wrong(WrongKind::Differs, format!("the feed ends at {last:?}, the journal says {durable:?}"));
        }
        Ok(streams)
    }

    /// What a commit holds, if it can be made out. Commands of the load concern one stream each.
    fn line<'a>(&self, commit: &'a RecordedCommit) -> Option<(&'a StreamId, CommitLine)> {
        let number = commit.number;
        let [(stream, part)] = &*commit.parts else {
            let parts = commit.parts.len();
            self.wrong(WrongKind::Torn, format!("commit {number} has {parts} parts"));
            return None;
        };
        let Some(entries) = entries(part) else {
            self.wrong(WrongKind::Content, format!("commit {number} of {stream} does not decode"));
            return None;
        };
        let Some(first) = entries.first() else {
            self.wrong(WrongKind::Torn, format!("commit {number} of {stream} is empty"));
            return None;
        };
        let in_place = |(place, entry): (usize, &Entry)| {
            entry.number == first.number && usize::from(entry.place) == place && entry.count == first.count
        };
        if !entries.iter().enumerate().all(in_place) || usize::from(first.count) != entries.len() {
            let (command, count, there) = (first.number, first.count, entries.len());
            let what = format!("commit {number}: command {command} has {count} events, {there} are there");
            self.wrong(WrongKind::Torn, what);
        }
        if let Some(entry) = entries.iter().find(|entry| !entry.is_genuine()) {
            let what = format!("commit {number}: event {} of command {} is not as written", entry.place, entry.number);
            self.wrong(WrongKind::Content, what);
        }
        let line = CommitLine {
            commit: number.get(),
            position: part.first_position.get(),
            stream: stream.aggregate_id().to_owned(),
            version: part.first_version.get(),
            number: first.number,
            events: u16::try_from(entries.len()).unwrap_or(u16::MAX),
            keyed: self.remembers_key(number, part, first.number),
        };
        Some((stream, line))
    }

    /// Whether a commit remembers the key of its command. Another's is wrong.
    fn remembers_key(&self, commit: CommitNumber, part: &RecordedPart, command: u64) -> bool {
        let Some(extras) = part.extras() else {
            self.wrong(WrongKind::Content, format!("commit {commit}: its extras do not decode"));
            return false;
        };
        let is_its_own = extras.key.as_ref().map(|record| record.key.as_str() == Write::key(command));
        if is_its_own == Some(false) {
            self.wrong(WrongKind::Content, format!("commit {commit} of command {command} remembers another key"));
        }
        is_its_own == Some(true)
    }

    /// The streams there are, by their listing.
    async fn listing(&self, streams: &Streams) -> anyhow::Result<()> {
        let (mut after, mut listed) = (None, Vec::new());
        loop {
            let page = StreamPage { aggregate_type: Chronicle::TYPE.to_owned(), after, limit: PAGE };
            let mut page = self.journal.streams(page).await?;
            let Some(last) = page.last() else { break };
            after = Some(onefold::AggregateId::new(last.aggregate_id())?);
            listed.append(&mut page);
        }
        if !listed.iter().eq(streams.keys()) {
            let (listed, there) = (listed.len(), streams.len());
            self.wrong(WrongKind::Differs, format!("{listed} streams are listed, {there} are in the feed"));
        }
        Ok(())
    }

    /// One stream by itself: its events and its head.
    async fn stream(&self, stream: &StreamId, expected: Chronicle) -> anyhow::Result<()> {
        let (mut state, mut is_whole) = (Chronicle::default(), true);
        let mut chunks = self.journal.read_stream(stream, StreamVersion::EMPTY);
        while let Some(chunk) = chunks.try_next().await? {
            for part in chunk.parts {
                is_whole &= part.first_version.get() == state.version + 1;
                let entries = entries(&part);
                is_whole &= entries.as_ref().is_some_and(|entries| entries.iter().all(Entry::is_genuine));
                for entry in entries.unwrap_or_default() {
                    apply(&mut state, entry.number, entry.place);
                }
            }
        }
        let head = self.journal.open(stream).await?.head.get();
        if !is_whole || state != expected || head != expected.version {
            let what = format!("{stream} by itself is {state:?} with head {head}, in the feed it is {expected:?}");
            self.wrong(WrongKind::Differs, what);
        }
        Ok(())
    }

    /// A sample of aggregates, brought back as a service would; then the end.
    async fn replay(&self, streams: &Streams, leave: bool) -> anyhow::Result<()> {
        let runtime = Runtime::builder(Arc::clone(&self.journal)).aggregate::<Chronicle>(()).start().await?;
        let chronicles: Aggregates<Chronicle> = runtime.aggregates()?;
        let step = streams.len().div_ceil(REPLAYED_MAX).max(1);
        for (stream, expected) in streams.iter().step_by(step) {
            let state = chronicles.read(stream.aggregate_id(), |chronicle| *chronicle).await?;
            if state != *expected {
                let what = format!("{stream} comes back as {state:?}, in the feed it is {expected:?}");
                self.wrong(WrongKind::Differs, what);
            }
        }
        if !leave {
            let report = runtime.shutdown(CLOSE).await;
            ensure!(report.is_clean(), "the shutdown was not clean: {report:?}");
        }
        Ok(())
    }

    fn wrong(&self, kind: WrongKind, what: String) {
        self.recorder.say(&Line::Wrong { kind, what });
    }
}

fn apply(state: &mut Chronicle, number: u64, place: u16) {
    state.version += 1;
    state.digest = Chronicle::digest_after(state.digest, number, place);
}

/// The events of a part; `None` when one does not decode.
fn entries(part: &RecordedPart) -> Option<Vec<Entry>> {
    let entries = part.events().map(|frame| {
        let ChronicleEvent::Written(entry) = frame?.decode().ok()?;
        Some(entry)
    });
    entries.collect()
}
