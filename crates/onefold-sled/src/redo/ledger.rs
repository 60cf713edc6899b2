//! Which segments are live: those that hold a commit which is not safe in sled yet.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use parking_lot::Mutex;

/// The live segments.
#[derive(Debug)]
pub(crate) struct Ledger(Mutex<Live>);

#[derive(Debug)]
struct Live {
    /// Sequence and last commit of the segments that are full.
    closed: VecDeque<(u64, u64)>,
    current: u64,
    file: Arc<File>,
}

impl Ledger {
    pub(crate) fn new(current: u64, file: Arc<File>) -> Self {
        Ledger(Mutex::new(Live { closed: VecDeque::new(), current, file }))
    }

    /// The writer moved on to segment `sequence`; the one before ends with `last_commit`.
    pub(crate) fn moved_on(&self, sequence: u64, file: Arc<File>, last_commit: u64) {
        let mut live = self.0.lock();
        let before = live.current;
        live.closed.push_back((before, last_commit));
        (live.current, live.file) = (sequence, file);
    }

    /// Takes out the segments whose commits are all safe in sled up to `synced`.
    pub(crate) fn release(&self, synced: u64) -> Vec<u64> {
        let mut live = self.0.lock();
        let mut released = Vec::new();
        while live.closed.front().is_some_and(|(_, last)| *last <= synced) {
            released.extend(live.closed.pop_front().map(|(sequence, _)| sequence));
        }
        released
    }

    /// The first and the current live segment, and the current file.
    pub(crate) fn live(&self) -> (u64, u64, Arc<File>) {
        let live = self.0.lock();
        let first = live.closed.front().map_or(live.current, |(sequence, _)| *sequence);
        (first, live.current, Arc::clone(&live.file))
    }
}
