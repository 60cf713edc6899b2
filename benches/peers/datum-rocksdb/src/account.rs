//! The aggregate: an event-sourced behavior that counts its events.

use anyhow::{Context, Result};
use datum_persistence::{
    Effect, EventSourcedBehavior, EventSourcedHandle, EventSourcedRuntime, IdentityAdapter, PersistenceId,
    PersistenceResult, PersistenceSerializer, SerializerCatalog, SerializerId,
};
use tokio::sync::oneshot;

/// A running behavior.
pub(crate) struct Account {
    handle: EventSourcedHandle<Deposit, Deposited, u64>,
}

/// The only command: append this event. A dropped `stored` means a failure.
///
/// datum's own `ReplyPort` can only be made by its stream operator
/// `ActorFlow::ask`, so the answer to a single command travels on a channel.
struct Deposit {
    event: Vec<u8>,
    stored: oneshot::Sender<u64>,
}

#[derive(Clone)]
struct Deposited(Vec<u8>);

impl Account {
    pub(crate) async fn spawn(id: &str, runtime: EventSourcedRuntime) -> Result<Self> {
        let behavior = EventSourcedBehavior::new(
            PersistenceId::new("account", id)?,
            0_u64,
            |_events: &u64, Deposit { event, stored }| {
                Effect::persist(Deposited(event)).then_run(move |events| {
                    // A client that no longer waits has nothing to be told.
                    stored.send(*events).ok();
                })
            },
            |events: &u64, _event: &Deposited| events + 1,
        )
        .with_event_adapter(IdentityAdapter, SerializerCatalog::new(RawBytes))
        // Nobody subscribes; a topic per aggregate would only cost memory.
        .with_event_publishing(false);
        let handle = behavior.spawn(runtime).await?;
        Ok(Self { handle })
    }

    /// Returns when the behavior has recovered.
    pub(crate) async fn ready(&self) -> Result<()> {
        self.handle.state().await?;
        Ok(())
    }

    /// Returns when the event is on the disk.
    pub(crate) async fn deposit(&self, event: Vec<u8>) -> Result<()> {
        let (stored, answer) = oneshot::channel();
        self.handle.tell(Deposit { event, stored })?;
        answer.await.context("the behavior stopped")?;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.handle.stop();
    }
}

/// Stores the payload as it is.
struct RawBytes;

impl PersistenceSerializer<Deposited> for RawBytes {
    fn serializer_id(&self) -> SerializerId {
        SerializerId::new(1)
    }

    fn manifest(&self, _event: &Deposited) -> String {
        "deposited".to_owned()
    }

    fn serialize(&self, event: &Deposited) -> PersistenceResult<Vec<u8>> {
        Ok(event.0.clone())
    }

    fn deserialize(&self, _manifest: &str, payload: &[u8]) -> PersistenceResult<Deposited> {
        Ok(Deposited(payload.to_vec()))
    }
}
