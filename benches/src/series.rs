//! The rounds of one target, summed up: what the reports are made of.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::recorder::{RoundRecord, SLOT};
use crate::statistics::median;

/// All rounds of one target.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// What was put under load: `sled`, `memory`, `limit`.
    pub(crate) name: &'static str,
    /// Each round.
    pub(crate) rounds: Vec<Round>,
    /// All rounds together.
    pub(crate) whole: RoundRecord,
}

/// One round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// Answers per second.
    pub(crate) commands_per_second: f64,
    /// The median latency in microseconds.
    pub(crate) p50_us: f64,
    /// The 99th percentile in microseconds.
    pub(crate) p99_us: f64,
    /// Seconds since the first round began.
    #[serde(skip)]
    pub(crate) began: Duration,
    /// Answers per second in each [`SLOT`].
    #[serde(skip)]
    pub(crate) slots: Vec<f64>,
}

impl Series {
    /// No rounds yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Series { name, rounds: Vec::new(), whole: RoundRecord::default() }
    }

    /// Adds a round that began at `began`, in a run that began at `run_began`.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(crate) fn add(&mut self, run_began: Instant, began: Instant, length: Duration, record: &RoundRecord) {
        // The last slot may be cut off by the end of the round: a plot of it would be wrong.
        let whole_slots = usize::try_from(length.as_millis() / SLOT.as_millis()).unwrap_or(0);
        let per_second = |answers: &u64| *answers as f64 / SLOT.as_secs_f64();
        self.rounds.push(Round {
            commands_per_second: record.answered as f64 / length.as_secs_f64(),
            p50_us: micros_at(&record.latencies, 0.5),
            p99_us: micros_at(&record.latencies, 0.99),
            began: began - run_began,
            slots: record.slots.iter().take(whole_slots).map(per_second).collect(),
        });
        self.whole.add(record);
    }

    /// The median of the rounds' throughput.
    pub(crate) fn commands_per_second(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.commands_per_second)).unwrap_or(0.0)
    }

    /// The median of the rounds' median latency, in microseconds.
    pub(crate) fn p50_us(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.p50_us)).unwrap_or(0.0)
    }

    /// A latency of all rounds together, in microseconds.
    pub(crate) fn micros_at(&self, quantile: f64) -> f64 {
        micros_at(&self.whole.latencies, quantile)
    }
}

/// A latency in microseconds.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of minutes fit")]
pub(crate) fn micros_at(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1_000.0
}
