//! What is derived from the log and is in memory: because somebody pins it, or because it changed since the last checkpoint.
//! Where streams end and who holds which claim are kept this way.
//!
//! An entry leaves memory only when nobody pins it and what sled holds of it is up to date and visible, so that whoever
//! looks here first and then in sled never sees an old one.
//!
//! The writer changes an entry when it puts a commit into a group, before that group is durable. The value before that group
//! is kept beside, so that readers can tell what is durable without a second visit per commit.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use parking_lot::Mutex;

const SHARDS: usize = 64;

/// One entry: a key, its value, and notes that only its kind needs.
#[derive(Debug)]
pub(crate) struct Entry<K, V, N> {
    pub(crate) key: K,
    pub(crate) state: Mutex<State<V, N>>,
}

/// What is known of an entry.
#[derive(Debug, Default)]
pub(crate) struct State<V, N> {
    /// Whether the value was read from sled.
    pub(crate) loaded: bool,
    /// With everything that is in a group, durable or not.
    value: V,
    /// The last group that changed it.
    group: u64,
    /// Before that group.
    before: V,
    pub(crate) notes: N,
    /// Changed since the last checkpoint took it.
    dirty: bool,
    /// Taken by a checkpoint, but not visible in sled yet.
    saving: bool,
    pins: u32,
}

impl<V: Clone, N> State<V, N> {
    /// As the writer sees it.
    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    /// As read from sled.
    pub(crate) fn load(&mut self, value: V) {
        (self.before, self.value, self.loaded) = (value.clone(), value, true);
    }

    /// Changes it, inside `group`. Whether it became dirty by that.
    pub(crate) fn advance(&mut self, group: u64, value: V) -> bool {
        let last = std::mem::replace(&mut self.value, value);
        if self.group != group {
            (self.group, self.before) = (group, last);
        }
        !std::mem::replace(&mut self.dirty, true)
    }

    /// As of the last durable group.
    pub(crate) fn durable(&self, durable_group: u64) -> &V {
        match self.group <= durable_group {
            true => &self.value,
            false => &self.before,
        }
    }

    fn may_leave(&self) -> bool {
        self.pins == 0 && !self.dirty && !self.saving
    }
}

type Shard<K, V, N> = Mutex<HashMap<K, Arc<Entry<K, V, N>>>>;

/// All entries of one kind.
#[derive(Debug)]
pub(crate) struct Table<K, V, N> {
    shards: Vec<Shard<K, V, N>>,
    hasher: RandomState,
    changed: Mutex<Changed<K, V, N>>,
}

/// The entries that sled does not have as they are.
#[derive(Debug)]
struct Changed<K, V, N> {
    /// Those that changed since the last checkpoint took them.
    dirty: Vec<Arc<Entry<K, V, N>>>,
    /// Those that a checkpoint took: here until all of them are visible in sled.
    saving: Vec<Arc<Entry<K, V, N>>>,
    /// How many of these are visible already.
    saved: usize,
}

/// An entry that a checkpoint saves: its value as of a durable group, and what of its notes.
pub(crate) struct Taken<K, V, N, S> {
    pub(crate) entry: Arc<Entry<K, V, N>>,
    pub(crate) value: V,
    pub(crate) notes: S,
}

impl<K: Hash + Eq + Clone, V: Clone + Default + PartialEq, N: Default> Table<K, V, N> {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let changed = Mutex::new(Changed { dirty: Vec::new(), saving: Vec::new(), saved: 0 });
        Table { shards, hasher: RandomState::new(), changed }
    }

    #[expect(clippy::cast_possible_truncation, reason = "only the low bits matter")]
    fn shard(&self, key: &K) -> &Shard<K, V, N> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// The entry, brought into memory if need be, and kept there while the pin lives.
    pub(crate) fn pin(self: &Arc<Self>, key: &K) -> Pin<K, V, N> {
        let mut shard = self.shard(key).lock();
        let entry = match shard.get(key) {
            Some(entry) => Arc::clone(entry),
            None => {
                let entry = Arc::new(Entry { key: key.clone(), state: Mutex::default() });
                shard.insert(key.clone(), Arc::clone(&entry));
                entry
            }
        };
        entry.state.lock().pins += 1;
        Pin { table: Arc::clone(self), entry }
    }

    /// The entry, if it is in memory.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<Entry<K, V, N>>> {
        self.shard(key).lock().get(key).cloned()
    }

    /// Adds entries that became dirty; leaves `newly` empty.
    pub(crate) fn add_dirty(&self, newly: &mut Vec<Arc<Entry<K, V, N>>>) {
        if !newly.is_empty() {
            self.changed.lock().dirty.append(newly);
        }
    }

    /// Takes the dirty entries as of a durable group, for a checkpoint. Those that a later one changed stay dirty. All are
    /// still visited until the checkpoint says that they are saved. `pick` tells what of the notes is to be saved.
    pub(crate) fn take_dirty<S>(&self, durable_group: u64, pick: impl Fn(&V, &N) -> S) -> Vec<Taken<K, V, N, S>> {
        let entries = {
            let mut changed = self.changed.lock();
            changed.saving = std::mem::take(&mut changed.dirty);
            changed.saved = 0;
            changed.saving.clone()
        };
        let mut still_dirty = Vec::new();
        let mut taken = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut state = entry.state.lock();
            let value = state.durable(durable_group).clone();
            state.saving = true;
            state.dirty = value != state.value;
            if state.dirty {
                still_dirty.push(Arc::clone(&entry));
            }
            let notes = pick(&value, &state.notes);
            drop(state);
            taken.push(Taken { entry, value, notes });
        }
        self.add_dirty(&mut still_dirty);
        taken
    }

    /// These of the taken entries are visible in sled: memory need not hold them. `drop_notes` forgets what was saved.
    pub(crate) fn forget<S>(&self, saved: &[Taken<K, V, N, S>], drop_notes: impl Fn(&mut N, &S)) {
        for taken in saved {
            let mut state = taken.entry.state.lock();
            state.saving = false;
            drop_notes(&mut state.notes, &taken.notes);
            drop(state);
            self.release(&taken.entry.key);
        }
        self.changed.lock().saved += saved.len();
    }

    /// All of the taken entries are visible in sled.
    pub(crate) fn all_saved(&self) {
        let mut changed = self.changed.lock();
        let gone = std::mem::take(&mut changed.saving);
        changed.saved = 0;
        drop(changed);
        drop(gone);
    }

    /// The entries that sled may not have as they are. One can be in here twice.
    pub(crate) fn changed(&self) -> Vec<Arc<Entry<K, V, N>>> {
        let changed = self.changed.lock();
        changed.saving.iter().chain(&changed.dirty).cloned().collect()
    }

    /// How many entries sled does not have as they are.
    pub(crate) fn dirty_count(&self) -> usize {
        let changed = self.changed.lock();
        changed.dirty.len() + changed.saving.len().saturating_sub(changed.saved)
    }

    pub(crate) fn resident(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Calls `visit` with every entry, without a lock.
    pub(crate) fn for_each(&self, visit: impl Fn(&Entry<K, V, N>)) {
        for shard in &self.shards {
            let entries: Vec<_> = shard.lock().values().cloned().collect();
            entries.iter().for_each(|entry| visit(entry));
        }
    }

    /// Lets an entry leave memory if nothing keeps it.
    fn release(&self, key: &K) {
        let mut shard = self.shard(key).lock();
        let leaves = shard.get(key).is_some_and(|entry| entry.state.lock().may_leave());
        let gone = leaves.then(|| shard.remove(key));
        drop(shard);
        drop(gone);
    }
}

