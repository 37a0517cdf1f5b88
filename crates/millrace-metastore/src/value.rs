//! Values that go into statements and rows that come out.

use std::borrow::Cow;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::MetastoreError;

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// NULL of a text column.
    NullText,
    /// NULL of an integer column.
    NullInt,
    /// NULL of a real column.
    NullReal,
    /// NULL of a bytes column.
    NullBytes,
    /// BIGINT.
    Int(i64),
    /// DOUBLE PRECISION.
    Real(f64),
    /// TEXT.
    Text(Cow<'a, str>),
    /// BLOB or BYTEA.
    Bytes(Cow<'a, [u8]>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}
impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}
impl From<bool> for Value<'_> {
    /// Stored as 0 or 1 in a BIGINT column, on both databases.
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}
impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}
impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}
impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}
impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(value))
    }
}
impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::NullInt, Self::Int)
    }
}
impl From<Option<f64>> for Value<'_> {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::NullReal, Self::Real)
    }
}
impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Self::NullText, Self::from)
    }
}
impl From<Option<String>> for Value<'_> {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::NullText, Self::from)
    }
}
impl From<Option<Vec<u8>>> for Value<'_> {
    fn from(value: Option<Vec<u8>>) -> Self {
        value.map_or(Self::NullBytes, Self::from)
    }
}

/// A row of a result; columns are read by name.
#[derive(Debug)]
pub struct Row(pub(crate) Inner);

#[derive(Debug)]
pub(crate) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! getter_at {
    ($(#[$doc:meta])* $name:ident, $type:ty, $wanted:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// [`MetastoreError::Column`] if there is no such place, or it has another type.
        pub(crate) fn $name(&self, place: usize) -> Result<Option<$type>, MetastoreError> {
            let read = match &self.0 {
                Inner::Sqlite(row) => row.try_get::<Option<$type>, _>(place),
                Inner::Postgres(row) => row.try_get::<Option<$type>, _>(place),
            };
            read.map_err(|_| MetastoreError::Column { column: format!("number {place}"), wanted: $wanted })
        }
    };
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $opt:ident, $type:ty, $wanted:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// [`MetastoreError::Column`] if the column is absent, NULL or of another type.
        pub fn $name(&self, column: &str) -> Result<$type, MetastoreError> {
            self.$opt(column)?.ok_or_else(|| MetastoreError::Column { column: column.to_owned(), wanted: $wanted })
        }

        $(#[$doc])*
        /// `None` for NULL.
        ///
        /// # Errors
        /// [`MetastoreError::Column`] if the column is absent or of another type.
        pub fn $opt(&self, column: &str) -> Result<Option<$type>, MetastoreError> {
            let read = match &self.0 {
                Inner::Sqlite(row) => row.try_get::<Option<$type>, _>(column),
                Inner::Postgres(row) => row.try_get::<Option<$type>, _>(column),
            };
            read.map_err(|_| MetastoreError::Column { column: column.to_owned(), wanted: $wanted })
        }
    };
}

impl Row {
    getter!(
        /// An integer.
        int, opt_int, i64, "an integer"
    );
    getter!(
        /// A number.
        real, opt_real, f64, "a number"
    );
    getter!(
        /// Text.
        text, opt_text, String, "text"
    );
    getter!(
        /// Bytes.
        bytes, opt_bytes, Vec<u8>, "bytes"
    );

    getter_at!(
        /// An integer by its place in the row; `None` for NULL.
        int_at, i64, "an integer"
    );
    getter_at!(
        /// Text by its place in the row, not copied; `None` for NULL.
        text_at, &str, "text"
    );
    getter_at!(
        /// Bytes by their place in the row, not copied; `None` for NULL.
        bytes_at, &[u8], "bytes"
    );

    /// A truth value: an integer other than 0.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn bool(&self, column: &str) -> Result<bool, MetastoreError> {
        Ok(self.int(column)? != 0)
    }
}
