//! What goes into the journal: a commit, and whom to tell.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::{SmallVec, smallvec};

use super::{AppendError, ClaimChange, EncodedEvents, Session};
use crate::{CommitNumber, ExpectedVersion, GlobalPosition, StreamId};

/// One commit on its way into the journal: it lands whole or not at all.
#[derive(Debug)]
pub struct Append {
    /// One part per stream; never two of one stream, never none.
    pub parts: SmallVec<[AppendPart; 1]>,
    /// The command's [`Metadata`](crate::Metadata) in its stored form.
    pub metadata: Vec<u8>,
    /// Told the outcome, once.
    pub acknowledgement: Acknowledgement,
}

impl Append {
    /// A commit of a single part.
    pub fn new(part: AppendPart, metadata: Vec<u8>, acknowledgement: Acknowledgement) -> Self {
        Append { parts: smallvec![part], metadata, acknowledgement }
    }

    /// Whether this is a barrier: no part has anything to record.
    pub fn is_barrier(&self) -> bool {
        self.parts.iter().all(|part| !part.is_recorded())
    }

    /// The bytes it occupies in a queue.
    pub fn queued_bytes(&self) -> usize {
        size_of::<Self>() + self.metadata.len() + self.parts.iter().map(AppendPart::queued_bytes).sum::<usize>()
    }
}

/// One stream's share of a commit.
#[derive(Debug)]
pub struct AppendPart {
    /// The right to append to the stream, and which stream.
    pub session: Session,
    /// What the writer believes about the stream's version.
    pub expected: ExpectedVersion,
    /// The encoded events, none for a barrier; and what a repeat of the command is to be answered.
    pub events: EncodedEvents,
    /// Changes of claims, decided one after the other. At most
    /// [`Limits::claims_per_commit_max`](crate::Limits::claims_per_commit_max) in a commit.
    pub claims: Vec<ClaimChange>,
}

impl AppendPart {
    /// The stream.
    pub fn stream(&self) -> &StreamId {
        self.session.stream()
    }

    /// Whether it leaves something in the journal: events, or extras. A part that does not is only checked.
    pub fn is_recorded(&self) -> bool {
        !self.events.is_empty() || self.has_extras()
    }

    /// Whether it carries more than events: changes of claims, or the record of a key.
    pub fn has_extras(&self) -> bool {
        !self.claims.is_empty() || !self.events.key_bytes().is_empty()
    }

    fn queued_bytes(&self) -> usize {
        let claims = self.claims.iter().map(|change| size_of::<ClaimChange>() + change.claim.name().as_str().len());
        self.events.all_bytes().len() + claims.sum::<usize>()
    }
}

/// Where a commit landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number; of a barrier, that of the last commit before it.
    pub commit: CommitNumber,
    /// The global position of its last event; of a barrier, or a commit without events, that of the last event before it.
    pub position: GlobalPosition,
}

/// How an append ended.
pub type AppendOutcome = Result<Appended, AppendError>;

/// Somebody to be told the outcome of an append. Called on the journal's thread: be brief, don't block, don't panic.
pub trait Acknowledge: Send + Sync {
    /// Called once.
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome);
}

/// The right, and the duty, to tell the outcome of one append once. Dropped without, it tells
/// [`AppendError::Unknown`]: a journal that loses an append by a bug still leaves nobody waiting.
pub struct Acknowledgement(Option<Arc<dyn Acknowledge>>);

impl Acknowledgement {
    /// Tells `listener`.
    pub fn new(listener: Arc<dyn Acknowledge>) -> Self {
        Acknowledgement(Some(listener))
    }

    /// Tells a closure.
    pub fn from_fn(listener: impl FnOnce(AppendOutcome) + Send + 'static) -> Self {
        Self::new(Arc::new(Closure(Mutex::new(Some(listener)))))
    }

    /// Tells the outcome.
    pub fn complete(mut self, outcome: AppendOutcome) {
        if let Some(listener) = self.0.take() {
            listener.acknowledge(outcome);
        }
    }
}

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        if let Some(listener) = self.0.take() {
            listener.acknowledge(Err(AppendError::Unknown { reason: "the journal dropped the append".into() }));
        }
    }
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgement").finish_non_exhaustive()
    }
}

struct Closure<F>(Mutex<Option<F>>);

impl<F: FnOnce(AppendOutcome) + Send> Acknowledge for Closure<F> {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        let listener = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            listener(outcome);
        }
    }
}
