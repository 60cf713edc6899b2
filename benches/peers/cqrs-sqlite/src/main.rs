//! The peer `cqrs-sqlite`: cqrs-es with the SQLite repository of sqlite-es, in
//! WAL mode with `synchronous = FULL`, so that each commit syncs the log.
//!
//! cqrs-es has no actors and loads the aggregate for each command. Its
//! "aggregate store" keeps the current state next to the events, so a load is
//! one row however long the history is; the commit writes event and state in
//! one transaction. Commands take turns per aggregate ([`KeyedLocks`]), as
//! they would mostly lose the race for the next version otherwise; what
//! conflicts remain are retried and counted.
//!
//! SQLite has one writer at a time and no group commit: one command per sync.

mod account;
mod database;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use cqrs_es::AggregateError;
use peer_shared::{KeyedLocks, Peer};
use sqlite_es::SqliteCqrs;
use sqlx::SqlitePool;

use account::{Account, Deposit};

/// A command that loses this many races in a row fails.
const ATTEMPTS_MAX: usize = 100;

fn main() -> ExitCode {
    peer_shared::main::<CqrsSqlite>()
}

struct CqrsSqlite {
    pool: SqlitePool,
    framework: SqliteCqrs<Account>,
    turns: KeyedLocks,
    conflicts: AtomicU64,
}

impl Peer for CqrsSqlite {
    const NAME: &'static str = "cqrs-sqlite";

    async fn open(data: &Path) -> Result<Self> {
        let pool = database::open(data).await?;
        Ok(Self {
            framework: sqlite_es::sqlite_aggregate_cqrs(pool.clone(), Vec::new(), ()),
            pool,
            turns: KeyedLocks::default(),
            conflicts: AtomicU64::new(0),
        })
    }

    async fn append(&self, id: &str, event: String) -> Result<()> {
        let _turn = self.turns.lock(id).await;
        for _ in 0..ATTEMPTS_MAX {
            let deposit = Deposit { event: event.clone() };
            match self.framework.execute(id, deposit).await {
                Ok(()) => return Ok(()),
                Err(AggregateError::AggregateConflict) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Err(problem) => return Err(problem.into()),
            }
        }
        bail!("lost {ATTEMPTS_MAX} races in a row")
    }

    fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    async fn close(self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }

    async fn stored_events(data: &Path) -> Result<Option<u64>> {
        let pool = database::open(data).await.context("cannot open the database again")?;
        let events: i64 = sqlx::query_scalar("SELECT count(payload) FROM events").fetch_one(&pool).await?;
        pool.close().await;
        Ok(u64::try_from(events).ok())
    }
}
