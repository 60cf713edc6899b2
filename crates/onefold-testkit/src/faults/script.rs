//! The script: which operation meets which fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_core::stream::BoxStream;
use onefold_core::StreamId;
use onefold_core::journal::{Append, AppendError, FeedItem, OpenError, ReadError};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::gate::Gate;
use super::line::{Held, Line};

/// What happens to an append.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AppendFault {
    /// It never reaches the journal: surely not stored, answered [`AppendError::Unavailable`].
    FailBeforeWrite,
    /// It never reaches the journal: answered with this error.
    FailBeforeWriteWith(AppendError),
    /// It never reaches the journal, and nobody can tell: answered [`AppendError::Unknown`].
    LoseWrite,
    /// It is stored, and nobody can tell: answered [`AppendError::Unknown`]. (What the journal refuses keeps its answer.)
    FailAfterWrite,
    /// It is stored; the answer comes so long after the append was submitted, at the earliest. Needs a tokio runtime.
    DelayAnswer(Duration),
    /// It is stored; the answer comes when the gate opens. What follows in the stream waits behind it. When the
    /// [`FaultyJournal`](super::FaultyJournal) is dropped first, or [`Faults::abandon`] called: [`AppendError::Unknown`].
    HoldAnswer(Gate),
}

impl AppendFault {
    /// What to answer instead of passing the append on to the journal.
    pub(super) fn unwritten(&self) -> Option<AppendError> {
        match self {
            AppendFault::FailBeforeWrite => {
                Some(AppendError::Unavailable { reason: "a scripted fault before the write".into() })
            }
            AppendFault::FailBeforeWriteWith(error) => Some(error.clone()),
            AppendFault::LoseWrite => Some(AppendError::Unknown { reason: "a scripted fault lost the write".into() }),
            _ => None,
        }
    }

    /// What holds the answer back.
    pub(super) fn held(&self) -> Option<Held> {
        match self {
            AppendFault::DelayAnswer(duration) => Some(Held::For(*duration, Handle::current())),
            AppendFault::HoldAnswer(gate) => Some(Held::Until(gate.clone())),
            _ => None,
        }
    }
}

/// What happens to an opening.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenFault {
    /// It begins later.
    Delay(Duration),
    /// It begins when the gate opens.
    Hold(Gate),
    /// It fails, and has done nothing.
    Fail(OpenError),
}

/// What happens to a read, of a stream, of all, or of claims.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReadFault {
    /// It begins later.
    Delay(Duration),
    /// It begins when the gate opens.
    Hold(Gate),
    /// It answers with an error at once.
    Fail(ReadError),
    /// It answers with an error after so many items (chunks of a stream, commits of the feed).
    FailAfter {
        /// Good items first; an answer about claims is one.
        items: usize,
        /// Then this.
        error: ReadError,
    },
}

/// Which operations a fault meets, counted from when it is scripted. Faults of one kind are tried in the order they were
/// scripted, and the first that applies has the operation: the others don't count it.
#[derive(Clone, Debug)]
pub struct When {
    stream: Option<StreamId>,
    skip: u64,
    count: u64,
}

impl When {
    /// The next `count` of them.
    pub fn next(count: u64) -> Self {
        When { stream: None, skip: 0, count }
    }

    /// The `number`th of them alone, the next being the first.
    pub fn nth(number: u64) -> Self {
        When { stream: None, skip: number.saturating_sub(1), count: 1 }
    }

    /// All of them, from now on.
    pub fn always() -> Self {
        Self::next(u64::MAX)
    }

    /// Only those of this stream: appends with a part of it, openings, reads of it (and not of all).
    #[must_use]
    pub fn of(self, stream: &StreamId) -> Self {
        When { stream: Some(stream.clone()), ..self }
    }

    /// Counts an operation; whether it is met.
    fn meets(&mut self, concerns: impl Fn(&StreamId) -> bool) -> bool {
        if self.count == 0 || !self.stream.as_ref().is_none_or(concerns) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.count -= 1;
        true
    }
}

/// The handle by which a test scripts the faults of a [`FaultyJournal`](super::FaultyJournal). Clones are the same.
#[derive(Clone)]
pub struct Faults {
    pub(super) script: Arc<Mutex<Script>>,
    pub(super) line: Arc<Line>,
    pub(super) submitted: Arc<AtomicU64>,
}

impl Faults {
    /// Scripts a fault of appends. An append whose session is ended by an earlier fault is not counted: it is superseded.
    pub fn append(&self, when: When, fault: AppendFault) {
        self.script.lock().appends.push((when, fault));
    }

