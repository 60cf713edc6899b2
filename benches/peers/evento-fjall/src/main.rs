//! The peer `evento-fjall`: evento with its fjall store, written like the
//! command side in evento's README: load the account, then append through it
//! at the version just seen.
//!
//! evento has no actors: a command on the same aggregate that was faster is a
//! conflict, and the loser tries again. Thousands of clients on one aggregate
//! would do little else, so commands take turns per aggregate ([`KeyedLocks`]);
//! what conflicts remain are retried and counted. The store syncs its journal
//! once per command (`PersistMode::SyncAll`, its default), on tokio's blocking
//! threads. Versions are `u16`: after 65,535 events an aggregate takes no more
//! and its commands fail, which a long run of `hot` or `single` would meet.

mod account;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use evento::cursor::Args;
use evento::{Executor, Fjall, TenantFilter, WriteError};
use peer_shared::{KeyedLocks, Peer};

/// A command that loses this many races in a row fails.
const ATTEMPTS_MAX: usize = 100;
/// Events read at a time when they are counted.
const PAGE_EVENTS: u16 = 10_000;

fn main() -> ExitCode {
    peer_shared::main::<EventoFjall>()
}

struct EventoFjall {
    store: Fjall,
    turns: KeyedLocks,
    conflicts: AtomicU64,
}

impl Peer for EventoFjall {
    const NAME: &'static str = "evento-fjall";

    async fn open(data: &Path) -> Result<Self> {
        Ok(Self { store: Fjall::open(data)?, turns: KeyedLocks::default(), conflicts: AtomicU64::new(0) })
    }

    async fn append(&self, id: &str, event: String) -> Result<()> {
        let _turn = self.turns.lock(id).await;
        for _ in 0..ATTEMPTS_MAX {
            let deposit = account::deposit(&self.store, id, &event).await?;
            match deposit.commit(&self.store).await {
                Ok(_) => return Ok(()),
                Err(WriteError::InvalidOriginalVersion) => {
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
        // Dropping the last handle closes the database.
        tokio::task::spawn_blocking(move || drop(self.store)).await?;
        Ok(())
    }

    async fn stored_events(data: &Path) -> Result<Option<u64>> {
        let store = Fjall::open(data).context("cannot open the store again")?;
        let mut events = 0;
        let mut after = None;
        loop {
            let args = Args::forward(PAGE_EVENTS, after);
            let page = store.read(None, None, TenantFilter::All, args, None).await?;
            events += page.edges.len() as u64;
            if !page.page_info.has_next_page {
                return Ok(Some(events));
            }
            after = page.page_info.end_cursor;
        }
    }
}
