//! What the participants have decided, looked at together, before anybody applies it: it is one commit, with the bounds of one,
//! and what one of them gives up another may take.

use onefold_core::journal::{AppendError, ClaimChange, DecidedClaims};
use onefold_core::{Limits, StreamId, TooLarge};

/// What a participant asks of the commit.
pub(crate) struct Vote {
    pub(crate) index: usize,
    pub(crate) stream: StreamId,
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// There is only one metadata, everybody's.
    pub(crate) metadata_bytes: usize,
    pub(crate) changes: Vec<ClaimChange>,
    /// Whether it leaves anything in the journal.
    pub(crate) stores: bool,
}

/// Why it cannot be.
pub(crate) enum Refusal {
    TooLarge(TooLarge),
    Claim(AppendError),
}

/// What they ask for, all together.
pub(super) fn bytes(votes: &[Vote]) -> usize {
    let metadata_bytes = votes.first().map_or(0, |vote| vote.metadata_bytes);
    votes.iter().map(|vote| vote.bytes).sum::<usize>() + metadata_bytes
}

/// Whose vote is one too many, or asks for a claim that it cannot have, and why.
pub(super) fn refusal(votes: &mut [Vote], limits: &Limits) -> Option<(usize, Refusal)> {
    // In the order of the participants, whoever was faster.
    votes.sort_unstable_by_key(|vote| vote.index);
    let (mut events, mut bytes, mut claims) = (0, 0, 0);
    for vote in votes.iter() {
        events += vote.events;
        bytes += vote.bytes;
        claims += vote.changes.len();
        if let Some(what) = too_large(events, bytes + vote.metadata_bytes, claims, limits) {
            return Some((vote.index, Refusal::TooLarge(what)));
        }
    }
    if claims == 0 {
        return None;
    }
    let parts = votes.iter().map(|vote| (&vote.stream, &*vote.changes));
    let refused = DecidedClaims::foreseen_together(parts).err();
    refused.map(|(position, error)| (votes[position].index, Refusal::Claim(error)))
}

fn too_large(events: usize, bytes: usize, claims: usize, limits: &Limits) -> Option<TooLarge> {
    if events > limits.events_per_commit_max {
        Some(TooLarge::EventsPerCommit { actual: events, limit: limits.events_per_commit_max })
    } else if bytes > limits.commit_bytes_max {
        Some(TooLarge::Commit { actual: bytes, limit: limits.commit_bytes_max })
    } else if claims > limits.claims_per_commit_max {
        Some(TooLarge::ClaimsPerCommit { actual: claims, limit: limits.claims_per_commit_max })
    } else {
        None
    }
}
