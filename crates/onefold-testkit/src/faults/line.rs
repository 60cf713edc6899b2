//! The line: where answers wait until they are due, and leave in order of submission, stream by stream.
//!
//! An answer leaves when it is there, is not held back, and is the first of each of its streams. Answers that leave are
//! told one at a time, by whoever finds nobody telling, and without a lock: an acknowledgement may append again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use onefold_core::StreamId;
use onefold_core::journal::{Acknowledgement, Append, AppendError, AppendOutcome, Session};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::gate::Gate;

/// Why an answer is held back.
pub(super) enum Held {
    For(Duration, Handle),
    Until(Gate),
}

/// An append that is under way.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) sessions: Vec<Session>,
    pub(super) acknowledgement: Option<Acknowledgement>,
    /// Set if the append never reaches the journal: its answer.
    pub(super) unwritten: Option<AppendError>,
    /// Whether this append fails and takes the followers in its sessions along.
    pub(super) doomed: bool,
    pub(super) held: Option<Held>,
    /// The journal's answer.
    pub(super) outcome: Option<AppendOutcome>,
    pub(super) abandoned: bool,
}

#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
    /// Counts answers told.
    told: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: HashMap<u64, Entry>,
    by_stream: HashMap<StreamId, VecDeque<u64>>,
    /// Sessions that end with an answer still in line, by the append that ends them.
    doomed: Vec<(u64, Session)>,
    leaving: VecDeque<(u64, Option<Acknowledgement>, AppendOutcome)>,
    /// Everything taken and not told yet.
    unanswered: BTreeMap<u64, Vec<StreamId>>,
    telling: bool,
    paused: usize,
}

impl Line {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.state.lock().unanswered.len()
    }

    /// The stream of a session of `append` that an append in line is going to end.
    pub(super) fn doomed(&self, append: &Append) -> Option<StreamId> {
        let state = self.state.lock();
        let ends = |session: &Session| state.doomed.iter().any(|(_, doomed)| doomed.same(session));
        append.parts.iter().find(|part| ends(&part.session)).map(|part| part.stream().clone())
    }

    /// Takes an append in line.
    pub(super) fn admit(self: &Arc<Self>, mut entry: Entry) -> u64 {
        let held = entry.held.take();
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        let streams: Vec<StreamId> = entry.sessions.iter().map(|session| session.stream().clone()).collect();
        for stream in &streams {
            state.by_stream.entry(stream.clone()).or_default().push_back(id);
        }
        if entry.doomed {
            state.doomed.extend(entry.sessions.iter().map(|session| (id, session.clone())));
        }
        state.unanswered.insert(id, streams);
        let is_held = held.is_some();
        // Kept as a mark: what it waits for is started below.
        entry.held = is_held.then(|| Held::Until(Gate::closed()));
        state.waiting.insert(id, entry);
        drop(state);
        let line = self.clone();
        match held {
            Some(Held::For(duration, runtime)) => drop(runtime.spawn(async move {
                tokio::time::sleep(duration).await;
                line.let_go(id);
            })),
            Some(Held::Until(gate)) => gate.on_open(move || line.let_go(id)),
            None => self.leave(id),
        }
        id
    }

    /// Takes an append out of line that the journal handed back.
    pub(super) fn withdraw(&self, id: u64) -> Option<Acknowledgement> {
        let mut state = self.state.lock();
        let entry = state.remove(id)?;
        state.unanswered.remove(&id);
        entry.acknowledgement
    }

    /// The journal has decided.
    pub(super) fn answer(&self, id: u64, outcome: AppendOutcome) {
        if let Some(entry) = self.state.lock().waiting.get_mut(&id) {
            entry.outcome = Some(outcome);
        }
        self.leave(id);
    }

    fn let_go(&self, id: u64) {
        if let Some(entry) = self.state.lock().waiting.get_mut(&id) {
            entry.held = None;
        }
        self.leave(id);
    }

    /// Nothing is held back any more, and nobody knows any more what was stored.
    pub(super) fn abandon(&self) {
        let mut ids: Vec<u64> = Vec::new();
        for (id, entry) in &mut self.state.lock().waiting {
            (entry.held, entry.abandoned) = (None, true);
            ids.push(*id);
        }
        ids.sort_unstable();
        ids.into_iter().for_each(|id| self.leave(id));
    }

    /// Lets `id` leave, if it is due, and those that waited only for it.
    fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        let mut candidates = VecDeque::from([id]);
        while let Some(id) = candidates.pop_front() {
            if state.is_due(id) {
                candidates.extend(state.take_out(id));
            }
        }
        drop(state);
        self.tell();
    }

    /// Holds back all telling until [`Line::resume`].
    pub(super) fn pause(&self) {
        self.state.lock().paused += 1;
    }

    pub(super) fn resume(&self) {
        self.state.lock().paused -= 1;
        self.tell();
    }

    fn tell(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.telling, true) {
            return;
        }
        while state.paused == 0
            && let Some((id, acknowledgement, outcome)) = state.leaving.pop_front()
        {
            drop(state);
            if let Some(acknowledgement) = acknowledgement {
                acknowledgement.complete(outcome);
            }
            state = self.state.lock();
            state.unanswered.remove(&id);
            self.told.send_modify(|told| *told += 1);
        }
        state.telling = false;
    }

    /// Waits until everything older in `stream` is answered.
    pub(super) async fn settled(&self, stream: &StreamId) {
        let next = self.state.lock().next;
        self.until(|state| !state.unanswered.range(..next).any(|(_, streams)| streams.contains(stream))).await;
    }

    /// Waits until everything older is answered.
    pub(super) async fn all_settled(&self) {
        let next = self.state.lock().next;
        self.until(|state| state.unanswered.range(..next).next().is_none()).await;
    }

    /// Waits until fewer than `queue_max` are under way.
    pub(super) async fn shorter_than(&self, queue_max: usize) {
        self.until(|state| state.unanswered.len() < queue_max).await;
    }

    async fn until(&self, condition: impl Fn(&State) -> bool) {
        let mut told = self.told.subscribe();
        while !condition(&self.state.lock()) {
            // The sender lives as long as this line.
            let _ = told.changed().await;
        }
    }
}

