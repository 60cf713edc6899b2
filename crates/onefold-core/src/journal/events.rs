//! Encoded events: the body of one part of a commit, in the form that every journal stores.
//!
//! ```text
//! per event:  name length u16 │ name │ revision u16 │ codec u8 │ payload length u32 │ payload        (little-endian)
//! ```
//!
//! Behind them, in the same piece of memory, lies what is remembered of the command, if it had an idempotency key.

use super::{KeyDraft, KeyOutcome, KeyRecord};
use crate::{CodecError, CodecId, DecodeError, Event, Limits, PayloadWriter, TooLarge};

/// Bytes in front of the name and between name and payload.
const FRAME_FIXED_BYTES: usize = 2 + 2 + 1 + 4;

/// Room for small events and a key.
const BYTES_USUAL: usize = 192;

/// The events of one part of a commit, encoded and checksummed; and the record of its idempotency key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedEvents {
    /// Events, then the record.
    bytes: Vec<u8>,
    /// Of the events.
    len: usize,
    count: u32,
    /// Of the events.
    checksum: u32,
}

impl EncodedEvents {
    /// No events: a barrier.
    pub const NONE: EncodedEvents = EncodedEvents { bytes: Vec::new(), len: 0, count: 0, checksum: 0 };

    /// Encodes events, within limits.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when there are too many, one is too large, all together are, or the codec cannot say one.
    pub fn encode<E: Event>(events: &[E], codec: CodecId, limits: &Limits) -> Result<Self, EncodeError> {
        if events.len() > limits.events_per_commit_max {
            let (actual, limit) = (events.len(), limits.events_per_commit_max);
            return Err(TooLarge::EventsPerCommit { actual, limit }.into());
        }
        let mut bytes = Vec::with_capacity(if events.is_empty() { 0 } else { BYTES_USUAL });
        for event in events {
            encode_event(event, codec, limits, &mut bytes)?;
            if bytes.len() > limits.commit_bytes_max {
                return Err(TooLarge::Commit { actual: bytes.len(), limit: limits.commit_bytes_max }.into());
            }
        }
        let checksum = crc32c::crc32c(&bytes);
        #[expect(clippy::cast_possible_truncation, reason = "at most 65,536")]
        let count = events.len() as u32;
        Ok(EncodedEvents { len: bytes.len(), bytes, count, checksum })
    }

    /// Encodes further events behind those that are here already, within the limits for all of them together.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], as [`encode`](EncodedEvents::encode); then nothing has changed.
    ///
    /// # Panics
    ///
    /// When there is a key's record already: it is the last.
    pub fn extend<E: Event>(&mut self, events: &[E], codec: CodecId, limits: &Limits) -> Result<(), EncodeError> {
        assert!(self.key_bytes().is_empty(), "a key's record is the last");
        let actual = self.count as usize + events.len();
        if actual > limits.events_per_commit_max {
            return Err(TooLarge::EventsPerCommit { actual, limit: limits.events_per_commit_max }.into());
        }
        let before = self.bytes.len();
        let encoded = events.iter().try_for_each(|event| {
            encode_event(event, codec, limits, &mut self.bytes)?;
            match self.bytes.len() > limits.commit_bytes_max {
                true => Err(TooLarge::Commit { actual: self.bytes.len(), limit: limits.commit_bytes_max }.into()),
                false => Ok(()),
            }
        });
        if encoded.is_err() {
            self.bytes.truncate(before);
            return encoded;
        }
        self.checksum = crc32c::crc32c_append(self.checksum, &self.bytes[before..]);
        #[expect(clippy::cast_possible_truncation, reason = "at most 65,536")]
        let count = actual as u32;
        self.count = count;
        self.len = self.bytes.len();
        Ok(())
    }

