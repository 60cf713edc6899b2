//! Commands that arrive far faster than they can be done: the open loop of the overload.
//!
//! A thread of its own sends what is due, whether or not anything was answered. Each command is polled once where it
//! arrives: what is refused is answered right there and costs no task; what is admitted becomes a task, and of those there
//! are as many as the runtime admits, no more. So nothing queues up outside of the runtime's own bounds.
//!
//! A command that finds its aggregate at rest is handled where it is polled, so the thread does part of the service's work,
//! as any thread that takes requests would.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::recorder::{Recorders, Window};
use crate::target::{Outcome, Target};
use crate::timeline::Timeline;
use crate::workload::{Picker, Pickers};

/// Between two looks at what is due.
const SLEEP: Duration = Duration::from_micros(100);

/// So many commands are sent before the clock is looked at again.
const BURST: u64 = 64;

/// How many arrive, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// Commands per second.
    pub(crate) rate: f64,
    pub(crate) length: Duration,
}

/// Sends commands to a target.
pub(crate) struct Arrivals<T> {
    target: T,
    pickers: Vec<Picker>,
    recorders: Arc<Recorders>,
    timeline: Arc<Timeline>,
    runtime: Handle,
}

impl<T: Target> Arrivals<T> {
    pub(crate) fn new(target: T, pickers: &Pickers, recorders: &Arc<Recorders>, timeline: &Arc<Timeline>) -> Self {
        Arrivals {
            target,
            pickers: (0..pickers.clients()).map(|client| pickers.picker(0, client)).collect(),
            recorders: Arc::clone(recorders),
            timeline: Arc::clone(timeline),
            runtime: Handle::current(),
        }
    }

    /// Makes this thread more important than the runtime's, if the system allows it: whoever sends from outside does not wait
    /// for the cores of the one who serves.
    fn come_first() {
        let _ = rustix::process::setpriority_process(None, -10);
    }

    /// Sends one stretch after the other, without a pause. Blocks its thread; tells how many were sent in
    /// each, because it may be too slow itself.
    pub(crate) fn run(&mut self, stretches: &[Stretch]) -> Vec<u64> {
        Self::come_first();
        let mut start = Instant::now();
        let mut offered = Vec::new();
        for stretch in stretches {
            let window = Window { start, end: start + stretch.length };
            offered.push(self.stretch(stretch.rate, window));
            start = window.end;
        }
        offered
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn stretch(&mut self, rate: f64, window: Window) -> u64 {
        let due_at = |moment: Instant| (moment.saturating_duration_since(window.start).as_secs_f64() * rate) as u64;
        let all = due_at(window.end);
        let mut sent = 0;
        loop {
            let now = Instant::now();
            if now >= window.end {
                return sent;
            }
            let due = due_at(now).min(all);
            if sent >= due {
                std::thread::sleep(SLEEP);
            }
            for _ in 0..(due - sent).min(BURST) {
                let started = window.start + Duration::from_secs_f64(sent as f64 / rate);
                self.send(window, started, sent);
                sent += 1;
            }
        }
    }

    fn send(&mut self, window: Window, started: Instant, number: u64) {
        let pickers = self.pickers.len() as u64;
        let operation = self.pickers[usize::try_from(number % pickers).unwrap_or(0)].pick();
        let sent = Instant::now();
        let mut call = Box::pin(self.target.call(operation));
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => {
                let answered = Instant::now();
                self.timeline.record(&outcome, started, sent, answered);
                // There are millions of refusals, and the timeline counts them.
                if !matches!(outcome, Outcome::Overloaded { .. }) {
                    self.recorders.record(&window, operation, outcome, started, answered);
                }
            }
            Poll::Pending => {
                let (recorders, timeline) = (Arc::clone(&self.recorders), Arc::clone(&self.timeline));
                self.runtime.spawn(async move {
                    let outcome = call.await;
                    let answered = Instant::now();
                    timeline.record(&outcome, started, sent, answered);
                    recorders.record(&window, operation, outcome, started, answered);
                });
            }
        }
    }
}
