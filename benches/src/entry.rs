//! The content of an event under load: exactly as many bytes as asked for, and all of them can be checked.
//!
//! ```text
//! length prefix (bincode: 1 byte up to 250, then 3, then 5) │ sequence u64 │ nonce u64 │ filler, which follows from the nonce
//! ```
//!
//! In memory an entry is three numbers, whatever its size on disk: what is measured is the journal and the runtime,
//! not this harness' allocations. The raw limit writes the same bytes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::rng::mix;

/// Bytes in front of the filler.
const FIXED_BYTES: usize = 16;

/// The smallest and the largest payload that can be asked for.
pub const EVENT_BYTES: std::ops::RangeInclusive<u32> = 17..=1_048_576;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in its stream, given by the aggregate: 1, 2, 3 …
    pub sequence: u64,
    /// What the client sent with the command.
    pub nonce: u64,
    /// Encoded bytes behind the length prefix.
    content_bytes: u32,
}

impl Entry {
    /// An entry that encodes to `event_bytes` bytes.
    pub fn new(sequence: u64, nonce: u64, event_bytes: u32) -> Self {
        Entry { sequence, nonce, content_bytes: event_bytes - prefix_bytes(event_bytes) }
    }

    /// A digest of what the entry says. The sum over a stream is the same for whoever wrote it and whoever reads it.
    pub fn digest(sequence: u64, nonce: u64) -> u64 {
        mix(nonce ^ mix(sequence))
    }

    /// Whether some entry encodes to exactly so many bytes: where the prefix grows, two sizes are skipped.
    pub fn fits(event_bytes: u32) -> bool {
        EVENT_BYTES.contains(&event_bytes) && {
            let content = event_bytes - prefix_bytes(event_bytes);
            content + encoded_prefix_bytes(content) == event_bytes
        }
    }

    fn fill(&self, content: &mut [u8]) {
        content[..8].copy_from_slice(&self.sequence.to_le_bytes());
        content[8..FIXED_BYTES].copy_from_slice(&self.nonce.to_le_bytes());
        let mut filler = mix(self.nonce);
        for chunk in content[FIXED_BYTES..].chunks_mut(8) {
            chunk.copy_from_slice(&filler.to_le_bytes()[..chunk.len()]);
            filler = filler.wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
    }
}

/// The prefix of a payload of so many bytes, prefix included.
fn prefix_bytes(event_bytes: u32) -> u32 {
    match event_bytes {
        0..=251 => 1,
        252..=65_538 => 3,
        _ => 5,
    }
}

/// The prefix that bincode gives to so many bytes.
fn encoded_prefix_bytes(content_bytes: u32) -> u32 {
    match content_bytes {
        0..=250 => 1,
        251..=65_535 => 3,
        _ => 5,
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let len = self.content_bytes as usize;
        let mut small = [0; 1024];
        match small.get_mut(..len) {
            Some(content) => {
                self.fill(content);
                serializer.serialize_bytes(content)
            }
            None => {
                let mut content = vec![0; len];
                self.fill(&mut content);
                serializer.serialize_bytes(&content)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Content)
    }
}

struct Content;

impl de::Visitor<'_> for Content {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sequence, nonce, and the filler that follows from the nonce")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Entry, E> {
        let parts = bytes.split_first_chunk().and_then(|(sequence, rest)| Some((sequence, rest.first_chunk()?)));
        let (sequence, nonce) = parts.ok_or_else(|| E::invalid_length(bytes.len(), &self))?;
        let content_bytes = u32::try_from(bytes.len()).map_err(|_| E::invalid_length(bytes.len(), &self))?;
        let (sequence, nonce) = (u64::from_le_bytes(*sequence), u64::from_le_bytes(*nonce));
        let entry = Entry { sequence, nonce, content_bytes };
        match entry.is_filled(bytes) {
            true => Ok(entry),
            false => Err(E::custom(format_args!("the filler of entry {sequence} is not what was written"))),
        }
    }
}

impl Entry {
    fn is_filled(&self, content: &[u8]) -> bool {
        let mut filler = mix(self.nonce);
        content[FIXED_BYTES..].chunks(8).all(|chunk| {
            let same = *chunk == filler.to_le_bytes()[..chunk.len()];
            filler = filler.wrapping_add(0x9e37_79b9_7f4a_7c15);
            same
        })
    }
}

#[cfg(test)]
mod tests {
    use onefold::{CodecId, PayloadWriter};

    use super::*;

    fn encoded(entry: &Entry) -> Vec<u8> {
        let mut bytes = Vec::new();
        CodecId::Bincode.encode(entry, &mut PayloadWriter::new(&mut bytes, 2_000_000)).unwrap();
        bytes
    }

    #[test]
    fn an_entry_has_the_bytes_asked_for_and_comes_back() {
        for bytes in [17, 18, 80, 250, 251, 254, 255, 1_026, 1_028, 5_000, 65_538, 65_541, 1_048_576] {
            let entry = Entry::new(300, u64::MAX / 3, bytes);
            assert!(Entry::fits(bytes), "{bytes}");
            assert_eq!(encoded(&entry).len(), bytes as usize);
            assert_eq!(CodecId::Bincode.decode::<Entry>(&encoded(&entry)), Ok(entry));
        }
        for bytes in [0, 16, 252, 253, 65_539, 65_540, 1_048_577] {
            assert!(!Entry::fits(bytes), "{bytes}");
        }
    }

    #[test]
    fn a_changed_filler_does_not_decode() {
        let mut bytes = encoded(&Entry::new(1, 2, 80));
        *bytes.last_mut().unwrap() ^= 1;
        assert!(CodecId::Bincode.decode::<Entry>(&bytes).is_err());
    }
}
