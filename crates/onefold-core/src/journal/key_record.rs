//! What is remembered of a command with an idempotency key: encoded once, by whoever ran the command; the commit that stores it
//! and the instance that knows it again have its bytes as they are.
//!
//! ```text
//!    form of the key │ end u8     0x10 text, 0x20 hex, 0x30 UUID, see packed.rs; 1 ended with a reply, 2 with a rejection
//!    codec u8                     of the reply
//!    key length u8, key           packed
//!    fingerprint u64
//!    reply                        all that follows
//! ```
//!
//! All integers are little-endian. Each byte is written to the log and again into the tree, and stays in memory as long as the key is
//! remembered: so there are few. No fact about a claim begins with the same byte.

mod packed;

use std::fmt;

use smallvec::{SmallVec, smallvec};

pub use self::packed::PackedKey;
use crate::{InvalidKey, PayloadWriter};

/// In the first byte's lower half.
const REPLY: u8 = 1;
const REJECTION: u8 = 2;
const END: u8 = 0x0F;

/// Where the key's length is, and the key.
const KEY_LEN_AT: usize = 2;
const KEY_AT: usize = KEY_LEN_AT + 1;
const FINGERPRINT_BYTES: usize = 8;

/// What is remembered of a command with an idempotency key. The commit's metadata tell when. `B` holds the stored form: bytes of
/// its own, or somebody else's.
///
/// ```
/// use onefold_core::journal::{KeyOutcome, KeyRecord};
///
/// let record = KeyRecord::new("req-7f3", 42, KeyOutcome::Reply, 1, b"encoded")?;
/// assert_eq!(record.key().to_string(), "req-7f3");
/// assert_eq!((record.fingerprint(), record.reply()), (42, &b"encoded"[..]));
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

/// The record of a command that has not ended yet: all but the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDraft(Draft);

/// With a UUID, or a number of as many digits, it needs no memory of its own.
type Draft = SmallVec<[u8; 32]>;

impl KeyDraft {
    /// Of a command that was given `key`. `fingerprint`: tells it from another one that was given the same key.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the key is empty, longer than 255 bytes, or holds a control character.
    pub fn new(key: &str, fingerprint: u64) -> Result<Self, InvalidKey> {
        let mut bytes: Draft = smallvec![0, 0];
        bytes[0] = packed::pack(key, &mut bytes)?;
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        Ok(KeyDraft(bytes))
    }

    /// The caller's key.
    pub fn key(&self) -> PackedKey<'_> {
        key_of(&self.0)
    }

    /// Tells the command from another one that was given the same key.
    pub fn fingerprint(&self) -> u64 {
        fingerprint_of(&self.0)
    }

    /// The command has ended: appends its record to `out`. `write` writes the encoded reply, or rejection, of `bytes_max` bytes
    /// at most.
    ///
    /// # Errors
    ///
    /// Those of `write`; then there may be a part of a record.
    pub(super) fn end<E>(
        &self,
        outcome: KeyOutcome,
        codec: u8,
        bytes_max: usize,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.write(outcome, codec, out);
        write(&mut PayloadWriter::new(out, bytes_max))
    }

    /// All but the reply.
    fn write(&self, outcome: KeyOutcome, codec: u8, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.0);
        out[begin] |= match outcome {
            KeyOutcome::Reply => REPLY,
            KeyOutcome::Rejection => REJECTION,
        };
        out[begin + 1] = codec;
    }
}

impl KeyRecord {
    /// Of a command that was given `key` and ended with `reply`, or with a rejection, as `codec` writes it.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the key is empty, longer than 255 bytes, or holds a control character.
    pub fn new(key: &str, fingerprint: u64, outcome: KeyOutcome, codec: u8, reply: &[u8]) -> Result<Self, InvalidKey> {
        let draft = KeyDraft::new(key, fingerprint)?;
        let mut bytes = Vec::new();
        draft.write(outcome, codec, &mut bytes);
        bytes.extend_from_slice(reply);
        Ok(KeyRecord(bytes))
    }
}

impl<'a> KeyRecord<&'a [u8]> {
    /// Bytes that a draft has written.
    pub(super) fn trust(bytes: &'a [u8]) -> Self {
        KeyRecord(bytes)
    }
}

