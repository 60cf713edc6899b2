//! `crash read`: opens a directory and reads everything in it, three ways, because any of them could be wrong alone: the
//! whole log in order, each stream by itself, and a sample of aggregates brought back by the runtime.

mod claims;
mod line;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use futures_util::TryStreamExt as _;
use onefold::journal::{FeedItem, Journal, StreamPage};
use onefold::{Aggregate as _, Aggregates, Checkpoint, Runtime, StreamId, StreamVersion};

use super::chronicle::Chronicle;
use super::journal::JournalOptions;
use super::transcript::{Line, Recorder, WrongKind};
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
    reader.claims().await?;
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
            if let Some(line) = self.line(&commit) {
                for (stream, part) in &commit.parts {
                    let entries = line::entries(part).unwrap_or_default();
                    // Who never had an event is not listed.
                    if !entries.is_empty() {
                        let state = streams.entry(stream.clone()).or_default();
                        entries.iter().for_each(|(entry, amount)| state.note(entry.number, entry.place, *amount));
                    }
                }
                last = (line.commit, line.position + line.events() - 1);
                self.recorder.say(&Line::Commit(line));
            }
        }
        let durable = *self.journal.durable().borrow();
        if last != (durable.commit.get(), durable.position.get()) {
            self.wrong(WrongKind::Differs, format!("the feed ends at {last:?}, the journal says {durable:?}"));
        }
        Ok(streams)
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
                let entries = line::entries(&part);
                is_whole &= entries.as_ref().is_some_and(|entries| entries.iter().all(|(entry, _)| entry.is_genuine()));
                for (entry, amount) in entries.unwrap_or_default() {
                    state.note(entry.number, entry.place, amount);
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
