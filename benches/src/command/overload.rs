//! `cargo load overload`: ten times more commands than can be done.
//!
//! ```text
//!   peak            peak beside arrivals        calm        overload         calm again
//!   closed loop     closed loop, while the      a quarter   ten times        a quarter
//!                   arrivals go nowhere         of peak     the peak         of peak
//! ```
//!
//! The generator runs on the same cores as the runtime. What it takes of them shows in the second peak.

mod print;

use std::sync::Arc;
use std::time::Duration;

use onefold::Config;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::arrivals::{Arrivals, Stretch};
use crate::closed_loop;
use crate::contender::{Contender, ContenderTarget};
use crate::footprint;
use crate::ids::Ids;
use crate::machine::Machine;
use crate::memory_watch::MemoryWatch;
use crate::options::{DurabilityKind, JournalKind, OverloadOptions};
use crate::place::Place;
use crate::progress::Progress;
use crate::recorder::{Recorders, Window};
use crate::report::json;
use crate::store::StoreOptions;
use crate::target::{Outcome, Target};
use crate::timeline::Timeline;
use crate::verify;
use crate::workload::{Operation, Pickers, Workload};

const SEED: u64 = 1;
const MIB: u64 = 1 << 20;

/// The share of the peak that arrives before and after the overload.
const CALM_SHARE: f64 = 0.25;
const CALM_BEFORE: Duration = Duration::from_secs(3);
const CALM_AFTER: Duration = Duration::from_secs(6);

/// What is asked for.
const GOODPUT_RATIO_MIN: f64 = 0.9;
const MEMORY_RATIO_MAX: f64 = 1.2;
const REFUSAL_P99_US_MAX: f64 = 5_000.0;
const NORMAL_SECONDS_MAX: f64 = 2.0;

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct OverloadReport {
    command: &'static str,
    aggregates: u32,
    event_bytes: u32,
    in_flight: u32,
    factor: f64,
    seconds: f64,
    workers: usize,
    journal: &'static str,
    filesystem: String,
    /// Commands per second in a closed loop; the same while as many arrivals as in the overload go nowhere.
    peak_per_second: f64,
    peak_beside_arrivals_per_second: f64,
    /// Arrivals per second of the overload: planned, and sent.
    planned_per_second: f64,
    offered_per_second: f64,
    goodput_per_second: f64,
    goodput_ratio: f64,
    goodput_beside_arrivals_ratio: f64,
    refused: u64,
    refusal_p50_us: f64,
    refusal_p99_us: f64,
    refusal_p99_us_since_sent: f64,
    admitted_p50_us: f64,
    admitted_p99_us: f64,
    /// The sum of the configured bounds; what the process had before the overload, and at most.
    memory_cap_bytes: u64,
    memory_before_bytes: u64,
    memory_peak_bytes: u64,
    memory_ratio: f64,
    back_to_normal_seconds: Option<f64>,
    calm_p50_us: f64,
    calm_p99_us: f64,
    targets_met: bool,
    failed: u64,
    unknown: u64,
    first_failure: Option<String>,
    verified: bool,
    verified_events: u64,
    discrepancy: Option<String>,
    #[serde(flatten)]
    machine: Machine,
}

/// Runs the command; returns whether the journal held what was acknowledged.
#[expect(clippy::cast_precision_loss, reason = "rates and ratios")]
pub(crate) async fn run(options: OverloadOptions, workers: usize) -> anyhow::Result<bool> {
    let place = Place::new(&options.place)?;
    let progress = Progress::spinner();
    let ids = Ids::new(options.aggregates);
    let store = StoreOptions {
        kind: JournalKind::Sled,
        durability: DurabilityKind::Fsync,
        cache_bytes: Some(usize::try_from(CACHE_BYTES)?),
        directory: place.path().join("journal"),
    };
    let contender = Contender::start(store, config(&options)).await?;
    let overload = Overload {
        target: contender.target(&ids, options.event_bytes)?,
        pickers: Pickers::new(Workload::Uniform, options.aggregates, options.in_flight, SEED),
        // The generator has a recorder of its own.
        recorders: Arc::new(Recorders::new(workers + 1, options.aggregates)),
    };
    progress.say("one event for each aggregate");
    closed_loop::prefill(&overload.target, options.in_flight, options.aggregates, SEED, &overload.recorders).await;

    progress.say("the peak");
    overload.closed(0, Duration::from_secs(1)).await;
    let peak = overload.closed(1, options.peak_seconds).await;
    let planned = peak * options.factor;
    let memory_before = footprint::resident_bytes()?;
    progress.say("the peak beside arrivals that go nowhere");
    let beside = overload.beside_arrivals(planned, options.peak_seconds).await?;

    progress.say("overload");
    overload.recorders.take_round();
    let watch = MemoryWatch::start()?;
    let (timeline, sent) = overload.stretches(peak * CALM_SHARE, planned, options.seconds).await?;
    let memory_peak = watch.stop()?;
    wait_until_idle(&contender).await;

    progress.say("verifying");
    let (ledger, record) = (overload.recorders.ledger(), overload.recorders.take_round());
    drop(overload);
    let reopened = contender.stop().await?.reopen()?;
    let verdict = verify::verify(&reopened, &ledger, options.event_bytes, &ids).await?;
    progress.finish();

    let ends = [CALM_BEFORE, CALM_BEFORE + options.seconds, CALM_BEFORE + options.seconds + CALM_AFTER];
    let (calm, during, after) =
        (timeline.slots(Duration::ZERO, ends[0]), timeline.slots(ends[0], ends[1]), timeline.slots(ends[1], ends[2]));
    let goodput = timeline.answered_per_second(during.clone());
    let (refusal_p99_us, refusal_p99_us_since_sent) = timeline.refusal_micros(0.99);
    let cap = memory_cap_bytes(&options);
    let mut report = OverloadReport {
        command: "overload",
        aggregates: options.aggregates,
        event_bytes: options.event_bytes,
        in_flight: options.in_flight,
        factor: options.factor,
        seconds: options.seconds.as_secs_f64(),
        workers,
        journal: "sled",
        filesystem: place.filesystem.clone(),
        peak_per_second: peak,
        peak_beside_arrivals_per_second: beside,
        planned_per_second: planned,
        offered_per_second: sent as f64 / options.seconds.as_secs_f64(),
        goodput_per_second: goodput,
        goodput_ratio: goodput / peak,
        goodput_beside_arrivals_ratio: goodput / beside,
        refused: timeline.refused(during.clone()),
        refusal_p50_us: timeline.refusal_micros(0.5).0,
        refusal_p99_us,
        refusal_p99_us_since_sent,
        admitted_p50_us: timeline.micros_at(during.clone(), 0.5),
        admitted_p99_us: timeline.micros_at(during, 0.99),
        memory_cap_bytes: cap,
        memory_peak_bytes: memory_peak,
        memory_before_bytes: memory_before,
        memory_ratio: memory_peak as f64 / cap as f64,
        back_to_normal_seconds: timeline.back_to_normal(calm.clone(), after).map(|time| time.as_secs_f64()),
        calm_p50_us: timeline.micros_at(calm.clone(), 0.5),
        calm_p99_us: timeline.micros_at(calm, 0.99),
        targets_met: false,
        failed: record.failed,
        unknown: record.unknown,
        first_failure: record.first_failure,
        verified: verdict.discrepancy.is_none(),
        verified_events: verdict.events,
        discrepancy: verdict.discrepancy,
        machine: Machine::this(),
    };
    report.targets_met = print::goals(&report).iter().all(|goal| goal.met);
    print::print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(report.verified)
}

