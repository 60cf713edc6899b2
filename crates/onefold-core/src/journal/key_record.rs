//! What is remembered of a command with an idempotency key: encoded once, by whoever ran the command; the commit that stores it
//! and the instance that knows it again have its bytes as they are.
//!
//! ```text
//!    how the command ended u8     1 with a reply, 2 with a rejection
//!    codec u8                     of the reply
//!    key length u8, key
//!    fingerprint u128
//!    reply length u32, reply
//! ```
//!
//! All integers are little-endian.

use std::fmt;
use std::io::Write;

use crate::{InvalidKey, PayloadWriter};

const REPLY: u8 = 1;
const REJECTION: u8 = 2;

const KEY_AT: usize = 3;
const FINGERPRINT_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

/// Room for a reply that most find enough.
const REPLY_BYTES_USUAL: usize = 40;

/// What is remembered of a command with an idempotency key. The commit's metadata tell when. `B` holds the stored form: bytes of
/// its own, or somebody else's.
///
/// ```
/// use onefold_core::journal::{KeyOutcome, KeyRecord};
///
/// let record = KeyRecord::new("req-7f3", 42, KeyOutcome::Reply, 1, b"encoded")?;
/// assert_eq!((record.key(), record.fingerprint(), record.reply()), ("req-7f3", 42, &b"encoded"[..]));
/// assert_eq!(KeyRecord::decode(record.as_bytes()).map(|record| record.outcome()), Some(KeyOutcome::Reply));
/// # Ok::<_, onefold_core::InvalidKey>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyRecord<B = Vec<u8>>(B);

/// How a command with an idempotency key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// With a reply.
    Reply,
    /// The domain said no.
    Rejection,
}

/// The record of a command that has not ended yet: its key, its fingerprint, and room for what is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDraft(Vec<u8>);

impl KeyDraft {
    /// Of a command that was given `key`. `fingerprint`: tells it from another one that was given the same key.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the key is empty, longer than 255 bytes, or holds a control character.
    pub fn new(key: &str, fingerprint: u128) -> Result<Self, InvalidKey> {
        let key_len = InvalidKey::check(key)?;
        let mut bytes = Vec::with_capacity(reply_at(key.len()) + REPLY_BYTES_USUAL);
        bytes.extend([0, 0, key_len]);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend(fingerprint.to_le_bytes());
        bytes.extend([0; LENGTH_BYTES]);
        Ok(KeyDraft(bytes))
    }

    /// The caller's key, as text.
    pub fn key(&self) -> &str {
        key_of(&self.0)
    }

    /// Tells the command from another one that was given the same key.
    pub fn fingerprint(&self) -> u128 {
        fingerprint_of(&self.0)
    }

    /// The command has ended. `write` writes the encoded reply, or rejection, of `bytes_max` bytes at most.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    ///
    /// # Panics
    ///
    /// When the reply has 4 GiB or more, which no commit holds.
    pub fn end<E>(
        self,
        outcome: KeyOutcome,
        codec: u8,
        bytes_max: usize,
        write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), E>,
    ) -> Result<KeyRecord, E> {
        let KeyDraft(mut bytes) = self;
        let reply_at = bytes.len();
        write(&mut PayloadWriter::new(&mut bytes, bytes_max))?;
        let length = u32::try_from(bytes.len() - reply_at).expect("a reply of less than 4 GiB");
        bytes[reply_at - LENGTH_BYTES..reply_at].copy_from_slice(&length.to_le_bytes());
        bytes[0] = match outcome {
            KeyOutcome::Reply => REPLY,
            KeyOutcome::Rejection => REJECTION,
        };
        bytes[1] = codec;
        Ok(KeyRecord(bytes))
    }
}

impl KeyRecord {
    /// Of a command that was given `key` and ended with `reply`, or with a rejection, as `codec` writes it.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the key is empty, longer than 255 bytes, or holds a control character.
    ///
    /// # Panics
    ///
    /// When the reply has 4 GiB or more, which no commit holds.
    pub fn new(key: &str, fingerprint: u128, outcome: KeyOutcome, codec: u8, reply: &[u8]) -> Result<Self, InvalidKey> {
        let draft = KeyDraft::new(key, fingerprint)?;
        let ended = draft.end(outcome, codec, reply.len(), |out| out.write_all(reply));
        Ok(ended.expect("there is room for as many bytes as it has"))
    }
}

