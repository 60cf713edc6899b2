//! The reader threads: every read of sled happens here, because any may block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onefold_core::journal::ReadError;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::store::panic_message;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads and their queue.
pub(crate) struct ReaderPool {
    state: Mutex<State>,
    filled: Condvar,
    /// Jobs in progress or waiting.
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    stopped: bool,
}

impl ReaderPool {
    pub(crate) fn new(jobs_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(jobs_max.min(Semaphore::MAX_PERMITS)));
        ReaderPool { state: Mutex::default(), filled: Condvar::new(), permits }
    }

    /// Runs a job on a reader thread. While too many are waiting, it waits to be queued.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ReadError::Closed)?;
        self.start(permit, job).await.unwrap_or(Err(ReadError::Closed))
    }

    /// A permit for [`start`](ReaderPool::start), if there is one without waiting.
    pub(crate) fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Queues a job at once. It is skipped if nobody waits for it any more when its turn comes.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        job: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, ReadError>> {
        let (sender, receiver) = oneshot::channel();
        self.push(Box::new(move || {
            if sender.is_closed() {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| {
                let reason = format!("a reader panicked: {}", panic_message(&*panic));
                Err(ReadError::Storage { reason: reason.into() })
            });
            drop(permit);
            drop(sender.send(result));
        }));
        receiver
    }

    fn push(&self, job: Job) {
        let mut state = self.state.lock();
        if state.stopped {
            return;
        }
        state.jobs.push_back(job);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    /// A thread.
    pub(crate) fn work(&self) {
        let mut state = self.state.lock();
        while !state.stopped {
            match state.jobs.pop_front() {
                Some(job) => {
                    drop(state);
                    job();
                    state = self.state.lock();
                }
                None => {
                    state.idle += 1;
                    self.filled.wait(&mut state);
                    state.idle -= 1;
                }
            }
        }
    }

    /// Ends the threads after the jobs they are at; the others are dropped.
    pub(crate) fn stop(&self) {
        self.permits.close();
        let mut state = self.state.lock();
        state.stopped = true;
        let dropped = std::mem::take(&mut state.jobs);
        drop(state);
        drop(dropped);
        self.filled.notify_all();
    }
}
