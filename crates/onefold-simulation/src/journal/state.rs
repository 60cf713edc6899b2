//! What the simulated journal keeps in memory: streams and sessions, the queue, the group being written, and the line of
//! answers on their way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use onefold_core::journal::{
    Acknowledgement, Append, AppendError, AppendOutcome, Appended, DurablePosition, OpenError, ReadError, Session,
    WriterEpoch,
};
use onefold_core::{StreamId, StreamVersion};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::disk::{Part, SimulatedDisk};
use super::{Boundary, Faults, Shared, Weather};
use crate::Random;

/// See the module.
pub(super) struct State {
    pub(super) weather: Weather,
    pub(super) random: Random,
    pub(super) faults: Faults,
    streams: Vec<Stream>,
    by_name: BTreeMap<StreamId, usize>,
    queue: VecDeque<Entry>,
    /// Written, and not synced.
    written: Vec<Written>,
    /// Of a sync that failed: what will be there when the disk is opened anew.
    survivors: Vec<Commit>,
    /// Answers on their way, and commits that land later, by when they are due.
    line: BTreeMap<(Instant, u64), Due>,
    next_due: u64,
    /// The writer is at work.
    pub(super) writing: bool,
    pub(super) poison: Option<Arc<str>>,
    pub(super) closing: bool,
    pub(super) strike: Option<(u64, Boundary)>,
    pub(super) halted: bool,
    in_a_hurry: bool,
    /// Somebody hands out answers.
    telling: bool,
}

struct Stream {
    session: Option<Session>,
    /// Where it ends, with what is written and not synced.
    head: StreamVersion,
    /// Appends that are not decided.
    undecided: u32,
    /// When the last of its answers is due: none overtakes it.
    last_due: Option<Instant>,
    failed: bool,
}

/// What the journal keeps inside a session.
struct SessionState {
    journal: u64,
    index: usize,
    /// An append of it failed: nothing later is stored.
    failed: AtomicBool,
}

struct Entry {
    append: Append,
    /// Why it was refused when it came.
    refused: Option<AppendError>,
}

/// An append with its fate.
struct Written {
    append: Append,
    fate: Fate,
}

enum Fate {
    Stored,
    Failed(AppendError),
    /// Answered `Unknown` after a while. Is it stored?
    Unknown {
        stored: bool,
    },
    /// Answered `Unknown` now, lands later.
    Late,
    /// Not answered until the journal closes.
    Unanswered {
        stored: bool,
    },
}

enum Due {
    Answer(Answer),
    Landing(Append),
}

/// An answer that is due: whom to tell what.
pub(super) type Answer = (Acknowledgement, AppendOutcome);

/// What an append stores.
type Commit = (SmallVec<[Part; 1]>, Bytes);

/// As good as never: longer than any simulation, and still a time that timers know.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

impl State {
    pub(super) fn new(weather: Weather, random: Random) -> Self {
        State {
            weather,
            random,
            faults: Faults::default(),
            streams: Vec::new(),
            by_name: BTreeMap::new(),
            queue: VecDeque::new(),
            written: Vec::new(),
            survivors: Vec::new(),
            line: BTreeMap::new(),
            next_due: 0,
            writing: false,
            poison: None,
            closing: false,
            strike: None,
            halted: false,
            in_a_hurry: false,
            telling: false,
        }
    }

    pub(super) fn has_failed(&self, stream: &StreamId) -> bool {
        self.by_name.get(stream).is_some_and(|index| self.streams[*index].failed)
    }

    /// The first step of opening: ends the older session.
    pub(super) fn begin_open(&mut self, stream: &StreamId, shared: &Shared) -> Result<(usize, Session), OpenError> {
        self.refuse_open()?;
        let index = match self.by_name.get(stream) {
            Some(index) => *index,
            None => {
                let head = shared.disk.version(stream);
                self.streams.push(Stream { session: None, head, undecided: 0, last_due: None, failed: false });
                self.by_name.insert(stream.clone(), self.streams.len() - 1);
                self.streams.len() - 1
            }
        };
        let state = SessionState { journal: shared.id, index, failed: AtomicBool::new(false) };
        let session = Session::new(stream.clone(), WriterEpoch::default(), state);
        if let Some(older) = self.streams[index].session.replace(session.clone()) {
            older.end();
        }
        Ok((index, session))
    }

