//! What decides which thread goes first, in one place: the runtime's locks, the registry's table, its tasks, and what belongs to
//! a thread.
//!
//! Compiled with `--cfg onefold_shuttle` these are `shuttle`'s, which lets another thread go first wherever it likes; see
//! `exploration.rs`.

#[cfg(all(test, onefold_shuttle))]
pub(crate) mod explored;

#[cfg(all(test, onefold_shuttle))]
pub(crate) use self::explored::{Entry, Mutex, Table, enter, spawn, thread_local};

#[cfg(not(all(test, onefold_shuttle)))]
pub(crate) use self::real::{Entry, Mutex, Table, enter, spawn, thread_local};

#[cfg(not(all(test, onefold_shuttle)))]
mod real {
    use tokio::runtime::{EnterGuard, Handle};

    pub(crate) use dashmap::Entry;
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::thread_local;

    /// A table that many threads read and change at once.
    pub(crate) type Table<K, V> = dashmap::DashMap<K, V, ahash::RandomState>;

    /// Spawns a task of the runtime's own.
    pub(crate) fn spawn(tokio: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio.spawn(task));
    }

    /// What a handler runs within.
    pub(crate) fn enter(tokio: &Handle) -> EnterGuard<'_> {
        tokio.enter()
    }
}
