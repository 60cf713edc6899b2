//! What a part of a commit carries beside its events: changes of claims, and the record of a command with an idempotency
//! key.
//!
//! A [`ClaimChange`] is what goes in: a change *asked for*, which the journal decides in the order of submission. [`RecordedExtras`]
//! is what comes out: the *facts* they led to. A fact needs no look at what was before it, so whoever reads the log knows
//! each claim's holder from the last fact about it.

use super::{KeyRecord, PinnedClaim};
use crate::{ClaimName, CommitNumber, Holder, StreamId, Timestamp};

/// A change of one claim, asked for by the stream of the part that carries it.
#[derive(Clone, Debug)]
pub struct ClaimChange {
    /// Of which claim.
    pub claim: PinnedClaim,
    /// What is to become of it.
    pub action: ClaimAction,
}

/// What is to become of a claim. "The stream" is that of the part that carries the change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimAction {
    /// The stream takes it. What the stream holds already is confirmed, or prolonged, as by [`Confirm`](Self::Confirm).
    /// [`AppendError::ClaimTaken`](super::AppendError::ClaimTaken) when another stream holds it.
    Take {
        /// Until when it is only held; `None` for good.
        expires_at: Option<Timestamp>,
        /// What the clock says: another's hold whose limit is not after this ends in this very commit. `None`: no hold
        /// ends.
        as_of: Option<Timestamp>,
    },
    /// The stream, which holds it, goes on to hold it: for good, or with another limit. What is held for good stays so.
    /// [`AppendError::ClaimNotHeld`](super::AppendError::ClaimNotHeld) when the stream does not hold it, also if it did
    /// and the hold was ended.
    Confirm {
        /// Until when it is held; `None` for good.
        expires_at: Option<Timestamp>,
    },
    /// The stream, which holds it, gives it up. [`AppendError::ClaimNotHeld`](super::AppendError::ClaimNotHeld) when it
    /// does not.
    Release,
    /// The stream, which holds it, hands it to another stream, which need not exist; a hold's limit stays.
    /// [`AppendError::ClaimNotHeld`](super::AppendError::ClaimNotHeld) when it does not.
    Move {
        /// To which stream.
        to: StreamId,
    },
    /// Ends anybody's hold, if it is still the one of commit `since` and its limit is not after `as_of`. Else nothing
    /// happens, and that is no error: somebody was faster, or the hold was confirmed.
    Expire {
        /// The commit of the hold that is meant, see [`Holder::since`].
        since: CommitNumber,
        /// What the clock says.
        as_of: Timestamp,
    },
}

/// What a recorded part carries beside its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedExtras {
    /// What became of claims, in order.
    pub claims: Vec<ClaimFact>,
    /// What a repeat of the command is to be answered.
    pub key: Option<KeyRecord>,
}

/// What became of a claim by a commit. "The stream" is that of the part that carries the fact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimFact {
    /// The stream holds it: taken, confirmed or prolonged.
    Taken {
        /// The claim.
        claim: ClaimName,
        /// Until when it is only held; `None` for good.
        expires_at: Option<Timestamp>,
    },
    /// The stream gave it up.
    Released {
        /// The claim.
        claim: ClaimName,
    },
    /// The stream handed it to another.
    Moved {
        /// The claim.
        claim: ClaimName,
        /// The new holder.
        to: StreamId,
        /// Until when it is only held; `None` for good.
        expires_at: Option<Timestamp>,
    },
    /// Somebody's hold ended.
    Expired {
        /// The claim.
        claim: ClaimName,
        /// The commit of the hold that ended.
        since: CommitNumber,
    },
}

impl ClaimFact {
    /// Which claim.
    pub fn claim(&self) -> &ClaimName {
        match self {
            ClaimFact::Taken { claim, .. }
            | ClaimFact::Released { claim }
            | ClaimFact::Moved { claim, .. }
            | ClaimFact::Expired { claim, .. } => claim,
        }
    }

    /// Who holds the claim after it, when `stream`'s part of commit `number` carries it.
    pub fn holder(&self, stream: &StreamId, number: CommitNumber) -> Option<Holder> {
        let held = |stream: &StreamId, expires_at| Some(Holder { stream: stream.clone(), since: number, expires_at });
        match self {
            ClaimFact::Taken { expires_at, .. } => held(stream, *expires_at),
            ClaimFact::Moved { to, expires_at, .. } => held(to, *expires_at),
            ClaimFact::Released { .. } | ClaimFact::Expired { .. } => None,
        }
    }
}
