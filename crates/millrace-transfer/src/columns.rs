//! Types of columns: their words, how they are inferred from text, and how text becomes a value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::compute::kernels::cast_utils::Parser as _;
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// `true` or `false`, also `t`, `f`, `yes`, `no`.
    Boolean,
    /// 64-bit integer.
    Integer,
    /// 64-bit floating point.
    Number,
    /// `2026-03-01`.
    Date,
    /// `2026-03-01T06:00:00` or with a blank; an offset is converted to UTC.
    Datetime,
    /// Anything.
    String,
}

impl ColumnType {
    /// From the narrowest to the widest that inference tries.
    const NARROW_FIRST: [Self; 5] = [Self::Boolean, Self::Integer, Self::Number, Self::Date, Self::Datetime];

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::String => DataType::Utf8,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::String => "string",
        }
    }

    /// Reads a cell; `None` if it is not of this type.
    pub(crate) fn parse(self, text: &str) -> Option<Cell<'_>> {
        let trimmed = text.trim();
        match self {
            Self::String => Some(Cell::Text(text)),
            Self::Boolean => match trimmed {
                "true" | "TRUE" | "True" | "t" | "yes" => Some(Cell::Boolean(true)),
                "false" | "FALSE" | "False" | "f" | "no" => Some(Cell::Boolean(false)),
                _ => None,
            },
            Self::Integer => trimmed.parse().ok().map(Cell::Integer),
            Self::Number => trimmed.parse().ok().map(Cell::Number),
            Self::Date => (trimmed.len() == 10).then(|| Date32Type::parse(trimmed)).flatten().map(Cell::Date),
            Self::Datetime => TimestampMicrosecondType::parse(trimmed).map(Cell::Datetime),
        }
    }

    /// Whether inference may take a text for this type. Stricter than [`Self::parse`]: `007` is a code, `nan` and `t` are words.
    fn suits(self, text: &str) -> bool {
        let digits = text.trim_start_matches(['-', '+']);
        let padded = digits.len() > 1
            && digits.starts_with('0')
            && !digits.starts_with("0.")
            && !digits.contains(['-', ':']);
        match self {
            Self::Boolean => matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE"),
            Self::Integer => !padded && self.parse(text).is_some(),
            Self::Number => {
                !padded
                    && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                    && self.parse(text).is_some()
            }
            Self::Date => self.parse(text).is_some(),
            Self::Datetime => text.len() >= 10 && text.contains('-') && self.parse(text).is_some(),
            Self::String => true,
        }
    }
}

/// Narrows the type of one column as its cells go by.
#[derive(Debug, Clone)]
pub(crate) struct Inference {
    left: Vec<ColumnType>,
    seen: bool,
}

impl Inference {
    pub(crate) fn new() -> Self {
        Self { left: ColumnType::NARROW_FIRST.to_vec(), seen: false }
    }

    pub(crate) fn see(&mut self, text: &str) {
        self.seen = true;
        self.left.retain(|kind| kind.suits(text));
    }

    /// The narrowest type that suits every cell; text if there were none.
    pub(crate) fn column_type(&self) -> ColumnType {
        if !self.seen { ColumnType::String } else { self.left.first().copied().unwrap_or(ColumnType::String) }
    }
}

/// A parsed cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Date(i32),
    Datetime(i64),
    Text(&'a str),
}

/// Collects the cells of a column.
#[derive(Debug)]
pub(crate) enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Date(Date32Builder),
    Datetime(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Builder {
    pub(crate) fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Integer => Self::Integer(Int64Builder::new()),
            ColumnType::Number => Self::Number(Float64Builder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Datetime => Self::Datetime(TimestampMicrosecondBuilder::new()),
            ColumnType::String => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends a cell; one of another type becomes null, which [`ColumnType::parse`] never gives.
    pub(crate) fn append(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(value),
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(value),
            (Self::Number(builder), Cell::Number(value)) => builder.append_value(value),
            (Self::Date(builder), Cell::Date(value)) => builder.append_value(value),
            (Self::Datetime(builder), Cell::Datetime(value)) => builder.append_value(value),
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Integer(builder), _) => builder.append_null(),
            (Self::Number(builder), _) => builder.append_null(),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Datetime(builder), _) => builder.append_null(),
            (Self::Text(builder), _) => builder.append_null(),
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Datetime(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cells: &[&str], expected: ColumnType) {
        let mut inference = Inference::new();
        cells.iter().for_each(|cell| inference.see(cell));
        assert_eq!(inference.column_type(), expected, "{cells:?}");
    }

    #[test]
    fn the_narrowest_type_that_suits_all() {
        check(&["1", "-2"], ColumnType::Integer);
        check(&["1", "2.5"], ColumnType::Number);
        check(&["1", "x"], ColumnType::String);
        check(&["007", "008"], ColumnType::String);
        check(&["0", "0.5"], ColumnType::Number);
        check(&["nan"], ColumnType::String);
        check(&["true", "False"], ColumnType::Boolean);
        check(&["2026-03-01"], ColumnType::Date);
        check(&["2026-03-01", "2026-03-01T06:00:00"], ColumnType::Datetime);
        check(&["2026-02-30"], ColumnType::String);
        check(&[], ColumnType::String);
    }
}
