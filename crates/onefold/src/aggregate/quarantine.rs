//! Aggregates that crash again and again are left alone for a while, twice as long each time. They can be seen and lifted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onefold_core::StreamId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::Quarantined;
use crate::instant;
use crate::telemetry;

/// The crashes of one aggregate type.
pub(crate) struct Crashes {
    records: Mutex<HashMap<StreamId, Record>>,
    /// How many records there are, so that the common case costs one load.
    count: AtomicUsize,
    crashes_max: u32,
    window: Duration,
    quarantine_min: Duration,
    quarantine_max: Duration,
    records_max: usize,
}

struct Record {
    /// Crashes since `since`.
    crashes: u32,
    since: Instant,
    /// How often it was quarantined.
    level: u32,
    until: Option<Instant>,
    reason: String,
}

impl Crashes {
    pub(crate) fn new(config: &Config) -> Self {
        Crashes {
            records: Mutex::new(HashMap::new()),
            count: AtomicUsize::new(0),
            crashes_max: config.crashes_max,
            window: config.crash_window,
            quarantine_min: config.quarantine_min,
            quarantine_max: config.quarantine_max,
            records_max: config.crash_records_max,
        }
    }

    /// Counts a crash; `hopeless` ones quarantine at once.
    pub(crate) fn strike(&self, stream: &StreamId, reason: &str, hopeless: bool) {
        let now = Instant::now();
        let mut records = self.records.lock();
        if !records.contains_key(stream) && records.len() >= self.records_max {
            let oldest = records.iter().min_by_key(|(stream, record)| (record.since, *stream));
            if let Some(oldest) = oldest.map(|(stream, _)| stream.clone()) {
                records.remove(&oldest);
            }
        }
        let new = || Record { crashes: 0, since: now, level: 0, until: None, reason: String::new() };
        let record = records.entry(stream.clone()).or_insert_with(new);
        if now.duration_since(record.since) > self.window {
            (record.crashes, record.since) = (0, now);
            // Long quiet forgives.
            record.level = if record.until.is_none_or(|until| now > instant::after(until, self.window)) {
                0
            } else {
                record.level
            };
        }
        record.crashes += 1;
        reason.clone_into(&mut record.reason);
        if hopeless || record.crashes >= self.crashes_max {
            let doubled = self.quarantine_min.saturating_mul(1u32.checked_shl(record.level).unwrap_or(u32::MAX));
            let span = doubled.min(self.quarantine_max);
            record.until = Some(instant::after(now, span));
            record.level += 1;
            record.crashes = 0;
            telemetry::quarantined(stream, span.as_secs_f64(), reason);
        }
        self.count.store(records.len(), Ordering::Release);
    }

    /// The quarantine in force, if there is one.
    pub(crate) fn check(&self, stream: &StreamId) -> Option<Quarantined> {
        if self.is_empty() {
            return None;
        }
        let records = self.records.lock();
        Self::in_force(stream, records.get(stream)?, Instant::now())
    }

    /// Whether no aggregate of the type has crashed recently.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// All quarantines in force, ordered by stream.
    pub(crate) fn list(&self) -> Vec<Quarantined> {
        let now = Instant::now();
        let records = self.records.lock();
        let mut list: Vec<_> =
            records.iter().filter_map(|(stream, record)| Self::in_force(stream, record, now)).collect();
        list.sort_by(|one, other| one.stream.cmp(&other.stream));
        list
    }

    /// Forgets the crashes of an aggregate. Returns whether it was in quarantine.
    pub(crate) fn lift(&self, stream: &StreamId) -> bool {
        let mut records = self.records.lock();
        let record = records.remove(stream);
        self.count.store(records.len(), Ordering::Release);
        record.is_some_and(|record| Self::in_force(stream, &record, Instant::now()).is_some())
    }

    /// Forgets what is long past.
    pub(crate) fn sweep(&self) {
        if self.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut records = self.records.lock();
        records.retain(|_, record| {
            now < instant::after(record.until.unwrap_or(record.since), self.window.saturating_mul(2))
        });
        self.count.store(records.len(), Ordering::Release);
    }

    fn in_force(stream: &StreamId, record: &Record, now: Instant) -> Option<Quarantined> {
        let until = record.until.filter(|until| *until > now)?;
        Some(Quarantined { stream: stream.clone(), retry_after: until - now, reason: record.reason.clone() })
    }
}
