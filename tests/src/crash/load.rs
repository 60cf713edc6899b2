//! `crash child`: the process that is attacked. The runtime under load, which says what it does while it does it.
//!
//! IMPORTANT: an attempt's line is written before its command is sent, and an answer's only after the answer. So whatever
//! the journal holds was announced, and whatever was acknowledged must be in the journal.

mod client;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use clap::Args;
use onefold::journal::Journal;
use onefold::{Config, Runtime};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use self::client::{Client, Shared};
use super::chronicle::Chronicle;
use super::journal::JournalOptions;
use super::process;
use super::random::Random;
use super::transcript::{self, Line, Recorder, Request};

/// How long the runtime may take to end when it is told to.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// How long keys are remembered: longer than any attack takes.
const RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// Commands of one run at most: their numbers are `run × 2^32 + 1, 2, …`.
const RUN_BITS: u32 = 32;

/// The load, without the place.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// Clients, each waiting for its answer before it goes on
    #[arg(long, default_value_t = 64)]
    pub clients: u32,
    /// Bytes of an event, least and most: mostly small, one in 64 of any size
    #[arg(long, default_value = "20-1048576")]
    pub event_bytes: EventBytes,
    /// Aggregates in memory at most; the others are let go and brought back
    #[arg(long, default_value_t = 128)]
    pub resident: u32,
    /// How long a client waits between two operations, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub pause_ms: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { clients: 64, event_bytes: EventBytes(20..=1_048_576), resident: 128, pause_ms: 0 }
    }
}

/// `least-most`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBytes(pub RangeInclusive<u64>);

impl FromStr for EventBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('-').and_then(|(least, most)| Some((least.parse().ok()?, most.parse().ok()?)));
        match numbers {
            Some((least, most)) if 20 <= least && least <= most && most <= 1_048_576 => Ok(EventBytes(least..=most)),
            _ => Err("least and most bytes of an event, between 20 and 1048576, such as 20-65536".to_owned()),
        }
    }
}

/// `crash child`.
#[derive(Clone, Debug, Args)]
pub struct ChildOptions {
    #[command(flatten)]
    journal: JournalOptions,
    #[command(flatten)]
    load: LoadOptions,
    /// What the operations follow from
    #[arg(long)]
    seed: u64,
    /// Which run on this directory this is
    #[arg(long)]
    run: u32,
    /// The commands with keys to send again first, as they were announced: a file outside the attacked disk
    #[arg(long)]
    again: Option<PathBuf>,
    /// Where to say what happens: a file outside the attacked disk
    #[arg(long)]
    transcript: PathBuf,
}

impl LoadOptions {
    /// The command that starts the child.
    pub fn child(&self, process: &mut std::process::Command, journal: &JournalOptions, seed: u64, run: u32) {
        process.arg("child").args(["--seed", &seed.to_string(), "--run", &run.to_string()]);
        journal.pass_to(process);
        let EventBytes(bytes) = &self.event_bytes;
        process.arg("--clients").arg(self.clients.to_string());
        process.arg("--event-bytes").arg(format!("{}-{}", bytes.start(), bytes.end()));
        process.arg("--resident").arg(self.resident.to_string());
        process.arg("--pause-ms").arg(self.pause_ms.to_string());
    }
}

/// Runs until it is killed or told to stop.
///
/// # Errors
///
/// Whatever kept it from starting, beside the journal.
pub(super) fn run(options: &ChildOptions) -> anyhow::Result<ExitCode> {
    let recorder = Recorder::open(&options.transcript)?;
    recorder.hear_panics();
    let stop = process::hear_parent();
    let Some(journal) = open(&options.journal, &recorder) else { return Ok(ExitCode::from(process::COULD_NOT_OPEN)) };
    let again = options.again.as_ref().map(std::fs::read_to_string).transpose()?;
    let again = transcript::parse(&again.unwrap_or_default())?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = tokio.block_on(drive(journal, options, again, recorder.clone(), stop));
    // Nothing that hangs keeps the process: what matters has been said.
    tokio.shutdown_background();
    match ended {
        Ok(()) => recorder.say(&Line::Done),
        Err(error) => recorder.say(&Line::Failed { error: error.to_string() }),
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the journal, and says how that went.
pub(super) fn open(options: &JournalOptions, recorder: &Recorder) -> Option<Arc<dyn Journal>> {
    recorder.say(&Line::Opening);
    let started = Instant::now();
    match options.open() {
        Ok(journal) => {
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            recorder.say(&Line::Opened { micros });
            Some(journal)
        }
        Err(error) => {
            recorder.say(&Line::Failed { error: format!("{error:#}") });
            None
        }
    }
}

async fn drive(
    journal: Arc<dyn Journal>,
    options: &ChildOptions,
    again: Vec<Line>,
    recorder: Recorder,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let config = Config {
        resident_max: options.load.resident as usize,
        // However long the attack takes, no key is forgotten.
        idempotency_retention: RETENTION,
        ..Config::default()
    };
    let runtime = Runtime::builder(journal).config(config).aggregate::<Chronicle>(()).start().await?;
    let runtime = Arc::new(runtime);
    let shared = Arc::new(Shared {
        chronicles: runtime.aggregates()?,
        runtime: Arc::clone(&runtime),
        recorder,
        stop,
        numbers: AtomicU64::new(u64::from(options.run) << RUN_BITS),
        load: options.load.clone(),
        run: options.run,
        carries_extras: options.journal.journal.carries_extras(),
        again: Mutex::new(again.into_iter().filter_map(announced).collect()),
    });
    let mut clients = JoinSet::new();
    for client in 0..options.load.clients {
        let random = Random::of(options.seed ^ u64::from(options.run) << RUN_BITS, u64::from(client));
        clients.spawn(Client { shared: Arc::clone(&shared), client, random }.run());
    }
    clients.join_all().await;
    drop(shared);
    let report = runtime.shutdown(SHUTDOWN).await;
    anyhow::ensure!(report.is_clean(), "the shutdown was not clean: {report:?}");
    Ok(())
}

fn announced(line: Line) -> Option<Request> {
    match line {
        Line::Attempt(request) => Some(request),
        _ => None,
    }
}
