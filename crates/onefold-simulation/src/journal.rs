//! A journal in virtual time: it loses, delays, fails and crashes by seed, and keeps the contract of [`Journal`] all the
//! same.
//!
//! ```text
//!   append ─▶ [ queue ] ─▶ writer: checks, writes, syncs ─▶ disk ─▶ [ line ] ─▶ messenger ─▶ acknowledgement
//!                             │                              │        per stream in order, across streams in any
//!                             └── a crash here loses ────────┘
//! ```
//!
//! What is on the [`SimulatedDisk`] survives; everything else is the journal's, and goes with it. It passes the conformance
//! suite in fair weather and foul.

mod claims;
mod device;
mod disk;
mod state;
mod weather;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::stream;
use onefold_core::journal::{
    Append, ClaimPage, CloseError, DurablePosition, FeedItem, Journal, JournalHealth, OpenError, OpenedSession,
    PinnedClaim, ReadError, StreamChunk, StreamPage,
};
use onefold_core::{Checkpoint, ClaimName, Holder, StreamId, StreamVersion};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use self::disk::SimulatedDisk;
use self::state::State;
pub use self::weather::Weather;
use crate::Random;

/// Where a crash strikes, at a boundary of a group of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Appends wait, and nothing of them is written.
    BeforeWrite,
    /// Written, and not synced: a part of them may survive, in order.
    Written,
    /// Durable, and nobody has been told.
    Synced,
    /// Told, and perhaps nobody has heard it yet.
    Acknowledged,
}

/// See the module. Clones are the same journal.
#[derive(Clone)]
pub struct SimulatedJournal(Arc<Shared>);

struct Shared {
    /// Tells the sessions of one journal from those of another.
    id: u64,
    state: Mutex<State>,
    disk: SimulatedDisk,
    durable: watch::Sender<DurablePosition>,
    /// Something waits for the writer, or the end.
    work: Notify,
    /// Something is due earlier than the messenger thinks.
    due: Notify,
    /// Something was taken from the queue, or decided.
    progress: Notify,
    /// The crash that was asked for has struck: nothing is written any more.
    struck: Notify,
}

impl SimulatedJournal {
    /// Opens what is on `disk`. The journal's tasks run on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    pub fn open(disk: &SimulatedDisk, weather: Weather, random: Random) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::new(Shared {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State::new(weather, random)),
            disk: disk.clone(),
            durable: watch::Sender::new(disk.end()),
            work: Notify::new(),
            due: Notify::new(),
            progress: Notify::new(),
            struck: Notify::new(),
        });
        device::start(&shared);
        SimulatedJournal(shared)
    }

    /// Asks for a crash: at the `group`th group from now on, at that boundary, nothing moves any more. Await
    /// [`struck`](Self::struck), drop everything that runs on the journal, then [`crash`](Self::crash) it.
    pub fn strike_at(&self, group: u64, boundary: Boundary) {
        self.0.state.lock().strike = Some((group, boundary));
    }

    /// Resolves when the crash that was asked for has struck.
    pub async fn struck(&self) {
        while !self.0.state.lock().halted {
            self.0.struck.notified().await;
        }
    }

    /// The process is gone: what was not synced is lost, but for a part of what was written, in order, by chance.
    pub fn crash(&self) {
        let lost = {
            let mut state = self.0.state.lock();
            state.halted = true;
            state.closing = true;
            state.crash(&self.0)
        };
        // Nobody is told; those who would be are gone as well.
        drop(lost);
    }

    /// From now on nothing fails and nothing takes time. What is withheld is answered.
    pub fn calm_down(&self) {
        let mut state = self.0.state.lock();
        state.weather = Weather::calm();
        // What waits goes through the writer, so that the order stays.
        state.weather.direct = false;
        state.hurry();
        drop(state);
        self.0.work.notify_one();
        self.0.due.notify_one();
    }

    /// When an append of the stream was last told that it failed, for a reason of its own.
    pub fn failed_at(&self, stream: &StreamId) -> Option<Instant> {
        self.0.state.lock().failed_at(stream)
    }

    /// What can be told about the faults so far.
    pub fn faults(&self) -> Faults {
        self.0.state.lock().faults
    }
}

