//! Where streams end: the heads that are in memory.

use onefold_core::StreamId;
use onefold_core::journal::WeakSession;

use crate::resident::{Entry, Pin, State, Table};

/// A stream's end: its version, and the number of its last commit. A stream can have commits and no events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: u64,
    pub(crate) commit: u64,
}

/// What else is known of a stream.
#[derive(Debug, Default)]
pub(crate) struct HeadNotes {
    /// Index entries that are not in sled yet: version and commit.
    pub(crate) index: Vec<(u64, u64)>,
    /// The newest session.
    pub(crate) session: Option<WeakSession>,
    /// Whether there was one since the head came into memory.
    pub(crate) had_session: bool,
}

/// One stream's head.
pub(crate) type StreamHead = Entry<StreamId, Place, HeadNotes>;
/// What is known of a stream's end.
pub(crate) type HeadState = State<Place, HeadNotes>;
/// All heads in memory.
pub(crate) type Heads = Table<StreamId, Place, HeadNotes>;
/// Keeps a head in memory.
pub(crate) type HeadPin = Pin<StreamId, Place, HeadNotes>;

impl Heads {
    /// Ends every session.
    pub(crate) fn end_sessions(&self) {
        self.for_each(|head| {
            // IMPORTANT: upgraded outside the lock: dropping the last handle of a session locks the head.
            let session = head.state.lock().notes.session.take();
            if let Some(session) = session.and_then(|session| session.upgrade()) {
                session.end();
            }
        });
    }
}
