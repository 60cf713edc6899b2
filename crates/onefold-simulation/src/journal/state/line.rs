//! The line of answers on their way, and what becomes of it all in a crash.

use std::sync::atomic::Ordering;

use onefold_core::journal::{Acknowledgement, Append, AppendError, AppendOutcome};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Answer, Due, State, Written, claims, commit_of, state_of};
use crate::journal::Shared;

impl State {
    /// Puts an answer in line: behind the earlier ones of its streams.
    pub(super) fn answer(&mut self, append: Append, outcome: AppendOutcome, at: Instant, shared: &Shared) {
        if outcome.is_err() {
            self.faults.appends += 1;
        }
        let place = self.place_in_line(&append, at, shared);
        self.count(&append, shared, -1);
        let streams = self.indexes(&append, shared);
        self.line.insert(place, Due::Answer(streams, (append.acknowledgement, outcome)));
    }

    pub(super) fn place_in_line(&mut self, append: &Append, at: Instant, shared: &Shared) -> (Instant, u64) {
        let mut at = if self.in_a_hurry { Instant::now() } else { at };
        let indexes = self.indexes(append, shared);
        for index in &indexes {
            at = self.streams[*index].last_due.map_or(at, |last| last.max(at));
        }
        indexes.iter().for_each(|index| self.streams[*index].last_due = Some(at));
        self.next_due += 1;
        (at, self.next_due)
    }

    /// The streams of an append.
    #[expect(clippy::unused_self, reason = "its indexes mean something here only")]
    pub(super) fn indexes(&self, append: &Append, shared: &Shared) -> SmallVec<[usize; 1]> {
        append.parts.iter().filter_map(|part| Some(state_of(&part.session, shared)?.index)).collect()
    }

    pub(super) fn count(&mut self, append: &Append, shared: &Shared, by: i32) {
        for part in &append.parts {
            if let Some(state) = state_of(&part.session, shared) {
                let undecided = &mut self.streams[state.index].undecided;
                *undecided = undecided.saturating_add_signed(by);
            }
        }
    }

    /// Ends the sessions of a failed append.
    pub(super) fn fail(&mut self, append: &Append, shared: &Shared) {
        for part in &append.parts {
            if let Some(state) = state_of(&part.session, shared) {
                state.failed.store(true, Ordering::Relaxed);
                part.session.end();
            }
        }
    }

    /// Everything in line is due now, in its order.
    pub(in crate::journal) fn hurry(&mut self) {
        self.in_a_hurry = true;
        let now = Instant::now();
        let line = std::mem::take(&mut self.line);
        self.line = line.into_iter().map(|((_, number), due)| ((now, number), due)).collect();
        self.streams.iter_mut().for_each(|stream| stream.last_due = None);
    }

    /// Whether nothing is undecided and nothing unanswered.
    pub(in crate::journal) fn is_drained(&self) -> bool {
        self.queue.is_empty()
            && self.written.is_empty()
            && self.landing.is_empty()
            && !self.writing
            && self.line.is_empty()
            && !self.telling
    }

    /// What is lost and what survives when the process goes. Returns those who will never be told.
    pub(in crate::journal) fn crash(&mut self, shared: &Shared) -> Vec<Acknowledgement> {
        let disk = &shared.disk;
        self.streams.iter_mut().filter_map(|stream| stream.session.take()).for_each(|session| session.end());
        for survivor in self.survivors.drain(..) {
            disk.store(survivor);
        }
        let mut lost = Vec::new();
        let surviving = self.random.index(self.written.len() + 1);
        for (index, Written { append, fate, decided }) in self.written.drain(..).enumerate() {
            if fate.is_stored() && index < surviving && !append.is_barrier() {
                disk.store(commit_of(&append, decided));
            }
            lost.push(append.acknowledgement);
        }
        let landing = std::mem::take(&mut self.landing).into_iter().map(Due::Landing);
        for due in landing.chain(std::mem::take(&mut self.line).into_values()) {
            match due {
                Due::Answer(_, (acknowledgement, _)) => lost.push(acknowledgement),
                Due::Landing(append) if self.random.one_in(2) => {
                    if let Ok(decided) = claims::Written::default().decide(&append, disk, shared.id) {
                        disk.store(commit_of(&append, decided));
                    }
                }
                Due::Landing(_) => (),
            }
        }
        lost.extend(self.queue.drain(..).map(|entry| entry.append.acknowledgement));
        lost
    }

    /// When the next answer is due.
    pub(in crate::journal) fn next_due(&self) -> Option<Instant> {
        if self.halted { None } else { self.line.first_key_value().map(|((at, _), _)| *at) }
    }

    /// Takes the answers that are due, for the one who hands them out; none if somebody else does already.
    pub(in crate::journal) fn begin_telling(&mut self, shared: &Shared) -> Vec<Answer> {
        let (now, mut answers) = (Instant::now(), Vec::new());
        while !self.halted
            && !self.telling
            && let Some(entry) = self.line.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Due::Answer(streams, answer) => {
                    if !matches!(answer.1, Ok(_) | Err(AppendError::Superseded { .. })) {
                        streams.iter().for_each(|index| self.streams[*index].failed_at = Some(now));
                    }
                    answers.push(answer);
                }
                // After a failed sync nothing is written any more.
                Due::Landing(append) if self.poison.is_some() => {
                    self.count(&append, shared, -1);
                    shared.progress.notify_waiters();
                }
                // The numbers of what is written are settled already.
                Due::Landing(append) if !self.written.is_empty() => self.landing.push(append),
                Due::Landing(append) => {
                    self.land(&append, shared);
                    shared.progress.notify_waiters();
                }
            }
        }
        self.telling |= !answers.is_empty();
        answers
    }

    pub(in crate::journal) fn end_telling(&mut self, shared: &Shared) {
        self.telling = false;
        shared.progress.notify_waiters();
    }
}
