//! The queue in front of the writer: bounded, and cheap to push to.

use std::collections::VecDeque;
use std::sync::Arc;

use onefold_core::journal::{Append, OpenError, OpenedSession};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use crate::heads::HeadPin;

/// What passes through the writer, in order.
pub(crate) enum Entry {
    Append(Append),
    Open(OpenRequest),
}

impl Entry {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Entry::Append(append) => append.queued_bytes(),
            Entry::Open(_) => size_of::<Entry>(),
        }
    }
}

/// Wants a session, once everything that was submitted before is decided. The head is loaded.
pub(crate) struct OpenRequest {
    pub(crate) pin: HeadPin,
    pub(crate) reply: oneshot::Sender<Result<OpenedSession, OpenError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes entries.
    Open,
    /// Decides what was there, refuses what comes.
    Closing,
    /// Refuses all that is not in a group yet.
    Abandoned,
    /// Nobody is behind the queue any more: whoever pushes is refused on the spot.
    Gone,
}

struct State {
    entries: VecDeque<Entry>,
    /// What came after closing began.
    late: VecDeque<Entry>,
    bytes: usize,
    /// Taken by the writer, not decided yet: they count, too.
    taken: usize,
    taken_bytes: usize,
    writer_sleeps: bool,
    /// Somebody was refused, or waits for room: for so many bytes at most.
    wanted: Option<usize>,
    phase: Phase,
}

/// The queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    room: Arc<Notify>,
    appends_max: usize,
    bytes_max: usize,
}

/// Why an entry was not queued.
pub(crate) enum NotQueued {
    Full(Entry),
    Gone(Entry),
}

impl Queue {
    pub(crate) fn new(appends_max: usize, bytes_max: usize) -> Self {
        let state = State {
            entries: VecDeque::new(),
            late: VecDeque::new(),
            bytes: 0,
            taken: 0,
            taken_bytes: 0,
            writer_sleeps: false,
            wanted: None,
            phase: Phase::Open,
        };
        Queue { state: Mutex::new(state), filled: Condvar::new(), room: Arc::default(), appends_max, bytes_max }
    }

    /// Queues an entry, and wakes the writer if it sleeps. Entries that are not appends always fit.
    pub(crate) fn push(&self, entry: Entry) -> Result<(), NotQueued> {
        let bytes = entry.bytes();
        let mut state = self.state.lock();
        match state.phase {
            Phase::Gone => return Err(NotQueued::Gone(entry)),
            _ if matches!(entry, Entry::Append(_)) && !self.has_room(&state, bytes) => {
                state.wanted = state.wanted.max(Some(bytes));
                return Err(NotQueued::Full(entry));
            }
            Phase::Open => {
                state.bytes += bytes;
                state.entries.push_back(entry);
            }
            Phase::Closing | Phase::Abandoned => {
                state.bytes += bytes;
                state.late.push_back(entry);
            }
        }
        let wake = std::mem::take(&mut state.writer_sleeps);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        let waiting = state.entries.len() + state.late.len() + state.taken;
        let waiting_bytes = state.bytes + state.taken_bytes;
        waiting == 0 || (waiting < self.appends_max && waiting_bytes + bytes <= self.bytes_max)
    }

    /// Resolves when there is room for every append that was refused since room was last told of, or when appends are refused
    /// anyway.
    ///
    /// IMPORTANT: not for any append. Whoever was refused with a large one comes again at once when this resolves, and would
    /// go round in a circle, without a pause, for as long as only small ones fit.
    pub(crate) async fn room(&self) {
        loop {
            let mut notified = std::pin::pin!(self.room.notified());
            notified.as_mut().enable();
            {
                let mut state = self.state.lock();
                let wanted = state.wanted.unwrap_or(0);
                if state.phase == Phase::Gone || self.has_room(&state, wanted) {
                    return;
                }
                state.wanted = Some(wanted);
            }
            notified.await;
        }
    }

