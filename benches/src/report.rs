//! What a run found out, and its three forms: text for people, JSON for scripts, a page with plots.

mod goals;
mod html;
pub(crate) mod json;
mod svg;
mod text;
mod units;

use serde::Serialize;

pub(crate) use self::goals::{Goal, goals, print_verified};
pub(crate) use self::text::{column, failures, place_of, syncs, table};
pub(crate) use self::units::{bytes, micros, number, ratio, whole};
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::options::{LoadOptions, OutputOptions};
use crate::series::{Round, Series};
use crate::statistics::{median, median_ratio};

/// A run's figures. Field names are the keys of the JSON; README.md documents each. `None` is `null`: not measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunReport {
    pub(crate) command: &'static str,
    #[serde(flatten)]
    pub(crate) setup: Setup,
    #[serde(flatten)]
    pub(crate) latency: Latency,
    #[serde(flatten)]
    pub(crate) limit: Comparison,
    #[serde(flatten)]
    pub(crate) memory: MemoryComparison,
    #[serde(flatten)]
    pub(crate) plain: PlainComparison,
    #[serde(flatten)]
    pub(crate) cost: Cost,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    #[serde(flatten)]
    pub(crate) machine: Machine,
    pub(crate) each_round: Vec<Round>,
    pub(crate) each_limit_round: Vec<Round>,
    pub(crate) each_memory_round: Vec<Round>,
    pub(crate) each_plain_round: Vec<Round>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Setup {
    pub(crate) workload: &'static str,
    pub(crate) aggregates: u32,
    pub(crate) in_flight: u32,
    /// Operations per second of an open loop.
    pub(crate) rate: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) rounds: u32,
    pub(crate) warmup_seconds: f64,
    pub(crate) event_bytes: u32,
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) journal: &'static str,
    pub(crate) durability: &'static str,
    pub(crate) filesystem: String,
}

/// How fast it was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) commands_per_second: f64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

/// Beside the raw limit.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Comparison {
    pub(crate) limit_ratio: Option<f64>,
    pub(crate) limit_commands_per_second: Option<f64>,
    pub(crate) limit_p50_us: Option<f64>,
    pub(crate) limit_p99_us: Option<f64>,
    pub(crate) p50_limit_ratio: Option<f64>,
    pub(crate) limit_fsyncs_per_second: Option<f64>,
    pub(crate) limit_group_size_mean: Option<f64>,
}

/// Beside the same runtime on the in-memory journal.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct MemoryComparison {
    pub(crate) memory_journal_ratio: Option<f64>,
    pub(crate) memory_commands_per_second: Option<f64>,
    pub(crate) memory_p50_us: Option<f64>,
}

/// Of commands with keys, beside the same without.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PlainComparison {
    pub(crate) plain_ratio: Option<f64>,
    pub(crate) plain_commands_per_second: Option<f64>,
    pub(crate) plain_p50_us: Option<f64>,
}

/// What it cost.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cost {
    pub(crate) fsyncs_per_second: Option<f64>,
    pub(crate) group_size_mean: Option<f64>,
    pub(crate) bytes_per_event_on_disk: Option<f64>,
    pub(crate) rss_bytes: u64,
    pub(crate) activations: Option<u64>,
    pub(crate) passivations: Option<u64>,
}

/// Whether it was right.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) first_failure: Option<String>,
    /// Whether the reopened journal holds exactly what was acknowledged; `null` for the raw limit, which can't tell.
    pub(crate) verified: Option<bool>,
    pub(crate) verified_events: Option<u64>,
    /// What did not fit, in words.
    pub(crate) discrepancy: Option<String>,
}