    /// Scripts a fault of openings, which are counted as they are first polled.
    pub fn open(&self, when: When, fault: OpenFault) {
        self.script.lock().opens.push((when, fault));
    }

    /// Scripts a fault of reads.
    pub fn read(&self, when: When, fault: ReadFault) {
        self.script.lock().reads.push((when, fault));
    }

    /// Scripts a fault of pinning, looking up or listing claims, which are counted as they are called.
    pub fn claims(&self, when: When, fault: ReadFault) {
        self.script.lock().claims.push((when, fault));
    }

    /// From now on every read of the global feed shows what `bend` makes of it: something else, more, less, or later. For what
    /// no healthy journal says, such as commits that were removed.
    pub fn bend_feed(&self, bend: impl Fn(Feed) -> Feed + Send + Sync + 'static) {
        self.script.lock().bend_feed = Some(Arc::new(bend));
    }

    /// Poisons the journal from now on: appends and openings answer `Poisoned`, reads go on.
    pub fn poison(&self, reason: &str) {
        self.script.lock().poison.get_or_insert_with(|| reason.into());
    }

    /// From now on at most so many appends are under way; more are handed back. `usize::MAX` lifts it.
    pub fn queue_max(&self, appends: usize) {
        self.script.lock().queue_max = Some(appends);
    }

    /// From now on [`capacity`](onefold_core::journal::Journal::capacity) resolves so much later.
    pub fn delay_capacity(&self, delay: Duration) {
        self.script.lock().capacity_delay = Some(delay);
    }

    /// Answers every append that is under way, held back or not, with [`AppendError::Unknown`], unless it is known to have
    /// failed: as when the process that knew is gone. Those the journal itself has not decided follow when it has.
    pub fn abandon(&self) {
        self.line.abandon();
    }

    /// Forgets all faults that are scripted but not under way; a poisoned journal stays poisoned.
    pub fn clear(&self) {
        let mut script = self.script.lock();
        *script = Script { poison: script.poison.take(), ..Script::default() };
    }

    /// How many appends were taken so far.
    pub fn appends_taken(&self) -> u64 {
        self.submitted.load(Ordering::Relaxed)
    }

    /// How many appends are under way: taken, and not answered yet.
    pub fn appends_under_way(&self) -> usize {
        self.line.len()
    }
}

/// The global feed, as [`Journal::read_all`](onefold_core::journal::Journal::read_all) gives it.
pub type Feed = BoxStream<'static, Result<FeedItem, ReadError>>;

pub(super) type BendFeed = Arc<dyn Fn(Feed) -> Feed + Send + Sync>;

/// What is scripted.
#[derive(Clone, Default)]
pub(super) struct Script {
    appends: Vec<(When, AppendFault)>,
    opens: Vec<(When, OpenFault)>,
    reads: Vec<(When, ReadFault)>,
    claims: Vec<(When, ReadFault)>,
    bend_feed: Option<BendFeed>,
    poison: Option<Arc<str>>,
    queue_max: Option<usize>,
    capacity_delay: Option<Duration>,
}

impl Script {
    pub(super) fn on_append(&mut self, append: &Append) -> Option<AppendFault> {
        pick(&mut self.appends, |stream| append.parts.iter().any(|part| part.stream() == stream))
    }

    pub(super) fn on_open(&mut self, opened: &StreamId) -> Option<OpenFault> {
        pick(&mut self.opens, |stream| opened == stream)
    }

    /// `read` is `None` for a read of all.
    pub(super) fn on_read(&mut self, read: Option<&StreamId>) -> Option<ReadFault> {
        pick(&mut self.reads, |stream| read == Some(stream))
    }

    pub(super) fn on_claims(&mut self) -> Option<ReadFault> {
        pick(&mut self.claims, |_| false)
    }

    pub(super) fn bend_feed(&self) -> Option<BendFeed> {
        self.bend_feed.clone()
    }

    pub(super) fn poison(&self) -> Option<Arc<str>> {
        self.poison.clone()
    }

    pub(super) fn queue_max(&self) -> usize {
        self.queue_max.unwrap_or(usize::MAX)
    }

    pub(super) fn capacity_delay(&self) -> Option<Duration> {
        self.capacity_delay
    }
}

fn pick<F: Clone>(rules: &mut Vec<(When, F)>, concerns: impl Fn(&StreamId) -> bool) -> Option<F> {
    let fault = rules.iter_mut().find_map(|(when, fault)| when.meets(&concerns).then(|| fault.clone()));
    rules.retain(|(when, _)| when.count > 0);
    fault
}
