//! The most memory that the process had while it was watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::footprint;

/// Between two looks.
const TICK: Duration = Duration::from_millis(50);

/// A thread that looks.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl MemoryWatch {
    /// Begins to watch.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&ended);
        let thread = std::thread::Builder::new().name("memory-watch".into()).spawn(move || {
            let mut most = 0;
            while !watched.load(Ordering::Acquire) {
                most = most.max(footprint::resident_bytes()?);
                std::thread::sleep(TICK);
            }
            Ok(most)
        })?;
        Ok(MemoryWatch { ended, thread })
    }

    /// Ends, and says how much it was at most, in bytes.
    pub(crate) fn stop(self) -> anyhow::Result<u64> {
        self.ended.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow::anyhow!("the memory's watcher panicked"))?
    }
}
