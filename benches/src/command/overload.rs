//! `cargo load overload`: ten times more commands than can be done.
//!
//! ```text
//!   peak                         calm           overload       calm again
//!   three ways, see peak.rs      a quarter      ten times      a quarter
//!                                of the peak    the peak       of the peak
//! ```
//!
//! The generator has cores of its own, if there are two (see cores.rs), and does there what a caller does: commands are refused where
//! they are asked. With `--shared-cores` it runs on the runtime's; what it takes of them shows in the peak beside arrivals, which is
//! then the one to compare with.

mod callers;
mod peak;
mod print;
mod report;

use std::sync::Arc;
use std::time::Duration;

use onefold::Config;
use tokio::sync::oneshot;

use self::report::OverloadReport;
use crate::arrivals::{Arrivals, Offered, Stretch};
use crate::closed_loop;
use crate::contender::{Contender, ContenderTarget};
use crate::core_time::CoreTime;
use crate::cores::Cores;
use crate::footprint;
use crate::ids::Ids;
use crate::machine::Machine;
use crate::memory_watch::MemoryWatch;
use crate::options::{DurabilityKind, JournalKind, OverloadOptions};
use crate::place::Place;
use crate::prober::{Prober, Probes};
use crate::progress::Progress;
use crate::recorder::{Recorders, Window};
use crate::report::json;
use crate::series::micros_at;
use crate::store::StoreOptions;
use crate::timeline::Timeline;
use crate::verify;
use crate::workload::{Pickers, Workload};

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

/// Runs the command; returns whether the journal held what was acknowledged.
#[expect(clippy::cast_precision_loss, reason = "rates and ratios")]
pub(crate) async fn run(options: OverloadOptions, workers: usize, cores: Option<Cores>) -> anyhow::Result<bool> {
    if let Some(rate) = options.harness_alone {
        return callers::run(&options, rate, workers).await;
    }
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
        // The generator and the prober have recorders of their own.
        recorders: Arc::new(Recorders::new(workers + 2, options.aggregates)),
        cores,
    };
    progress.say("one event for each aggregate");
    closed_loop::prefill(&overload.target, options.in_flight, options.aggregates, SEED, &overload.recorders).await;

    progress.say("the peak");
    let planned = |peak| options.arrivals.unwrap_or(peak * options.factor);
    let peaks = overload.peaks(planned, options.peak_seconds).await?;
    let (fair, planned) = (peaks.fair(), peaks.planned);
    overload.wait_until_answered(&contender).await;
    let memory_before = footprint::resident_bytes()?;

    progress.say("overload");
    overload.recorders.take_round();
    let watch = MemoryWatch::start()?;
    let stretches = overload.stretches((peaks.closed * CALM_SHARE).min(planned), planned, options.seconds).await?;
    let Stretches { timeline, offered, probes, core_time } = stretches;
    let memory_peak = watch.stop()?;
    overload.wait_until_answered(&contender).await;

    progress.say("verifying");
    let (ledger, record) = (overload.recorders.ledger(), overload.recorders.take_round());
    drop(overload);
    let reopened = contender.stop().await?.reopen()?;
    let verdict = verify::verify(&reopened, &ledger, options.event_bytes, &ids).await?;
    progress.say("the harness by itself");
    let memory_harness = callers::in_child(&options, planned, workers)?;
    progress.finish();

    let ends = [CALM_BEFORE, CALM_BEFORE + options.seconds, CALM_BEFORE + options.seconds + CALM_AFTER];
    let (calm, during, after) =
        (timeline.slots(Duration::ZERO, ends[0]), timeline.slots(ends[0], ends[1]), timeline.slots(ends[1], ends[2]));
    let (after_p50_us, after_refused) = timeline.each(after.clone());
    let goodput = timeline.answered_per_second(during.clone());
    let seconds = options.seconds.as_secs_f64();
    let left = core_time.running.saturating_sub(offered.cores.running).as_secs_f64();
    let per_core = (goodput * seconds / left) / (peaks.closed / peaks.closed_cores);
    let memory_onefold = memory_peak.saturating_sub(memory_harness);
    let cap = memory_cap_bytes(&options);
    let all_cores = cores.map_or_else(cores_there, |cores| cores.of_runtime() + cores.of_generator());
    let mut report = OverloadReport {
        command: "overload",
        aggregates: options.aggregates,
        event_bytes: options.event_bytes,
        in_flight: options.in_flight,
        factor: options.factor,
        seconds,
        workers,
        journal: "sled",
        filesystem: place.filesystem.clone(),
        runtime_cores: cores.map_or_else(cores_there, |cores| cores.of_runtime()),
        generator_cores: cores.map_or(0, |cores| cores.of_generator()),
        peak_per_second: peaks.closed,
        peak_beside_arrivals_per_second: peaks.beside_arrivals,
        peak_open_loop_per_second: peaks.open,
        peak_fair_per_second: fair,
        planned_per_second: planned,
        offered_per_second: offered.count as f64 / seconds,
        goodput_per_second: goodput,
        goodput_ratio: goodput / peaks.closed,
        goodput_fair_ratio: goodput / fair,
        refused: timeline.refused(during.clone()),
        goodput_per_core_ratio: per_core,
        generator_core_share: offered.cores.running.as_secs_f64() / seconds / all_cores as f64,
        generator_waiting_share: offered.cores.waiting.as_secs_f64() / seconds,
        refusal_p50_us: micros_at(&offered.refusals, 0.5),
        refusal_p99_us: micros_at(&offered.refusals, 0.99),
        lateness_p50_us: micros_at(&offered.lateness, 0.5),
        lateness_p99_us: micros_at(&offered.lateness, 0.99),
        probes: probes.thread.len(),
        probe_p50_us: micros_at(&probes.thread, 0.5),
        probe_p99_us: micros_at(&probes.thread, 0.99),
        probe_asked_p99_us: micros_at(&probes.asked, 0.99),
        task_probe_p50_us: micros_at(&probes.task, 0.5),
        task_probe_p99_us: micros_at(&probes.task, 0.99),
        admitted_p50_us: timeline.micros_at(during.clone(), 0.5),
        admitted_p99_us: timeline.micros_at(during, 0.99),
        memory_cap_bytes: cap,
        memory_peak_bytes: memory_peak,
        memory_before_bytes: memory_before,
        memory_harness_bytes: memory_harness,
        memory_onefold_bytes: memory_onefold,
        memory_ratio: memory_onefold as f64 / cap as f64,
        back_to_normal_seconds: timeline.back_to_normal(calm.clone(), after).map(|time| time.as_secs_f64()),
        calm_p50_us: timeline.micros_at(calm.clone(), 0.5),
        calm_p99_us: timeline.micros_at(calm, 0.99),
        after_p50_us,
        after_refused,
        targets_met: false,
        failed: record.failed,
        unknown: record.unknown,
        first_failure: record.first_failure,
        verified: verdict.discrepancy.is_none(),
        verified_events: verdict.events,
        discrepancy: verdict.discrepancy,
        machine: Machine { cores: all_cores, ..Machine::this() },
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
    /// `None`: the generator runs on the runtime's.
    cores: Option<Cores>,
}