/// Which faults a simulated journal has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Appends that failed.
    pub appends: u64,
    /// Of these, refused because the disk was too full.
    pub disk_low: u64,
    /// Of these, appends that are never answered.
    pub unanswered: u64,
    /// Openings that failed.
    pub opens: u64,
    /// Reads that failed.
    pub reads: u64,
    /// Reads that found damage.
    pub damages: u64,
    /// Whether a sync failed.
    pub poisoned: bool,
}

impl Shared {
    /// Waits until `ready` says so, looking again after every change.
    async fn until<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let progress = self.progress.notified();
            if let Some(found) = ready(&mut self.state.lock()) {
                return found;
            }
            progress.await;
        }
    }

    /// Takes as long as a read, and may fail as one does.
    async fn look_up(&self) -> Result<(), ReadError> {
        pause(self.pause(|weather| weather.read)).await;
        self.state.lock().look_up()
    }

    fn pause(&self, limit: impl Fn(&Weather) -> Duration) -> Duration {
        let mut state = self.state.lock();
        let limit = limit(&state.weather);
        state.random.time_below(limit)
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl Journal for SimulatedJournal {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let (shared, stream) = (self.0.clone(), stream.clone());
        Box::pin(async move {
            let (index, session) = shared.state.lock().begin_open(&stream, &shared)?;
            pause(shared.pause(|weather| weather.open)).await;
            // IMPORTANT: the older sessions have ended by now, so what is waited for does not grow.
            shared.until(|state| state.finish_open(index)).await?;
            let (head, last_commit) = shared.disk.head(&stream);
            Ok(OpenedSession { session, head, last_commit })
        })
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        let mut state = self.0.state.lock();
        state.submit(append, &self.0)?;
        state.work_at_once(&self.0);
        let (at_once, waits) = (state.weather.direct, state.has_work());
        drop(state);
        if waits {
            self.0.work.notify_one();
        }
        if at_once {
            device::tell(&self.0);
            self.0.due.notify_one();
        }
        Ok(())
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        Box::pin(async move { shared.until(|state| (!state.is_full()).then_some(())).await })
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let read = (self.0.clone(), stream.clone(), Some(0));
        Box::pin(stream::unfold(read, move |(shared, stream, read)| async move {
            let read = read?;
            pause(shared.pause(|weather| weather.read)).await;
            let permitted = shared.state.lock().read(&stream);
            let commits_max = match permitted {
                Ok(commits_max) => commits_max,
                Err(error) => return Some((Err(error), (shared, stream, None))),
            };
            // By count, not by version: commits without events have none of their own.
            let chunk = shared.disk.chunk(&stream, after, read, commits_max);
            let read = read + chunk.parts.len();
            (!chunk.parts.is_empty()).then_some((Ok(chunk), (shared, stream, Some(read))))
        }))
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        let disk = self.0.disk.clone();
        let place = disk.place_beyond(after.position());
        Box::pin(stream::unfold((disk, place), |(disk, place)| async move {
            let item = disk.item(place)?;
            Some((Ok(item), (disk, place + 1)))
        }))
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        let disk = self.0.disk.clone();
        Box::pin(async move { Ok(disk.streams(&page.aggregate_type, page.after.as_ref(), page.limit)) })
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        let shared = self.0.clone();
        Box::pin(async move {
            shared.look_up().await?;
            Ok(names.into_iter().map(|name| claims::pin(shared.id, name, &shared.disk)).collect())
        })
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        let shared = self.0.clone();
        Box::pin(async move {
            shared.look_up().await?;
            Ok(shared.disk.holder(&name))
        })
    }

    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        let shared = self.0.clone();
        Box::pin(async move {
            shared.look_up().await?;
            Ok(shared.disk.claims(&page))
        })
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.0.durable.subscribe()
    }

    fn health(&self) -> JournalHealth {
        let state = self.0.state.lock();
        match (&state.poison, state.closing) {
            (Some(reason), _) => JournalHealth::Poisoned { reason: reason.clone() },
            (None, true) => JournalHealth::Closed,
            (None, false) => JournalHealth::Healthy,
        }
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        let shared = self.0.clone();
        Box::pin(async move {
            {
                let mut state = shared.state.lock();
                state.closing = true;
                state.hurry();
            }
            shared.work.notify_one();
            shared.due.notify_one();
            let poison = shared.until(|state| state.is_drained().then(|| state.poison.clone())).await;
            // The last acknowledgements are told before anybody goes on.
            yield_once().await;
            poison.map_or(Ok(()), |reason| Err(CloseError { reason }))
        })
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
