//! Commands that arrive far faster than they can be done: the open loop of the overload.
//!
//! A thread of its own sends what is due, whether or not anything was answered. Each command is polled once where it
//! arrives: what is refused is answered right there and costs no task; what is admitted becomes a task, and of those there
//! are as many as the runtime admits, no more. So nothing queues up outside of the runtime's own bounds.
//!
//! A command that finds its aggregate at rest is handled where it is polled, so the thread does part of the service's work,
//! as any thread that takes requests would; and now and then it waits for a core. Both make it late with what is due next, and
//! that is told apart: how long the runtime took to answer is counted from when it was asked.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Handle;

use crate::core_time::CoreTime;
use crate::recorder::{Recorders, Window, nanos};
use crate::target::{Outcome, Target};
use crate::timeline::{Timeline, histogram};
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

/// What was sent in one stretch.
#[derive(Debug)]
pub(crate) struct Offered {
    /// How many.
    pub(crate) count: u64,
    /// Of what was refused: from when it was asked to the answer, in nanoseconds.
    pub(crate) refusals: Histogram<u64>,
    /// Of everything: from when it was due to when it was asked. The generator's own lateness.
    pub(crate) lateness: Histogram<u64>,
    /// What the generator's thread took.
    pub(crate) cores: CoreTime,
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

    /// Sends one stretch after the other, without a pause. Blocks its thread; tells what was sent in each, because it may be
    /// too slow itself.
    pub(crate) fn run(&mut self, stretches: &[Stretch]) -> Vec<Offered> {
        come_first(-10);
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
    fn stretch(&mut self, rate: f64, window: Window) -> Offered {
        let cores = CoreTime::of_this_thread();
        let mut offered =
            Offered { count: 0, refusals: histogram(3), lateness: histogram(3), cores: CoreTime::default() };
        let due_at = |moment: Instant| (moment.saturating_duration_since(window.start).as_secs_f64() * rate) as u64;
        let all = due_at(window.end);
        loop {
            let now = Instant::now();
            if now >= window.end {
                offered.cores = CoreTime::of_this_thread() - cores;
                return offered;
            }
            let due = due_at(now).min(all);
            if offered.count >= due {
                std::thread::sleep(SLEEP);
            }
            for _ in 0..(due - offered.count).min(BURST) {
                let started = window.start + Duration::from_secs_f64(offered.count as f64 / rate);
                self.send(window, started, &mut offered);
                offered.count += 1;
            }
        }
    }

    fn send(&mut self, window: Window, due: Instant, offered: &mut Offered) {
        let pickers = self.pickers.len() as u64;
        let operation = self.pickers[usize::try_from(offered.count % pickers).unwrap_or(0)].pick();
        let asked = Instant::now();
        offered.lateness.saturating_record(nanos(asked.saturating_duration_since(due)));
        let mut call = Box::pin(self.target.call(operation));
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => {
                let answered = Instant::now();
                self.timeline.record(&outcome, due, answered);
                match outcome {
                    // There are millions of them.
                    Outcome::Overloaded { .. } => offered.refusals.saturating_record(nanos(answered - asked)),
                    outcome => self.recorders.record(&window, operation, outcome, due, answered),
                }
            }
            Poll::Pending => {
                let (recorders, timeline) = (Arc::clone(&self.recorders), Arc::clone(&self.timeline));
                self.runtime.spawn(async move {
                    let outcome = call.await;
                    let answered = Instant::now();
                    timeline.record(&outcome, due, answered);
                    recorders.record(&window, operation, outcome, due, answered);
                });
            }
        }
    }
}

/// Makes this thread more important than the runtime's, if the system allows it: whoever sends from outside does not wait for
/// the cores of the one who serves.
pub(crate) fn come_first(nice: i32) {
    let _ = rustix::process::setpriority_process(None, nice);
}
