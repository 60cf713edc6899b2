//! Short words for what tests do with claims.

use std::collections::BTreeMap;
use std::sync::Arc;

use onefold_core::ExpectedVersion::Any;
use onefold_core::journal::{AppendOutcome, ClaimAction, ClaimChange, ClaimPage, Journal, PinnedClaim, Session};
use onefold_core::{Checkpoint, ClaimName, Holder, Metadata};
use onefold_sled::{SledConfig, SledJournal};
use onefold_testkit::{Pending, claims_by_log, part, prepare, read_feed, with_claims};

use super::stream;

pub(crate) fn name(value: impl std::fmt::Display) -> ClaimName {
    ClaimName::new("name", value.to_string()).unwrap()
}

pub(crate) fn open(config: SledConfig) -> (Arc<SledJournal>, Arc<dyn Journal>) {
    let journal = Arc::new(config.open().unwrap());
    (Arc::clone(&journal), journal)
}

pub(crate) async fn pin(journal: &Arc<dyn Journal>, value: impl std::fmt::Display) -> PinnedClaim {
    journal.pin_claims(vec![name(value)]).await.unwrap().remove(0)
}

pub(crate) fn take(claim: &PinnedClaim) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Take { expires_at: None, as_of: None } }
}

pub(crate) fn release(claim: &PinnedClaim) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Release }
}

pub(crate) async fn submit(journal: &Arc<dyn Journal>, session: &Session, changes: Vec<ClaimChange>) -> Pending {
    let (append, pending) = prepare([with_claims(part(session, Any, &[]), changes)], &Metadata::default());
    onefold_testkit::submit(journal, append).await;
    pending
}

pub(crate) async fn change(journal: &Arc<dyn Journal>, session: &Session, changes: Vec<ClaimChange>) -> AppendOutcome {
    submit(journal, session, changes).await.await
}

pub(crate) async fn holder(journal: &Arc<dyn Journal>, value: impl std::fmt::Display) -> Option<Holder> {
    journal.claim(name(value)).await.unwrap()
}

pub(crate) async fn claims(journal: &Arc<dyn Journal>) -> Vec<(ClaimName, Holder)> {
    let page = ClaimPage { namespace: "name".to_owned(), after: None, limit: usize::MAX };
    journal.claims(page).await.unwrap()
}

pub(crate) async fn agree_with_the_log(journal: &Arc<dyn Journal>) {
    let by_log = claims_by_log(&read_feed(journal, &Checkpoint::START).await.unwrap());
    assert_eq!(claims(journal).await.into_iter().collect::<BTreeMap<_, _>>(), *by_log.holders());
}

/// Takes `n0`, `n1`, … and gives each third one up again, several in flight.
pub(crate) async fn take_many(journal: &Arc<dyn Journal>, from: usize, to: usize) {
    let session = journal.open(&stream("holder")).await.unwrap().session;
    let mut pending = Vec::new();
    for index in from..to {
        let pin = pin(journal, format!("n{index}")).await;
        pending.push(submit(journal, &session, vec![take(&pin)]).await);
        if index % 3 == 0 {
            pending.push(submit(journal, &session, vec![release(&pin)]).await);
        }
    }
    for outcome in pending {
        outcome.await.unwrap();
    }
}
