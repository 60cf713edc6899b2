//! Where streams end: the heads that are in memory, because a session pins them or because they changed since the last
//! checkpoint.
//!
//! A head leaves memory only when nobody pins it and what sled holds of it is up to date and visible, so that whoever
//! looks here first and then in sled never sees an old one.
//!
//! The writer updates a head when it puts a commit into a group, before that group is durable. It keeps the place before
//! that group beside, so that readers can tell what is durable without a second visit per commit.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use onefold_core::StreamId;
use onefold_core::journal::WeakSession;
use parking_lot::Mutex;

const SHARDS: usize = 64;

/// A stream's end: its version, and the number of its last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: u64,
    pub(crate) commit: u64,
}

/// One stream's head.
#[derive(Debug)]
pub(crate) struct StreamHead {
    pub(crate) stream: StreamId,
    pub(crate) state: Mutex<HeadState>,
}

/// What is known of a stream's end.
#[derive(Debug, Default)]
pub(crate) struct HeadState {
    /// Whether the place was read from sled.
    pub(crate) loaded: bool,
    /// With everything that is in a group, durable or not.
    place: Place,
    /// The last group that changed it.
    group: u64,
    /// Before that group.
    before: Place,
    /// Index entries that are not in sled yet: version and commit.
    pub(crate) index: Vec<(u64, u64)>,
    /// The newest session.
    pub(crate) session: Option<WeakSession>,
    /// Whether there was one since the head came into memory.
    pub(crate) had_session: bool,
    /// Changed since the last checkpoint took it.
    pub(crate) dirty: bool,
    /// Taken by a checkpoint, but not visible in sled yet.
    pub(crate) saving: bool,
    pins: u32,
}

impl HeadState {
    /// As the writer sees it.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// As read from sled.
    pub(crate) fn load(&mut self, place: Place) {
        (self.place, self.before, self.loaded) = (place, place, true);
    }

    /// Moves it on, inside `group`.
    pub(crate) fn advance(&mut self, group: u64, place: Place) {
        if self.group != group {
            (self.group, self.before) = (group, self.place);
        }
        self.place = place;
    }

    /// As of the last durable group.
    pub(crate) fn durable(&self, durable_group: u64) -> Place {
        match self.group <= durable_group {
            true => self.place,
            false => self.before,
        }
    }

    fn may_leave(&self) -> bool {
        self.pins == 0 && !self.dirty && !self.saving
    }
}

/// All heads in memory.
#[derive(Debug)]
pub(crate) struct Heads {
    shards: Vec<Mutex<HashMap<StreamId, Arc<StreamHead>>>>,
    hasher: RandomState,
    changed: Mutex<ChangedHeads>,
}

/// The heads that sled does not have as they are.
#[derive(Debug, Default)]
struct ChangedHeads {
    /// Those that changed since the last checkpoint took them.
    dirty: Vec<Arc<StreamHead>>,
    /// Those that a checkpoint took: here until all of them are visible in sled.
    saving: Vec<Arc<StreamHead>>,
    /// How many of these are visible already.
    saved: usize,
}

