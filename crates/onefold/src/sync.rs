//! The locks of the runtime, in one place, so that `shuttle` can explore every order in which threads take them.
//!
//! Compiled with `--cfg onefold_shuttle` a lock is one of shuttle's, which lets another thread go first wherever it likes; see
//! `aggregate/slot/exploration.rs`.

#[cfg(not(all(test, onefold_shuttle)))]
pub(crate) use parking_lot::Mutex;

#[cfg(all(test, onefold_shuttle))]
pub(crate) use self::explored::Mutex;

use tokio::runtime::Handle;

/// Spawns a task of the runtime's own.
#[cfg(not(all(test, onefold_shuttle)))]
pub(crate) fn spawn(tokio: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio.spawn(task));
}

#[cfg(all(test, onefold_shuttle))]
pub(crate) fn spawn(_: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    drop(shuttle::future::spawn(task));
}

/// What a handler runs within. While shuttle explores, one thread plays all of them, and is within all along.
#[cfg(not(all(test, onefold_shuttle)))]
pub(crate) fn enter(tokio: &Handle) -> tokio::runtime::EnterGuard<'_> {
    tokio.enter()
}

#[cfg(all(test, onefold_shuttle))]
pub(crate) fn enter(_: &Handle) {}

#[cfg(all(test, onefold_shuttle))]
mod explored {
    use shuttle::sync::{Mutex as Shuttled, MutexGuard, TryLockError};

    /// One of shuttle's with the face of `parking_lot`'s.
    #[derive(Default)]
    pub(crate) struct Mutex<T>(Shuttled<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(Shuttled::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics with a lock")
        }

        pub(crate) fn is_locked(&self) -> bool {
            matches!(self.0.try_lock(), Err(TryLockError::WouldBlock))
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("nobody panics with a lock")
        }
    }
}
