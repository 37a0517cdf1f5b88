//! Rows and values of the rooms as views.

pub(crate) mod approvals;
pub(crate) mod arrow_stream;
pub(crate) mod assets;
pub(crate) mod compare;
pub(crate) mod definition;
pub(crate) mod environments;
pub(crate) mod runs;
pub(crate) mod table;
pub(crate) mod traces;

use jiff::Timestamp;

/// Microseconds since 1970 as RFC 3339.
pub(crate) fn instant(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// A count from the database.
pub(crate) fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
