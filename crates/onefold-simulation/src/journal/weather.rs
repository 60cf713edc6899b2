//! What goes wrong with a simulated journal, and how often.

use std::time::Duration;

use crate::Random;

/// How a simulated journal behaves. Rates are per 1,000; times are upper bounds in virtual time, each drawn anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Appends are written, synced and acknowledged inside the call, as an in-memory journal does. The times of writing do
    /// not matter then.
    pub direct: bool,
    /// How long one write and sync takes at most.
    pub sync: Duration,
    /// How long an acknowledgement is on its way at most. Those of different streams overtake each other.
    pub acknowledgement: Duration,
    /// How long opening a stream takes at most.
    pub open: Duration,
    /// How long each chunk of a read takes at most.
    pub read: Duration,
    /// How many appends wait at most; then they are handed back.
    pub queue_max: usize,
    /// How many appends one sync makes durable at most.
    pub group_max: usize,
    /// How many commits a chunk of a read has at most.
    pub chunk_commits_max: usize,
    /// After how long an append is answered [`Unknown`](onefold_core::journal::AppendError::Unknown) whose acknowledgement
    /// is lost.
    pub watchdog: Duration,
    /// Appends that surely fail: the journal was busy, or its disk too full.
    pub refused: u32,
    /// Appends of unknown outcome that are stored.
    pub unknown_stored: u32,
    /// Appends of unknown outcome that are not stored.
    pub unknown_lost: u32,
    /// Appends of unknown outcome that land later.
    pub unknown_late: u32,
    /// Appends that are never answered, stored or not, until the journal closes.
    pub unanswered: u32,
    /// Syncs that fail. Their group's outcome is unknown, and the journal is poisoned.
    pub failed_sync: u32,
    /// Openings that fail.
    pub failed_open: u32,
    /// Chunks that cannot be read.
    pub failed_read: u32,
    /// Chunks that are damaged.
    pub damaged_read: u32,
}

impl Weather {
    /// Nothing fails and nothing takes time.
    pub fn calm() -> Self {
        Weather {
            direct: true,
            sync: Duration::ZERO,
            acknowledgement: Duration::ZERO,
            open: Duration::ZERO,
            read: Duration::ZERO,
            queue_max: 1_024,
            group_max: 1_024,
            chunk_commits_max: 256,
            watchdog: Duration::from_secs(1),
            refused: 0,
            unknown_stored: 0,
            unknown_lost: 0,
            unknown_late: 0,
            unanswered: 0,
            failed_sync: 0,
            failed_open: 0,
            failed_read: 0,
            damaged_read: 0,
        }
    }

    /// Some weather, from fair to foul. Each fault is absent in many, so that what follows from it is not drowned by others.
    pub fn random(random: &mut Random) -> Self {
        let mut time = |choices: &[u64]| Duration::from_micros(random.pick(choices));
        let (sync, acknowledgement) = (time(&[0, 1, 100, 2_000, 30_000]), time(&[0, 0, 1, 500, 20_000, 200_000]));
        let (open, read) = (time(&[0, 0, 100, 10_000]), time(&[0, 0, 100, 10_000]));
        let watchdog = time(&[20_000, 1_000_000, 10_000_000]);
        let foul = random.one_in(2);
        let mut rate = |choices: &[u32]| if foul { random.pick(choices) } else { 0 };
        let (refused, unknown_stored, unknown_lost) = (rate(&[0, 0, 20]), rate(&[0, 0, 20]), rate(&[0, 0, 20]));
        let (unknown_late, unanswered, failed_sync) = (rate(&[0, 0, 20]), rate(&[0, 0, 0, 5]), rate(&[0, 0, 0, 4]));
        let (failed_open, failed_read, damaged_read) = (rate(&[0, 0, 50]), rate(&[0, 0, 50]), rate(&[0, 0, 0, 10]));
        Weather {
            direct: random.one_in(5),
            sync,
            acknowledgement,
            open,
            read,
            queue_max: random.pick(&[1, 4, 64, 1_024]),
            group_max: random.pick(&[1, 3, 1_024]),
            chunk_commits_max: random.pick(&[1, 2, 7, 256]),
            watchdog,
            refused,
            unknown_stored,
            unknown_lost,
            unknown_late,
            unanswered,
            failed_sync,
            failed_open,
            failed_read,
            damaged_read,
        }
    }
}