    /// Adds what is remembered of the command, which has ended now, in place of what was there. `write` writes the encoded
    /// reply, or rejection, of `bytes_max` bytes at most.
    ///
    /// # Errors
    ///
    /// Those of `write`; then nothing is remembered.
    pub fn remember<E>(
        &mut self,
        draft: &KeyDraft,
        outcome: KeyOutcome,
        codec: u8,
        bytes_max: usize,
        write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes.truncate(self.len);
        let ended = draft.end(outcome, codec, bytes_max, &mut self.bytes, write);
        if ended.is_err() {
            self.bytes.truncate(self.len);
        }
        ended
    }

    /// The same with the record of a key.
    #[must_use]
    pub fn with_key(self, record: &KeyRecord<impl AsRef<[u8]>>) -> Self {
        let mut keyed = self.without_key();
        keyed.bytes.extend_from_slice(record.as_bytes());
        keyed
    }

    /// The same without the record of a key.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.bytes.truncate(self.len);
        self
    }

    /// The encoded bytes of the events.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// What is remembered of the command.
    pub fn key(&self) -> Option<KeyRecord<&[u8]>> {
        let bytes = self.key_bytes();
        (!bytes.is_empty()).then(|| KeyRecord::trust(bytes))
    }

    /// The stored form of [`key`](Self::key); empty when there is none.
    pub fn key_bytes(&self) -> &[u8] {
        &self.bytes[self.len..]
    }

    /// Events, and the record behind them.
    pub(super) fn all_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many events.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// CRC-32C of the events' bytes.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn encode_event<E: Event>(event: &E, codec: CodecId, limits: &Limits, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let kind = event.event_type();
    // An event may call itself otherwise than it was registered.
    let name_len = u16::try_from(kind.name.len()).ok().filter(|_| kind.has_valid_length());
    let name_len = name_len.ok_or(EncodeError::Name { event: kind.name })?;
    out.extend(name_len.to_le_bytes());
    out.extend(kind.name.as_bytes());
    out.extend(kind.revision.to_le_bytes());
    out.push(codec.number());
    let length_at = out.len();
    out.extend([0; 4]);
    let mut writer = crate::PayloadWriter::new(out, limits.event_bytes_max);
    let encoded = event.encode(codec, &mut writer);
    if writer.overflowed() {
        return Err(TooLarge::Event { event: kind.name, limit: limits.event_bytes_max }.into());
    }
    encoded.map_err(|error| EncodeError::Codec { event: kind.name, error })?;
    #[expect(clippy::cast_possible_truncation, reason = "event_bytes_max is at most 16 MiB")]
    let payload_len = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&payload_len.to_le_bytes());
    Ok(())
}

/// Why a decision's events could not be encoded. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Larger than a limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The codec cannot say it.
    #[error("event {event}: {error}")]
    Codec {
        /// The event's name.
        event: &'static str,
        /// What the codec says.
        error: CodecError,
    },
    /// The codec cannot say the reply that an idempotency key is to remember.
    #[error("the reply: {error}")]
    Reply {
        /// What the codec says.
        error: CodecError,
    },
    /// An event's name is empty, or has more than 128 bytes.
    #[error("an event's name must have 1 to 128 bytes: {event:?}")]
    Name {
        /// The event's name.
        event: &'static str,
    },
}

/// One stored event, borrowed from where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFrame<'a> {
    /// The stored name.
    pub name: &'a str,
    /// The stored revision.
    pub revision: u16,
    /// The number of the codec of the payload, see [`CodecId::from_number`].
    pub codec: u8,
    /// The encoded fields.
    pub payload: &'a [u8],
}

impl EventFrame<'_> {
    /// Decodes the event.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when it is not one of `E`'s, or not of the declared shape.
    pub fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        let codec = CodecId::from_number(self.codec)
            .ok_or_else(|| DecodeError::UnknownCodec { name: self.name.to_owned(), codec: self.codec })?;
        E::decode(self.name, self.revision, codec, self.payload)
    }
}

