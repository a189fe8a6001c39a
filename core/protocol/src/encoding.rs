//! Deterministic CBOR: one byte string for one value, and no other.
//!
//! Own structures use five things only: unsigned integers below 2⁶³, byte strings, text strings,
//! arrays and null. An [`Item`] writes itself with [`Writer`] and reads itself with [`Reader`];
//! [`decode`] re-encodes what it read and refuses a difference, so that nothing has two encodings
//! (RFC 8949 §4.2.1). Hashes and signatures run over the transmitted bytes, never over these.

use std::fmt;
use std::ops::Deref;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Unsigned integers are below this bound, so that every platform's signed 64-bit integer holds them.
pub const UINT_LIMIT: u64 = 1 << 63;

/// Arrays around an item, at most.
pub const MAX_DEPTH: u8 = 8;

/// Bytes that are not the one encoding of the value asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The bytes end inside an item, or an item of another type stands where one was expected.
    #[error("the bytes are not of the expected form")]
    Malformed,
    /// The same value has a shorter or otherwise preferred encoding.
    #[error("the bytes are not the deterministic encoding")]
    NotCanonical,
    /// Bytes follow the item.
    #[error("bytes follow the item")]
    Trailing,
    /// More than [`MAX_DEPTH`] arrays around an item.
    #[error("too many arrays around an item")]
    TooDeep,
    /// A number that the field's enumeration does not list.
    #[error("a number that is not listed for its field")]
    Unlisted,
    /// A count, length or number above its limit.
    #[error("a count, length or number above its limit")]
    TooLarge,
}

/// A value with exactly one encoding.
pub trait Item: Sized {
    /// Appends the value's encoding.
    fn write(&self, to: &mut Writer);
    /// Reads a value of this type.
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError>;
}

/// The encoding of a value.
pub fn encode<T: Item>(item: &T) -> Vec<u8> {
    let mut writer = Writer::new();
    item.write(&mut writer);
    writer.finish()
}

/// The value that these bytes are the deterministic encoding of.
pub fn decode<T: Item>(bytes: &[u8]) -> Result<T, FormError> {
    let mut reader = Reader::new(bytes);
    let item = T::read(&mut reader)?;
    if reader.position() != bytes.len() {
        return Err(FormError::Trailing);
    }
    if write_sized(bytes.len(), |to| item.write(to)) != bytes {
        return Err(FormError::NotCanonical);
    }
    Ok(item)
}

/// The value at the start of these bytes, and how many bytes it takes; for what is padded.
pub fn decode_prefix<T: Item>(bytes: &[u8]) -> Result<(T, usize), FormError> {
    let mut reader = Reader::new(bytes);
    let item = T::read(&mut reader)?;
    let used = reader.position();
    if write_sized(used, |to| item.write(to)) != bytes[..used] {
        return Err(FormError::NotCanonical);
    }
    Ok((item, used))
}

/// What `write` writes, in a buffer of about `len` bytes: for what is written often and large.
pub(crate) fn write_sized(len: usize, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer(Encoder::new(Vec::with_capacity(len)));
    write(&mut writer);
    writer.finish()
}

/// What `read` takes from the start of these bytes, borrowed from them, and how many bytes it took.
///
/// The caller checks that the encoding is the deterministic one, by writing what was read.
pub(crate) fn read_prefix<'b, T>(
    bytes: &'b [u8],
    read: impl FnOnce(&mut Reader<'b>) -> Result<T, FormError>,
) -> Result<(T, usize), FormError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    Ok((value, reader.position()))
}

/// Writes items one after another.
pub struct Writer(Encoder<Vec<u8>>);

impl Writer {
    fn new() -> Self {
        Self(Encoder::new(Vec::with_capacity(256)))
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }

    /// Opens an array of exactly `len` items, which the caller writes next.
    pub fn array(&mut self, len: usize) {
        self.must(|e| e.array(len as u64).map(|_| ()));
    }

    /// Writes an unsigned integer.
    pub fn uint(&mut self, value: u64) {
        debug_assert!(value < UINT_LIMIT, "a number of ours is below 2^63");
        self.must(|e| e.u64(value).map(|_| ()));
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.must(|e| e.bytes(value).map(|_| ()));
    }

