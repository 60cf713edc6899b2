//! Counters of a runtime.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::shared::Shared;

#[derive(Default)]
pub(crate) struct Stats {
    activations: AtomicU64,
    actors: AtomicUsize,
}

/// An actor that lives; dropped, it is gone.
pub(crate) struct LivingActor<'a>(&'a AtomicUsize);

impl Drop for LivingActor<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stats {
    pub(crate) fn activated(&self) {
        self.activations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn actor(&self) -> LivingActor<'_> {
        self.actors.fetch_add(1, Ordering::Relaxed);
        LivingActor(&self.actors)
    }

    pub(super) fn snapshot(&self, shared: &Shared) -> RuntimeStats {
        RuntimeStats {
            resident: shared.residency.count(),
            actors: self.actors.load(Ordering::Relaxed),
            admitted: shared.admission.count(),
            admitted_limit: usize::try_from(shared.pace.limit().1).unwrap_or(usize::MAX),
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
    /// Actors alive. An instance that was not used for a second keeps its place in memory without one.
    pub actors: usize,
    /// Commands and reads admitted and not yet answered.
    pub admitted: usize,
    /// How many may be: [`Config::admitted_max`](crate::Config::admitted_max), or less while the journal is behind, see
    /// [`Config::backlog_time_max`](crate::Config::backlog_time_max).
    pub admitted_limit: usize,
    /// Instances brought back since the start.
    pub activations: u64,
    /// Instances let go since the start.
    pub passivations: u64,
}
