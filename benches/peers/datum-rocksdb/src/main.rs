//! The peer `datum-rocksdb`: datum-persistence behaviors on its own RocksDB
//! journal with synchronous writes.
//!
//! All appends go through the journal's single owner thread, which joins up to
//! 256 waiting ones (its fixed limit) into one synced RocksDB write. A
//! behavior handles its next command only after its last event is stored, so
//! a hot aggregate gets one command per sync.

mod account;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dashmap::DashMap;
use datum_persistence::query::{PersistenceIdsQuery, QueryMode};
use datum_persistence::{
    EventSourcedRuntime, Journal, ReplayRange, RocksDbBackend, RocksDbDurability, RocksDbOptions, SequenceNr,
};
use futures_util::StreamExt;
use peer_shared::Peer;
use tokio::sync::OnceCell;

use account::Account;

/// The journal's queue. Its default of 256 makes actors wait for a place.
const QUEUE_COMMANDS_MAX: usize = 8_192;
/// Stopped actors let go of the journal within this time.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_POLL: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    peer_shared::main::<DatumRocksDb>()
}

struct DatumRocksDb {
    journal: Arc<RocksDbBackend>,
    accounts: DashMap<String, Arc<OnceCell<Account>>>,
}

impl Peer for DatumRocksDb {
    const NAME: &'static str = "datum-rocksdb";

    async fn open(data: &Path) -> Result<Self> {
        Ok(Self { journal: Arc::new(open_journal(data)?), accounts: DashMap::new() })
    }

    /// A behavior that starts reads the journal, and the journal ends its group
    /// of appends at each read: commands that start aggregates would get little
    /// more than one per sync. So all of them start first.
    async fn activate(&self, id: &str) -> Result<()> {
        self.account(id).get_or_try_init(|| self.start(id)).await?.ready().await
    }

    async fn append(&self, id: &str, event: String) -> Result<()> {
        self.account(id).get_or_try_init(|| self.start(id)).await?.deposit(event.into_bytes()).await
    }

    async fn close(self) -> Result<()> {
        for account in &self.accounts {
            if let Some(account) = account.get() {
                account.stop();
            }
        }
        drop(self.accounts);
        let stopping = tokio::time::Instant::now();
        while Arc::strong_count(&self.journal) > 1 {
            if stopping.elapsed() > STOP_TIMEOUT {
                bail!("actors still hold the journal {STOP_TIMEOUT:?} after their stop");
            }
            tokio::time::sleep(STOP_POLL).await;
        }
        // Dropping the last handle joins the journal's owner thread.
        tokio::task::spawn_blocking(move || drop(self.journal)).await?;
        Ok(())
    }

    async fn stored_events(data: &Path) -> Result<Option<u64>> {
        let journal = open_journal(data).context("cannot open the journal again")?;
        let mut events = 0;
        let mut ids = journal.persistence_ids(QueryMode::Current).await?;
        while let Some(id) = ids.next().await {
            let mut replay = journal
                .replay(ReplayRange {
                    persistence_id: id?,
                    from: SequenceNr::new(1),
                    to: SequenceNr::new(u64::MAX),
                    max: u64::MAX,
                })
                .await?;
            while let Some(event) = replay.next().await {
                event?;
                events += 1;
            }
        }
        Ok(Some(events))
    }
}

impl DatumRocksDb {
    fn account(&self, id: &str) -> Arc<OnceCell<Account>> {
        let known = self.accounts.get(id).map(|account| Arc::clone(&account));
        known.unwrap_or_else(|| Arc::clone(&self.accounts.entry(id.to_owned()).or_default()))
    }

    async fn start(&self, id: &str) -> Result<Account> {
        Account::spawn(id, EventSourcedRuntime::new(self.journal.clone())).await
    }
}

fn open_journal(data: &Path) -> Result<RocksDbBackend> {
    let options = RocksDbOptions { command_capacity: QUEUE_COMMANDS_MAX, durability: RocksDbDurability::Sync };
    Ok(RocksDbBackend::open_with_options(data, options)?)
}
