//! Telling how far an opening got, when it takes long.

use std::time::{Duration, Instant};

use crate::config::{ProgressCallback, RebuildProgress};

/// How often progress is told, and after how long for the first time.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);

/// Tells how far rebuilding got, when it takes long.
pub(crate) struct Progress {
    callback: Option<ProgressCallback>,
    pub(super) last_commit: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    pub(crate) fn new(callback: Option<ProgressCallback>) -> Self {
        let now = Instant::now();
        Progress { callback, last_commit: 0, started: now, told: now }
    }

    /// Dealt with everything up to `commit`.
    pub(crate) fn tell(&mut self, commit: u64) {
        if self.told.elapsed() < PROGRESS_PERIOD {
            return;
        }
        self.told = Instant::now();
        let last_commit = self.last_commit.max(commit);
        let elapsed = self.started.elapsed();
        tracing::info!(commit, last_commit, ?elapsed, "rebuilding the journal");
        if let Some(callback) = &self.callback {
            callback(RebuildProgress { commit, last_commit, elapsed });
        }
    }
}
