//! A command that was sent on an older version: what its sender missed, and whether that speaks against the command.
//!
//! What was missed may be on its way to the journal still. The aggregate waits until it is durable, and reads it back from
//! there: so neither a conflict nor a decision on top of it shows what may yet be lost. Bounded by `missed_events_max` and
//! `missed_bytes_max`; with the permits of recoveries, because it is a replay of its own.

use futures_util::StreamExt;
use onefold_core::journal::{ReadError, RecordedPart};
use onefold_core::{Aggregate, Event, ExpectedVersion, StreamVersion};
use tokio::time::Instant;

use super::super::instance::{Instance, Stage};
use super::super::run::Runner;
use super::super::slot::Slot;
use super::supervised::{End, Supervised};
use crate::error::{Error, NotStoredReason};
use crate::telemetry;

/// [`Merge::merges`](onefold_core::Merge::merges) of a command.
pub(crate) type Merges<A, C> = fn(&C, &[<A as Aggregate>::Event]) -> bool;

/// What was missed by whoever expects another version than the aggregate is at; `None` if there is nothing that could be
/// weighed against a command. An error leaves at once: it shows nothing that was missed.
pub(super) async fn look<A: Aggregate>(
    instance: &mut Instance<A>,
    expected: ExpectedVersion,
    deadline: Instant,
    runner: &mut Runner,
) -> Result<Option<Vec<A::Event>>, Error<A::Rejection>> {
    let (seen, actual) = (StreamVersion::from(expected), instance.version);
    let missed = actual.get().checked_sub(seen.get());
    let limit = instance.slot.shared.config.missed_events_max;
    // Nobody can have missed what has not happened yet.
    if missed.is_none_or(|missed| missed > limit as u64) {
        return Ok(None);
    }
    // Decoding is the user's code, too.
    instance.stage = Stage::Merge;
    let slot = &*instance.slot;
    let reading = async {
        slot.wait_until_durable().await;
        read(slot, seen, actual).await
    };
    let span = telemetry::merge_span(&slot.stream, seen, actual);
    let events = match Supervised::new(reading, slot, None, span, deadline, runner).await {
        End::Returned(read) => read,
        ended => Err(ended.reason(&slot.shared.config)),
    };
    instance.settled = instance.slot.is_settled();
    events.map_err(|reason| Error::not_stored(&instance.slot.stream, instance.durable_version(), reason))
}

/// The durable events behind `seen`, up to `until`; `None` if they are too large to be looked at.
async fn read<A: Aggregate>(
    slot: &Slot<A>,
    seen: StreamVersion,
    until: StreamVersion,
) -> Result<Option<Vec<A::Event>>, NotStoredReason> {
    let shared = &slot.shared;
    let _open = shared.replays.acquire().await;
    let mut chunks = shared.journal.read_stream(&slot.stream, seen);
    let mut missed = Missed { version: seen, until, bytes_left: shared.config.missed_bytes_max, events: Vec::new() };
    while missed.version < until {
        let _permit = shared.recoveries.acquire().await;
        let Some(chunk) = chunks.next().await else { break };
        for part in &chunk.map_err(unread)?.parts {
            if !missed.take(part).map_err(unreadable)? {
                return Ok(None);
            }
        }
    }
    match missed.version == until {
        true => Ok(Some(missed.events)),
        false => Err(unreadable(format!("the stream ends at version {}, the aggregate is at {until}", missed.version))),
    }
}

/// What was missed, as far as it is read.
struct Missed<E> {
    version: StreamVersion,
    until: StreamVersion,
    bytes_left: usize,
    events: Vec<E>,
}

impl<E: Event> Missed<E> {
    /// Takes one commit's events. False if they are too large.
    fn take(&mut self, part: &RecordedPart) -> Result<bool, String> {
        let Some(bytes_left) = self.bytes_left.checked_sub(part.body.len()) else { return Ok(false) };
        self.bytes_left = bytes_left;
        for (index, frame) in (0u64..).zip(part.events()) {
            let (version, next) = (part.first_version.plus(index), self.version.next());
            // The first commit may begin with events that were seen; another runtime may have written behind the last.
            if version < next || version > self.until {
                continue;
            }
            if version > next {
                return Err(format!("version {next} is missing, {version} follows"));
            }
            let frame = frame.ok_or_else(|| format!("version {version} does not parse"))?;
            self.events.push(frame.decode().map_err(|error| format!("version {version}: {error}"))?);
            self.version = version;
        }
        Ok(true)
    }
}

fn unread(error: ReadError) -> NotStoredReason {
    match error {
        ReadError::Damaged { .. } => unreadable(error.to_string()),
        ReadError::Closed => NotStoredReason::ShuttingDown,
        passing => NotStoredReason::Unavailable { reason: format!("what was missed could not be read: {passing}") },
    }
}

fn unreadable(reason: String) -> NotStoredReason {
    NotStoredReason::Unreadable { reason }
}
