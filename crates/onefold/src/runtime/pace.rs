//! How fast the journal is, and how much may be admitted while it is behind.
//!
//! What is admitted has to be written before things are as they were. A count alone bounds the memory of that, not the time:
//! it depends on the events, which nobody knows before they are decided, and on the disk. So one append at a time is watched
//! on its way:
//!
//! ```text
//!   handed to the journal ─────────────────────────▶ acknowledged
//!             so many answers were released meanwhile
//!
//!   it takes more than half of backlog_time_max:  limit = answers per second × backlog_time_max, 64 at least
//!   the journal had no room:                      the same
//!   otherwise:                                    limit × 2, up to admitted_max; not before the last change shows
//! ```
//!
//! The journal decides in order and is busy while something waits in it, so what was answered meanwhile is its pace. A command
//! that is not watched looks at two numbers and changes none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use onefold_core::journal::{Acknowledge, Acknowledgement, AppendOutcome};
use tokio::time::Instant;

use super::shared::Shared;
use crate::config::{Config, SHARE};
use crate::sync::Mutex;

/// So many are admitted however slow the journal is: as many as may wait for room in it.
const LIMIT_MIN: u64 = 64;

/// Answers between two looks, and between two appends that are watched while the journal keeps up.
const EVERY: u64 = 64;

/// See the module.
pub(crate) struct Pace {
    /// How many calls may be admitted.
    limit: AtomicU64,
    limit_max: u64,
    share_max: usize,
    backlog_time_max: Duration,
    /// The next append is to be watched.
    wanted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Answers released since the start.
    answered: u64,
    watched: Option<Watched>,
    /// When the limit was changed last.
    changed: Option<Instant>,
    /// How much was answered when the sweeper looked last, unless something was or came to be watched.
    idle_at: Option<u64>,
}

/// The append that is watched.
struct Watched {
    since: Instant,
    answered_before: u64,
    /// How long it took, and whether the journal had room then. It is weighed when its group is counted as answered.
    took: Option<(Duration, bool)>,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Arc<Self> {
        let limit_max = config.admitted_max as u64;
        Arc::new(Pace {
            limit: AtomicU64::new(limit_max),
            limit_max,
            share_max: config.admitted_per_aggregate_max,
            backlog_time_max: config.backlog_time_max,
            wanted: AtomicBool::new(true),
            state: Mutex::new(State::default()),
        })
    }

    /// How many calls may be admitted, and the bound that says so.
    pub(crate) fn limit(&self) -> (&'static str, u64) {
        match self.limit.load(Ordering::Relaxed) {
            limit if limit < self.limit_max => ("backlog_time_max", limit),
            limit => ("admitted_max", limit),
        }
    }

