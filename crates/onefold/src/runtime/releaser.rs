//! Releases answers on a tokio worker, a group at a time.
//!
//! A journal acknowledges on a thread of its own. Waking a task from there costs a lock and perhaps a system call each
//! time; so the acknowledgements of a group are only noted there, and one task, woken once, answers them all.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::pace::Pace;
use crate::sync::Mutex;
use onefold_core::journal::AppendOutcome;
use tokio::runtime::Handle;

/// Something whose answer waits for an acknowledgement.
pub(crate) trait Release: Send + Sync {
    /// Looks at its own memory, and at that of its aggregate, without a purpose but to have it at hand.
    fn touch(&self) -> bool;
    fn touch_aggregate(&self) -> bool;
    fn release(self: Arc<Self>, outcome: AppendOutcome);
}

type Released = (Arc<dyn Release>, AppendOutcome);

/// Answers released between two looks at other tasks.
const BATCH: usize = 512;

/// Answers that are touched ahead together.
const WARMED: usize = 16;

/// See the module.
pub(crate) struct Releaser {
    state: Mutex<State>,
    pace: Arc<Pace>,
}

struct State {
    released: Vec<Released>,
    task: Option<Waker>,
    /// The task ends when it has nothing left to do.
    closing: bool,
    /// There is no task any more, and nothing that it left behind.
    task_gone: bool,
}

impl Releaser {
    pub(super) fn start(tokio: &Handle, pace: Arc<Pace>) -> Arc<Self> {
        let state = State { released: Vec::new(), task: None, closing: false, task_gone: false };
        let releaser = Arc::new(Releaser { state: Mutex::new(state), pace });
        crate::sync::spawn(tokio, run(Ending { releaser: releaser.clone(), batch: Vec::new() }));
        releaser
    }

    /// Notes an acknowledgement; the task does the rest.
    pub(crate) fn push(&self, call: Arc<dyn Release>, outcome: AppendOutcome) {
        let mut state = self.state.lock();
        if state.task_gone {
            drop(state);
            return call.release(outcome);
        }
        state.released.push((call, outcome));
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Ends the task when it has nothing left to do; from then on acknowledgements are passed on where they arrive.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closing = true;
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Without the task: passes on what it left behind, in order, until nothing more comes.
    fn finish(&self) {
        loop {
            let mut state = self.state.lock();
            if state.released.is_empty() {
                state.task_gone = true;
                return;
            }
            let released = std::mem::take(&mut state.released);
            drop(state);
            released.into_iter().for_each(|(call, outcome)| call.release(outcome));
        }
    }

    /// Swaps the noted acknowledgements with the empty `batch`. `None` at the end.
    fn poll_released(&self, cx: &Context<'_>, batch: &mut Vec<Released>) -> Poll<Option<()>> {
        let mut state = self.state.lock();
        if !state.released.is_empty() {
            std::mem::swap(&mut state.released, batch);
            return Poll::Ready(Some(()));
        }
        if state.closing {
            state.task_gone = true;
            return Poll::Ready(None);
        }
        state.task = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// When tokio drops the task, polled or not, acknowledgements must still reach their callers.
struct Ending {
    releaser: Arc<Releaser>,
    batch: Vec<Released>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The batch is reversed: the oldest is its last.
        self.batch.drain(..).rev().for_each(|(call, outcome)| call.release(outcome));
        self.releaser.finish();
    }
}

/// Touches what the next answers lie on, in passes: the processor then fetches many places side by side, instead of waiting
/// for one after the other.
fn warm(batch: &[Released]) {
    let next = || batch.iter().rev().take(WARMED);
    let calls = next().filter(|(call, _)| call.touch()).count();
    let slots = next().filter(|(call, _)| call.touch_aggregate()).count();
    // Nobody needs the sums; but for them the look would be left out.
    std::hint::black_box((calls, slots));
}

async fn run(mut ending: Ending) {
    loop {
        let Ending { releaser, batch } = &mut ending;
        if poll_fn(|cx| releaser.poll_released(cx, batch)).await.is_none() {
            return;
        }
        releaser.pace.released(batch.len());
        let mut since_yield = 0;
        // In order; what is left when the task is dropped at the yield is released by `Ending`.
        batch.reverse();
        loop {
            if batch.len().is_multiple_of(WARMED) {
                warm(batch);
            }
            let Some((call, outcome)) = batch.pop() else { break };
            call.release(outcome);
            since_yield += 1;
            if since_yield == BATCH {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use onefold_core::CommitNumber;
    use onefold_core::GlobalPosition;
    use onefold_core::journal::Appended;

    use super::*;
    use crate::config::Config;

    struct Note(Arc<Mutex<Vec<u64>>>);

    impl Release for Note {
        fn touch(&self) -> bool {
            true
        }

        fn touch_aggregate(&self) -> bool {
            true
        }

        fn release(self: Arc<Self>, outcome: AppendOutcome) {
            self.0.lock().push(outcome.expect("appended").commit.get());
        }
    }

    /// However it ends: by itself, with the tokio runtime before its first poll, or in the middle of a batch.
    #[test]
    fn answers_are_released_in_order_to_the_end() {
        for (polls, by_itself) in [(0, false), (1, false), (2, false), (2, true), (100, true)] {
            let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let releaser = Releaser::start(tokio.handle(), Pace::new(&Config::default()));
            let released = Arc::default();
            let push = |number| {
                let commit = CommitNumber::new(number);
                let outcome = Ok(Appended { commit, position: GlobalPosition::START });
                releaser.push(Arc::new(Note(Arc::clone(&released))), outcome);
            };
            (0..2_000).for_each(push);
            tokio.block_on(async {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
            });
            if by_itself {
                releaser.close();
            }
            (2_000..3_000).for_each(push);
            drop(tokio);
            (3_000..3_010).for_each(push);
            assert!(released.lock().iter().copied().eq(0..3_010), "after {polls} polls: {:?}", released.lock());
        }
    }
}
