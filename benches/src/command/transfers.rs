//! `cargo load run --workload transfers`: two aggregates decide together, each time any two of them.
//!
//! What it costs depends on how many there are. Transacts that share no aggregate share their sync; on one pair
//! (`--aggregates 2`) they come one after the other, a sync each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::TryStreamExt;
use hdrhistogram::Histogram;
use onefold::journal::{FeedItem, Journal};
use onefold::{Aggregates, Checkpoint, Error, TransactError, transact};
use serde::Serialize;

use crate::contender::start;
use crate::counter::{Add, Counter};
use crate::ids::Ids;
use crate::machine::Machine;
use crate::options::{JournalKind, RunOptions};
use crate::place::Place;
use crate::progress::Progress;
use crate::report::{self, json};
use crate::rng::Rng;
use crate::series::micros_at;
use crate::statistics::median;
use crate::store::{StoreOptions, Written};

/// How long the shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(120);

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct TransfersReport {
    command: &'static str,
    workload: &'static str,
    aggregates: u32,
    in_flight: u32,
    rounds: u32,
    event_bytes: u32,
    workers: usize,
    journal: &'static str,
    durability: &'static str,
    filesystem: String,
    transacts_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    fsyncs_per_second: Option<f64>,
    group_size_mean: Option<f64>,
    done: u64,
    failed: u64,
    unknown: u64,
    first_failure: Option<String>,
    verified: bool,
    verified_commits: u64,
    discrepancy: Option<String>,
    each_round: Vec<f64>,
    #[serde(flatten)]
    machine: Machine,
}

/// Runs the command; returns whether each transact is one commit of two parts.
#[expect(clippy::cast_precision_loss, reason = "rates and means")]
pub(crate) async fn run(options: RunOptions, workers: usize) -> anyhow::Result<bool> {
    let load = &options.load;
    ensure!(
        load.rate.is_none() && !options.with_limit && !options.with_memory && !options.idempotent,
        "`transfers` is a closed loop on one journal: leave out --rate, --with-limit, --with-memory and --idempotent"
    );
    ensure!(load.aggregates >= 2, "a transfer needs two aggregates: ask for more --aggregates");
    let rounds = load.rounds(true);
    let place = Place::new(&options.place)?;
    let progress = Progress::spinner();
    let store_options = StoreOptions {
        kind: options.journal,
        durability: options.durability,
        cache_bytes: options.cache.map(|mebibytes| usize::try_from(mebibytes << 20)).transpose()?,
        directory: place.path().join("journal"),
    };
    let store = store_options.open()?;
    let runtime = start(&store, super::run::config(&options)).await?;
    let all = Clients { counters: runtime.aggregates()?, ids: Ids::new(load.aggregates), options: options.clone() };

    let mut told = Told::new();
    if !load.warmup.is_zero() {
        progress.say("warming up");
        all.run(rounds, load.warmup, &mut told).await;
        told.latencies.reset();
    }
    let (mut each_round, mut written, mut seconds) = (Vec::new(), Written::default(), 0.0);
    for round in 0..rounds {
        progress.say(format!("round {} of {rounds}", round + 1));
        let (before, done, began) = (store.written().unwrap_or_default(), told.done, Instant::now());
        all.run(round, load.seconds / rounds, &mut told).await;
        let took = began.elapsed().as_secs_f64();
        written += store.written().unwrap_or_default() - before;
        seconds += took;
        each_round.push((told.done - done) as f64 / took);
    }

    progress.say("verifying");
    drop(all);
    let ended = runtime.shutdown(SHUTDOWN).await;
    ensure!(ended.is_clean(), "the shutdown was not clean: {ended:?}");
    let verified = verify(&store.reopen(&store_options)?.journal(), &told).await;
    progress.finish();

    let disk = options.journal == JournalKind::Sled;
    let report = TransfersReport {
        command: "run",
        workload: load.workload.name(),
        aggregates: load.aggregates,
        in_flight: load.in_flight,
        rounds,
        event_bytes: load.event_bytes,
        workers,
        journal: options.journal.name(),
        durability: if disk { options.durability.name() } else { "none" },
        filesystem: place.filesystem.clone(),
        transacts_per_second: median(each_round.iter().copied()).unwrap_or(0.0),
        p50_us: micros_at(&told.latencies, 0.5),
        p99_us: micros_at(&told.latencies, 0.99),
        fsyncs_per_second: disk.then_some(written.syncs as f64 / seconds),
        group_size_mean: disk.then_some(written.commits as f64 / written.groups.max(1) as f64),
        done: told.done,
        failed: told.failed,
        unknown: told.unknown,
        first_failure: told.first_failure,
        verified: verified.is_ok(),
        verified_commits: verified.as_ref().copied().unwrap_or(0),
        discrepancy: verified.err(),
        each_round,
        machine: Machine::this(),
    };
    print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(report.verified)
}