/// Keeps an entry in memory.
pub(crate) struct Pin<K: Hash + Eq + Clone, V: Clone + Default + PartialEq, N: Default> {
    table: Arc<Table<K, V, N>>,
    pub(crate) entry: Arc<Entry<K, V, N>>,
}

impl<K: Hash + Eq + Clone, V: Clone + Default + PartialEq, N: Default> Pin<K, V, N> {
    /// Whether it is one of this table.
    pub(crate) fn is_of(&self, table: &Arc<Table<K, V, N>>) -> bool {
        Arc::ptr_eq(&self.table, table)
    }
}

impl<K: Hash + Eq + Clone, V: Clone + Default + PartialEq, N: Default> Drop for Pin<K, V, N> {
    fn drop(&mut self) {
        let mut state = self.entry.state.lock();
        state.pins -= 1;
        let leaves = state.may_leave();
        drop(state);
        if leaves {
            self.table.release(&self.entry.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Table<&'static str, u64, ()>;

    fn changed(table: &Arc<Numbers>, keys: &[&'static str], group: u64, value: u64) {
        let mut newly = Vec::new();
        for key in keys {
            let pin = table.pin(key);
            if pin.entry.state.lock().advance(group, value) {
                newly.push(Arc::clone(&pin.entry));
            }
        }
        table.add_dirty(&mut newly);
    }

    #[test]
    fn an_entry_stays_while_it_is_pinned_or_dirty() {
        let table = Arc::new(Numbers::new());
        let pin = table.pin(&"1");
        changed(&table, &["1"], 1, 7);
        drop(pin);
        assert_eq!(table.resident(), 1);
        let taken = table.take_dirty(1, |_, ()| ());
        assert_eq!((taken[0].value, table.resident()), (7, 1));
        table.forget(&taken, |(), ()| ());
        assert_eq!(table.resident(), 0);
        drop(table.pin(&"2"));
        assert_eq!(table.resident(), 0);
    }

    #[test]
    fn entries_that_are_being_saved_are_still_visited_and_counted() {
        let table = Arc::new(Numbers::new());
        changed(&table, &["1", "2"], 1, 7);
        let taken = table.take_dirty(1, |_, ()| ());
        assert_eq!(taken.len(), 2);
        changed(&table, &["3"], 2, 8);
        assert_eq!((table.changed().len(), table.dirty_count()), (3, 3));
        table.forget(&taken[..1], |(), ()| ());
        assert_eq!((table.changed().len(), table.dirty_count()), (3, 2));
        table.forget(&taken[1..], |(), ()| ());
        table.all_saved();
        assert_eq!((table.changed().len(), table.dirty_count()), (1, 1));
    }

    #[test]
    fn readers_see_the_value_before_an_undurable_group() {
        let mut state: State<u64, ()> = State::default();
        state.load(4);
        assert!(state.advance(7, 5) && !state.advance(7, 6));
        assert_eq!((*state.durable(6), *state.durable(7), *state.value()), (4, 6, 6));
    }

    /// A checkpoint saves what is durable; what a later group did is for the next one.
    #[test]
    fn what_is_not_durable_stays_dirty() {
        let table = Arc::new(Numbers::new());
        let pins = ["1", "2"].map(|key| table.pin(&key));
        pins.iter().for_each(|pin| pin.entry.state.lock().load(4));
        changed(&table, &["1", "2"], 7, 5);
        changed(&table, &["2"], 8, 6);
        let values = |taken: &[Taken<_, u64, _, ()>]| taken.iter().map(|taken| taken.value).collect::<Vec<_>>();
        let taken = table.take_dirty(7, |_, ()| ());
        assert_eq!(values(&taken), [5, 5]);
        table.forget(&taken, |(), ()| ());
        table.all_saved();
        assert_eq!((table.dirty_count(), values(&table.take_dirty(8, |_, ()| ()))), (1, vec![6]));
    }
}