/// Iterates over the encoded events of a part. A frame that does not parse yields `None` as its last item.
#[derive(Clone, Debug)]
pub struct EventFrames<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> EventFrames<'a> {
    /// Over the `count` events in `bytes`.
    pub fn new(bytes: &'a [u8], count: u32) -> Self {
        EventFrames { rest: bytes, left: count }
    }

    /// Whether the bytes are exactly the events they claim to be.
    pub fn is_well_formed(mut self) -> bool {
        let parsed = self.by_ref().all(|frame| frame.is_some());
        parsed && self.rest.is_empty()
    }

    fn frame(&mut self) -> Option<EventFrame<'a>> {
        let rest = self.rest;
        let (name_len, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*name_len)))?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (codec, rest) = rest.split_first()?;
        let (payload_len, rest) = rest.split_first_chunk()?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*payload_len)).ok()?)?;
        self.rest = rest;
        let name = std::str::from_utf8(name).ok()?;
        Some(EventFrame { name, revision: u16::from_le_bytes(*revision), codec: *codec, payload })
    }
}

impl<'a> Iterator for EventFrames<'a> {
    type Item = Option<EventFrame<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let frame = self.frame();
        if frame.is_none() {
            self.left = 0;
        }
        Some(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more than fits: what does not parse is an item, too.
        (0, Some((self.rest.len() / FRAME_FIXED_BYTES + 1).min(self.left as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, PayloadWriter};

    struct Named(&'static str);

    impl Event for Named {
        const TYPES: &'static [EventType] = &[];

        fn event_type(&self) -> EventType {
            EventType { name: self.0, revision: 1 }
        }

        fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
            Ok(())
        }

        fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
            Ok(Named("event.read"))
        }
    }

    /// The last item, which says that nothing more parses, was more than the size hint allowed.
    #[test]
    fn no_more_items_come_than_the_size_hint_says() {
        let mut whole = Vec::new();
        encode_event(&Named("a"), CodecId::Bincode, &Limits::default(), &mut whole).unwrap();
        for bytes in [&[][..], &[0; 20], &whole, &whole[..9]] {
            for count in 0..3 {
                let frames = EventFrames::new(bytes, count);
                let most = frames.size_hint().1.unwrap();
                assert!(frames.count() <= most, "{bytes:?} as {count} events");
            }
        }
    }

    #[test]
    fn events_encoded_one_by_one_are_those_encoded_at_once() {
        let events = ["a", "bc", "def", "g"].map(Named);
        let limits = Limits { events_per_commit_max: 4, ..Limits::default() };
        let at_once = EncodedEvents::encode(&events, CodecId::Bincode, &limits).unwrap();
        for cut in 0..=events.len() {
            let mut grown = EncodedEvents::NONE;
            for part in [&events[..cut], &[], &events[cut..]] {
                grown.extend(part, CodecId::Bincode, &limits).unwrap();
            }
            assert_eq!(grown, at_once, "cut at {cut}");
            let full = grown.clone();
            assert!(matches!(
                grown.extend(&[Named("h")], CodecId::Bincode, &limits),
                Err(EncodeError::TooLarge(TooLarge::EventsPerCommit { actual: 5, limit: 4 }))
            ));
            let tight = Limits { commit_bytes_max: at_once.bytes().len() + 5, ..Limits::default() };
            let too_large = grown.extend(&[Named("h")], CodecId::Bincode, &tight);
            assert!(matches!(too_large, Err(EncodeError::TooLarge(TooLarge::Commit { .. }))));
            assert!(grown.extend(&[Named("h"), Named("")], CodecId::Bincode, &Limits::default()).is_err());
            assert_eq!(grown, full, "a refusal leaves no trace");
        }
    }

    #[test]
    fn a_name_that_may_not_stand_on_disk_is_refused() {
        let long = "x".repeat(129).leak();
        for (name, fits) in [("", false), ("a", true), (&long[1..], true), (&*long, false)] {
            let encoded = EncodedEvents::encode(&[Named(name)], CodecId::Bincode, &Limits::default());
            assert_eq!(encoded.is_ok(), fits, "{} bytes", name.len());
            assert_eq!(Named(name).event_type().is_valid(), fits);
        }
        assert!(!EventType { name: "Loud", revision: 1 }.is_valid());
    }
}
