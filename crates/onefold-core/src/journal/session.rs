//! The right of one incarnation to append to one stream.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::{CommitNumber, StreamId, StreamVersion};

/// The fencing number of whoever writes. The embedded journals have a single writer and keep it at 0; in a cluster it is
/// the epoch of the shard's owner, and an append under an old one is surely not applied. Opaque to the runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterEpoch(pub u64);

/// What [`Journal::open`](super::Journal::open) gives: the session, and where the stream ends.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The right to append.
    pub session: Session,
    /// The stream's version, every older append included.
    pub head: StreamVersion,
    /// The stream's last commit, every older append included; 0 of a stream without any. A stream without events can
    /// have commits.
    pub last_commit: CommitNumber,
}

/// The right of one incarnation to append to one stream, from `open` to its first failed append, or to the next `open`.
///
/// A handle: clones are the same session. The journal keeps what it needs to know about the stream inside, so that an
/// append finds it without a look-up.
#[derive(Clone)]
pub struct Session(Arc<Inner<dyn Any + Send + Sync>>);

struct Inner<S: ?Sized> {
    stream: StreamId,
    epoch: WriterEpoch,
    live: AtomicBool,
    state: S,
}

impl Session {
    /// A live session with the journal's own state inside. For journals.
    pub fn new<S: Any + Send + Sync>(stream: StreamId, epoch: WriterEpoch, state: S) -> Self {
        Session(Arc::new(Inner { stream, epoch, live: AtomicBool::new(true), state }))
    }

    /// Which stream.
    pub fn stream(&self) -> &StreamId {
        &self.0.stream
    }

    /// Under which epoch.
    pub fn epoch(&self) -> WriterEpoch {
        self.0.epoch
    }

    /// Whether the journal still honours it. Once false, false for ever.
    ///
    /// A read from memory is up to date if the session is live when it is answered and nothing is in flight: whoever wants
    /// to write elsewhere must end this session first.
    pub fn is_live(&self) -> bool {
        self.0.live.load(Ordering::Acquire)
    }

    /// Ends it. For journals.
    pub fn end(&self) {
        self.0.live.store(false, Ordering::Release);
    }

    /// The journal's own state, if it is an `S`. For journals.
    pub fn state<S: Any>(&self) -> Option<&S> {
        self.0.state.downcast_ref()
    }

    /// A handle that does not keep the session, and the state in it, alive. For journals.
    pub fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// Whether both are handles of one session.
    pub fn same(&self, other: &Session) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A session that is not kept alive: a journal remembers by it whom to end when the stream is opened anew.
#[derive(Clone)]
pub struct WeakSession(Weak<Inner<dyn Any + Send + Sync>>);

impl WeakSession {
    /// The session, if somebody still holds it.
    pub fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(Session)
    }
}

impl fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakSession").field(&self.upgrade()).finish()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("stream", self.stream()).field("live", &self.is_live()).finish_non_exhaustive()
    }
}