impl<B: AsRef<[u8]>> KeyRecord<B> {
    /// Reads the stored form. `None` when it is anything else.
    pub fn decode(stored: B) -> Option<Self> {
        let bytes = stored.as_ref();
        let [ended, _, key_len, rest @ ..] = bytes else { return None };
        let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
        InvalidKey::check(std::str::from_utf8(key).ok()?).ok()?;
        let (length, reply) = rest.get(FINGERPRINT_BYTES..)?.split_first_chunk()?;
        let is_whole = usize::try_from(u32::from_le_bytes(*length)) == Ok(reply.len());
        (matches!(*ended, REPLY | REJECTION) && is_whole).then_some(KeyRecord(stored))
    }

    /// The caller's key, as text.
    pub fn key(&self) -> &str {
        key_of(self.as_bytes())
    }

    /// Tells the command from another one that was given the same key.
    pub fn fingerprint(&self) -> u128 {
        fingerprint_of(self.as_bytes())
    }

    /// How the command ended.
    pub fn outcome(&self) -> KeyOutcome {
        if self.as_bytes()[0] == REPLY { KeyOutcome::Reply } else { KeyOutcome::Rejection }
    }

    /// The number of the codec of the reply, see [`CodecId::from_number`](crate::CodecId::from_number).
    pub fn codec(&self) -> u8 {
        self.as_bytes()[1]
    }

    /// The encoded reply, or rejection.
    pub fn reply(&self) -> &[u8] {
        let bytes = self.as_bytes();
        &bytes[reply_at(usize::from(bytes[KEY_AT - 1]))..]
    }

    /// The same with bytes of its own.
    pub fn to_owned(&self) -> KeyRecord {
        KeyRecord(self.as_bytes().to_vec())
    }

    /// The stored form.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

fn key_of(bytes: &[u8]) -> &str {
    let key = &bytes[KEY_AT..KEY_AT + usize::from(bytes[KEY_AT - 1])];
    std::str::from_utf8(key).expect("a key is text")
}

fn fingerprint_of(bytes: &[u8]) -> u128 {
    let at = KEY_AT + usize::from(bytes[KEY_AT - 1]);
    u128::from_le_bytes(bytes[at..at + FINGERPRINT_BYTES].try_into().expect("so many bytes"))
}

fn reply_at(key_len: usize) -> usize {
    KEY_AT + key_len + FINGERPRINT_BYTES + LENGTH_BYTES
}

impl<B: AsRef<[u8]>> fmt::Debug for KeyRecord<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("key", &self.key())
            .field("fingerprint", &format_args!("{:#x}", self.fingerprint()))
            .field("outcome", &self.outcome())
            .field("codec", &self.codec())
            .field("reply", &self.reply())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(reply: &[u8]) -> KeyRecord {
        KeyRecord::new("käy", u128::MAX / 3, KeyOutcome::Rejection, 7, reply).unwrap()
    }

    /// Byte by byte: what was stored once has to be read for ever.
    #[test]
    fn stored_form_is_for_ever() {
        let record = KeyRecord::new("käy", 0x0102_0304, KeyOutcome::Rejection, 7, b"reply").unwrap();
        let stored = b"\x02\x07\x04k\xC3\xA4y\x04\x03\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0reply";
        assert_eq!(record.as_bytes(), stored);
        assert_eq!(KeyRecord::decode(&stored[..]).map(|record| record.outcome()), Some(KeyOutcome::Rejection));
        let record = KeyRecord::new("k", 0, KeyOutcome::Reply, 1, b"").unwrap();
        assert_eq!(record.as_bytes()[..3], [1, 1, 1]);
    }

    #[test]
    fn what_was_written_is_read() {
        for reply in [&b""[..], b"reply", &[9; 1_000]] {
            let record = record(reply);
            assert_eq!(
                (record.key(), record.fingerprint(), record.outcome()),
                ("käy", u128::MAX / 3, KeyOutcome::Rejection)
            );
            assert_eq!((record.codec(), record.reply()), (7, reply));
            assert_eq!(KeyRecord::decode(record.as_bytes().to_vec()), Some(record));
        }
    }

    /// A record that is cut off, longer than it says, or of no known kind is none.
    #[test]
    fn anything_else_is_refused() {
        let whole = record(b"reply");
        let bytes = whole.as_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(KeyRecord::decode(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(KeyRecord::decode([bytes, &[0]].concat()), None);
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = to;
            KeyRecord::decode(bytes)
        };
        assert_eq!(changed(0, 0), None, "how it ended");
        assert_eq!(changed(2, 0), None, "a key of no bytes");
        assert_eq!(changed(3, b'\n'), None, "a control character");
        assert_eq!(changed(3, 0xFF), None, "no text");
        assert!(changed(1, 0).is_some(), "an unknown codec is known to be unknown");
    }

    #[test]
    fn debug_tells_what_is_in_it() {
        let text = format!("{:?}", record(b"r"));
        assert!(text.contains("\"käy\"") && text.contains("Rejection"), "{text}");
    }
}
