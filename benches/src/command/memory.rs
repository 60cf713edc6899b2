//! `cargo load memory`: what aggregates in memory cost. Each scenario has a process of its own, so that what an earlier
//! one left behind in the allocator does not count.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use onefold::{Aggregates, Config};
use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::counter::{Add, Counter};
use crate::footprint;
use crate::ids::Ids;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::options::{DurabilityKind, JournalKind, MemoryOptions, MemoryScenario};
use crate::place::Place;
use crate::progress::Progress;
use crate::report::{self, json};
use crate::rng::mix;
use crate::store::StoreOptions;
use crate::verify;

/// Commands at a time.
const IN_FLIGHT: usize = 1_024;

/// Aggregates that stay in memory in the second scenario, and the journal's cache there.
const TOUCHED_RESIDENT: usize = 50_000;
const TOUCHED_CACHE_BYTES: usize = 64 << 20;

/// Aggregates that are there before the first scenario counts.
const FEW: u32 = 1_000;

/// The journal's caches in the first scenario: so small that their growth does not pass for that of the aggregates.
const IDLE_CACHE_BYTES: usize = 4 << 20;

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct MemoryReport {
    command: &'static str,
    event_bytes: u32,
    workers: usize,
    journal: &'static str,
    filesystem: String,
    #[serde(flatten)]
    idle: Idle,
    #[serde(flatten)]
    touched: Option<Touched>,
    verified: bool,
    #[serde(flatten)]
    machine: Machine,
}

/// What a resident idle aggregate costs.
#[derive(Debug, Serialize, Deserialize)]
struct Idle {
    resident: u32,
    /// All that it costs, its state of `state_bytes` included.
    bytes_per_resident: f64,
    state_bytes: usize,
    rss_bytes: u64,
}

