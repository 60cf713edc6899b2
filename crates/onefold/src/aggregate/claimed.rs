//! A commit that changes claims, on its way: if the journal refuses one, the caller is told in the words of the domain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onefold_core::Aggregate;
use onefold_core::journal::{Acknowledge, AppendError, AppendOutcome};

use super::call::Call;
use super::execution::{Refusals, Work};
use super::instance::REFUSE;
use super::joint::Seat;
use super::panics::message_of;
use crate::error::{Error, NotStoredReason};
use crate::runtime::releaser::Release;
use crate::sync::Mutex;
use crate::telemetry;

/// See the module. What most commits don't have is here, so that they do not carry the room for it.
pub(crate) struct Claimed<A: Aggregate, W: Work<A>> {
    call: Arc<Call<A, W>>,
    refusals: Mutex<Option<Refusals<A::Rejection>>>,
}

impl<A: Aggregate, W: Work<A>> Claimed<A, W> {
    pub(crate) fn new(call: Arc<Call<A, W>>, refusals: Option<Refusals<A::Rejection>>) -> Arc<Self> {
        Arc::new(Claimed { call, refusals: Mutex::new(refusals) })
    }

    /// What a refused claim means to the caller. What the domain says is the user's code: a panic there is told to the caller.
    fn refused(&self, error: &AppendError) -> Option<Error<A::Rejection>> {
        let stream = &self.call.slot.stream;
        let mut refusals = self.refusals.lock().take()?;
        catch_unwind(AssertUnwindSafe(|| refusals.refused(stream, error))).unwrap_or_else(|panic| {
            let message = message_of(panic);
            telemetry::panicked(stream, REFUSE, &message);
            Some(Error::not_stored(stream, None, NotStoredReason::Panicked { stage: REFUSE, message }))
        })
    }
}

impl<A: Aggregate, W: Work<A>> Acknowledge for Claimed<A, W> {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        let shared = self.call.slot.shared.clone();
        shared.releaser.push(self, outcome);
    }
}

impl<A: Aggregate, W: Work<A>> Release for Claimed<A, W> {
    fn touch(&self) -> bool {
        self.call.touch()
    }

    fn touch_aggregate(&self) -> bool {
        self.call.touch_aggregate()
    }

    fn release(self: Arc<Self>, outcome: AppendOutcome) {
        self.decided(outcome);
    }
}

impl<A: Aggregate, W: Work<A>> Seat for Claimed<A, W> {
    fn submitted(&self) {
        self.call.slot.submitted();
    }

    fn concerns(&self, error: &AppendError) -> bool {
        let stream = &self.call.slot.stream;
        match error {
            AppendError::Conflict { stream: other, .. }
            | AppendError::Superseded { stream: other }
            | AppendError::ClaimNotHeld { stream: other, .. } => other == stream,
            AppendError::ClaimTaken { claim, holder } if holder.stream != *stream => {
                self.refusals.lock().as_ref().is_some_and(|refusals| refusals.are_about(claim))
            }
            _ => false,
        }
    }

    fn decided(&self, outcome: AppendOutcome) {
        self.call.acknowledged(outcome, |error| self.refused(error));
    }
}
