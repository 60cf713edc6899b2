//! Aggregates that crash again and again are left alone for a while, twice as long each time. They can be seen and lifted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use onefold_core::StreamId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::Quarantined;
use crate::instant;
use crate::telemetry;

/// The crashes of one aggregate type.
///
/// Every command looks a record up while there is any, so those are in shards; crashes are rare, and their order has a lock.
pub(crate) struct Crashes {
    records: DashMap<StreamId, Record, ahash::RandomState>,
    /// The records, the oldest first. Locked by whoever adds or removes one, before the record's shard.
    oldest: Mutex<BTreeSet<(Instant, StreamId)>>,
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
            records: DashMap::default(),
            oldest: Mutex::default(),
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
        let mut oldest = self.oldest.lock();
        if !self.records.contains_key(stream)
            && oldest.len() >= self.records_max
            && let Some((_, forgotten)) = oldest.pop_first()
        {
            self.records.remove(&forgotten);
        }
        let new = || Record { crashes: 0, since: now, level: 0, until: None, reason: String::new() };
        let mut record = self.records.entry(stream.clone()).or_insert_with(new);
        reason.clone_into(&mut record.reason);
        if record.until.is_some_and(|until| until > now) {
            // Somebody who was let in before. The quarantine goes on as it is.
            return;
        }
        oldest.remove(&(record.since, stream.clone()));
        if now.duration_since(record.since) > self.window {
            (record.crashes, record.since) = (0, now);
            // Long quiet forgives.
            if record.until.is_none_or(|until| now > instant::after(until, self.window)) {
                record.level = 0;
            }
        }
        oldest.insert((record.since, stream.clone()));
        record.crashes += 1;
        if hopeless || record.crashes >= self.crashes_max {
            let doubled = self.quarantine_min.saturating_mul(1u32.checked_shl(record.level).unwrap_or(u32::MAX));
            let span = doubled.min(self.quarantine_max);
            record.until = Some(instant::after(now, span));
            record.level += 1;
            record.crashes = 0;
            telemetry::quarantined(stream, span.as_secs_f64(), reason);
        }
        self.count.store(oldest.len(), Ordering::Release);
    }

    /// The quarantine in force, if there is one.
    pub(crate) fn check(&self, stream: &StreamId) -> Option<Quarantined> {
        if self.is_empty() {
            return None;
        }
        Self::in_force(stream, &*self.records.get(stream)?, Instant::now())
    }

    /// Whether no aggregate of the type has crashed recently.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// All quarantines in force, ordered by stream.
    pub(crate) fn list(&self) -> Vec<Quarantined> {
        let now = Instant::now();
        let mut list: Vec<_> =
            self.records.iter().filter_map(|record| Self::in_force(record.key(), record.value(), now)).collect();
        list.sort_by(|one, other| one.stream.cmp(&other.stream));
        list
    }

    /// Forgets the crashes of an aggregate. Returns whether it was in quarantine.
    pub(crate) fn lift(&self, stream: &StreamId) -> bool {
        let mut oldest = self.oldest.lock();
        let Some((_, record)) = self.records.remove(stream) else { return false };
        oldest.remove(&(record.since, stream.clone()));
        self.count.store(oldest.len(), Ordering::Release);
        Self::in_force(stream, &record, Instant::now()).is_some()
    }

    /// Forgets what is long past.
    pub(crate) fn sweep(&self) {
        if self.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut oldest = self.oldest.lock();
        self.records.retain(|stream, record| {
            let keep = now < instant::after(record.until.unwrap_or(record.since), self.window.saturating_mul(2));
            if !keep {
                oldest.remove(&(record.since, stream.clone()));
            }
            keep
        });
        self.count.store(oldest.len(), Ordering::Release);
    }

    fn in_force(stream: &StreamId, record: &Record, now: Instant) -> Option<Quarantined> {
        let until = record.until.filter(|until| *until > now)?;
        Some(Quarantined { stream: stream.clone(), retry_after: until - now, reason: record.reason.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u64) -> StreamId {
        StreamId::new("tally", format!("{id:04}")).expect("a valid id")
    }

    #[test]
    fn crashes_during_a_quarantine_do_not_lengthen_it() {
        let crashes = Crashes::new(&Config { crashes_max: 1, ..Config::default() });
        for round in 0..10 {
            crashes.strike(&stream(1), &format!("round {round}"), true);
        }
        let [quarantined] = crashes.list().try_into().expect("one");
        assert!(quarantined.retry_after <= Config::default().quarantine_min, "{quarantined}");
        assert_eq!(quarantined.reason, "round 9");
    }

    #[test]
    fn the_oldest_records_are_forgotten() {
        let crashes = Crashes::new(&Config { crashes_max: 1, crash_records_max: 100, ..Config::default() });
        (0..1_000).for_each(|id| crashes.strike(&stream(id), "on purpose", false));
        let known: Vec<_> = crashes.list().into_iter().map(|quarantined| quarantined.stream).collect();
        assert_eq!(known, (900..1_000).map(stream).collect::<Vec<_>>());
        assert!(known.iter().all(|stream| crashes.check(stream).is_some() && crashes.lift(stream)));
        assert!(crashes.is_empty() && crashes.oldest.lock().is_empty() && !crashes.lift(&stream(950)));
    }
}
