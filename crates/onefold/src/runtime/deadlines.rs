//! The deadlines of all callers that wait, and one task that tells those whose time has come.
//!
//! Nearly every caller is answered long before its deadline. A timer of tokio's for each would cost two visits to a shared
//! wheel and its neighbours in it; here a deadline is an entry in a dense table, which is looked through only when the
//! earliest one known has come.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::instant;

const SHARDS: usize = 16;

/// Nothing to wait for.
const NEVER: u64 = u64::MAX;

/// Looks are at least so far apart, should deadlines come close together.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Somebody who waits, to be woken at the deadline.
pub(crate) trait Waiting: Send + Sync {
    /// Wakes whoever polls; it looks at the clock itself.
    fn nudge(&self);
}

/// See the module.
pub(crate) struct Deadlines {
    started: Instant,
    shards: [Mutex<Shard>; SHARDS],
    /// When the task looks next, at the latest, in nanoseconds since the start.
    next: AtomicU64,
    /// Tells the task that `next` has come closer.
    closer: Arc<Notify>,
    /// The tokio runtime has dropped the task.
    ended: AtomicBool,
}

#[derive(Default)]
struct Shard {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

struct Entry {
    deadline: u64,
    waiting: Arc<dyn Waiting>,
}

/// An entry's place, to take it back.
#[derive(Debug)]
pub(crate) struct Ticket {
    shard: usize,
    index: usize,
}

/// What one thread takes and gives back in turn stays in its cache. And where there is one thread, those whose deadlines
/// pass together are nudged in the order that their places give, which a simulation can repeat; addresses would not.
fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}

impl Deadlines {
    pub(super) fn start(tokio: &Handle) -> Arc<Self> {
        let deadlines = Arc::new(Deadlines {
            started: Instant::now(),
            shards: Default::default(),
            next: AtomicU64::new(NEVER),
            closer: Arc::default(),
            ended: AtomicBool::new(false),
        });
        tokio.spawn(run(Ending(Arc::downgrade(&deadlines)), deadlines.closer.clone()));
        deadlines
    }

    /// Will nudge `waiting` at the deadline, unless the entry is taken back. `None` when the tokio runtime has ended.
    pub(crate) fn enter(&self, deadline: Instant, waiting: Arc<dyn Waiting>) -> Option<Ticket> {
        let deadline = self.nanos(deadline);
        let shard = shard_of_this_thread();
        let index = {
            let mut shard = self.shards[shard].lock();
            // IMPORTANT: under the lock, under which the end nudges everybody.
            if self.has_ended() {
                return None;
            }
            shard.put(Entry { deadline, waiting })
        };
        if deadline < self.next.load(Ordering::SeqCst) && deadline < self.next.fetch_min(deadline, Ordering::SeqCst) {
            self.closer.notify_one();
        }
        Some(Ticket { shard, index })
    }

    /// Takes an entry back.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let entry = self.shards[ticket.shard].lock().take(ticket.index);
        drop(entry);
    }

    /// Whether the tokio runtime has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Nudges those whose time has come. Returns when to look next.
    pub(crate) fn look(&self) -> u64 {
        // IMPORTANT: first. Who enters behind the look's back lowers it again.
        self.next.store(NEVER, Ordering::SeqCst);
        let now = self.nanos(Instant::now());
        let next = self.shards.iter().map(|shard| nudge_until(shard, now)).min().unwrap_or(NEVER);
        self.next.fetch_min(next, Ordering::SeqCst).min(next)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.shards.iter().for_each(|shard| {
            nudge_until(shard, NEVER);
        });
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_nanos()).unwrap_or(NEVER)
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.closer.notify_one();
    }
}

impl Shard {
    fn put(&mut self, entry: Entry) -> usize {
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = Some(entry);
                index
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() - 1
            }
        }
    }

    fn take(&mut self, index: usize) -> Option<Entry> {
        self.free.push(index);
        self.entries[index].take()
    }
}

/// Nudges those of a shard whose deadline is not after `now`. Returns the earliest of the others'.
fn nudge_until(shard: &Mutex<Shard>, now: u64) -> u64 {
    let mut due = Vec::new();
    let mut next = NEVER;
    for entry in shard.lock().entries.iter_mut().flatten() {
        if entry.deadline <= now {
            due.push(entry.waiting.clone());
            // Once: it takes its entry back itself.
            entry.deadline = NEVER;
        } else {
            next = next.min(entry.deadline);
        }
    }
    // Outside the lock: who is nudged may take its entry back at once.
    due.iter().for_each(|waiting| waiting.nudge());
    next
}

/// When tokio drops the task, polled or not, nobody must be left waiting.
struct Ending(Weak<Deadlines>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(deadlines) = self.0.upgrade() {
            deadlines.end();
        }
    }
}

async fn run(deadlines: Ending, closer: Arc<Notify>) {
    loop {
        let (next, started) = match deadlines.0.upgrade() {
            Some(deadlines) => (deadlines.look(), deadlines.started),
            None => return,
        };
        let soonest = instant::after(Instant::now(), LOOK_EVERY);
        let mut wake = soonest.max(instant::after(started, Duration::from_nanos(next)));
        while tokio::time::timeout_at(wake, closer.notified()).await.is_ok() {
            let Some(deadlines) = deadlines.0.upgrade() else { return };
            let next = deadlines.next.load(Ordering::SeqCst);
            wake = soonest.max(instant::after(started, Duration::from_nanos(next)));
        }
        sleep_until(soonest).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Nudged(AtomicUsize);

    impl Waiting for Nudged {
        fn nudge(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Nudged {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_nudged_once_and_at_its_time_whatever_the_order_of_entering() {
        let deadlines = Deadlines::start(&Handle::current());
        let waiting: Vec<_> = [30, 1, 7, 2].map(|seconds| (seconds, Arc::new(Nudged::default()))).into();
        let mut tickets = Vec::new();
        for (seconds, one) in &waiting {
            tickets.push(deadlines.enter(after(*seconds), one.clone()).unwrap());
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        for second in [1, 2, 3, 7, 29, 31, 40] {
            sleep_until(start + Duration::from_secs(second) + Duration::from_millis(1)).await;
            for (seconds, one) in &waiting {
                assert_eq!(one.count(), usize::from(*seconds <= second), "{seconds} s, after {second} s");
            }
        }
        tickets.into_iter().for_each(|ticket| deadlines.leave(ticket));
    }

    #[tokio::test(start_paused = true)]
    async fn who_left_is_not_nudged_and_its_place_is_used_again() {
        let deadlines = Deadlines::start(&Handle::current());
        let (gone, stays) = (Arc::new(Nudged::default()), Arc::new(Nudged::default()));
        let ticket = deadlines.enter(after(1), gone.clone()).unwrap();
        deadlines.leave(ticket);
        let _ticket = deadlines.enter(after(2), stays.clone()).unwrap();
        sleep_until(after(3)).await;
        assert_eq!((gone.count(), stays.count()), (0, 1));
        assert_eq!(Arc::strong_count(&gone), 1, "an entry taken back is let go of");
    }

    #[test]
    fn end_of_tokio_nudges_all_who_wait_and_takes_no_more() {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let deadlines = tokio.block_on(async { Deadlines::start(&Handle::current()) });
        let waiting = Arc::new(Nudged::default());
        let _ticket = tokio.block_on(async { deadlines.enter(after(60), waiting.clone()) }).unwrap();
        drop(tokio);
        assert_eq!(waiting.count(), 1);
        assert!(deadlines.enter(Instant::now(), waiting).is_none());
    }
}
