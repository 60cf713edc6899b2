//! JSON, and a look ahead at what JSON would lose without a word.

mod faithful;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::faithful::Faithful;
use super::{Codec, CodecError, CodecId, PayloadWriter};

/// JSON by `serde_json`.
///
/// What JSON cannot say is refused when it is written, not found out when it is read: a number that is not finite, an
/// option within an option, more levels than a reader takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Codec for Json {
    const ID: CodecId = CodecId::Json;

    fn encode<T: Serialize>(value: &T, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        value.serialize(Faithful::new()).map_err(|lost| CodecError::Encode(lost.to_string()))?;
        serde_json::to_writer(out, value).map_err(|error| CodecError::Encode(error.to_string()))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| CodecError::Decode(error.to_string()))
    }
}
