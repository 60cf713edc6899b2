//! Claims by what the log says, commit after commit: what every journal, and every checker, must agree with.

use std::collections::BTreeMap;

use onefold_core::journal::{ClaimFact, RecordedExtras};
use onefold_core::{ClaimName, CommitNumber, Holder, StreamId};

/// Who holds which claim after the commits so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsByLog(BTreeMap<ClaimName, Holder>);

impl ClaimsByLog {
    /// Takes in what `stream`'s part of commit `number` says of claims.
    ///
    /// # Errors
    ///
    /// In words, when a fact contradicts those before: somebody gives up, hands on or takes what another holds.
    pub fn note(&mut self, number: CommitNumber, stream: &StreamId, extras: &RecordedExtras) -> Result<(), String> {
        for fact in &extras.claims {
            let before = self.0.remove(fact.claim());
            if !follows(fact, before.as_ref(), stream) {
                return Err(format!("{fact:?} by {stream}, and the holder was {before:?}"));
            }
            if let Some(holder) = fact.holder(stream, number) {
                self.0.insert(fact.claim().clone(), holder);
            }
        }
        Ok(())
    }

    /// The claims that somebody holds, by name.
    pub fn holders(&self) -> &BTreeMap<ClaimName, Holder> {
        &self.0
    }
}

fn follows(fact: &ClaimFact, before: Option<&Holder>, stream: &StreamId) -> bool {
    let is_own = before.is_some_and(|before| before.stream == *stream);
    match fact {
        ClaimFact::Taken { .. } => is_own || before.is_none(),
        ClaimFact::Released { .. } | ClaimFact::Moved { .. } => is_own,
        ClaimFact::Expired { since, .. } => {
            before.is_some_and(|before| before.since == *since && before.expires_at.is_some())
        }
        _ => false,
    }
}
