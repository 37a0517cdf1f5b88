//! Lists in rows become rows.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::error::CopyError;

/// The columns of lists, and the schema after they were taken apart.
pub(super) fn plan(source: &SchemaRef, names: &[String]) -> Result<(Vec<usize>, SchemaRef), CopyError> {
    if names.is_empty() {
        return Ok((Vec::new(), source.clone()));
    }
    let mut fields: Vec<Field> = source.fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let found = fields.iter_mut().enumerate().find(|(_, field)| field.name() == name);
        let Some((index, field)) = found else {
            return Err(CopyError::config(
                format!("there is no column `{name}` to unnest"),
                format!("the columns are: {}", names_of(source).join(", ")),
            ));
        };
        let (DataType::List(item) | DataType::LargeList(item)) = field.data_type() else {
            return Err(CopyError::config(
                format!(
                    "the column `{name}` has no lists to unnest; it is {}",
                    super::convert::word(field.data_type())
                ),
                format!("leave `{name}` out of `unnest`"),
            ));
        };
        let kind = item.data_type().clone();
        *field = Field::new(name, kind, true);
        columns.push(index);
    }
    Ok((columns, Arc::new(Schema::new(fields))))
}

fn names_of(schema: &SchemaRef) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

/// One list after the other: each element of the first with each of the second.
pub(super) fn apply(batch: &RecordBatch, columns: &[usize]) -> Result<RecordBatch, ArrowError> {
    let mut batch = batch.clone();
    for column in columns {
        batch = apart(&batch, *column)?;
    }
    Ok(batch)
}

fn apart(batch: &RecordBatch, column: usize) -> Result<RecordBatch, ArrowError> {
    let lists = batch.column(column);
    let (values, ranges): (ArrayRef, Vec<(usize, usize)>) = match lists.data_type() {
        DataType::List(_) => {
            let lists = lists.as_list::<i32>();
            let offsets = lists.value_offsets().windows(2);
            let ranges = offsets.map(|pair| (place(i64::from(first(pair))), place(i64::from(last(pair)))));
            (lists.values().clone(), ranges.collect())
        }
        _ => {
            let lists = lists.as_list::<i64>();
            let offsets = lists.value_offsets().windows(2);
            (lists.values().clone(), offsets.map(|pair| (place(first(pair)), place(last(pair)))).collect())
        }
    };
    let mut rows: Vec<u64> = Vec::with_capacity(values.len());
    let mut elements: Vec<Option<u64>> = Vec::with_capacity(values.len());
    for (row, (start, end)) in ranges.into_iter().enumerate() {
        if start >= end || lists.is_null(row) {
            rows.push(row as u64);
            elements.push(None);
            continue;
        }
        for element in start..end {
            rows.push(row as u64);
            elements.push(Some(element as u64));
        }
    }
    let count = rows.len();
    let (rows, elements) = (UInt64Array::from(rows), UInt64Array::from(elements));
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (index, (field, array)) in batch.schema().fields().iter().zip(batch.columns()).enumerate() {
        if index == column {
            let taken = take(&values, &elements, None)?;
            fields.push(Field::new(field.name(), taken.data_type().clone(), true));
            arrays.push(taken);
        } else {
            fields.push(field.as_ref().clone());
            arrays.push(take(array, &rows, None)?);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}

fn first<T: Copy + Default>(pair: &[T]) -> T {
    pair.first().copied().unwrap_or_default()
}

fn last<T: Copy + Default>(pair: &[T]) -> T {
    pair.last().copied().unwrap_or_default()
}

/// Offsets are never negative.
fn place(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(0)
}
