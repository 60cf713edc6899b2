//! The end of a hold whose time is up. The clock only proposes it: it is a commit, of the stream that held the claim.

use std::sync::Arc;

use onefold_core::journal::{Appended, ClaimAction, ClaimChange, EncodedEvents};
use onefold_core::{Aggregate, ClaimName, CommitNumber, Metadata};

use super::super::call::{Call, Submitted};
use super::super::instance::Instance;
use super::super::run::Runner;
use super::claiming::Claiming;
use super::supervised::{End, Supervised};
use super::{Commit, Performed, Work, not_encoded};
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// Ends a hold, if it is still the one of that commit.
pub(crate) struct Expiry {
    pub(crate) claim: ClaimName,
    pub(crate) since: CommitNumber,
}

impl<A: Aggregate> Work<A> for Expiry {
    type Output = ();
    const TELLS_PLACE: bool = false;
    const STORES: bool = true;

    fn place((): &mut (), _: Appended) {}

    fn heap_bytes(&self) -> usize {
        self.claim.as_str().len()
    }

    async fn perform(
        self,
        instance: &mut Instance<A>,
        call: &Arc<Call<A, Self>>,
        mut runner: Runner,
    ) -> Performed<A, ()> {
        let Expiry { claim, since } = self;
        let slot = &instance.slot;
        let shared = &slot.shared;
        let pinning = shared.journal.pin_claims(vec![claim]);
        let span = telemetry::expiry_span(&slot.stream);
        let failed = |instance: &Instance<A>, reason| {
            Performed::Failed(Error::not_stored(&instance.slot.stream, instance.durable_version(), reason))
        };
        let pins = match Supervised::new(pinning, slot, None, span, call.deadline, &mut runner).await {
            End::Returned(Ok(pins)) => pins,
            End::Returned(Err(error)) => {
                let reason = NotStoredReason::Unavailable { reason: error.to_string() };
                return failed(instance, reason);
            }
            ended => return failed(instance, ended.reason(&shared.config)),
        };
        let as_of = shared.clock.now();
        let metadata = Metadata { command_id: shared.next_command_id(), timestamp: as_of, ..Metadata::default() };
        let mut metadata_bytes = Vec::with_capacity(32);
        if let Err(what) = metadata.encode(&shared.config.limits, &mut metadata_bytes) {
            return Performed::Answered(Err(not_encoded(instance, what.into())));
        }
        let version = instance.version;
        if !call.submit(Submitted { before: version, after: version, settled: instance.settled, stores: true }) {
            return Performed::Cancelled;
        }
        let mut commit = Commit::new(version, EncodedEvents::NONE, metadata_bytes);
        let action = ClaimAction::Expire { since, as_of };
        let changes = pins.into_iter().map(|claim| ClaimChange { claim, action: action.clone() });
        commit.claims = Some(Box::new(Claiming::unconditional(changes.collect())));
        Performed::Decided { answer: Ok(()), commit }
    }
}
