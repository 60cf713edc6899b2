//! Claims as a journal knows them: pinned while somebody may change them, and how changes are decided.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{Append, AppendError, ClaimAction, ClaimChange, ClaimFact};
use crate::{ClaimName, CommitNumber, Holder, StreamId};

/// A claim that the journal keeps in memory, so that an append that changes it is checked without a read.
///
/// A handle: clones are the same pin, and the claim may leave memory when the last one is dropped. A pin is no right to the
/// claim: who is first among the appends decides.
#[derive(Clone)]
pub struct PinnedClaim(Arc<Pinned<dyn PinState>>);

struct Pinned<S: ?Sized> {
    name: ClaimName,
    state: S,
}

/// The journal's own state in a [`PinnedClaim`].
pub trait PinState: Any + Send + Sync {
    /// Who durably holds the claim now.
    fn holder(&self) -> Option<Holder>;
}

impl PinnedClaim {
    /// A pin with the journal's own state inside. For journals.
    pub fn new<S: PinState>(name: ClaimName, state: S) -> Self {
        PinnedClaim(Arc::new(Pinned { name, state }))
    }

    /// Which claim.
    pub fn name(&self) -> &ClaimName {
        &self.0.name
    }

    /// Who durably holds it now. When an append that asks for it is decided, somebody else may.
    pub fn holder(&self) -> Option<Holder> {
        self.0.state.holder()
    }

    /// The journal's own state, if it is an `S`. For journals.
    pub fn state<S: PinState>(&self) -> Option<&S> {
        let state: &dyn Any = &self.0.state;
        state.downcast_ref()
    }
}

impl fmt::Debug for PinnedClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PinnedClaim").field(self.name()).finish()
    }
}

/// Which claims to list.
#[derive(Clone, Debug)]
pub struct ClaimPage {
    /// Of this namespace.
    pub namespace: String,
    /// With values greater than this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// What becomes of the claims of one commit. For journals.
#[derive(Debug, Default)]
pub struct DecidedClaims<'a> {
    /// The facts, in order; each with the index of the part that carries it.
    pub facts: Vec<(usize, ClaimFact)>,
    /// The claims' holders after the commit, in the order in which they changed: of a claim that changed twice, the last
    /// entry counts.
    pub holders: Vec<(&'a PinnedClaim, Option<Holder>)>,
}

impl<'a> DecidedClaims<'a> {
    /// Decides what `append`, as commit `number`, asks for: one change after the other, across the parts, all or nothing.
    /// `present` tells who holds a claim before the commit, with everything that was decided before, durable or not; `None`
    /// of a pin that is another journal's.
    ///
    /// # Errors
    ///
    /// [`AppendError::ClaimTaken`], [`AppendError::ClaimNotHeld`]; [`AppendError::Superseded`] of another journal's pin.
    pub fn decide(
        append: &'a Append,
        number: CommitNumber,
        present: impl Fn(&PinnedClaim) -> Option<Option<Holder>>,
    ) -> Result<Self, AppendError> {
        let mut decided = DecidedClaims::default();
        for (index, part) in append.parts.iter().enumerate() {
            for change in &part.claims {
                let foreign = || AppendError::Superseded { stream: part.stream().clone() };
                let before = match decided.holder_of(change.claim.name()) {
                    Some(holder) => holder.clone(),
                    None => present(&change.claim).ok_or_else(foreign)?,
                };
                for fact in decide_one(change, part.stream(), before)?.into_iter().flatten() {
                    decided.holders.push((&change.claim, fact.holder(part.stream(), number)));
                    decided.facts.push((index, fact));
                }
            }
        }
        Ok(decided)
    }

    /// Whether `stream` could make these changes, one after the other, with the claims as they durably are now. What is on
    /// its way may decide otherwise; this spares an append that would surely fail.
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide).
    pub fn foresee(stream: &StreamId, changes: &'a [ClaimChange]) -> Result<(), AppendError> {
        Self::foreseen(stream, changes).map(|_| ())
    }