    /// How many of one aggregate, and the bound that says so.
    pub(crate) fn share(&self) -> (&'static str, usize) {
        let limit = usize::try_from(self.limit.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        match limit / SHARE {
            share if share < self.share_max => ("backlog_time_max / 16", share.max(1)),
            _ => ("admitted_per_aggregate_max", self.share_max),
        }
    }

    /// So many answers were released together.
    pub(super) fn released(&self, answers: usize) {
        let mut state = self.state.lock();
        let before = state.answered;
        state.answered += answers as u64;
        if let Some((took, has_room)) = state.watched.as_ref().and_then(|watched| watched.took) {
            return self.weigh(&mut state, took, has_room);
        }
        if before / EVERY == state.answered / EVERY {
            return;
        }
        match &state.watched {
            None => self.wanted.store(true, Ordering::Relaxed),
            Some(watched) => {
                let took = watched.since.elapsed();
                if self.is_long(took) {
                    // It is known already what it will show.
                    self.lower(state.answered - watched.answered_before, took);
                    state.changed = Some(Instant::now());
                }
            }
        }
    }

    /// The append that is watched was acknowledged. Its answer, and those of its group, are about to be released.
    fn acknowledged(&self, has_room: bool) {
        if let Some(watched) = &mut self.state.lock().watched {
            watched.took = Some((watched.since.elapsed(), has_room));
        }
    }

    fn weigh(&self, state: &mut State, took: Duration, has_room: bool) {
        let Some(watched) = state.watched.take() else { return };
        // IMPORTANT: what was admitted by the last change must be in front of it. Else it would be raised again and again before
        // anybody sees what that does.
        let shows = |changed| watched.since.saturating_duration_since(changed) >= self.backlog_time_max / 4;
        if !has_room || self.is_long(took) {
            self.lower(state.answered - watched.answered_before, took);
            state.changed = Some(Instant::now());
        } else if state.changed.is_some_and(shows) {
            self.raise();
            state.changed = Some(Instant::now());
        }
        // Without a pause, to be back soon.
        let is_lowered = self.limit.load(Ordering::Relaxed) < self.limit_max;
        self.wanted.store(is_lowered, Ordering::Relaxed);
    }

    /// Called now and then. Lifts a limit that no append has come to lift, when the journal is not at older ones either.
    pub(super) fn sweep(&self) {
        let mut state = self.state.lock();
        let idle_at = state.watched.is_none().then_some(state.answered);
        if idle_at.is_some() && idle_at == state.idle_at {
            self.limit.store(self.limit_max, Ordering::Relaxed);
        }
        state.idle_at = idle_at;
    }

    fn is_long(&self, took: Duration) -> bool {
        took > self.backlog_time_max / 2
    }

    fn lower(&self, answers: u64, took: Duration) {
        let limit = answered_within(self.backlog_time_max, answers.max(1), took);
        self.limit.store(limit.max(LIMIT_MIN).min(self.limit_max), Ordering::Relaxed);
    }

    fn raise(&self) {
        let limit = self.limit.load(Ordering::Relaxed);
        self.limit.store(limit.saturating_mul(2).min(self.limit_max), Ordering::Relaxed);
    }
}

/// How many are answered within `time`, when so many took `took`.
fn answered_within(time: Duration, answers: u64, took: Duration) -> u64 {
    let limit = u128::from(answers).saturating_mul(time.as_nanos()) / took.as_nanos().max(1);
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Whom the journal tells: `listener`, and behind it the pace if this append is to be watched.
pub(crate) fn acknowledgement(shared: &Arc<Shared>, listener: Arc<dyn Acknowledge>) -> Acknowledgement {
    let pace = &shared.pace;
    // The first look costs nothing, and nearly always it is the only one.
    if !pace.wanted.load(Ordering::Relaxed) || !pace.wanted.swap(false, Ordering::Relaxed) {
        return Acknowledgement::new(listener);
    }
    let mut state = pace.state.lock();
    if state.watched.is_some() {
        // Somebody else was faster.
        return Acknowledgement::new(listener);
    }
    state.idle_at = None;
    state.watched = Some(Watched { since: Instant::now(), answered_before: state.answered, took: None });
    drop(state);
    Acknowledgement::new(Arc::new(Watch { shared: shared.clone(), listener }))
}

/// Passes an acknowledgement on, and tells the pace.
struct Watch {
    shared: Arc<Shared>,
    listener: Arc<dyn Acknowledge>,
}

impl Acknowledge for Watch {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        self.shared.pace.acknowledged(!self.shared.congestion.is_there());
        self.listener.clone().acknowledge(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Arc<Pace> {
        Pace::new(&Config::default())
    }

    fn begin(pace: &Pace) {
        let mut state = pace.state.lock();
        state.watched = Some(Watched { since: Instant::now(), answered_before: state.answered, took: None });
    }

    /// Watches an append. It is acknowledged after `answers`, evenly, one for each millisecond and one more.
    async fn watch(pace: &Pace, answers: usize, millis: u64, has_room: bool) {
        begin(pace);
        for milli in 0..=millis {
            pace.released(answers * usize::from(milli > 0));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        pace.acknowledged(has_room);
        pace.released(0);
    }

    /// What the limit is after an append that took so many milliseconds, with so many answers in each.
    #[tokio::test(start_paused = true)]
    async fn limit_is_what_is_answered_in_time() {
        let cases = [
            ("it keeps up", 1, 499, true, 65_536),
            ("it is behind", 5, 2_000, true, 5_000),
            ("it is a little behind", 5, 501, true, 5_000),
            ("it is behind, and fast", 100, 600, true, 65_536),
            ("it is behind, and answers nothing else", 0, 10_000, true, 64),
            ("it has no room", 20, 250, false, 20_000),
            ("it has no room, and no time passed", 1, 0, false, 1_000),
        ];
        for (case, answers, millis, has_room, limit) in cases {
            let pace = pace();
            watch(&pace, answers, millis, has_room).await;
            let (bound, is) = pace.limit();
            assert!(is.abs_diff(limit) <= limit / 50, "{case}: {is}");
            assert_eq!(bound, if limit < 65_536 { "backlog_time_max" } else { "admitted_max" }, "{case}");
            assert_eq!(pace.wanted.load(Ordering::Relaxed), limit < 65_536, "{case}: watched again at once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_aggregate_has_a_sixteenth() {
        let pace = pace();
        assert_eq!(pace.share(), ("admitted_per_aggregate_max", 4_096));
        watch(&pace, 2, 1_000, true).await;
        assert_eq!(pace.share(), ("backlog_time_max / 16", 124));
        watch(&pace, 0, 1_000, true).await;
        assert_eq!(pace.share(), ("backlog_time_max / 16", 4));
    }

    #[tokio::test(start_paused = true)]
    async fn limit_doubles_until_it_is_gone() {
        let pace = pace();
        watch(&pace, 20, 1_000, true).await;
        let mut limits = Vec::new();
        for _ in 0..4 {
            limits.push(pace.limit().1);
            watch(&pace, 1, 1, true).await;
            assert_eq!(limits.last(), Some(&pace.limit().1), "what the last change did does not show yet");
            tokio::time::advance(Duration::from_millis(250)).await;
            watch(&pace, 1, 1, true).await;
        }
        assert_eq!(limits, [19_980, 39_960, 65_536, 65_536]);
    }

    /// A journal that answers others, but not yet the one that is watched, is seen to be behind before that one comes.
    #[tokio::test(start_paused = true)]
    async fn long_wait_is_seen_before_its_end() {
        let pace = pace();
        begin(&pace);
        for limit in [65_536, 65_536, 65_536, 65_536, 65_536, 5_000, 5_000] {
            tokio::time::advance(Duration::from_millis(100)).await;
            pace.released(500);
            assert_eq!(pace.limit().1, limit);
        }
    }

    /// Nobody comes any more: the next burst must not find the limit of an hour ago.
    #[tokio::test(start_paused = true)]
    async fn limit_goes_when_nothing_comes() {
        let pace = pace();
        watch(&pace, 0, 1_000, true).await;
        pace.sweep();
        pace.released(1);
        pace.sweep();
        assert_eq!(pace.limit(), ("backlog_time_max", 64), "older ones are being answered");
        pace.sweep();
        assert_eq!(pace.limit(), ("admitted_max", 65_536));
    }
}
