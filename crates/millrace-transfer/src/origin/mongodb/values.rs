//! What values of Arrow are in BSON.

use std::str::FromStr as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document};

/// The types that rows are cast to first.
///
/// # Errors
/// With the column that has no type there, or no name.
pub(super) fn taken(schema: &Schema) -> Result<SchemaRef, String> {
    let fields = schema.fields().iter().map(|field| {
        let name = field.name();
        if name.is_empty() || name.starts_with('$') || name.contains('.') {
            return Err(format!(
                "`{name}` is no name of a field: `rename` it, without `$` in front and without dots"
            ));
        }
        let kind = kind(field.data_type()).ok_or_else(|| {
            let message = format!("column `{name}` is {}, which MongoDB has no type for", field.data_type());
            format!("{message}; `drop` it, or `columns: {{{name}: string}}`")
        })?;
        Ok(Field::new(name, kind, true))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, String>>()?)))
}

fn kind(data: &DataType) -> Option<DataType> {
    Some(match data {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            DataType::Int32
        }
        DataType::Int64 | DataType::UInt32 | DataType::Duration(_) => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        // A date of BSON is an instant.
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp(..) => data.clone(),
        // A time of day has no type there.
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Time32(_)
        | DataType::Time64(_) => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Dictionary(_, value) => kind(value)?,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("item", kind(item.data_type())?, true)))
        }
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|field| Some(Field::new(field.name(), kind(field.data_type())?, true)));
            DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            // Other keys than texts are no names of fields.
            DataType::Struct(fields) if fields.first()?.data_type() == &DataType::Utf8 => data.clone(),
            _ => return None,
        },
        DataType::Null | DataType::Boolean | DataType::UInt64 => data.clone(),
        DataType::Decimal128(..) | DataType::Decimal256(..) => data.clone(),
        _ => return None,
    })
}

/// A row of a batch whose columns have such types.
pub(super) fn document(schema: &Schema, columns: &[ArrayRef], row: usize) -> Result<Document, String> {
    let mut fields = Document::new();
    for (field, column) in schema.fields().iter().zip(columns) {
        let value = value(column, row).map_err(|message| format!("column `{}`: {message}", field.name()))?;
        fields.insert(field.name().clone(), value);
    }
    Ok(fields)
}

fn value(column: &ArrayRef, row: usize) -> Result<Bson, String> {
    if column.is_null(row) {
        return Ok(Bson::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => Bson::Boolean(column.as_boolean().value(row)),
        DataType::Int32 => Bson::Int32(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Bson::Int64(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => {
            let number = column.as_primitive::<UInt64Type>().value(row);
            i64::try_from(number)
                .map_or_else(|_| decimal(&number.to_string()), |number| Ok(Bson::Int64(number)))?
        }
        DataType::Float64 => Bson::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => decimal(&column.as_primitive::<Decimal128Type>().value_as_string(row))?,
        DataType::Decimal256(..) => decimal(&column.as_primitive::<Decimal256Type>().value_as_string(row))?,
        DataType::Timestamp(unit, _) => Bson::DateTime(DateTime::from_millis(millis(column, *unit, row)?)),
        DataType::Utf8 => Bson::String(column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => {
            let bytes = column.as_binary::<i32>().value(row).to_vec();
            Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Bson::Array((0..items.len()).map(|at| value(&items, at)).collect::<Result<_, _>>()?)
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(column.as_struct().columns());
            let parts = parts.map(|(field, part)| Ok((field.name().clone(), value(part, row)?)));
            Bson::Document(parts.collect::<Result<_, String>>()?)
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (names, values) = (entries.column(0).as_string::<i32>().clone(), entries.column(1).clone());
            let parts = (0..entries.len()).map(|at| {
                let one = values.slice(at, 1);
                let one = match kind(one.data_type()) {
                    Some(kind) => cast(&one, &kind).map_err(|error| error.to_string())?,
                    None => return Err(format!("MongoDB has no type for {}", one.data_type())),
                };
                Ok((names.value(at).to_owned(), value(&one, 0)?))
            });
            Bson::Document(parts.collect::<Result<_, String>>()?)
        }
        _ => Bson::Null,
    })
}

/// The millisecond that an instant is in: BSON knows no shorter time.
fn millis(column: &ArrayRef, unit: TimeUnit, row: usize) -> Result<i64, String> {
    Ok(match unit {
        TimeUnit::Second => {
            let seconds = column.as_primitive::<TimestampSecondType>().value(row);
            seconds.checked_mul(1_000).ok_or_else(|| format!("{seconds} s since 1970 is too far away"))?
        }
        TimeUnit::Millisecond => column.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => {
            column.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000)
        }
        TimeUnit::Nanosecond => {
            column.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000)
        }
    })
}

/// A decimal of BSON has 34 digits.
fn decimal(text: &str) -> Result<Bson, String> {
    let digits = text.trim_start_matches('-').replace('.', "");
    if digits.trim_start_matches('0').len() > 34 {
        return Err(format!("{text} has more than the 34 digits of MongoDB's decimals"));
    }
    Decimal128::from_str(text).map(Bson::Decimal128).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, Int64Array, ListArray, RecordBatch, StructArray,
        TimestampMicrosecondArray, UInt64Array,
    };
    use mongodb::bson::doc;

    use super::*;
    use crate::origin::sql::cast_to;

    #[test]
    fn every_type_has_its_value() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let inner = StructArray::from(vec![(Arc::new(Field::new("n", DataType::Int64, true)), numbers)]);
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(7), None]), None]);
        let price = Decimal128Array::from(vec![Some(-1230), None]).with_precision_and_scale(22, 2).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("price", Arc::new(price)),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]).with_timezone("UTC"))),
            ("day", Arc::new(Date32Array::from(vec![Some(1), None]))),
            ("body", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None]))),
            ("big", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(3)]))),
            ("inner", Arc::new(inner)),
            ("list", Arc::new(list)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        );
        let batch = batch.unwrap();
        let schema = taken(&batch.schema()).unwrap();
        let batch = cast_to(&batch, &schema).unwrap();
        let at = |row: usize| document(&schema, batch.columns(), row).unwrap();
        let body = Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] };
        let decimal = |text: &str| Decimal128::from_str(text).unwrap();
        let first = doc! {
            "price": decimal("-12.30"), "at": DateTime::from_millis(-1), "day": DateTime::from_millis(86_400_000), "body": body,
            "big": decimal("18446744073709551615"), "inner": {"n": 1_i64}, "list": [7_i64, Bson::Null],
        };
        assert_eq!(at(0), first);
        let second = doc! {
            "price": Bson::Null, "at": Bson::Null, "day": Bson::Null, "body": Bson::Null, "big": 3_i64,
            "inner": {"n": Bson::Null}, "list": Bson::Null,
        };
        assert_eq!(at(1), second);
        assert!(super::decimal("12345678901234567890123456789012345.0").is_err());
        for name in ["a.b", "$set", ""] {
            let schema = Schema::new(vec![Field::new(name, DataType::Int8, true)]);
            assert!(taken(&schema).is_err(), "{name}");
        }
    }
}
