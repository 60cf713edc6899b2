//! The envelope round-trips, detects every single-bit flip, and never panics on arbitrary bytes.

use proptest::prelude::*;

use super::super::{Acknowledgement, AppendPart, EncodedEvents, Session, WriterEpoch};
use super::*;
use crate::{CodecError, CodecId, DecodeError, Event, EventType, ExpectedVersion, Limits, Metadata, PayloadWriter};

struct Noted(String);

impl Event for Noted {
    const TYPES: &'static [EventType] = &[EventType { name: "note.noted", revision: 3 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, codec: CodecId, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        codec.encode(&self.0, out)
    }

    fn decode(name: &str, revision: u16, codec: CodecId, payload: &[u8]) -> Result<Self, DecodeError> {
        codec.decode(payload).map(Noted).map_err(|error| DecodeError::payload(name, revision, error))
    }
}

/// A commit with one part per entry: that many events of these texts.
fn append(parts: &[Vec<String>]) -> Append {
    let mut metadata = Vec::new();
    Metadata::default().encode(&Limits::default(), &mut metadata).unwrap();
    let parts = parts.iter().enumerate().map(|(index, texts)| {
        let events: Vec<Noted> = texts.iter().cloned().map(Noted).collect();
        AppendPart {
            session: Session::new(StreamId::new("note", format!("n{index}")).unwrap(), WriterEpoch::default(), ()),
            expected: ExpectedVersion::Any,
            events: EncodedEvents::encode(&events, CodecId::Bincode, &Limits::default()).unwrap(),
        }
    });
    Append { parts: parts.collect(), metadata, acknowledgement: Acknowledgement::from_fn(|_| ()) }
}

fn encoded(parts: &[Vec<String>]) -> Vec<u8> {
    let append = append(parts);
    let places: Vec<PartPlace> = (0..parts.len() as u64)
        .map(|n| PartPlace { previous: CommitNumber::new(n), first_version: StreamVersion::new(n + 1) })
        .collect();
    let mut bytes = Vec::new();
    encode(&append, CommitNumber::new(42), GlobalPosition::new(1000), &places, &mut bytes);
    assert_eq!(bytes.len(), encoded_len(&append));
    bytes
}

proptest! {
    #[test]
    fn a_commit_comes_back_as_stored(
        parts in proptest::collection::vec(proptest::collection::vec(".{0,40}", 1..4), 1..4),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = encoded(&parts);
        let len = bytes.len();
        bytes.extend(behind);
        let source = Bytes::from(bytes);
        let view = RecordView::parse(&source).unwrap();
        prop_assert_eq!(view.len(), len);
        let commit = view.to_commit(&source).unwrap();
        prop_assert_eq!(commit.number, CommitNumber::new(42));
        let mut position = 1000;
        for (index, ((stream, part), texts)) in commit.parts.iter().zip(&parts).enumerate() {
            prop_assert_eq!(stream.as_str(), format!("note/n{index}"));
            prop_assert_eq!(part.first_version.get(), index as u64 + 1);
            prop_assert_eq!(part.first_position.get(), position);
            position += texts.len() as u64;
            let decoded: Vec<String> = part.events().map(|frame| frame.unwrap().decode::<Noted>().unwrap().0).collect();
            prop_assert_eq!(&decoded, texts);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = RecordView::parse(&bytes);
        let frames = EventFrames::new(&bytes, 7);
        let _ = frames.clone().count();
        let _ = frames.is_well_formed();
    }
}

#[test]
fn every_flipped_bit_is_detected() {
    let clean = encoded(&[vec!["one".into(), "two".into()], vec!["three".into()]]);
    for bit in 0..clean.len() * 8 {
        let mut flipped = clean.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let source = Bytes::from(flipped);
        let result = RecordView::parse(&source).and_then(|view| view.to_commit(&source));
        assert!(result.is_err(), "a flip of bit {bit} went unnoticed");
    }
}

#[test]
fn every_truncation_is_detected() {
    let clean = encoded(&[vec!["one".into()]]);
    for len in 0..clean.len() {
        assert!(RecordView::parse(&clean[..len]).is_err(), "a cut at {len} went unnoticed");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let mut bytes = encoded(&[vec!["one".into()]]);
    bytes[8] = 9;
    let end = RecordView::header_end(&bytes, 1).unwrap();
    let crc = crc32c::crc32c(&bytes[8..end]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(RecordView::parse(&bytes).unwrap_err(), RecordError::UnknownFormat { format: 9, kind: 1 });
}
