//! How long somebody has owed an answer: the disk to the writer, sled to the applier. Read by the watchdog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs from asking to the answer.
#[derive(Debug)]
pub(crate) struct Timer {
    created: Instant,
    /// Milliseconds after `created`, plus one, at which was asked; 0 when nobody is being asked.
    asked_at: AtomicU64,
}

impl Default for Timer {
    fn default() -> Self {
        Timer { created: Instant::now(), asked_at: AtomicU64::new(0) }
    }
}

impl Timer {
    /// Somebody is asked for something.
    pub(crate) fn ask(&self) {
        let now = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.asked_at.store(now + 1, Ordering::Release);
    }

    /// The answer has come.
    pub(crate) fn answered(&self) {
        self.asked_at.store(0, Ordering::Release);
    }

    /// How long the answer has been owed.
    pub(crate) fn waiting_for(&self) -> Option<Duration> {
        let asked_at = self.asked_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.created.elapsed().saturating_sub(Duration::from_millis(asked_at)))
    }
}