impl RunReport {
    /// What a series alone tells.
    pub(crate) fn new(command: &'static str, setup: Setup, series: &Series, ledger: &Ledger) -> Self {
        let accounts = || ledger.accounts().iter();
        RunReport {
            command,
            setup,
            latency: Latency::of(series),
            limit: Comparison::default(),
            memory: MemoryComparison::default(),
            plain: PlainComparison::default(),
            cost: Cost::default(),
            outcome: Outcome {
                acknowledged: accounts().map(|account| u64::from(account.acknowledged)).sum(),
                failed: series.whole.failed,
                unknown: accounts().map(|account| u64::from(account.unknown)).sum(),
                first_failure: series.whole.first_failure.clone(),
                ..Outcome::default()
            },
            machine: Machine::this(),
            each_round: series.rounds.clone(),
            each_limit_round: Vec::new(),
            each_memory_round: Vec::new(),
            each_plain_round: Vec::new(),
        }
    }

    /// Prints it, and writes what was asked for. The first series is the measured one.
    pub(crate) fn publish(&self, series: &[&Series], output: &OutputOptions) -> anyhow::Result<()> {
        text::print(self, series);
        if let Some(file) = &output.json {
            json::write(file, self)?;
        }
        if let Some(file) = &output.html {
            html::write(file, self, series)?;
        }
        Ok(())
    }
}

impl Setup {
    /// Of what was asked for on the command line.
    pub(crate) fn of(
        load: &LoadOptions,
        rounds: u32,
        workers: usize,
        (journal, durability): (&'static str, &'static str),
        filesystem: &str,
    ) -> Self {
        Setup {
            workload: load.workload.name(),
            aggregates: load.workload.aggregates(load.aggregates),
            in_flight: load.in_flight,
            rate: load.rate,
            seconds: load.seconds.as_secs_f64(),
            rounds,
            warmup_seconds: load.warmup.as_secs_f64(),
            event_bytes: load.event_bytes,
            seed: load.seed,
            workers,
            journal,
            durability,
            filesystem: filesystem.to_owned(),
        }
    }
}

impl Latency {
    /// Of a series.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of minutes fit")]
    pub(crate) fn of(series: &Series) -> Self {
        let latencies = &series.whole.latencies;
        Latency {
            commands_per_second: series.commands_per_second(),
            mean_us: latencies.mean() / 1_000.0,
            p50_us: series.micros_at(0.5),
            p90_us: series.micros_at(0.9),
            p99_us: series.micros_at(0.99),
            p999_us: series.micros_at(0.999),
            max_us: if latencies.is_empty() { 0.0 } else { latencies.max() as f64 / 1_000.0 },
        }
    }
}

impl Comparison {
    /// Of the measured series with the limit's rounds beside it.
    pub(crate) fn of(measured: &Series, limit: &Series) -> Self {
        Comparison {
            limit_ratio: throughput_ratio(measured, limit),
            limit_commands_per_second: Some(limit.commands_per_second()),
            limit_p50_us: Some(limit.p50_us()),
            limit_p99_us: median(limit.rounds.iter().map(|round| round.p99_us)),
            p50_limit_ratio: median_ratio(pairs(measured, limit, |round| round.p50_us)),
            ..Comparison::default()
        }
    }
}

impl MemoryComparison {
    /// Of the measured series with the in-memory journal's rounds beside it.
    pub(crate) fn of(measured: &Series, memory: &Series) -> Self {
        MemoryComparison {
            memory_journal_ratio: throughput_ratio(measured, memory),
            memory_commands_per_second: Some(memory.commands_per_second()),
            memory_p50_us: Some(memory.p50_us()),
        }
    }
}

impl PlainComparison {
    /// Of the measured series with the rounds without keys beside it.
    pub(crate) fn of(measured: &Series, plain: &Series) -> Self {
        PlainComparison {
            plain_ratio: throughput_ratio(measured, plain),
            plain_commands_per_second: Some(plain.commands_per_second()),
            plain_p50_us: Some(plain.p50_us()),
        }
    }
}

fn throughput_ratio(measured: &Series, other: &Series) -> Option<f64> {
    median_ratio(pairs(measured, other, |round| round.commands_per_second))
}

fn pairs(one: &Series, other: &Series, figure: impl Fn(&Round) -> f64 + Copy) -> impl Iterator<Item = (f64, f64)> {
    one.rounds.iter().zip(&other.rounds).map(move |(one, other)| (figure(one), figure(other)))
}
