//! The journal itself: the contract of `onefold-core`, each call handed to whose task it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::stream;
use onefold_core::journal::{
    Append, ClaimPage, CloseError, DurablePosition, FeedItem, Journal, JournalHealth, OpenError, OpenedSession,
    PinnedClaim, ReadError, StreamChunk, StreamPage,
};
use onefold_core::{Checkpoint, ClaimName, Holder, StreamId, StreamVersion};
use tokio::sync::{oneshot, watch};

use crate::applier::End;
use crate::claims;
use crate::config::SledConfig;
use crate::error::OpenJournalError;
use crate::reader::ahead::StreamReading;
use crate::reader::feed::FeedScan;
use crate::reader::pool::ReaderPool;
use crate::reader::{Reader, listing, window};
use crate::recovery;
use crate::shared::Shared;
use crate::stats::{Counters, JournalStats};
use crate::threads;
use crate::writer::flight;
use crate::writer::forming::first_session;
use crate::writer::queue::{Entry, NotQueued, OpenRequest};

/// How long dropping a journal waits for its threads.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// The default journal: a redo log, synced once per group of commits, in front of sled. See the crate's documentation.
///
/// Dropping it without [`close`](Journal::close) is as safe as a kill: everything acknowledged is kept, appends that are
/// not decided are told so. It waits for the journal's threads, at most 5 seconds.
pub struct SledJournal {
    shared: Arc<Shared>,
    pool: Arc<ReaderPool>,
}

impl SledJournal {
    /// Opens the journal in the directory `path`, or creates it there, with the default configuration.
    ///
    /// Blocks until the journal can serve. After a clean close that is a few milliseconds; after a crash, the time to
    /// bring sled up to the redo log and to rebuild heads and claims of what changed since the last checkpoint.
    ///
    /// # Errors
    ///
    /// [`OpenJournalError`], named by what the operator can do. Opening never repairs or deletes what was
    /// acknowledged.
    pub fn open(path: impl AsRef<Path>) -> Result<SledJournal, OpenJournalError> {
        Self::builder(path).open()
    }

    /// A configuration to open the journal in the directory `path` with.
    pub fn builder(path: impl AsRef<Path>) -> SledConfig {
        SledConfig::new(path)
    }