impl Heads {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Heads { shards, hasher: RandomState::new(), changed: Mutex::default() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "only the low bits matter")]
    fn shard(&self, stream: &StreamId) -> &Mutex<HashMap<StreamId, Arc<StreamHead>>> {
        &self.shards[self.hasher.hash_one(stream) as usize % SHARDS]
    }

    /// The head, brought into memory if need be, and kept there while the pin lives.
    pub(crate) fn pin(self: &Arc<Self>, stream: &StreamId) -> HeadPin {
        let mut shard = self.shard(stream).lock();
        let head = match shard.get(stream) {
            Some(head) => Arc::clone(head),
            None => {
                let head = Arc::new(StreamHead { stream: stream.clone(), state: Mutex::default() });
                shard.insert(stream.clone(), Arc::clone(&head));
                head
            }
        };
        head.state.lock().pins += 1;
        HeadPin { heads: Arc::clone(self), head }
    }

    /// The head, if it is in memory.
    pub(crate) fn get(&self, stream: &StreamId) -> Option<Arc<StreamHead>> {
        self.shard(stream).lock().get(stream).cloned()
    }

    /// Adds heads that became dirty; leaves `newly` empty.
    pub(crate) fn add_dirty(&self, newly: &mut Vec<Arc<StreamHead>>) {
        if !newly.is_empty() {
            self.changed.lock().dirty.append(newly);
        }
    }

    /// Takes all dirty heads, for a checkpoint. They are still visited until the checkpoint says that all are saved.
    pub(crate) fn take_dirty(&self) -> Vec<Arc<StreamHead>> {
        let mut changed = self.changed.lock();
        changed.saving = std::mem::take(&mut changed.dirty);
        changed.saved = 0;
        changed.saving.clone()
    }

    /// So many more of the taken heads are visible in sled.
    pub(crate) fn saved(&self, count: usize) {
        self.changed.lock().saved += count;
    }

    /// All of the taken heads are visible in sled.
    pub(crate) fn all_saved(&self) {
        let mut changed = self.changed.lock();
        let gone = std::mem::take(&mut changed.saving);
        changed.saved = 0;
        drop(changed);
        drop(gone);
    }

    /// The heads that sled may not have as they are. A head can be in here twice.
    pub(crate) fn changed(&self) -> Vec<Arc<StreamHead>> {
        let changed = self.changed.lock();
        changed.saving.iter().chain(&changed.dirty).cloned().collect()
    }

    /// How many heads sled does not have as they are.
    pub(crate) fn dirty_count(&self) -> usize {
        let changed = self.changed.lock();
        changed.dirty.len() + changed.saving.len().saturating_sub(changed.saved)
    }

    pub(crate) fn resident(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Lets a head leave memory if nothing keeps it.
    pub(crate) fn release(&self, stream: &StreamId) {
        let mut shard = self.shard(stream).lock();
        let leaves = shard.get(stream).is_some_and(|head| head.state.lock().may_leave());
        let gone = leaves.then(|| shard.remove(stream));
        drop(shard);
        drop(gone);
    }

    /// Ends every session.
    pub(crate) fn end_sessions(&self) {
        for shard in &self.shards {
            let heads: Vec<_> = shard.lock().values().cloned().collect();
            for head in heads {
                // IMPORTANT: upgraded outside the lock: dropping the last handle of a session locks the head.
                let session = head.state.lock().session.take();
                if let Some(session) = session.and_then(|session| session.upgrade()) {
                    session.end();
                }
            }
        }
    }
}

/// Keeps a head in memory.
pub(crate) struct HeadPin {
    pub(crate) heads: Arc<Heads>,
    pub(crate) head: Arc<StreamHead>,
}

impl Drop for HeadPin {
    fn drop(&mut self) {
        let mut state = self.head.state.lock();
        state.pins -= 1;
        let leaves = state.may_leave();
        drop(state);
        if leaves {
            self.heads.release(&self.head.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: &str) -> StreamId {
        StreamId::new("account", id).unwrap()
    }

    #[test]
    fn a_head_stays_while_it_is_pinned_or_dirty() {
        let heads = Arc::new(Heads::new());
        let pin = heads.pin(&stream("1"));
        pin.head.state.lock().dirty = true;
        let head = Arc::clone(&pin.head);
        drop(pin);
        assert_eq!(heads.resident(), 1);
        head.state.lock().dirty = false;
        heads.release(&stream("1"));
        assert_eq!(heads.resident(), 0);
        drop(heads.pin(&stream("2")));
        assert_eq!(heads.resident(), 0);
    }

    #[test]
    fn heads_that_are_being_saved_are_still_visited_and_counted() {
        let heads = Arc::new(Heads::new());
        let pins = ["1", "2", "3"].map(|id| heads.pin(&stream(id)));
        heads.add_dirty(&mut pins.iter().take(2).map(|pin| Arc::clone(&pin.head)).collect());
        assert_eq!(heads.take_dirty().len(), 2);
        heads.add_dirty(&mut vec![Arc::clone(&pins[2].head)]);
        assert_eq!((heads.changed().len(), heads.dirty_count()), (3, 3));
        heads.saved(1);
        assert_eq!((heads.changed().len(), heads.dirty_count()), (3, 2));
        heads.saved(1);
        heads.all_saved();
        assert_eq!((heads.changed().len(), heads.dirty_count()), (1, 1));
    }

    #[test]
    fn readers_see_the_place_before_an_undurable_group() {
        let mut state = HeadState::default();
        state.load(Place { version: 4, commit: 9 });
        state.advance(7, Place { version: 5, commit: 10 });
        state.advance(7, Place { version: 6, commit: 11 });
        assert_eq!(state.durable(6), Place { version: 4, commit: 9 });
        assert_eq!(state.durable(7), Place { version: 6, commit: 11 });
    }
}
