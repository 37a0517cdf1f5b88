//! Columns of typed files: matched by name across files, and made into types that the file to be written has.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::Failure;
use crate::error::CopyError;

/// Where the columns of the first file are in another one.
#[derive(Debug, Clone)]
pub(super) struct ByName {
    schema: SchemaRef,
    positions: Arc<[usize]>,
}

/// The schema of the first file for all of them: another one may have nulls where it has none.
pub(super) fn of_all(first: &Schema, files: usize) -> SchemaRef {
    if files < 2 {
        return Arc::new(Schema::new(first.fields().clone()));
    }
    let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(first.fields().iter().map(nullable).collect::<Fields>()))
}

impl ByName {
    /// # Errors
    /// If a file has other columns than the first one, or one of another type that has no room in it.
    pub(super) fn new(schema: &SchemaRef, file: &Schema, name: &str) -> Result<Self, CopyError> {
        let failed = |message: String| CopyError::read(name, &message);
        if let Some(unknown) = file.fields().iter().find(|field| schema.index_of(field.name()).is_err()) {
            return Err(failed(format!("its column `{}` is not in the first file", unknown.name())));
        }
        let position = |field: &FieldRef| {
            let position = file
                .index_of(field.name())
                .map_err(|_| failed(format!("it has no column `{}`, as the first file has", field.name())))?;
            let found = file.field(position).data_type();
            if fits(found, field.data_type()) {
                return Ok(position);
            }
            Err(failed(format!(
                "its column `{}` is {found}, in the first file {}",
                field.name(),
                field.data_type()
            )))
        };
        let positions = schema.fields().iter().map(position).collect::<Result<_, _>>()?;
        Ok(Self { schema: schema.clone(), positions })
    }

    /// Rows with the columns of the first file.
    pub(super) fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.positions.iter().zip(self.schema.fields()).map(|(position, field)| {
            let column = batch
                .columns()
                .get(*position)
                .ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{}`", field.name())))?;
            cast(column, field.data_type())
        });
        batch_of(&self.schema, columns.collect::<Result<_, _>>()?, batch.num_rows())
    }
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// Values that do not fit are an error, not null.
fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// Whether every value of a type is one of the other.
fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, UInt8, UInt16, UInt32,
        UInt64, Utf8, Utf8View,
    };
    from.equals_datatype(to)
        || matches!(
            (from, to),
            (Int8, Int16 | Int32 | Int64)
                | (Int16, Int32 | Int64)
                | (Int32, Int64 | Float64)
                | (UInt8, Int16 | Int32 | Int64 | UInt16 | UInt32 | UInt64)
                | (UInt16, Int32 | Int64 | UInt32 | UInt64)
                | (UInt32, Int64 | UInt64)
                | (Float32, Float64)
                | (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View)
                | (Binary | LargeBinary, Binary | LargeBinary)
        )
        || matches!(from, DataType::Dictionary(_, value) if value.as_ref() == to)
}

/// Rows as a file of another format has them.
#[derive(Debug, Clone)]
pub(super) struct Adapted {
    pub(super) schema: SchemaRef,
}

impl Adapted {
    /// `stored`: the type that a format has for one of Arrow's without inner structure; `None` if it has none.
    ///
    /// # Errors
    /// With the column that has no place in the format, and what to do.
    pub(super) fn new(
        schema: &SchemaRef,
        format: &str,
        stored: fn(&DataType) -> Option<DataType>,
    ) -> Result<Self, Failure> {
        let field = |field: &FieldRef| -> Result<FieldRef, Failure> {
            let kind = field.data_type();
            let Some(kind) = stored_type(kind, stored) else {
                return Err(
                    format!("column `{}` is {kind}, which {format} has no type for", field.name()).into()
                );
            };
            Ok(Arc::new(Field::new(field.name(), kind, field.is_nullable())))
        };
        let fields = schema.fields().iter().map(field).collect::<Result<Fields, _>>()?;
        Ok(Self { schema: Arc::new(Schema::new(fields)) })
    }

    pub(super) fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            cast(column, field.data_type())
                .map_err(|error| ArrowError::CastError(format!("column `{}`: {error}", field.name())))
        });
        batch_of(&self.schema, columns.collect::<Result<_, _>>()?, batch.num_rows())
    }
}

fn stored_type(kind: &DataType, stored: fn(&DataType) -> Option<DataType>) -> Option<DataType> {
    let of_field = |field: &FieldRef| {
        let kind = stored_type(field.data_type(), stored)?;
        Some(Arc::new(Field::new(field.name(), kind, field.is_nullable())))
    };
    match kind {
        DataType::Dictionary(_, value) => stored_type(value, stored),
        // The format says whether it has them at all.
        DataType::Struct(fields) => {
            stored(kind)?;
            Some(DataType::Struct(fields.iter().map(of_field).collect::<Option<Fields>>()?))
        }
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            stored(kind)?;
            Some(DataType::List(of_field(element)?))
        }
        other => stored(other),
    }
}
