//! The codecs: what is encoded decodes to the same, or is refused when it is encoded.

use std::collections::BTreeMap;

use onefold::{CodecId, PayloadWriter};
use serde::{Deserialize, Serialize};

/// All that serde knows, several levels deep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    Yes(BTreeMap<bool, Option<Anything>>),
    Boxed(Box<Anything>),
}

const BYTES_MAX: usize = 1 << 20;

fn encoded(codec: CodecId, value: &Anything) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut PayloadWriter::new(&mut bytes, BYTES_MAX)).ok().map(|()| bytes)
}

/// A value, made of the bytes by bincode, there and back by both codecs.
pub(crate) fn value(data: &[u8]) {
    let Ok(value) = CodecId::Bincode.decode::<Anything>(data) else { return };
    let canonical = encoded(CodecId::Bincode, &value).expect("bincode has a word for everything");
    for codec in [CodecId::Bincode, CodecId::Json] {
        let Some(bytes) = encoded(codec, &value) else { continue };
        let again = codec.decode::<Anything>(&bytes).unwrap_or_else(|error| panic!("{codec:?}, {value:?}: {error}"));
        // Compared by its bytes: a number may be unequal to itself.
        let same = encoded(CodecId::Bincode, &again);
        assert_eq!(same.as_deref(), Some(&*canonical), "{codec:?}: {value:?} came back as {again:?}");
    }
}

/// JSON that nobody of us wrote: refused, or of the shape that it is read as.
pub(crate) fn json(data: &[u8]) {
    let Ok(value) = CodecId::Json.decode::<Anything>(data) else { return };
    let Some(bytes) = encoded(CodecId::Json, &value) else { return };
    let again = CodecId::Json.decode::<Anything>(&bytes).expect("it was encoded");
    assert_eq!(encoded(CodecId::Bincode, &again), encoded(CodecId::Bincode, &value), "{value:?}");
}
