//! The free-space reserve: appends are refused before sled meets a full disk, which it could not even be opened on.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Free bytes, as last looked up.
#[derive(Debug)]
pub(crate) struct Space {
    free: AtomicU64,
    reserve: u64,
}

impl Space {
    pub(crate) fn new(reserve: u64) -> Self {
        Space { free: AtomicU64::new(u64::MAX), reserve }
    }

    /// Looks it up.
    pub(crate) fn refresh(&self, dir: &Path) {
        if let Ok(stat) = rustix::fs::statvfs(dir) {
            self.free.store(stat.f_bavail.saturating_mul(stat.f_frsize), Ordering::Relaxed);
        }
    }

    /// Free bytes and the reserve, when there are fewer than that.
    pub(crate) fn low(&self) -> Option<(u64, u64)> {
        let free = self.free.load(Ordering::Relaxed);
        (free < self.reserve).then_some((free, self.reserve))
    }
}
