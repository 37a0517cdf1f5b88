//! Rows as Spark sends them, in the types that were asked for.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use millrace_contract::QueryError;

/// The batches of one answer, column by column in the types of `schema`.
pub(super) fn read(data: &[u8], schema: &SchemaRef) -> Result<Vec<RecordBatch>, QueryError> {
    let failed = |error: arrow::error::ArrowError| QueryError::Run {
        message: format!("the rows from Spark cannot be read: {error}"),
    };
    let reader = StreamReader::try_new(Cursor::new(data), None).map_err(failed)?;
    let there = reader.schema();
    if there.fields().len() != schema.fields().len() {
        let message = format!(
            "{} columns came from Spark, and {} were asked for",
            there.fields().len(),
            schema.fields().len()
        );
        return Err(QueryError::Run { message });
    }
    differ(&there, schema)?;
    reader.map(|batch| batch.and_then(|batch| fit(&batch, schema)).map_err(failed)).collect()
}

/// A column of another kind would be another result, however well its values could be cast.
fn differ(there: &Schema, here: &Schema) -> Result<(), QueryError> {
    let pairs = there.fields().iter().zip(here.fields());
    for (found, wanted) in pairs {
        if !is_same(found.data_type(), wanted.data_type()) {
            let message = format!(
                "the column `{}` came from Spark as {}, and is {} here",
                wanted.name(),
                found.data_type(),
                wanted.data_type()
            );
            return Err(QueryError::Run { message });
        }
    }
    Ok(())
}

/// Whether both types hold the same values: layouts, units of time, and integers that only one of the two has.
fn is_same(there: &DataType, here: &DataType) -> bool {
    use DataType::*;
    match (there, here) {
        (found, wanted) if found == wanted => true,
        (Null, _) | (_, Null) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => true,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView | FixedSizeBinary(_)) => true,
        (Int16, UInt8) | (Int32, UInt16) | (Int64, UInt32 | UInt64) | (Date32, Date64) => true,
        (Timestamp(_, there), Timestamp(_, here)) => there.is_some() == here.is_some(),
        (Decimal128(p, s), Decimal32(q, t) | Decimal64(q, t) | Decimal256(q, t)) => p == q && s == t,
        (List(there) | LargeList(there), List(here) | LargeList(here)) => {
            is_same(there.data_type(), here.data_type())
        }
        (Struct(there), Struct(here)) => {
            there.len() == here.len()
                && there.iter().zip(here).all(|(there, here)| {
                    there.name() == here.name() && is_same(there.data_type(), here.data_type())
                })
        }
        (Map(there, _), Map(here, _)) => match (there.data_type(), here.data_type()) {
            (Struct(there), Struct(here)) => {
                there.iter().zip(here).all(|(there, here)| is_same(there.data_type(), here.data_type()))
            }
            _ => false,
        },
        _ => false,
    }
}

fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let column = |(column, field): (&ArrayRef, &Arc<arrow::datatypes::Field>)| {
        if field.data_type().is_null() {
            return Ok(new_null_array(field.data_type(), column.len()));
        }
        cast_with_options(column, field.data_type(), &strict)
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array};
    use arrow::datatypes::Field;
    use arrow::ipc::writer::StreamWriter;

    fn sent(column: ArrayRef) -> Vec<u8> {
        let schema = Schema::new(vec![Field::new("v", column.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, batch.schema_ref()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        bytes
    }

    #[test]
    fn a_column_of_another_kind_is_an_error_and_not_cast() {
        let wanted = |kind| Arc::new(Schema::new(vec![Field::new("v", kind, true)]));
        let whole = sent(Arc::new(Int64Array::from(vec![Some(1), None])));
        assert_eq!(read(&whole, &wanted(DataType::UInt64)).unwrap()[0].num_rows(), 2);
        let real = sent(Arc::new(Float64Array::from(vec![1.5])));
        let error = read(&real, &wanted(DataType::Int64)).unwrap_err();
        assert!(
            error.to_string().contains("the column `v` came from Spark as Float64, and is Int64 here"),
            "{error}"
        );
    }
}
