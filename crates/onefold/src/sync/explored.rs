//! The same under `shuttle`: one thread of the system plays all threads and tasks, and changes from one to another wherever a
//! lock is taken or given back.
//!
//! Whatever is spawned here must end before an exploration's order does: [`join_all_tasks`]. What shuttle finds unfinished
//! then it drops in the middle, be it between a lock and its release.

mod table;

use std::cell::RefCell;
use std::sync::PoisonError;

use shuttle::future::{JoinHandle, block_on};
use shuttle::sync::{Mutex as Shuttled, MutexGuard, TryLockError};
use tokio::runtime::Handle;

pub(crate) use self::table::{Entry, Table};
pub(crate) use shuttle::thread_local;

/// One of shuttle's with the face of `parking_lot`'s, which does not mind a panic either.
#[derive(Default)]
pub(crate) struct Mutex<T>(Shuttled<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(Shuttled::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_locked(&self) -> bool {
        matches!(self.0.try_lock(), Err(TryLockError::WouldBlock))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

std::thread_local! {
    /// The tasks of the order that this thread explores.
    static TASKS: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// Spawns a task of the runtime's own.
pub(crate) fn spawn(_: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    // Another one may spawn while shuttle makes the task: the list is not borrowed meanwhile.
    let task = shuttle::future::spawn(task);
    TASKS.with_borrow_mut(|tasks| tasks.push(task));
}

/// Has the tasks that were spawned so far dropped where they wait, but for the first ones.
pub(crate) fn cut_off_tasks_from(first: usize) {
    let tasks = TASKS.with_borrow_mut(|tasks| tasks.split_off(first));
    tasks.iter().for_each(JoinHandle::abort);
    // Ended or aborted: each is gone then.
    tasks.into_iter().for_each(|task| drop(block_on(task)));
}

/// Waits until every task has ended, those included that they spawn meanwhile. One that never ends is a standstill, which
/// shuttle reports.
pub(crate) fn join_all_tasks() {
    // Whoever spawns a task is one that is waited for, or has ended.
    while let Some(task) = TASKS.with_borrow_mut(Vec::pop) {
        block_on(task).expect("who cuts a task off waits for it");
    }
}

/// Forgets what an order that failed left behind.
pub(crate) fn forget_tasks() {
    TASKS.take().into_iter().for_each(std::mem::forget);
}

/// The thread is within tokio all along.
pub(crate) fn enter(_: &Handle) {}