    /// Writes a text string.
    pub fn text(&mut self, value: &str) {
        self.must(|e| e.str(value).map(|_| ()));
    }

    /// Writes null.
    pub fn null(&mut self) {
        self.must(|e| e.null().map(|_| ()));
    }

    fn must(
        &mut self,
        write: impl FnOnce(
            &mut Encoder<Vec<u8>>,
        ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>,
    ) {
        write(&mut self.0).expect("writing to a Vec does not fail");
    }
}

/// Reads items one after another, and no deeper than [`MAX_DEPTH`].
pub struct Reader<'b> {
    decoder: Decoder<'b>,
    depth: u8,
}

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), depth: 0 }
    }

    fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Reads an array of exactly `len` items by `read`.
    pub fn array<T>(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Self) -> Result<T, FormError>,
    ) -> Result<T, FormError> {
        self.list(|reader, found| {
            if found != len as u64 {
                return Err(FormError::Malformed);
            }
            read(reader)
        })
    }

    /// Reads an array of any number of items; `read` is told the number.
    pub fn list<T>(
        &mut self,
        read: impl FnOnce(&mut Self, u64) -> Result<T, FormError>,
    ) -> Result<T, FormError> {
        if self.depth == MAX_DEPTH {
            return Err(FormError::TooDeep);
        }
        let len = self.decoder.array().map_err(|_| FormError::Malformed)?;
        let len = len.ok_or(FormError::NotCanonical)?;
        self.depth += 1;
        let value = read(self, len)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Reads an unsigned integer below 2⁶³.
    pub fn uint(&mut self) -> Result<u64, FormError> {
        let value = self.decoder.u64().map_err(|_| FormError::Malformed)?;
        if value >= UINT_LIMIT {
            return Err(FormError::TooLarge);
        }
        Ok(value)
    }

    /// Reads a byte string of definite length.
    pub fn bytes(&mut self) -> Result<&'b [u8], FormError> {
        self.decoder.bytes().map_err(|_| FormError::Malformed)
    }

    /// Reads a text string of definite length.
    pub fn text(&mut self) -> Result<&'b str, FormError> {
        self.decoder.str().map_err(|_| FormError::Malformed)
    }

    /// Whether null comes next; if so, it is consumed.
    pub fn take_null(&mut self) -> Result<bool, FormError> {
        match self.decoder.datatype() {
            Ok(Type::Null) => {
                self.decoder.null().map_err(|_| FormError::Malformed)?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(_) => Err(FormError::Malformed),
        }
    }
}

/// A byte string of any length. Nested encodings travel in it, unopened.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} B)", self.0.len())
    }
}

impl Item for Bytes {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Ok(Self(from.bytes()?.to_vec()))
    }
}

impl<const N: usize> Item for [u8; N] {
    fn write(&self, to: &mut Writer) {
        to.bytes(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.bytes()?.try_into().map_err(|_| FormError::Malformed)
    }
}

impl Item for u64 {
    fn write(&self, to: &mut Writer) {
        to.uint(*self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.uint()
    }
}

impl Item for u32 {
    fn write(&self, to: &mut Writer) {
        to.uint(u64::from(*self));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.uint()?.try_into().map_err(|_| FormError::TooLarge)
    }
}

impl Item for u16 {
    fn write(&self, to: &mut Writer) {
        to.uint(u64::from(*self));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.uint()?.try_into().map_err(|_| FormError::TooLarge)
    }
}

/// Yes and no are 1 and 0.
impl Item for bool {
    fn write(&self, to: &mut Writer) {
        to.uint(u64::from(*self));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        match from.uint()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormError::Unlisted),
        }
    }
}

