//! Why a scan ended before its end, and where.

use onefold_core::journal::ReadError;
use onefold_core::{Checkpoint, GlobalPosition};

use crate::events::EventsError;

/// A scan that did not come to its end. Nothing of the journal was changed, and nothing was passed over.
///
/// To go on behind what stopped it is its reader's decision, and takes two scans: one `.until(&error.reached)`, for the state up
/// to there, and one from [`beyond`](field@ScanError::beyond), with that state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scan stopped after position {}: {stop}", reached.position())]
#[non_exhaustive]
pub struct ScanError {
    /// How far it was: the end of the last commit that was dealt with.
    pub reached: Checkpoint,
    /// The end of what stopped it, where that is known. Damage has no known end; `onefold verify` lists it, and after a repair a
    /// record of the gap stands in its place.
    pub beyond: Option<Checkpoint>,
    /// What stopped it.
    pub stop: ScanStop,
}

impl ScanError {
    pub(super) fn new(reached: &Checkpoint, stop: ScanStop) -> Self {
        ScanError { reached: reached.clone(), beyond: None, stop }
    }

    pub(super) fn beyond(self, checkpoint: Checkpoint) -> Self {
        ScanError { beyond: Some(checkpoint), ..self }
    }
}

/// What stops a scan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanStop {
    /// The journal ends before the checkpoint: it is another one, or an older copy of it.
    #[error("the journal ends at {durable}: is it the one that the checkpoint was taken of?")]
    Ahead {
        /// The journal's durable end.
        durable: GlobalPosition,
    },
    /// The journal could not be read; above all, [damage](ReadError::Damaged).
    #[error(transparent)]
    Read(ReadError),
    /// An event of one of the aggregate types that are looked at does not decode, or is not known to them.
    #[error(transparent)]
    Event(EventsError),
    /// Events were removed on purpose, and the scan does not say what to do then: [`Scan::on_removed`](super::Scan::on_removed).
    #[error("the events from {from} to {to} were removed")]
    Removed {
        /// The first position that is gone.
        from: GlobalPosition,
        /// The last one.
        to: GlobalPosition,
    },
    /// The journal stopped short of its own durable end: it does not keep its contract.
    #[error("the journal says that it is durable up to {durable}, and shows no more")]
    EndedEarly {
        /// What it says.
        durable: GlobalPosition,
    },
    /// The journal says something that this version does not know.
    #[error("the journal says what this version of onefold does not know: {item}")]
    Unknown {
        /// What it said.
        item: String,
    },
}
