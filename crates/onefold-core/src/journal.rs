//! The journal: the durable store of commits, as a contract.
//!
//! ```text
//!   open(stream) ──▶ Session + head            one incarnation's right to append to one stream
//!        │
//!   append(session, expected, events, ack) ─▶ queue ─▶ [ group ] ─▶ durable ─▶ ack(Appended)
//!        │                                    in order   one sync     in order
//!        └── full? handed back; wait for capacity()
//!
//!   read_stream(stream, after) ─▶ recorded commits of one stream, in version order, durable only
//!   read_all(checkpoint)       ─▶ every commit, in global order, durable only
//! ```
//!
//! [`Journal`] lists what an implementation MUST hold to; the conformance suite of `onefold-testkit` checks it.
//! [`MemoryJournal`] is the smallest complete implementation, and the one to read first.

mod append;
mod error;
mod events;
mod memory;
mod read;
pub mod record;
mod session;

use std::any::Any;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use tokio::sync::watch;

pub use append::{Acknowledge, Acknowledgement, Append, AppendOutcome, AppendPart, Appended};
pub use error::{AppendError, CloseError, OpenError, ReadError};
pub use events::{EncodeError, EncodedEvents, EventFrame, EventFrames};
pub use memory::MemoryJournal;
pub use read::{DurablePosition, FeedItem, JournalHealth, RecordedCommit, RecordedPart, StreamChunk, StreamPage};
pub use session::{OpenedSession, Session, WeakSession, WriterEpoch};

use crate::{Checkpoint, StreamId, StreamVersion};

/// The durable store of commits. Object-safe; runtimes hold an `Arc<dyn Journal>`.
///
/// An implementation may be a thread and a file, a lock and a vector, or a service on other machines: nothing here assumes
/// a thread, a file or a process. An unknown outcome is a normal outcome.
///
/// # What an implementation MUST do
///
/// Appending:
///
/// 1. MUST call each accepted append's acknowledgement exactly once: with `Ok` only when the commit is durable (in the
///    journal's mode of durability) and visible to every read that starts later.
/// 2. MUST persist a commit (all its parts) whole or not at all, and never interleave the events of two commits in a
///    stream.
/// 3. MUST check, in the order of submission, every part's session and expected version, **also of appends without
///    events**. A failed check answers [`AppendError::Conflict`] or [`AppendError::Superseded`], stores nothing of any
///    part, and ends the sessions of all parts.
/// 4. MUST end a session at its first append that fails, for whatever reason. Everything later in that session is
///    [`AppendError::Superseded`], surely not stored; or [`AppendError::Unknown`] if it was written together with the one
///    whose outcome is unknown. A journal that is poisoned or closed may name that instead of `Superseded`.
/// 5. MUST acknowledge the appends of one session, submitted one after another, in the order they were submitted,
///    failures included.
/// 6. MUST number a stream's events 1, 2, 3 …, commits 1, 2, 3 … and events across the whole journal 1, 2, 3 …, each
///    without gap or repeat, also across restarts and failures.
/// 7. MUST treat an append without events as a *barrier*: it takes no number, changes nothing, and is acknowledged only
///    when everything submitted before it to the same stream is durable.
/// 8. MUST answer [`AppendError::Unknown`] when it cannot tell whether a commit is stored, and any other error only when it
///    surely is not.
/// 9. MUST NOT block the calling thread in [`append`](Journal::append), nor hold a lock while it acknowledges: an
///    acknowledgement may append and begin reads.
///
/// Sessions:
///
/// 10. MUST answer [`open`](Journal::open) only when every older append to that stream is decided, and end its older
///     sessions. The head it returns includes all of them. It acts when its future is first polled, not before.
///
/// Reading:
///
/// 11. MUST show only durable events, in order, each exactly once, at least those that were acknowledged when the read
///     began, and in bounded memory however long the stream: chunks of at most 4,096 commits and, but for a single
///     larger commit, 8 MiB.
/// 12. MUST answer a stream that was never written as empty, not as an error.
/// 13. MUST fail loudly on damage ([`ReadError::Damaged`]): nothing is skipped, nothing guessed.
/// 14. MUST keep [`durable`](Journal::durable) no further than what reads show; at least as far as what was acknowledged,
///     and as the heads that [`open`](Journal::open) gave; and at the recovered end after a reopen.
///
/// Failing:
///
/// 15. MUST refuse writes after a failed write or sync until it is reopened ([`AppendError::Poisoned`]), and never retry
///     a sync.
/// 16. MUST, once [`close`](Journal::close) was called, answer new appends with [`AppendError::ShuttingDown`], decide what
///     it accepted before, and only then resolve; closing again resolves alike. Reads may answer [`ReadError::Closed`] from
///     then on.
///
/// # Edge cases
///
/// * Dropping the future of `open` or the stream of a read cancels it, and leaves nothing behind.
/// * `append` of a session that belongs to another journal is [`AppendError::Superseded`].
/// * `read_stream` after a version beyond the head is empty.
///
/// Every journal is `Any`, so that tools that know one sort of journal can ask whether a `dyn Journal` is one.
pub trait Journal: Any + Send + Sync {
    /// Gives the right to append to `stream`, and its head. Ends older sessions of it.
    ///
    /// # Errors (of the future)
    ///
    /// [`OpenError`], named by what the caller can do.
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>>;

    /// Queues a commit, to be acknowledged later. Never blocks.
    ///
    /// # Errors
    ///
    /// Hands the append back when the queue is full: wait for [`capacity`](Journal::capacity), then try again. (A journal
    /// that is poisoned or closed takes the append and answers through its acknowledgement.)
    fn append(&self, append: Append) -> Result<(), Append>;

    /// Resolves when [`append`](Journal::append) is likely to succeed.
    fn capacity(&self) -> BoxFuture<'static, ()>;

    /// The events of `stream` with a version above `after`, in order, in chunks of bounded size, up to what is durable
    /// now.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>>;

    /// Every commit beyond `after`, in global order, up to what is durable now.
    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>>;

    /// The streams of one aggregate type that have events, ordered by id.
    ///
    /// # Errors (of the future)
    ///
    /// [`ReadError`].
    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>>;

    /// The durable end of the journal, to be watched.
    fn durable(&self) -> watch::Receiver<DurablePosition>;

    /// How the journal is.
    fn health(&self) -> JournalHealth;

    /// Takes no more appends, decides those it accepted, and closes cleanly.
    ///
    /// # Errors (of the future)
    ///
    /// [`CloseError`] when the clean close failed; the data is as safe as after a kill.
    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>>;
}

/// A shared journal is a journal.
impl<J: Journal + ?Sized> Journal for std::sync::Arc<J> {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        (**self).open(stream)
    }

    fn append(&self, append: Append) -> Result<(), Append> {
        (**self).append(append)
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        (**self).capacity()
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        (**self).read_stream(stream, after)
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        (**self).read_all(after)
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        (**self).streams(page)
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        (**self).durable()
    }

    fn health(&self) -> JournalHealth {
        (**self).health()
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        (**self).close()
    }
}
