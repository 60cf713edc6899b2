//! Sees everything that happens in a simulation, and objects at once to what must not.
//!
//! Clients tell when they ask, what they are answered, and when they leave; the shell around the aggregate tells when a
//! handler begins and how it ends. What can only be judged at the end is kept: the history, and the states that were seen.

mod keys;
mod known;
mod running;
mod together;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onefold::{ExpectedVersion, StreamId, StreamVersion};
use onefold_testkit::history::{History, Invocation, Reply};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::journal::{SimulatedDisk, SimulatedJournal};
use crate::violation::Violation;

pub(crate) use self::keys::{Intent, Keyed};
pub(crate) use self::known::Known;
pub(crate) use self::running::Running;
pub use onefold_testkit::history::OperationId;

/// See the module.
pub(crate) struct Witness {
    state: Mutex<State>,
    pub(crate) history: History,
    pub(crate) disk: SimulatedDisk,
}

#[derive(Default)]
struct State {
    operations: Vec<Operation>,
    /// The digest of all that happened so far.
    trace: u64,
    violation: Option<Violation>,
    counts: Counts,
    intents: keys::Intents,
    groups: together::Groups,
    life: Option<Life>,
}

/// What is known about the life of the process that is under way.
pub(crate) struct Life {
    pub(crate) journal: SimulatedJournal,
    pub(crate) runtimes: usize,
    pub(crate) deadline: Duration,
    pub(crate) handler_timeout: Duration,
    pub(crate) began: Instant,
    /// The runtime was dropped or shut down.
    pub(crate) ending: bool,
    /// It is over with the runtime: whatever was queued has been answered.
    pub(crate) ended: Option<Instant>,
    /// Nothing fails and nothing takes long: nobody has a reason to wait for the longest deadline.
    pub(crate) brisk: bool,
    /// The process is gone.
    pub(crate) killed: bool,
    pub(crate) latest: BTreeMap<(usize, StreamId), OperationId>,
    pub(crate) running: BTreeMap<(usize, StreamId), OperationId>,
    /// Panics so far.
    pub(crate) panics: u64,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) panics: u64,
    pub(crate) left: u64,
    pub(crate) handled: u64,
    /// Commands with an idempotency key.
    pub(crate) keyed: u64,
    /// Of these, asked for again.
    pub(crate) repeats: u64,
    /// Of these, told what had come of it before.
    pub(crate) remembered: u64,
    /// Decisions that ask for claims.
    pub(crate) claiming: u64,
    /// Transacts that were asked.
    pub(crate) transacts: u64,
    /// Of these, decided by all, and stored.
    pub(crate) transacted: u64,
}

/// What a client asks for.
pub(crate) struct Asked {
    pub(crate) stream: StreamId,
    pub(crate) runtime: usize,
    /// Whether the handler is to panic.
    pub(crate) panics: bool,
    pub(crate) expected: ExpectedVersion,
    pub(crate) deadline: Option<Duration>,
    /// Its idempotency key.
    pub(crate) keyed: Option<Keyed>,
}

impl Asked {
    /// Something that cannot fail by what it asks for.
    pub(crate) fn plain(stream: StreamId, deadline: Option<Duration>) -> Self {
        Asked { stream, runtime: 0, panics: false, expected: ExpectedVersion::Any, deadline, keyed: None }
    }

    /// Conflicts and repeats are decided without their handlers, and wait for what is not durable yet.
    fn may_be_answered_unrun(&self) -> bool {
        self.expected != ExpectedVersion::Any || self.keyed.is_some()
    }
}

struct Operation {
    asked: Asked,
    invocation: Option<Invocation>,
    began: Instant,
    started: Option<Started>,
    /// How many events its handler decided on; 0 for a rejection.
    decided: Option<u64>,
    /// Its handler said no.
    rejected: bool,
    /// Its handler asked for claims.
    claims: bool,
    /// Which transact it takes part in.
    group: Option<usize>,
    /// Whether the outcome of its key was durable when it was asked for.
    settled: bool,
    over: Over,
    /// A state that its caller was shown.
    shown: Option<(StreamVersion, u64)>,
}

