//! Types of columns: their words, how a type is inferred from texts, and what each is in Arrow.

mod builder;
mod cell;
mod inference;
mod node;
mod shape;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use builder::ColumnBuilder;
pub(crate) use cell::CellFormat;
pub(crate) use inference::Inference;
pub(crate) use node::{Leaf, Node, Struct};
pub(crate) use shape::{Shape, fields_of, number_kind};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `true` or `false`, also `t`, `f`, `yes`, `no`.
    Boolean,
    /// 64-bit integer.
    Integer,
    /// 64-bit floating point.
    Number,
    /// Exact decimal number: `decimal(12,2)` has up to 12 digits, 2 of them after the point.
    Decimal {
        /// Digits at most, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: i8,
    },
    /// `2026-03-01`.
    Date,
    /// `2026-03-01T06:00:00` or with a blank, microseconds; an offset is converted to UTC and then forgotten.
    Datetime,
    /// An instant, microseconds in UTC. Without an offset it is taken to be UTC.
    Timestamp,
    /// Anything.
    String,
    /// Bytes; in text as hexadecimal digits.
    Binary,
}

impl ColumnType {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::String => DataType::Utf8,
            Self::Binary => DataType::Binary,
        }
    }
}

impl ColumnType {
    /// The type whose values these are, if there is one.
    pub(crate) fn of(kind: &DataType) -> Option<Self> {
        Some(match kind {
            DataType::Boolean => Self::Boolean,
            kind if kind.is_integer() => Self::Integer,
            kind if kind.is_floating() => Self::Number,
            DataType::Decimal128(precision, scale) => Self::Decimal { precision: *precision, scale: *scale },
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, None) => Self::Datetime,
            DataType::Timestamp(_, Some(_)) => Self::Timestamp,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Binary,
            _ => return None,
        })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision},{scale})"),
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Timestamp => "timestamp",
            Self::String => "string",
            Self::Binary => "binary",
        })
    }
}

/// The words, for errors and for editors.
const WORDS: [&str; 9] =
    ["boolean", "integer", "number", "decimal(12,2)", "date", "datetime", "timestamp", "string", "binary"];

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let kind = match plain.as_str() {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "date" => Self::Date,
            "datetime" => Self::Datetime,
            "timestamp" => Self::Timestamp,
            "string" => Self::String,
            "binary" => Self::Binary,
            other => {
                let digits = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let (precision, scale) = digits
                    .and_then(|digits| digits.split_once(','))
                    .and_then(|(precision, scale)| Some((precision.parse().ok()?, scale.parse().ok()?)))
                    .ok_or_else(|| {
                        format!("`{text}` is not a type of a column; types are {}", WORDS.join(", "))
                    })?;
                let fits = |scale: i8| u8::try_from(scale).is_ok_and(|scale| scale <= precision);
                if precision == 0 || precision > DECIMAL128_MAX_PRECISION || !fits(scale) {
                    return Err(format!(
                        "`{text}` has no room: a decimal has 1 to {DECIMAL128_MAX_PRECISION} digits, at most all of them after the point"
                    ));
                }
                Self::Decimal { precision, scale }
            }
        };
        Ok(kind)
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for ColumnType {
    fn schema_name() -> Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let plain: Vec<&str> = WORDS.into_iter().filter(|word| !word.contains('(')).collect();
        json_schema!({
            "description": "The type of a column.",
            "anyOf": [
                {"type": "string", "enum": plain},
                {"type": "string", "pattern": "^decimal\\(\\s*[0-9]+\\s*,\\s*[0-9]+\\s*\\)$"},
            ],
        })
    }
}

/// How a column is read: a type, or a type with how its values are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnSpec {
    /// The type, its values in the usual form.
    Type(ColumnType),
    /// The type and the form.
    Long(LongColumnSpec),
}

/// A type and how its values are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongColumnSpec {
    /// The type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// How dates and times are written, as in `strftime`: `%d.%m.%Y %H:%M`.
    #[serde(default)]
    pub format: Option<String>,
    /// How numbers are written.
    #[serde(default)]
    pub culture: Culture,
    /// Texts that mean null in this column, beside those of all columns.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// Whether a value may lose what its type has no room for: the time of a date, digits after the point. A row that would lose it is rejected
    /// otherwise.
    #[serde(default)]
    pub truncate: bool,
    /// Whether the first records may lack the column although one of theirs has a name like it, which else is taken for a slip. JSON and XML only.
    #[serde(default)]
    pub optional: bool,
}

impl ColumnSpec {
    pub(crate) fn kind(&self) -> ColumnType {
        match self {
            Self::Type(kind) => *kind,
            Self::Long(long) => long.kind,
        }
    }

    /// Whether a source without the column is meant.
    pub(crate) fn is_optional(&self) -> bool {
        matches!(self, Self::Long(long) if long.optional)
    }
}

/// How a country writes numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Culture {
    /// `1234.5`, nothing between groups of digits.
    #[default]
    Plain,
    /// `1,234.5`.
    En,
    /// `1.234,5`.
    De,
    /// `1 234,5`, also with the narrow and the no-break space.
    Fr,
    /// `1'234.5`.
    Ch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_types() {
        for word in WORDS {
            assert_eq!(word.parse::<ColumnType>().unwrap().to_string(), word);
        }
        assert_eq!("decimal( 5, 0 )".parse(), Ok(ColumnType::Decimal { precision: 5, scale: 0 }));
        insta::assert_snapshot!("money".parse::<ColumnType>().unwrap_err(), @r###"`money` is not a type of a column; types are boolean, integer, number, decimal(12,2), date, datetime, timestamp, string, binary"###);
        insta::assert_snapshot!("decimal(4,5)".parse::<ColumnType>().unwrap_err(), @r###"`decimal(4,5)` has no room: a decimal has 1 to 38 digits, at most all of them after the point"###);
        insta::assert_snapshot!("decimal(39,1)".parse::<ColumnType>().unwrap_err(), @r###"`decimal(39,1)` has no room: a decimal has 1 to 38 digits, at most all of them after the point"###);
    }
}