/// What many aggregates cost of which few are resident.
#[derive(Debug, Serialize, Deserialize)]
struct Touched {
    touched: u32,
    touched_resident: usize,
    touched_cache_bytes: usize,
    touched_rss_bytes: u64,
    touched_rss_peak_bytes: u64,
    touched_seconds: f64,
    /// What got lost, in words.
    touched_discrepancy: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(options: MemoryOptions, workers: usize) -> anyhow::Result<bool> {
    let place = Place::new(&options.place)?;
    match options.scenario {
        Some(MemoryScenario::Idle) => hand_over(&idle(&options, &place).await?)?,
        Some(MemoryScenario::Touched) => hand_over(&touched(&options, &place).await?)?,
        None => return all(&options, &place, workers),
    }
    Ok(true)
}

fn all(options: &MemoryOptions, place: &Place, workers: usize) -> anyhow::Result<bool> {
    let progress = Progress::spinner();
    progress.say("idle aggregates");
    let idle: Idle = in_child("idle", options, place, workers)?;
    progress.say("many aggregates, few of them in memory");
    let touched: Option<Touched> = match options.touched {
        0 => None,
        _ => Some(in_child("touched", options, place, workers)?),
    };
    progress.finish();
    let verified = touched.as_ref().is_none_or(|touched| touched.touched_discrepancy.is_none());
    let report = MemoryReport {
        command: "memory",
        event_bytes: options.event_bytes,
        workers,
        journal: "sled",
        filesystem: place.filesystem.clone(),
        idle,
        touched,
        verified,
        machine: Machine::this(),
    };
    print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(verified)
}

fn print(report: &MemoryReport) {
    let idle = &report.idle;
    println!(
        "sled on {} · {} cores, {} · {}\n",
        report.filesystem, report.machine.cores, report.machine.processor, report.machine.kernel
    );
    println!(
        "  idle        {} bytes for each of {} resident aggregates, {} of them its state",
        report::whole(idle.bytes_per_resident),
        report::number(idle.resident.into()),
        idle.state_bytes
    );
    if let Some(touched) = &report.touched {
        println!(
            "  touched     {} resident with {} aggregates touched, {} of them in memory, {} of cache (peak {})",
            report::bytes(touched.touched_rss_bytes),
            report::number(touched.touched.into()),
            report::number(touched.touched_resident as u64),
            report::bytes(touched.touched_cache_bytes as u64),
            report::bytes(touched.touched_rss_peak_bytes),
        );
        match &touched.touched_discrepancy {
            None => println!("  verified    yes: reopened, the journal holds every aggregate's event"),
            Some(discrepancy) => println!("  verified    NO: {discrepancy}"),
        }
    }
}

/// Runs one scenario in a process of its own.
fn in_child<T: for<'de> Deserialize<'de>>(
    scenario: &str,
    options: &MemoryOptions,
    place: &Place,
    workers: usize,
) -> anyhow::Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--workers", &workers.to_string(), "memory", "--scenario", scenario]);
    command.args(["--resident", &options.resident.to_string(), "--touched", &options.touched.to_string()]);
    command.args(["--event-bytes", &options.event_bytes.to_string()]);
    command.arg("--data").arg(place.path()).arg("--allow-tmpfs");
    let output = command.stderr(Stdio::inherit()).output().context("cannot start the scenario's process")?;
    ensure!(output.status.success(), "the scenario {scenario} failed ({})", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn hand_over(figures: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// So many aggregates as asked for come into memory and come to rest; what they add is what a resident one costs. What
/// journal and runtime need once is there before, by a few others; what the allocator keeps of the actors that brought the
/// aggregates into memory counts.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
async fn idle(options: &MemoryOptions, place: &Place) -> anyhow::Result<Idle> {
    let resident = options.resident;
    let resident_max = (FEW + resident) as usize;
    let config = Config { resident_max, resident_bytes_max: resident_max * 16 * 1024, ..Config::default() };
    let contender = Contender::start(store(place, IDLE_CACHE_BYTES), config).await?;
    let (ids, aggregates) = (Ids::new(FEW + resident), contender.aggregates()?);
    touch(&aggregates, &ids, 0..FEW, options.event_bytes).await?;
    let before = settled().await?;
    touch(&aggregates, &ids, FEW..FEW + resident, options.event_bytes).await?;
    let after = settled().await?;
    let stats = contender.stats();
    ensure!(stats.resident == resident_max, "{} are resident, not {resident_max}", stats.resident);
    drop(aggregates);
    contender.stop().await?;
    Ok(Idle {
        resident,
        bytes_per_resident: after.saturating_sub(before) as f64 / f64::from(resident),
        state_bytes: size_of::<Counter>(),
        rss_bytes: after,
    })
}

async fn touched(options: &MemoryOptions, place: &Place) -> anyhow::Result<Touched> {
    let touched = options.touched;
    let config = Config { resident_max: TOUCHED_RESIDENT, ..Config::default() };
    let contender = Contender::start(store(place, TOUCHED_CACHE_BYTES), config).await?;
    let (ids, aggregates) = (Ids::new(touched), contender.aggregates()?);
    let began = std::time::Instant::now();
    touch(&aggregates, &ids, 0..touched, options.event_bytes).await?;
    let touched_seconds = began.elapsed().as_secs_f64();
    let (touched_rss_bytes, touched_rss_peak_bytes) = (footprint::resident_bytes()?, footprint::resident_bytes_peak()?);
    drop(aggregates);
    let reopened = contender.stop().await?.reopen()?;
    let mut ledger = Ledger::new(touched);
    (0..touched).for_each(|aggregate| ledger.acknowledged(aggregate, 1, nonce(aggregate)));
    let verdict = verify::verify(&reopened, &ledger, options.event_bytes, &ids).await?;
    Ok(Touched {
        touched,
        touched_resident: TOUCHED_RESIDENT,
        touched_cache_bytes: TOUCHED_CACHE_BYTES,
        touched_rss_bytes,
        touched_rss_peak_bytes,
        touched_seconds,
        touched_discrepancy: verdict.discrepancy,
    })
}

fn store(place: &Place, cache_bytes: usize) -> StoreOptions {
    StoreOptions {
        kind: JournalKind::Sled,
        durability: DurabilityKind::Fsync,
        cache_bytes: Some(cache_bytes),
        directory: place.path().join("journal"),
    }
}

/// One command to each aggregate.
async fn touch(
    aggregates: &Aggregates<Counter>,
    ids: &Ids,
    numbers: std::ops::Range<u32>,
    event_bytes: u32,
) -> anyhow::Result<()> {
    stream::iter(numbers)
        .map(|aggregate| {
            let ask = aggregates.ask(ids.get(aggregate), Add { nonce: nonce(aggregate), event_bytes });
            async move {
                let count = ask.await?;
                ensure!(count == 1, "aggregate {aggregate} is new, but has {count} events");
                Ok(())
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

fn nonce(aggregate: u32) -> u64 {
    mix(aggregate.into())
}

/// This process' memory when nothing changes any more: the journal has written what it had in hand, and the allocator has
/// given back what it will.
async fn settled() -> anyhow::Result<u64> {
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let mut last = footprint::resident_bytes()?;
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let now = footprint::resident_bytes()?;
        if now.abs_diff(last) < 256 * 1024 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}
