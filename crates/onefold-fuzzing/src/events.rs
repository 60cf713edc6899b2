//! `derive(Event)`: arbitrary payloads under every name and revision that is declared, and under some that are not.

use std::collections::BTreeMap;

use onefold::journal::EventFrames;
use onefold::{CodecId, Event, PayloadWriter};

/// Events of all shapes.
#[derive(Debug, PartialEq, Event)]
#[event(prefix = "fuzz")]
enum FuzzEvent {
    Nothing,
    Number {
        amount: u64,
        signed: i128,
    },
    Text(String, Option<String>),
    #[event(revision = 2)]
    Many {
        bytes: Vec<u8>,
        names: BTreeMap<String, Vec<u32>>,
    },
    #[event(name = "fuzz.renamed", revision = 7)]
    Choice(Option<Choice>, bool, char),
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Choice {
    One,
    Other { depth: Box<Option<Choice>>, weight: f64 },
}

/// What decodes is of the declared shape, and encodes to what decodes to the same.
pub(crate) fn event(data: &[u8]) {
    let Some((&[kind, revision, codec], payload)) = data.split_first_chunk() else { return };
    let frames = EventFrames::new(payload, u32::from(kind));
    let well_formed = frames.clone().is_well_formed();
    assert_eq!(frames.clone().filter(Option::is_none).count() == 0 && well_formed, well_formed);
    frames.flatten().for_each(|frame| drop(frame.decode::<FuzzEvent>()));

    let declared = FuzzEvent::TYPES[usize::from(kind) % FuzzEvent::TYPES.len()];
    let revision = if revision < 128 { declared.revision } else { u16::from(revision) };
    let codec = if codec < 128 { CodecId::Bincode } else { CodecId::Json };
    let Ok(event) = FuzzEvent::decode(declared.name, revision, codec, payload) else { return };
    assert_eq!(event.event_type(), declared);
    assert_eq!(revision, declared.revision, "a revision that is not declared was decoded");
    let mut encoded = Vec::new();
    if event.encode(codec, &mut PayloadWriter::new(&mut encoded, 1 << 20)).is_err() {
        // JSON has no word for some numbers; bincode has one for everything.
        assert_eq!(codec, CodecId::Json);
        return;
    }
    let again = FuzzEvent::decode(declared.name, revision, codec, &encoded).expect("it was encoded");
    // Compared by what it encodes to: a number may be unequal to itself.
    let mut twice = Vec::new();
    again.encode(codec, &mut PayloadWriter::new(&mut twice, 1 << 20)).expect("it was decoded");
    assert_eq!(twice, encoded);
    encoded.push(0);
    assert!(FuzzEvent::decode(declared.name, revision, codec, &encoded).is_err(), "bytes left over");
}
