//! The writer: one thread that turns whatever waits into a group, makes it durable, and tells everybody.
//!
//! ```text
//!   take ─▶ check and encode ─▶ write ─▶ sync ─▶ publish ─▶ acknowledge ─▶ take …
//! ```
//!
//! Groups grow by themselves: what arrives during one sync is the next group. The writer never reads the store.

pub(crate) mod flight;
pub(crate) mod forming;
pub(crate) mod queue;
pub(crate) mod watchdog;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use onefold_core::journal::DurablePosition;
use onefold_core::{CommitNumber, GlobalPosition};

use self::flight::Pending;
use self::forming::{Forming, GroupBounds};
use crate::applier::Added;
use crate::config::Durability;
use crate::overlay::Group;
use crate::redo::{RedoLog, group};
use crate::shared::Shared;
use crate::stats::Counters;
use crate::store::panic_message;

/// How often the writer looks up, while it waits for the applier, whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The thread: works until it is told to stop or cannot go on, then refuses what is left.
pub(crate) fn run(shared: &Arc<Shared>, log: RedoLog) {
    let durable = shared.durable_position();
    let (heads, claims) = (Arc::clone(&shared.heads), Arc::clone(&shared.claims));
    let forming = Forming::new(heads, claims, durable.commit.get(), durable.position.get());
    let mut writer = Writer { shared: Arc::clone(shared), log, forming, telling: Vec::new() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.work())) {
        shared.fail(format!("the writer panicked: {}", panic_message(&*panic)));
    }
    flight::refuse_all(shared);
    shared.applier.writer_is_gone();
}

struct Writer {
    shared: Arc<Shared>,
    log: RedoLog,
    forming: Forming,
    telling: Vec<Pending>,
}

impl Writer {
    fn work(&mut self) {
        let mut incoming = VecDeque::new();
        let shared = Arc::clone(&self.shared);
        let bounds = GroupBounds { commits: shared.config.group_commits_max, bytes: shared.config.group_bytes_max };
        let mut backlog = 0;
        loop {
            if backlog == 0 && !shared.queue.take(&mut incoming, || shared.poison.is_set()) {
                return;
            }
            if !self.wait_for_room() {
                self.hand_over(&mut incoming);
                return;
            }
            self.forming.disk_low = shared.space.low();
            {
                let mut in_hand = shared.flight.in_hand.lock();
                if !incoming.is_empty() {
                    std::mem::swap(&mut in_hand.backlog, &mut incoming);
                }
                self.forming.fill(self.log.next_group(), &mut in_hand, bounds);
                backlog = in_hand.backlog.len();
            }
            if let Err(error) = self.decide() {
                shared.fail(format!("the redo log could not be written: {error}"));
                return;
            }
            if shared.poison.is_set() {
                return;
            }
            shared.queue.decided(self.forming.entries, self.forming.entry_bytes);
        }
    }

    /// Leaves what was taken where it will be refused.
    fn hand_over(&self, incoming: &mut VecDeque<queue::Entry>) {
        self.shared.flight.in_hand.lock().backlog.append(incoming);
    }

    /// Waits while memory is full of what sled does not have yet. False when the writer should stop.
    fn wait_for_room(&self) -> bool {
        let shared = &self.shared;
        let heads_max = shared.config.dirty_heads_max;
        loop {
            if shared.poison.is_set() || shared.queue.is_abandoned() {
                return false;
            }
            if shared.dirty_count() >= heads_max {
                shared.applier.want_checkpoint();
                std::thread::sleep(Duration::from_millis(1));
            } else if shared.overlay.wait_for_room(LOOK_UP) {
                return true;
            }
        }
    }

    /// Makes the group durable and tells everybody.
    fn decide(&mut self) -> io::Result<()> {
        if self.forming.offsets.is_empty() {
            self.tell();
            return Ok(());
        }
        let commits = self.forming.offsets.len();
        let first = self.forming.commit + 1 - commits as u64;
        let mut bytes = std::mem::take(&mut self.forming.bytes);
        let end = bytes.len();
        let group = self.log.next_group();
        if self.shared.config.durability == Durability::Buffered {
            self.publish(first, Bytes::copy_from_slice(&bytes), end, end, group);
            self.tell();
            return self.persist(&mut bytes, first, commits);
        }
        self.persist(&mut bytes, first, commits)?;
        if self.shared.poison.is_set() {
            // The watchdog gave up on this group and has answered for it.
            return Ok(());
        }
        let bytes = fitted(bytes);
        let held = bytes.capacity();
        self.publish(first, Bytes::from(bytes), end, held, group);
        self.tell();
        Ok(())
    }

    fn persist(&mut self, bytes: &mut [u8], first: u64, commits: usize) -> io::Result<()> {
        let shared = &self.shared;
        let commits = u32::try_from(commits).map_err(io::Error::other)?;
        shared.flight.timer.ask();
        self.log.write(bytes, first, commits)?;
        if shared.config.durability == Durability::Fsync {
            self.log.sync()?;
            Counters::add(&shared.counters.syncs, 1);
        }
        shared.flight.timer.answered();
        *shared.persisted.lock() = self.position();
        shared.tick.poke();
        Counters::add(&shared.counters.groups, 1);
        Counters::add(&shared.counters.commits, commits.into());
        let written = group::room(bytes.len());
        Counters::add(&shared.counters.bytes_written, written);
        // The segment's own space is taken already: what counts is what sled will write.
        shared.space.spend(bytes.len() as u64);
        Ok(())
    }

    /// Shows the group to readers. The order is the guarantee.
    fn publish(&mut self, first: u64, bytes: Bytes, end: usize, held: usize, group: u64) {
        let shared = &self.shared;
        let added = Added { bytes: bytes.len(), redo_bytes: group::room(bytes.len()) };
        let offsets = std::mem::take(&mut self.forming.offsets);
        // 1. The bytes, so that whoever learns of the commits finds them.
        let held = shared.overlay.push(Arc::new(Group { first, bytes, offsets, end, held }));
        // 2. The heads and claims that a checkpoint must save, before it can learn that the group is durable.
        shared.heads.add_dirty(&mut self.forming.dirty);
        shared.claims.add_dirty(&mut self.forming.dirty_claims);
        // 3. That the group is durable.
        shared.durable_group.store(group, Ordering::Release);
        shared.durable.send_replace(self.position());
        let config = &shared.config;
        shared.applier.published(added, held, config.overlay_bytes_max, config.checkpoint_bytes);
    }

    /// Where the journal ends with the group in hand.
    fn position(&self) -> DurablePosition {
        DurablePosition {
            commit: CommitNumber::new(self.forming.commit),
            position: GlobalPosition::new(self.forming.position),
        }
    }

    /// Acknowledges, in the order of submission.
    fn tell(&mut self) {
        std::mem::swap(&mut self.telling, &mut self.shared.flight.in_hand.lock().pending);
        self.telling.drain(..).for_each(Pending::tell);
    }
}

/// A group stays in memory until it is in sled. What was meant for a larger one is given back.
fn fitted(bytes: Vec<u8>) -> Vec<u8> {
    let wasted = bytes.capacity() - bytes.len();
    // IMPORTANT: copied, not shrunk: allocators leave a smaller allocation where it was, with all its memory.
    if wasted > bytes.capacity() / 4 { bytes.as_slice().to_vec() } else { bytes }
}
