//! What a decision asks of claims: brought into the journal's memory, looked at before anything is applied, and put into
//! words when the journal refuses it.

use onefold_core::journal::{AppendError, ClaimAction, ClaimChange, DecidedClaims, ReadError};
use onefold_core::{
    Aggregate, ClaimName, ClaimRefused, ClaimRequest, DecisionParts, Holder, InvalidClaim, StreamId, TooLarge,
};

use super::super::instance::Instance;
use super::super::slot::Slot;
use crate::error::{Error, NotStoredReason};

/// Changes of claims that can be handed to the journal, and what is said if it refuses one.
pub(crate) struct Claiming<R> {
    pub(crate) changes: Vec<ClaimChange>,
    pub(crate) refusals: Refusals<R>,
}

/// What is said when a change of a claim is refused, in the order of the changes.
pub(crate) struct Refusals<R> {
    rows: Vec<Row<R>>,
    /// Rejections are to be remembered under a key: one that comes of the append itself cannot be.
    remembered: bool,
}

struct Row<R> {
    claim: ClaimName,
    /// It can only fail because somebody else holds the claim; the others only because somebody else does, or nobody.
    takes: bool,
    or_reject: Option<OrReject<R>>,
}

type OrReject<R> = Box<dyn FnOnce(ClaimRefused) -> R + Send>;

/// Why a decision's claims cannot even be asked for.
pub(super) enum Unclaimable {
    Invalid(InvalidClaim),
    TooMany(TooLarge),
    Unread(ReadError),
}

/// A decision's claims, pinned in the journal. `None`, and no time at all, if it has none. The decision comes back without
/// them.
pub(super) async fn pin<A: Aggregate, R>(
    mut decision: DecisionParts<A, R>,
    slot: &Slot<A>,
) -> (DecisionParts<A, R>, Result<Option<Box<Claiming<A::Rejection>>>, Unclaimable>) {
    if decision.claims.is_empty() {
        return (decision, Ok(None));
    }
    let requests = std::mem::take(&mut decision.claims);
    // Boxed: it is rare.
    let pinned = Box::pin(pin_all(requests, slot)).await;
    (decision, pinned.map(|claiming| Some(Box::new(claiming))))
}

async fn pin_all<A: Aggregate>(
    requests: Vec<ClaimRequest<A::Rejection>>,
    slot: &Slot<A>,
) -> Result<Claiming<A::Rejection>, Unclaimable> {
    let (actual, limit) = (requests.len(), slot.shared.config.limits.claims_per_commit_max);
    if actual > limit {
        return Err(Unclaimable::TooMany(TooLarge::ClaimsPerCommit { actual, limit }));
    }
    let now = slot.shared.clock.now();
    let mut names = Vec::with_capacity(actual);
    let mut actions = Vec::with_capacity(actual);
    let mut rows = Vec::with_capacity(actual);
    for request in requests {
        let name = request.name.map_err(Unclaimable::Invalid)?;
        names.push(name.clone());
        let takes = matches!(request.action, ClaimAction::Take { .. });
        actions.push(match request.action {
            ClaimAction::Take { expires_at, .. } => ClaimAction::Take { expires_at, as_of: Some(now) },
            action => action,
        });
        rows.push(Row { claim: name, takes, or_reject: request.or_reject });
    }
    let pins = slot.shared.journal.pin_claims(names).await.map_err(Unclaimable::Unread)?;
    let changes = pins.into_iter().zip(actions).map(|(claim, action)| ClaimChange { claim, action }).collect();
    Ok(Claiming { changes, refusals: Refusals { rows, remembered: false } })
}

impl<R> Claiming<R> {
    /// Changes that no journal refuses.
    pub(super) fn unconditional(changes: Vec<ClaimChange>) -> Self {
        Claiming { changes, refusals: Refusals { rows: Vec::new(), remembered: false } }
    }

    /// The bytes they take in a commit.
    pub(crate) fn bytes(&self) -> usize {
        self.changes.iter().map(|change| change.claim.name().as_str().len()).sum()
    }

