//! One column of one side, gathered batch by batch.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

/// Levels that are told apart; rows of further ones are counted together.
const MAX_LEVELS: usize = 10_000;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// By order: numbers and times.
    Numeric,
    /// By equality: text and truth values.
    Categorical,
}

impl ColumnKind {
    /// The kind of an Arrow type; `None` for lists, structs and bytes.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => {
                Some(Self::Categorical)
            }
            DataType::Dictionary(_, values) => Self::of(values),
            other if other.is_numeric() || other.is_temporal() => Some(Self::Numeric),
            _ => None,
        }
    }
}

/// What was seen of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// All rows.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Rows that are not a number.
    pub nans: u64,
    /// Rows that are infinite.
    pub infinities: u64,
    /// Finite numbers; sorted once [`Sample::finish`] was called.
    pub values: Vec<f64>,
    /// Rows by level.
    pub levels: BTreeMap<String, u64>,
    /// Rows of levels beyond the first 10,000.
    pub other: u64,
}

impl Sample {
    /// Adds a batch of the column.
    ///
    /// # Errors
    /// If the array cannot be read as `kind`.
    pub fn add(&mut self, kind: ColumnKind, array: &ArrayRef) -> Result<(), ArrowError> {
        self.rows += array.len() as u64;
        match kind {
            ColumnKind::Numeric => self.add_numbers(array),
            ColumnKind::Categorical => self.add_levels(array),
        }
    }

    /// Sorts the values.
    pub fn finish(&mut self) {
        self.values.sort_unstable_by(f64::total_cmp);
    }

    /// Rows with a value that can be compared.
    pub fn usable(&self) -> u64 {
        self.values.len() as u64 + self.levels.values().sum::<u64>() + self.other
    }

    fn add_numbers(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let whole = if array.data_type().is_temporal() { as_integers(array)? } else { array.clone() };
        let numbers = cast(&whole, &DataType::Float64)?;
        for number in numbers.as_primitive::<Float64Type>() {
            match number {
                None => self.nulls += 1,
                Some(number) if number.is_nan() => self.nans += 1,
                Some(number) if number.is_infinite() => self.infinities += 1,
                // Adding 0 turns −0 into 0, which sorts as it compares.
                Some(number) => self.values.push(number + 0.0),
            }
        }
        Ok(())
    }

    fn add_levels(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let texts = cast(array, &DataType::Utf8)?;
        for text in texts.as_string::<i32>() {
            match text {
                None => self.nulls += 1,
                Some(text) => self.count_level(text),
            }
        }
        Ok(())
    }

    fn count_level(&mut self, text: &str) {
        if let Some(count) = self.levels.get_mut(text) {
            *count += 1;
        } else if self.levels.len() < MAX_LEVELS {
            self.levels.insert(text.to_owned(), 1);
        } else {
            self.other += 1;
        }
    }
}

/// Times as their integer; the 32-bit ones by way of 32 bits, since Arrow casts only between equal widths.
fn as_integers(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Date32 | DataType::Time32(_) => cast(array, &DataType::Int32),
        _ => cast(array, &DataType::Int64),
    }
}
