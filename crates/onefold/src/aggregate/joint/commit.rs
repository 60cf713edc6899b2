//! The commit of a joint decision: a part of each participant, one acknowledgement, and everybody's call told by it.

use std::sync::Arc;

use onefold_core::journal::{Acknowledge, Acknowledgement, Append, AppendError, AppendOutcome, AppendPart};

use super::{End, Joint, State};
use crate::runtime::releaser::Release;

/// What a participant adds to the commit.
pub(crate) struct Share {
    pub(crate) index: usize,
    pub(crate) part: AppendPart,
    /// That of the first participant is the commit's; they are all alike.
    pub(crate) metadata: Vec<u8>,
    pub(crate) seat: Arc<dyn Seat>,
}

/// A participant's call, as the commit sees it.
pub(crate) trait Seat: Send + Sync {
    /// An append of its aggregate is on its way.
    fn submitted(&self);
    /// Whether the refusal is about what it asked for.
    fn concerns(&self, error: &AppendError) -> bool;
    /// The append is decided.
    fn decided(&self, outcome: AppendOutcome);
}

impl Share {
    pub(super) fn count(&self) {
        self.seat.submitted();
    }
}

impl Joint {
    /// The commit, for whoever comes first.
    pub(super) fn take_commit(self: &Arc<Self>, state: &mut State) -> Option<Append> {
        let mut shares = std::mem::take(&mut state.shares);
        // In the order of the participants, whoever was faster.
        shares.sort_unstable_by_key(|share| share.index);
        let metadata = std::mem::take(&mut shares.first_mut()?.metadata);
        let seats = shares.iter().map(|share| share.seat.clone()).collect();
        let acknowledgement = Acknowledgement::new(Arc::new(Committed { joint: self.clone(), seats }));
        let parts = shares.into_iter().map(|share| share.part).collect();
        Some(Append { parts, metadata, acknowledgement })
    }
}

/// The commit, on its way.
struct Committed {
    joint: Arc<Joint>,
    seats: Vec<Arc<dyn Seat>>,
}

impl Committed {
    /// Whose failure it is: of several that fall together, the one that the journal's words are about.
    fn culprit(&self, error: &AppendError) -> usize {
        self.seats.iter().position(|seat| seat.concerns(error)).unwrap_or(0)
    }
}

impl Acknowledge for Committed {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        self.joint.shared.releaser.push(self.clone(), outcome);
    }
}

impl Release for Committed {
    fn touch(&self) -> bool {
        false
    }

    fn touch_aggregate(&self) -> bool {
        false
    }

    fn release(self: Arc<Self>, outcome: AppendOutcome) {
        let end = match &outcome {
            Ok(_) => End::Stored,
            Err(error) => End::Failed(self.culprit(error)),
        };
        self.seats.iter().for_each(|seat| seat.decided(outcome.clone()));
        self.joint.settle(end);
    }
}
