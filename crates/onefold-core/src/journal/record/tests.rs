//! The envelope round-trips, detects every single-bit flip, and never panics on arbitrary bytes.

use proptest::prelude::*;

use bytes::Bytes;

use super::super::{
    Acknowledgement, AppendPart, ClaimAction, ClaimChange, ClaimFact, DecidedClaims, EncodedEvents, EventFrames,
    KeyOutcome, KeyRecord, PinnedClaim, RecordedExtras, Session, WriterEpoch,
};
use super::*;
use crate::{
    ClaimName, CodecError, CodecId, DecodeError, Event, EventType, ExpectedVersion, Holder, Limits, Metadata,
    PayloadWriter, StreamId, Timestamp,
};

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
            claims: Vec::new(),
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
    encode(&append, CommitNumber::new(42), GlobalPosition::new(1000), &places, &EncodedFacts::default(), &mut bytes);
    assert_eq!(bytes.len(), encoded_len(&append, &EncodedFacts::default()));
    bytes
}

/// A commit as `append` makes it, whose parts carry these extras, too.
fn encoded_with(parts: &[(Vec<String>, RecordedExtras)]) -> Vec<u8> {
    let texts: Vec<_> = parts.iter().map(|(texts, _)| texts.clone()).collect();
    let mut append = append(&texts);
    let mut claims = DecidedClaims::default();
    for (index, (part, (_, extras))) in append.parts.iter_mut().zip(parts).enumerate() {
        claims.facts.extend(extras.claims.iter().cloned().map(|fact| (index, fact)));
        if extras.key.is_none() {
            // Facts follow from changes that were asked for.
            part.claims.push(a_change());
        }
        if let Some(key) = &extras.key {
            part.events = part.events.clone().with_key(key);
        }
    }
    let recorded = append.parts.iter().filter(|part| part.is_recorded()).count();
    let place = PartPlace { previous: CommitNumber::new(7), first_version: StreamVersion::new(5) };
    let extras = EncodedFacts::encode(&append, &claims);
    let mut bytes = Vec::new();
    let places = vec![place; recorded];
    encode(&append, CommitNumber::new(42), GlobalPosition::new(1000), &places, &extras, &mut bytes);
    assert_eq!(bytes.len(), encoded_len(&append, &extras));
    bytes
}

fn key(reply: Vec<u8>) -> KeyRecord {
    KeyRecord::new("req-1", u64::MAX / 3, KeyOutcome::Rejection, 1, &reply).unwrap()
}

/// What became of it the facts say.
fn a_change() -> ClaimChange {
    let claim = PinnedClaim::new(ClaimName::new("username", "bob").unwrap(), None::<Holder>);
    ClaimChange { claim, action: ClaimAction::Release }
}

fn facts() -> impl Strategy<Value = ClaimFact> {
    let name = ("[a-z]{1,8}", ".{1,40}").prop_filter_map("a good name", |(n, v)| ClaimName::new(&n, v).ok());
    let limit = proptest::option::of(any::<u64>().prop_map(Timestamp::from_micros));
    (0..4, name, limit, any::<u64>(), ".{1,20}").prop_filter_map("a good id", |(kind, claim, expires_at, since, id)| {
        Some(match kind {
            0 => ClaimFact::Taken { claim, expires_at },
            1 => ClaimFact::Released { claim },
            2 => ClaimFact::Moved { claim, to: StreamId::new("note", id).ok()?, expires_at },
            _ => ClaimFact::Expired { claim, since: CommitNumber::new(since) },
        })
    })
}

