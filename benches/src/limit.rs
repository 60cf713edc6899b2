//! The raw limit: what this disk and these two cores can do at all, in the simplest fast way.
//!
//! ```text
//! client tasks ──▶ one channel ──▶ writer thread: drain up to 8,192 ─▶ one write ─▶ one sync_data ─▶ a oneshot each
//! ```
//!
//! No actors, no streams, no versions, no checksums, nothing to find an event by. The same client tasks, the same event
//! bytes, a growing file. The runtime is measured against it, so it is not allowed to be slow: channel and message are the
//! fastest of those that were tried, see RESULTS.md.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use anyhow::Context;
use onefold::{CodecId, PayloadWriter};
use tokio::sync::oneshot;

use crate::entry::Entry;
use crate::target::{Outcome, Target};
use crate::workload::{Operation, OperationKind};

/// Events behind one sync at most.
const BATCH_MAX: usize = 8_192;

/// One encoded event on its way, and whom to tell.
struct Message {
    event: Box<[u8]>,
    written: oneshot::Sender<()>,
}

/// The clients' end.
#[derive(Clone)]
pub(crate) struct LimitTarget {
    writer: Sender<Message>,
    event_bytes: u32,
}

impl Target for LimitTarget {
    fn call(&self, operation: Operation) -> impl Future<Output = Outcome> + Send + use<> {
        let OperationKind::Write { nonce } = operation.kind else { unreachable!("the limit knows no reads") };
        let (written, answer) = oneshot::channel();
        let event = encode(Entry::new(1, nonce, self.event_bytes), self.event_bytes);
        let sent = self.writer.send(Message { event, written }).is_ok();
        async move {
            match sent && answer.await.is_ok() {
                true => Outcome::Written { sequence: 1 },
                false => Outcome::Unknown("the writer thread has ended".to_owned()),
            }
        }
    }
}

/// The event as the runtime's journal holds it, without the envelope around it.
fn encode(entry: Entry, event_bytes: u32) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(event_bytes as usize);
    let encoded = CodecId::Bincode.encode(&entry, &mut PayloadWriter::new(&mut bytes, usize::MAX));
    encoded.expect("bincode can say bytes");
    bytes.into_boxed_slice()
}

/// The writer thread.
#[derive(Debug)]
pub(crate) struct Limit {
    thread: JoinHandle<anyhow::Result<()>>,
    counters: Arc<Counters>,
}

/// What the writer has done.
#[derive(Debug, Default)]
struct Counters {
    syncs: AtomicU64,
    events: AtomicU64,
}

impl Limit {
    /// Starts the writer on a new file.
    pub(crate) fn start(file: &Path, event_bytes: u32) -> anyhow::Result<(Self, LimitTarget)> {
        let open = OpenOptions::new().create_new(true).write(true).open(file);
        let file = open.with_context(|| format!("cannot create {}", file.display()))?;
        let (writer, messages) = mpsc::channel();
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        let thread =
            std::thread::Builder::new().name("limit-writer".into()).spawn(move || write(file, &messages, &counted))?;
        Ok((Limit { thread, counters }, LimitTarget { writer, event_bytes }))
    }

    /// Syncs and events so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counters.syncs.load(Ordering::Relaxed), self.counters.events.load(Ordering::Relaxed))
    }

    /// Waits for the writer to end, which it does when the last client is gone.
    pub(crate) fn join(self) -> anyhow::Result<()> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the limit's writer thread panicked"))?
    }
}

fn write(mut file: File, messages: &Receiver<Message>, counters: &Counters) -> anyhow::Result<()> {
    let mut buffer = Vec::new();
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    while let Ok(first) = messages.recv() {
        for message in std::iter::once(first).chain(messages.try_iter()).take(BATCH_MAX) {
            buffer.extend_from_slice(&message.event);
            waiting.push(message.written);
        }
        file.write_all(&buffer).context("cannot write")?;
        file.sync_data().context("cannot sync")?;
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.events.fetch_add(waiting.len() as u64, Ordering::Relaxed);
        buffer.clear();
        for written in waiting.drain(..) {
            // A client that is gone needs no answer.
            let _ = written.send(());
        }
    }
    Ok(())
}
