//! Which aggregates are known, and their events as JSON.

use std::collections::HashMap;
use std::fmt;

use onefold::journal::EventFrame;
use onefold::{Aggregate, CodecError, CodecId, DecodeError, Event as _, Limits, PayloadWriter};
use serde_json::value::RawValue;

type Decode = fn(&EventFrame<'_>) -> Result<Box<RawValue>, Undecodable>;

/// By aggregate type, how its events are decoded.
#[derive(Default)]
pub(crate) struct Decoders(HashMap<&'static str, Decode>);

/// Why an event cannot be shown as what it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecodable {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("it decodes, but cannot be said in JSON: {0}")]
    Json(#[from] CodecError),
}

impl Decoders {
    pub(crate) fn add<A: Aggregate>(&mut self) {
        self.0.insert(A::TYPE, decode::<A>);
    }

    /// The event's fields; `None` when nothing is known of the aggregate type.
    pub(crate) fn decode(
        &self,
        aggregate_type: &str,
        frame: &EventFrame<'_>,
    ) -> Option<Result<Box<RawValue>, Undecodable>> {
        self.0.get(aggregate_type).map(|decode| decode(frame))
    }
}

/// Decoded as the aggregate would, then encoded again, as JSON: nothing more is asked of a type of events.
fn decode<A: Aggregate>(frame: &EventFrame<'_>) -> Result<Box<RawValue>, Undecodable> {
    /// JSON says in at most so many bytes what bincode says in one.
    const BYTES_PER_BYTE: usize = 8;
    let event = frame.decode::<A::Event>()?;
    let mut json = Vec::new();
    let limit = Limits::CEILING.event_bytes_max * BYTES_PER_BYTE;
    event.encode(CodecId::Json, &mut PayloadWriter::new(&mut json, limit))?;
    raw(json).map_err(|reason| CodecError::Encode(reason).into())
}

/// Bytes that are JSON.
pub(crate) fn raw(json: Vec<u8>) -> Result<Box<RawValue>, String> {
    let text = String::from_utf8(json).map_err(|error| error.to_string())?;
    RawValue::from_string(text).map_err(|error| error.to_string())
}

impl fmt::Debug for Decoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
