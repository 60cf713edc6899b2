//! What is encoded decodes alike; what would not is refused when it is encoded.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Payload {
    name: String,
    amounts: Vec<u64>,
}

fn payload() -> Payload {
    Payload { name: "bob".into(), amounts: vec![1, 300, u64::MAX] }
}

#[test]
fn what_is_encoded_decodes_alike() {
    let codecs: &[CodecId] =
        if cfg!(feature = "json") { &[CodecId::Bincode, CodecId::Json] } else { &[CodecId::Bincode] };
    for codec in codecs {
        let mut bytes = Vec::new();
        codec.encode(&payload(), &mut PayloadWriter::new(&mut bytes, 1024)).unwrap();
        assert_eq!(codec.decode::<Payload>(&bytes), Ok(payload()));
        bytes.push(b'1');
        assert!(codec.decode::<Payload>(&bytes).is_err(), "{codec:?} took trailing bytes");
        assert_eq!(CodecId::from_number(codec.number()), Some(*codec));
    }
}

#[test]
fn an_oversized_payload_is_refused_while_it_is_written() {
    let mut bytes = Vec::new();
    let mut writer = PayloadWriter::new(&mut bytes, 10);
    assert!(CodecId::Bincode.encode(&"x".repeat(1000), &mut writer).is_err());
    assert!(writer.overflowed());
    assert!(bytes.len() <= 10);
}

#[test]
fn a_forged_length_is_an_error_and_no_allocation() {
    // Marker 253: a 64-bit length follows. It claims 2^60 bytes.
    let mut forged = vec![253];
    forged.extend((1u64 << 60).to_le_bytes());
    assert!(matches!(Bincode::decode::<String>(&forged), Err(CodecError::Decode(_))));
    assert!(matches!(Bincode::decode::<Vec<u64>>(&forged), Err(CodecError::Decode(_))));
}

/// All that serde knows, several levels deep.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Anything {
    Nothing,
    Wide(u128, i128, u64, i64),
    Narrow { byte: u8, letter: char, yes: bool, unit: () },
    Float(f64, f32),
    Text(String, Vec<u8>),
    Perhaps(Option<Option<u64>>),
    PerhapsFloat(Option<f64>),
    PerhapsUnit(Option<()>),
    Many(Vec<Anything>),
    Named(BTreeMap<String, Anything>),
    Numbered(BTreeMap<u64, Anything>),
    Boxed(Box<Anything>),
}

fn anything() -> impl Strategy<Value = Anything> {
    let leaf = prop_oneof![
        Just(Anything::Nothing),
        any::<(u128, i128, u64, i64)>().prop_map(|(a, b, c, d)| Anything::Wide(a, b, c, d)),
        any::<(u8, char, bool)>().prop_map(|(byte, letter, yes)| Anything::Narrow { byte, letter, yes, unit: () }),
        (proptest::num::f64::ANY, proptest::num::f32::ANY).prop_map(|(wide, narrow)| Anything::Float(wide, narrow)),
        (".{0,9}", proptest::collection::vec(any::<u8>(), 0..9)).prop_map(|(text, bytes)| Anything::Text(text, bytes)),
        any::<Option<Option<u64>>>().prop_map(Anything::Perhaps),
        proptest::option::of(proptest::num::f64::ANY).prop_map(Anything::PerhapsFloat),
        any::<Option<()>>().prop_map(Anything::PerhapsUnit),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Anything::Many),
            proptest::collection::btree_map(".{0,5}", inner.clone(), 0..4).prop_map(Anything::Named),
            proptest::collection::btree_map(any::<u64>(), inner.clone(), 0..4).prop_map(Anything::Numbered),
            inner.prop_map(|inner| Anything::Boxed(Box::new(inner))),
        ]
    })
}

fn codecs() -> &'static [CodecId] {
    if cfg!(feature = "json") { &[CodecId::Bincode, CodecId::Json] } else { &[CodecId::Bincode] }
}

/// NaN is not equal to itself: what counts is that the same is encoded again.
#[track_caller]
fn check<T: Serialize + DeserializeOwned>(codec: CodecId, value: &T, bytes_max: usize) -> bool {
    let (mut bytes, mut again) = (Vec::new(), Vec::new());
    if codec.encode(value, &mut PayloadWriter::new(&mut bytes, bytes_max)).is_err() {
        return false;
    }
    let decoded = codec.decode::<T>(&bytes).expect("what was accepted decodes");
    codec.encode(&decoded, &mut PayloadWriter::new(&mut again, bytes_max)).expect("and encodes again");
    assert!(bytes == again, "{codec:?}: it came back changed");
    let (mut before, mut after) = (Vec::new(), Vec::new());
    Bincode::encode(value, &mut PayloadWriter::new(&mut before, usize::MAX)).unwrap();
    Bincode::encode(&decoded, &mut PayloadWriter::new(&mut after, usize::MAX)).unwrap();
    assert!(before == after, "{codec:?}: it came back changed");
    true
}

proptest! {
    /// P11, P12: no event that was acknowledged turns out to be unreadable, or to be another one.
    #[test]
    fn what_encode_accepts_decode_accepts_and_equals(value in anything()) {
        for codec in codecs() {
            let accepted = check(*codec, &value, usize::MAX);
            prop_assert!(accepted || *codec == CodecId::Json, "bincode says everything");
        }
    }
}

/// P12: the decoder counts an integer in its full width; small values in a large payload must not exhaust its limit.
#[test]
fn large_payload_of_small_integers_decodes() {
    let ceiling = Limits::CEILING.event_bytes_max;
    assert!(check(CodecId::Bincode, &vec![1u64; 3_000_000], ceiling));
    assert!(check(CodecId::Bincode, &vec![1u128; 1024 * 1024 - 5], ceiling));
    assert!(check(CodecId::Bincode, &vec![1u128; 1_200_000], ceiling));
}

/// P12: what JSON would turn into something else is refused, with a word that says why.
#[cfg(feature = "json")]
#[test]
fn what_json_cannot_say_is_refused() {
    #[track_caller]
    fn refused<T: Serialize>(value: &T) -> String {
        let mut bytes = Vec::new();
        let refused = Json::encode(value, &mut PayloadWriter::new(&mut bytes, usize::MAX));
        assert!(bytes.is_empty());
        refused.expect_err("JSON cannot say it").to_string()
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(refused(&Anything::Float(number, 0.0)).contains("JSON has no number"));
        assert!(refused(&Anything::PerhapsFloat(Some(number))).contains("JSON has no number"));
    }
    assert!(refused(&f32::NAN).contains("JSON has no number"));
    assert!(refused(&Anything::Perhaps(Some(None))).contains("empty option"));
    assert!(refused(&Anything::PerhapsUnit(Some(()))).contains("empty option"));
    let deep = |levels| (0..levels).fold(Anything::Nothing, |inner, _| Anything::Boxed(Box::new(inner)));
    assert!(check(CodecId::Json, &deep(127), usize::MAX));
    assert!(refused(&deep(128)).contains("levels"));
    let many = |levels| (0..levels).fold(Anything::Nothing, |inner, _| Anything::Many(vec![inner]));
    assert!(check(CodecId::Json, &many(63), usize::MAX));
    assert!(refused(&many(64)).contains("levels"));
}
