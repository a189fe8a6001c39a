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

    /// Writes a boolean of CBOR's, for what another standard defines; ours are 0 and 1.
    pub(crate) fn bool(&mut self, value: bool) {
        self.must(|e| e.bool(value).map(|_| ()));
    }

    fn raw(&mut self, item: &[u8]) {
        self.0.writer_mut().extend_from_slice(item);
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
        self.deeper(|reader| {
            let len = reader.decoder.array().map_err(|_| FormError::Malformed)?;
            read(reader, len.ok_or(FormError::NotCanonical)?)
        })
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

    /// Passes over one item of any kind, and refuses what is not its deterministic encoding
    /// (RFC 8949 §4.2.1): definite lengths, shortest heads, map keys ascending and each once.
    fn skip(&mut self) -> Result<(), FormError> {
        let (major, argument) = self.head()?;
        match major {
            0 | 1 => Ok(()),
            2 => self.take(argument).map(|_| ()),
            3 => std::str::from_utf8(self.take(argument)?)
                .map(|_| ())
                .map_err(|_| FormError::Malformed),
            4 => self.deeper(|reader| (0..argument).try_for_each(|_| reader.skip())),
            5 => self.deeper(|reader| {
                let mut last: &[u8] = &[];
                (0..argument).try_for_each(|_| {
                    let start = reader.position();
                    reader.skip()?;
                    let key = &reader.decoder.input()[start..reader.position()];
                    if key <= last {
                        return Err(FormError::NotCanonical);
                    }
                    last = key;
                    reader.skip()
                })
            }),
            6 => self.deeper(Self::skip),
            _ => Ok(()),
        }
    }

    /// The head of an item: its major type and its argument, in the shortest form.
    fn head(&mut self) -> Result<(u8, u64), FormError> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let len = match info {
            0..=23 => return Ok((major, u64::from(info))),
            24..=27 => 1u64 << (info - 24),
            _ => return Err(FormError::NotCanonical),
        };
        let argument = self.take(len)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let shortest = match (major, len) {
            // Floats keep their width; of the simple values only those above 31 have a second byte.
            (7, 1) => argument >= 32,
            (7, _) => true,
            (_, 1) => argument >= 24,
            _ => argument >> (4 * len) != 0,
        };
        if shortest { Ok((major, argument)) } else { Err(FormError::NotCanonical) }
    }

    fn take(&mut self, len: u64) -> Result<&'b [u8], FormError> {
        let start = self.position();
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        let taken = end.and_then(|end| self.decoder.input().get(start..end));
        let taken = taken.ok_or(FormError::Malformed)?;
        self.decoder.set_position(start + taken.len());
        Ok(taken)
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormError>,
    ) -> Result<T, FormError> {
        if self.depth == MAX_DEPTH {
            return Err(FormError::TooDeep);
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
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

/// One item of any kind, unopened: what another standard put there and we only carry on.
///
/// It may hold what ours never do (maps, booleans, negative numbers), in the deterministic encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct Any(Vec<u8>);

impl Any {
    /// A map without entries.
    pub fn empty_map() -> Self {
        Self(vec![0xa0])
    }

    /// The item's encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Any({} B)", self.0.len())
    }
}

impl Item for Any {
    fn write(&self, to: &mut Writer) {
        to.raw(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let start = from.position();
        let bytes = from.decoder.input();
        from.skip()?;
        Ok(Self(bytes[start..from.position()].to_vec()))
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
mod tests;