    /// As [`foresee`](Self::foresee), and what would become of the claims. The commit has no number yet: new holders hold
    /// since [`CommitNumber::NONE`].
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide).
    pub fn foreseen(stream: &StreamId, changes: &'a [ClaimChange]) -> Result<Self, AppendError> {
        Self::foreseen_together([(stream, changes)]).map_err(|(_, error)| error)
    }

    /// As [`foreseen`](Self::foreseen), of a commit of several parts, each a stream's.
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide), with the part whose change cannot be made, counted from 0.
    pub fn foreseen_together<'s>(
        parts: impl IntoIterator<Item = (&'s StreamId, &'a [ClaimChange])>,
    ) -> Result<Self, (usize, AppendError)> {
        let mut foreseen = DecidedClaims::default();
        for (index, (stream, changes)) in parts.into_iter().enumerate() {
            for change in changes {
                let before = match foreseen.holder_of(change.claim.name()) {
                    Some(holder) => holder.clone(),
                    None => change.claim.holder(),
                };
                let facts = decide_one(change, stream, before).map_err(|error| (index, error))?;
                for fact in facts.into_iter().flatten() {
                    foreseen.holders.push((&change.claim, fact.holder(stream, CommitNumber::NONE)));
                    foreseen.facts.push((index, fact));
                }
            }
        }
        Ok(foreseen)
    }

    /// Who holds a claim after what was decided so far; `None` if that did not concern it.
    fn holder_of(&self, name: &ClaimName) -> Option<&Option<Holder>> {
        self.holders.iter().rev().find(|(claim, _)| claim.name() == name).map(|(_, holder)| holder)
    }
}

/// The facts, two at most, that a change by `stream` leads to when `before` holds the claim.
fn decide_one(
    change: &ClaimChange,
    stream: &StreamId,
    before: Option<Holder>,
) -> Result<[Option<ClaimFact>; 2], AppendError> {
    let claim = || change.claim.name().clone();
    let own = before.as_ref().is_some_and(|before| before.stream == *stream);
    let one = |fact| Ok([Some(fact), None]);
    match (&change.action, before) {
        (ClaimAction::Take { expires_at, .. } | ClaimAction::Confirm { expires_at }, Some(before)) if own => {
            // What is held for good is not turned into a hold.
            let expires_at = before.expires_at.and(*expires_at);
            one(ClaimFact::Taken { claim: claim(), expires_at })
        }
        (ClaimAction::Take { expires_at, .. }, None) => {
            one(ClaimFact::Taken { claim: claim(), expires_at: *expires_at })
        }
        (ClaimAction::Take { expires_at, as_of }, Some(before)) => match as_of {
            Some(as_of) if before.may_expire(*as_of) => Ok([
                Some(ClaimFact::Expired { claim: claim(), since: before.since }),
                Some(ClaimFact::Taken { claim: claim(), expires_at: *expires_at }),
            ]),
            _ => Err(AppendError::ClaimTaken { claim: claim(), holder: Box::new(before) }),
        },
        (ClaimAction::Release, Some(_)) if own => one(ClaimFact::Released { claim: claim() }),
        (ClaimAction::Move { to }, Some(before)) if own => {
            one(ClaimFact::Moved { claim: claim(), to: to.clone(), expires_at: before.expires_at })
        }
        (ClaimAction::Confirm { .. } | ClaimAction::Release | ClaimAction::Move { .. }, before) => {
            let holder = before.map(Box::new);
            Err(AppendError::ClaimNotHeld { claim: claim(), stream: stream.clone(), holder })
        }
        (ClaimAction::Expire { since, as_of }, before) => {
            let ends = before.is_some_and(|before| before.since == *since && before.may_expire(*as_of));
            Ok([ends.then(|| ClaimFact::Expired { claim: claim(), since: *since }), None])
        }
    }
}

#[cfg(test)]
mod tests;
