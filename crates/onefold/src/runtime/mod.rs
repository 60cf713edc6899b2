//! The runtime: builds, holds and ends what all aggregates share.

pub(crate) mod admission;
#[cfg(feature = "sled")]
mod backup;
mod builder;
pub(crate) mod congestion;
pub(crate) mod deadlines;
mod health;
pub(crate) mod pace;
pub(crate) mod releaser;
pub(crate) mod residency;
pub(crate) mod shared;
mod shutdown;
mod stats;
mod sweeper;

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onefold_core::journal::Journal;
use onefold_core::{Aggregate, ClaimName, Holder};

#[cfg(feature = "sled")]
pub use backup::BackupError;
pub use builder::{RuntimeBuilder, StartError};
pub use health::Health;
pub use shutdown::ShutdownReport;
pub use stats::RuntimeStats;

use self::shared::{KindEntry, Shared};
use crate::aggregate::kind::Kind;
use crate::aggregates::Aggregates;
use crate::claims::{ClaimError, ClaimStream};
use crate::error::Quarantined;
use crate::telemetry;

/// A running onefold: registered aggregate types over one journal.
///
/// Keep it as long as the service runs, and end it with [`shutdown`](Runtime::shutdown). Dropping it without logs an error
/// and is as safe as a kill: what was acknowledged stays, what was not is cut off.
pub struct Runtime {
    shared: Arc<Shared>,
    kinds: Arc<BTreeMap<TypeId, KindEntry>>,
    /// Shared with every shutdown under way.
    end: Arc<End>,
    /// Types by name, for the error of an unregistered one.
    names: Vec<&'static str>,
    sweeper: tokio::task::JoinHandle<()>,
}

impl Runtime {
    /// Starts to build a runtime on `journal`: a journal by value, or an `Arc<dyn Journal>`.
    pub fn builder(journal: impl Journal) -> RuntimeBuilder {
        RuntimeBuilder::new(journal)
    }

    /// The handle to all aggregates of one type.
    ///
    /// # Errors
    ///
    /// [`NotRegistered`] when the type was not registered with the builder.
    pub fn aggregates<A: Aggregate>(&self) -> Result<Aggregates<A>, NotRegistered> {
        let kind = self.kinds.get(&TypeId::of::<A>()).and_then(|entry| entry.typed.clone().downcast::<Kind<A>>().ok());
        match kind {
            Some(kind) => Ok(Aggregates::new(kind)),
            None => Err(NotRegistered {
                rust_type: type_name::<A>(),
                aggregate_type: A::TYPE,
                registered: self.names.clone(),
            }),
        }
    }

    /// How the runtime and its journal are.
    pub fn health(&self) -> Health {
        Health {
            journal: self.shared.journal.health(),
            accepting: !self.shared.is_closing(),
            quarantined: self.quarantined().len(),
        }
    }

    /// Counters since the start.
    pub fn stats(&self) -> RuntimeStats {
        self.shared.stats.snapshot(&self.shared)
    }

    /// The aggregates that are left alone after repeated crashes, of all types. Lift one with
    /// [`Aggregates::lift_quarantine`].
    pub fn quarantined(&self) -> Vec<Quarantined> {
        let mut all: Vec<_> = self.kinds.values().flat_map(|entry| entry.ops.quarantined()).collect();
        all.sort_by(|one, other| one.stream.cmp(&other.stream));
        all
    }

    /// Who holds the claim `namespace/value`, if anybody does; with every change that was acknowledged.
    ///
    /// Of a hold whose time is up this proposes the end, which is a commit of its holder: `None` says that it is over, and
    /// no restart brings it back. Where that could not be done now (the holder is of a type that is not registered here, say)
    /// the hold lasts, and is told with its limit.
    ///
    /// # Errors
    ///
    /// [`ClaimError`]: there can be no such claim, or the journal cannot tell.
    pub async fn claim(&self, namespace: &str, value: impl AsRef<str>) -> Result<Option<Holder>, ClaimError> {
        let name = ClaimName::new(namespace, value)?;
        let journal = &self.shared.journal;
        let Some(holder) = journal.claim(name.clone()).await? else { return Ok(None) };
        if !holder.may_expire(self.shared.clock.now()) {
            return Ok(Some(holder));
        }
        let mut kinds = self.kinds.values();
        let Some(kind) = kinds.find(|kind| kind.aggregate_type == holder.stream.aggregate_type()) else {
            return Ok(Some(holder));
        };
        kind.ops.clone().expire(holder.stream.aggregate_id(), name.clone(), holder.since).await;
        Ok(journal.claim(name).await?)
    }

    /// The claims of a namespace that somebody holds, ordered by value: as they are in the journal, holds whose time is up
    /// included.
    pub fn claims(&self, namespace: &str) -> ClaimStream {
        ClaimStream::new(self.shared.journal.clone(), namespace)
    }

    /// The journal underneath.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.shared.journal
    }

    /// Ends gracefully: takes no more commands, lets those it has come to an end, lets all instances go, closes the
    /// journal. After `deadline` whatever still waits is answered with an error, and the journal is closed all the same.
    ///
    /// Later asks are answered with `NotStored(ShuttingDown)`.
    ///
    /// It may take longer than `deadline`: up to a second for appends that are with the journal, and as much as the journal's
    /// own close needs, at least 5 s.
    ///
    /// Takes `&self`, so that a service can share the runtime in an `Arc`, for its health endpoint say. It begins at once;
    /// the future, which borrows nothing, is to be awaited. A second call finds nothing left to do. Dropped before its end,
    /// it counts for nothing but that no more commands are taken: dropping the runtime does the rest.
    #[must_use = "the future runs the shutdown to its end"]
    pub fn shutdown(&self, deadline: Duration) -> impl Future<Output = ShutdownReport> + Send + use<> {
        self.shared.begin_closing();
        let end = self.end.clone();
        async move {
            let report = shutdown::run(&end.shared, &end.kinds, deadline).await;
            end.is_reached.store(true, Ordering::Release);
            report
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

/// Held by the runtime and by every shutdown: the last of them to go answers whatever still waits.
struct End {
    shared: Arc<Shared>,
    kinds: Arc<BTreeMap<TypeId, KindEntry>>,
    /// A shutdown ran to its end.
    is_reached: AtomicBool,
}

impl Drop for End {
    fn drop(&mut self) {
        if !*self.is_reached.get_mut() {
            telemetry::dropped_without_shutdown();
            self.shared.begin_closing();
            self.kinds.values().for_each(|entry| entry.ops.close_all());
        }
        self.shared.releaser.close();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("aggregates", &self.names).finish_non_exhaustive()
    }
}

/// The aggregate type was not registered with the runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{rust_type} (\"{aggregate_type}\") is not registered with this runtime, which knows {registered:?}: \
     add .aggregate::<{rust_type}>(services) to its builder"
)]
pub struct NotRegistered {
    /// The Rust type.
    pub rust_type: &'static str,
    /// Its [`Aggregate::TYPE`].
    pub aggregate_type: &'static str,
    /// The types that are registered.
    pub registered: Vec<&'static str>,
}
