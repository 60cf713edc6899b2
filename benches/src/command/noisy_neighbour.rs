//! `cargo load noisy-neighbour`: what the commands to many aggregates notice of a single one beside them.
//!
//! The neighbours get commands at a steady rate far below saturation. In each round every phase has its turn, in random
//! order, and before and behind each of them there is a quiet one, and with those it is compared: the p50 round by round, of
//! which the median counts; the p99 in the same way, which tells of the usual round, and of all rounds together against that of
//! all quiet phases beside them, which the worst rounds decide. All with the range in which they surely lie. One of the phases has no noise either: what it shows is the machine's own unrest.

mod phases;
mod print;
mod replay;

use std::sync::Arc;

use onefold::Config;
use serde::Serialize;

use self::phases::Phases;
use crate::closed_loop;
use crate::contender::Contender;
use crate::fill;
use crate::ids::Ids;
use crate::machine::Machine;
use crate::options::{DurabilityKind, JournalKind, NoisyNeighbourOptions};
use crate::place::Place;
use crate::pooled;
use crate::progress::Progress;
use crate::recorder::Recorders;
use crate::report::json;
use crate::series::{Round, Series};
use crate::statistics::{Estimate, estimate, median};
use crate::store::StoreOptions;
use crate::verify;

/// The neighbours' p99 may grow by so much.
pub(crate) const TARGET_RATIO: f64 = 1.1;

/// Unanswered commands to neighbours at most.
const IN_FLIGHT: u32 = 4_096;

const SEED: u64 = 1;

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
struct NoisyNeighbourReport {
    command: &'static str,
    neighbours: u32,
    rate: f64,
    events: u32,
    event_bytes: u32,
    seconds: f64,
    rounds: u32,
    workers: usize,
    journal: &'static str,
    filesystem: String,
    target_ratio: f64,
    quiet: QuietReport,
    phases: Vec<PhaseReport>,
    /// Commands to neighbours that failed, and what the first one said.
    failed: u64,
    first_failure: Option<String>,
    verified: bool,
    verified_events: u64,
    discrepancy: Option<String>,
    #[serde(flatten)]
    machine: Machine,
}

/// The quiet phases between the others.
#[derive(Debug, Serialize)]
struct QuietReport {
    p50_us: f64,
    p99_us: f64,
}

/// One phase, all rounds together.
#[derive(Debug, Serialize)]
struct PhaseReport {
    name: &'static str,
    /// Medians of the rounds.
    p50_us: f64,
    p99_us: f64,
    /// Against the quiet phases around it, and where it lies with a confidence of 95 %: the p50 as the median of the rounds,
    /// the p99 of all rounds together.
    p50_ratio: f64,
    p50_ratio_range: [f64; 2],
    p99_ratio: f64,
    p99_ratio_range: [f64; 2],
    /// The p99 as the median of the rounds.
    p99_by_round_ratio: f64,
    p99_by_round_ratio_range: [f64; 2],
    /// Whether the p99 is surely within the target, or surely not; `null` where that cannot be told, or there is no target.
    met: Option<bool>,
    has_target: bool,
    /// Commands to the noisy aggregate that were done, and that were refused or given up; replays that were finished.
    noise_done: u64,
    noise_refused: u64,
    replays: u64,
    each_p50_us: Vec<f64>,
    each_p99_us: Vec<f64>,
    each_p50_ratio: Vec<f64>,
    each_p99_ratio: Vec<f64>,
}

/// Runs the command; returns whether the journal held what was acknowledged.
pub(crate) async fn run(options: NoisyNeighbourOptions, workers: usize) -> anyhow::Result<bool> {
    let place = Place::new(&options.place)?;
    let progress = Progress::spinner();
    let cast = Cast::new(&options);
    let ids = Ids::new(cast.all);
    let store = StoreOptions {
        kind: JournalKind::Sled,
        durability: DurabilityKind::Fsync,
        cache_bytes: None,
        directory: place.path().join("journal"),
    };
    progress.say("writing the long stream");
    let long = {
        let journal = store.open()?.journal();
        let order = std::iter::repeat_n(cast.long, options.events as usize);
        let filled = fill::fill(&journal, &ids, cast.all, order, options.event_bytes).await?;
        journal.close().await?;
        filled.states[cast.long as usize]
    };
    let contender = Contender::start(store, config()).await?;
    let (quiet, noisy) = (recorders(workers, cast.all), recorders(workers, cast.all));
    let target = contender.target(&ids, options.event_bytes)?;
    progress.say("one event for each aggregate");
    closed_loop::prefill(&target, IN_FLIGHT, cast.long, SEED, &quiet).await;
    quiet.take_round();

    let mut phases = Phases::new(&options, cast, &contender, target, &ids, long).await?;
    for round in 0..options.rounds {
        phases.round(round, &quiet, &noisy, &progress).await?;
    }
    let (alone, measured) = phases.finish();

    progress.say("verifying");
    let mut ledger = quiet.ledger();
    ledger.add(&noisy.ledger());
    ledger.written(cast.long, &long);
    let reopened = contender.stop().await?.reopen()?;
    let verdict = verify::verify(&reopened, &ledger, options.event_bytes, &ids).await?;
    progress.finish();

    let all = || measured.iter().map(|phase| &phase.neighbours).chain([&alone]);
    let whole = || all().map(|series| &series.whole);
    let report = NoisyNeighbourReport {
        command: "noisy-neighbour",
        neighbours: options.neighbours,
        rate: options.rate,
        events: options.events,
        event_bytes: options.event_bytes,
        seconds: options.seconds.as_secs_f64(),
        rounds: options.rounds,
        workers,
        journal: "sled",
        filesystem: place.filesystem.clone(),
        target_ratio: TARGET_RATIO,
        failed: whole().map(|record| record.failed + record.unknown).sum(),
        first_failure: whole().find_map(|record| record.first_failure.clone()),
        quiet: QuietReport::new(&alone),
        phases: measured.iter().map(PhaseReport::new).collect(),
        verified: verdict.discrepancy.is_none(),
        verified_events: verdict.events,
        discrepancy: verdict.discrepancy,
        machine: Machine::this(),
    };
    print::print(&report);
    if let Some(file) = &options.output.json {
        json::write(file, &report)?;
    }
    Ok(report.verified)
}