impl<B: AsRef<[u8]>> KeyRecord<B> {
    /// Reads the stored form. `None` when it is anything else.
    pub fn decode(stored: B) -> Option<Self> {
        let bytes = stored.as_ref();
        let [form_and_end, _, key_len, rest @ ..] = bytes else { return None };
        let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
        PackedKey::parse(form_and_end & !END, key)?;
        let is_whole = matches!(form_and_end & END, REPLY | REJECTION) && rest.len() >= FINGERPRINT_BYTES;
        is_whole.then_some(KeyRecord(stored))
    }

    /// The caller's key.
    pub fn key(&self) -> PackedKey<'_> {
        key_of(self.as_bytes())
    }

    /// Tells the command from another one that was given the same key.
    pub fn fingerprint(&self) -> u64 {
        fingerprint_of(self.as_bytes())
    }

    /// How the command ended.
    pub fn outcome(&self) -> KeyOutcome {
        if self.as_bytes()[0] & END == REPLY { KeyOutcome::Reply } else { KeyOutcome::Rejection }
    }

    /// The number of the codec of the reply, see [`CodecId::from_number`](crate::CodecId::from_number).
    pub fn codec(&self) -> u8 {
        self.as_bytes()[1]
    }

    /// The encoded reply, or rejection.
    pub fn reply(&self) -> &[u8] {
        let bytes = self.as_bytes();
        &bytes[reply_at(key_len_of(bytes))..]
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

fn key_len_of(bytes: &[u8]) -> usize {
    usize::from(bytes[KEY_LEN_AT])
}

fn key_of(bytes: &[u8]) -> PackedKey<'_> {
    PackedKey::trust(bytes[0] & !END, &bytes[KEY_AT..KEY_AT + key_len_of(bytes)]).expect("a record has a key")
}

fn fingerprint_of(bytes: &[u8]) -> u64 {
    let at = KEY_AT + key_len_of(bytes);
    u64::from_le_bytes(bytes[at..at + FINGERPRINT_BYTES].try_into().expect("so many bytes"))
}

fn reply_at(key_len: usize) -> usize {
    KEY_AT + key_len + FINGERPRINT_BYTES
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
        KeyRecord::new("käy", u64::MAX / 3, KeyOutcome::Rejection, 7, reply).unwrap()
    }

    /// Byte by byte: what was stored once has to be read for ever.
    #[test]
    fn stored_form_is_for_ever() {
        let record = KeyRecord::new("käy", 0x0102_0304, KeyOutcome::Rejection, 7, b"reply").unwrap();
        let stored = b"\x12\x07\x04k\xC3\xA4y\x04\x03\x02\x01\0\0\0\0reply";
        assert_eq!(record.as_bytes(), stored);
        assert_eq!(KeyRecord::decode(&stored[..]).map(|record| record.outcome()), Some(KeyOutcome::Rejection));
        let record = KeyRecord::new("k", 0, KeyOutcome::Reply, 1, b"").unwrap();
        assert_eq!(record.as_bytes()[..3], [0x11, 1, 1]);
        let record = KeyRecord::new("00ff", 0, KeyOutcome::Rejection, 1, b"").unwrap();
        assert_eq!(record.as_bytes()[..5], [0x22, 1, 2, 0, 0xFF]);
    }

    #[test]
    fn what_was_written_is_read() {
        for reply in [&b""[..], b"reply", &[9; 1_000]] {
            let record = record(reply);
            assert_eq!(
                (record.key().to_string().as_str(), record.fingerprint(), record.outcome()),
                ("käy", u64::MAX / 3, KeyOutcome::Rejection)
            );
            assert_eq!((record.codec(), record.reply()), (7, reply));
            assert_eq!(KeyRecord::decode(record.as_bytes().to_vec()), Some(record));
        }
    }

    /// A record that is cut off before its reply, or of no known kind, is none. Where the reply ends the commit tells.
    #[test]
    fn anything_else_is_refused() {
        let whole = record(b"reply");
        let bytes = whole.as_bytes();
        for cut in 0..bytes.len() - b"reply".len() {
            assert_eq!(KeyRecord::decode(&bytes[..cut]), None, "{cut}");
        }
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = to;
            KeyRecord::decode(bytes)
        };
        assert_eq!(changed(0, 0x10), None, "how it ended");
        assert_eq!(changed(0, 0x03), None, "a fact about a claim");
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
