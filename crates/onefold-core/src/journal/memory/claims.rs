//! The claims of a journal in memory. What is decided here is durable here, so there is one table.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::super::{ClaimPage, DecidedClaims, PinState, PinnedClaim};
use super::Inner;
use crate::{ClaimName, Holder};

/// Who holds what.
#[derive(Default)]
pub(super) struct ClaimTable(BTreeMap<ClaimName, Holder>);

impl ClaimTable {
    pub(super) fn holder(&self, name: &ClaimName) -> Option<&Holder> {
        self.0.get(name)
    }

    pub(super) fn apply(&mut self, decided: DecidedClaims<'_>) {
        for (claim, holder) in decided.holders {
            match holder {
                Some(holder) => self.0.insert(claim.name().clone(), holder),
                None => self.0.remove(claim.name()),
            };
        }
    }

    pub(super) fn page(&self, page: &ClaimPage) -> Vec<(ClaimName, Holder)> {
        // Nothing sorts below the first possible value, so that is where a namespace begins.
        let after = page.after.as_deref().unwrap_or("\u{20}");
        let Ok(from) = ClaimName::new(&page.namespace, after) else { return Vec::new() };
        let from = if page.after.is_some() { Bound::Excluded(from) } else { Bound::Included(from) };
        let held = self.0.range((from, Bound::Unbounded));
        let held = held.take_while(|(name, _)| name.namespace() == page.namespace).take(page.limit);
        held.map(|(name, holder)| (name.clone(), holder.clone())).collect()
    }
}

/// What the journal keeps inside a pin. A pin does not keep the journal alive.
struct Pin {
    name: ClaimName,
    journal: Weak<Mutex<Inner>>,
}

impl PinState for Pin {
    fn holder(&self) -> Option<Holder> {
        self.journal.upgrade()?.lock().claims.holder(&self.name).cloned()
    }
}

pub(super) fn pin(journal: &Arc<Mutex<Inner>>, name: ClaimName) -> PinnedClaim {
    let state = Pin { name: name.clone(), journal: Arc::downgrade(journal) };
    PinnedClaim::new(name, state)
}

/// Whether `claim` was pinned by the journal at this address.
pub(super) fn is_of(claim: &PinnedClaim, journal: usize) -> bool {
    claim.state::<Pin>().is_some_and(|pin| pin.journal.as_ptr().addr() == journal)
}
