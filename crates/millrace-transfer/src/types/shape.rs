//! What the values of a column look like when they have an inner structure: inferred value by value, widened where values differ.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use indexmap::IndexMap;

use super::{CellFormat, ColumnType, Inference};

/// Names within one value. A value with more is no record but a dictionary, and is kept as text.
const MOST_FIELDS: usize = 1_000;
/// Values within values that get columns of their own.
const DEEPEST: usize = 24;

/// Exact integers of more than 64 bits.
const LONG_INTEGER: ColumnType = ColumnType::Decimal { precision: 38, scale: 0 };

/// What the values seen so far have in common.
#[derive(Debug, Clone, Default)]
pub(crate) enum Shape {
    /// There were none but nulls.
    #[default]
    Nothing,
    /// A type that was seen.
    Kind(ColumnType),
    /// Texts whose type is still being narrowed.
    Texts(Inference),
    /// What the user says, whatever is seen.
    Declared(CellFormat),
    List(Box<Shape>),
    Struct(IndexMap<String, Shape>),
}

/// The type of a number by its digits.
pub(crate) fn number_kind(digits: &str) -> ColumnType {
    if digits.contains(['.', 'e', 'E']) {
        ColumnType::Number
    } else if digits.parse::<i64>().is_ok() {
        ColumnType::Integer
    } else if CellFormat::plain(LONG_INTEGER).reads(digits.as_bytes()) {
        LONG_INTEGER
    } else {
        ColumnType::Number
    }
}

impl Shape {
    /// Takes a value of a type in. What has nothing in common is text.
    pub(crate) fn see(&mut self, kind: ColumnType) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::Kind(kind),
            Self::Kind(before) => Self::Kind(common(before, kind)),
            declared @ Self::Declared(_) => declared,
            _ => Self::Kind(ColumnType::String),
        };
    }

    /// Takes a text in that may be a number or a date.
    pub(crate) fn see_text(&mut self, text: &str) {
        match self {
            Self::Nothing => {
                let mut inference = Inference::new();
                inference.see(text);
                *self = Self::Texts(inference);
            }
            Self::Texts(inference) => inference.see(text),
            Self::List(inner) => inner.see_text(text),
            Self::Kind(_) | Self::Declared(_) | Self::Struct(_) => {}
        }
    }

    /// The fields of a record at this place; `None` if it is kept as text.
    pub(crate) fn as_struct(&mut self, depth: usize) -> Option<&mut IndexMap<String, Shape>> {
        let has_room = match self {
            Self::Nothing => {
                *self = Self::Struct(IndexMap::new());
                depth <= DEEPEST
            }
            Self::Struct(fields) => depth <= DEEPEST && (depth == 0 || fields.len() <= MOST_FIELDS),
            Self::Declared(_) => return None,
            _ => false,
        };
        if !has_room {
            *self = Self::Kind(ColumnType::String);
        }
        match self {
            Self::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The elements of a list at this place; `None` if it is kept as text.
    pub(crate) fn as_list(&mut self, depth: usize) -> Option<&mut Shape> {
        let has_room = match self {
            Self::Nothing => {
                *self = Self::List(Box::default());
                depth <= DEEPEST
            }
            Self::List(_) => depth <= DEEPEST,
            Self::Declared(_) => return None,
            _ => false,
        };
        if !has_room {
            *self = Self::Kind(ColumnType::String);
        }
        match self {
            Self::List(element) => Some(element),
            _ => None,
        }
    }

    /// What has no type yet becomes text: nulls alone, and records without any field, which no format has room for.
    pub(crate) fn settle(&mut self) {
        match self {
            Self::Nothing => *self = Self::Kind(ColumnType::String),
            Self::Struct(fields) if fields.is_empty() => *self = Self::Kind(ColumnType::String),
            Self::Texts(inference) => *self = Self::Kind(inference.column_type()),
            Self::Struct(fields) => fields.values_mut().for_each(Self::settle),
            Self::List(element) => element.settle(),
            Self::Kind(_) | Self::Declared(_) => {}
        }
    }

    /// In Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Nothing => DataType::Utf8,
            Self::Kind(kind) => kind.data_type(),
            Self::Texts(inference) => inference.column_type().data_type(),
            Self::Declared(format) => format.kind.data_type(),
            Self::List(element) => DataType::List(element_field(element)),
            Self::Struct(fields) => DataType::Struct(fields_of(fields)),
        }
    }
}

/// The columns that fields are.
pub(crate) fn fields_of(fields: &IndexMap<String, Shape>) -> Fields {
    fields.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect()
}

pub(super) fn element_field(element: &Shape) -> Arc<Field> {
    Arc::new(Field::new("item", element.data_type(), true))
}

/// The narrowest type that has room for values of both.
fn common(left: ColumnType, right: ColumnType) -> ColumnType {
    use ColumnType::{Date, Datetime, Integer, Number};
    match (left, right) {
        (left, right) if left == right => left,
        (Integer, LONG_INTEGER) | (LONG_INTEGER, Integer) => LONG_INTEGER,
        (Integer | LONG_INTEGER, Number) | (Number, Integer | LONG_INTEGER) => Number,
        (Date, Datetime) | (Datetime, Date) => Datetime,
        _ => ColumnType::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_their_digits() {
        let check = |digits: &str, expected: &str| assert_eq!(number_kind(digits).to_string(), expected);
        check("-9223372036854775808", "integer");
        check("9223372036854775808", "decimal(38,0)");
        check(&"9".repeat(39), "number");
        check("1.0", "number");
        check("1e3", "number");
    }

    #[test]
    fn what_differs_is_widened() {
        let check = |kinds: &[&str], expected: DataType| {
            let mut shape = Shape::default();
            kinds.iter().for_each(|kind| shape.see(kind.parse().unwrap()));
            shape.settle();
            assert_eq!(shape.data_type(), expected, "{kinds:?}");
        };
        check(&[], DataType::Utf8);
        check(&["integer", "number"], DataType::Float64);
        check(&["integer", "decimal(38,0)"], DataType::Decimal128(38, 0));
        check(&["integer", "boolean"], DataType::Utf8);
        check(&["string", "number"], DataType::Utf8);
    }

    #[test]
    fn structure_beside_plain_values_is_text() {
        let mut shape = Shape::default();
        shape.as_list(1).unwrap().see(ColumnType::Integer);
        shape.see(ColumnType::Integer);
        assert!(shape.as_struct(1).is_none());
        assert_eq!(shape.data_type(), DataType::Utf8);
        let mut deep = Shape::default();
        let mut at = &mut deep;
        for depth in 1.. {
            match at.as_list(depth) {
                Some(inner) => at = inner,
                None => {
                    assert_eq!(depth, DEEPEST + 1);
                    break;
                }
            }
        }
        let mut dictionary = Shape::default();
        for key in 0..MOST_FIELDS + 2 {
            if let Some(fields) = dictionary.as_struct(1) {
                fields.insert(key.to_string(), Shape::default());
            }
        }
        assert_eq!(dictionary.data_type(), DataType::Utf8);
    }
}
