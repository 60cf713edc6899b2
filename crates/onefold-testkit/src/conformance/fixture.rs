//! What a case works with: a store of its own, its open journal, and short words for what every case does.

use std::sync::Arc;

use onefold_core::journal::{AppendError, AppendOutcome, AppendPart, Appended, Journal, OpenedSession, Session};
use onefold_core::{Checkpoint, CommitNumber, ExpectedVersion, GlobalPosition, Metadata, StreamId, StreamVersion};

use super::{How, Subject};
use crate::{Pending, SeenCommit, SeenEvent, TestEvent, append_one, part, prepare, read_events, read_feed, submit};

type Factory<S> = Arc<dyn Fn() -> S + Send + Sync>;

/// One case's journal.
pub(super) struct Fixture<S> {
    factory: Factory<S>,
    subject: S,
    journal: Arc<dyn Journal>,
}

impl<S: Subject> Fixture<S> {
    pub(super) async fn new(factory: Factory<S>) -> Self {
        let subject = factory();
        let journal = subject.open().await;
        Fixture { factory, subject, journal }
    }

    /// Another store, empty.
    pub(super) async fn another(&self) -> Self {
        Self::new(self.factory.clone()).await
    }

    /// Stops the journal and opens it anew. The case must hold no other handle of the journal.
    pub(super) async fn reopen(self, how: How) -> Self {
        let Fixture { factory, subject, journal } = self;
        let journal = subject.reopen(journal, how).await;
        Fixture { factory, subject, journal }
    }

    pub(super) fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    pub(super) async fn open(&self, stream: &str) -> OpenedSession {
        self.journal.open(&name(stream)).await.expect("a healthy journal opens any stream")
    }

    /// Opens a stream for its session alone.
    pub(super) async fn session(&self, stream: &str) -> Session {
        self.open(stream).await.session
    }

    /// Where a stream ends, asked for by opening it.
    pub(super) async fn head(&self, stream: &str) -> u64 {
        self.open(stream).await.head.get()
    }

    pub(super) async fn append(
        &self,
        session: &Session,
        expected: impl Into<ExpectedVersion>,
        count: u64,
    ) -> AppendOutcome {
        append_one(&self.journal, session, expected, count).await
    }

    pub(super) async fn commit(&self, parts: impl IntoIterator<Item = AppendPart>) -> AppendOutcome {
        self.submit(parts).await.await
    }

    pub(super) async fn submit(&self, parts: impl IntoIterator<Item = AppendPart>) -> Pending {
        let (append, pending) = prepare(parts, &Metadata::default());
        submit(&self.journal, append).await;
        pending
    }

    /// Appends commits of one small event each, numbered on from the stream's version, many at a time.
    pub(super) async fn fill(&self, stream: &str, commits: u64) {
        let opened = self.open(stream).await;
        let first = opened.head.get();
        let mut pending = Vec::new();
        for version in first..first + commits {
            pending.push(self.submit([part(&opened.session, version, &[TestEvent::numbered(version + 1)])]).await);
        }
        for outcome in pending {
            outcome.await.expect("an append to a stream of one's own");
        }
    }

    pub(super) async fn events(&self, stream: &str) -> Vec<SeenEvent> {
        self.events_after(stream, 0).await
    }

    pub(super) async fn events_after(&self, stream: &str, after: u64) -> Vec<SeenEvent> {
        let read = read_events(&self.journal, &name(stream), StreamVersion::new(after)).await;
        read.expect("a healthy journal reads any stream")
    }

    /// The numbers of a stream's events.
    pub(super) async fn numbers(&self, stream: &str) -> Vec<u64> {
        self.events(stream).await.iter().map(|seen| seen.event.number).collect()
    }

    /// The durable commit and position, as soon as the commit is at `commit` at least.
    pub(super) async fn durable_from(&self, commit: u64) -> (u64, u64) {
        let mut durable = self.journal.durable();
        let reached = durable.wait_for(|durable| durable.commit.get() >= commit).await.expect("the journal is there");
        (reached.commit.get(), reached.position.get())
    }

    pub(super) async fn feed(&self) -> Vec<SeenCommit> {
        self.feed_after(0).await
    }

    pub(super) async fn feed_after(&self, position: u64) -> Vec<SeenCommit> {
        let after = Checkpoint::after(GlobalPosition::new(position));
        read_feed(&self.journal, &after).await.expect("a healthy journal reads its feed")
    }
}

/// A stream's name; without a type it is a `test`.
pub(super) fn name(stream: &str) -> StreamId {
    let parsed = if stream.contains('/') { stream.parse() } else { StreamId::new("test", stream) };
    parsed.expect("a valid name")
}

pub(super) fn appended(commit: u64, position: u64) -> Appended {
    Appended { commit: CommitNumber::new(commit), position: GlobalPosition::new(position) }
}

pub(super) fn superseded(stream: &str) -> AppendOutcome {
    Err(AppendError::Superseded { stream: name(stream) })
}

pub(super) fn conflict(stream: &str, expected: impl Into<ExpectedVersion>, actual: u64) -> AppendOutcome {
    let (expected, actual) = (expected.into(), StreamVersion::new(actual));
    Err(AppendError::Conflict { stream: name(stream), expected, actual })
}
