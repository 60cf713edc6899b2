//! A serializer that writes nothing: it looks for what would not come back from JSON as it went in.

use std::fmt;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Levels of arrays and objects that `serde_json` reads.
const LEVELS_MAX: u8 = 127;

/// See the module. It is handed down by value, one level less each time.
#[derive(Clone, Copy)]
pub(super) struct Faithful {
    levels_left: u8,
}

/// Whether a value is written as `null`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Null,
    Something,
}

/// What would be lost.
#[derive(Debug)]
pub(super) struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

impl Error for Lost {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Lost(message.to_string())
    }
}

impl Faithful {
    pub(super) fn new() -> Self {
        Faithful { levels_left: LEVELS_MAX }
    }

    fn deeper(self, levels: u8) -> Result<Self, Lost> {
        let levels_left = self.levels_left.checked_sub(levels);
        let too_deep = || Lost(format!("JSON with more than {LEVELS_MAX} levels cannot be read back"));
        levels_left.map(|levels_left| Faithful { levels_left }).ok_or_else(too_deep)
    }

    fn float(value: f64) -> Result<Shown, Lost> {
        match value.is_finite() {
            true => Ok(Shown::Something),
            false => Err(Lost(format!("JSON has no number {value}"))),
        }
    }
}

macro_rules! shows_something {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, _: $type) -> Result<Shown, Lost> {
            Ok(Shown::Something)
        })*
    };
}

impl Serializer for Faithful {
    type Ok = Shown;
    type Error = Lost;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    shows_something! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8]
    }

    fn serialize_f32(self, value: f32) -> Result<Shown, Lost> {
        Self::float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Shown, Lost> {
        Self::float(value)
    }

    fn serialize_none(self) -> Result<Shown, Lost> {
        Ok(Shown::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Shown, Lost> {
        match value.serialize(self)? {
            Shown::Something => Ok(Shown::Something),
            Shown::Null => {
                Err(Lost("JSON cannot tell an option that holds an empty value from an empty option".into()))
            }
        }
    }

    fn serialize_unit(self) -> Result<Shown, Lost> {
        Ok(Shown::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Shown, Lost> {
        Ok(Shown::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<Shown, Lost> {
        Ok(Shown::Something)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Shown, Lost> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Shown, Lost> {
        value.serialize(self.deeper(1)?).map(|_| Shown::Something)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Lost> {
        self.deeper(1)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Lost> {
        self.deeper(1)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Lost> {
        self.deeper(1)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Lost> {
        self.deeper(2)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Lost> {
        self.deeper(1)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Lost> {
        self.deeper(1)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Lost> {
        self.deeper(2)
    }
}

macro_rules! looks_at_each {
    ($trait:ident, $method:ident $(, $key:ident: $key_type:ty)?) => {
        impl $trait for Faithful {
            type Ok = Shown;
            type Error = Lost;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $key_type,)? value: &T) -> Result<(), Lost> {
                value.serialize(*self).map(drop)
            }

            fn end(self) -> Result<Shown, Lost> {
                Ok(Shown::Something)
            }
        }
    };
}

looks_at_each!(SerializeSeq, serialize_element);
looks_at_each!(SerializeTuple, serialize_element);
looks_at_each!(SerializeTupleStruct, serialize_field);
looks_at_each!(SerializeTupleVariant, serialize_field);
looks_at_each!(SerializeStruct, serialize_field, _key: &'static str);
looks_at_each!(SerializeStructVariant, serialize_field, _key: &'static str);

impl SerializeMap for Faithful {
    type Ok = Shown;
    type Error = Lost;

    /// `serde_json` itself refuses keys that it cannot say.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Lost> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Lost> {
        value.serialize(*self).map(drop)
    }

    fn end(self) -> Result<Shown, Lost> {
        Ok(Shown::Something)
    }
}
