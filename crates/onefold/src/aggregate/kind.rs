//! One registered aggregate type: its services, its slots, its crashes.

use std::sync::Arc;

use compact_str::CompactString;
use futures_core::future::BoxFuture;
use onefold_core::{Aggregate, ClaimName, CommitNumber, InvalidId, StreamId};

use super::quarantine::Crashes;
use super::slot::Slot;
use crate::error::{Error, NotStoredReason, Quarantined};
use crate::runtime::shared::{KindOps, Shared};
use crate::sync::{Entry, Table};

/// Slots by aggregate id. The id lies in the table itself when it is short, which saves a cache miss per command.
type Slots<A> = Table<CompactString, Arc<Slot<A>>>;

/// See the module.
pub(crate) struct Kind<A: Aggregate> {
    pub(crate) services: Arc<A::Services>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) crashes: Crashes,
    slots: Slots<A>,
}

/// What a look-up did.
pub(crate) enum Found<T> {
    /// `use_slot` gave this.
    Used(T),
    /// As `Used`, and the slot is new: it needs a place in memory.
    New(T),
    /// There is none, and none is made any more: the runtime ends.
    Ended,
}

impl<A: Aggregate> Kind<A> {
    pub(crate) fn new(shared: Arc<Shared>, services: A::Services) -> Arc<Self> {
        let crashes = Crashes::new(&shared.config);
        Arc::new(Kind { services: Arc::new(services), shared, crashes, slots: Slots::default() })
    }

    /// Finds the slot of `id`, or makes one unless the runtime ends, and uses it. `use_slot` returns `None` for a closed slot,
    /// which is then replaced. It runs under the table's lock: it must be brief.
    pub(crate) fn with_slot<T>(
        self: &Arc<Self>,
        id: &str,
        mut use_slot: impl FnMut(&Arc<Slot<A>>) -> Option<T>,
    ) -> Result<Found<T>, InvalidId> {
        if let Some(slot) = self.slots.get(id)
            && let Some(used) = use_slot(&slot)
        {
            return Ok(Found::Used(used));
        }
        let stream = StreamId::new(A::TYPE, id)?;
        let new = || Slot::new(self, stream.clone());
        // IMPORTANT: the entry is held from here on, so that there is exactly one new slot; and none that the end, which
        // closes those in the table, does not find there.
        match self.slots.entry(CompactString::new(id)) {
            Entry::Occupied(mut entry) => {
                if let Some(used) = use_slot(entry.get()) {
                    return Ok(Found::Used(used));
                }
                if self.shared.is_closing() {
                    return Ok(Found::Ended);
                }
                entry.insert(new());
                Ok(use_slot(entry.get()).map(Found::New).expect("a new slot is open"))
            }
            Entry::Vacant(_) if self.shared.is_closing() => Ok(Found::Ended),
            Entry::Vacant(entry) => {
                let entry = entry.insert(new());
                Ok(use_slot(&entry).map(Found::New).expect("a new slot is open"))
            }
        }
    }

    /// Takes a closed slot out of the registry, unless its successor is already there.
    pub(crate) fn forget(&self, slot: &Slot<A>) {
        self.slots.remove_if(slot.stream.aggregate_id(), |_, known| known.key == slot.key);
    }
}

#[cfg(all(test, onefold_shuttle))]
impl<A: Aggregate> Kind<A> {
    /// How many slots are in the table.
    pub(crate) fn slots_known(&self) -> usize {
        self.slots.iter().count()
    }
}

impl<A: Aggregate> KindOps for Kind<A> {
    fn close_all(&self) {
        let mut slots: Vec<Arc<Slot<A>>> = self.slots.iter().map(|entry| entry.value().clone()).collect();
        // The table's own order differs from run to run, and those who wait are answered in this one.
        slots.sort_unstable_by_key(|slot| slot.key);
        for slot in slots {
            let error = || Error::not_stored(&slot.stream, None, NotStoredReason::ShuttingDown);
            match slot.close_now(error) {
                true => slot.retire(),
                false => self.forget(&slot),
            }
        }
    }

    fn unanswered(&self, most: usize) -> Vec<(StreamId, usize)> {
        let counts = self.slots.iter().map(|entry| (entry.stream.clone(), entry.unanswered()));
        counts.filter(|(_, count)| *count > 0).take(most).collect()
    }

    fn sweep(&self) {
        self.crashes.sweep();
    }

    fn quarantined(&self) -> Vec<Quarantined> {
        self.crashes.list()
    }

    fn expire(self: Arc<Self>, id: &str, claim: ClaimName, since: CommitNumber) -> BoxFuture<'static, ()> {
        crate::ask::expire(self, id, claim, since)
    }
}
