//! The aggregate: a kameo actor that knows its version.
//!
//! The handler awaits the writer's answer before it returns, so an actor has
//! one command in hand at a time and a hot aggregate gets one command per
//! sync. kameo could also hand the reply over (`DelegatedReply`) and take the
//! next command before the sync; but then handlers decide on state that may
//! never become durable, and undoing it is the user's to write. The plain form
//! is the one kameo's documentation leads to, and the one measured here.

use anyhow::{Error, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::message::{Context, Message};

use crate::store::Store;
use crate::writer::Writer;

pub(crate) struct Account {
    id: String,
    version: u64,
    writer: Writer,
}

/// The only command: append this event.
pub(crate) struct Deposit {
    pub(crate) event: Vec<u8>,
}

impl Actor for Account {
    type Args = (String, Store, Writer);
    type Error = Error;

    async fn on_start((id, store, writer): Self::Args, _this: ActorRef<Self>) -> Result<Self> {
        let version = store.replay(&id)?;
        Ok(Self { id, version, writer })
    }
}

impl Message<Deposit> for Account {
    type Reply = Result<u64, String>;

    async fn handle(&mut self, deposit: Deposit, _context: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let version = self.version + 1;
        self.writer.append(Store::key(&self.id, version), deposit.event).await?;
        // IMPORTANT: only now, because a failed append must not leave a gap.
        // (After a failed append fjall refuses all further writes.)
        self.version = version;
        Ok(version)
    }
}
