//! The total bounds on what is admitted and not yet answered: a count and bytes, in one atomic number. While the journal is
//! behind, the count is bounded by its pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::pace::Pace;
use crate::config::Config;

/// Bytes in the low 40 bits, count in the high 24.
const COUNT_ONE: u64 = 1 << 40;

/// See the module.
pub(crate) struct Admission {
    admitted: AtomicU64,
    pace: Arc<Pace>,
    bytes_max: u64,
    /// Tells a shutdown that nothing is admitted any more.
    empty: Notify,
}

/// Which bound is reached.
pub(crate) struct Refused {
    pub(crate) bound: &'static str,
    pub(crate) limit: usize,
}

impl Admission {
    pub(super) fn new(config: &Config, pace: Arc<Pace>) -> Self {
        Admission {
            admitted: AtomicU64::new(0),
            pace,
            bytes_max: config.admitted_bytes_max as u64,
            empty: Notify::new(),
        }
    }

    /// What a call of that many bytes counts for. One that is larger than the bound takes all of it: it goes when nothing else
    /// is admitted, instead of never.
    pub(crate) fn cost(&self, bytes: usize) -> u32 {
        u32::try_from(self.bytes_max.min(bytes as u64)).unwrap_or(u32::MAX)
    }

    /// The bound that is reached already, whatever comes: that of the count, mostly, for one in bytes leaves some room. Changes nothing: in an overload most commands get no further, and those
    /// that are served do not have to share the number with them.
    pub(crate) fn is_full(&self) -> Option<Refused> {
        let admitted = self.admitted.load(Ordering::Relaxed);
        self.exceeded(admitted / COUNT_ONE + 1, admitted % COUNT_ONE)
    }

    /// Admits one call that counts for so many bytes.
    pub(crate) fn admit(&self, bytes: u32) -> Result<(), Refused> {
        let after =
            self.admitted.fetch_add(COUNT_ONE + u64::from(bytes), Ordering::AcqRel) + COUNT_ONE + u64::from(bytes);
        match self.exceeded(after / COUNT_ONE, after % COUNT_ONE) {
            None => Ok(()),
            Some(refused) => {
                self.release(bytes);
                Err(refused)
            }
        }
    }

    /// The bound that so many calls of so many bytes would exceed.
    fn exceeded(&self, count: u64, bytes: u64) -> Option<Refused> {
        let (bound, count_max) = self.pace.limit();
        #[expect(clippy::cast_possible_truncation, reason = "came from a usize")]
        match (count > count_max, bytes > self.bytes_max) {
            (false, false) => None,
            (true, _) => Some(Refused { bound, limit: count_max as usize }),
            (false, true) => Some(Refused { bound: "admitted_bytes_max", limit: self.bytes_max as usize }),
        }
    }

    /// One call is answered.
    pub(crate) fn release(&self, bytes: u32) {
        let before = self.admitted.fetch_sub(COUNT_ONE + u64::from(bytes), Ordering::AcqRel);
        if before / COUNT_ONE == 1 {
            self.empty.notify_waiters();
        }
    }

    /// How many calls are admitted.
    pub(crate) fn count(&self) -> usize {
        usize::try_from(self.admitted.load(Ordering::Acquire) / COUNT_ONE).unwrap_or(usize::MAX)
    }

    /// Resolves when nothing is admitted.
    pub(crate) async fn until_empty(&self) {
        loop {
            let empty = self.empty.notified();
            if self.count() == 0 {
                return;
            }
            empty.await;
        }
    }
}