impl Operation {
    /// Whether there is something of it to store: a rejection, too, if it is to be remembered; and a reply without events.
    fn stores(&self) -> bool {
        let keyed = self.asked.keyed.as_ref();
        self.decided.is_some_and(|events| {
            events > 0 || self.claims || keyed.is_some_and(|keyed| keyed.remembers || !self.rejected)
        })
    }
}

#[derive(Clone, Copy)]
struct Started {
    at: Instant,
    version: StreamVersion,
    digest: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    No,
    Left,
    Answered,
}

/// An answer that comes this much after the deadline is late. Timers have a resolution of a millisecond, and the runtime
/// looks at its deadlines at most once in one.
const LATE: Duration = Duration::from_millis(5);

impl Witness {
    pub(crate) fn new(disk: SimulatedDisk) -> Arc<Self> {
        Arc::new(Witness { state: Mutex::default(), history: History::new(), disk })
    }

    pub(crate) fn begin_life(&self, life: Life) {
        let mut state = self.state.lock();
        state.life = Some(life);
        state.note(&[0]);
    }

    /// The runtime is being dropped or shut down.
    pub(crate) fn ending(&self) {
        self.with_life(|life| life.ending = true);
    }

    /// It is over with the runtime.
    pub(crate) fn ended(&self) {
        self.with_life(|life| life.ended = Some(Instant::now()));
    }

    /// The process is gone: nobody is answered any more.
    pub(crate) fn killed(&self) {
        self.with_life(|life| (life.ending, life.killed) = (true, true));
    }

    pub(crate) fn is_ending(&self) -> bool {
        let state = self.state.lock();
        state.violation.is_some() || state.life.as_ref().is_none_or(|life| life.ending)
    }

    fn with_life(&self, change: impl FnOnce(&mut Life)) {
        if let Some(life) = &mut self.state.lock().life {
            change(life);
        }
    }

    /// Keeps the first violation.
    pub(crate) fn object(&self, violation: Violation) {
        self.state.lock().violation.get_or_insert(violation);
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.state.lock().violation.clone()
    }

