//! The names of aggregates and streams, validated once and cheap to clone.

mod serial;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::limits::{AGGREGATE_TYPE_BYTES_MAX, ID_BYTES_MAX};

/// Names one instance of an aggregate type: 1 to 255 bytes of text without control characters.
///
/// ```
/// use onefold_core::AggregateId;
/// let id = AggregateId::new("acc-1")?;
/// assert_eq!(id.as_str(), "acc-1");
/// assert!(AggregateId::new("").is_err());
/// # Ok::<_, onefold_core::InvalidId>(())
/// ```
#[derive(Clone)]
pub struct AggregateId {
    /// The id, or the name of the stream it is part of.
    name: Arc<str>,
    /// Where in the name the id begins.
    start: u8,
}

impl AggregateId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when it is empty, longer than 255 bytes, or holds a control character.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidId> {
        let id = id.as_ref();
        Self::check(id)?;
        Ok(AggregateId { name: id.into(), start: 0 })
    }

    /// Checks an id without keeping it; allocates nothing when it is good.
    ///
    /// # Errors
    ///
    /// As [`AggregateId::new`].
    pub fn check(id: &str) -> Result<(), InvalidId> {
        Self::check_within(id, ID_BYTES_MAX)
    }

    /// As [`AggregateId::check`], with a limit of the caller's own, at most 255.
    ///
    /// # Errors
    ///
    /// As [`AggregateId::new`].
    pub fn check_within(id: &str, bytes_max: usize) -> Result<(), InvalidId> {
        if id.is_empty() {
            return Err(InvalidId::Empty);
        }
        let limit = bytes_max.min(ID_BYTES_MAX);
        if id.len() > limit {
            return Err(InvalidId::TooLong { actual: id.len(), limit });
        }
        if id.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Ok(());
        }
        match id.bytes().any(|byte| byte < 0x20 || byte == 0x7f) || id.chars().any(char::is_control) {
            true => Err(InvalidId::ControlCharacter { id: id.escape_debug().to_string() }),
            false => Ok(()),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.name[usize::from(self.start)..]
    }
}

impl PartialEq for AggregateId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for AggregateId {}

impl PartialOrd for AggregateId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AggregateId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// As its text, because of `Borrow<str>`.
impl Hash for AggregateId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl AsRef<str> for AggregateId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for AggregateId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one stream: aggregate type + aggregate id. Displayed as `type/id`; a type never contains `/`, so no two streams
/// are displayed alike.
///
/// ```
/// use onefold_core::StreamId;
/// let stream = StreamId::new("account", "acc/1")?;
/// assert_eq!((stream.aggregate_type(), stream.aggregate_id()), ("account", "acc/1"));
/// assert_eq!(stream, "account/acc/1".parse()?);
/// # Ok::<_, onefold_core::InvalidId>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// `type/id`.
    name: Arc<str>,
    type_bytes: u8,
}

impl StreamId {
    /// Checks and joins type and id.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when either breaks its rules, see [`Aggregate::TYPE`](crate::Aggregate::TYPE) and [`AggregateId`].
    pub fn new(aggregate_type: &str, aggregate_id: impl AsRef<str>) -> Result<Self, InvalidId> {
        let id = aggregate_id.as_ref();
        let type_bytes = Self::check_type(aggregate_type)?;
        AggregateId::check(id)?;
        let mut name = String::with_capacity(aggregate_type.len() + 1 + id.len());
        name.push_str(aggregate_type);
        name.push('/');
        name.push_str(id);
        Ok(StreamId { name: name.into(), type_bytes })
    }

    /// Checks an aggregate type; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidId::Type`] when it breaks the rules of [`Aggregate::TYPE`](crate::Aggregate::TYPE).
    pub fn check_type(aggregate_type: &str) -> Result<u8, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        match u8::try_from(aggregate_type.len()) {
            Ok(bytes @ 1..=AGGREGATE_TYPE_BYTES_MAX) if aggregate_type.bytes().all(allowed) => Ok(bytes),
            _ => Err(InvalidId::Type { aggregate_type: aggregate_type.chars().take(80).collect() }),
        }
    }

    /// The aggregate type.
    pub fn aggregate_type(&self) -> &str {
        &self.name[..usize::from(self.type_bytes)]
    }

    /// The aggregate id.
    pub fn aggregate_id(&self) -> &str {
        &self.name[usize::from(self.type_bytes) + 1..]
    }

    /// The aggregate id as a value of its own, which shares this name's memory.
    pub fn id(&self) -> AggregateId {
        AggregateId { name: self.name.clone(), start: self.type_bytes + 1 }
    }

    /// `type/id`.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl PartialOrd for StreamId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By type, then by id, both bytewise: the order in which journals list streams.
impl Ord for StreamId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.aggregate_type(), self.aggregate_id()).cmp(&(other.aggregate_type(), other.aggregate_id()))
    }
}

impl std::str::FromStr for StreamId {
    type Err = InvalidId;

    fn from_str(name: &str) -> Result<Self, InvalidId> {
        match name.split_once('/') {
            Some((aggregate_type, id)) => StreamId::new(aggregate_type, id),
            None => Err(InvalidId::NoSlash { name: name.chars().take(80).collect() }),
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.name, f)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An aggregate id, type or stream name that breaks the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// Nothing there.
    #[error("an aggregate id must not be empty")]
    Empty,
    /// Too many bytes.
    #[error("an aggregate id may have {limit} bytes, this one has {actual}: shorten it, or use a digest of it")]
    TooLong {
        /// Its length in bytes.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A control character, such as a newline.
    #[error("an aggregate id must not hold control characters: \"{id}\"")]
    ControlCharacter {
        /// The id, escaped.
        id: String,
    },
    /// A bad aggregate type.
    #[error("an aggregate type is 1 to 64 of a-z, 0-9, '_', '-' and '.': {aggregate_type:?} is not")]
    Type {
        /// Its first 80 characters.
        aggregate_type: String,
    },
    /// A stream name without a slash.
    #[error("a stream is named type/id: {name:?} has no '/'")]
    NoSlash {
        /// Its first 80 characters.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        for good in ["a", "acc-1", "ä/ö ü", &"x".repeat(255)] {
            assert_eq!(AggregateId::new(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        assert_eq!(AggregateId::new(""), Err(InvalidId::Empty));
        assert_eq!(AggregateId::new("x".repeat(256)), Err(InvalidId::TooLong { actual: 256, limit: 255 }));
        for control in ["a\nb", "\0", "\u{7f}", "\u{85}"] {
            assert!(matches!(AggregateId::new(control), Err(InvalidId::ControlCharacter { .. })), "{control:?}");
        }
    }

    #[test]
    fn types_are_checked() {
        for good in ["a", "account", "bank.account_v2-x", &"x".repeat(64)] {
            assert!(StreamId::check_type(good).is_ok(), "{good}");
        }
        for bad in ["", "Account", "a/b", "a b", "ä", &"x".repeat(65), &"x".repeat(300)] {
            assert!(matches!(StreamId::check_type(bad), Err(InvalidId::Type { .. })), "{bad}");
        }
    }

    #[test]
    fn streams_are_ordered_by_type_then_id() {
        let mut streams: Vec<StreamId> =
            ["a-b/1", "a/2", "a/1", "a.b/0"].iter().map(|name| name.parse().unwrap()).collect();
        streams.sort();
        assert_eq!(streams.iter().map(StreamId::as_str).collect::<Vec<_>>(), ["a/1", "a/2", "a-b/1", "a.b/0"]);
    }
}
