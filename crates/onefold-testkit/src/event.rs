//! An event for tests of journals: a number and as many bytes as a test wants. It decodes itself without a codec, so its
//! size on disk is known to the byte.

use std::io::Write;

use onefold_core::journal::EncodedEvents;
use onefold_core::{CodecError, CodecId, DecodeError, Event, EventType, Limits, PayloadWriter};

/// A numbered event of any size.
///
/// ```
/// use onefold_testkit::TestEvent;
/// assert_eq!(TestEvent::numbered(7).number, 7);
/// assert_eq!(TestEvent::sized(7, 100).filler.len(), 100 - 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestEvent {
    /// Tells it from others.
    pub number: u64,
    /// Makes it large.
    pub filler: Vec<u8>,
}

impl TestEvent {
    /// A small event.
    pub fn numbered(number: u64) -> Self {
        TestEvent { number, filler: Vec::new() }
    }

    /// An event whose payload has `payload_bytes`, at least 8. The bytes differ from number to number.
    pub fn sized(number: u64, payload_bytes: usize) -> Self {
        let [seed, ..] = number.to_le_bytes();
        let filler = (seed..=u8::MAX).chain(0..seed).cycle().take(payload_bytes.saturating_sub(8)).collect();
        TestEvent { number, filler }
    }

    /// Small events with these numbers.
    pub fn series(numbers: impl IntoIterator<Item = u64>) -> Vec<Self> {
        numbers.into_iter().map(Self::numbered).collect()
    }

    /// Encodes events in the form that a journal takes, within the default limits.
    ///
    /// # Panics
    ///
    /// When they exceed the limits.
    pub fn encode_all(events: &[TestEvent]) -> EncodedEvents {
        EncodedEvents::encode(events, CodecId::Bincode, &Limits::default()).expect("test events within the limits")
    }
}

const TYPE: EventType = EventType { name: "testkit.event", revision: 3 };

impl Event for TestEvent {
    const TYPES: &'static [EventType] = &[TYPE];

    fn event_type(&self) -> EventType {
        TYPE
    }

    fn encode(&self, _: CodecId, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        let written = out.write_all(&self.number.to_le_bytes()).and_then(|()| out.write_all(&self.filler));
        written.map_err(|error| CodecError::Encode(error.to_string()))
    }

    fn decode(name: &str, revision: u16, _: CodecId, payload: &[u8]) -> Result<Self, DecodeError> {
        if (name, revision) != (TYPE.name, TYPE.revision) {
            return Err(DecodeError::unknown(Self::TYPES, name, revision));
        }
        let too_short = || CodecError::Decode("fewer than 8 bytes".to_owned());
        let (number, filler) =
            payload.split_first_chunk().ok_or_else(|| DecodeError::payload(name, revision, too_short()))?;
        Ok(TestEvent { number: u64::from_le_bytes(*number), filler: filler.to_vec() })
    }
}
