//! Events: facts with a stable name and a revision, independent of the Rust code that holds them.

use crate::limits::EVENT_NAME_BYTES_MAX;
use crate::{CodecError, CodecId, PayloadWriter};

/// The name and revision under which one kind of event is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventType {
    /// Its stable name, such as `account.deposited`.
    pub name: &'static str,
    /// The revision of its shape: 1 at first, counted up when its fields change.
    pub revision: u16,
}

impl EventType {
    /// Whether its name may stand on disk: 1 to 128 bytes of `a-z`, `0-9`, `_`, `-` and `.`. Checked by the derive at compile
    /// time, and for all events when the aggregate type is registered with a runtime.
    pub fn is_valid(&self) -> bool {
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.');
        self.has_valid_length() && self.name.bytes().all(allowed)
    }

    pub(crate) fn has_valid_length(&self) -> bool {
        (1..=EVENT_NAME_BYTES_MAX).contains(&self.name.len())
    }
}

/// A fact that happened to an aggregate. Usually an enum with `#[derive(Event)]`.
///
/// What is stored is *name + revision + the fields of that one variant*, never the enum itself: variants can be reordered
/// and renamed in Rust without touching what is on disk.
pub trait Event: Send + Sync + Sized + 'static {
    /// Every kind of event there is, in the order of declaration. Names are unique; checked when the aggregate type is
    /// registered with a runtime, and at compile time by the derive.
    const TYPES: &'static [EventType];

    /// Which kind this one is.
    fn event_type(&self) -> EventType;

    /// Writes this event's fields to `out`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the codec cannot say them, or when they don't fit into the writer's limit.
    fn encode(&self, codec: CodecId, out: &mut PayloadWriter<'_>) -> Result<(), CodecError>;

    /// Reads an event back from its stored name, revision and fields.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when no such event is known or the fields are not of its shape. Never a guess.
    fn decode(name: &str, revision: u16, codec: CodecId, payload: &[u8]) -> Result<Self, DecodeError>;
}

/// Why a stored event is not readable. It stays on disk untouched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No event of that name is declared.
    #[error("event {name:?} (revision {revision}) is not declared: was its variant removed or renamed?")]
    UnknownEvent {
        /// The stored name.
        name: String,
        /// The stored revision.
        revision: u16,
    },
    /// The event is declared, but not in that revision.
    #[error("event {name:?} is stored in revision {revision}, but only revision {known} is declared")]
    UnknownRevision {
        /// The stored name.
        name: String,
        /// The stored revision.
        revision: u16,
        /// The declared one.
        known: u16,
    },
    /// The stored codec's number is not known to this build.
    #[error("event {name:?} is stored with codec {codec}, which this build does not know")]
    UnknownCodec {
        /// The stored name.
        name: String,
        /// The stored codec number.
        codec: u8,
    },
    /// The payload is not of the declared shape.
    #[error("event {name:?} (revision {revision}): {error}")]
    Payload {
        /// The stored name.
        name: String,
        /// The stored revision.
        revision: u16,
        /// What the codec says.
        error: CodecError,
    },
}

impl DecodeError {
    /// The error for a name that is not declared, or not in that revision. For implementations of [`Event::decode`].
    pub fn unknown(types: &[EventType], name: &str, revision: u16) -> Self {
        match types.iter().find(|known| known.name == name) {
            Some(known) => DecodeError::UnknownRevision { name: name.to_owned(), revision, known: known.revision },
            None => DecodeError::UnknownEvent { name: name.to_owned(), revision },
        }
    }

    /// The error for a payload that does not decode. For implementations of [`Event::decode`].
    pub fn payload(name: &str, revision: u16, error: CodecError) -> Self {
        DecodeError::Payload { name: name.to_owned(), revision, error }
    }
}
