//! What a handler is given besides the command and the state.

use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::{Aggregate, AggregateId, Clock, Metadata, StreamVersion, Timestamp};

/// The surroundings of one command: services, aggregate id, version, metadata, clock.
pub struct Context<A: Aggregate> {
    services: Arc<A::Services>,
    id: AggregateId,
    version: StreamVersion,
    metadata: Metadata,
    clock: Arc<dyn Clock>,
    durability: Arc<dyn AwaitDurable>,
}

impl<A: Aggregate> Context<A> {
    /// A context for the instance `id`. The runtime builds one per instance; tests may build their own.
    pub fn new(
        services: Arc<A::Services>,
        id: AggregateId,
        clock: Arc<dyn Clock>,
        durability: Arc<dyn AwaitDurable>,
    ) -> Self {
        Context { services, id, version: StreamVersion::EMPTY, metadata: Metadata::default(), clock, durability }
    }

    /// Moves the context on to the next command.
    pub fn prepare(&mut self, version: StreamVersion, metadata: Metadata) {
        self.version = version;
        self.metadata = metadata;
    }

    /// What was injected when the aggregate type was registered.
    pub fn services(&self) -> &A::Services {
        &self.services
    }

    /// Which instance this is.
    pub fn id(&self) -> &AggregateId {
        &self.id
    }

    /// The version of the state the handler sees: the number of the last event applied to it. With earlier commands still
    /// on their way to disk this is ahead of what is durable; whatever the handler answers waits for them.
    pub fn version(&self) -> StreamVersion {
        self.version
    }

    /// The command's metadata: its id, correlation and causation, time of admission, and the caller's own entries.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The current time, of the runtime's [`Clock`]. Write what follows from it into an event: `apply` must not ask.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits until every earlier decision of this aggregate is durable. Call it before an effect on the outside world that
    /// must not get ahead of the journal. Should an earlier decision turn out not to be stored, the handler is dropped at
    /// this point and its caller gets a retry-safe error.
    pub async fn durable(&self) {
        self.durability.durable().await;
    }
}

impl<A: Aggregate> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("aggregate", &A::TYPE)
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Knows when every earlier decision of an instance is durable. The runtime implements it; for tests there is
/// `Arc::new(())`, where everything is durable at once.
pub trait AwaitDurable: Send + Sync {
    /// Resolves when nothing of the instance is on its way to the journal.
    fn durable(&self) -> BoxFuture<'_, ()>;
}

impl AwaitDurable for () {
    fn durable(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
