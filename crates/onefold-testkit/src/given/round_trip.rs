//! To bytes and back, as a journal and a restart do it: events within the limits, states and replies where the test asks.

use std::fmt::Debug;

use onefold_core::journal::{EncodeError, EncodedEvents, EventFrames};
use onefold_core::{Aggregate, CodecError, CodecId, Event, Limits, PayloadWriter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Setting;
use super::failure::Failure;

/// Takes a state through one codec.
pub(super) type Reload<A> = fn(&A, CodecId) -> Result<Reloaded<A>, CodecError>;

/// What came back of a state, and whether it encodes to the same bytes.
pub(super) struct Reloaded<A> {
    state: A,
    has_same_bytes: bool,
}

/// The events of one commit as they come back, the same from each codec.
pub(super) fn events<A>(events: &[A::Event], setting: &Setting<A>) -> Result<Vec<A::Event>, Failure>
where
    A: Aggregate<Event: Debug + PartialEq>,
{
    for event in events {
        require_declared(event)?;
    }
    let mut stored = None;
    for codec in &setting.codecs {
        match EncodedEvents::encode(events, *codec, &setting.limits) {
            Ok(encoded) => stored = Some(read_back(events, &encoded, *codec)?),
            // Those that don't have it still need another one.
            Err(EncodeError::Codec { error: CodecError::NotBuiltIn, .. }) => {}
            Err(error) => {
                return Err(Failure::new(format!("the events cannot be stored ({codec:?})"), error.to_string()));
            }
        }
    }
    stored.ok_or_else(|| {
        let what = "the events cannot be stored: they know none of the codecs".to_owned();
        Failure::new(what, format!("{:?}", setting.codecs))
    })
}

/// A runtime would refuse it when the aggregate is registered, or the journal's reader later.
fn require_declared<E: Event + Debug>(event: &E) -> Result<(), Failure> {
    let kind = event.event_type();
    if !kind.is_valid() {
        let what =
            format!("{:?} may not stand on disk: an event's name is 1 to 128 of a-z, 0-9, '_', '-' and '.'", kind.name);
        return Err(Failure::new(what, format!("{event:#?}")));
    }
    if !E::TYPES.contains(&kind) {
        let what = format!("{:?} in revision {} is not among the event's TYPES", kind.name, kind.revision);
        return Err(Failure::new(what, format!("{event:#?}")));
    }
    Ok(())
}

fn read_back<E: Event + Debug + PartialEq>(
    events: &[E],
    encoded: &EncodedEvents,
    codec: CodecId,
) -> Result<Vec<E>, Failure> {
    let frames = EventFrames::new(encoded.bytes(), encoded.count());
    let mut stored = Vec::with_capacity(events.len());
    for (event, frame) in events.iter().zip(frames) {
        let frame = frame.expect("what was just encoded parses");
        let read = frame.decode::<E>().map_err(|error| {
            let what = format!("an event does not come back from its bytes ({codec:?})");
            Failure::new(what, format!("{event:#?}\n\n{error}"))
        })?;
        if read != *event {
            let what = format!("an event comes back from its bytes as another one ({codec:?})");
            return Err(Failure::differs(what, ("was", format!("{event:#?}")), ("came back", format!("{read:#?}"))));
        }
        stored.push(read);
    }
    Ok(stored)
}

/// The state as it comes back from all codecs, one after the other.
pub(super) fn state<A: Aggregate>(state: &A, setting: &Setting<A>) -> Result<A, Failure> {
    let reload = setting.reload.expect("asked for only with it");
    let mut current = None;
    for codec in &setting.codecs {
        let before = current.as_ref().unwrap_or(state);
        let reloaded = reload(before, *codec).map_err(|error| {
            Failure::new(format!("the state does not come back from its bytes ({codec:?})"), error.to_string())
        })?;
        let what = || format!("the state comes back from its bytes as another one ({codec:?})");
        match &setting.compare {
            Some(compare) => {
                if let Some((was, became)) = compare(before, &reloaded.state) {
                    return Err(Failure::differs(what(), ("was", was), ("came back", became)));
                }
            }
            None if !reloaded.has_same_bytes => {
                let hint = "Encoded once more, it has other bytes. `.compare_states()` shows where, \
                            and is needed for a state whose bytes are never the same.";
                return Err(Failure::new(what(), hint.to_owned()));
            }
            None => {}
        }
        current = Some(reloaded.state);
    }
    current.ok_or_else(|| Failure::new("there is no codec for the state".to_owned(), "`.codecs([])`".to_owned()))
}

pub(super) fn reload<A: Serialize + DeserializeOwned>(state: &A, codec: CodecId) -> Result<Reloaded<A>, CodecError> {
    let bytes = encode(state, codec)?;
    let state: A = codec.decode(&bytes)?;
    let has_same_bytes = encode(&state, codec)? == bytes;
    Ok(Reloaded { state, has_same_bytes })
}

/// A reply or a rejection as it comes back from all codecs.
pub(super) fn value<T>(what: &str, value: T, codecs: &[CodecId]) -> Result<T, Failure>
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    let mut current = value;
    for codec in codecs {
        let read: Result<T, CodecError> = encode(&current, *codec).and_then(|bytes| codec.decode(&bytes));
        let read = read.map_err(|error| {
            let what = format!("{what} does not come back from its bytes ({codec:?})");
            Failure::new(what, format!("{current:#?}\n\n{error}"))
        })?;
        if read != current {
            let what = format!("{what} comes back from its bytes as another one ({codec:?})");
            return Err(Failure::differs(what, ("was", format!("{current:#?}")), ("came back", format!("{read:#?}"))));
        }
        current = read;
    }
    Ok(current)
}

fn encode<T: Serialize>(value: &T, codec: CodecId) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut PayloadWriter::new(&mut bytes, Limits::CEILING.commit_bytes_max))?;
    Ok(bytes)
}
