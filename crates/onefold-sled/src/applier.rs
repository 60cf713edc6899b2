//! The applier: packs acknowledged commits into full blocks and brings them into sled, off the critical path.
//!
//! It holds back what does not fill a batch: the redo log protects it, and readers find it in memory. It is also the
//! thread of the checkpoint, and of the end: it closes the store when the journal closes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::block::{BLOCK_BYTES_MAX, BlockPacker};
use crate::placing::Placing;
use crate::shared::Shared;
use crate::store::{BATCH_BLOCKS_MAX, Store, StoreError, panic_message};

/// Bytes of new commits that are worth waking up for.
const BATCH_BYTES: usize = BATCH_BLOCKS_MAX * BLOCK_BYTES_MAX;

/// What the applier is wanted for.
#[derive(Debug, Default)]
pub(crate) struct ApplierSignal {
    state: Mutex<Wanted>,
    changed: Condvar,
    unapplied_bytes: AtomicUsize,
    redo_bytes: AtomicU64,
}

/// What a group adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    /// Bytes to be packed.
    pub(crate) bytes: usize,
    /// Bytes of the redo log.
    pub(crate) redo_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    apply: bool,
    checkpoint: bool,
    end: Option<End>,
    writer_gone: bool,
}

/// How the journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a checkpoint and a clean beacon.
    Close,
    /// As after a kill.
    Abandon,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Apply,
    Checkpoint,
    End(End),
}

impl ApplierSignal {
    /// A group was published; the overlay holds `held` of at most `held_max`.
    pub(crate) fn published(&self, added: Added, held: usize, held_max: usize, checkpoint_bytes: usize) {
        let unapplied = self.unapplied_bytes.fetch_add(added.bytes, Ordering::Relaxed) + added.bytes;
        let redo = self.redo_bytes.fetch_add(added.redo_bytes, Ordering::Relaxed) + added.redo_bytes;
        let apply = unapplied >= BATCH_BYTES || held >= held_max / 2;
        let checkpoint = redo >= checkpoint_bytes as u64;
        if apply || checkpoint {
            self.want(|wanted| {
                wanted.apply |= apply;
                wanted.checkpoint |= checkpoint;
            });
        }
    }

    pub(crate) fn want_checkpoint(&self) {
        self.want(|wanted| wanted.checkpoint = true);
    }

    pub(crate) fn want_end(&self, end: End) {
        self.want(|wanted| {
            wanted.end.get_or_insert(end);
        });
    }

    /// Everything that will ever be durable is.
    pub(crate) fn writer_is_gone(&self) {
        self.want(|wanted| wanted.writer_gone = true);
    }

    /// Whether the journal is to end.
    pub(crate) fn is_end_wanted(&self) -> bool {
        self.state.lock().end.is_some()
    }

    pub(crate) fn wake(&self) {
        self.want(|_| {});
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }

    fn next(&self, poisoned: impl Fn() -> bool) -> Task {
        let mut state = self.state.lock();
        loop {
            if let (Some(end), true) = (state.end, state.writer_gone) {
                return Task::End(end);
            }
            if poisoned() {
                (state.apply, state.checkpoint) = (false, false);
            }
            if std::mem::take(&mut state.checkpoint) {
                self.redo_bytes.store(0, Ordering::Relaxed);
                return Task::Checkpoint;
            }
            if std::mem::take(&mut state.apply) {
                self.unapplied_bytes.store(0, Ordering::Relaxed);
                return Task::Apply;
            }
            self.changed.wait(&mut state);
        }
    }
}

/// The thread's own state.
pub(crate) struct Applier {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<Store>,
    packer: BlockPacker,
    placing: Placing,
    packed: u64,
}

impl Applier {
    pub(crate) fn new(shared: &Arc<Shared>, store: Arc<Store>) -> Self {
        let packed = shared.applied.load(Ordering::Acquire);
        Applier {
            shared: Arc::clone(shared),
            store,
            packer: BlockPacker::default(),
            placing: Placing::default(),
            packed,
        }
    }

    /// The thread: returns how the journal ends. Whatever fails poisons.
    pub(crate) fn work(&mut self) -> End {
        loop {
            // A panic leaves nothing half done that matters: the journal is poisoned, and nothing but the end follows.
            let done = catch_unwind(AssertUnwindSafe(|| self.work_on()))
                .unwrap_or_else(|panic| Err(format!("the applier panicked: {}", panic_message(&*panic)).into()));
            match done {
                Ok(end) => return end,
                Err(reason) => self.shared.fail(format!("the store could not be written: {reason}")),
            }
        }
    }

    fn work_on(&mut self) -> Result<End, StoreError> {
        loop {
            match self.shared.applier.next(|| self.shared.poison.is_set()) {
                Task::Apply => self.apply_some()?,
                Task::Checkpoint => self.checkpoint()?,
                Task::End(End::Close) if !self.shared.poison.is_set() => {
                    self.checkpoint()?;
                    return Ok(End::Close);
                }
                Task::End(end) => return Ok(end),
            }
        }
    }

    /// Applies what fills whole batches; when memory is filling up, all there is.
    fn apply_some(&mut self) -> Result<(), StoreError> {
        self.apply_batches()?;
        if self.shared.overlay.bytes() >= self.shared.config.overlay_bytes_max / 2 {
            self.write_all()?;
        }
        if self.shared.dirty_count() >= self.shared.config.dirty_heads_max / 2 {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Applies what fills whole batches.
    pub(crate) fn apply_batches(&mut self) -> Result<(), StoreError> {
        while self.pack(u64::MAX) {
            self.write_full()?;
        }
        Ok(())
    }

    /// Applies all commits up to `commit`, which is durable, and perhaps some more.
    pub(crate) fn apply_to(&mut self, commit: u64) -> Result<(), StoreError> {
        while self.pack(commit) {
            self.write_full()?;
        }
        self.write_all()
    }

    /// Packs durable commits, up to `commit`, until a batch is full. False when there are no more.
    fn pack(&mut self, commit: u64) -> bool {
        while self.packed < commit {
            let Some(group) = self.shared.overlay.group_of(self.packed + 1) else { return false };
            while self.packed < commit.min(group.last()) {
                if self.packer.full_blocks() >= BATCH_BLOCKS_MAX {
                    return true;
                }
                self.packed += 1;
                self.packer.push(self.packed, group.record(self.packed));
            }
        }
        false
    }

    /// Writes the finished blocks that have a settled place.
    fn write_full(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.placing.write(&self.store, self.packer.take_full(), |complete_to| applied(&shared, complete_to))
    }

    /// Writes all that was packed, with the block in the making.
    fn write_all(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.packer.seal();
        self.placing.write_all(&self.store, self.packer.take_full(), |complete_to| applied(&shared, complete_to))
    }
}

/// A batch is visible in sled.
fn applied(shared: &Shared, complete_to: u64) {
    // IMPORTANT: visible in sled before it leaves memory.
    shared.applied.store(complete_to, Ordering::Release);
    shared.overlay.applied_to(complete_to);
}
