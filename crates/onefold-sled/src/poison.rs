//! The one mechanism of failure: after a failed write or sync the journal refuses writes until a new process opens it. A
//! sync is never retried, because after a failed one the page cache lies.

use std::sync::{Arc, OnceLock};

/// Set once, for ever.
#[derive(Debug, Default)]
pub(crate) struct Poison(OnceLock<Arc<str>>);

impl Poison {
    /// Poisons. The first reason stays.
    pub(crate) fn set(&self, reason: impl Into<Arc<str>>) {
        let reason = reason.into();
        if self.0.set(Arc::clone(&reason)).is_ok() {
            tracing::error!(%reason, "the journal is poisoned: it refuses writes until the process is restarted");
        }
    }

    /// The first reason.
    pub(crate) fn reason(&self) -> Option<Arc<str>> {
        self.0.get().cloned()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }
}
