//! The peer `kameo-fjall`: one kameo actor per aggregate, and a group commit
//! on fjall written by hand, the way one would without an event-sourcing
//! library.
//!
//! A command goes to the actor of its aggregate ([`account`]); the actor sends
//! its event to the one writer thread ([`writer`]) and answers when the event
//! is on the disk.

mod account;
mod store;
mod writer;

use std::path::Path;
use std::process::ExitCode;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use dashmap::DashMap;
use kameo::actor::{ActorRef, Spawn};
use peer_shared::Peer;

use account::{Account, Deposit};
use store::Store;
use writer::Writer;

fn main() -> ExitCode {
    peer_shared::main::<KameoFjall>()
}

struct KameoFjall {
    store: Store,
    writer: Writer,
    writer_thread: JoinHandle<()>,
    accounts: DashMap<String, ActorRef<Account>>,
}

impl Peer for KameoFjall {
    const NAME: &'static str = "kameo-fjall";

    async fn open(data: &Path) -> Result<Self> {
        let store = Store::open(data)?;
        let (writer, writer_thread) = writer::start(store.clone())?;
        Ok(Self { store, writer, writer_thread, accounts: DashMap::new() })
    }

    async fn append(&self, id: &str, event: String) -> Result<()> {
        let deposit = Deposit { event: event.into_bytes() };
        self.account(id).ask(deposit).await.map_err(|problem| anyhow!("{problem:?}"))?;
        Ok(())
    }

    async fn close(self) -> Result<()> {
        // The last reference to an actor ends it, the last writer handle ends
        // the writer thread, and the last store handle unlocks the directory.
        drop(self.store);
        drop(self.writer);
        for (_, account) in self.accounts {
            account.stop_gracefully().await.ok();
            account.wait_for_shutdown().await;
        }
        let writer_thread = self.writer_thread;
        tokio::task::spawn_blocking(move || writer_thread.join())
            .await?
            .map_err(|_| anyhow!("the writer thread panicked"))
    }

    async fn stored_events(data: &Path) -> Result<Option<u64>> {
        let store = Store::open(data).context("cannot open the store again")?;
        Ok(Some(store.count_events()?))
    }
}

impl KameoFjall {
    /// The running actor of `id`, started if need be.
    fn account(&self, id: &str) -> ActorRef<Account> {
        if let Some(account) = self.accounts.get(id) {
            return account.clone();
        }
        self.accounts
            .entry(id.to_owned())
            .or_insert_with(|| Account::spawn((id.to_owned(), self.store.clone(), self.writer.clone())))
            .clone()
    }
}
