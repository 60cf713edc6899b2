//! The journal: the durable store of commits, as a contract.
//!
//! ```text
//!   open(stream) ──▶ Session + head            one incarnation's right to append to one stream
//!        │
//!   append(session, expected, events + key, claims, ack) ─▶ queue ─▶ [ group ] ─▶ durable ─▶ ack(Appended)
//!        │                                     │              in order   one sync     in order
//!        │                                     └── each pinned before by pin_claims(names)
//!        └── full? handed back; wait for capacity()
//!
//!   read_stream(stream, after) ─▶ recorded commits of one stream, in their order, durable only
//!   read_all(checkpoint)       ─▶ every commit, in global order, durable only
//!   claim(name), claims(page)  ─▶ who holds what, durable only
//! ```
//!
//! [`Journal`] lists what an implementation MUST hold to; the conformance suite of `onefold-testkit` checks it.
//! [`MemoryJournal`] is the smallest complete implementation, and the one to read first.

mod append;
mod claims;
mod error;
mod events;
mod extras;
mod key_record;
mod memory;
mod read;
pub mod record;
mod session;

use std::any::Any;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use tokio::sync::watch;

pub use append::{Acknowledge, Acknowledgement, Append, AppendOutcome, AppendPart, Appended};
pub use claims::{ClaimPage, DecidedClaims, PinState, PinnedClaim};
pub use error::{AppendError, CloseError, OpenError, ReadError};
pub use events::{EncodeError, EncodedEvents, EventFrame, EventFrames};
pub use extras::{ClaimAction, ClaimChange, ClaimFact, RecordedExtras};
pub use key_record::{KeyDraft, KeyOutcome, KeyRecord, PackedKey};
pub use memory::MemoryJournal;
pub use read::{DurablePosition, FeedItem, JournalHealth, RecordedCommit, RecordedPart, StreamChunk, StreamPage};
pub use session::{OpenedSession, Session, WeakSession, WriterEpoch};

use crate::{Checkpoint, ClaimName, Holder, StreamId, StreamVersion};

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
/// 2. MUST persist a commit (all its parts, with their extras) whole or not at all, and never interleave the events of two
///    commits in a stream.
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
/// 7. MUST treat an append in which no part has events or extras as a *barrier*: it takes no number, changes nothing, and
///    is acknowledged only when everything submitted before it to the same stream is durable. An append with extras and
///    without events is a commit: it has a number, takes no position and no version, and belongs to its streams.
/// 8. MUST answer [`AppendError::Unknown`] when it cannot tell whether a commit is stored, and any other error only when it
///    surely is not.
/// 9. MUST NOT block the calling thread in [`append`](Journal::append), nor hold a lock while it acknowledges: an
///    acknowledgement may append and begin reads.
///
/// Sessions:
///
/// 10. MUST answer [`open`](Journal::open) only when every older append to that stream is decided, and end its older
///     sessions. Head and last commit that it returns include all of them. It acts when its future is first polled, not before.
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
/// Claims, and what else a commit carries beside events. A journal without them answers `Unsupported`
/// ([`AppendError::Unsupported`], [`ReadError::Unsupported`]); it does so for every append with extras, and stores nothing
/// of it. One that has them
///
/// 17. MUST decide the changes of claims that a commit asks for in the order of submission, part after part, one after the
///     other, after session and version of every part, as [`ClaimAction`] says and [`DecidedClaims`] does. A change that
///     cannot be made fails the commit with [`AppendError::ClaimTaken`] or [`AppendError::ClaimNotHeld`]: nothing of it is
///     stored, no claim is changed, and the sessions of all parts end.
/// 18. MUST give a claim one holder at most, whatever races, restarts and failures there are.
/// 19. MUST show a change of a claim, to pins, to look-ups and in lists, only when its commit is durable, and from its
///     acknowledgement on. What is decided later takes it into account as soon as it is decided itself.
/// 20. MUST give back the extras of each part as facts, see [`RecordedExtras`], and the idempotency record byte by byte.
///
/// # Edge cases
///
/// * Dropping the future of `open` or the stream of a read cancels it, and leaves nothing behind.
/// * `append` of a session, or with a pinned claim, that belongs to another journal is [`AppendError::Superseded`].
/// * `read_stream` after a version beyond the head is empty.
/// * A commit that asks for nothing but a change without effect ([`ClaimAction::Expire`] that comes too late) is a commit.
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

    /// The commits of `stream` behind the one that holds event `after`, and that one whole if it has later events, too: in
    /// order, in chunks of bounded size, up to what is durable now. `after` 0 gives all, also those before the first event.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>>;

    /// Every commit behind the one that holds the event at `after`, and that one whole if it has later events, too: in
    /// global order, up to what is durable now. [`Checkpoint::START`] gives all. So whoever goes on from the checkpoint of
    /// an item meets each event once; and once more, perhaps, commits without events that stand at that checkpoint.
    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>>;

    /// The streams of one aggregate type that have events, ordered by id.
    ///
    /// # Errors (of the future)
    ///
    /// [`ReadError`].
    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>>;

    /// Brings claims into memory, so that appends can change them, in the order of `names`.
    ///
    /// # Errors (of the future)
    ///
    /// [`ReadError`].
    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        drop(names);
        Box::pin(std::future::ready(Err(NO_CLAIMS)))
    }

    /// Who holds a claim.
    ///
    /// # Errors (of the future)
    ///
    /// [`ReadError`].
    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        drop(name);
        Box::pin(std::future::ready(Err(NO_CLAIMS)))
    }

    /// The claims of one namespace that somebody holds, ordered by value.
    ///
    /// # Errors (of the future)
    ///
    /// [`ReadError`].
    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        drop(page);
        Box::pin(std::future::ready(Err(NO_CLAIMS)))
    }

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

/// What a journal without claims answers.
const NO_CLAIMS: ReadError = ReadError::Unsupported { what: "claims" };

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

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        (**self).pin_claims(names)
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        (**self).claim(name)
    }

    fn claims(&self, page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        (**self).claims(page)
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
