//! The typed, durable events of one aggregate, as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use onefold_core::journal::{Journal, ReadError, RecordedPart, StreamChunk};
use onefold_core::{CommitNumber, DecodeError, Event, GlobalPosition, Metadata, StreamId, StreamVersion};

/// An event with what is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedEvent<E> {
    /// Its number in the stream.
    pub version: StreamVersion,
    /// Its place in the whole journal.
    pub position: GlobalPosition,
    /// The commit it is part of.
    pub commit: CommitNumber,
    /// The metadata of the command it comes from; shared by all events of a commit.
    pub metadata: Arc<Metadata>,
    /// The event itself.
    pub event: E,
}

/// Why an event can't be had. The stream ends with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// The journal could not be read.
    #[error("{stream}: {error}")]
    Read {
        /// The stream.
        stream: StreamId,
        /// What the journal says.
        error: ReadError,
    },
    /// What is stored does not decode.
    #[error("{stream} at version {version}: {error}")]
    Decode {
        /// The stream.
        stream: StreamId,
        /// The event's version.
        version: StreamVersion,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// What is stored does not parse.
    #[error("{stream} at version {version}: the stored event does not parse")]
    Malformed {
        /// The stream.
        stream: StreamId,
        /// The event's version.
        version: StreamVersion,
    },
}

/// A stream of the durable events of one aggregate, in order. See [`Aggregates::events`](crate::Aggregates::events).
#[must_use = "a stream does nothing until it is polled"]
pub struct EventStream<E> {
    stream: StreamId,
    after: StreamVersion,
    chunks: BoxStream<'static, Result<StreamChunk, ReadError>>,
    parts: VecDeque<RecordedPart>,
    ready: VecDeque<RecordedEvent<E>>,
    failure: Option<EventsError>,
    ended: bool,
}

impl<E: Event> EventStream<E> {
    pub(crate) fn new(journal: &dyn Journal, stream: StreamId, after: StreamVersion) -> Self {
        let chunks = journal.read_stream(&stream, after);
        let (parts, ready) = (VecDeque::new(), VecDeque::new());
        EventStream { stream, after, chunks, parts, ready, failure: None, ended: false }
    }

    /// Decodes one commit's events; those before a failure are still handed out.
    fn decode(&mut self, part: &RecordedPart) -> Result<(), EventsError> {
        let skip = self.after.get().saturating_add(1).saturating_sub(part.first_version.get());
        decode_part(&self.stream, part, skip, |event| self.ready.push_back(event))
    }
}

/// Decodes the events of one part of a commit, but for the first `skip`. Those before a failure are handed out.
pub(crate) fn decode_part<E: Event>(
    stream: &StreamId,
    part: &RecordedPart,
    skip: u64,
    mut each: impl FnMut(RecordedEvent<E>),
) -> Result<(), EventsError> {
    let malformed = |version| EventsError::Malformed { stream: stream.clone(), version };
    let metadata = Arc::new(part.metadata().ok_or_else(|| malformed(part.first_version))?);
    for (index, frame) in (0u64..).zip(part.events()).filter(|(index, _)| *index >= skip) {
        let version = part.first_version.plus(index);
        let frame = frame.ok_or_else(|| malformed(version))?;
        let event = frame.decode::<E>().map_err(|error| {
            let stream = stream.clone();
            EventsError::Decode { stream, version, error }
        })?;
        let position = part.first_position.plus(index);
        let (commit, metadata) = (part.commit, metadata.clone());
        each(RecordedEvent { version, position, commit, metadata, event });
    }
    Ok(())
}

impl<E> Unpin for EventStream<E> {}

impl<E: Event> Stream for EventStream<E> {
    type Item = Result<RecordedEvent<E>, EventsError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(failure) = this.failure.take() {
                this.ended = true;
                return Poll::Ready(Some(Err(failure)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            if let Some(part) = this.parts.pop_front() {
                this.failure = this.decode(&part).err();
                continue;
            }
            match ready!(this.chunks.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => this.parts = chunk.parts.into(),
                Some(Err(error)) => {
                    this.failure = Some(EventsError::Read { stream: this.stream.clone(), error });
                }
                None => this.ended = true,
            }
        }
    }
}

impl<E> fmt::Debug for EventStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
