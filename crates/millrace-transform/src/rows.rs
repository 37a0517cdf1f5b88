//! Arrow rows as JSON, for previews and answers: what a person expects to see, and nothing that JSON cannot say.

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};

/// One object per row, keys in the schema's order.
///
/// Integers and finite floats are numbers. NaN and the infinities are the texts `NaN`, `Infinity`, `-Infinity`. Decimals are texts, so
/// that no digit is lost; dates and times are ISO 8601 texts; binary is hex. Lists, structs and maps become arrays and objects.
pub fn to_json(batches: &[RecordBatch]) -> Vec<Value> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let object = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| (field.name().clone(), value(column.as_ref(), row)))
                .collect::<Map<_, _>>();
            rows.push(Value::Object(object));
        }
    }
    rows
}

/// One value of a column; null if `row` is beyond its end.
pub fn value(column: &dyn Array, row: usize) -> Value {
    if row >= column.len() || column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float16 => float(column.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => single(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        DataType::List(_) => list(column.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(column.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => list(column.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let pairs = fields.iter().zip(columns).map(|(f, c)| (f.name().clone(), value(c.as_ref(), row)));
            Value::Object(pairs.collect())
        }
        DataType::Map(..) => map(&column.as_map().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied().unwrap_or(usize::MAX);
            value(dictionary.values().as_ref(), key)
        }
        _ => shown(column, row),
    }
}

fn list(items: &dyn Array) -> Value {
    (0..items.len()).map(|at| value(items, at)).collect()
}

fn map(entries: &arrow::array::StructArray) -> Value {
    let (Some(keys), Some(values)) = (entries.columns().first(), entries.columns().get(1)) else {
        return Value::Null;
    };
    let pairs = (0..entries.len()).map(|at| {
        let key = match value(keys.as_ref(), at) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (key, value(values.as_ref(), at))
    });
    Value::Object(pairs.collect())
}

fn float(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// A single has about seven digits; as a double `0.1` would show sixteen.
fn single(number: f32) -> Value {
    float(number.to_string().parse().unwrap_or_else(|_| f64::from(number)))
}

fn shown(column: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default().with_timestamp_format(None);
    match ArrayFormatter::try_new(column, &options) {
        Ok(formatter) => formatter.value(row).try_to_string().map_or(Value::Null, Value::String),
        Err(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Date32Array, Decimal128Array, Float32Array, Float64Array, ListArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn dates_decimals_lists_and_nan_have_a_json_form() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        let columns: [(&str, ArrayRef); 6] = [
            ("day", Arc::new(Date32Array::from(vec![Some(15_706), None]))),
            (
                "at",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![1_357_034_400_000_000, 0]).with_timezone("UTC"),
                ),
            ),
            (
                "price",
                Arc::new(Decimal128Array::from(vec![1_234, -5]).with_precision_and_scale(12, 2).unwrap()),
            ),
            ("share", Arc::new(Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY]))),
            ("single", Arc::new(Float32Array::from(vec![0.1, 2.0]))),
            ("list", Arc::new(list)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        insta::assert_snapshot!(Value::from(to_json(&[batch])), @r#"[{"day":"2013-01-01","at":"2013-01-01T10:00:00Z","price":"12.34","share":"NaN","single":0.1,"list":[1,null]},{"day":null,"at":"1970-01-01T00:00:00Z","price":"-0.05","share":"-Infinity","single":2.0,"list":null}]"#);
    }
}
