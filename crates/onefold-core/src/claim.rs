//! Claims: values that are unique in a journal, each held by one stream.
//!
//! A claim has no existence of its own: it is a name, and perhaps a holder. Who holds it changes only by a commit, see
//! [`ClaimChange`](crate::journal::ClaimChange).

use std::fmt;

use crate::{CommitNumber, InvalidId, StreamId, Timestamp};

/// Names a claim: a namespace and a value, shown as `username/bob`. No two values of a namespace are the same claim unless
/// they are the same bytes: folding case, or whatever else makes two values one, is the user's.
///
/// ```
/// use onefold_core::ClaimName;
/// let name = ClaimName::new("username", "bob")?;
/// assert_eq!((name.namespace(), name.value()), ("username", "bob"));
/// assert_eq!(name, "username/bob".parse()?);
/// assert!(ClaimName::new("User Name", "bob").is_err());
/// # Ok::<_, onefold_core::InvalidClaim>(())
/// ```
// Two names of which the first has no slash, as a stream's, and under the same rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName(StreamId);

impl ClaimName {
    /// Checks and joins namespace and value: the one 1 to 64 of `a-z`, `0-9`, `_`, `-` and `.`; the other 1 to 255 bytes of
    /// text without control characters.
    ///
    /// # Errors
    ///
    /// [`InvalidClaim`], which says what is wrong with which of the two.
    pub fn new(namespace: &str, value: impl AsRef<str>) -> Result<Self, InvalidClaim> {
        Ok(ClaimName(StreamId::new(namespace, value)?))
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        self.0.aggregate_type()
    }

    /// The value.
    pub fn value(&self) -> &str {
        self.0.aggregate_id()
    }

    /// `namespace/value`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::str::FromStr for ClaimName {
    type Err = InvalidClaim;

    /// Parses what [`ClaimName`] displays.
    fn from_str(name: &str) -> Result<Self, InvalidClaim> {
        Ok(ClaimName(name.parse()?))
    }
}

impl fmt::Debug for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A namespace or a value that breaks the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClaim {
    /// A bad namespace.
    #[error("a claim's namespace is 1 to 64 of a-z, 0-9, '_', '-' and '.': {namespace:?} is not")]
    Namespace {
        /// Its first 80 characters.
        namespace: String,
    },
    /// No value.
    #[error("a claim's value must not be empty")]
    EmptyValue,
    /// Too many bytes.
    #[error("a claim's value may have {limit} bytes, this one has {actual}: shorten it, or use a digest of it")]
    ValueTooLong {
        /// Its length in bytes.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A control character, such as a newline.
    #[error("a claim's value must not hold control characters: \"{value}\"")]
    ControlCharacter {
        /// The value, escaped.
        value: String,
    },
    /// A name without a slash.
    #[error("a claim is named namespace/value: {name:?} has no '/'")]
    NoSlash {
        /// Its first 80 characters.
        name: String,
    },
}

impl From<InvalidId> for InvalidClaim {
    fn from(error: InvalidId) -> Self {
        match error {
            InvalidId::Type { aggregate_type: namespace } => InvalidClaim::Namespace { namespace },
            InvalidId::Empty => InvalidClaim::EmptyValue,
            InvalidId::TooLong { actual, limit } => InvalidClaim::ValueTooLong { actual, limit },
            InvalidId::ControlCharacter { id: value } => InvalidClaim::ControlCharacter { value },
            InvalidId::NoSlash { name } => InvalidClaim::NoSlash { name },
        }
    }
}

/// Who holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The stream that holds it.
    pub stream: StreamId,
    /// The commit that made it so: by which the stream took it, confirmed or prolonged it, or had it moved to itself.
    pub since: CommitNumber,
    /// When the hold may be ended by anybody: a reservation with a time limit. `None`: held for good. The time alone ends
    /// nothing: a hold lasts until a commit ends it.
    pub expires_at: Option<Timestamp>,
}

impl Holder {
    /// Whether the time limit of a hold has passed at `now`, so that a commit may end it. Never of what is held for good.
    pub fn may_expire(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_say_what_is_wrong() {
        for (namespace, value) in [("username", "bob"), ("a.b_c-1", "ä/ö ü"), ("n", &*"x".repeat(255))] {
            let name = ClaimName::new(namespace, value).unwrap();
            assert_eq!((name.namespace(), name.value()), (namespace, value));
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let said = |namespace: &str, value: &str| ClaimName::new(namespace, value).unwrap_err().to_string();
        assert!(said("", "bob").starts_with("a claim's namespace is 1 to 64 of"));
        assert!(said("User", "bob").ends_with("\"User\" is not"));
        assert!(said(&"x".repeat(65), "bob").starts_with("a claim's namespace"));
        assert_eq!(said("username", ""), "a claim's value must not be empty");
        let long = "x".repeat(256);
        assert_eq!(ClaimName::new("n", long), Err(InvalidClaim::ValueTooLong { actual: 256, limit: 255 }));
        assert_eq!(said("username", "a\nb"), "a claim's value must not hold control characters: \"a\\nb\"");
        assert_eq!("bob".parse::<ClaimName>(), Err(InvalidClaim::NoSlash { name: "bob".to_owned() }));
    }

    #[test]
    fn only_a_hold_expires_and_at_its_limit_first() {
        let at = Timestamp::from_micros;
        let holder =
            |expires_at| Holder { stream: StreamId::new("a", "1").unwrap(), since: CommitNumber::new(1), expires_at };
        assert!(!holder(None).may_expire(at(u64::MAX)));
        assert!(!holder(Some(at(5))).may_expire(at(4)));
        assert!(holder(Some(at(5))).may_expire(at(5)));
    }
}
