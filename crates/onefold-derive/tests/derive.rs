//! What `derive(Event)` promises about bytes: round trips, independence of the enum's layout, and never a guess.

use std::collections::BTreeMap;

use onefold_core::{CodecError, CodecId, DecodeError, Event, EventType, PayloadWriter};
use onefold_derive::Event;
use serde::{Deserialize, Serialize};

const CODECS: [CodecId; 2] = [CodecId::Bincode, CodecId::Json];

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(prefix = "account", crate = "onefold_core")]
enum AccountEvent {
    Deposited {
        amount: u64,
    },
    Withdrawn {
        amount: u64,
        note: Option<String>,
    },
    Closed,
    Renamed(String),
    Moved(String, u32),
    Audited {},
    Checked(),
    #[event(name = "account.frozen", revision = 3)]
    Blocked {
        reasons: Vec<String>,
        by: BTreeMap<String, i64>,
    },
}

fn one_of_each() -> Vec<AccountEvent> {
    vec![
        AccountEvent::Deposited { amount: 300 },
        AccountEvent::Withdrawn { amount: 1, note: Some("rent".into()) },
        AccountEvent::Withdrawn { amount: u64::MAX, note: None },
        AccountEvent::Closed,
        AccountEvent::Renamed("Bobby".into()),
        AccountEvent::Moved("here".into(), 7),
        AccountEvent::Audited {},
        AccountEvent::Checked(),
        AccountEvent::Blocked { reasons: vec!["debt".into()], by: BTreeMap::from([("bank".into(), -1)]) },
    ]
}

fn encoded<E: Event>(event: &E, codec: CodecId) -> Vec<u8> {
    let mut bytes = Vec::new();
    event.encode(codec, &mut PayloadWriter::new(&mut bytes, 4096)).unwrap();
    bytes
}

/// Stores `written` and reads it as an `R`, as another version of the program would.
fn reread<W: Event, R: Event>(written: &W, codec: CodecId) -> Result<R, DecodeError> {
    let EventType { name, revision } = written.event_type();
    R::decode(name, revision, codec, &encoded(written, codec))
}

#[test]
fn every_kind_of_variant_comes_back() {
    for codec in CODECS {
        for event in one_of_each() {
            assert_eq!(reread::<_, AccountEvent>(&event, codec), Ok(event.clone()), "{codec:?}");
        }
    }
}

#[test]
fn names_and_revisions_stand_as_declared() {
    let expected = [
        ("account.deposited", 1),
        ("account.withdrawn", 1),
        ("account.closed", 1),
        ("account.renamed", 1),
        ("account.moved", 1),
        ("account.audited", 1),
        ("account.checked", 1),
        ("account.frozen", 3),
    ];
    assert_eq!(AccountEvent::TYPES, expected.map(|(name, revision)| EventType { name, revision }));
    assert_eq!(one_of_each()[8].event_type(), EventType { name: "account.frozen", revision: 3 });
}

