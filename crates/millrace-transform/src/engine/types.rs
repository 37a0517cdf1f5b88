//! Which Arrow types leave the engine, and which of them a Delta table can hold.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use serde_json::{Value, json};

/// The schema without view, dictionary and run-end types: equal values in plain layouts.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(mapped(schema.fields(), &plain)))
}

/// The schema as a Delta table stores it: no unsigned integers, times of day or intervals, timestamps in microseconds, all nullable.
pub(crate) fn delta_schema(schema: &Schema) -> SchemaRef {
    let fields = mapped(schema.fields(), &stored);
    Arc::new(Schema::new(fields.iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
}

fn mapped(fields: &Fields, map: &dyn Fn(&DataType) -> DataType) -> Fields {
    fields.iter().map(|field| Field::new(field.name(), map(field.data_type()), field.is_nullable())).collect()
}

fn nested(data_type: &DataType, map: &dyn Fn(&DataType) -> DataType) -> DataType {
    let inner =
        |field: &Arc<Field>| Arc::new(Field::new(field.name(), map(field.data_type()), field.is_nullable()));
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => DataType::List(inner(field)),
        DataType::Struct(fields) => DataType::Struct(mapped(fields, map)),
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        other => other.clone(),
    }
}

/// The type without view, dictionary and run-end layouts.
pub(super) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => plain(value),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => nested(other, &plain),
    }
}

fn stored(data_type: &DataType) -> DataType {
    match plain(data_type) {
        DataType::Null | DataType::Time32(_) | DataType::Time64(_) | DataType::Interval(_) => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 | DataType::Duration(_) => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.map(|_| Arc::from("UTC")))
        }
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(p, s),
        DataType::Decimal256(p, s) => DataType::Decimal128(p.min(38), s),
        other => nested(&other, &stored),
    }
}

/// Casts columns to `schema` by position. A value that does not fit is an error, not a null.
pub(crate) fn cast_to(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(column.clone());
            }
            cast_with_options(column, field.data_type(), &strict).map_err(|error| {
                ArrowError::CastError(format!(
                    "column `{}` cannot become {}: {error}",
                    field.name(),
                    field.data_type()
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The same for a schema that has further columns after those of the rows: they are null.
pub(crate) fn widened_to(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let own = schema.fields().iter().take(batch.num_columns()).cloned().collect::<Vec<_>>();
    let cast = cast_to(batch, &Arc::new(Schema::new(own)))?;
    let further = schema.fields().iter().skip(batch.num_columns());
    let nulls = further.map(|field| new_null_array(field.data_type(), batch.num_rows()));
    let columns = cast.columns().iter().cloned().chain(nulls).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// `[{"name", "type", "nullable"}]`.
pub(crate) fn schema_json(schema: &Schema) -> Value {
    let columns = schema.fields().iter().map(|field| {
        json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() })
    });
    Value::Array(columns.collect())
}
