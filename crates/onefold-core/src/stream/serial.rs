//! Ids in a user's own types, such as rejections: as their text, checked when they are read.

use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AggregateId, StreamId};

impl Serialize for AggregateId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AggregateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AggregateId::new(Cow::<'de, str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for StreamId {
    /// As `type/id`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::{AggregateId, CodecError, CodecId, PayloadWriter, StreamId};

    fn bytes_of(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        CodecId::Bincode.encode(&text, &mut PayloadWriter::new(&mut bytes, 1000)).unwrap();
        bytes
    }

    #[test]
    fn ids_are_read_back_and_checked() {
        let (id, stream) = (AggregateId::new("ada").unwrap(), StreamId::new("account", "ä/1").unwrap());
        let mut bytes = Vec::new();
        CodecId::Bincode.encode(&(id.clone(), stream.clone()), &mut PayloadWriter::new(&mut bytes, 1000)).unwrap();
        assert_eq!(CodecId::Bincode.decode::<(AggregateId, StreamId)>(&bytes).unwrap(), (id, stream));
        let refused = |error: CodecError| error.to_string();
        assert!(CodecId::Bincode.decode::<AggregateId>(&bytes_of("")).map_err(refused).is_err());
        assert!(CodecId::Bincode.decode::<StreamId>(&bytes_of("ada")).map_err(refused).is_err());
    }
}
