//! Latencies of all clients, in a few histograms so that they rarely wait
//! for each other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

const SHARDS: usize = 16;
/// Longer latencies count as this long.
const LONGEST_NANOSECONDS: u64 = 120_000_000_000;
/// Three significant digits: an error of at most 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Where clients record how long their commands took.
pub(crate) struct Latencies {
    shards: Vec<Mutex<Histogram<u64>>>,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        let shards = (0..SHARDS).map(|_| Ok(Mutex::new(empty()?))).collect::<Result<_>>()?;
        Ok(Self { shards })
    }

    pub(crate) fn record(&self, client: usize, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.shards[client % SHARDS].lock().unwrap_or_else(PoisonError::into_inner).saturating_record(nanoseconds);
    }

    /// All latencies in one histogram, in nanoseconds.
    pub(crate) fn merged(&self) -> Result<Histogram<u64>> {
        let mut merged = empty()?;
        for shard in &self.shards {
            merged.add(&*shard.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        Ok(merged)
    }
}

fn empty() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(LONGEST_NANOSECONDS, SIGNIFICANT_DIGITS)?)
}
