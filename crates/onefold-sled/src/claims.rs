//! Who holds which claim: the claims that are in memory, as [`heads`](crate::heads) are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onefold_core::journal::{PinState, PinnedClaim};
use onefold_core::{ClaimName, Holder};

use crate::resident::{Entry, Pin, Table};

/// A claim's holder, and the commit that last changed the claim, if that is known: what sled has of it is held since that
/// commit; of what sled does not have it is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClaimPlace {
    pub(crate) holder: Option<Holder>,
    pub(crate) commit: u64,
}

impl From<Option<Holder>> for ClaimPlace {
    /// As sled has it.
    fn from(holder: Option<Holder>) -> Self {
        let commit = holder.as_ref().map_or(0, |holder| holder.since.get());
        ClaimPlace { holder, commit }
    }
}

/// One claim.
pub(crate) type Claim = Entry<ClaimName, ClaimPlace, ()>;
/// All claims in memory.
pub(crate) type Claims = Table<ClaimName, ClaimPlace, ()>;

/// The journal's own state inside a pin.
pub(crate) struct ClaimPin {
    pub(crate) pin: Pin<ClaimName, ClaimPlace, ()>,
    durable_group: Arc<AtomicU64>,
}

impl PinState for ClaimPin {
    fn holder(&self) -> Option<Holder> {
        let durable_group = self.durable_group.load(Ordering::Acquire);
        self.pin.entry.state.lock().durable(durable_group).holder.clone()
    }
}

/// A pin to be handed out. The claim is loaded.
pub(crate) fn pinned(pin: Pin<ClaimName, ClaimPlace, ()>, durable_group: &Arc<AtomicU64>) -> PinnedClaim {
    let name = pin.entry.key.clone();
    PinnedClaim::new(name, ClaimPin { pin, durable_group: Arc::clone(durable_group) })
}