/// The clients, each of which waits for one answer at a time.
struct Clients {
    counters: Aggregates<Counter>,
    ids: Ids,
    options: RunOptions,
}

/// What the clients were told.
struct Told {
    done: u64,
    failed: u64,
    unknown: u64,
    first_failure: Option<String>,
    latencies: Histogram<u64>,
}

impl Told {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, 1 << 40, 3).expect("constant bounds");
        Told { done: 0, failed: 0, unknown: 0, first_failure: None, latencies }
    }

    fn add(&mut self, other: Told) {
        self.done += other.done;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.latencies.add(&other.latencies).expect("the same bounds");
    }
}

impl Clients {
    async fn run(&self, round: u32, time: Duration, told: &mut Told) {
        let stop = Arc::new(AtomicBool::new(false));
        let load = &self.options.load;
        let clients: Vec<_> = (0..load.in_flight)
            .map(|client| {
                let (counters, ids, stop) = (self.counters.clone(), self.ids.clone(), Arc::clone(&stop));
                let rng = Rng::new(load.seed, round.into(), client.into());
                tokio::spawn(transfers(counters, ids, load.aggregates, load.event_bytes, rng, stop))
            })
            .collect();
        tokio::time::sleep(time).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            told.add(client.await.expect("clients don't panic"));
        }
    }
}

async fn transfers(
    counters: Aggregates<Counter>,
    ids: Ids,
    aggregates: u32,
    event_bytes: u32,
    mut rng: Rng,
    stop: Arc<AtomicBool>,
) -> Told {
    let mut told = Told::new();
    while !stop.load(Ordering::Relaxed) {
        let from = rng.below(aggregates);
        let to = (from + 1 + rng.below(aggregates - 1)) % aggregates;
        let add = Add { nonce: rng.bits(), event_bytes };
        let started = Instant::now();
        match transact([counters.ask(ids.get(from), add), counters.ask(ids.get(to), add)]).await {
            Ok(_) => told.done += 1,
            Err(TransactError { error, .. }) => {
                match &error {
                    Error::OutcomeUnknown(_) => told.unknown += 1,
                    _ => told.failed += 1,
                }
                told.first_failure.get_or_insert(error.to_string());
            }
        }
        told.latencies.saturating_record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    told
}

/// Each commit has two parts with an event each, of the same number; and there are as many as were acknowledged.
async fn verify(journal: &Arc<dyn Journal>, told: &Told) -> Result<u64, String> {
    let mut commits = 0;
    let mut feed = journal.read_all(&Checkpoint::START);
    while let Some(item) = feed.try_next().await.map_err(|error| error.to_string())? {
        let FeedItem::Commit(commit) = item else { return Err("the feed tells of a removal".to_owned()) };
        let [(one, first), (two, second)] = &commit.parts[..] else {
            return Err(format!("commit {} has {} parts, not two", commit.number, commit.parts.len()));
        };
        if one == two || first.event_count != 1 || second.event_count != 1 {
            return Err(format!("commit {} is not one event of each of two streams", commit.number));
        }
        commits += 1;
    }
    if (told.done..=told.done + told.unknown).contains(&commits) {
        return Ok(commits);
    }
    Err(format!("{commits} commits, {} were acknowledged and {} perhaps stored", told.done, told.unknown))
}

fn print(report: &TransfersReport) {
    let (number, whole) = (report::number, report::whole);
    println!(
        "transfers · any two of {} aggregates · {} in flight · {} rounds",
        number(report.aggregates.into()),
        number(report.in_flight.into()),
        report.rounds
    );
    let place = report::place_of((report.journal, report.durability), &report.filesystem, &report.machine);
    println!("{place}\n");
    let rows = [
        ("transacts/s", whole(report.transacts_per_second)),
        ("p50", report::micros(report.p50_us)),
        ("p99", report::micros(report.p99_us)),
    ];
    println!("{}\n", report::column(report.journal, rows));
    if let Some(syncs) = report::syncs(report.fsyncs_per_second, report.group_size_mean) {
        println!("  syncs       {syncs}");
    }
    let failed = report::failures(report.failed, report.unknown, report.first_failure.as_deref());
    println!("  answers     {} done{failed}", number(report.done));
    match &report.discrepancy {
        None => println!("  verified    yes: {} commits of two parts each", number(report.verified_commits)),
        Some(discrepancy) => println!("  verified    NO: {discrepancy}"),
    }
}
