//! A client: asks, reads, looks at events, waits or goes away, as its seed says; and judges its answers.

mod together;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use onefold::{Aggregate, Aggregates, Error, Event, ExpectedVersion, NotStoredReason, StreamId, StreamVersion};
use onefold_testkit::history::Reply;

use crate::Random;
use crate::leaving::{Leaving, Patience};
use crate::plan::Habits;
use crate::scenario::Parts;
use crate::simulated::{INJECTED, Refused, Seen, Simulated, Stage, Twist, digest};
use crate::violation::Violation;
use crate::wanted::{Wanted, ask};
use crate::witness::{Asked, Known, OperationId, Witness};

/// One client of a life.
pub(crate) struct Client<A: Aggregate> {
    pub(crate) parts: Arc<Parts<A>>,
    pub(crate) witness: Arc<Witness>,
    /// Of each runtime.
    pub(crate) aggregates: Vec<Aggregates<Simulated<A>>>,
    pub(crate) habits: Habits,
    pub(crate) random: Random,
}

/// `None`: its caller went away.
type Answer = Option<Result<Seen, Error<Refused>>>;

/// Of 1,000 commands with a key, so many are asked for again.
const AGAIN: u32 = 450;

impl<A: Aggregate> Client<A> {
    pub(crate) async fn run(mut self) {
        for _ in 0..self.habits.rounds {
            if self.witness.is_ending() {
                return;
            }
            match self.random.below(24) {
                0 => self.look_at_events().await,
                1..=3 => {
                    let count = self.random.between(2, 12);
                    let calls: Vec<_> = (0..count).map(|_| self.call()).collect();
                    join_all(calls).await;
                }
                _ => self.call().await,
            }
            match self.random.below(6) {
                0 => tokio::time::sleep(self.random.time_below(self.habits.think)).await,
                1 => tokio::task::yield_now().await,
                _ => (),
            }
        }
    }

    /// A command or a read, to be polled when its turn comes.
    fn call(&mut self) -> futures_core::future::BoxFuture<'static, ()> {
        if self.parts.streams.len() > 1 && self.random.chance(self.habits.together) {
            return self.together();
        }
        let witness = self.witness.clone();
        let runtime = self.random.index(self.aggregates.len());
        let aggregates = self.aggregates[runtime].clone();
        let index = self.random.index(self.parts.streams.len());
        let stream = self.parts.streams[index].clone();
        let (deadline, patience) = (self.deadline(), self.patience());
        if self.random.chance(self.habits.reads) {
            let asked = Asked { runtime, ..Asked::plain(stream, deadline) };
            let parts = self.parts.clone();
            return Box::pin(async move {
                let id = witness.begins(asked);
                let answer = Leaving::new(read(&parts, &witness, &aggregates, index, id, deadline), patience).await;
                judge(&witness, id, answer);
            });
        }
        let twist = self.twist();
        let wanted = self.wanted(index);
        let (stream, command) = (self.parts.streams[wanted.aggregate].clone(), wanted.command(&self.parts));
        let expected = self.expected(&stream);
        let (panics, keyed) = (twist.panic.is_some(), wanted.keyed);
        let asked = Asked { stream: stream.clone(), runtime, panics, expected, deadline, keyed: keyed.clone() };
        Box::pin(async move {
            let id = witness.begins(asked);
            let mut ask = ask(&aggregates, &stream, id, command, twist, keyed.as_ref()).expect_version(expected);
            if let Some(deadline) = deadline {
                ask = ask.deadline(deadline);
            }
            let answer = Leaving::new(ask, patience).await;
            judge(&witness, id, answer);
        })
    }

    fn deadline(&mut self) -> Option<Duration> {
        let (random, habits) = (&mut self.random, &self.habits);
        random.chance(habits.hasty).then(|| random.time_below(habits.haste))
    }

    fn patience(&mut self) -> Patience {
        let (random, habits) = (&mut self.random, &self.habits);
        match random.chance(habits.leaving) {
            true if random.one_in(2) => Patience::Polls(random.pick(&[1, 1, 2, 3])),
            true => Patience::Time(random.time_below(habits.haste)),
            false => Patience::Endless,
        }
    }

    fn expected(&mut self, stream: &StreamId) -> ExpectedVersion {
        let head = self.witness.disk.version(stream);
        match self.random.below(24) {
            0 => ExpectedVersion::NoStream,
            1..=3 => ExpectedVersion::Exact(head),
            4 => ExpectedVersion::Exact(head.next()),
            _ => ExpectedVersion::Any,
        }
    }

    /// Something new; or, with its key, what was asked for before, by whomever, in whichever life.
    fn wanted(&mut self, aggregate: usize) -> Wanted {
        let (random, witness) = (&mut self.random, &self.witness);
        if !random.chance(self.habits.keyed) {
            return Wanted { aggregate, draw: random.fork(), keyed: None };
        }
        let again = if random.chance(AGAIN) { witness.intended(random) } else { None };
        let intent = match again {
            // By mistake: another command under the same key.
            Some(other) if random.one_in(16) => witness.intends(other.aggregate, random.fork(), Some(other.key)),
            Some(again) => {
                witness.count_repeat(false);
                again
            }
            None => witness.intends(aggregate, random.fork(), None),
        };
        Wanted::of(intent, random)
    }

    fn twist(&mut self) -> Twist {
        let (random, habits) = (&mut self.random, &self.habits);
        let yields = if random.chance(habits.slow) { u32::try_from(random.below(4)).unwrap_or(0) } else { 0 };
        let sleep = match random.chance(habits.slow / 4) {
            true => random.time_below(habits.slowness),
            false => Duration::ZERO,
        };
        let durable = random.chance(habits.slow / 2);
        let stages = [Stage::Handle, Stage::Apply, Stage::Reply, Stage::Weight];
        let panic = random.chance(habits.panics).then(|| random.pick(&stages));
        Twist { yields, sleep, durable, panic }
    }

    /// The durable events of an aggregate, from the journal.
    async fn look_at_events(&mut self) {
        let stream = self.random.pick(&self.parts.streams);
        let id = self.witness.begins(Asked::plain(stream.clone(), Some(Duration::MAX)));
        let Ok(mut events) = self.aggregates[0].events(stream.aggregate_id(), 0) else { return };
        let (mut version, mut seen) = (StreamVersion::EMPTY, 0);
        while let Some(event) = events.next().await {
            let Ok(recorded) = event else {
                return self.witness.answered(id, Reply::NotStored, None);
            };
            version = version.next();
            self.witness.check_version(id, recorded.version, version);
            let mut payload = Vec::new();
            let mut writer = onefold::PayloadWriter::new(&mut payload, usize::MAX);
            let _ = recorded.event.encode(onefold::CodecId::Bincode, &mut writer);
            seen = digest(seen, recorded.event.event_type().name, &payload);
        }
        self.witness.answered(id, Reply::Read { version }, Some((version, Some(seen))));
    }
}

