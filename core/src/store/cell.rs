//! How the protocol's types lie in columns: one [`Cell`] for each type, so that a row is read and
//! written without a cast in sight.

use hauspost_protocol::content::AnnouncementId;
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::epoch::{HintKey, RecordKey};
use hauspost_protocol::file::Leaves;
use hauspost_protocol::ids::{
    CompanyId, CoreHash, DeviceId, Digest, EntryHash, Epoch, Gen, KeyId, LeafIndex, LogId, LogNo,
    MessageId, RecordIndex, Seq, UserId,
};
use hauspost_protocol::statement::File;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// A type that lies in one column.
pub trait Cell: Sized {
    /// The value as SQLite takes it.
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>>;
    /// The value that lies there.
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self>;
}

/// Wraps a value as a parameter of a statement.
pub struct C<T>(pub T);

impl<T: Cell> ToSql for C<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.put()
    }
}

impl<T: Cell> FromSql for C<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::take(value).map(C)
    }
}

/// Reads column `index` of a row.
pub fn cell<T: Cell>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    row.get::<_, C<T>>(index).map(|cell| cell.0)
}

impl<T: Cell> Cell for Option<T> {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Some(value) => value.put(),
            None => Ok(ToSqlOutput::Borrowed(ValueRef::Null)),
        }
    }
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::take(value).map(Some),
        }
    }
}

impl<T: Cell> Cell for &T {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        (*self).put()
    }
    fn take(_: ValueRef<'_>) -> FromSqlResult<Self> {
        Err(FromSqlError::InvalidType)
    }
}

macro_rules! plain_cells {
    ($($type:ty)+) => {$(
        impl Cell for $type {
            fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.to_sql()
            }
            fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::column_result(value)
            }
        }
    )+};
}
plain_cells! { i64 u32 u16 bool String Vec<u8> [u8; 32] }

impl Cell for u64 {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = i64::try_from(*self)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(value.into())
    }
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let value = value.as_i64()?;
        u64::try_from(value).map_err(|_| FromSqlError::OutOfRange(value))
    }
}

impl Cell for Bytes {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_blob()?.to_vec()))
    }
}

impl Cell for Secret {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.expose())))
    }
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self::new)
    }
}

impl Cell for SigningKey {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.seed().put()
    }
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Secret::take(value).map(Self::from_seed)
    }
}

/// What lies in a column as the protocol encodes it.
macro_rules! item_cells {
    ($($type:ty)+) => {$(
        impl Cell for $type {
            fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(encode(self).into())
            }
            fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
                decode(value.as_blob()?).map_err(|_| FromSqlError::InvalidType)
            }
        }
    )+};
}
item_cells! { RecordKey HintKey File Leaves }

macro_rules! byte_cells {
    ($($type:ident[$len:literal])+) => {$(
        impl Cell for $type {
            fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
            }
            fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; $len]>::column_result(value).map(Self)
            }
        }
    )+};
}
byte_cells! {
    CompanyId[16] UserId[16] DeviceId[16] LogId[16] KeyId[16]
    Digest[32] CoreHash[32] EntryHash[32] MessageId[32] AnnouncementId[16]
}

macro_rules! number_cells {
    ($($type:ident($inner:ty))+) => {$(
        impl Cell for $type {
            fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.put()
            }
            fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <$inner>::take(value).map(Self)
            }
        }
    )+};
}
number_cells! { Seq(u64) LogNo(u64) Gen(u16) Epoch(u64) LeafIndex(u32) RecordIndex(u32) }

/// An enumeration that lies in a column as its number. A number that this build does not know, from
/// a newer one, reads as `Newer`, and is never written.
macro_rules! code_cell {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A number that a newer build wrote.
            Newer,
        }

        impl $crate::store::cell::Cell for $name {
            fn put(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                match self {
                    $(Self::$variant => Ok(rusqlite::types::ToSqlOutput::from($code as i64)),)+
                    Self::Newer => Err(rusqlite::Error::InvalidParameterName(
                        concat!(stringify!($name), " of a newer build").to_owned(),
                    )),
                }
            }
            fn take(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                Ok(match value.as_i64()? {
                    $($code => Self::$variant,)+
                    _ => Self::Newer,
                })
            }
        }
    };
}
pub(crate) use code_cell;

#[cfg(test)]
mod tests {
    use super::*;

    code_cell! {
        /// For the test.
        pub enum Colour {
            /// One.
            Red = 1,
            /// Two.
            Blue = 2,
        }
    }

    #[test]
    fn a_number_of_a_newer_build_reads_as_unknown_and_is_not_written_back() {
        assert_eq!(Colour::take(ValueRef::Integer(2)), Ok(Colour::Blue));
        assert_eq!(Colour::take(ValueRef::Integer(7)), Ok(Colour::Newer));
        assert!(Colour::Red.put().is_ok());
        assert!(Colour::Newer.put().is_err());
    }

    #[test]
    fn a_number_that_no_column_holds_is_refused() {
        assert!(Seq(u64::MAX).put().is_err());
        assert!(u64::take(ValueRef::Integer(-1)).is_err());
    }
}