    /// Waits for entries and takes them all into `out`, which is empty. False when none will come any more, or when
    /// `stop` says so.
    pub(crate) fn take(&self, out: &mut VecDeque<Entry>, stop: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.phase == Phase::Abandoned || state.phase == Phase::Gone || stop() {
                return false;
            }
            if !state.entries.is_empty() {
                std::mem::swap(&mut state.entries, out);
                state.taken = out.len();
                state.taken_bytes = std::mem::take(&mut state.bytes);
                return true;
            }
            if state.phase == Phase::Closing {
                return false;
            }
            state.writer_sleeps = true;
            self.filled.wait(&mut state);
            state.writer_sleeps = false;
        }
    }

    /// Whether the writer should stop after the group it is at.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.lock().phase == Phase::Abandoned
    }

    /// Some of what was taken has been decided.
    pub(crate) fn decided(&self, appends: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.taken = state.taken.saturating_sub(appends);
        state.taken_bytes = state.taken_bytes.saturating_sub(bytes);
        let tell = state.wanted.is_some_and(|wanted| self.has_room(&state, wanted));
        if tell {
            state.wanted = None;
        }
        drop(state);
        if tell {
            self.room.notify_waiters();
        }
    }

    /// Wakes the writer, so that it looks at why it should stop.
    pub(crate) fn wake(&self) {
        drop(self.state.lock());
        self.filled.notify_all();
    }

    /// Takes nothing more; what is there is decided.
    pub(crate) fn close(&self) {
        self.leave(&[Phase::Open], Phase::Closing);
    }

    /// Takes nothing more; what is not in a group yet is refused.
    pub(crate) fn abandon(&self) {
        self.leave(&[Phase::Open, Phase::Closing], Phase::Abandoned);
    }

    fn leave(&self, from: &[Phase], to: Phase) {
        let mut state = self.state.lock();
        if from.contains(&state.phase) {
            state.phase = to;
        }
        drop(state);
        self.filled.notify_all();
    }

    /// Whether appends are still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    /// Takes what is left, to be refused; when nothing is, whoever pushes from now on is refused on the spot.
    pub(crate) fn drain(&self, out: &mut VecDeque<Entry>) -> bool {
        let mut state = self.state.lock();
        out.append(&mut state.entries);
        out.append(&mut state.late);
        (state.bytes, state.taken, state.taken_bytes) = (0, 0, 0);
        if out.is_empty() {
            state.phase = Phase::Gone;
        }
        drop(state);
        self.room.notify_waiters();
        !out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use onefold_core::journal::{Acknowledgement, AppendPart, EncodedEvents, Session, WriterEpoch};
    use onefold_core::{ExpectedVersion, StreamId};

    use super::*;

    fn append(bytes: usize) -> Entry {
        let session = Session::new(StreamId::new("a", "b").unwrap(), WriterEpoch::default(), ());
        let part =
            AppendPart { session, expected: ExpectedVersion::Any, events: EncodedEvents::NONE, claims: Vec::new() };
        Entry::Append(Append::new(part, vec![0; bytes], Acknowledgement::from_fn(|_| ())))
    }

    /// Room was told of while a small append would have fitted; whoever had been refused with a large one tried again and
    /// again in a single poll, and took a core for as long as the disk was behind.
    #[test]
    fn who_was_refused_is_told_when_there_is_room_for_what_was_refused() {
        let queue = Queue::new(100, 10_000);
        assert!(queue.push(append(6_000)).is_ok());
        assert!(queue.room().now_or_never().is_some(), "nobody was refused");
        assert!(matches!(queue.push(append(6_000)), Err(NotQueued::Full(_))));
        assert!(queue.room().now_or_never().is_none(), "what was refused still doesn't fit");
        assert!(queue.push(append(100)).is_ok(), "a small one does");
        let mut waiting = Box::pin(queue.room());
        assert!(waiting.as_mut().now_or_never().is_none());
        let mut taken = VecDeque::new();
        assert!(queue.drain(&mut taken) && taken.len() == 2);
        assert!(waiting.now_or_never().is_some());
        assert!(queue.push(append(6_000)).is_ok());
    }
}
