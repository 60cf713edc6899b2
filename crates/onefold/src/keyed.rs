//! A command's idempotency key: what it is, how the outcome is written down with the commit, and how a repeat is answered.
//!
//! ```text
//!   KeyRecord:   replied or rejected │ codec │ key │ fingerprint of the command │ outcome
//!   outcome:     u32: the low half of the fingerprint of the reply, or the rejection │ its encoding
//! ```
//!
//! Bytes of one shape may decode as another, with other values. So what was decoded is fingerprinted again: it counts only if it
//! is what was encoded, to the names of its fields. That another shape passes, too, has a chance of 1 in 4 billion.
//!
//! How a reply becomes bytes is chosen by the builder's method, which alone asks for serde: a command without a key carries an
//! empty pointer.

use std::io::Write;

use onefold_core::journal::{EncodeError, EncodedEvents, KeyDraft, KeyOutcome, PackedKey};
use onefold_core::{CodecError, CodecId, InvalidKey, PayloadWriter, StreamId, TooLarge};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::keys::Remembered;
use crate::error::{AlreadyDone, Error};
use crate::fingerprint::{Unhashable, fingerprint};

/// See the module. `T` is the reply, `R` the rejection.
pub(crate) struct Keyed<T: 'static, R: 'static> {
    /// What is stored, but for the outcome.
    draft: KeyDraft,
    reply: &'static Coding<T>,
    /// Set when rejections are to be remembered, too.
    rejection: Option<&'static Coding<R>>,
}

/// Why a command can't have its key. Told when the command is sent, not where the builder is called.
#[derive(Clone, Debug)]
pub(crate) enum KeyRefused {
    Invalid(InvalidKey),
    Command(Unhashable),
}

/// What a builder's method made of a key.
pub(crate) type KeyedOrRefused<T, R> = Result<Keyed<T, R>, KeyRefused>;

/// Whether the key, if there is one, is within the rules.
pub(crate) fn check<T, R>(keyed: Option<&KeyedOrRefused<T, R>>) -> Result<(), Error<R>> {
    match keyed {
        Some(Err(refused)) => Err(refused.clone().into()),
        _ => Ok(()),
    }
}

impl<R> From<KeyRefused> for Error<R> {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Invalid(invalid) => Error::InvalidKey(invalid),
            KeyRefused::Command(unhashable) => Error::Unserializable { reason: unhashable.to_string() },
        }
    }
}

/// How a value is written and read.
struct Coding<T> {
    encode: fn(CodecId, &T, &mut PayloadWriter<'_>) -> Result<(), CodecError>,
    decode: fn(CodecId, &[u8]) -> Result<T, CodecError>,
    fingerprint: fn(&T) -> Result<u64, Unhashable>,
}

impl<T> Coding<T> {
    /// What is stored with a value, to know it again.
    fn check(&self, value: &T) -> Result<u32, Unhashable> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half")]
        (self.fingerprint)(value).map(|fingerprint| fingerprint as u32)
    }

