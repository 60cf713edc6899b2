//! Commits that are durable in the redo log but not in sled yet: readers look here first.
//!
//! A group enters when it is durable and leaves when all its commits are visible in sled, so that a reader who looks here
//! and then in sled never misses one. Bounded: the writer waits while it is full.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

/// Memory a group takes beside its bytes, about.
const GROUP_FIXED_BYTES: usize = 160;

/// The commits that one sync made durable.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) first: u64,
    pub(crate) bytes: Bytes,
    /// Where each record begins.
    pub(crate) offsets: Vec<u32>,
    /// Where the last record ends.
    pub(crate) end: usize,
    /// The memory that holds the bytes: more than they are, if they grew to their place.
    pub(crate) held: usize,
}

impl Group {
    pub(crate) fn last(&self) -> u64 {
        self.first + self.offsets.len() as u64 - 1
    }

    /// The record of a commit that is in here, where it lies.
    pub(crate) fn record(&self, commit: u64) -> &[u8] {
        let index = usize::try_from(commit - self.first).expect("a commit of this group");
        let end = self.offsets.get(index + 1).map_or(self.end, |offset| *offset as usize);
        &self.bytes[self.offsets[index] as usize..end]
    }

    fn weight(&self) -> usize {
        self.held.max(self.bytes.len()) + self.offsets.capacity() * 4 + GROUP_FIXED_BYTES
    }
}

/// The groups, in order.
#[derive(Debug)]
pub(crate) struct Overlay {
    groups: RwLock<VecDeque<Arc<Group>>>,
    bytes: Mutex<usize>,
    room: Condvar,
    bytes_max: usize,
}

impl Overlay {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Overlay { groups: RwLock::default(), bytes: Mutex::default(), room: Condvar::new(), bytes_max }
    }

    /// Adds a durable group; says how many bytes are held now.
    pub(crate) fn push(&self, group: Arc<Group>) -> usize {
        let weight = group.weight();
        // IMPORTANT: counted before it can be let go of, because then it is subtracted.
        let held = {
            let mut bytes = self.bytes.lock();
            *bytes += weight;
            *bytes
        };
        self.groups.write().push_back(group);
        held
    }

    /// Lets go of what is visible in sled up to `commit`.
    pub(crate) fn applied_to(&self, commit: u64) {
        let mut gone = Vec::new();
        {
            let mut groups = self.groups.write();
            while groups.front().is_some_and(|group| group.last() <= commit) {
                gone.extend(groups.pop_front());
            }
        }
        *self.bytes.lock() -= gone.iter().map(|group| group.weight()).sum::<usize>();
        self.room.notify_all();
    }

    /// Waits until there is room, or some time has passed; says whether there is.
    pub(crate) fn wait_for_room(&self, patience: Duration) -> bool {
        let mut bytes = self.bytes.lock();
        if *bytes >= self.bytes_max {
            self.room.wait_for(&mut bytes, patience);
        }
        *bytes < self.bytes_max
    }

    /// The group that holds a commit.
    pub(crate) fn group_of(&self, commit: u64) -> Option<Arc<Group>> {
        let groups = self.groups.read();
        let index = groups.partition_point(|group| group.last() < commit);
        groups.get(index).filter(|group| group.first <= commit).cloned()
    }

    pub(crate) fn bytes(&self) -> usize {
        *self.bytes.lock()
    }
}
