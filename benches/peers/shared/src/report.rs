//! One run in one line for people and in one JSON object for the table.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::load::{Measured, WarmUp};

/// Everything known about a run that has ended.
pub(crate) struct Report<'a> {
    pub(crate) peer: &'static str,
    pub(crate) arguments: &'a Arguments,
    pub(crate) filesystem: &'a str,
    pub(crate) warm_up: &'a WarmUp,
    pub(crate) measured: &'a Measured,
    pub(crate) conflicts: u64,
    /// Warm-up, measurement and the commands in flight at its end.
    pub(crate) acknowledged: u64,
    /// Events found when the store was opened again.
    pub(crate) stored: Option<u64>,
    pub(crate) rss_bytes: Option<u64>,
}

impl Report<'_> {
    /// Does the store hold what was acknowledged? A command whose outcome
    /// never arrived may have been stored too.
    pub(crate) fn verified(&self) -> Option<bool> {
        self.stored.map(|stored| stored >= self.acknowledged)
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        let latency = |quantile| self.quantile_us(quantile).unwrap_or(f64::NAN);
        let mut line = format!(
            "{} {}: {:.0} commands/s, p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs, {} failed, verified: {}",
            self.peer,
            self.arguments.workload,
            self.commands_per_second(),
            latency(0.5),
            latency(0.99),
            latency(1.0),
            self.measured.failed,
            match self.verified() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "not possible",
            },
        );
        if let Some(failure) = &self.measured.first_failure {
            line.push_str(&format!(" (first failure: {failure})"));
        }
        line
    }

    /// For the table.
    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        let text = format!("{:#}\n", self.json());
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    fn json(&self) -> Value {
        json!({
            "peer": self.peer,
            "workload": self.arguments.workload.to_string(),
            "aggregates": self.arguments.aggregates,
            "in_flight": self.arguments.in_flight,
            "seconds": self.arguments.duration.as_secs_f64(),
            "event_bytes": self.arguments.event_bytes,
            "commands_per_second": self.commands_per_second(),
            "p50_us": self.quantile_us(0.5),
            "p90_us": self.quantile_us(0.9),
            "p99_us": self.quantile_us(0.99),
            "p999_us": self.quantile_us(0.999),
            "max_us": self.quantile_us(1.0),
            "failed": self.measured.failed,
            "verified": self.verified(),
            "durability": "fsync",
            "rss_bytes": self.rss_bytes,
            "conflicts": self.conflicts,
            "acknowledged": self.acknowledged,
            "stored": self.stored,
            "first_failure": self.measured.first_failure,
            "warm_up_commands": self.warm_up.acknowledged,
            "warm_up_failed": self.warm_up.failed,
            "warm_up_seconds": self.warm_up.duration.as_secs_f64(),
            "filesystem": self.filesystem,
        })
    }

    fn commands_per_second(&self) -> f64 {
        let per_second = self.measured.in_time as f64 / self.arguments.duration.as_secs_f64();
        (per_second * 10.0).round() / 10.0
    }

    /// Microseconds with one decimal, if anything was acknowledged.
    fn quantile_us(&self, quantile: f64) -> Option<f64> {
        let latencies = &self.measured.latencies;
        let nanoseconds = latencies.value_at_quantile(quantile);
        (!latencies.is_empty()).then_some((nanoseconds as f64 / 100.0).round() / 10.0)
    }
}

/// The memory this process has resident.
pub(crate) fn rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1_024)
}
