//! A history of operations by many concurrent callers, and the proof that each aggregate was linearizable.
//!
//! Each success tells the version it reached, so nothing needs to be searched: the versions *are* the order, and the
//! checker asks whether replies, real time and the journal agree with it.
//!
//! * Each success occupies exactly the versions it replied, and no two the same.
//! * An operation that returned before another began comes before it.
//! * A read saw a version that the aggregate had, between commits, and not one older than what had returned before.
//! * What was rejected, or surely not stored, is not in the journal. What is unknown may be, once, and whole.
//! * The journal has nothing else, and no gap.
//!
//! ```
//! # use std::sync::Arc;
//! # use onefold_core::{Metadata, StreamId, journal::{Journal, MemoryJournal}};
//! use onefold_testkit::history::{History, operation_in_metadata};
//! use onefold_testkit::{TestEvent, part, prepare, submit};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
//! # let stream = StreamId::new("account", "a").unwrap();
//! # let session = journal.open(&stream).await.unwrap().session;
//! let history = History::new();
//! let operation = history.begin(&stream);
//! let mut metadata = Metadata::default();
//! operation.mark(&mut metadata.entries);
//! let (append, outcome) = prepare([part(&session, 0, &TestEvent::series([1, 2]))], &metadata);
//! submit(&journal, append).await;
//! match outcome.await {
//!     Ok(_) => operation.stored(2.into(), 2),
//!     Err(error) if error.surely_not_stored() => operation.not_stored(),
//!     Err(_) => operation.unknown(),
//! }
//! let report = history.check_journal(&journal, |part, _| operation_in_metadata(part)).await.unwrap();
//! assert_eq!((report.stored, report.events), (1, 2));
//! # }
//! ```

mod check;
mod stored;
mod violation;

use std::fmt;
use std::sync::Arc;

use onefold_core::journal::{EventFrame, Journal, RecordedPart};
use onefold_core::{MetadataEntries, StreamId, StreamVersion};
use parking_lot::Mutex;

pub use self::check::Report;
pub use self::stored::{StoredEvent, operation_in_metadata, read_stored};
pub use self::violation::Violation;

/// The metadata entry by which [`Invocation::mark`] names the operation.
pub const OPERATION_ENTRY: &str = "testkit.operation";

/// Names one operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u64);

impl OperationId {
    /// From its number, as it was stored with an event.
    pub const fn new(number: u64) -> Self {
        OperationId(number)
    }

    /// Its number, to be stored with the operation's events.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// How an operation ended, as its caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A success that reached `version` with its last event of `events`.
    Stored {
        /// The version reached.
        version: StreamVersion,
        /// How many events.
        events: u64,
    },
    /// A look at the state at `version`; also a rejection, or a success without events, that tells the version.
    Read {
        /// The version seen.
        version: StreamVersion,
    },
    /// The domain said no.
    Rejected,
    /// Surely nothing was stored.
    NotStored,
    /// Nobody knows.
    Unknown,
}

/// One operation on one aggregate: who, when in the order of all beginnings and returns, and how it ended.
#[derive(Clone, Debug)]
struct Operation {
    stream: StreamId,
    began: u64,
    /// Missing while it is under way: then it counts as unknown.
    returned: Option<(u64, Reply)>,
}

/// Records operations. Clones are the same history.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    operations: Vec<Operation>,
    /// Counts beginnings and returns.
    moments: u64,
}

impl History {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// An operation begins. Call it before the command is sent.
    pub fn begin(&self, stream: &StreamId) -> Invocation {
        let mut records = self.0.lock();
        records.moments += 1;
        let began = records.moments;
        records.operations.push(Operation { stream: stream.clone(), began, returned: None });
        let id = OperationId(records.operations.len() as u64 - 1);
        Invocation { history: self.clone(), id }
    }

    /// How many operations began.
    pub fn len(&self) -> usize {
        self.0.lock().operations.len()
    }

    /// Whether none began.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks the history against all events of a journal, in any order. Operations under way count as unknown.
    ///
    /// # Errors
    ///
    /// The first [`Violation`] found.
    pub fn check(&self, stored: &[StoredEvent]) -> Result<Report, Violation> {
        let operations = self.0.lock().operations.clone();
        check::check(&operations, stored)
    }

    /// Reads the whole journal, and checks the history against it. `operation` finds the operation that wrote an event;
    /// [`operation_in_metadata`] is one way.
    ///
    /// # Errors
    ///
    /// The first [`Violation`] found.
    pub async fn check_journal(
        &self,
        journal: &Arc<dyn Journal>,
        operation: impl Fn(&RecordedPart, &EventFrame<'_>) -> Option<OperationId> + Send,
    ) -> Result<Report, Violation> {
        let stored = read_stored(journal, operation).await.map_err(Violation::Unreadable)?;
        self.check(&stored)
    }

    fn returned(&self, id: OperationId, reply: Reply) {
        let mut records = self.0.lock();
        records.moments += 1;
        let now = records.moments;
        if let Some(operation) = usize::try_from(id.0).ok().and_then(|index| records.operations.get_mut(index)) {
            operation.returned = Some((now, reply));
        }
    }
}

/// An operation that has begun. Say how it ended as soon as it returned; dropped, its end is unknown.
#[must_use = "dropped, the operation counts as one of unknown outcome"]
pub struct Invocation {
    history: History,
    id: OperationId,
}

impl Invocation {
    /// Its name, to be stored with its events.
    pub fn id(&self) -> OperationId {
        self.id
    }

    /// Writes its name into the command's metadata, where [`operation_in_metadata`] finds it.
    pub fn mark(&self, entries: &mut MetadataEntries) {
        entries.set(OPERATION_ENTRY, self.id.get().to_string());
    }

    /// It succeeded, and reached `version` with its last event of `events`.
    pub fn stored(self, version: StreamVersion, events: u64) {
        let reply = if events == 0 { Reply::Read { version } } else { Reply::Stored { version, events } };
        self.returned(reply);
    }

    /// It saw the state at `version`, and changed nothing.
    pub fn read(self, version: StreamVersion) {
        self.returned(Reply::Read { version });
    }

    /// The domain said no, at a version that was not told.
    pub fn rejected(self) {
        self.returned(Reply::Rejected);
    }

    /// Surely nothing was stored.
    pub fn not_stored(self) {
        self.returned(Reply::NotStored);
    }

    /// Perhaps something was stored.
    pub fn unknown(self) {
        self.returned(Reply::Unknown);
    }

    /// It ended like that.
    pub fn returned(self, reply: Reply) {
        self.history.returned(self.id, reply);
    }
}

#[cfg(test)]
mod tests;