    /// Reads a value back, or says why it cannot be had.
    fn read(&self, codec: CodecId, bytes: &[u8]) -> Result<T, String> {
        let (check, bytes) = bytes.split_first_chunk().ok_or("it is cut off")?;
        let value = (self.decode)(codec, bytes).map_err(|error| error.to_string())?;
        match self.check(&value) {
            Ok(again) if again == u32::from_le_bytes(*check) => Ok(value),
            _ => Err("it was written with another shape".to_owned()),
        }
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Coding<T> {
    const OF: &'static Self =
        &Coding { encode: CodecId::encode::<T>, decode: CodecId::decode::<T>, fingerprint: fingerprint::<T> };
}

// Not derived: what it writes and reads need not be `Clone`.
impl<T, R> Clone for Keyed<T, R> {
    fn clone(&self) -> Self {
        let Keyed { draft, reply, rejection } = self;
        Keyed { draft: draft.clone(), reply, rejection: *rejection }
    }
}

impl<T, R> Keyed<T, R> {
    /// Makes the key of a command.
    pub(crate) fn of<C>(key: &str, command: &C) -> Result<Self, KeyRefused>
    where
        C: Serialize,
        T: Serialize + DeserializeOwned,
    {
        let fingerprint = fingerprint(command).map_err(KeyRefused::Command)?;
        let draft = KeyDraft::new(key, fingerprint).map_err(KeyRefused::Invalid)?;
        Ok(Keyed { draft, reply: Coding::OF, rejection: None })
    }

    /// From now on a rejection is an outcome to remember, too.
    pub(crate) fn remember_rejection(&mut self)
    where
        R: Serialize + DeserializeOwned,
    {
        self.rejection = Some(Coding::OF);
    }

    /// The caller's key.
    pub(crate) fn key(&self) -> PackedKey<'_> {
        self.draft.key()
    }

    /// Puts what is stored when the command is answered with `reply` beside its events.
    pub(crate) fn replied(
        self,
        reply: &T,
        codec: CodecId,
        bytes_max: usize,
        events: &mut EncodedEvents,
    ) -> Result<(), EncodeError> {
        remember(&self.draft, KeyOutcome::Reply, self.reply, reply, codec, bytes_max, events)
    }

    /// Whether a rejection is to be remembered, too.
    pub(crate) fn remembers_rejections(&self) -> bool {
        self.rejection.is_some()
    }

    /// The same when the command is rejected, if that is to be remembered.
    pub(crate) fn rejected(
        self,
        rejection: &R,
        codec: CodecId,
        bytes_max: usize,
        events: &mut EncodedEvents,
    ) -> Option<Result<(), EncodeError>> {
        let coding = self.rejection?;
        Some(remember(&self.draft, KeyOutcome::Rejection, coding, rejection, codec, bytes_max, events))
    }

    /// What a repeat is answered with: the original outcome, and never another run.
    pub(crate) fn repeated(&self, remembered: Remembered<'_>, stream: &StreamId) -> Result<T, Error<R>> {
        let record = remembered.record;
        if record.fingerprint() != self.draft.fingerprint() {
            return Err(Error::KeyReused { stream: stream.clone(), key: self.key().to_string().into() });
        }
        let done = |reason: String| {
            let key = self.key().to_string().into();
            Error::AlreadyDone(Box::new(AlreadyDone { stream: stream.clone(), key, reason }))
        };
        let unknown = || done(format!("its reply was written with the codec {}, which is unknown", record.codec()));
        let (codec, bytes) = (CodecId::from_number(record.codec()).ok_or_else(unknown)?, record.reply());
        match (record.outcome(), &self.rejection) {
            (KeyOutcome::Reply, _) => self.reply.read(codec, bytes).map_err(done),
            (KeyOutcome::Rejection, Some(coding)) => Err(coding.read(codec, bytes).map_or_else(done, Error::Rejected)),
            (KeyOutcome::Rejection, None) => {
                Err(done("it was rejected; a repeat that remembers rejections is told how".to_owned()))
            }
        }
    }
}

fn remember<T>(
    draft: &KeyDraft,
    outcome: KeyOutcome,
    coding: &Coding<T>,
    value: &T,
    codec: CodecId,
    bytes_max: usize,
    events: &mut EncodedEvents,
) -> Result<(), EncodeError> {
    let unhashable = |error: Unhashable| EncodeError::Reply { error: CodecError::Encode(error.to_string()) };
    let check = coding.check(value).map_err(unhashable)?.to_le_bytes();
    events.remember(draft, outcome, codec.number(), check.len().saturating_add(bytes_max), |writer| {
        let written = writer.write_all(&check).map_err(|error| CodecError::Encode(error.to_string()));
        match written.and_then(|()| (coding.encode)(codec, value, writer)) {
            Err(_) if writer.overflowed() => Err(TooLarge::Reply { limit: bytes_max }.into()),
            Err(error) => Err(EncodeError::Reply { error }),
            Ok(()) => Ok(()),
        }
    })
}
