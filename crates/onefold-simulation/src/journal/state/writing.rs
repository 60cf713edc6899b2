//! From the queue to the disk: a group is checked, its fate is drawn, and it is synced.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use onefold_core::journal::{Acknowledgement, Append, AppendError, Appended};
use tokio::time::Instant;

use super::{Decided, Due, Entry, Fate, NEVER, State, Written, claims, commit_of, state_of, store};
use crate::journal::{Shared, Weather};

impl State {
    /// Takes a group from the queue, checks it, and decides on its fate.
    pub(in crate::journal) fn write(&mut self, shared: &Shared) {
        let count = self.queue.len().min(self.weather.group_max);
        for _ in 0..count {
            let Some(Entry { append, refused }) = self.queue.pop_front() else { break };
            let checked = refused.map_or_else(|| self.check(&append, shared), Err);
            // After session and version of every part.
            let decided = checked.and_then(|()| self.written_claims.decide(&append, &shared.disk, shared.id));
            let (fate, decided) = match decided {
                Err(error) => (Fate::Failed(error), Decided::default()),
                Ok(decided) => (self.fate(append.is_barrier()), decided),
            };
            if fate.is_stored() {
                self.advance(&append, shared);
                self.written_claims.add(&append, &decided);
            }
            if !matches!(fate, Fate::Stored) {
                self.fail(&append, shared);
            }
            self.written.push(Written { append, fate, decided });
        }
        shared.progress.notify_waiters();
    }

    /// Session and expected version of every part.
    pub(super) fn check(&self, append: &Append, shared: &Shared) -> Result<(), AppendError> {
        for part in &append.parts {
            let state = state_of(&part.session, shared).filter(|state| !state.failed.load(Ordering::Relaxed));
            let superseded = || AppendError::Superseded { stream: part.stream().clone() };
            let actual = self.streams[state.ok_or_else(superseded)?.index].head;
            if !part.expected.accepts(actual) {
                let (stream, expected) = (part.stream().clone(), part.expected);
                return Err(AppendError::Conflict { stream, expected, actual });
            }
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, append: &Append, shared: &Shared) {
        for part in &append.parts {
            if let Some(state) = state_of(&part.session, shared) {
                let head = &mut self.streams[state.index].head;
                *head = head.plus(u64::from(part.events.count()));
            }
        }
    }

    pub(super) fn fate(&mut self, barrier: bool) -> Fate {
        let Weather { refused, unknown_stored, unknown_lost, unknown_late, unanswered, .. } = self.weather;
        let (random, faults) = (&mut self.random, &mut self.faults);
        if random.chance(refused) {
            if random.one_in(4) {
                faults.disk_low += 1;
                return Fate::Failed(AppendError::DiskLow { free_bytes: 1, reserve_bytes: 2 });
            }
            return Fate::Failed(AppendError::Unavailable { reason: "simulated: the journal is busy".into() });
        }
        if random.chance(unknown_stored) {
            return Fate::Unknown { stored: true };
        }
        if random.chance(unknown_lost) {
            return Fate::Unknown { stored: false };
        }
        // A barrier has nothing to land.
        if random.chance(unknown_late) && !barrier {
            return Fate::Late;
        }
        if random.chance(unanswered) {
            faults.unanswered += 1;
            return Fate::Unanswered { stored: random.one_in(2) };
        }
        Fate::Stored
    }

    /// The sync's end: what is stored is on the disk from here on, and the answers are on their way.
    pub(in crate::journal) fn sync(&mut self, shared: &Shared) {
        let written = std::mem::take(&mut self.written);
        self.written_claims = claims::Written::default();
        if self.random.chance(self.weather.failed_sync) && self.poison.is_none() {
            return self.fail_sync(written, shared);
        }
        let now = Instant::now();
        for Written { append, fate, decided } in written {
            let unknown = |reason: &str| Err(AppendError::Unknown { reason: reason.into() });
            match fate {
                Fate::Stored => {
                    let end = store(&append, decided, shared);
                    let limit = self.weather.acknowledgement;
                    let after = self.random.time_below(limit);
                    self.answer(
                        append,
                        Ok(Appended { commit: end.commit, position: end.position }),
                        now + after,
                        shared,
                    );
                }
                Fate::Failed(error) => {
                    let limit = self.weather.acknowledgement;
                    let after = self.random.time_below(limit);
                    self.answer(append, Err(error), now + after, shared);
                }
                Fate::Unknown { stored } => {
                    if stored {
                        store(&append, decided, shared);
                    }
                    let limit = self.weather.watchdog;
                    let after = self.random.time_below(limit);
                    self.answer(append, unknown("simulated: the disk did not answer"), now + after, shared);
                }
                Fate::Late => self.land_later(append, now, shared),
                Fate::Unanswered { stored } => {
                    if stored {
                        store(&append, decided, shared);
                    }
                    self.answer(append, unknown("simulated: the answer was lost"), now + NEVER, shared);
                }
            }
        }
        for append in std::mem::take(&mut self.landing) {
            self.land(&append, shared);
        }
        shared.progress.notify_waiters();
    }

    /// A commit whose outcome was unknown lands after all; unless its claims can't be had any more: then it never will.
    pub(super) fn land(&mut self, append: &Append, shared: &Shared) {
        if let Ok(decided) = claims::Written::default().decide(append, &shared.disk, shared.id) {
            store(append, decided, shared);
            self.advance(append, shared);
        }
        self.count(append, shared, -1);
    }

    /// The caller is told at once that the outcome is unknown; the commit itself lands later, and is undecided until then.
    pub(super) fn land_later(&mut self, mut append: Append, now: Instant, shared: &Shared) {
        let acknowledgement = std::mem::replace(&mut append.acknowledgement, Acknowledgement::from_fn(|_| ()));
        self.faults.appends += 1;
        let told = self.place_in_line(&append, now, shared);
        let outcome = Err(AppendError::Unknown { reason: "simulated: the answer took too long".into() });
        let streams = self.indexes(&append, shared);
        self.line.insert(told, Due::Answer(streams, (acknowledgement, outcome)));
        let limit = self.weather.watchdog;
        let lands = now + self.random.time_below(limit);
        self.next_due += 1;
        self.line.insert((lands, self.next_due), Due::Landing(append));
    }

    /// After a failed sync nobody knows; nothing is written any more. What survives is seen when the disk is opened anew.
    pub(super) fn fail_sync(&mut self, written: Vec<Written>, shared: &Shared) {
        let reason: Arc<str> = "simulated: the sync failed".into();
        self.poison = Some(reason.clone());
        self.faults.poisoned = true;
        let now = Instant::now();
        let surviving = self.random.index(written.len() + 1);
        for append in std::mem::take(&mut self.landing) {
            // Nothing is written any more.
            self.count(&append, shared, -1);
        }
        for (index, Written { append, fate, decided }) in written.into_iter().enumerate() {
            self.fail(&append, shared);
            let outcome = match fate {
                Fate::Failed(error) => Err(error),
                _ if append.is_barrier() => Err(AppendError::Poisoned { reason: reason.clone() }),
                // IMPORTANT: without a gap. Claims that one gave up may have been taken by a later one.
                fate if index < surviving && fate.is_stored() => {
                    self.survivors.push(commit_of(&append, decided));
                    Err(AppendError::Unknown { reason: reason.clone() })
                }
                _ => Err(AppendError::Unknown { reason: reason.clone() }),
            };
            self.answer(append, outcome, now, shared);
        }
        shared.progress.notify_waiters();
    }
}
