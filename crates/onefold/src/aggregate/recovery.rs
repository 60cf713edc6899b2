//! Brings an instance back: open the stream, replay it, check that nothing is missing.

mod pace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::StreamExt;
use onefold_core::journal::{OpenError, ReadError, RecordedPart};
use onefold_core::{Aggregate, CommitNumber, Context, Event, StreamVersion};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument;

use self::pace::Pace;
use super::instance::{Instance, Stage};
use super::keys::Keys;
use super::kind::Kind;
use super::panics::message_of;
use super::slot::Slot;
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// Why an instance could not be brought back.
pub(crate) enum RecoveryFailure {
    /// What is stored can't be read or applied: trying again at once would not help.
    Unreadable(String),
    /// The journal refuses writers.
    Poisoned(String),
    /// The journal is closing.
    ShuttingDown,
    /// Another runtime took the aggregate over during the replay.
    Superseded,
    /// Anything that may pass.
    Passing(String),
}

/// Brings the instance of `slot` back, boxed as it lives on, within `recovery_timeout`.
pub(crate) async fn recover<A: Aggregate>(
    kind: &Arc<Kind<A>>,
    slot: &Arc<Slot<A>>,
) -> Result<Box<Instance<A>>, RecoveryFailure> {
    let limit = slot.shared.config.recovery_timeout;
    let recovering = replay(kind, slot).instrument(telemetry::recovery_span(&slot.stream));
    match timeout(limit, recovering).await {
        Ok(recovered) => recovered,
        Err(_) => Err(RecoveryFailure::Passing(format!("it took longer than {limit:?} (recovery_timeout)"))),
    }
}

async fn replay<A: Aggregate>(kind: &Arc<Kind<A>>, slot: &Arc<Slot<A>>) -> Result<Box<Instance<A>>, RecoveryFailure> {
    let shared = &slot.shared;
    // Always open first: it ends the session of any earlier incarnation, and waits for what that left undecided.
    // Without a permit: it may have to wait for another runtime's appends, and must not keep other recoveries waiting.
    let opened = shared.journal.open(&slot.stream).await?;
    let context = Context::new(kind.services.clone(), slot.stream.id(), shared.clock.clone(), slot.clone());
    let mut instance = Box::new(Instance {
        state: guarded("default", A::default)?,
        version: StreamVersion::EMPTY,
        session: opened.session,
        context,
        slot: slot.clone(),
        keys: Keys::default(),
        settled: true,
        spoiled: false,
        stage: Stage::Apply,
    });
    slot.weigh(guarded("weight", || instance.weight())?);
    // A stream without events may have commits that remember keys.
    if opened.last_commit > CommitNumber::NONE {
        // Held to the end: a journal reads ahead while this replay waits for its turn, and that is memory.
        let _open = shared.replays.acquire().await;
        let mut chunks = shared.journal.read_stream(&slot.stream, StreamVersion::EMPTY);
        // The other half of the time is its own.
        let give_way_until = Instant::now() + shared.config.recovery_timeout / 2;
        let mut pace = Pace::new(shared.tokio.metrics().num_workers(), give_way_until);
        loop {
            // A permit per chunk, in turn: a long replay does not keep short ones waiting.
            let permit = shared.recoveries.acquire().await;
            let Some(chunk) = chunks.next().await else { break };
            let began = Instant::now();
            chunk?.parts.iter().try_for_each(|part| replay_part(&mut instance, part))?;
            drop(permit);
            // Told as it grows: whether others must make room.
            slot.weigh(guarded("weight", || instance.weight())?);
            let now = Instant::now();
            let rest = pace.after(now - began, slot.others_are_served(), now);
            if !rest.is_zero() {
                sleep(rest).await;
                pace.overslept(now.elapsed().saturating_sub(rest));
            }
        }
    }
    if instance.version > opened.head && !instance.session.is_live() {
        // The newer owner has written already. Nothing is wrong with the stream.
        return Err(RecoveryFailure::Superseded);
    }
    if instance.version != opened.head {
        let (version, head) = (instance.version, opened.head);
        return Err(RecoveryFailure::Unreadable(format!("the stream ends at {version}, its head says {head}")));
    }
    shared.stats.activated();
    telemetry::recovered(&slot.stream, instance.version);
    Ok(instance)
}