/// What takes the load.
struct Overload {
    target: ContenderTarget,
    pickers: Pickers,
    recorders: Arc<Recorders>,
}

impl Overload {
    /// Commands per second in a closed loop.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    async fn closed(&self, round: u32, length: Duration) -> f64 {
        self.recorders.take_round();
        let window = Window::starting_now(length);
        closed_loop::run(&self.target, &self.pickers, round, window, &self.recorders).await;
        self.recorders.take_round().answered as f64 / length.as_secs_f64()
    }

    /// The same while commands arrive that go nowhere.
    async fn beside_arrivals(&self, rate: f64, length: Duration) -> anyhow::Result<f64> {
        let (recorders, timeline) = (Arc::new(Recorders::new(1, 1)), Arc::new(Timeline::starting_now(length)));
        let mut arrivals = Arrivals::new(Nowhere, &self.pickers, &recorders, &timeline);
        let arrivals = on_a_thread(move || arrivals.run(&[Stretch { rate, length }]))?;
        let peak = self.closed(2, length).await;
        arrivals.await?;
        Ok(peak)
    }

    /// Calm, overload, and calm again, without a pause in between; with how many arrived in the overload.
    async fn stretches(&self, calm: f64, rate: f64, length: Duration) -> anyhow::Result<(Arc<Timeline>, u64)> {
        let timeline = Arc::new(Timeline::starting_now(CALM_BEFORE + length + CALM_AFTER));
        let mut arrivals = Arrivals::new(self.target.clone(), &self.pickers, &self.recorders, &timeline);
        let stretches = [
            Stretch { rate: calm, length: CALM_BEFORE },
            Stretch { rate, length },
            Stretch { rate: calm, length: CALM_AFTER },
        ];
        let sent = on_a_thread(move || arrivals.run(&stretches))?.await?;
        Ok((timeline, sent[1]))
    }
}

/// Runs on a thread that nobody else uses afterwards: its priority is its own.
fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<oneshot::Receiver<T>> {
    let (sender, done) = oneshot::channel();
    // Nobody waits for it any more when the command was given up.
    let run = move || drop(sender.send(run()));
    std::thread::Builder::new().name("arrivals".into()).spawn(run)?;
    Ok(done)
}

/// Refuses everything, and has nothing to do for it.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl Target for Nowhere {
    fn call(&self, _: Operation) -> impl Future<Output = Outcome> + Send + use<> {
        std::future::ready(Outcome::Overloaded { bound: "nowhere" })
    }
}

/// Bytes of the journal's caches, together.
const CACHE_BYTES: u64 = 96 * MIB;

/// As many instances as there are aggregates; the other bounds are those that users have.
fn config(options: &OverloadOptions) -> Config {
    Config { resident_max: options.aggregates as usize, ..Config::default() }
}

/// What onefold may take by its bounds: all of it has a name in docs/configuration.md.
fn memory_cap_bytes(options: &OverloadOptions) -> u64 {
    let config = config(options);
    let bounds = [
        // admitted_bytes_max, and residents without a weight of their own
        config.admitted_bytes_max as u64,
        config.resident_max as u64 * 8 * 1024,
        // queue_bytes_max, overlay_bytes_max, group_bytes_max, cache_bytes and block_cache_bytes of the journal
        128 * MIB,
        64 * MIB,
        8 * MIB,
        CACHE_BYTES,
    ];
    bounds.iter().sum()
}

async fn wait_until_idle(contender: &Contender) {
    while contender.stats().admitted > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
