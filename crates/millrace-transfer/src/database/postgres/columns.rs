//! Which Arrow type a column of PostgreSQL has, and how it is asked for.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, TimeUnit};
use tokio_postgres::types::{Kind as TypeKind, Type};

use crate::database::Dialect;
use crate::types::{ColumnSpec, ColumnType};

/// Digits of a `numeric` that has no limit: what has more, before the point or after it, is an error that says what to declare.
pub(super) const UNBOUNDED: Kind = Kind::Numeric { precision: 38, scale: 18 };

/// The binary forms that are understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric {
        precision: u8,
        scale: i8,
    },
    Date,
    Time,
    Timestamp {
        zoned: bool,
    },
    Text,
    /// Text after a byte that says its version.
    Jsonb,
    Uuid,
    Bytes,
    List(Box<Self>),
}

impl Kind {
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { zoned: false } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp { zoned: true } => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text | Self::Jsonb | Self::Uuid => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::List(item) => DataType::List(Arc::new(Field::new_list_field(item.data_type(), true))),
        }
    }

    /// The form in which the server sends and takes values of a type; `None` if it is one that we do not read, which goes as text.
    pub(super) fn of(kind: &Type, modifier: i32) -> Option<Self> {
        let found = match *kind {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => return numeric(modifier),
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMESTAMP => Self::Timestamp { zoned: false },
            Type::TIMESTAMPTZ => Self::Timestamp { zoned: true },
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => Self::Text,
            Type::JSONB => Self::Jsonb,
            Type::UUID => Self::Uuid,
            Type::BYTEA => Self::Bytes,
            _ => match kind.kind() {
                TypeKind::Enum(_) => Self::Text,
                TypeKind::Array(item) => match Self::of(item, modifier)? {
                    Self::List(_) => return None,
                    item => Self::List(Box::new(item)),
                },
                TypeKind::Domain(base) => return Self::of(base, modifier),
                _ => return None,
            },
        };
        Some(found)
    }
}

/// The modifier holds precision and scale; `None` if no decimal of ours has room.
fn numeric(modifier: i32) -> Option<Kind> {
    if modifier < 4 {
        return Some(UNBOUNDED);
    }
    let precision = ((modifier - 4) >> 16) & 0xffff;
    // Eleven bits with a sign, since PostgreSQL 15.
    let scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    let precision =
        u8::try_from(precision).ok().filter(|precision| *precision <= DECIMAL128_MAX_PRECISION)?;
    Some(Kind::Numeric { precision, scale: i8::try_from(scale).ok()? })
}

/// A column that is read.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// SQL that gives it in that form.
    pub(super) expression: String,
}

impl Column {
    pub(super) fn new(name: &str, kind: &Type, modifier: i32, declared: Option<&ColumnSpec>) -> Self {
        let quoted = Dialect::Postgres.quoted(name);
        let (kind, cast) = match declared.map(ColumnSpec::kind) {
            Some(declared) => of_declared(declared),
            None => match Kind::of(kind, modifier) {
                Some(kind) => (kind, String::new()),
                None if *kind == Type::OID => (Kind::Int8, "::int8".to_owned()),
                None => match kind.kind() {
                    TypeKind::Array(_) => (Kind::List(Box::new(Kind::Text)), "::text[]".to_owned()),
                    _ => (Kind::Text, "::text".to_owned()),
                },
            },
        };
        Self { name: name.to_owned(), kind, expression: format!("{quoted}{cast}") }
    }

    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.kind.data_type(), true)
    }
}

fn of_declared(declared: ColumnType) -> (Kind, String) {
    let (kind, cast) = match declared {
        ColumnType::Boolean => (Kind::Bool, "boolean"),
        ColumnType::Integer => (Kind::Int8, "int8"),
        ColumnType::Number => (Kind::Float8, "float8"),
        ColumnType::Decimal { precision, scale } => {
            return (Kind::Numeric { precision, scale }, format!("::numeric({precision},{scale})"));
        }
        ColumnType::Date => (Kind::Date, "date"),
        ColumnType::Datetime => (Kind::Timestamp { zoned: false }, "timestamp"),
        ColumnType::Timestamp => (Kind::Timestamp { zoned: true }, "timestamptz"),
        ColumnType::String => (Kind::Text, "text"),
        ColumnType::Binary => (Kind::Bytes, "bytea"),
    };
    (kind, format!("::{cast}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        let check = |precision: i32, scale: i32, expected: Option<(u8, i8)>| {
            let modifier = ((precision << 16) | (scale & 0x7ff)) + 4;
            let expected = expected.map(|(precision, scale)| Kind::Numeric { precision, scale });
            assert_eq!(Kind::of(&Type::NUMERIC, modifier), expected, "numeric({precision},{scale})");
        };
        check(12, 2, Some((12, 2)));
        check(38, 38, Some((38, 38)));
        check(3, -2, Some((5, 0)));
        check(2, 5, Some((5, 5)));
        check(39, 0, None);
        assert_eq!(Kind::of(&Type::NUMERIC, -1), Some(UNBOUNDED));
    }
}