/// A read of the state.
pub(crate) fn read<A: Aggregate>(
    parts: &Arc<Parts<A>>,
    witness: &Arc<Witness>,
    aggregates: &Aggregates<Simulated<A>>,
    index: usize,
    id: OperationId,
    deadline: Option<Duration>,
) -> onefold::ReadState<Simulated<A>, Seen> {
    let (witness, stream, parts) = (witness.clone(), &parts.streams[index], parts.clone());
    let read = aggregates.read_with_version(stream.aggregate_id(), move |state, version| {
        let running = Witness::started(&witness, id, state.version, state.digest);
        witness.check_version(id, version, state.version);
        if let Some(invariant) = &parts.invariant
            && let Err(reason) = invariant(&state.inner)
        {
            witness.broken_invariant(id, version, reason);
        }
        running.decided(0, false);
        Seen { intent: 0, version, digest: state.digest, events: 0 }
    });
    match deadline {
        Some(deadline) => read.deadline(deadline),
        None => read,
    }
}

/// Tells the witness about an answer, and whether it fits.
pub(crate) fn judge(witness: &Witness, id: OperationId, answer: Answer) {
    let Some(answer) = answer else { return witness.left(id) };
    let known = witness.known(id);
    if let Err(violation) = fits(id, &known, &answer).and_then(|()| witness.check_key(id, &answer)) {
        witness.object(violation);
    }
    let (reply, shown) = match &answer {
        // What had come of it before: nothing of this one is stored, and it tells nothing of now.
        Ok(Seen { version, digest, .. }) | Err(Error::Rejected(Refused { version, digest, .. }))
            if known.is_repeated() =>
        {
            witness.count_repeat(true);
            (Reply::NotStored, Some((*version, Some(*digest))))
        }
        Ok(Seen { version, digest, events: 0, .. }) => {
            (Reply::Read { version: *version }, Some((*version, Some(*digest))))
        }
        Ok(Seen { version, digest, events, .. }) => {
            (Reply::Stored { version: *version, events: *events }, Some((*version, Some(*digest))))
        }
        Err(Error::Rejected(Refused { version, digest, .. })) => {
            (Reply::Read { version: *version }, Some((*version, Some(*digest))))
        }
        Err(Error::Conflict { actual, .. }) => (Reply::Read { version: *actual }, Some((*actual, None))),
        Err(Error::OutcomeUnknown(unknown)) => {
            let before = unknown.version.zip(known.decided).map(|(after, events)| after.get().saturating_sub(events));
            (Reply::Unknown, before.map(|before| (StreamVersion::new(before), None)))
        }
        Err(Error::NotStored(not_stored)) => (Reply::NotStored, not_stored.version.map(|version| (version, None))),
        Err(_) => (Reply::NotStored, None),
    };
    witness.answered(id, reply, shown);
}

