//! One task that looks around now and then: lets idle instances go, earlier when all have grown too heavy, serves the line,
//! forgets old crashes and how slow the journal was.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::shared::{KindOps, Shared};

/// Rounds within one idle time: an instance is let go at most an eighth of it too late.
const ROUNDS: u32 = 8;

/// How long an instance must be unused for its actor to be sent home. An actor takes some 6.5 KB, and to spawn one takes some
/// 10 µs.
const DOZE_AFTER: Duration = Duration::from_secs(1);

pub(super) fn start(shared: &Arc<Shared>, kinds: Vec<Weak<dyn KindOps>>) -> JoinHandle<()> {
    let idle_timeout = shared.config.idle_timeout;
    let period = (idle_timeout / ROUNDS).clamp(Duration::from_millis(10), Duration::from_secs(1));
    let shared = Arc::downgrade(shared);
    let tokio = tokio::runtime::Handle::current();
    tokio.spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(shared) = shared.upgrade() else { return };
            sweep(&shared, idle_timeout).await;
            kinds.iter().filter_map(Weak::upgrade).for_each(|kind| kind.sweep());
        }
    })
}

async fn sweep(shared: &Shared, idle_timeout: Duration) {
    let now = shared.millis(Instant::now());
    let unused_for = |limit: Duration| {
        let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        move |last_used: u32| {
            // A use noted after `now` wraps to a huge idle time; the top bit tells.
            let idle = now.wrapping_sub(last_used);
            idle >= limit && idle < u32::MAX / 2
        }
    };
    let mut next = Some(0);
    while let Some(from) = next {
        next = shared.residency.sweep(from, unused_for(idle_timeout), unused_for(DOZE_AFTER));
        yield_now().await;
    }
    shared.residency.trim();
    shared.residency.serve_line();
    shared.pace.sweep();
}