/// Who is who, by number: the neighbours come first.
#[derive(Clone, Copy, Debug)]
struct Cast {
    neighbours: u32,
    slow: u32,
    flooded: u32,
    quarantined: u32,
    long: u32,
    all: u32,
}

impl Cast {
    fn new(options: &NoisyNeighbourOptions) -> Self {
        let neighbours = options.neighbours;
        Cast {
            neighbours,
            slow: neighbours,
            flooded: neighbours + 1,
            quarantined: neighbours + 2,
            long: neighbours + 3,
            all: neighbours + 4,
        }
    }
}

/// The bounds that users have, but quarantines so short that an aggregate crashes many times a second.
fn config() -> Config {
    use std::time::Duration;
    Config {
        quarantine_min: Duration::from_millis(10),
        quarantine_max: Duration::from_millis(100),
        ..Config::default()
    }
}

fn recorders(workers: usize, aggregates: u32) -> Arc<Recorders> {
    Arc::new(Recorders::new(workers, aggregates))
}

fn each(series: &Series, figure: fn(&Round) -> f64) -> Vec<f64> {
    series.rounds.iter().map(figure).collect()
}

impl QuietReport {
    fn new(alone: &Series) -> Self {
        let middle = |figure: fn(&Round) -> f64| median(each(alone, figure)).unwrap_or(0.0);
        QuietReport { p50_us: middle(|round| round.p50_us), p99_us: middle(|round| round.p99_us) }
    }
}

impl PhaseReport {
    fn new(phase: &phases::Measured) -> Self {
        let nothing = Estimate { median: 0.0, low: 0.0, high: 0.0 };
        let (p50, p99) = (estimate(&phase.p50_ratios), pooled::estimate(&phase.pairs, 0.99));
        let (p50, p99) = (p50.unwrap_or(nothing), p99.unwrap_or(nothing));
        let by_round = estimate(&phase.p99_ratios).unwrap_or(nothing);
        let (each_p50_us, each_p99_us) =
            (each(&phase.neighbours, |round| round.p50_us), each(&phase.neighbours, |round| round.p99_us));
        PhaseReport {
            name: phase.neighbours.name,
            p50_us: median(each_p50_us.iter().copied()).unwrap_or(0.0),
            p99_us: median(each_p99_us.iter().copied()).unwrap_or(0.0),
            p50_ratio: p50.median,
            p50_ratio_range: [p50.low, p50.high],
            p99_ratio: p99.median,
            p99_ratio_range: [p99.low, p99.high],
            p99_by_round_ratio: by_round.median,
            p99_by_round_ratio_range: [by_round.low, by_round.high],
            met: phase.noise.filter(|noise| noise.has_target()).and_then(|_| is_met(p99)),
            has_target: phase.noise.is_some_and(|noise| noise.has_target()),
            noise_done: phase.noise_done,
            noise_refused: phase.noise_refused,
            replays: phase.replays,
            each_p50_us,
            each_p99_us,
            each_p50_ratio: phase.p50_ratios.clone(),
            each_p99_ratio: phase.p99_ratios.clone(),
        }
    }
}

/// Whether a ratio is surely within the target, or surely beyond.
fn is_met(ratio: Estimate) -> Option<bool> {
    match () {
        () if ratio.high <= TARGET_RATIO => Some(true),
        () if ratio.low > TARGET_RATIO => Some(false),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sure_is_neither_met_nor_short() {
        let ratio = |low, high| Estimate { median: 1.0, low, high };
        assert_eq!(is_met(ratio(0.9, 1.05)), Some(true));
        assert_eq!(is_met(ratio(1.15, 1.3)), Some(false));
        assert_eq!(is_met(ratio(0.9, 1.3)), None);
    }
}
