//! `cargo load recover`: how fast aggregates come back from the journal.
//!
//! Three logs, each of the same number of events:
//!
//! * **dense**: one long stream and nothing else;
//! * **interleaved**: every second event belongs to one long stream, the others to 1,000 streams in turn;
//! * **short**: streams of ten events, written round-robin: no two events of a stream are near each other.
//!
//! Each is read with the journal's caches larger than the log (*inside*) and at a quarter of it (*beyond*), each *cold*
//! (caches just opened and empty, the system's page cache dropped) and *warm* (once more).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use onefold::{Aggregates, Config, Runtime};
use serde::Serialize;

use crate::contender;
use crate::counter::Counter;
use crate::fill::{self, Filled};
use crate::ids::Ids;
use crate::machine::Machine;
use crate::options::{DurabilityKind, JournalKind, RecoverOptions};
use crate::page_cache;
use crate::place::Place;
use crate::progress::Progress;
use crate::report::{self, json};
use crate::rng::Rng;
use crate::statistics::median;
use crate::store::{Store, StoreOptions};

/// Streams beside the long one.
const OTHERS: u32 = 1_000;

/// Events of a short stream.
const SHORT: u32 = 10;

/// How often a long stream is replayed warm; the median counts.
const WARM_PASSES: u32 = 5;

/// How long one replay may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a clean shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(120);

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct RecoverReport {
    command: &'static str,
    events: u32,
    event_bytes: u32,
    in_flight: u32,
    workers: usize,
    journal: &'static str,
    filesystem: String,
    dense: Matrix,
    interleaved: Matrix,
    short: Matrix,
    verified: bool,
    #[serde(flatten)]
    machine: Machine,
}

/// One log, read in four ways. Events per second of the long streams, activations per second of the short ones.
#[derive(Debug, Serialize)]
struct Matrix {
    unit: &'static str,
    log_bytes: u64,
    inside_cold: f64,
    inside_warm: f64,
    beyond_cold: f64,
    beyond_warm: f64,
}

/// Runs the command.
pub(crate) async fn run(options: RecoverOptions, workers: usize) -> anyhow::Result<bool> {
    let place = Place::new(&options.place)?;
    let progress = Progress::spinner();
    let shorts = (options.events / SHORT).max(1);
    let matrix = async |layout: Layout| {
        let log = Log::write(&options, layout, &place.path().join(layout.name()), &progress).await?;
        log.matrix(&progress).await
    };
    let dense = matrix(Layout::Dense).await?;
    let interleaved = matrix(Layout::Interleaved).await?;
    let short = matrix(Layout::Short { streams: shorts }).await?;
    progress.finish();
    let report = RecoverReport {
        command: "recover",
        events: options.events,
        event_bytes: options.event_bytes,
        in_flight: options.in_flight,
        workers,
        journal: "sled",
        filesystem: place.filesystem.clone(),
        dense,
        interleaved,
        short,
        verified: true,
        machine: Machine::this(),
    };
    print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(true)
}

fn print(report: &RecoverReport) {
    println!(
        "{} events of {} bytes in each log · sled on {} · {} cores, {} · {}\n",
        report::number(report.events.into()),
        report.event_bytes,
        report.filesystem,
        report.machine.cores,
        report.machine.processor,
        report.machine.kernel
    );
    let rows =
        [("one long stream", &report.dense), ("… interleaved", &report.interleaved), ("short streams", &report.short)];
    let rows = rows.map(|(name, matrix)| {
        let figures = [matrix.inside_warm, matrix.inside_cold, matrix.beyond_warm, matrix.beyond_cold];
        let log = report::bytes(matrix.log_bytes);
        [name.to_owned(), matrix.unit.to_owned()].into_iter().chain(figures.map(report::whole)).chain([log]).collect()
    });
    let header = ["", "", "inside, warm", "inside, cold", "beyond, warm", "beyond, cold", "log"];
    println!("{}\n", report::table(&header, rows));
    println!("  inside: the journal's caches hold the log; beyond: the log is 4 times the caches");
    println!("  cold: caches empty, page cache dropped; warm: once more");
    println!("  verified    yes: every aggregate came back with the state that was written");
}

/// In which order events are written.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Dense,
    Interleaved,
    Short { streams: u32 },
}

impl Layout {
    fn name(self) -> &'static str {
        match self {
            Layout::Dense => "dense",
            Layout::Interleaved => "interleaved",
            Layout::Short { .. } => "short",
        }
    }

    fn aggregates(self) -> u32 {
        match self {
            Layout::Dense => 1,
            Layout::Interleaved => 1 + OTHERS,
            Layout::Short { streams } => streams,
        }
    }

    /// The aggregate of the event with that number in the log.
    fn aggregate(self, event: u32) -> u32 {
        match self {
            Layout::Dense => 0,
            Layout::Interleaved if event.is_multiple_of(2) => 0,
            Layout::Interleaved => 1 + event / 2 % OTHERS,
            Layout::Short { streams } => event % streams,
        }
    }
}

/// A log on disk.
struct Log {
    layout: Layout,
    ids: Ids,
    in_flight: usize,
    filled: Filled,
    store: StoreOptions,
}