    /// The last step: waits until nothing of the stream is undecided.
    pub(super) fn finish_open(&mut self, index: usize) -> Option<Result<(), OpenError>> {
        if let Err(refused) = self.refuse_open() {
            return Some(Err(refused));
        }
        if self.streams[index].undecided > 0 {
            return None;
        }
        if self.random.chance(self.weather.failed_open) {
            self.faults.opens += 1;
            return Some(Err(ReadError::Storage { reason: "simulated: the head cannot be read".into() }.into()));
        }
        Some(Ok(()))
    }

    fn refuse_open(&self) -> Result<(), OpenError> {
        match (&self.poison, self.closing) {
            (Some(reason), _) => Err(OpenError::Poisoned { reason: reason.clone() }),
            (None, true) => Err(OpenError::ShuttingDown),
            (None, false) => Ok(()),
        }
    }

    /// How many commits the next chunk has, unless it cannot be read.
    pub(super) fn read(&mut self, stream: &StreamId) -> Result<usize, ReadError> {
        if self.random.chance(self.weather.failed_read) {
            self.faults.reads += 1;
            return Err(ReadError::Storage { reason: "simulated: the storage does not answer".into() });
        }
        if self.random.chance(self.weather.damaged_read) {
            self.faults.damages += 1;
            let (stream, place) = (Some(stream.clone()), "a simulated block".to_owned());
            return Err(ReadError::Damaged { stream, commit: None, place, evidence: "simulated damage".to_owned() });
        }
        let most = self.weather.chunk_commits_max as u64;
        Ok(usize::try_from(self.random.between(1, most)).unwrap_or(1))
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= self.weather.queue_max && !self.closing && self.poison.is_none()
    }

    /// Takes an append into the queue, or hands it back.
    pub(super) fn submit(&mut self, append: Append, shared: &Shared) -> Result<(), Append> {
        if self.is_full() {
            return Err(append);
        }
        let foreign = |session: &Session| state_of(session, shared).is_none();
        let ended = append.parts.iter().find(|part| foreign(&part.session) || !part.session.is_live());
        let refused = match (&self.poison, self.closing, ended) {
            (Some(reason), ..) => Some(AppendError::Poisoned { reason: reason.clone() }),
            (None, true, _) => Some(AppendError::ShuttingDown),
            (None, false, ended) => ended.map(|part| AppendError::Superseded { stream: part.stream().clone() }),
        };
        self.count(&append, shared, 1);
        self.queue.push_back(Entry { append, refused });
        Ok(())
    }

    /// In direct weather: one group from the queue to the disk, without a pause.
    pub(super) fn work_at_once(&mut self, shared: &Shared) {
        if !self.weather.direct || self.writing || !self.has_work() || self.strikes(Boundary::BeforeWrite, shared) {
            return;
        }
        self.write(shared);
        if self.strikes(Boundary::Written, shared) {
            return;
        }
        self.sync(shared);
        self.strikes(Boundary::Synced, shared);
    }

