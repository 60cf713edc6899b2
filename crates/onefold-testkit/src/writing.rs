//! Appending to a journal in tests: prepare an append, submit it, await its outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use onefold_core::journal::{
    Acknowledgement, Append, AppendError, AppendOutcome, AppendPart, ClaimChange, EncodedEvents, Journal, KeyRecord,
    Session,
};
use onefold_core::{ExpectedVersion, Limits, Metadata};
use tokio::sync::oneshot;

use crate::TestEvent;

/// The outcome of a submitted append, to be awaited.
#[derive(Debug)]
#[must_use = "an outcome that nobody looks at proves nothing"]
pub struct Pending(oneshot::Receiver<AppendOutcome>);

impl Pending {
    /// The outcome, if it is already there. It is handed out once.
    pub fn decided(&mut self) -> Option<AppendOutcome> {
        self.0.try_recv().ok()
    }
}

impl Future for Pending {
    type Output = AppendOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AppendOutcome> {
        let lost = || AppendError::Unknown { reason: "the acknowledgement was taken apart".into() };
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or_else(|_| Err(lost())))
    }
}

/// One stream's share of a commit of test events.
pub fn part(session: &Session, expected: impl Into<ExpectedVersion>, events: &[TestEvent]) -> AppendPart {
    let events = if events.is_empty() { EncodedEvents::NONE } else { TestEvent::encode_all(events) };
    AppendPart { session: session.clone(), expected: expected.into(), events, claims: Vec::new() }
}

/// The same part with changes of claims.
pub fn with_claims(mut part: AppendPart, claims: impl IntoIterator<Item = ClaimChange>) -> AppendPart {
    part.claims.extend(claims);
    part
}

/// The same part with an idempotency record.
pub fn with_key(part: AppendPart, key: &KeyRecord) -> AppendPart {
    AppendPart { events: part.events.with_key(key), ..part }
}

/// A commit of these parts, and its outcome to be awaited.
///
/// # Panics
///
/// When the metadata exceeds the default limits.
pub fn prepare(parts: impl IntoIterator<Item = AppendPart>, metadata: &Metadata) -> (Append, Pending) {
    let (tell, told) = oneshot::channel();
    let acknowledgement = Acknowledgement::from_fn(move |outcome| {
        // Nobody waits for it: that is the test's business.
        let _ = tell.send(outcome);
    });
    let mut bytes = Vec::new();
    metadata.encode(&Limits::default(), &mut bytes).expect("test metadata within the limits");
    (Append { parts: parts.into_iter().collect(), metadata: bytes, acknowledgement }, Pending(told))
}

/// Hands an append to the journal; waits while its queue is full.
pub async fn submit(journal: &Arc<dyn Journal>, append: Append) {
    let mut append = append;
    while let Err(handed_back) = journal.append(append) {
        append = handed_back;
        journal.capacity().await;
    }
}

/// Submits a commit of `count` small events, numbered from 1, to one stream; 0 make a barrier. The outcome is awaited
/// apart, so several can be under way.
pub async fn submit_one(
    journal: &Arc<dyn Journal>,
    session: &Session,
    expected: impl Into<ExpectedVersion>,
    count: u64,
) -> Pending {
    let (append, pending) = prepare([part(session, expected, &TestEvent::series(1..=count))], &Metadata::default());
    submit(journal, append).await;
    pending
}

/// Appends `count` small events to one stream, and waits for the outcome.
///
/// # Errors
///
/// What the journal answers.
pub async fn append_one(
    journal: &Arc<dyn Journal>,
    session: &Session,
    expected: impl Into<ExpectedVersion>,
    count: u64,
) -> AppendOutcome {
    submit_one(journal, session, expected, count).await.await
}
