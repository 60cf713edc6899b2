//! The appends that the writer has taken and not yet decided, where the watchdog finds them if the disk never answers.

use std::collections::VecDeque;

use onefold_core::journal::{Acknowledgement, Append, AppendError, AppendOutcome, Appended, OpenError, OpenedSession};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::queue::Entry;
use crate::shared::Shared;
use crate::timer::Timer;

/// What is told when the group is durable.
pub(crate) enum Pending {
    Append { acknowledgement: Acknowledgement, outcome: Result<Appended, Box<AppendError>> },
    Open { reply: oneshot::Sender<Result<OpenedSession, OpenError>>, opened: OpenedSession },
}

/// What the writer has in hand.
#[derive(Default)]
pub(crate) struct InHand {
    /// In the group being made or written; told in this order.
    pub(crate) pending: Vec<Pending>,
    /// Taken from the queue, for later groups.
    pub(crate) backlog: VecDeque<Entry>,
}

/// The writer's hands.
#[derive(Default)]
pub(crate) struct Flight {
    pub(crate) in_hand: Mutex<InHand>,
    /// Runs while the disk is asked.
    pub(crate) timer: Timer,
    refusing: Mutex<()>,
}

impl Pending {
    /// Tells what was decided: the group is durable.
    pub(crate) fn tell(self) {
        match self {
            Pending::Append { acknowledgement, outcome } => {
                acknowledge(acknowledgement, outcome.map_err(|error| *error))
            }
            Pending::Open { reply, opened } => drop(reply.send(Ok(opened))),
        }
    }

    /// Tells that nobody knows whether the group is stored. What was refused before is refused all the same.
    fn tell_unknown(self, shared: &Shared) {
        match self {
            Pending::Append { acknowledgement, outcome: Ok(_) } => {
                let reason = shared.poison.reason().unwrap_or_else(|| "the journal was dropped".into());
                acknowledge(acknowledgement, Err(AppendError::Unknown { reason }));
            }
            Pending::Open { reply, opened } => {
                opened.session.end();
                drop(reply.send(Err(open_refusal(shared))));
            }
            refused @ Pending::Append { .. } => refused.tell(),
        }
    }
}

/// Calls a listener; its panic must not take the journal along.
fn acknowledge(acknowledgement: Acknowledgement, outcome: AppendOutcome) {
    let tell = std::panic::AssertUnwindSafe(|| acknowledgement.complete(outcome));
    if std::panic::catch_unwind(tell).is_err() {
        tracing::error!("a listener panicked while it was told the outcome of an append");
    }
}

/// Decides everything that is left: what is in a group is unknown, what is not in one is refused. Afterwards whoever pushes
/// is refused on the spot. Called by the writer at its end, or by the watchdog in its place.
pub(crate) fn refuse_all(shared: &Shared) {
    let _one_at_a_time = shared.flight.refusing.lock();
    let (pending, mut entries) = {
        let mut in_hand = shared.flight.in_hand.lock();
        (std::mem::take(&mut in_hand.pending), std::mem::take(&mut in_hand.backlog))
    };
    if shared.poison.is_set() {
        shared.heads.end_sessions();
    }
    pending.into_iter().for_each(|pending| pending.tell_unknown(shared));
    loop {
        entries.drain(..).for_each(|entry| refuse(shared, entry));
        if !shared.queue.drain(&mut entries) {
            return;
        }
    }
}

/// Refuses an entry that is surely not stored.
pub(crate) fn refuse(shared: &Shared, entry: Entry) {
    match entry {
        Entry::Append(Append { parts, acknowledgement, .. }) => {
            parts.iter().for_each(|part| part.session.end());
            let error = match shared.poison.reason() {
                Some(reason) => AppendError::Poisoned { reason },
                None => AppendError::ShuttingDown,
            };
            acknowledge(acknowledgement, Err(error));
        }
        Entry::Open(request) => drop(request.reply.send(Err(open_refusal(shared)))),
    }
}

/// Why nothing can be opened any more.
pub(crate) fn open_refusal(shared: &Shared) -> OpenError {
    match shared.poison.reason() {
        Some(reason) => OpenError::Poisoned { reason },
        None => OpenError::ShuttingDown,
    }
}
