//! Whether what was written is what was read.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How what was written is compared with what was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Not at all.
    None,
    /// As many rows were written as were read and not rejected.
    #[default]
    Counts,
    /// What was written is read again; counts, nulls and a sum over the values of each column must be the same, in whatever order the rows are.
    Checksums,
}

/// Sums over the columns of rows, in whatever order they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checksums {
    rows: u64,
    columns: Vec<ColumnSum>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ColumnSum {
    name: String,
    nulls: u64,
    /// Of a hash of each value, modulo 2^64.
    values: u64,
}

impl Checksums {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        let column = |name: &String| ColumnSum { name: name.clone(), ..ColumnSum::default() };
        Self { rows: 0, columns: schema.fields().iter().map(|field| column(field.name())).collect() }
    }

    /// Adds the rows of a batch, whose columns are those of `schema` once they have its types.
    ///
    /// # Errors
    /// [`ArrowError`] if a column is missing or has no such type.
    pub(crate) fn add(&mut self, batch: &RecordBatch, schema: &SchemaRef) -> Result<(), ArrowError> {
        self.rows += batch.num_rows() as u64;
        let options = CastOptions { safe: true, ..CastOptions::default() };
        for (sum, field) in self.columns.iter_mut().zip(schema.fields()) {
            let column = batch
                .column_by_name(field.name())
                .ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{}`", field.name())))?;
            let column = cast_with_options(column, field.data_type(), &options)?;
            sum.nulls += column.null_count() as u64;
            if column.data_type() == &DataType::Utf8 {
                for text in column.as_string::<i32>().iter().flatten() {
                    sum.values = sum.values.wrapping_add(hash(text.as_bytes()));
                }
                continue;
            }
            let display = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column.as_ref(), &display)?;
            let mut text = String::new();
            for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
                use std::fmt::Write as _;
                text.clear();
                write!(text, "{}", formatter.value(row))
                    .map_err(|error| ArrowError::CastError(error.to_string()))?;
                sum.values = sum.values.wrapping_add(hash(text.as_bytes()));
            }
        }
        Ok(())
    }

    /// What differs, in words; `None` if nothing does.
    pub(crate) fn difference(&self, written: &Self) -> Option<String> {
        if self.rows != written.rows {
            return Some(format!("{} rows were read and {} written", self.rows, written.rows));
        }
        let differs = |(one, other): &(&ColumnSum, &ColumnSum)| one != other;
        let differing: Vec<&str> = self
            .columns
            .iter()
            .zip(&written.columns)
            .filter(differs)
            .map(|(one, _)| one.name.as_str())
            .collect();
        (!differing.is_empty()).then(|| format!("the values of {} differ", differing.join(", ")))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The sums of rows that go by, for whoever asks when they have gone.
#[derive(Debug, Clone)]
pub(crate) struct Passing {
    schema: SchemaRef,
    sums: Arc<Mutex<Checksums>>,
}

impl Passing {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        Self { schema: schema.clone(), sums: Arc::new(Mutex::new(Checksums::new(schema))) }
    }

    pub(crate) fn add(&self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).add(batch, &self.schema)
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn sums(&self) -> Checksums {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
