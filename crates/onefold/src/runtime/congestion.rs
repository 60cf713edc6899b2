//! What happens while the journal has no room: who may still decide.
//!
//! An append that finds no room waits with its aggregate, and it is memory that nobody's queue counts. One for each of a
//! hundred thousand aggregates would be without measure; and all of them would be woken whenever there is room for one. So
//! while any append waits, commands need one of a few permits before they start, in turn, and keep it until the journal has
//! taken their append. Undecided they wait in bounded queues, where their deadlines reach them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Appends that wait for room in the journal at most; beyond them, those of handlers that had begun before.
const WAITING_MAX: usize = 64;

/// See the module.
pub(crate) struct Congestion {
    waiting: AtomicUsize,
    permits: Arc<Semaphore>,
}

impl Default for Congestion {
    fn default() -> Self {
        Congestion { waiting: AtomicUsize::new(0), permits: Arc::new(Semaphore::new(WAITING_MAX)) }
    }
}

impl Congestion {
    /// Whether the journal has no room: a command needs a permit.
    pub(crate) fn is_there(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// A permit to decide, when it is this one's turn.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// An append begins to wait.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }
}

/// An append that waits for room.
pub(crate) struct Waiting<'a>(&'a Congestion);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
