//! The name under which a caller may repeat a command without a second effect.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::{AggregateId, InvalidId};

/// A caller's idempotency key: 1 to 255 bytes of text without control characters. It is the key of one aggregate: the same
/// text is another key elsewhere. Cheap to clone.
///
/// ```
/// use onefold_core::IdempotencyKey;
/// assert_eq!(IdempotencyKey::new("req-7f3")?.as_str(), "req-7f3");
/// assert!(IdempotencyKey::new("").is_err());
/// # Ok::<_, onefold_core::InvalidKey>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Checks and wraps a key.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when it is empty, longer than 255 bytes, or holds a control character.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidKey> {
        let key = key.as_ref();
        match AggregateId::check(key) {
            Ok(()) => Ok(IdempotencyKey(key.into())),
            Err(InvalidId::TooLong { actual, limit }) => Err(InvalidKey::TooLong { actual, limit }),
            Err(InvalidId::ControlCharacter { id }) => Err(InvalidKey::ControlCharacter { key: id }),
            Err(_) => Err(InvalidKey::Empty),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As its text, whose hash and order it shares.
impl Borrow<str> for IdempotencyKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An idempotency key that breaks the rules.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked() {
        assert_eq!(IdempotencyKey::new("ä b/1").map(|key| key.to_string()), Ok("ä b/1".to_owned()));
        assert_eq!(IdempotencyKey::new(""), Err(InvalidKey::Empty));
        assert_eq!(IdempotencyKey::new("x".repeat(256)), Err(InvalidKey::TooLong { actual: 256, limit: 255 }));
        assert!(matches!(IdempotencyKey::new("a\tb"), Err(InvalidKey::ControlCharacter { .. })));
    }
}
