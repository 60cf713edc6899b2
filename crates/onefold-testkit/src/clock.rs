//! Clocks of tests: the time is what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onefold_core::{Clock, Timestamp};
use tokio::time::Instant;

/// A clock that stands still until the test moves it, in either direction. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use onefold_core::{Clock, Timestamp};
/// use onefold_testkit::ManualClock;
///
/// let clock = ManualClock::at(Timestamp::from_micros(1_000_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now(), Timestamp::from_micros(3_000_000));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        ManualClock(Arc::new(AtomicU64::new(now.as_micros())))
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Sets it, also back, as the system's clock may be.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that runs with tokio's: real in a usual runtime, virtual where time is paused, so that sleeps and timestamps
/// agree.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    start: Timestamp,
    origin: Instant,
}

impl SimulatedClock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        SimulatedClock { start, origin: Instant::now() }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.start.as_micros() + micros(self.origin.elapsed()))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_goes_back_when_told() {
        let clock = ManualClock::default();
        let same = clock.clone();
        clock.advance(Duration::from_millis(5));
        assert_eq!(same.now(), Timestamp::from_micros(5_000));
        clock.set(Timestamp::from_micros(1));
        assert_eq!(same.now(), Timestamp::from_micros(1));
    }

    #[tokio::test(start_paused = true)]
    async fn simulated_clock_follows_virtual_time() {
        let clock = SimulatedClock::starting_at(Timestamp::from_micros(7));
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now(), Timestamp::from_micros(86_400_000_007));
    }
}
