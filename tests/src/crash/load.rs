//! `crash child`: the process that is attacked. The runtime under load, which says what it does while it does it.
//!
//! IMPORTANT: an attempt's line is written before its command is sent, and an answer's only after the answer. So whatever
//! the journal holds was announced, and whatever was acknowledged must be in the journal.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use onefold::journal::Journal;
use onefold::{Aggregates, Config, Error, Runtime};
use tokio::task::JoinSet;

use super::chronicle::{Chronicle, Write};
use super::journal::JournalOptions;
use super::process;
use super::random::Random;
use super::transcript::{Line, Recorder};

/// How long the runtime may take to end when it is told to.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// How long a client waits after it was refused.
const PAUSE: Duration = Duration::from_millis(5);

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
    /// Where to say what happens: a file outside the attacked disk
    #[arg(long)]
    transcript: PathBuf,
}

impl LoadOptions {
    /// The command that starts the child.
    pub fn child(&self, process: &mut Command, journal: &JournalOptions, seed: u64, run: u32) {
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
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = tokio.block_on(drive(journal, options, recorder.clone(), stop));
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
    recorder: Recorder,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let config = Config { resident_max: options.load.resident as usize, ..Config::default() };
    let runtime = Runtime::builder(journal).config(config).aggregate::<Chronicle>(()).start().await?;
    let shared = Arc::new(Shared {
        chronicles: runtime.aggregates()?,
        recorder,
        stop,
        numbers: AtomicU64::new(u64::from(options.run) << RUN_BITS),
        load: options.load.clone(),
        run: options.run,
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

/// What all clients use.
struct Shared {
    chronicles: Aggregates<Chronicle>,
    recorder: Recorder,
    stop: Arc<AtomicBool>,
    numbers: AtomicU64,
    load: LoadOptions,
    run: u32,
}

struct Client {
    shared: Arc<Shared>,
    client: u32,
    random: Random,
}

impl Client {
    async fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let stream = self.stream();
            let answered = if self.random.one_in(8) { self.read(stream).await } else { self.write(stream).await };
            if !answered {
                tokio::time::sleep(PAUSE).await;
            }
            if self.shared.load.pause_ms > 0 {
                tokio::time::sleep(Duration::from_millis(self.shared.load.pause_ms)).await;
            }
        }
    }

    /// Mostly an aggregate of its own, sometimes one that all use, sometimes one that was never used before.
    fn stream(&mut self) -> String {
        let (run, client) = (self.shared.run, self.client);
        match self.random.below(16) {
            0..4 => format!("shared-{}", self.random.below(16)),
            4 => format!("new-{run}-{client}-{}", self.random.below(1 << 16)),
            _ => format!("own-{client}-{}", self.random.below(4)),
        }
    }

    /// One commit; says whether it was stored.
    async fn write(&mut self, stream: String) -> bool {
        let Shared { chronicles, recorder, numbers, load, .. } = &*self.shared;
        let number = numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let events = match self.random.below(8) {
            0 => 2 + self.random.below(2),
            1 => 2 + self.random.below(7),
            _ => 1,
        };
        let count = u16::try_from(events).unwrap_or(1);
        recorder.say(&Line::Attempt { number, stream: stream.clone(), events: count });
        let EventBytes(event_bytes) = load.event_bytes.clone();
        let answer = chronicles.ask(&stream, Write { number, count, event_bytes }).await;
        let is_stored = answer.is_ok();
        recorder.say(&match answer {
            Ok(version) => Line::Stored { number, version },
            Err(error @ Error::OutcomeUnknown(_)) => Line::Unknown { number, error: error.to_string() },
            Err(error) => Line::Refused { number, error: error.to_string() },
        });
        is_stored
    }

    /// One look; says whether it was answered.
    async fn read(&mut self, stream: String) -> bool {
        let Shared { chronicles, recorder, .. } = &*self.shared;
        match chronicles.read(&stream, |chronicle| *chronicle).await {
            Ok(Chronicle { version, digest }) => {
                recorder.say(&Line::Shown { stream, version, digest });
                true
            }
            Err(_) => false,
        }
    }
}
