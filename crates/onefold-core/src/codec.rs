//! How event payloads become bytes. The envelope around them is fixed and never goes through a codec.

#[cfg(feature = "json")]
mod json;
#[cfg(test)]
mod tests;

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "json")]
pub use self::json::Json;
use crate::Limits;

/// Turns one payload into bytes and back. Stored next to each payload by its [`CodecId`], so that a journal may hold
/// payloads of several codecs.
pub trait Codec {
    /// Its number on disk.
    const ID: CodecId;

    /// Appends the payload to `out`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the value cannot be said in this format.
    fn encode<T: Serialize>(value: &T, out: &mut PayloadWriter<'_>) -> Result<(), CodecError>;

    /// Reads a payload that fills `bytes` to the last one.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the bytes are not such a payload, or when some are left over.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError>;
}

/// Which codec a payload was written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecId {
    /// [`Bincode`]: compact, fast; the default.
    #[default]
    Bincode,
    /// JSON: readable with any tool. Needs the feature `json`.
    Json,
}

impl CodecId {
    /// The codecs that this build can encode and decode with.
    pub const fn built_in() -> &'static [CodecId] {
        #[cfg(feature = "json")]
        return &[CodecId::Bincode, CodecId::Json];
        #[cfg(not(feature = "json"))]
        &[CodecId::Bincode]
    }

    /// The number on disk.
    pub const fn number(self) -> u8 {
        match self {
            CodecId::Bincode => 1,
            CodecId::Json => 2,
        }
    }

    /// The codec with that number on disk.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(CodecId::Bincode),
            2 => Some(CodecId::Json),
            _ => None,
        }
    }

    /// Encodes with this codec, see [`Codec::encode`].
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`], and [`CodecError::NotBuiltIn`] for JSON without the feature `json`.
    pub fn encode<T: Serialize>(self, value: &T, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        match self {
            CodecId::Bincode => Bincode::encode(value, out),
            #[cfg(feature = "json")]
            CodecId::Json => Json::encode(value, out),
            #[cfg(not(feature = "json"))]
            CodecId::Json => Err(CodecError::NotBuiltIn),
        }
    }

    /// Decodes with this codec, see [`Codec::decode`].
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`], and [`CodecError::NotBuiltIn`] for JSON without the feature `json`.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, CodecError> {
        match self {
            CodecId::Bincode => Bincode::decode(bytes),
            #[cfg(feature = "json")]
            CodecId::Json => Json::decode(bytes),
            #[cfg(not(feature = "json"))]
            CodecId::Json => Err(CodecError::NotBuiltIn),
        }
    }
}

/// Where an encoded payload goes: the end of a buffer, up to a limit. What does not fit is refused while it is written,
/// so that an oversized value never costs an oversized allocation.
#[derive(Debug)]
pub struct PayloadWriter<'a> {
    out: &'a mut Vec<u8>,
    remaining: usize,
    overflowed: bool,
}

impl<'a> PayloadWriter<'a> {
    /// Appends at most `bytes_max` bytes to `out`.
    pub fn new(out: &'a mut Vec<u8>, bytes_max: usize) -> Self {
        PayloadWriter { out, remaining: bytes_max, overflowed: false }
    }

    /// Whether something did not fit.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl io::Write for PayloadWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.remaining.checked_sub(bytes.len()) {
            Some(remaining) => {
                self.remaining = remaining;
                self.out.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.overflowed = true;
                Err(io::Error::other("the payload exceeds its limit"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// bincode 2.0.1 in its standard configuration: little-endian, variable-length integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

/// Payloads up to the default limit are decoded under a cap for them.
const SMALL_BYTES_MAX: usize = 1024 * 1024;

/// A byte may stand for an integer of 16, and the decoder counts those. So a cap of 16 times the payload lets everything
/// through that can be encoded. A forged length prefix in a small payload allocates no more than 16 MiB, in a large one no
/// more than 256 MiB, and only for as long as it takes to notice that the bytes are not there.
const DECODED_BYTES_PER_BYTE: usize = 16;

impl Codec for Bincode {
    const ID: CodecId = CodecId::Bincode;

    fn encode<T: Serialize>(value: &T, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        match bincode::serde::encode_into_std_write(value, out, bincode::config::standard()) {
            Ok(_) => Ok(()),
            Err(error) => Err(CodecError::Encode(error.to_string())),
        }
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        const SMALL: usize = SMALL_BYTES_MAX * DECODED_BYTES_PER_BYTE;
        const LARGE: usize = Limits::CEILING.event_bytes_max * DECODED_BYTES_PER_BYTE;
        let config = bincode::config::standard();
        // The cap is part of the configuration's type.
        let decoded = match bytes.len() <= SMALL_BYTES_MAX {
            true => bincode::serde::decode_from_slice(bytes, config.with_limit::<SMALL>()),
            false => bincode::serde::decode_from_slice(bytes, config.with_limit::<LARGE>()),
        };
        match decoded {
            Ok((value, read)) if read == bytes.len() => Ok(value),
            Ok((_, read)) => Err(CodecError::TrailingBytes { read, len: bytes.len() }),
            Err(error) => Err(CodecError::Decode(error.to_string())),
        }
    }
}

/// A payload that could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value cannot be said in this format.
    #[error("the payload cannot be encoded: {0}")]
    Encode(String),
    /// The bytes are not such a payload.
    #[error("the payload does not decode: {0}")]
    Decode(String),
    /// The payload decoded, and bytes were left over: it is of another shape.
    #[error("the payload has {len} bytes, but only {read} were read: it was written with another shape")]
    TrailingBytes {
        /// Bytes that were read.
        read: usize,
        /// Bytes that were there.
        len: usize,
    },
    /// JSON without the feature `json`.
    #[error("this build has no JSON codec: turn on the feature \"json\"")]
    NotBuiltIn,
}
