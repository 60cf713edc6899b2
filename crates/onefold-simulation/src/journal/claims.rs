//! Claims in the simulated journal: who holds what on the disk, and with what is written and not synced.

use std::collections::BTreeMap;

use onefold_core::journal::record::EncodedFacts;
use onefold_core::journal::{Append, AppendError, DecidedClaims, PinState, PinnedClaim};
use onefold_core::{ClaimName, CommitNumber, Holder};

use super::SimulatedDisk;

/// What becomes of the claims of an append that is stored.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) facts: EncodedFacts,
    /// In the order in which they changed.
    pub(super) holders: Vec<(ClaimName, Option<Holder>)>,
}

/// Claims that changed by what is written and not synced.
#[derive(Default)]
pub(super) struct Written {
    holders: BTreeMap<ClaimName, Option<Holder>>,
    /// How many commits it will be.
    commits: u64,
}

impl Written {
    /// Decides on the claims of an append that comes behind all this.
    pub(super) fn decide(&self, append: &Append, disk: &SimulatedDisk, journal: u64) -> Result<Decided, AppendError> {
        let number = CommitNumber::new(disk.end().commit.get() + self.commits + 1);
        let claims = DecidedClaims::decide(append, number, |claim| {
            claim.state::<Pin>().filter(|pin| pin.journal == journal)?;
            Some(self.holders.get(claim.name()).cloned().unwrap_or_else(|| disk.holder(claim.name())))
        })?;
        let facts = EncodedFacts::encode(append, &claims);
        let holders = claims.holders.into_iter().map(|(claim, holder)| (claim.name().clone(), holder)).collect();
        Ok(Decided { facts, holders })
    }

    /// An append is written that will be stored.
    pub(super) fn add(&mut self, append: &Append, decided: &Decided) {
        self.commits += u64::from(!append.is_barrier());
        self.holders.extend(decided.holders.iter().cloned());
    }
}

/// What the journal keeps inside a pin.
struct Pin {
    journal: u64,
    name: ClaimName,
    disk: SimulatedDisk,
}

impl PinState for Pin {
    fn holder(&self) -> Option<Holder> {
        self.disk.holder(&self.name)
    }
}

pub(super) fn pin(journal: u64, name: ClaimName, disk: &SimulatedDisk) -> PinnedClaim {
    PinnedClaim::new(name.clone(), Pin { journal, name, disk: disk.clone() })
}