impl State {
    fn is_due(&self, id: u64) -> bool {
        let Some(entry) = self.waiting.get(&id) else { return false };
        let first = |session: &Session| self.by_stream.get(session.stream()).and_then(VecDeque::front) == Some(&id);
        entry.held.is_none()
            && (entry.outcome.is_some() || entry.unwritten.is_some())
            && entry.sessions.iter().all(first)
    }

    /// Decides what an append is told, ends its sessions if it failed; returns those that are first now.
    fn take_out(&mut self, id: u64) -> Vec<u64> {
        let Some(entry) = self.remove(id) else { return Vec::new() };
        let outcome = entry.told();
        if outcome.is_err() {
            entry.sessions.iter().for_each(Session::end);
        }
        let streams = entry.sessions.iter().map(Session::stream);
        let next = streams.filter_map(|stream| self.by_stream.get(stream)?.front().copied()).collect();
        self.leaving.push_back((id, entry.acknowledgement, outcome));
        next
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.waiting.remove(&id)?;
        for session in &entry.sessions {
            if let Some(line) = self.by_stream.get_mut(session.stream()) {
                line.retain(|waiting| *waiting != id);
                if line.is_empty() {
                    self.by_stream.remove(session.stream());
                }
            }
        }
        self.doomed.retain(|(by, _)| *by != id);
        Some(entry)
    }
}

impl Entry {
    /// What it is told, now that everything before it is.
    fn told(&self) -> AppendOutcome {
        let unknown = |reason: &str| Err(AppendError::Unknown { reason: reason.into() });
        match (&self.unwritten, &self.outcome) {
            (Some(poisoned @ AppendError::Poisoned { .. }), _) => Err(poisoned.clone()),
            (Some(error), _) => match self.sessions.iter().find(|session| !session.is_live()) {
                // Something before it failed in the meantime.
                Some(session) => Err(AppendError::Superseded { stream: session.stream().clone() }),
                None => Err(error.clone()),
            },
            (None, Some(Ok(_))) if self.doomed => unknown("a scripted fault after the write"),
            (None, Some(Ok(_))) if self.abandoned => unknown("the answer was abandoned"),
            (None, Some(outcome)) => outcome.clone(),
            (None, None) => unknown("the answer never came"),
        }
    }
}