#[test]
fn only_the_fields_are_stored() {
    assert_eq!(encoded(&AccountEvent::Deposited { amount: 7 }, CodecId::Bincode), [7]);
    assert_eq!(encoded(&AccountEvent::Deposited { amount: 7 }, CodecId::Json), br#"{"amount":7}"#);
    assert_eq!(encoded(&AccountEvent::Renamed("Bob".into()), CodecId::Bincode), b"\x03Bob");
    for empty in [AccountEvent::Closed, AccountEvent::Audited {}, AccountEvent::Checked()] {
        assert!(encoded(&empty, CodecId::Bincode).is_empty(), "{empty:?}");
    }
}

#[test]
fn reordered_variants_write_the_same_bytes() {
    #[derive(Debug, PartialEq, Event)]
    #[event(prefix = "account", crate = "onefold_core")]
    enum Reordered {
        Renamed(String),
        Withdrawn {
            amount: u64,
            note: Option<String>,
        },
        #[event(name = "account.deposited")]
        PaidIn {
            amount: u64,
        },
    }
    for codec in CODECS {
        let (before, after) = (AccountEvent::Deposited { amount: 9 }, Reordered::PaidIn { amount: 9 });
        assert_eq!(before.event_type(), after.event_type());
        assert_eq!(encoded(&before, codec), encoded(&after, codec));
        assert_eq!(reread(&AccountEvent::Renamed("B".into()), codec), Ok(Reordered::Renamed("B".into())));
    }
}

#[test]
fn a_changed_shape_without_a_new_revision_is_an_error() {
    #[derive(Debug, PartialEq, Event)]
    #[event(prefix = "account", crate = "onefold_core")]
    enum Changed {
        /// A field was added; serde alone would read a missing `Option` from JSON as `None`.
        Deposited {
            amount: u64,
            note: Option<String>,
        },
        /// A field was removed.
        Withdrawn {
            amount: u64,
        },
        /// A field was added to a unit variant.
        Closed {
            when: Option<u64>,
        },
        /// Likewise to a tuple.
        Renamed(String, Option<String>),
        Audited,
    }
    for codec in CODECS {
        for written in &one_of_each()[..5] {
            let read = reread::<_, Changed>(written, codec);
            assert!(matches!(read, Err(DecodeError::Payload { .. })), "{codec:?} read {written:?} as {read:?}");
        }
    }
    let read = reread::<_, Changed>(&AccountEvent::Withdrawn { amount: 1, note: None }, CodecId::Bincode);
    let error = CodecError::TrailingBytes { read: 1, len: 2 };
    assert_eq!(read, Err(DecodeError::Payload { name: "account.withdrawn".into(), revision: 1, error }));
}

#[test]
fn an_unknown_name_or_revision_is_named() {
    for codec in CODECS {
        let name = || String::from("account.exploded");
        let unknown = AccountEvent::decode("account.exploded", 1, codec, &[]);
        assert_eq!(unknown, Err(DecodeError::UnknownEvent { name: name(), revision: 1 }));
        for revision in [0, 1, 2, 4] {
            let unknown = AccountEvent::decode("account.frozen", revision, codec, &[]);
            let name = String::from("account.frozen");
            assert_eq!(unknown, Err(DecodeError::UnknownRevision { name, revision, known: 3 }));
        }
    }
}

#[test]
fn trailing_bytes_are_an_error() {
    for codec in CODECS {
        for event in one_of_each() {
            let EventType { name, revision } = event.event_type();
            let mut bytes = encoded(&event, codec);
            bytes.push(b'1');
            let read = AccountEvent::decode(name, revision, codec, &bytes);
            assert!(matches!(read, Err(DecodeError::Payload { .. })), "{codec:?} read {event:?} as {read:?}");
        }
    }
}

#[test]
fn every_truncated_payload_is_an_error() {
    for codec in CODECS {
        for event in one_of_each() {
            let EventType { name, revision } = event.event_type();
            let bytes = encoded(&event, codec);
            for len in 0..bytes.len() {
                let read = AccountEvent::decode(name, revision, codec, &bytes[..len]);
                assert!(
                    matches!(read, Err(DecodeError::Payload { .. })),
                    "{codec:?} read {len} of {event:?}: {read:?}"
                );
            }
        }
    }
}

/// A module for `#[serde(with)]`; the trait bound would not hold for one more reference.
mod doubled {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) trait Double {
        fn double(&self) -> u64;
    }

    impl Double for u64 {
        fn double(&self) -> u64 {
            self * 2
        }
    }

    pub(crate) fn serialize<T: Double, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.double())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        Ok(u64::deserialize(deserializer)? / 2)
    }
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(prefix = "odd", crate = "onefold_core")]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum OddEvent {
    Plain {
        first_field: u8,
    },
    #[serde(rename_all = "SCREAMING_SNAKE_CASE", rename = "whatever")]
    Loud {
        first_field: u8,
    },
    Carried {
        #[serde(rename = "id", with = "doubled")]
        number: u64,
        #[serde(serialize_with = "doubled::serialize", deserialize_with = "doubled::deserialize")]
        twice: u64,
    },
    CarriedTuple(#[serde(with = "self::doubled")] u64, u8),
    /// Fields named like what the generated code handles, and a type that names itself.
    Named {
        codec: u8,
        out: u8,
        name: u8,
        revision: u8,
        payload: u8,
        r#type: u8,
        before: Vec<Self>,
    },
    #[deprecated]
    Old,
    #[expect(clippy::upper_case_acronyms, reason = "named like the constant that the derive generates")]
    TYPES,
    HTTPFailed2(u16),
}

#[test]
fn serde_attributes_of_fields_are_carried_over() {
    let json = |event: &OddEvent| String::from_utf8(encoded(event, CodecId::Json)).unwrap();
    assert_eq!(json(&OddEvent::Plain { first_field: 1 }), r#"{"firstField":1}"#);
    assert_eq!(json(&OddEvent::Loud { first_field: 1 }), r#"{"FIRST_FIELD":1}"#);
    assert_eq!(json(&OddEvent::Carried { number: 4, twice: 5 }), r#"{"id":8,"twice":10}"#);
    assert_eq!(encoded(&OddEvent::Carried { number: 4, twice: 5 }, CodecId::Bincode), [8, 10]);
    assert_eq!(encoded(&OddEvent::CarriedTuple(4, 5), CodecId::Bincode), [8, 5]);
}

#[test]
fn odd_enums_come_back_too() {
    let nested = OddEvent::HTTPFailed2(404);
    let events = [
        OddEvent::Plain { first_field: 1 },
        OddEvent::Loud { first_field: 2 },
        OddEvent::Carried { number: 4, twice: 5 },
        OddEvent::CarriedTuple(1, 2),
        OddEvent::Named { codec: 1, out: 2, name: 3, revision: 4, payload: 5, r#type: 6, before: vec![nested.clone()] },
        OddEvent::TYPES,
        nested,
    ];
    for codec in CODECS {
        for event in &events {
            assert_eq!(reread::<_, OddEvent>(event, codec).as_ref(), Ok(event), "{codec:?}");
        }
    }
    let names: Vec<_> = <OddEvent as Event>::TYPES.iter().map(|kind| kind.name).collect();
    assert!(names.ends_with(&["odd.named", "odd.old", "odd.types", "odd.http_failed2"]), "{names:?}");
}

#[test]
fn discriminants_and_representations_do_not_matter() {
    #[derive(Debug, PartialEq, Event)]
    #[event(prefix = "step", crate = "::onefold_core")]
    #[repr(u8)]
    enum Step {
        Begun = 7,
        Ended = 3,
    }
    assert_eq!(reread::<_, Step>(&Step::Begun, CodecId::Bincode), Ok(Step::Begun));
    assert_eq!(reread::<_, Step>(&Step::Ended, CodecId::Json), Ok(Step::Ended));
}

#[test]
fn a_payload_beyond_the_limit_is_refused_while_it_is_written() {
    let mut bytes = Vec::new();
    let mut writer = PayloadWriter::new(&mut bytes, 16);
    assert!(AccountEvent::Renamed("x".repeat(1000)).encode(CodecId::Bincode, &mut writer).is_err());
    assert!(writer.overflowed() && bytes.len() <= 16);
}