impl Log {
    async fn write(
        options: &RecoverOptions,
        layout: Layout,
        directory: &Path,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        progress.say(format!("writing the {} log", layout.name()));
        let ids = Ids::new(layout.aggregates());
        let store = StoreOptions {
            kind: JournalKind::Sled,
            durability: DurabilityKind::ProcessCrash,
            cache_bytes: None,
            directory: directory.to_owned(),
        };
        let events = match layout {
            Layout::Short { streams } => streams * SHORT,
            _ => options.events,
        };
        let order = (0..events).map(|event| layout.aggregate(event));
        let journal = store.open()?.journal();
        let filled = fill::fill(&journal, &ids, layout.aggregates(), order, options.event_bytes).await?;
        journal.close().await?;
        drop(journal);
        Ok(Log { layout, ids, in_flight: options.in_flight as usize, filled, store })
    }

    async fn matrix(&self, progress: &Progress) -> anyhow::Result<Matrix> {
        let log_bytes = self.filled.log_bytes;
        let name = self.layout.name();
        progress.say(format!("{name}: log inside the caches"));
        let (inside_cold, inside_warm) = self.cold_and_warm(log_bytes * 3).await?;
        progress.say(format!("{name}: log beyond the caches"));
        let (beyond_cold, beyond_warm) = self.cold_and_warm(log_bytes / 4).await?;
        let unit = match self.layout {
            Layout::Short { .. } => "activations/s",
            _ => "events/s",
        };
        Ok(Matrix { unit, log_bytes, inside_cold, inside_warm, beyond_cold, beyond_warm })
    }

    async fn cold_and_warm(&self, cache_bytes: u64) -> anyhow::Result<(f64, f64)> {
        page_cache::drop_pages(&self.store.directory)?;
        let options = StoreOptions { cache_bytes: Some(usize::try_from(cache_bytes)?), ..self.store.clone() };
        let store = options.open()?;
        let figures = match self.layout {
            Layout::Short { .. } => self.short_streams(&store).await?,
            _ => self.long_stream(&store).await?,
        };
        Ok(figures)
    }

    /// Replays the long stream cold, then warm; between two replays another aggregate takes its only place in memory.
    async fn long_stream(&self, store: &Store) -> anyhow::Result<(f64, f64)> {
        let runtime = contender::start(store, Config { resident_max: 1, ..patient() }).await?;
        let aggregates = runtime.aggregates()?;
        let cold = self.replay(&aggregates).await?;
        let mut warm = Vec::new();
        for _ in 0..WARM_PASSES {
            aggregates.version("another").deadline(PATIENCE).await?;
            warm.push(self.replay(&aggregates).await?);
        }
        drop(aggregates);
        stop(runtime).await?;
        Ok((cold, median(warm).unwrap_or(0.0)))
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    async fn replay(&self, aggregates: &Aggregates<Counter>) -> anyhow::Result<f64> {
        let began = Instant::now();
        let state = aggregates.read(self.ids.get(0), |counter| *counter).deadline(PATIENCE).await?;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(state == self.filled.states[0], "the long stream came back as {state:?}");
        Ok(state.count as f64 / seconds)
    }

    /// Brings all aggregates back in random order, twice. A tenth of them fits in memory, so the second time they come from
    /// the journal again.
    async fn short_streams(&self, store: &Store) -> anyhow::Result<(f64, f64)> {
        let resident_max = (self.filled.states.len() / 10).max(1);
        let runtime = contender::start(store, Config { resident_max, ..patient() }).await?;
        let aggregates = runtime.aggregates()?;
        let order = shuffled(self.layout.aggregates());
        let cold = self.activate(&runtime, &aggregates, &order).await?;
        let warm = self.activate(&runtime, &aggregates, &order).await?;
        drop(aggregates);
        stop(runtime).await?;
        Ok((cold, warm))
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    async fn activate(
        &self,
        runtime: &Runtime,
        aggregates: &Aggregates<Counter>,
        order: &[u32],
    ) -> anyhow::Result<f64> {
        let (began, before) = (Instant::now(), runtime.stats().activations);
        stream::iter(order)
            .map(|&aggregate| {
                let read = aggregates.read(self.ids.get(aggregate), |counter| *counter).deadline(PATIENCE);
                let expected = self.filled.states[aggregate as usize];
                async move {
                    let state = read.await?;
                    ensure!(state == expected, "aggregate {aggregate} came back as {state:?}");
                    Ok(())
                }
            })
            .buffer_unordered(self.in_flight)
            .try_collect::<()>()
            .await?;
        let activations = runtime.stats().activations - before;
        Ok(activations as f64 / began.elapsed().as_secs_f64())
    }
}

/// The bounds that users have, but with time for replays of any length.
fn patient() -> Config {
    Config { recovery_timeout: PATIENCE, ..Config::default() }
}

async fn stop(runtime: Runtime) -> anyhow::Result<()> {
    let report = runtime.shutdown(SHUTDOWN).await;
    ensure!(report.is_clean(), "the shutdown was not clean: {report:?}");
    Ok(())
}

fn shuffled(count: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    let mut rng = Rng::new(1, 1, 1);
    for last in (1..count).rev() {
        numbers.swap(last as usize, rng.below(last + 1) as usize);
    }
    numbers
}
