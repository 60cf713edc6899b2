//! Somebody who asks now and then, beside the arrivals: an independent look at how soon a refusal comes.
//!
//! A thread of its own, before all others if the system allows it, asks a few hundred times a second, on time, and has nothing
//! else to do. What it records is counted from when a call was due, so it hides nothing: neither that it woke up late, nor that
//! the runtime took long; and beside that from when it asked, which tells the two apart. Beside it a task of the async runtime asks the same: it must be given a worker first, behind all other
//! tasks of a runtime that has more to do than it can.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Handle;

use crate::arrivals::come_first;
use crate::recorder::{Recorders, Window, nanos};
use crate::target::{Outcome, Target};
use crate::timeline::histogram;
use crate::workload::{Picker, Pickers};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(5);

/// Asks a target.
pub(crate) struct Prober<T> {
    pub(crate) target: T,
    pub(crate) pickers: Pickers,
    pub(crate) recorders: Arc<Recorders>,
    pub(crate) runtime: Handle,
}

/// How long refusals took, in nanoseconds since they were due.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    /// Asked by the thread.
    pub(crate) thread: Histogram<u64>,
    /// The part of it from when the runtime was asked; the rest is the thread's waiting for a core.
    pub(crate) asked: Histogram<u64>,
    /// Asked by tasks of the async runtime.
    pub(crate) task: Histogram<u64>,
}

impl<T: Target> Prober<T> {
    /// Asks in a window. Blocks its thread.
    pub(crate) fn run(self, window: Window) -> Probes {
        come_first(-20);
        // Linux wakes a sleeper up to 50 µs late, to spare the battery.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut picker = self.pickers.picker(u32::MAX, 0);
        let (mut thread, mut of_asked) = (histogram(3), histogram(3));
        let task = Arc::new(Mutex::new(histogram(3)));
        for number in 0u32.. {
            let due = window.start + EVERY * number;
            if due >= window.end {
                break;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let asked = Instant::now();
            if let Some(answered) = self.ask_here(&mut picker, window, due) {
                thread.saturating_record(nanos(answered - due));
                of_asked.saturating_record(nanos(answered - asked));
            }
            self.ask_from_task(&mut picker, window, due, &task);
        }
        let task = task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Probes { thread, asked: of_asked, task }
    }

    /// When it was refused, if it was; what is admitted is awaited elsewhere.
    fn ask_here(&self, picker: &mut Picker, window: Window, due: Instant) -> Option<Instant> {
        let operation = picker.pick();
        let mut call = Box::pin(self.target.call(operation));
        let recorders = Arc::clone(&self.recorders);
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Outcome::Overloaded { .. }) => return Some(Instant::now()),
            Poll::Ready(outcome) => recorders.record(&window, operation, outcome, due, Instant::now()),
            Poll::Pending => drop(self.runtime.spawn(async move {
                let outcome = call.await;
                recorders.record(&window, operation, outcome, due, Instant::now());
            })),
        }
        None
    }

    fn ask_from_task(&self, picker: &mut Picker, window: Window, due: Instant, task: &Arc<Mutex<Histogram<u64>>>) {
        let operation = picker.pick();
        let call = self.target.call(operation);
        let (recorders, task) = (Arc::clone(&self.recorders), Arc::clone(task));
        self.runtime.spawn(async move {
            let outcome = call.await;
            match outcome {
                Outcome::Overloaded { .. } => {
                    task.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(nanos(due.elapsed()));
                }
                outcome => recorders.record(&window, operation, outcome, due, Instant::now()),
            }
        });
    }
}
