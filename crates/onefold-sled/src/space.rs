//! The free-space reserve: appends are refused before sled meets a full disk, which it could not even be opened on.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Free bytes, as last looked up, and what was written since.
#[derive(Debug)]
pub(crate) struct Space {
    free: AtomicU64,
    /// Each byte of the redo log becomes one in sled before long.
    spent: AtomicU64,
    reserve: u64,
}

impl Space {
    pub(crate) fn new(reserve: u64) -> Self {
        Space { free: AtomicU64::new(u64::MAX), spent: AtomicU64::new(0), reserve }
    }

    /// Looks it up.
    pub(crate) fn refresh(&self, dir: &Path) {
        if let Ok(stat) = rustix::fs::statvfs(dir) {
            self.spent.store(0, Ordering::Relaxed);
            self.free.store(stat.f_bavail.saturating_mul(stat.f_frsize), Ordering::Relaxed);
        }
    }

    /// So many bytes were written.
    pub(crate) fn spend(&self, bytes: u64) {
        self.spent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was written since the last look-up.
    pub(crate) fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// Free bytes and the reserve, when there are fewer than that.
    pub(crate) fn low(&self) -> Option<(u64, u64)> {
        let free = self.free.load(Ordering::Relaxed).saturating_sub(self.spent());
        (free < self.reserve).then_some((free, self.reserve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_since_the_last_look_counts() {
        let space = Space::new(1000);
        space.free.store(1500, Ordering::Relaxed);
        space.spend(400);
        assert_eq!(space.low(), None);
        space.spend(200);
        assert_eq!(space.low(), Some((900, 1000)));
        space.refresh(Path::new("/"));
        assert_eq!(space.spent(), 0);
    }
}