    /// Looks whether the journal would refuse them now: that spares an append that would surely fail, and the instance with
    /// it.
    pub(super) fn foresee(self: Box<Self>, stream: &StreamId) -> Result<Box<Self>, Error<R>> {
        match DecidedClaims::foresee(stream, &self.changes) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.refuse(stream, error)),
        }
    }

    /// A rejection is one only if it is remembered.
    pub(super) fn remember_rejections(&mut self) {
        self.refusals.remembered = true;
    }

    /// What it means that a change was refused when it was looked at, alone or together with those of others.
    pub(super) fn refuse(mut self, stream: &StreamId, error: AppendError) -> Error<R> {
        self.refusals.translate(stream, &error).unwrap_or_else(|| Error::from_append(stream, None, error))
    }

    /// Adds those of a later command.
    pub(super) fn extend(&mut self, later: Claiming<R>) {
        self.changes.extend(later.changes);
        self.refusals.rows.extend(later.refusals.rows);
    }
}

impl<R> Refusals<R> {
    /// Whether the claim is among those that were asked for.
    pub(crate) fn are_about(&self, claim: &ClaimName) -> bool {
        self.rows.iter().any(|row| row.claim == *claim)
    }

    /// What the refusal of an append means. A rejection that was to be remembered, and could not, is none yet: nothing was
    /// stored, and the next attempt finds the claim as it is then.
    pub(crate) fn refused(&mut self, stream: &StreamId, error: &AppendError) -> Option<Error<R>> {
        match self.translate(stream, error) {
            Some(Error::Rejected(_)) if self.remembered => {
                Some(Error::not_stored(stream, None, NotStoredReason::Superseded))
            }
            refused => refused,
        }
    }

    /// What a refusal of the journal means to the caller; `None` if it did not refuse a claim. The user's words are the user's
    /// code: they may panic.
    fn translate(&mut self, stream: &StreamId, error: &AppendError) -> Option<Error<R>> {
        let (claim, holder): (&ClaimName, Option<&Holder>) = match error {
            AppendError::ClaimTaken { claim, holder } => (claim, Some(&**holder)),
            AppendError::ClaimNotHeld { claim, holder, .. } => (claim, holder.as_deref()),
            _ => return None,
        };
        let taken = matches!(error, AppendError::ClaimTaken { .. });
        let mut rows = self.rows.iter_mut().filter(|row| row.claim == *claim);
        let or_reject = rows.find(|row| row.takes == taken).and_then(|row| row.or_reject.take());
        let (claim, stream) = (claim.clone(), stream.clone());
        Some(match (or_reject, holder.cloned()) {
            (Some(reject), holder) => Error::Rejected(reject(ClaimRefused { claim, holder })),
            (None, Some(holder)) if taken => Error::ClaimTaken { stream, claim, holder: Box::new(holder) },
            (None, holder) => Error::ClaimNotHeld { stream, claim, holder: holder.map(Box::new) },
        })
    }
}

impl Unclaimable {
    /// What the caller is told, and whether that leaves through the gate.
    pub(super) fn tell<A: Aggregate>(self, instance: &Instance<A>) -> (Error<A::Rejection>, bool) {
        let (stream, version) = (instance.slot.stream.clone(), instance.version);
        match self {
            Unclaimable::Invalid(error) => (Error::InvalidClaim { stream, version, error }, true),
            Unclaimable::TooMany(what) => (Error::TooLarge { stream, version, what }, true),
            Unclaimable::Unread(ReadError::Unsupported { what }) => {
                (Error::not_stored(&stream, instance.durable_version(), NotStoredReason::Unsupported { what }), false)
            }
            Unclaimable::Unread(error) => {
                let reason = format!("claims could not be read: {error}");
                let reason = NotStoredReason::Unavailable { reason };
                (Error::not_stored(&stream, instance.durable_version(), reason), false)
            }
        }
    }
}
