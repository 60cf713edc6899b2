//! The envelope and the metadata in it.

use bytes::Bytes;
use onefold::journal::record::{self, EncodedFacts, PartPlace, RecordView};
use onefold::journal::{
    Acknowledgement, Append, AppendPart, ClaimFact, DecidedClaims, EncodedEvents, KeyOutcome, KeyRecord,
    RecordedExtras, Session, WriterEpoch,
};
use onefold::{
    ClaimName, CodecId, CommitNumber, Event, ExpectedVersion, GlobalPosition, Limits, Metadata, StreamId,
    StreamVersion, Timestamp,
};

/// An event with a payload of any bytes.
#[derive(Debug, PartialEq, Event)]
#[event(prefix = "fuzz")]
enum Noted {
    Noted(Vec<u8>),
}

/// Bytes that nobody of us wrote, as they are and with their checksums put right; and a commit made of them.
pub(crate) fn record(data: &[u8]) {
    look_into(data);
    for format in [1, 3] {
        let mut forged = data.to_vec();
        if put_header_checksum_right(&mut forged, format) {
            look_into(&forged);
        }
    }
    let _ = RecordedExtras::decode(data);
    there_and_back(data);
}

/// Whatever was parsed, everything in it can be looked at.
fn look_into(bytes: &[u8]) {
    let Ok(view) = RecordView::parse(bytes) else { return };
    assert!(view.len() <= bytes.len());
    let source = Bytes::copy_from_slice(&bytes[..view.len()]);
    let view = RecordView::parse(&source).expect("the same bytes");
    let mut events = 0;
    for part in view.parts() {
        events += u64::from(part.event_count);
        let Ok(taken) = view.take(&part, &source) else { continue };
        assert_eq!(taken.events().filter(Option::is_some).count(), part.event_count as usize);
        assert!(taken.extras().is_some() && taken.last_version() == part.last_version());
        let _ = taken.metadata();
    }
    assert_eq!(view.event_count(), events);
    let _ = view.last_position();
    let _ = view.to_commit(&source);
}

/// The header's checksum as docs/format.md draws it: of everything from 8 to the end of the part headers.
fn put_header_checksum_right(bytes: &mut [u8], format: u8) -> bool {
    let Ok(length) = u32::try_from(bytes.len()) else { return false };
    if length < 40 {
        return false;
    }
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[8..10].copy_from_slice(&[format, 1]);
    let fixed = if format == 3 { 34 } else { 30 };
    let mut end = 40;
    for _ in 0..u16::from_le_bytes([bytes[10], bytes[11]]) {
        let Some(&[type_len, id_len]) = bytes.get(end + 28..end + 30).and_then(|lengths| lengths.first_chunk()) else {
            return false;
        };
        end += fixed + usize::from(type_len) + usize::from(id_len);
    }
    let Some(header) = bytes.get(8..end) else { return false };
    let crc = crc32c::crc32c(header);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    true
}

