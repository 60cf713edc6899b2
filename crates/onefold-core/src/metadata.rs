//! What is known about a command besides its payload, stored with its events.

use std::fmt;

use crate::{Limits, Timestamp, TooLarge};

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(u128);

        impl $name {
            /// From 128 bits, such as a UUID's.
            pub const fn from_u128(bits: u128) -> Self {
                $name(bits)
            }

            /// The 128 bits.
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

identity! {
    /// Identifies one command, for ever. Given by the runtime at admission.
    CommandId
}

identity! {
    /// Ties together all commands that serve one purpose: a transfer's withdrawal, its deposit, its compensation. 0 stands
    /// for none: the runtime gives one in its place.
    CorrelationId
}

/// A command's metadata. It is stored once per commit and comes back with the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Which command this is.
    pub command_id: CommandId,
    /// Which purpose it serves; by default its own id, or the caller's correlation when asked from inside a handler.
    pub correlation_id: CorrelationId,
    /// Which command caused this one, if any.
    pub causation_id: Option<CommandId>,
    /// When it was admitted, by the runtime's clock. Decides nothing.
    pub timestamp: Timestamp,
    /// The caller's own entries.
    pub entries: MetadataEntries,
}

/// Key-value pairs of the caller's own, in order of insertion. Without entries it holds no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataEntries(Vec<(String, String)>);

impl MetadataEntries {
    /// Sets a key's value; the last one set counts.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// A key's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// All pairs, in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The memory they hold, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let texts = self.0.iter().map(|(key, value)| key.capacity() + value.capacity()).sum::<usize>();
        self.0.capacity() * size_of::<(String, String)>() + texts
    }
}

/// Flags in front of the stored form.
mod flag {
    pub(super) const CORRELATION: u8 = 1;
    pub(super) const CAUSATION: u8 = 2;
    pub(super) const ENTRIES: u8 = 4;
}

/// The stored form, all integers little-endian. A correlation equal to the command id is left out.
///
/// ```text
/// flags u8 │ timestamp u64 │ command id u128 │ [correlation u128] │ [causation u128]
///          │ [entries u16, then each: key length u32, key, value length u32, value]
/// ```
impl Metadata {
    /// Appends the stored form to `out`.
    ///
    /// # Errors
    ///
    /// [`TooLarge::Metadata`] when the entries are too large; `out` is untouched then.
    pub fn encode(&self, limits: &Limits, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        let actual = self.encoded_len();
        if actual > limits.metadata_bytes_max || self.entries.len() > usize::from(u16::MAX) {
            return Err(TooLarge::Metadata { actual, limit: limits.metadata_bytes_max });
        }
        let correlated = self.correlation_id.as_u128() != self.command_id.as_u128();
        let mut flags = 0;
        flags |= if correlated { flag::CORRELATION } else { 0 };
        flags |= if self.causation_id.is_some() { flag::CAUSATION } else { 0 };
        flags |= if self.entries.is_empty() { 0 } else { flag::ENTRIES };
        out.push(flags);
        out.extend(self.timestamp.as_micros().to_le_bytes());
        out.extend(self.command_id.as_u128().to_le_bytes());
        if correlated {
            out.extend(self.correlation_id.as_u128().to_le_bytes());
        }
        if let Some(causation) = self.causation_id {
            out.extend(causation.as_u128().to_le_bytes());
        }
        if !self.entries.is_empty() {
            self.encode_entries(out);
        }
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked against metadata_bytes_max, which is at most 1 MiB")]
    fn encode_entries(&self, out: &mut Vec<u8>) {
        out.extend((self.entries.len() as u16).to_le_bytes());
        for text in self.entries.iter().flat_map(|(key, value)| [key, value]) {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }
    }

    fn encoded_len(&self) -> usize {
        let entries: usize = self.entries.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
        1 + 8 + 16 + 16 + 16 + 2 + entries
    }

    /// Reads the stored form back; `None` when the bytes are not one, to the last byte.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [flags] = take(&mut rest)?;
        let timestamp = Timestamp::from_micros(u64::from_le_bytes(take(&mut rest)?));
        let command_id = CommandId(u128::from_le_bytes(take(&mut rest)?));
        let correlation_id = match flags & flag::CORRELATION {
            0 => CorrelationId(command_id.0),
            _ => CorrelationId(u128::from_le_bytes(take(&mut rest)?)),
        };
        let causation_id = match flags & flag::CAUSATION {
            0 => None,
            _ => Some(CommandId(u128::from_le_bytes(take(&mut rest)?))),
        };
        let mut entries = MetadataEntries::default();
        if flags & flag::ENTRIES != 0 {
            for _ in 0..u16::from_le_bytes(take(&mut rest)?) {
                entries.0.push((take_text(&mut rest)?, take_text(&mut rest)?));
            }
        }
        let known = flag::CORRELATION | flag::CAUSATION | flag::ENTRIES;
        let whole = rest.is_empty() && flags & !known == 0;
        whole.then_some(Metadata { command_id, correlation_id, causation_id, timestamp, entries })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    String::from_utf8(head.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_metadata() -> impl Strategy<Value = Metadata> {
        let entries = proptest::collection::vec((".{0,12}", ".{0,12}"), 0..4);
        (any::<u128>(), proptest::option::of(any::<u128>()), proptest::option::of(any::<u128>()), any::<u64>(), entries)
            .prop_map(|(command, correlation, causation, micros, pairs)| {
                let mut entries = MetadataEntries::default();
                pairs.into_iter().for_each(|(key, value)| entries.set(key, value));
                Metadata {
                    command_id: CommandId(command),
                    correlation_id: CorrelationId(correlation.unwrap_or(command)),
                    causation_id: causation.map(CommandId),
                    timestamp: Timestamp::from_micros(micros),
                    entries,
                }
            })
    }

    proptest! {
        #[test]
        fn metadata_comes_back_as_stored(metadata in any_metadata()) {
            let mut bytes = Vec::new();
            metadata.encode(&Limits::default(), &mut bytes).unwrap();
            prop_assert_eq!(Metadata::decode(&bytes), Some(metadata));
            for cut in 0..bytes.len() {
                prop_assert_eq!(Metadata::decode(&bytes[..cut]), None);
            }
            bytes.push(0);
            prop_assert_eq!(Metadata::decode(&bytes), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Metadata::decode(&bytes);
        }
    }

    #[test]
    fn oversized_metadata_is_refused() {
        let mut metadata = Metadata::default();
        metadata.entries.set("note", "x".repeat(17 * 1024));
        let mut bytes = Vec::new();
        let refused = metadata.encode(&Limits::default(), &mut bytes);
        assert!(matches!(refused, Err(TooLarge::Metadata { limit: 16_384, .. })));
        assert!(bytes.is_empty());
    }
}
