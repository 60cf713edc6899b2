//! What tells two commands apart: a hash of a command's content and of the names that serde knows.
//!
//! A command has no name of its own on disk, and `Deposit { amount: 10 }` and `Withdraw { amount: 10 }` encode alike. So what
//! is hashed is not an encoding but what the command tells serde: names of structs, variants and fields, kinds and values.
//! Renaming a field or a struct changes the fingerprint; moving it to another module does not.
//!
//! Entries of a map are hashed apart and added up, because two equal maps may tell theirs in different orders. A set can't be
//! told from a list: a command that holds a `HashSet` has no stable fingerprint.

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::Hasher;

use serde::Serialize;
use serde::ser::{self, Serializer};
use siphasher::sip128::{Hasher128, SipHasher13};

/// The fingerprint of a command, or a reply. It tells two that have one key apart, not all that ever were: 64 bits are enough, and
/// are stored each time.
pub(crate) fn fingerprint<C: Serialize>(command: &C) -> Result<u64, Unhashable> {
    let mut hashing = Hashing::new();
    command.serialize(&mut hashing)?;
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    Ok(hashing.finish() as u64)
}

/// The command's own `Serialize` failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unhashable(String);

impl ser::Error for Unhashable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Unhashable(message.to_string())
    }
}

/// What follows. Part of what is stored: a number is never used for anything else.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Bool = 1,
    Signed,
    Unsigned,
    F32,
    F64,
    Char,
    Text,
    Bytes,
    Absent,
    Present,
    Unit,
    Named,
    Variant,
    Sequence,
    Map,
    End,
}

/// Not keyed: the hash is stored and must be the same in every process.
struct Hashing {
    hasher: SipHasher13,
    /// What is not hashed yet: the hash likes it in large pieces.
    buffer: [u8; BUFFER_BYTES],
    filled: usize,
}

/// More than what most commands tell.
const BUFFER_BYTES: usize = 192;

impl Hashing {
    fn new() -> Self {
        Hashing { hasher: SipHasher13::new(), buffer: [0; BUFFER_BYTES], filled: 0 }
    }

    fn finish(mut self) -> u128 {
        self.flush();
        self.hasher.finish128().as_u128()
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.filled + bytes.len() > BUFFER_BYTES {
            self.flush();
        }
        match self.buffer.get_mut(self.filled..self.filled + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            None => self.hasher.write(bytes),
        }
    }

    fn flush(&mut self) {
        self.hasher.write(&self.buffer[..self.filled]);
        self.filled = 0;
    }

    fn tag(&mut self, tag: Tag) {
        self.write(&[tag as u8]);
    }

    fn fixed<const N: usize>(&mut self, tag: Tag, bytes: [u8; N]) {
        self.tag(tag);
        self.write(&bytes);
    }

    /// With the length in front: no two sequences of texts are alike.
    fn sized(&mut self, tag: Tag, bytes: &[u8]) {
        self.fixed(tag, (bytes.len() as u64).to_le_bytes());
        self.write(bytes);
    }

    fn named(&mut self, name: &str) {
        self.sized(Tag::Named, name.as_bytes());
    }

    fn variant(&mut self, name: &str, variant: &str) {
        self.named(name);
        self.sized(Tag::Variant, variant.as_bytes());
    }

    fn begin(&mut self, tag: Tag) -> Compound<'_> {
        self.tag(tag);
        Compound { hashing: self, entries: 0, entry: None }
    }
}

/// What has several parts, while they are told.
struct Compound<'a> {
    hashing: &'a mut Hashing,
    /// The sum of a map's entries.
    entries: u128,
    /// A map's entry whose value is still to come.
    entry: Option<Hashing>,
}

impl Compound<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
        value.serialize(&mut *self.hashing)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unhashable> {
        self.hashing.named(name);
        self.part(value)
    }

    fn close(self) -> Result<(), Unhashable> {
        let entries = self.entries.to_le_bytes();
        self.hashing.fixed(Tag::End, entries);
        Ok(())
    }
}

/// An integer counts by its value, whatever its width.
macro_rules! widened {
    ($($method:ident($type:ty) => $wide:ident,)+) => {$(
        fn $method(self, value: $type) -> Result<(), Unhashable> {
            self.$wide(value.into())
        }
    )+};
}

impl<'a> Serializer for &'a mut Hashing {
    type Ok = ();
    type Error = Unhashable;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Unhashable> {
        self.fixed(Tag::Bool, [value.into()]);
        Ok(())
    }

    widened! {
        serialize_i8(i8) => serialize_i128,
        serialize_i16(i16) => serialize_i128,
        serialize_i32(i32) => serialize_i128,
        serialize_i64(i64) => serialize_i128,
        serialize_u8(u8) => serialize_u128,
        serialize_u16(u16) => serialize_u128,
        serialize_u32(u32) => serialize_u128,
        serialize_u64(u64) => serialize_u128,
    }

    fn serialize_i128(self, value: i128) -> Result<(), Unhashable> {
        self.fixed(Tag::Signed, value.to_le_bytes());
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Unhashable> {
        self.fixed(Tag::Unsigned, value.to_le_bytes());
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unhashable> {
        self.fixed(Tag::F32, value.to_bits().to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unhashable> {
        self.fixed(Tag::F64, value.to_bits().to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unhashable> {
        self.fixed(Tag::Char, u32::from(value).to_le_bytes());
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unhashable> {
        self.sized(Tag::Text, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unhashable> {
        self.sized(Tag::Bytes, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unhashable> {
        self.tag(Tag::Absent);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unhashable> {
        self.tag(Tag::Present);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unhashable> {
        self.tag(Tag::Unit);
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Unhashable> {
        self.named(name);
        Ok(())
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result<(), Unhashable> {
        self.variant(name, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Unhashable> {
        self.named(name);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unhashable> {
        self.variant(name, variant);
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Unhashable> {
        Ok(self.begin(Tag::Sequence))
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Unhashable> {
        Ok(self.begin(Tag::Sequence))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>, Unhashable> {
        self.named(name);
        Ok(self.begin(Tag::Sequence))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Unhashable> {
        self.variant(name, variant);
        Ok(self.begin(Tag::Sequence))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Unhashable> {
        Ok(self.begin(Tag::Map))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>, Unhashable> {
        self.named(name);
        Ok(self.begin(Tag::Sequence))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Unhashable> {
        self.variant(name, variant);
        Ok(self.begin(Tag::Sequence))
    }

    /// As in the binary codec.
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// What has parts without names.
macro_rules! listed {
    ($($kind:ident :: $method:ident),+) => {$(
        impl ser::$kind for Compound<'_> {
            type Ok = ();
            type Error = Unhashable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
                self.part(value)
            }

            fn end(self) -> Result<(), Unhashable> {
                self.close()
            }
        }
    )+};
}

listed! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}

/// What has parts with names.
macro_rules! named {
    ($($kind:ident),+) => {$(
        impl ser::$kind for Compound<'_> {
            type Ok = ();
            type Error = Unhashable;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unhashable> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Unhashable> {
                self.close()
            }
        }
    )+};
}

named! { SerializeStruct, SerializeStructVariant }

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Unhashable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unhashable> {
        let mut entry = Hashing::new();
        key.serialize(&mut entry)?;
        self.entry = Some(entry);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
        let mut entry =
            self.entry.take().ok_or_else(|| Unhashable("a map's value comes without its key".to_owned()))?;
        value.serialize(&mut entry)?;
        self.entries = self.entries.wrapping_add(entry.finish());
        Ok(())
    }

    fn end(self) -> Result<(), Unhashable> {
        self.close()
    }
}
