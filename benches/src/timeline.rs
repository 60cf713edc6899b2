//! What was answered when: by slots of a tenth of a second, so that one can see how long a disturbance lasts.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::recorder::{SLOT, nanos};
use crate::target::Outcome;

/// The longest latency told apart from longer ones, in nanoseconds: two minutes.
const LATENCY_NANOS_MAX: u64 = 120_000_000_000;

/// So many slots in a row must be as before until things count as being back to normal.
const NORMAL_SLOTS: usize = 5;

/// The slots.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// Answered in this slot.
    answered: AtomicU64,
    /// Due in this slot, and refused, or failed otherwise.
    refused: AtomicU64,
    /// Of commands that were due in this slot.
    latencies: Mutex<Histogram<u64>>,
}

impl Timeline {
    /// From now on, for so long.
    pub(crate) fn starting_now(length: Duration) -> Self {
        let slots = index(length) + 1;
        let slot =
            |_| Slot { answered: AtomicU64::new(0), refused: AtomicU64::new(0), latencies: Mutex::new(histogram(2)) };
        Timeline { start: Instant::now(), slots: (0..slots).map(slot).collect() }
    }

    /// Records an answer.
    pub(crate) fn record(&self, outcome: &Outcome, due: Instant, answered: Instant) {
        let slot = |moment: Instant| self.slots.get(index(moment.saturating_duration_since(self.start)));
        match outcome {
            Outcome::Written { .. } | Outcome::Read => {
                slot(answered).map(|slot| slot.answered.fetch_add(1, Ordering::Relaxed));
                slot(due).inspect(|slot| lock(&slot.latencies).saturating_record(nanos(answered - due)));
            }
            Outcome::Overloaded { .. } | Outcome::Failed(_) | Outcome::Unknown(_) => {
                slot(due).map(|slot| slot.refused.fetch_add(1, Ordering::Relaxed));
            }
        }
    }

    /// The slots of a part of the time, whole ones only.
    pub(crate) fn slots(&self, from: Duration, to: Duration) -> Range<usize> {
        index(from)..index(to).min(self.slots.len())
    }

    /// Answers per second.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(crate) fn answered_per_second(&self, slots: Range<usize>) -> f64 {
        let seconds = SLOT.as_secs_f64() * slots.len() as f64;
        self.slots[slots].iter().map(|slot| slot.answered.load(Ordering::Relaxed)).sum::<u64>() as f64 / seconds
    }

    /// How many were refused.
    pub(crate) fn refused(&self, slots: Range<usize>) -> u64 {
        self.slots[slots].iter().map(|slot| slot.refused.load(Ordering::Relaxed)).sum()
    }

    /// A latency of commands that were due then, in microseconds.
    pub(crate) fn micros_at(&self, slots: Range<usize>, quantile: f64) -> f64 {
        let mut whole = histogram(2);
        for slot in &self.slots[slots] {
            whole.add(&*lock(&slot.latencies)).expect("the same bounds");
        }
        crate::series::micros_at(&whole, quantile)
    }

    /// The median latency in each slot, in microseconds; what was due in it and was refused.
    pub(crate) fn each(&self, slots: Range<usize>) -> (Vec<f64>, Vec<u64>) {
        slots.map(|slot| (self.micros_at(slot..slot + 1, 0.5), self.refused(slot..slot + 1))).unzip()
    }

    /// How long it took in `after` until nothing was refused any more and the median latency of five slots in a row was no
    /// more than twice the worst slot's in `before`. `None`: it never was.
    pub(crate) fn back_to_normal(&self, before: Range<usize>, after: Range<usize>) -> Option<Duration> {
        let median = |slot: usize| self.micros_at(slot..slot + 1, 0.5);
        let worst = before.map(median).fold(0.0, f64::max);
        let is_normal =
            |slot: usize| self.slots[slot].refused.load(Ordering::Relaxed) == 0 && median(slot) <= 2.0 * worst;
        let mut starts = after.start..=after.end.saturating_sub(NORMAL_SLOTS);
        let first = starts.find(|first| (*first..*first + NORMAL_SLOTS).all(is_normal))?;
        Some(SLOT * u32::try_from(first - after.start).unwrap_or(u32::MAX))
    }
}

fn index(since_start: Duration) -> usize {
    usize::try_from(since_start.as_millis() / SLOT.as_millis()).unwrap_or(usize::MAX)
}

/// For latencies, to so many digits. There are hundreds of small ones: they begin at a microsecond.
pub(crate) fn histogram(digits: u8) -> Histogram<u64> {
    let least = if digits > 2 { 1 } else { 1_000 };
    Histogram::new_with_bounds(least, LATENCY_NANOS_MAX, digits).expect("constant bounds")
}

fn lock(latencies: &Mutex<Histogram<u64>>) -> std::sync::MutexGuard<'_, Histogram<u64>> {
    latencies.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timeline of three seconds: from 1 s to 2 s commands are refused, and from then on slow for another 300 ms.
    fn disturbed() -> Timeline {
        let timeline = Timeline::starting_now(Duration::from_secs(3));
        for milli in 0..3_000 {
            let due = timeline.start + Duration::from_millis(milli);
            let latency = Duration::from_millis(if (1_000..2_300).contains(&milli) { 50 } else { 1 });
            timeline.record(&Outcome::Written { sequence: 1 }, due, due + latency);
            if (1_000..2_000).contains(&milli) {
                timeline.record(&Outcome::Overloaded { bound: "a" }, due, due);
            }
        }
        timeline
    }

    #[test]
    fn a_disturbance_is_seen_and_how_long_it_lasts() {
        let (timeline, second) = (disturbed(), Duration::from_secs(1));
        let [before, during, after] = [0, 1, 2].map(|start| timeline.slots(second * start, second * (start + 1)));
        assert_eq!(during, 10..20);
        assert_eq!([before.clone(), during.clone(), after.clone()].map(|slots| timeline.refused(slots)), [0, 1_000, 0]);
        assert!((900.0..=1_100.0).contains(&timeline.answered_per_second(during.clone())));
        assert_eq!(timeline.back_to_normal(before.clone(), after), Some(Duration::from_millis(300)));
        assert_eq!(timeline.back_to_normal(before, during), None);
    }
}
