//! How fast a long replay goes on while others are served: it computes a little, and then leaves the processor to them.
//!
//! Without it a stream of a million events takes a worker, and the reader thread beside it, for a second; on two cores
//! everybody else's commands wait half as long again. Short replays, and those that nobody is disturbed by, are not held up.

use std::time::Duration;

use tokio::time::Instant;

/// A replay computes for so long before anybody looks at its pace: some thousand small events. A hundredth of all commands waits
/// longer than the others because of it when there are five of them in a second.
const FREE: Duration = Duration::from_millis(2);

/// Rests shorter than that are saved up: tokio's timers tick in milliseconds. What they go beyond is made good.
const REST_MIN: Duration = Duration::from_millis(1);

/// Others count as being served for so long after they were seen.
const OTHERS_SEEN_FOR: Duration = Duration::from_millis(100);

/// While others are served, a replay takes this share of all workers at most.
const SHARE: u32 = 8;

/// What a replay takes of the processor in all, for what it is seen to take: a chunk costs the journal's reader thread, which
/// reads it while the replay rests, about as much as it costs to apply it.
const WITH_READING: u32 = 2;

/// The pace of one replay.
pub(super) struct Pace {
    worked: Duration,
    owed: Duration,
    /// Rested too long before.
    paid: Duration,
    others_seen: Option<Instant>,
    /// So many times as long as it works it rests.
    rests: u32,
    /// Then it hurries: it must not come too late by waiting for others.
    until: Instant,
}

impl Pace {
    /// For a replay that shares so many workers with others, and gives way to them until some time.
    pub(super) fn new(workers: usize, until: Instant) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        Pace {
            worked: Duration::ZERO,
            owed: Duration::ZERO,
            paid: Duration::ZERO,
            others_seen: None,
            rests: (WITH_READING * SHARE / workers).saturating_sub(1),
            until,
        }
    }

    /// How long to rest now, after another chunk took so long; often not at all.
    pub(super) fn after(&mut self, took: Duration, others_are_served: bool, now: Instant) -> Duration {
        if others_are_served {
            self.others_seen = Some(now);
        }
        self.worked += took;
        if self.worked > FREE && now < self.until && self.others_seen.is_some_and(|seen| now - seen < OTHERS_SEEN_FOR) {
            self.owed += took * self.rests;
            let paid = self.owed.min(self.paid);
            (self.owed, self.paid) = (self.owed - paid, self.paid - paid);
        }
        match self.owed < REST_MIN {
            true => Duration::ZERO,
            false => std::mem::take(&mut self.owed),
        }
    }

    /// A rest was longer than asked for.
    pub(super) fn overslept(&mut self, by: Duration) {
        self.paid += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: Duration = Duration::from_millis(1);

    /// How long a replay of so many chunks of a millisecond rests in all, on so many workers.
    fn rests(workers: usize, chunks: u32, others: impl Fn(u32) -> bool) -> Duration {
        let start = Instant::now();
        let mut pace = Pace::new(workers, start + CHUNK * 1_000);
        (1..=chunks).map(|chunk| pace.after(CHUNK, others(chunk), start + CHUNK * chunk)).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn long_replay_takes_an_eighth_of_the_workers_while_others_are_served() {
        assert_eq!(rests(2, 102, |_| true), CHUNK * 100 * 7, "of two workers a quarter of one, half of it for reading");
        assert_eq!(rests(1, 102, |_| true), CHUNK * 100 * 15);
        assert_eq!(rests(4, 102, |_| true), CHUNK * 100 * 3);
        assert_eq!(rests(8, 102, |_| true), CHUNK * 100);
        assert_eq!(rests(16, 102, |_| true), Duration::ZERO, "an eighth of sixteen workers is two, one of them reads");
        assert_eq!(rests(64, 102, |_| true), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn replay_that_would_come_too_late_hurries() {
        assert_eq!(rests(2, 100_000, |_| true), CHUNK * (999 - 2) * 7);
    }

    #[tokio::test(start_paused = true)]
    async fn longer_rest_is_made_good() {
        let start = Instant::now();
        let mut pace = Pace::new(2, start + CHUNK * 1_000);
        let mut after = |chunk: u32| pace.after(CHUNK, true, start + CHUNK * chunk);
        assert_eq!([after(1), after(2), after(3)], [Duration::ZERO, Duration::ZERO, CHUNK * 7]);
        pace.overslept(CHUNK * 9);
        let mut after = |chunk: u32| pace.after(CHUNK, true, start + CHUNK * chunk);
        assert_eq!([after(4), after(5), after(6)], [Duration::ZERO, CHUNK * 5, CHUNK * 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn replay_that_disturbs_nobody_is_not_held_up() {
        assert_eq!(rests(2, 1_000, |_| false), Duration::ZERO);
        assert_eq!(rests(2, 2, |_| true), Duration::ZERO, "it is over soon");
        let seen_once = rests(2, 1_000, |chunk| chunk == 500);
        assert_eq!(seen_once, CHUNK * 100 * 7, "a tenth of a second after the last other one it goes on as before");
    }
}
