//! Counters of a runtime.

use std::sync::atomic::{AtomicU64, Ordering};

use super::shared::Shared;

#[derive(Default)]
pub(crate) struct Stats {
    activations: AtomicU64,
}

impl Stats {
    pub(crate) fn activated(&self) {
        self.activations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self, shared: &Shared) -> RuntimeStats {
        RuntimeStats {
            resident: shared.residency.count(),
            admitted: shared.admission.count(),
            activations: self.activations.load(Ordering::Relaxed),
            passivations: shared.residency.passivations() as u64,
        }
    }
}

/// What a runtime is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// Instances in memory, those being recovered included.
    pub resident: usize,
    /// Commands and reads admitted and not yet answered.
    pub admitted: usize,
    /// Instances brought back since the start.
    pub activations: u64,
    /// Instances let go since the start.
    pub passivations: u64,
}
