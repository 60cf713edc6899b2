//! The rules of the name under which a caller may repeat a command without a second effect.

use crate::{AggregateId, InvalidId};

/// An idempotency key that breaks the rules: it is 1 to 255 bytes of text without control characters. It is the key of one
/// aggregate: the same text is another key elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// Nothing there.
    #[error("an idempotency key must not be empty")]
    Empty,
    /// Too many bytes.
    #[error("an idempotency key may have {limit} bytes, this one has {actual}: use a digest of it")]
    TooLong {
        /// Its length in bytes.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A control character, such as a newline.
    #[error("an idempotency key must not hold control characters: \"{key}\"")]
    ControlCharacter {
        /// The key, escaped.
        key: String,
    },
}

impl InvalidKey {
    /// The length of a key that is within the rules.
    pub(crate) fn check(key: &str) -> Result<u8, InvalidKey> {
        match AggregateId::check(key) {
            #[expect(clippy::cast_possible_truncation, reason = "255 bytes at most")]
            Ok(()) => Ok(key.len() as u8),
            Err(InvalidId::TooLong { actual, limit }) => Err(InvalidKey::TooLong { actual, limit }),
            Err(InvalidId::ControlCharacter { id }) => Err(InvalidKey::ControlCharacter { key: id }),
            Err(_) => Err(InvalidKey::Empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked() {
        assert_eq!(InvalidKey::check("ä b/1"), Ok(6));
        assert_eq!(InvalidKey::check(""), Err(InvalidKey::Empty));
        assert_eq!(InvalidKey::check(&"x".repeat(255)), Ok(255));
        assert_eq!(InvalidKey::check(&"x".repeat(256)), Err(InvalidKey::TooLong { actual: 256, limit: 255 }));
        assert!(matches!(InvalidKey::check("a\tb"), Err(InvalidKey::ControlCharacter { .. })));
    }
}