    /// Whether the crash that was asked for strikes at this boundary.
    pub(super) fn strikes(&mut self, boundary: Boundary, shared: &Shared) -> bool {
        if let Some((groups, at)) = &mut self.strike
            && *at == boundary
        {
            *groups = groups.saturating_sub(1);
            if *groups == 0 {
                self.halted = true;
                shared.struck.notify_one();
            }
        }
        self.halted
    }

    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty() && !self.halted
    }

    /// Takes a group from the queue, checks it, and decides on its fate.
    pub(super) fn write(&mut self, shared: &Shared) {
        let count = self.queue.len().min(self.weather.group_max);
        for _ in 0..count {
            let Some(Entry { append, refused }) = self.queue.pop_front() else { break };
            let checked = refused.map_or_else(|| self.check(&append, shared), Err);
            let fate = match checked {
                Err(error) => Fate::Failed(error),
                Ok(()) => self.fate(append.is_barrier()),
            };
            if matches!(fate, Fate::Stored | Fate::Unknown { stored: true } | Fate::Unanswered { stored: true }) {
                self.advance(&append, shared);
            }
            if !matches!(fate, Fate::Stored) {
                self.fail(&append, shared);
            }
            self.written.push(Written { append, fate });
        }
        shared.progress.notify_waiters();
    }

    /// Session and expected version of every part.
    fn check(&self, append: &Append, shared: &Shared) -> Result<(), AppendError> {
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

    fn advance(&mut self, append: &Append, shared: &Shared) {
        for part in &append.parts {
            if let Some(state) = state_of(&part.session, shared) {
                let head = &mut self.streams[state.index].head;
                *head = head.plus(u64::from(part.events.count()));
            }
        }
    }

    fn fate(&mut self, barrier: bool) -> Fate {
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
    pub(super) fn sync(&mut self, shared: &Shared) {
        let written = std::mem::take(&mut self.written);
        if self.random.chance(self.weather.failed_sync) && self.poison.is_none() {
            return self.fail_sync(written, shared);
        }
        let now = Instant::now();
        for Written { append, fate } in written {
            let unknown = |reason: &str| Err(AppendError::Unknown { reason: reason.into() });
            match fate {
                Fate::Stored => {
                    let end = store(&append, shared);
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
                        store(&append, shared);
                    }
                    let limit = self.weather.watchdog;
                    let after = self.random.time_below(limit);
                    self.answer(append, unknown("simulated: the disk did not answer"), now + after, shared);
                }
                Fate::Late => self.land_later(append, now, shared),
                Fate::Unanswered { stored } => {
                    if stored {
                        store(&append, shared);
                    }
                    self.answer(append, unknown("simulated: the answer was lost"), now + NEVER, shared);
                }
            }
        }
        shared.progress.notify_waiters();
    }

    /// The caller is told at once that the outcome is unknown; the commit itself lands later, and is undecided until then.
    fn land_later(&mut self, mut append: Append, now: Instant, shared: &Shared) {
        let acknowledgement = std::mem::replace(&mut append.acknowledgement, Acknowledgement::from_fn(|_| ()));
        self.faults.appends += 1;
        let told = self.place_in_line(&append, now, shared);
        let outcome = Err(AppendError::Unknown { reason: "simulated: the answer took too long".into() });
        self.line.insert(told, Due::Answer((acknowledgement, outcome)));
        let limit = self.weather.watchdog;
        let lands = now + self.random.time_below(limit);
        self.next_due += 1;
        self.line.insert((lands, self.next_due), Due::Landing(append));
    }

    /// After a failed sync nobody knows; nothing is written any more. What survives is seen when the disk is opened anew.
    fn fail_sync(&mut self, written: Vec<Written>, shared: &Shared) {
        let reason: Arc<str> = "simulated: the sync failed".into();
        self.poison = Some(reason.clone());
        self.faults.poisoned = true;
        let now = Instant::now();
        let surviving = self.random.index(written.len() + 1);
        for (index, Written { append, fate }) in written.into_iter().enumerate() {
            self.fail(&append, shared);
            let outcome = match fate {
                Fate::Failed(error) => Err(error),
                _ if append.is_barrier() => Err(AppendError::Poisoned { reason: reason.clone() }),
                Fate::Stored if index < surviving => {
                    self.survivors.push(commit_of(&append));
                    Err(AppendError::Unknown { reason: reason.clone() })
                }
                _ => Err(AppendError::Unknown { reason: reason.clone() }),
            };
            self.answer(append, outcome, now, shared);
        }
        shared.progress.notify_waiters();
    }

    /// Puts an answer in line: behind the earlier ones of its streams.
    fn answer(&mut self, append: Append, outcome: AppendOutcome, at: Instant, shared: &Shared) {
        if outcome.is_err() {
            self.faults.appends += 1;
        }
        let place = self.place_in_line(&append, at, shared);
        self.count(&append, shared, -1);
        self.line.insert(place, Due::Answer((append.acknowledgement, outcome)));
    }

    fn place_in_line(&mut self, append: &Append, at: Instant, shared: &Shared) -> (Instant, u64) {
        let mut at = if self.in_a_hurry { Instant::now() } else { at };
        let indexes = || append.parts.iter().filter_map(|part| Some(state_of(&part.session, shared)?.index));
        for index in indexes() {
            at = self.streams[index].last_due.map_or(at, |last| last.max(at));
        }
        indexes().for_each(|index| self.streams[index].last_due = Some(at));
        self.next_due += 1;
        (at, self.next_due)
    }

    fn count(&mut self, append: &Append, shared: &Shared, by: i32) {
        for part in &append.parts {
            if let Some(state) = state_of(&part.session, shared) {
                let undecided = &mut self.streams[state.index].undecided;
                *undecided = undecided.saturating_add_signed(by);
            }
        }
    }

    /// Ends the sessions of a failed append.
    fn fail(&mut self, append: &Append, shared: &Shared) {
        for part in &append.parts {
            if let Some(state) = state_of(&part.session, shared) {
                state.failed.store(true, Ordering::Relaxed);
                part.session.end();
                self.streams[state.index].failed = true;
            }
        }
    }

    /// Everything in line is due now, in its order.
    pub(super) fn hurry(&mut self) {
        self.in_a_hurry = true;
        let now = Instant::now();
        let line = std::mem::take(&mut self.line);
        self.line = line.into_iter().map(|((_, number), due)| ((now, number), due)).collect();
        self.streams.iter_mut().for_each(|stream| stream.last_due = None);
    }

    /// Whether nothing is undecided and nothing unanswered.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.written.is_empty() && !self.writing && self.line.is_empty() && !self.telling
    }

    /// What is lost and what survives when the process goes. Returns those who will never be told.
    pub(super) fn crash(&mut self, disk: &SimulatedDisk) -> Vec<Acknowledgement> {
        self.streams.iter_mut().filter_map(|stream| stream.session.take()).for_each(|session| session.end());
        for (parts, metadata) in self.survivors.drain(..) {
            disk.store(&parts, &metadata);
        }
        let mut lost = Vec::new();
        let surviving = self.random.index(self.written.len() + 1);
        for (index, Written { append, fate }) in self.written.drain(..).enumerate() {
            let stored =
                matches!(fate, Fate::Stored | Fate::Unknown { stored: true } | Fate::Unanswered { stored: true });
            if stored && index < surviving && !append.is_barrier() {
                let (parts, metadata) = commit_of(&append);
                disk.store(&parts, &metadata);
            }
            lost.push(append.acknowledgement);
        }
        for due in std::mem::take(&mut self.line).into_values() {
            match due {
                Due::Answer((acknowledgement, _)) => lost.push(acknowledgement),
                Due::Landing(append) if self.random.one_in(2) => {
                    let (parts, metadata) = commit_of(&append);
                    disk.store(&parts, &metadata);
                }
                Due::Landing(_) => (),
            }
        }
        lost.extend(self.queue.drain(..).map(|entry| entry.append.acknowledgement));
        lost
    }

    /// When the next answer is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.halted { None } else { self.line.first_key_value().map(|((at, _), _)| *at) }
    }

    /// Takes the answers that are due, for the one who hands them out; none if somebody else does already.
    pub(super) fn begin_telling(&mut self, shared: &Shared) -> Vec<Answer> {
        let (now, mut answers) = (Instant::now(), Vec::new());
        while !self.halted
            && !self.telling
            && let Some(entry) = self.line.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Due::Answer(answer) => answers.push(answer),
                Due::Landing(append) => {
                    store(&append, shared);
                    self.advance(&append, shared);
                    self.count(&append, shared, -1);
                    shared.progress.notify_waiters();
                }
            }
        }
        self.telling |= !answers.is_empty();
        answers
    }

    pub(super) fn end_telling(&mut self, shared: &Shared) {
        self.telling = false;
        shared.progress.notify_waiters();
    }
}

/// The state of a session that this journal gave.
fn state_of<'a>(session: &'a Session, shared: &Shared) -> Option<&'a SessionState> {
    session.state::<SessionState>().filter(|state| state.journal == shared.id)
}

fn commit_of(append: &Append) -> Commit {
    let parts = append.parts.iter().filter(|part| !part.events.is_empty());
    let parts =
        parts.map(|part| (part.stream().clone(), part.events.count(), Bytes::copy_from_slice(part.events.bytes())));
    (parts.collect(), Bytes::copy_from_slice(&append.metadata))
}

/// Makes an append durable, and shows it.
fn store(append: &Append, shared: &Shared) -> DurablePosition {
    if append.is_barrier() {
        return shared.disk.end();
    }
    let (parts, metadata) = commit_of(append);
    let end = shared.disk.store(&parts, &metadata);
    shared.durable.send_replace(end);
    end
}