    pub(crate) fn trace(&self) -> u64 {
        self.state.lock().trace
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Adds to the trace.
    pub(crate) fn note(&self, what: &[u64]) {
        self.state.lock().note(what);
    }

    /// A client is about to poll its ask for the first time.
    pub(crate) fn begins(&self, asked: Asked) -> OperationId {
        let invocation = self.history.begin(&asked.stream);
        let id = invocation.id();
        let settled = self.is_settled(&asked.stream, asked.keyed.as_ref());
        let mut state = self.state.lock();
        state.note(&[1, id.get()]);
        state.counts.keyed += u64::from(asked.keyed.is_some());
        let (invocation, began) = (Some(invocation), Instant::now());
        state.operations.push(Operation {
            asked,
            invocation,
            began,
            started: None,
            decided: None,
            rejected: false,
            claims: false,
            group: None,
            settled,
            over: Over::No,
            shown: None,
        });
        id
    }

    /// Its handler, or the look of a read, begins.
    pub(crate) fn started(this: &Arc<Self>, id: OperationId, version: StreamVersion, digest: u64) -> Running {
        let again = {
            let mut state = this.state.lock();
            let alone = state.life.as_ref().is_some_and(|life| life.runtimes == 1);
            let Asked { stream, keyed, .. } = &state.operation(id).asked;
            // Another runtime's instance may be older than what is durable; what it decides is never stored.
            (alone && this.is_settled(stream, keyed.as_ref())).then(|| (stream.clone(), keyed.clone()))
        };
        if let Some((stream, Some(keyed))) = again {
            this.object(Violation::RanAgain { stream, operation: id, key: keyed.key.to_string() });
        }
        let mut state = this.state.lock();
        state.counts.handled += 1;
        state.note(&[2, id.get(), version.get(), digest]);
        if let Err(violation) = state.start(id, version, digest) {
            state.violation.get_or_insert(violation);
        }
        drop(state);
        Running::new(this, id)
    }

    pub(crate) fn check_version(&self, operation: OperationId, told: StreamVersion, applied: StreamVersion) {
        if told != applied {
            let stream = self.stream(operation);
            self.object(Violation::VersionDiffers { stream, operation, told, applied });
        }
    }

    /// Somebody was shown this version, or was told that it is durable.
    pub(crate) fn check_durable(&self, operation: OperationId, version: StreamVersion) {
        let stream = self.stream(operation);
        let durable = self.disk.version(&stream);
        if version > durable {
            self.object(Violation::NotDurable { stream, operation, version, durable });
        }
    }

    pub(crate) fn wrong_reply(&self, operation: OperationId, reason: String) {
        let stream = self.stream(operation);
        self.object(Violation::WrongReply { stream, operation, reason });
    }

    pub(crate) fn broken_invariant(&self, operation: OperationId, version: StreamVersion, reason: String) {
        let stream = self.stream(operation);
        self.object(Violation::Invariant { stream, version, reason });
    }

    /// An operation asks for what was asked for before; or it was told what had come of that.
    pub(crate) fn count_repeat(&self, told: bool) {
        let counts = &mut self.state.lock().counts;
        *(if told { &mut counts.remembered } else { &mut counts.repeats }) += 1;
    }

    /// The caller goes away.
    pub(crate) fn left(&self, id: OperationId) {
        let mut state = self.state.lock();
        state.counts.left += 1;
        state.note(&[3, id.get()]);
        let operation = state.operation(id);
        operation.over = Over::Left;
        drop(operation.invocation.take());
    }

    /// The caller is answered. `shown` is the state that it may conclude something from.
    pub(crate) fn answered(&self, id: OperationId, reply: Reply, shown: Option<(StreamVersion, Option<u64>)>) {
        if let Some((version, _)) = shown {
            self.check_durable(id, version);
        }
        let mut state = self.state.lock();
        let (kind, told) = match reply {
            Reply::Stored { version, .. } => (4, version.get()),
            Reply::Read { version } => (5, version.get()),
            Reply::Rejected => (6, 0),
            Reply::NotStored => (7, 0),
            Reply::Unknown => (8, 0),
        };
        let after = state.life.as_ref().map_or(Duration::ZERO, |life| life.began.elapsed());
        state.note(&[kind, id.get(), told, u64::try_from(after.as_micros()).unwrap_or(u64::MAX)]);
        let deadline = state.life.as_ref().map_or(Duration::MAX, |life| life.deadline);
        let operation = state.operation(id);
        operation.over = Over::Answered;
        operation.shown = shown.and_then(|(version, digest)| Some((version, digest?)));
        let late = operation.began.elapsed().saturating_sub(operation.asked.deadline.unwrap_or(deadline));
        let (stream, invocation) = (operation.asked.stream.clone(), operation.invocation.take());
        if late > LATE {
            state.violation.get_or_insert(Violation::Late { stream, operation: id, late });
        }
        drop(state);
        if let Some(invocation) = invocation {
            invocation.returned(reply);
        }
    }

    /// The operations whose callers still wait; at most ten.
    pub(crate) fn unanswered(&self) -> Vec<OperationId> {
        let state = self.state.lock();
        let open = (0..).zip(&state.operations).filter(|(_, operation)| operation.invocation.is_some());
        open.map(|(id, _)| OperationId::new(id)).take(10).collect()
    }

    /// The process is gone, and with it all who wait: how their operations ended nobody knows.
    pub(crate) fn forget_waiting(&self) {
        let mut state = self.state.lock();
        state.life = None;
        state.operations.iter_mut().for_each(|operation| drop(operation.invocation.take()));
    }

    /// The states that callers were shown.
    pub(crate) fn shown(&self) -> Vec<(OperationId, StreamId, StreamVersion, u64)> {
        let state = self.state.lock();
        let shown = (0..).zip(&state.operations).filter_map(|(id, operation)| {
            let (version, digest) = operation.shown?;
            Some((OperationId::new(id), operation.asked.stream.clone(), version, digest))
        });
        shown.collect()
    }

    fn stream(&self, id: OperationId) -> StreamId {
        self.state.lock().operation(id).asked.stream.clone()
    }
}
