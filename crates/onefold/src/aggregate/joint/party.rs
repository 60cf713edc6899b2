//! One participant of a joint decision, from its queue to the commit.

use std::sync::Arc;
use std::task::{Context, Poll};

use onefold_core::TooLarge;
use onefold_core::journal::Append;

use super::commit::Share;
use super::{Awake, End, Joint, Refusal, Stage, Vote};
use crate::aggregate::scope::Chain;

/// The right, and the duty, to take part. Dropped before its end, however that came, the participant has failed.
pub(crate) struct Party {
    joint: Arc<Joint>,
    pub(crate) index: usize,
    /// Whether it has come to the end of the present stage.
    arrived: bool,
    done: bool,
}

impl Party {
    pub(crate) fn new(joint: Arc<Joint>, index: usize) -> Self {
        Party { joint, index, arrived: false, done: false }
    }

    /// It is held: ready when all are.
    pub(crate) fn poll_gathered(&mut self, cx: &Context<'_>) -> Poll<Result<(), End>> {
        self.poll_past(Stage::Gathering, cx)
    }

    /// What its handler must not ask.
    pub(crate) fn chain(&self) -> Option<Arc<Chain>> {
        self.joint.state.lock().chain.clone()
    }

    /// It does not decide: its key tells that it did before.
    pub(crate) fn is_repeat(&self) {
        let mut state = self.joint.state.lock();
        state.repeats += 1;
        state.first_repeat = state.first_repeat.min(self.index);
    }

    /// It has decided on this.
    pub(crate) fn vote(&self, vote: Vote) {
        self.joint.state.lock().votes.push(vote);
    }

    /// When all have decided: whether anything of it is stored.
    pub(crate) fn stores(&self) -> bool {
        self.joint.state.lock().stores
    }

    /// Why it cannot have what it decided on, if that is why it all came to nothing.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.joint.state.lock().refusal.take()
    }

    /// It has decided: ready when all have. From then on it is too late to take anything back.
    pub(crate) fn poll_decided(&mut self, cx: &Context<'_>) -> Poll<Result<(), End>> {
        self.poll_past(Stage::Deciding, cx)
    }

    /// Its key remembers a reply that nobody knew before it had applied: that is part of the commit, too, if it fits. What does
    /// not is not counted, so that nobody else is blamed for it.
    pub(crate) fn add_bytes(&self, bytes: usize) -> Result<(), TooLarge> {
        let limit = self.joint.shared.config.limits.commit_bytes_max;
        let mut state = self.joint.state.lock();
        let actual = state.bytes + bytes;
        if actual > limit {
            return Err(TooLarge::Commit { actual, limit });
        }
        state.bytes = actual;
        Ok(())
    }

    /// It has applied, and adds this.
    pub(crate) fn hand_over(&mut self, share: Share) {
        self.joint.state.lock().shares.push(share);
    }

    /// Ready when all have applied; the last one takes the commit to the journal.
    pub(crate) fn poll_submitted(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Append>, End>> {
        let polled = self.poll_past(Stage::Applying, cx);
        let Poll::Ready(Ok(())) = polled else { return polled.map_ok(|()| None) };
        self.done = true;
        let mut state = self.joint.state.lock();
        Poll::Ready(Ok(self.joint.take_commit(&mut state)))
    }

    /// Its answer is in its call's hands.
    pub(crate) fn done(&mut self) {
        self.done = true;
    }

    fn poll_past(&mut self, stage: Stage, cx: &Context<'_>) -> Poll<Result<(), End>> {
        let mut state = self.joint.state.lock();
        let awake = match std::mem::replace(&mut self.arrived, true) {
            false => state.arrive(stage, &self.joint.shared.config.limits),
            true => Awake::default(),
        };
        let polled = match state.stage {
            // It may be stored before the last one of them looks.
            Stage::Over(_) if state.submitted => Poll::Ready(Ok(())),
            Stage::Over(end) => Poll::Ready(Err(end)),
            now if now == stage => {
                state.waiting[self.index] = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        };
        drop(state);
        self.arrived = polled.is_pending();
        awake.carry_out();
        polled
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if !self.done {
            self.joint.fail(self.index);
        }
    }
}
