//! The open loop: operations start at a fixed rate, whether or not earlier ones were answered.
//!
//! The pace has a thread of its own, because tokio's timers tick in milliseconds. Latency is counted from the moment an
//! operation *should* have started: one that had to wait, for the pace thread or for a free place among those in flight,
//! has that wait in its latency. So a stall shows in all operations that it would have delayed, not in one
//! ("coordinated omission").

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::recorder::{Recorders, Window};
use crate::target::Target;
use crate::workload::Pickers;

/// The pace thread sleeps at least so long: shorter sleeps cost a core and win nothing.
const SLEEP_MIN: Duration = Duration::from_micros(20);

/// Runs one round of `rate` operations per second, at most `in_flight` of them unanswered at a time.
pub(crate) async fn run<T: Target>(
    target: &T,
    pickers: &Pickers,
    rate: f64,
    round: u32,
    window: Window,
    recorders: &Arc<Recorders>,
) {
    let pace = Pace {
        target: target.clone(),
        pickers: pickers.clone(),
        interval: Duration::from_secs_f64(1.0 / rate),
        round,
        window,
        recorders: Arc::clone(recorders),
        in_flight: Arc::new(AtomicU32::new(0)),
    };
    let in_flight = Arc::clone(&pace.in_flight);
    let runtime = Handle::current();
    let pace = tokio::task::spawn_blocking(move || pace.run(&runtime));
    pace.await.expect("the pace thread doesn't panic");
    while in_flight.load(Ordering::Acquire) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Pace<T> {
    target: T,
    pickers: Pickers,
    interval: Duration,
    round: u32,
    window: Window,
    recorders: Arc<Recorders>,
    in_flight: Arc<AtomicU32>,
}

impl<T: Target> Pace<T> {
    fn run(self, runtime: &Handle) {
        // Linux wakes a sleeper up to 50 µs late, to spare the battery; here that would count as latency.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut pickers: Vec<_> =
            (0..self.pickers.clients()).map(|client| self.pickers.picker(self.round, client)).collect();
        for number in 0u32.. {
            let started = self.window.start + self.interval * number;
            if started >= self.window.end {
                return;
            }
            self.wait_until(started);
            if !self.wait_for_place() {
                return;
            }
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let operation = pickers[(number % self.pickers.clients()) as usize].pick();
            let call = self.target.call(operation);
            let (window, recorders, in_flight) =
                (self.window, Arc::clone(&self.recorders), Arc::clone(&self.in_flight));
            runtime.spawn(async move {
                let outcome = call.await;
                recorders.record(&window, operation, outcome, started, Instant::now());
                in_flight.fetch_sub(1, Ordering::Release);
            });
        }
    }

    fn wait_until(&self, moment: Instant) {
        while let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.max(SLEEP_MIN));
        }
    }

    /// False when the round ended meanwhile.
    fn wait_for_place(&self) -> bool {
        while self.in_flight.load(Ordering::Acquire) >= self.pickers.clients() {
            if Instant::now() >= self.window.end {
                return false;
            }
            std::thread::sleep(SLEEP_MIN);
        }
        true
    }
}
