//! Who looks at the events of one aggregate type, with the type hidden.

use std::marker::PhantomData;

use onefold_core::journal::RecordedPart;
use onefold_core::{Aggregate, AggregateId, StreamId};

use crate::events::{EventsError, RecordedEvent, decode_part};

pub(super) trait Observe<S>: Send {
    fn aggregate_type(&self) -> &'static str;

    /// Looks at the events of a part but for the first `skip`; returns how many there were.
    fn observe(&mut self, state: &mut S, stream: &StreamId, part: &RecordedPart, skip: u64)
    -> Result<u64, EventsError>;
}

pub(super) struct Typed<A, F> {
    observe: F,
    aggregate: PhantomData<fn() -> A>,
}

impl<A, F> Typed<A, F> {
    pub(super) fn new(observe: F) -> Self {
        Typed { observe, aggregate: PhantomData }
    }
}

impl<S, A, F> Observe<S> for Typed<A, F>
where
    A: Aggregate,
    F: FnMut(&mut S, &AggregateId, &RecordedEvent<A::Event>) + Send,
{
    fn aggregate_type(&self) -> &'static str {
        A::TYPE
    }

    fn observe(
        &mut self,
        state: &mut S,
        stream: &StreamId,
        part: &RecordedPart,
        skip: u64,
    ) -> Result<u64, EventsError> {
        let (id, mut count) = (stream.id(), 0);
        decode_part(stream, part, skip, |event| {
            (self.observe)(state, &id, &event);
            count += 1;
        })?;
        Ok(count)
    }
}
