//! An aggregate's state in memory, at a version.

use std::sync::Arc;

use onefold_core::journal::{KeyRecord, PackedKey, Session};
use onefold_core::{Aggregate, Context, StreamVersion, Timestamp};

use super::keys::{Keys, Remembered, Retention};
use super::panics::drop_guarded;
use super::slot::Slot;

/// The state of one incarnation. It may be ahead of the journal by what is in flight; the gate sees to it that nobody
/// notices.
pub(crate) struct Instance<A: Aggregate> {
    pub(crate) state: A,
    /// The last event applied.
    pub(crate) version: StreamVersion,
    pub(crate) session: Session,
    pub(crate) context: Context<A>,
    pub(crate) slot: Arc<Slot<A>>,
    /// The idempotency keys of its commands.
    pub(crate) keys: Keys,
    /// Whether nothing was in flight when the current run began.
    pub(crate) settled: bool,
    /// The state shows events that are not submitted and never will be: it is thrown away when the call is passed on.
    pub(crate) spoiled: bool,
    /// What is running, so that a panic can be attributed.
    pub(crate) stage: Stage,
}

impl<A: Aggregate> Instance<A> {
    /// The version for an error that leaves at once: only if it is durable.
    pub(crate) fn durable_version(&self) -> Option<StreamVersion> {
        self.slot.is_settled().then_some(self.version)
    }

    /// What it weighs now: the user's state, and what is remembered of keys.
    pub(crate) fn weight(&self) -> usize {
        self.state.weight().saturating_add(self.keys.bytes())
    }

    /// What a command with this key was answered, if it is remembered.
    pub(crate) fn remembered(&self, key: PackedKey<'_>) -> Option<Remembered<'_>> {
        self.keys.get(key)
    }

    /// Remembers the key of a commit made at `at`, after which the aggregate was at `version`.
    pub(crate) fn remember(&mut self, record: &KeyRecord<impl AsRef<[u8]>>, version: StreamVersion, at: Timestamp) {
        let config = &self.slot.shared.config;
        let retention = Retention { keys: config.idempotency_keys_min, time: config.idempotency_retention };
        self.keys.add(record, version, at, retention);
    }

    /// Lets it go. The state is a user's value: should its drop panic, that is nobody else's matter.
    pub(crate) fn discard(self: Box<Self>) {
        let stream = self.slot.stream.clone();
        drop_guarded(self, &stream);
    }
}

/// The stage in which a refused claim is put into words of the domain.
pub(crate) const REFUSE: &str = "or_reject";

/// The user's code that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Merge,
    Handle,
    Refuse,
    Apply,
    Reply,
    Weigh,
    Read,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Merge => "merge",
            Stage::Handle => "handle",
            Stage::Refuse => REFUSE,
            Stage::Apply => "apply",
            Stage::Reply => "reply",
            Stage::Weigh => "weight",
            Stage::Read => "read",
        }
    }
}