impl Overload {
    /// Calm, overload, and calm again, without a pause in between.
    async fn stretches(&self, calm: f64, rate: f64, length: Duration) -> anyhow::Result<Stretches> {
        let timeline = Arc::new(Timeline::starting_now(CALM_BEFORE + length + CALM_AFTER));
        let mut arrivals = Arrivals::new(self.target.clone(), &self.pickers, &self.recorders, &timeline);
        let stretches = [
            Stretch { rate: calm, length: CALM_BEFORE },
            Stretch { rate, length },
            Stretch { rate: calm, length: CALM_AFTER },
        ];
        let start = std::time::Instant::now() + CALM_BEFORE;
        let overload = Window { start, end: start + length };
        let prober = Prober {
            target: self.target.clone(),
            pickers: self.pickers.clone(),
            recorders: Arc::clone(&self.recorders),
            runtime: tokio::runtime::Handle::current(),
        };
        let probes = self.beside("prober", move || prober.run(overload))?;
        let sent = self.beside("arrivals", move || arrivals.run(&stretches))?;
        tokio::time::sleep_until(overload.start.into()).await;
        let cores = CoreTime::of_this_process();
        tokio::time::sleep_until(overload.end.into()).await;
        let core_time = CoreTime::of_this_process() - cores;
        let offered = sent.await?.swap_remove(1);
        Ok(Stretches { timeline, offered, probes: probes.await?, core_time })
    }
}

impl Overload {
    /// Runs on a thread of the generator's.
    fn beside<T: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<oneshot::Receiver<T>> {
        let cores = self.cores;
        on_a_thread(name, move || {
            if let Some(cores) = cores {
                cores.be_generator().expect("these cores were there a moment ago");
            }
            run()
        })
    }

    /// Until everybody who was admitted has been answered, and has told so: whoever still waits holds the recorders.
    async fn wait_until_answered(&self, contender: &Contender) {
        while contender.stats().admitted > 0 || Arc::strong_count(&self.recorders) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What happened in the three stretches.
struct Stretches {
    timeline: Arc<Timeline>,
    /// Of the overload.
    offered: Offered,
    probes: Probes,
    core_time: CoreTime,
}

fn cores_there() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs on a thread that nobody else uses afterwards: its priority is its own.
fn on_a_thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<T>> {
    let (sender, done) = oneshot::channel();
    // Nobody waits for it any more when the command was given up.
    let run = move || drop(sender.send(run()));
    std::thread::Builder::new().name(name.into()).spawn(run)?;
    Ok(done)
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
        // queue_bytes_max, overlay_bytes_max, unwritten_bytes_max, group_bytes_max three times, cache_bytes and
        // block_cache_bytes of the journal
        128 * MIB,
        64 * MIB,
        32 * MIB,
        3 * 8 * MIB,
        CACHE_BYTES,
    ];
    bounds.iter().sum()
}
