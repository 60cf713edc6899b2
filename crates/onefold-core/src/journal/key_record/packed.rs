//! A key in as few bytes as it needs: most are UUIDs or hexadecimal numbers, of which two digits are a byte.
//!
//! ```text
//!    form     stored          of
//!    text     as it is        everything else
//!    hex      half as many    an even number of digits, in lower case
//!    uuid     16              8-4-4-4-12 digits, in lower case
//! ```
//!
//! Each key has one form: what is equal packed is equal, and the other way round.

use std::fmt;

use smallvec::{Array, SmallVec};

use crate::InvalidKey;

/// How a key is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Text = 0x10,
    Hex = 0x20,
    Uuid = 0x30,
}

/// A key in its stored form: to be compared, hashed, and, as [`Display`](fmt::Display), read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackedKey<'a> {
    form: Form,
    bytes: &'a [u8],
}

const UUID_TEXT_BYTES: usize = 36;
const UUID_BYTES: u8 = 16;
/// Where a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// Appends the length of a packed key and its bytes to `out`; returns the form's number, of which the lower half is 0.
pub(super) fn pack<A: Array<Item = u8>>(key: &str, out: &mut SmallVec<A>) -> Result<u8, InvalidKey> {
    let length = InvalidKey::check(key)?;
    let form = form_of(key.as_bytes());
    match form {
        Form::Text => {
            out.push(length);
            out.extend_from_slice(key.as_bytes());
        }
        Form::Hex => {
            out.push(length / 2);
            push_digits(key.as_bytes(), out);
        }
        Form::Uuid => {
            out.push(UUID_BYTES);
            let mut from = 0;
            for to in DASHES.into_iter().chain([UUID_TEXT_BYTES]) {
                push_digits(&key.as_bytes()[from..to], out);
                from = to + 1;
            }
        }
    }
    Ok(form as u8)
}

fn form_of(key: &[u8]) -> Form {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_dash = |(at, byte): (usize, &u8)| if DASHES.contains(&at) { *byte == b'-' } else { is_digit(byte) };
    match key.len() {
        UUID_TEXT_BYTES if key.iter().enumerate().all(is_dash) => Form::Uuid,
        length if length % 2 == 0 && key.iter().all(is_digit) => Form::Hex,
        _ => Form::Text,
    }
}

fn push_digits<A: Array<Item = u8>>(digits: &[u8], out: &mut SmallVec<A>) {
    let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
    out.extend(digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])));
}

impl<'a> PackedKey<'a> {
    /// Bytes that were packed in a form with this number. `None`: there is no such form, or no key is packed so.
    pub(super) fn parse(form: u8, bytes: &'a [u8]) -> Option<Self> {
        let packed = Self::trust(form, bytes)?;
        let is_packed = match packed.form {
            Form::Text => {
                std::str::from_utf8(bytes).is_ok_and(|key| InvalidKey::check(key).is_ok())
                    && form_of(bytes) == Form::Text
            }
            // Twice as many digits are a key of 255 bytes at most.
            Form::Hex => matches!(bytes.len(), 1..=127),
            Form::Uuid => bytes.len() == usize::from(UUID_BYTES),
        };
        is_packed.then_some(packed)
    }

    /// Bytes that were parsed before.
    pub(super) fn trust(form: u8, bytes: &'a [u8]) -> Option<Self> {
        let form = [Form::Text, Form::Hex, Form::Uuid].into_iter().find(|known| *known as u8 == form)?;
        Some(PackedKey { form, bytes })
    }
}

impl fmt::Display for PackedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = |bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        match self.form {
            Form::Text => f.write_str(std::str::from_utf8(self.bytes).expect("a key is text")),
            Form::Hex => digits(self.bytes),
            Form::Uuid => {
                for (index, byte) in self.bytes.iter().enumerate() {
                    // Before these bytes.
                    let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for PackedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(key: &str) -> (u8, SmallVec<[u8; 32]>) {
        let mut bytes = SmallVec::<[u8; 32]>::new();
        let form = pack(key, &mut bytes).unwrap();
        assert_eq!(usize::from(bytes.remove(0)), bytes.len());
        (form, bytes)
    }

    #[test]
    fn what_was_packed_is_read() {
        for (key, form, length) in [
            ("67e55044-10b1-426f-9247-bb680e5fe0c8", 0x30, 16),
            ("67E55044-10b1-426f-9247-bb680e5fe0c8", 0x10, 36),
            ("67e5504410b1-426f-9247-bb680e5fe0c8-", 0x10, 36),
            ("67e5504410b1426f9247bb680e5fe0c8", 0x20, 16),
            ("00", 0x20, 1),
            ("0", 0x10, 1),
            ("abc", 0x10, 3),
            ("abcg", 0x10, 4),
            ("ABCD", 0x10, 4),
            ("0123456789abcdef", 0x20, 8),
            ("käy", 0x10, 4),
            (&"ab".repeat(127), 0x20, 127),
            (&"a".repeat(255), 0x10, 255),
        ] {
            let (found, bytes) = packed(key);
            assert_eq!((found, bytes.len()), (form, length), "{key}");
            assert_eq!(PackedKey::parse(found, &bytes).map(|packed| packed.to_string()).as_deref(), Some(key));
        }
    }

    /// There is one form for each key, so bytes in another one are none.
    #[test]
    fn anything_else_is_refused() {
        let refused = |form: u8, bytes: &[u8]| assert_eq!(PackedKey::parse(form, bytes), None, "{form:#x} {bytes:?}");
        refused(0x10, b"abcd");
        refused(0x10, b"67e55044-10b1-426f-9247-bb680e5fe0c8");
        refused(0x10, b"");
        refused(0x10, b"\xFF");
        refused(0x10, b"line\n");
        refused(0x20, b"");
        refused(0x20, &[0; 128]);
        refused(0x30, &[0; 15]);
        refused(0x40, b"x");
        refused(0, b"x");
    }
}