fn extras() -> impl Strategy<Value = RecordedExtras> {
    let key = (any::<bool>(), any::<u64>(), "[ -~]{1,255}", proptest::collection::vec(any::<u8>(), 0..100)).prop_map(
        |(replied, fingerprint, key, reply)| {
            let outcome = if replied { KeyOutcome::Reply } else { KeyOutcome::Rejection };
            KeyRecord::new(&key, fingerprint, outcome, 2, &reply).unwrap()
        },
    );
    (proptest::collection::vec(facts(), 0..5), proptest::option::of(key))
        .prop_map(|(claims, key)| RecordedExtras { claims, key })
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
    fn extras_come_back_as_stored(
        parts in proptest::collection::vec((proptest::collection::vec(".{0,40}", 0..3), extras()), 1..4),
    ) {
        let source = Bytes::from(encoded_with(&parts));
        let view = RecordView::parse(&source).unwrap();
        let commit = view.to_commit(&source).unwrap();
        prop_assert_eq!(commit.parts.len(), parts.len());
        let mut position = 1000;
        for ((_, part), (texts, extras)) in commit.parts.iter().zip(&parts) {
            prop_assert_eq!(part.extras(), Some(extras.clone()));
            prop_assert_eq!((part.first_version.get(), part.first_position.get()), (5, position));
            prop_assert_eq!(part.last_version().get(), 4 + texts.len() as u64);
            let decoded: Vec<String> = part.events().map(|frame| frame.unwrap().decode::<Noted>().unwrap().0).collect();
            prop_assert_eq!(&decoded, texts);
            position += texts.len() as u64;
        }
        prop_assert_eq!(view.last_position().get(), position - 1);
    }

    #[test]
    fn arbitrary_extras_never_panic_and_are_what_they_say(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = RecordedExtras::decode(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = RecordView::parse(&bytes);
        let frames = EventFrames::new(&bytes, 7);
        let _ = frames.clone().count();
        let _ = frames.is_well_formed();
    }
}

/// A commit with extras: a part with events and extras, one with extras alone.
fn with_extras() -> Vec<u8> {
    let name = |value| ClaimName::new("username", value).unwrap();
    let to = StreamId::new("note", "other").unwrap();
    let facts = vec![
        ClaimFact::Expired { claim: name("bob"), since: CommitNumber::new(3) },
        ClaimFact::Taken { claim: name("bob"), expires_at: None },
        ClaimFact::Moved { claim: name("al"), to, expires_at: Some(Timestamp::from_micros(9)) },
    ];
    let released = vec![ClaimFact::Released { claim: name("eve") }];
    encoded_with(&[
        (vec!["one".into()], RecordedExtras { claims: facts, key: Some(key(vec![1, 2, 3])) }),
        (Vec::new(), RecordedExtras { claims: released, key: Some(key(Vec::new())) }),
    ])
}

#[test]
fn every_flipped_bit_is_detected() {
    let plain = encoded(&[vec!["one".into(), "two".into()], vec!["three".into()]]);
    for clean in [plain, with_extras()] {
        every_flipped_bit_of(&clean);
    }
}

fn every_flipped_bit_of(clean: &[u8]) {
    for bit in 0..clean.len() * 8 {
        let mut flipped = clean.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let source = Bytes::from(flipped);
        let result = RecordView::parse(&source).and_then(|view| view.to_commit(&source));
        assert!(result.is_err(), "a flip of bit {bit} went unnoticed");
    }
}

#[test]
fn every_truncation_is_detected() {
    for clean in [encoded(&[vec!["one".into()]]), with_extras()] {
        for len in 0..clean.len() {
            assert!(RecordView::parse(&clean[..len]).is_err(), "a cut at {len} went unnoticed");
        }
    }
}

/// Where they end the part's header says, and the checksum covers all of it. By themselves they are at least not taken for the
/// same.
#[test]
fn extras_that_are_cut_off_or_go_on_are_others() {
    let source = Bytes::from(with_extras());
    let view = RecordView::parse(&source).unwrap();
    let commit = view.to_commit(&source).unwrap();
    for (_, part) in &commit.parts {
        let whole = &part.extras_bytes;
        let decoded = RecordedExtras::decode(whole);
        assert!(decoded.is_some());
        for len in 0..whole.len() {
            assert_ne!(RecordedExtras::decode(&whole.slice(..len)), decoded, "cut at {len}");
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        assert_ne!(RecordedExtras::decode(&longer), decoded);
    }
}

/// Byte by byte: what was stored once has to be read for ever.
#[test]
fn extras_are_stored_in_this_form() {
    let claim = || ClaimName::new("user", "bob").unwrap();
    let at = Some(Timestamp::from_micros(0x0102));
    let facts = vec![
        ClaimFact::Taken { claim: claim(), expires_at: None },
        ClaimFact::Taken { claim: claim(), expires_at: at },
        ClaimFact::Released { claim: claim() },
        ClaimFact::Moved { claim: claim(), to: StreamId::new("note", "n").unwrap(), expires_at: None },
        ClaimFact::Expired { claim: claim(), since: CommitNumber::new(5) },
    ];
    let stored_facts: &[u8] = b"\x01\x04\x03userbob\0\
        \x01\x04\x03userbob\x01\x02\x01\0\0\0\0\0\0\
        \x02\x04\x03userbob\
        \x03\x04\x03userbob\0\x04\x01noten\
        \x04\x04\x03userbob\x05\0\0\0\0\0\0\0";
    let key = key(b"reply".to_vec());
    for (claims, key, stored) in [
        (facts.clone(), None, stored_facts.to_vec()),
        (facts, Some(key.clone()), [stored_facts, key.as_bytes()].concat()),
        (Vec::new(), Some(key.clone()), key.as_bytes().to_vec()),
        (Vec::new(), None, vec![0]),
    ] {
        let extras = RecordedExtras { claims, key };
        let source = Bytes::from(encoded_with(&[(vec!["one".into()], extras.clone())]));
        let commit = RecordView::parse(&source).unwrap().to_commit(&source).unwrap();
        assert_eq!(commit.parts[0].1.extras_bytes, stored);
        assert_eq!(commit.parts[0].1.extras(), Some(extras));
    }
    assert_eq!(RecordedExtras::decode(&[stored_facts, &[0]].concat()), None);
}

/// What builds wrote that knew another form of extras is told by its name, not taken for damage.
#[test]
fn former_extras_are_of_an_unknown_format() {
    let mut bytes = with_extras();
    bytes[8] = 2;
    put_header_checksum(&mut bytes);
    assert_eq!(RecordView::parse(&bytes).err(), Some(RecordError::UnknownFormat { format: 2, kind: 1 }));
}

/// A commit without extras is byte for byte what builds wrote that knew none.
#[test]
fn a_commit_without_extras_keeps_its_format() {
    let bytes = encoded(&[vec!["one".into()]]);
    assert_eq!(bytes[8..10], [1, 1]);
    assert_eq!(crc32c::crc32c(&bytes), 604_899_627, "the fixture");
    assert_eq!(with_extras()[8..10], [3, 1]);
}

/// Numbers that lead out of their range have a good checksum only when somebody forged it: no arithmetic may trip over them.
#[test]
fn numbers_out_of_range_are_malformed() {
    for (at, value) in [(24, 0), (24, u64::MAX), (48, 0), (48, u64::MAX)] {
        let mut bytes = encoded(&[vec!["one".into()]]);
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put_header_checksum(&mut bytes);
        let parsed = RecordView::parse(&bytes);
        assert!(matches!(parsed, Err(RecordError::Malformed(_))), "{value} at {at}: {parsed:?}");
    }
}

fn put_header_checksum(bytes: &mut [u8]) {
    let parts = u16::from_le_bytes([bytes[10], bytes[11]]);
    let end = RecordView::header_end(bytes, parts).unwrap();
    let crc = crc32c::crc32c(&bytes[8..end]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let mut bytes = encoded(&[vec!["one".into()]]);
    bytes[8] = 9;
    put_header_checksum(&mut bytes);
    assert_eq!(RecordView::parse(&bytes).unwrap_err(), RecordError::UnknownFormat { format: 9, kind: 1 });
}