impl Item for String {
    fn write(&self, to: &mut Writer) {
        to.text(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Ok(from.text()?.to_owned())
    }
}

impl<T: Item> Item for Option<T> {
    fn write(&self, to: &mut Writer) {
        match self {
            Some(item) => item.write(to),
            None => to.null(),
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        if from.take_null()? { Ok(None) } else { T::read(from).map(Some) }
    }
}

impl<T: Item> Item for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.array(self.len());
        for item in self {
            item.write(to);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        // Nothing is reserved for the count that the bytes claim: a list grows with what is there.
        from.list(|reader, len| (0..len).map(|_| T::read(reader)).collect())
    }
}

macro_rules! tuple_items {
    ($($len:literal: $($name:ident)+;)+) => {$(
        impl<$($name: Item),+> Item for ($($name,)+) {
            #[allow(non_snake_case)]
            fn write(&self, to: &mut Writer) {
                let ($($name,)+) = self;
                to.array($len);
                $($name.write(to);)+
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
                from.array($len, |reader| Ok(($($name::read(reader)?,)+)))
            }
        }
    )+};
}

tuple_items! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
}

/// A struct whose encoding is the array of its fields, in the order in which they are written.
///
/// `struct Name = N { … }` makes the first element the fixed number N, which versions the structure.
#[macro_export]
macro_rules! array_item {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(= $version:literal)? {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)+
    }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type,)+ }

        impl $crate::encoding::Item for $name {
            fn write(&self, to: &mut $crate::encoding::Writer) {
                to.array([$($version as usize,)? $(stringify!($field).len(),)+].len());
                $(to.uint($version);)?
                $($crate::encoding::Item::write(&self.$field, to);)+
            }
            fn read(
                from: &mut $crate::encoding::Reader<'_>,
            ) -> Result<Self, $crate::encoding::FormError> {
                from.array([$($version as usize,)? $(stringify!($field).len(),)+].len(), |reader| {
                    $(if reader.uint()? != $version {
                        return Err($crate::encoding::FormError::Unlisted);
                    })?
                    Ok(Self { $($field: <$type as $crate::encoding::Item>::read(reader)?,)+ })
                })
            }
        }
    };
}

/// An enumeration whose encoding is its number; numbers that are not listed are refused.
#[macro_export]
macro_rules! code_item {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name { $($(#[$variant_meta])* $variant = $code,)+ }

        impl $name {
            /// The number that stands for it.
            pub fn code(self) -> u64 {
                self as u64
            }
        }

        impl $crate::encoding::Item for $name {
            fn write(&self, to: &mut $crate::encoding::Writer) {
                to.uint(self.code());
            }
            fn read(
                from: &mut $crate::encoding::Reader<'_>,
            ) -> Result<Self, $crate::encoding::FormError> {
                match from.uint()? {
                    $($code => Ok(Self::$variant),)+
                    _ => Err($crate::encoding::FormError::Unlisted),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_form_of_a_number_is_refused() {
        assert_eq!(decode::<u64>(&[0x17]), Ok(23));
        assert_eq!(decode::<u64>(&[0x18, 0x17]), Err(FormError::NotCanonical));
    }

    #[test]
    fn numbers_from_two_to_the_63_on_are_refused() {
        let mut bytes = vec![0x1b];
        bytes.extend_from_slice(&UINT_LIMIT.to_be_bytes());
        assert_eq!(decode::<u64>(&bytes), Err(FormError::TooLarge));
    }

    #[test]
    fn bytes_after_the_item_are_refused() {
        assert_eq!(decode::<u64>(&[0x01, 0x00]), Err(FormError::Trailing));
    }

    #[test]
    fn indefinite_lengths_are_refused() {
        assert_eq!(decode::<Vec<u64>>(&[0x9f, 0x01, 0xff]), Err(FormError::NotCanonical));
        assert_eq!(decode::<Bytes>(&[0x5f, 0x41, 0x01, 0xff]), Err(FormError::Malformed));
    }

    #[test]
    fn a_claimed_count_of_two_to_the_62_allocates_nothing() {
        let mut bytes = vec![0x9b];
        bytes.extend_from_slice(&(1u64 << 62).to_be_bytes());
        assert_eq!(decode::<Vec<u64>>(&bytes), Err(FormError::Malformed));
    }

    #[test]
    fn null_is_the_absent_value_and_nothing_else_is() {
        assert_eq!(decode::<Option<u64>>(&[0xf6]), Ok(None));
        assert_eq!(decode::<Option<u64>>(&[0xf7]), Err(FormError::Malformed));
    }
}