    pub(crate) fn open_with(config: SledConfig) -> Result<SledJournal, OpenJournalError> {
        let pool = Arc::new(ReaderPool::new(config.reader_jobs_max));
        let recovered = recovery::recover(config)?;
        let journal = SledJournal { shared: Arc::clone(&recovered.shared), pool: Arc::clone(&pool) };
        threads::start(recovered, &pool)?;
        Ok(journal)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Closes cleanly and waits for it, without a runtime: for tools.
    pub(crate) fn close_and_wait(self) -> Result<(), CloseError> {
        self.shared.queue.close();
        self.shared.applier.want_end(End::Close);
        loop {
            if let Some(closed) = &*self.shared.closed.borrow() {
                return closed.clone();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// What the journal did and holds. Cheap, but for the size of its files, which takes a few system calls.
    pub fn stats(&self) -> JournalStats {
        let shared = &self.shared;
        let counters = &shared.counters;
        let (store_batches, store_syncs) = shared.store().map_or((0, 0), |store| store.counts());
        JournalStats {
            groups: Counters::get(&counters.groups),
            commits: Counters::get(&counters.commits),
            bytes_written: Counters::get(&counters.bytes_written),
            syncs: Counters::get(&counters.syncs),
            checkpoints: Counters::get(&counters.checkpoints),
            store_reads: Counters::get(&counters.store_reads),
            store_batches,
            store_syncs,
            applied_commit: shared.applied.load(Ordering::Acquire),
            overlay_bytes: shared.overlay.bytes() as u64,
            dirty_heads: shared.heads.dirty_count() as u64,
            resident_heads: shared.heads.resident() as u64,
            dirty_claims: shared.claims.dirty_count() as u64,
            resident_claims: shared.claims.resident() as u64,
            disk_bytes: bytes_in(&shared.config.path) + bytes_in(&shared.redo_dir),
        }
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let metadata = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    metadata.filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()).sum()
}

impl Journal for SledJournal {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (shared, pool, stream) = (Arc::clone(&self.shared), Arc::clone(&self.pool), stream.clone());
        Box::pin(async move {
            if shared.poison.is_set() || !shared.queue.is_open() {
                return Err(flight::open_refusal(&shared));
            }
            let pin = shared.heads.pin(&stream);
            let is_loaded = pin.entry.state.lock().loaded;
            if !is_loaded {
                let (shared, head) = (Arc::clone(&shared), Arc::clone(&pin.entry));
                let loaded = pool.run(move || Reader::new(&shared)?.load(&head)).await;
                match loaded {
                    Err(ReadError::Closed) => return Err(OpenError::ShuttingDown),
                    loaded => loaded?,
                }
            }
            // A head that had no session since it came into memory has no append under way.
            let pin = match first_session(pin) {
                Ok(opened) => return Ok(opened),
                Err(pin) => pin,
            };
            let (reply, answer) = oneshot::channel();
            match shared.queue.push(Entry::Open(OpenRequest { pin, reply })) {
                Ok(()) => answer.await.unwrap_or(Err(OpenError::ShuttingDown)),
                Err(NotQueued::Gone(_) | NotQueued::Full(_)) => Err(flight::open_refusal(&shared)),
            }
        })
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        match self.shared.queue.push(Entry::Append(append)) {
            Err(NotQueued::Full(Entry::Append(append))) => return Err(append),
            Err(NotQueued::Full(entry) | NotQueued::Gone(entry)) => flight::refuse(&self.shared, entry),
            Ok(()) => {}
        }
        Ok(())
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.queue.room().await })
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let reading = StreamReading::new(&self.shared, &self.pool, window::walk(stream, after));
        stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) }).boxed()
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        let start = Some((shared, pool, FeedScan::new(after)));
        let chunks = stream::unfold(start, |state| async move {
            let (shared, pool, mut scan) = state?;
            if scan.is_done() {
                return None;
            }
            let reading = Arc::clone(&shared);
            let read = pool.run(move || {
                let items = scan.next_chunk(&mut Reader::new(&reading)?)?;
                Ok((items, scan))
            });
            match read.await {
                Ok((items, _)) if items.is_empty() => None,
                Ok((items, scan)) => Some((items.into_iter().map(Ok).collect(), Some((shared, pool, scan)))),
                Err(error) => Some((vec![Err(error)], None)),
            }
        });
        chunks.flat_map(stream::iter).boxed()
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        Box::pin(async move { pool.run(move || listing::page(&Reader::new(&shared)?, &page)).await })
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        Box::pin(async move {
            let pins: Vec<_> = names.iter().map(|name| shared.claims.pin(name)).collect();
            let unloaded = pins.iter().filter(|pin| !pin.entry.state.lock().loaded);
            let unloaded: Vec<_> = unloaded.map(|pin| Arc::clone(&pin.entry)).collect();
            if !unloaded.is_empty() {
                let shared = Arc::clone(&shared);
                let load = move || {
                    let reader = Reader::new(&shared)?;
                    unloaded.iter().try_for_each(|claim| reader.load(claim))
                };
                pool.run(load).await?;
            }
            Ok(pins.into_iter().map(|pin| claims::pinned(pin, &shared.durable_group)).collect())
        })
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        Box::pin(async move { pool.run(move || Ok(Reader::new(&shared)?.claim(&name)?.holder)).await })
    }

    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        Box::pin(async move { pool.run(move || listing::claims(&Reader::new(&shared)?, &page)).await })
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.shared.durable.subscribe()
    }

    fn health(&self) -> JournalHealth {
        if let Some(reason) = self.shared.poison.reason() {
            return JournalHealth::Poisoned { reason };
        }
        match self.shared.space.low() {
            _ if !self.shared.queue.is_open() => JournalHealth::Closed,
            Some((free_bytes, reserve_bytes)) => JournalHealth::DiskLow { free_bytes, reserve_bytes },
            None => JournalHealth::Healthy,
        }
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        self.shared.queue.close();
        self.shared.applier.want_end(End::Close);
        let mut closed = self.shared.closed.subscribe();
        Box::pin(async move {
            let gone = || CloseError { reason: "the journal's threads are gone".into() };
            let closed = closed.wait_for(Option::is_some).await.map_err(|_| gone())?;
            closed.clone().unwrap_or_else(|| Err(gone()))
        })
    }
}

impl Drop for SledJournal {
    fn drop(&mut self) {
        self.shared.queue.abandon();
        self.shared.applier.want_end(End::Abandon);
        let started = Instant::now();
        while self.shared.closed.borrow().is_none() && started.elapsed() < DROP_PATIENCE {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl std::fmt::Debug for SledJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledJournal").field("path", &self.shared.config.path).finish_non_exhaustive()
    }
}