/// A commit of several parts, whose sizes and content are the bytes, is read as it was written; with a byte changed it is not.
fn there_and_back(data: &[u8]) {
    let Some((&parts, content)) = data.split_first() else { return };
    let size = content.len() / usize::from(parts % 4 + 1);
    let pieces: Vec<&[u8]> = content.chunks(size.max(1)).take(4).collect();
    let streams = (0..pieces.len()).map(|part| StreamId::new("fuzz", format!("f{part}")).expect("a good id"));
    // Half of the bytes that choose a number of parts choose extras, too.
    let carried = |index: usize, piece: &[u8]| (parts & 4 != 0).then(|| extras(index, piece));
    let all_parts = streams.zip(&pieces).enumerate().map(|(index, (stream, piece))| AppendPart {
        session: Session::new(stream, WriterEpoch::default(), ()),
        expected: ExpectedVersion::Any,
        events: match carried(index, piece).and_then(|extras| extras.key) {
            Some(key) => events(piece).with_key(&key),
            None => events(piece),
        },
        claims: Vec::new(),
    });
    let mut metadata = Vec::new();
    Metadata::default().encode(&Limits::default(), &mut metadata).expect("no entries");
    let append = Append { parts: all_parts.collect(), metadata, acknowledgement: Acknowledgement::from_fn(|_| ()) };
    let place = PartPlace { previous: CommitNumber::new(7), first_version: StreamVersion::new(9) };
    let places = vec![place; pieces.len()];
    let mut decided = DecidedClaims::default();
    for (index, piece) in pieces.iter().enumerate() {
        let facts = carried(index, piece).map_or_else(Vec::new, |extras| extras.claims);
        decided.facts.extend(facts.into_iter().map(|fact| (index, fact)));
    }
    let encoded = EncodedFacts::encode(&append, &decided);
    let mut bytes = Vec::new();
    record::encode(&append, CommitNumber::new(42), GlobalPosition::new(1_000), &places, &encoded, &mut bytes);
    assert_eq!(bytes.len(), record::encoded_len(&append, &encoded));
    let source = Bytes::from(bytes);
    let view = RecordView::parse(&source).expect("it was encoded");
    let commit = view.to_commit(&source).expect("it was encoded");
    assert_eq!((commit.number, commit.parts.len()), (CommitNumber::new(42), pieces.len()));
    for (index, ((_, part), piece)) in commit.parts.iter().zip(&pieces).enumerate() {
        assert_eq!(part.extras(), Some(carried(index, piece).unwrap_or_default()));
        let read: Vec<Noted> = part.events().map(|frame| frame.expect("whole").decode().expect("encoded")).collect();
        assert_eq!(read, noted(piece));
        assert_eq!(part.first_version, StreamVersion::new(9));
    }
    flipped(&source, data);
}

/// What a part carries beside its events, made of the bytes: facts of each kind, and a reply.
fn extras(index: usize, piece: &[u8]) -> RecordedExtras {
    let text: String = piece.iter().take(200).map(|byte| char::from(b' ' + byte % 95)).collect();
    let claim = ClaimName::new("fuzz", format!("c{text}")).expect("a good name");
    let stream = StreamId::new("fuzz", format!("s{text}")).expect("a good id");
    let length = piece.len() as u64;
    let expires_at = piece.len().is_multiple_of(2).then(|| Timestamp::from_micros(length));
    let claims = [
        ClaimFact::Taken { claim: claim.clone(), expires_at },
        ClaimFact::Moved { claim: claim.clone(), to: stream, expires_at },
        ClaimFact::Expired { claim: claim.clone(), since: CommitNumber::new(length) },
        ClaimFact::Released { claim },
    ];
    let outcome = if index == 0 { KeyOutcome::Reply } else { KeyOutcome::Rejection };
    let key = KeyRecord::new(&format!("k{text}"), length, outcome, 1, piece).expect("a good key");
    RecordedExtras { claims: claims.into_iter().take(piece.len() % 5).collect(), key: Some(key) }
}

/// One bit, chosen by the bytes, is changed: the commit is refused, or its length is another.
fn flipped(source: &Bytes, data: &[u8]) {
    let choice = data.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut damaged = source.to_vec();
    damaged[choice / 8 % source.len()] ^= 1 << (choice % 8);
    let damaged = Bytes::from(damaged);
    let read = RecordView::parse(&damaged).and_then(|view| view.to_commit(&damaged));
    assert!(read.is_err(), "a changed bit was not noticed");
}

fn noted(piece: &[u8]) -> Vec<Noted> {
    piece.chunks(17).map(|chunk| Noted::Noted(chunk.to_vec())).collect()
}

fn events(piece: &[u8]) -> EncodedEvents {
    EncodedEvents::encode(&noted(piece), CodecId::Bincode, &Limits::CEILING).expect("small")
}

/// Metadata: refused, or there and back.
pub(crate) fn metadata(data: &[u8]) {
    let Some(metadata) = Metadata::decode(data) else { return };
    let mut bytes = Vec::new();
    if metadata.encode(&Limits::CEILING, &mut bytes).is_ok() {
        assert_eq!(Metadata::decode(&bytes), Some(metadata));
    }
}
