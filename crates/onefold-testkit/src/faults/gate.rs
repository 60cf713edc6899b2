//! A gate: closed until the test opens it.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

type Callback = Box<dyn FnOnce() + Send>;

/// What a fault waits for. Clones are the same gate; it opens once and stays open.
///
/// ```
/// use onefold_testkit::faults::Gate;
/// let gate = Gate::closed();
/// assert!(!gate.is_open());
/// gate.open();
/// assert!(gate.is_open());
/// ```
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    open: watch::Sender<bool>,
    callbacks: Mutex<Vec<Callback>>,
}

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Gate(Arc::new(Inner { open: watch::Sender::new(false), callbacks: Mutex::default() }))
    }

    /// Opens it: what was held back goes on, in order, before this returns.
    pub fn open(&self) {
        let callbacks = {
            let mut callbacks = self.0.callbacks.lock();
            self.0.open.send_replace(true);
            std::mem::take(&mut *callbacks)
        };
        callbacks.into_iter().for_each(|callback| callback());
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *self.0.open.borrow()
    }

    /// Waits until it is open.
    pub async fn wait(&self) {
        // The sender lives as long as this handle, so there is no error to handle.
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }

    /// Calls back when it opens; at once, if it is open.
    pub(super) fn on_open(&self, callback: impl FnOnce() + Send + 'static) {
        {
            let mut callbacks = self.0.callbacks.lock();
            if !self.is_open() {
                callbacks.push(Box::new(callback));
                return;
            }
        }
        callback();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::closed()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &self.is_open()).finish()
    }
}
