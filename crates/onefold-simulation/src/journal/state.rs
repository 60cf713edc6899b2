//! What the simulated journal keeps in memory: streams and sessions, the queue, the group being written, and the line of
//! answers on their way.

mod line;
mod writing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use onefold_core::journal::{
    Acknowledgement, Append, AppendError, AppendOutcome, DurablePosition, OpenError, ReadError, Session, WriterEpoch,
};
use onefold_core::{StreamId, StreamVersion};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::claims::{self, Decided};
use super::disk::{Commit, Part};
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
    /// Written, and not synced; and what claims will be with it.
    written: Vec<Written>,
    written_claims: claims::Written,
    /// Commits that are to land while a group is written: they do when it is synced.
    landing: Vec<Append>,
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
    /// When an append was last told that it failed for a reason of its own, not because of an earlier one.
    failed_at: Option<Instant>,
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
    decided: Decided,
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

impl Fate {
    fn is_stored(&self) -> bool {
        matches!(self, Fate::Stored | Fate::Unknown { stored: true } | Fate::Unanswered { stored: true })
    }
}

enum Due {
    Answer(SmallVec<[usize; 1]>, Answer),
    Landing(Append),
}

/// An answer that is due: whom to tell what.
pub(super) type Answer = (Acknowledgement, AppendOutcome);

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
            written_claims: claims::Written::default(),
            landing: Vec::new(),
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

    pub(super) fn failed_at(&self, stream: &StreamId) -> Option<Instant> {
        self.streams[*self.by_name.get(stream)?].failed_at
    }

    /// The first step of opening: ends the older session.
    pub(super) fn begin_open(&mut self, stream: &StreamId, shared: &Shared) -> Result<(usize, Session), OpenError> {
        self.refuse_open()?;
        let index = match self.by_name.get(stream) {
            Some(index) => *index,
            None => {
                let head = shared.disk.version(stream);
                self.streams.push(Stream { session: None, head, undecided: 0, last_due: None, failed_at: None });
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

    /// Whether a look-up of claims may be answered.
    pub(super) fn look_up(&mut self) -> Result<(), ReadError> {
        if self.random.chance(self.weather.failed_read) {
            self.faults.reads += 1;
            return Err(ReadError::Storage { reason: "simulated: the storage does not answer".into() });
        }
        Ok(())
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
            (None, false, Some(part)) => Some(AppendError::Superseded { stream: part.stream().clone() }),
            (None, false, None) => None,
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
}

/// The state of a session that this journal gave.
fn state_of<'a>(session: &'a Session, shared: &Shared) -> Option<&'a SessionState> {
    session.state::<SessionState>().filter(|state| state.journal == shared.id)
}

fn commit_of(append: &Append, decided: Decided) -> Commit {
    let parts = append.parts.iter().enumerate().filter(|(_, part)| part.is_recorded());
    let parts = parts.map(|(index, part)| Part {
        stream: part.stream().clone(),
        event_count: part.events.count(),
        events: Bytes::copy_from_slice(part.events.bytes()),
        extras: [decided.facts.of(index), part.events.key_bytes()].concat().into(),
    });
    Commit { parts: parts.collect(), metadata: Bytes::copy_from_slice(&append.metadata), holders: decided.holders }
}

/// Makes an append durable, and shows it.
fn store(append: &Append, decided: Decided, shared: &Shared) -> DurablePosition {
    if append.is_barrier() {
        return shared.disk.end();
    }
    let end = shared.disk.store(commit_of(append, decided));
    shared.durable.send_replace(end);
    end
}
