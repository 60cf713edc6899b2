//! The group commit: one thread takes all appends that wait, writes them as
//! one fjall batch, syncs the journal once, and then answers all of them.

use std::thread::JoinHandle;

use anyhow::{Context, Result};
use fjall::PersistMode;
use tokio::sync::{mpsc, oneshot};

use crate::store::Store;

/// At most this many appends share a sync, and this many wait in the queue;
/// beyond that, actors wait to enter the queue.
const GROUP_APPENDS_MAX: usize = 8_192;

struct Append {
    key: Vec<u8>,
    event: Vec<u8>,
    durable: oneshot::Sender<Result<(), String>>,
}

/// A cheap handle; the thread ends with the last of them.
#[derive(Clone)]
pub(crate) struct Writer {
    appends: mpsc::Sender<Append>,
}

impl Writer {
    /// Returns when the event is on the disk.
    pub(crate) async fn append(&self, key: Vec<u8>, event: Vec<u8>) -> Result<(), String> {
        let (durable, answer) = oneshot::channel();
        let append = Append { key, event, durable };
        let gone = || "the writer has ended".to_owned();
        self.appends.send(append).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

pub(crate) fn start(store: Store) -> Result<(Writer, JoinHandle<()>)> {
    let (appends, queue) = mpsc::channel(GROUP_APPENDS_MAX);
    let thread = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || write_groups(&store, queue))
        .context("cannot start the writer thread")?;
    Ok((Writer { appends }, thread))
}

fn write_groups(store: &Store, mut queue: mpsc::Receiver<Append>) {
    let mut group = Vec::with_capacity(GROUP_APPENDS_MAX);
    let mut waiting = Vec::with_capacity(GROUP_APPENDS_MAX);
    while queue.blocking_recv_many(&mut group, GROUP_APPENDS_MAX) > 0 {
        let mut batch = store.database.batch().durability(Some(PersistMode::SyncData));
        for append in group.drain(..) {
            batch.insert(&store.events, append.key, append.event);
            waiting.push(append.durable);
        }
        // IMPORTANT: answer after the commit, which syncs the journal.
        let outcome = batch.commit().map_err(|problem| problem.to_string());
        for durable in waiting.drain(..) {
            // An actor that no longer waits has nothing to be told.
            durable.send(outcome.clone()).ok();
        }
    }
}
