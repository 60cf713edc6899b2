//! What a case works with: a store of its own, its open journal, and short words for what every case does.

use std::collections::BTreeMap;
use std::sync::Arc;

use onefold_core::journal::{
    AppendError, AppendOutcome, AppendPart, Appended, ClaimChange, ClaimPage, Journal, OpenedSession, PinnedClaim,
    Session,
};
use onefold_core::{
    Checkpoint, ClaimName, CommitNumber, ExpectedVersion, GlobalPosition, Holder, Metadata, StreamId, StreamVersion,
    Timestamp,
};

use super::{How, Subject};
use crate::{
    Pending, SeenCommit, SeenEvent, TestEvent, append_one, claims_by_log, part, prepare, read_events, read_feed,
    submit, with_claims,
};

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

    /// A claim of the namespace `name`, pinned.
    pub(super) async fn pin(&self, value: &str) -> PinnedClaim {
        let pins = self.journal.pin_claims(vec![claim(value)]).await.expect("a healthy journal pins any claim");
        let [pin] = pins.try_into().expect("one pin for one name");
        pin
    }

    /// A commit of `count` small events with these changes of claims.
    pub(super) async fn change(
        &self,
        session: &Session,
        count: u64,
        changes: impl IntoIterator<Item = ClaimChange>,
    ) -> AppendOutcome {
        let part = part(session, ExpectedVersion::Any, &TestEvent::series(1..=count));
        self.commit([with_claims(part, changes)]).await
    }

    /// Who holds a claim, as the look-up, a pin and the list say alike.
    pub(super) async fn holder(&self, value: &str) -> Option<Holder> {
        let looked_up = self.journal.claim(claim(value)).await.expect("a healthy journal looks any claim up");
        assert_eq!(self.pin(value).await.holder(), looked_up, "pin and look-up differ");
        let listed = self.claims().await.into_iter().find(|(name, _)| *name == claim(value));
        assert_eq!(listed.map(|(_, holder)| holder), looked_up, "list and look-up differ");
        looked_up
    }

    /// All claims of the namespace `name`.
    pub(super) async fn claims(&self) -> Vec<(ClaimName, Holder)> {
        let page = ClaimPage { namespace: "name".to_owned(), after: None, limit: usize::MAX };
        self.journal.claims(page).await.expect("a healthy journal lists its claims")
    }

    /// Checks that the claims are those of the log, and the log is in itself right.
    pub(super) async fn claims_agree_with_the_log(&self) {
        let by_log = claims_by_log(&self.feed().await);
        assert_eq!(self.claims().await.into_iter().collect::<BTreeMap<_, _>>(), *by_log.holders());
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

/// A claim's name; without a namespace it is a `name`.
pub(super) fn claim(value: &str) -> ClaimName {
    let parsed = if value.contains('/') { value.parse() } else { ClaimName::new("name", value) };
    parsed.expect("a valid claim")
}

/// Held by a stream since a commit, for good or until a time.
pub(super) fn held(by: &str, since: u64, expires_at: impl Into<Option<u64>>) -> Holder {
    let expires_at = expires_at.into().map(Timestamp::from_micros);
    Holder { stream: name(by), since: CommitNumber::new(since), expires_at }
}

pub(super) fn taken(value: &str, holder: Holder) -> AppendOutcome {
    Err(AppendError::ClaimTaken { claim: claim(value), holder: Box::new(holder) })
}

pub(super) fn not_held(value: &str, by: &str, holder: Option<Holder>) -> AppendOutcome {
    Err(AppendError::ClaimNotHeld { claim: claim(value), stream: name(by), holder: holder.map(Box::new) })
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