/// Whether an answer fits what is known about the operation.
fn fits(id: OperationId, known: &Known, answer: &Result<Seen, Error<Refused>>) -> Result<(), Violation> {
    let why = match answer {
        Ok(_) if known.is_repeated() => None,
        Ok(seen) => {
            let before = StreamVersion::new(seen.version.get().saturating_sub(seen.events));
            match (known.expected.accepts(before), known.decided == Some(seen.events)) {
                (false, _) => Some("the aggregate was not at the expected version"),
                (true, false) => Some("that is not what its handler decided"),
                (true, true) => None,
            }
        }
        Err(error) => objection(known, error),
    };
    if let Err(Error::NotStored(not_stored)) = answer
        && let NotStoredReason::Panicked { stage, message } = &not_stored.reason
        && !(known.panics && message == INJECTED)
    {
        let (stream, stage, message) = (known.stream.clone(), (*stage).to_owned(), message.clone());
        return Err(Violation::Panicked { stream, stage, message });
    }
    let wrong = |why| {
        let answer = answer.as_ref().map_or_else(ToString::to_string, |seen| format!("version {}", seen.version));
        Violation::WrongAnswer { stream: known.stream.clone(), operation: id, answer, why }
    };
    why.map_or(Ok(()), |why| Err(wrong(why)))
}

/// What speaks against an error.
fn objection(known: &Known, error: &Error<Refused>) -> Option<&'static str> {
    let unless = |fits: bool, why| (!fits).then_some(why);
    match error {
        Error::Rejected(_) if known.is_repeated() => None,
        Error::Rejected(Refused { version, digest, .. }) => {
            unless(known.started == Some((*version, *digest)), "its handler never ran, or on another state")
        }
        Error::Conflict { expected, actual, .. } => unless(
            *expected == known.expected && !expected.accepts(*actual) && known.started.is_none(),
            "there is no conflict",
        ),
        Error::InvalidId(_) => Some("the id is valid"),
        Error::DiskLow { .. } => unless(known.faults.disk_low > 0, "the disk is not full"),
        Error::Quarantined(_) => {
            unless(known.somebody_panicked || known.faults.damages > 0, "nothing panicked and nothing is damaged")
        }
        Error::OutcomeUnknown(_) if known.has_no_reason_to_wait => Some("nothing held it up (P6, P15)"),
        Error::OutcomeUnknown(_) => unless(known.stores, "there is nothing of it that could be stored"),
        Error::ClaimTaken { .. } | Error::ClaimNotHeld { .. } => unless(known.claims, "its handler asked for no claim"),
        Error::InvalidKey(_) | Error::Unserializable { .. } => Some("its key is valid"),
        Error::KeyReused { .. } | Error::AlreadyDone(_) => {
            unless(known.keyed.is_some() && known.started.is_none(), "it has no key, or its handler ran")
        }
        Error::NotStored(not_stored) => match &not_stored.reason {
            NotStoredReason::DeadlinePassed if known.has_no_reason_to_wait => Some("nothing held it up (P6, P15)"),
            NotStoredReason::DeadlinePassed => unless(known.deadline_passed, "its deadline has not passed"),
            NotStoredReason::HandlerTimeout { .. } => unless(known.handler_timed_out, "its handler was quick enough"),
            NotStoredReason::Reentrant => Some("no handler asked"),
            NotStoredReason::Superseded => unless(
                known.stream_failed || known.runtimes > 1,
                "no append before it failed since it was asked, and nobody else wrote",
            ),
            NotStoredReason::Poisoned { .. } => unless(known.faults.poisoned, "the journal is not poisoned"),
            // A decision with claims asks the journal for them before its append.
            NotStoredReason::Unavailable { .. } => {
                let is_read = known.claims || known.started.is_some();
                let faults = known.faults.appends + if is_read { known.faults.reads } else { 0 };
                unless(faults > 0, "no append failed")
            }
            NotStoredReason::ShuttingDown => unless(known.ending, "nothing ends"),
            _ => None,
        },
        _ => None,
    }
}