/// Applies one commit's events; each exactly once, without a gap.
fn replay_part<A: Aggregate>(instance: &mut Instance<A>, part: &RecordedPart) -> Result<(), RecoveryFailure> {
    if part.first_version != instance.version.next() {
        let (found, expected) = (part.first_version, instance.version.next());
        return Err(RecoveryFailure::Unreadable(format!("version {expected} is missing, {found} follows")));
    }
    for frame in part.events() {
        let version = instance.version.next();
        let frame = frame.ok_or_else(|| RecoveryFailure::Unreadable(format!("version {version} does not parse")))?;
        let state = &mut instance.state;
        let applied = guarded(format_args!("version {version}: replay"), || {
            let event = frame.decode::<A::Event>()?;
            state.apply(&event);
            Ok::<_, onefold_core::DecodeError>(())
        })?;
        match applied {
            Ok(()) => instance.version = version,
            Err(error) => return Err(RecoveryFailure::Unreadable(format!("version {version}: {error}"))),
        }
    }
    remember_key(instance, part)
}

/// Remembers the idempotency key of a commit, if it has one.
fn remember_key<A: Aggregate>(instance: &mut Instance<A>, part: &RecordedPart) -> Result<(), RecoveryFailure> {
    let damaged = |what: &str| RecoveryFailure::Unreadable(format!("commit {}: its {what} do not parse", part.commit));
    let extras = part.extras().ok_or_else(|| damaged("claims and key"))?;
    if let Some(record) = extras.key {
        let metadata = part.metadata().ok_or_else(|| damaged("metadata"))?;
        instance.remember(&record, instance.version, metadata.timestamp);
    }
    Ok(())
}

/// Calls the aggregate's own code; a panic of it is a failure that trying again at once would not mend.
fn guarded<T>(what: impl std::fmt::Display, call: impl FnOnce() -> T) -> Result<T, RecoveryFailure> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| RecoveryFailure::Unreadable(format!("{what} panicked: {}", message_of(panic))))
}

impl RecoveryFailure {
    /// Tells everybody who waits; quarantines what trying again would not mend.
    pub(crate) fn tell<A: Aggregate>(self, kind: &Kind<A>, slot: &Slot<A>) {
        let stream = &slot.stream;
        let reason = match self {
            RecoveryFailure::Unreadable(reason) => {
                telemetry::recovery_failed(stream, &reason);
                kind.crashes.strike(stream, &reason, true);
                if let Some(quarantined) = kind.crashes.check(stream) {
                    return slot.fail_waiting(|| Error::Quarantined(Box::new(quarantined.clone())));
                }
                NotStoredReason::RecoveryFailed { reason }
            }
            RecoveryFailure::Poisoned(reason) => NotStoredReason::Poisoned { reason },
            RecoveryFailure::ShuttingDown => NotStoredReason::ShuttingDown,
            RecoveryFailure::Superseded => NotStoredReason::Superseded,
            RecoveryFailure::Passing(reason) => {
                telemetry::recovery_failed(stream, &reason);
                NotStoredReason::RecoveryFailed { reason }
            }
        };
        slot.fail_waiting(|| Error::not_stored(stream, None, reason.clone()));
    }
}

impl From<OpenError> for RecoveryFailure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Read(error) => error.into(),
            OpenError::Poisoned { reason } => RecoveryFailure::Poisoned(reason.to_string()),
            OpenError::ShuttingDown => RecoveryFailure::ShuttingDown,
            other => RecoveryFailure::Passing(other.to_string()),
        }
    }
}

impl From<ReadError> for RecoveryFailure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged { .. } => RecoveryFailure::Unreadable(error.to_string()),
            ReadError::Closed => RecoveryFailure::ShuttingDown,
            other => RecoveryFailure::Passing(other.to_string()),
        }
    }
}

/// The events of `A` have unique names; checked once, when the type is registered.
pub(crate) fn duplicate_event_name<A: Aggregate>() -> Option<&'static str> {
    let types = A::Event::TYPES;
    let twice = |(index, kind): (usize, &onefold_core::EventType)| {
        types[..index].iter().any(|earlier| earlier.name == kind.name).then_some(kind.name)
    };
    types.iter().enumerate().find_map(twice)
}
