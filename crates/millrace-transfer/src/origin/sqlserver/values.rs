//! What values of Arrow are in SQL Server, for what is written.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Schema, SchemaRef, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type,
};
use tiberius::ColumnData;
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, DateTimeOffset, Time};

/// Days from 0001-01-01, where the server begins to count, to 1970-01-01.
const EPOCH: i64 = 719_162;
/// Days from 0001-01-01 to 9999-12-31.
const LAST: i64 = 3_652_058;
const DAY_MICROS: i64 = 86_400_000_000;
/// Digits of a second.
const SCALE: u8 = 6;
/// Bytes of a value that the client sends among others.
const LONGEST: usize = 65_535;

/// Rows as they are sent.
pub(super) struct Taken {
    /// The types that there are.
    pub(super) schema: SchemaRef,
    /// The server's words for them.
    pub(super) words: Vec<String>,
}

/// How rows are sent.
///
/// # Errors
/// With the column that has no type there.
pub(super) fn taken(schema: &Schema) -> Result<Taken, String> {
    let (mut fields, mut words) = (Vec::new(), Vec::new());
    for field in schema.fields() {
        let (kind, word) = kind(field.data_type()).ok_or_else(|| {
            let message = format!("column `{}` is {}", field.name(), field.data_type());
            format!("{message}, which SQL Server has no type for; `drop` it, or `unnest` and `mapping` take it apart")
        })?;
        fields.push(Field::new(field.name(), kind, true));
        words.push(word);
    }
    Ok(Taken { schema: Arc::new(Schema::new(fields)), words })
}

fn kind(data: &DataType) -> Option<(DataType, String)> {
    let (kind, word) = match data {
        DataType::Boolean => (DataType::Boolean, "bit"),
        DataType::UInt8 => (DataType::UInt8, "tinyint"),
        DataType::Int8 | DataType::Int16 => (DataType::Int16, "smallint"),
        DataType::Int32 | DataType::UInt16 => (DataType::Int32, "int"),
        DataType::Int64 | DataType::UInt32 | DataType::Duration(_) => (DataType::Int64, "bigint"),
        DataType::UInt64 => (DataType::Decimal128(20, 0), "decimal(20,0)"),
        DataType::Float16 | DataType::Float32 => (DataType::Float32, "real"),
        DataType::Float64 => (DataType::Float64, "float"),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            return Some((DataType::Decimal128(*precision, *scale), format!("decimal({precision},{scale})")));
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            (DataType::Utf8, "nvarchar(max)")
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            (DataType::Binary, "varbinary(max)")
        }
        DataType::Date32 | DataType::Date64 => (DataType::Date32, "date"),
        DataType::Time32(_) | DataType::Time64(_) => (DataType::Time64(TimeUnit::Microsecond), "time(6)"),
        DataType::Timestamp(_, None) => (DataType::Timestamp(TimeUnit::Microsecond, None), "datetime2(6)"),
        DataType::Timestamp(_, Some(_)) => {
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "datetimeoffset(6)")
        }
        DataType::Dictionary(_, value) => return kind(value),
        _ => return None,
    };
    Some((kind, word.to_owned()))
}

/// A value of a column that has such a type.
pub(super) fn value(column: &ArrayRef, row: usize) -> Result<ColumnData<'static>, String> {
    let there = column.is_valid(row);
    Ok(match column.data_type() {
        DataType::Boolean => ColumnData::Bit(there.then(|| column.as_boolean().value(row))),
        DataType::UInt8 => ColumnData::U8(there.then(|| column.as_primitive::<UInt8Type>().value(row))),
        DataType::Int16 => ColumnData::I16(there.then(|| column.as_primitive::<Int16Type>().value(row))),
        DataType::Int32 => ColumnData::I32(there.then(|| column.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => ColumnData::I64(there.then(|| column.as_primitive::<Int64Type>().value(row))),
        DataType::Float32 => ColumnData::F32(there.then(|| column.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => ColumnData::F64(there.then(|| column.as_primitive::<Float64Type>().value(row))),
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).map_err(|_| format!("it has {scale} places"))?;
            let number = there.then(|| column.as_primitive::<Decimal128Type>().value(row));
            ColumnData::Numeric(number.map(|number| Numeric::new_with_scale(number, scale)))
        }
        DataType::Binary => {
            let bytes = there.then(|| column.as_binary::<i32>().value(row).to_vec());
            if let Some(length) = bytes.as_ref().map(Vec::len).filter(|length| *length > LONGEST) {
                return Err(format!("{length} bytes are more than the {LONGEST} that are loaded at once"));
            }
            ColumnData::Binary(bytes.map(Cow::Owned))
        }
        DataType::Date32 => {
            let days = there.then(|| i64::from(column.as_primitive::<Date32Type>().value(row)));
            ColumnData::Date(days.map(date).transpose()?)
        }
        DataType::Time64(_) => {
            let micros = there.then(|| column.as_primitive::<Time64MicrosecondType>().value(row));
            ColumnData::Time(micros.map(time))
        }
        DataType::Timestamp(_, zone) => {
            let micros = there.then(|| column.as_primitive::<TimestampMicrosecondType>().value(row));
            let at = micros.map(moment).transpose()?;
            match zone {
                None => ColumnData::DateTime2(at),
                Some(_) => ColumnData::DateTimeOffset(at.map(|at| DateTimeOffset::new(at, 0))),
            }
        }
        _ => {
            let text = there.then(|| column.as_string::<i32>().value(row).to_owned());
            let length = text.as_ref().map_or(0, |text| text.encode_utf16().count());
            if 2 * length > LONGEST {
                return Err(format!(
                    "a text of {length} characters is longer than the {} that are loaded",
                    LONGEST / 2
                ));
            }
            ColumnData::String(text.map(Cow::Owned))
        }
    })
}

/// A day since 1970.
fn date(days: i64) -> Result<Date, String> {
    let since = days + EPOCH;
    let known = u32::try_from(since).ok().filter(|_| since <= LAST);
    known.map(Date::new).ok_or_else(|| "a date is outside of the years 1 to 9999".to_owned())
}

fn time(micros: i64) -> Time {
    Time::new(micros.unsigned_abs(), SCALE)
}

fn moment(micros: i64) -> Result<DateTime2, String> {
    Ok(DateTime2::new(date(micros.div_euclid(DAY_MICROS))?, time(micros.rem_euclid(DAY_MICROS))))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn values_at_the_ends_of_their_types() {
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]));
        let last = DateTime2::new(Date::new(719_161), Time::new(86_399_999_999, 6));
        assert_eq!(value(&micros, 0), Ok(ColumnData::DateTime2(Some(last))));
        assert_eq!(value(&micros, 1), Ok(ColumnData::DateTime2(None)));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![-719_162, 2_932_896, 2_932_897, -719_163]));
        assert_eq!(value(&days, 0), Ok(ColumnData::Date(Some(Date::new(0)))));
        assert_eq!(value(&days, 1), Ok(ColumnData::Date(Some(Date::new(3_652_058)))));
        assert!(value(&days, 2).is_err() && value(&days, 3).is_err());
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["ü".repeat(32_767), "ü".repeat(32_768)]));
        assert!(value(&texts, 0).is_ok() && value(&texts, 1).is_err());
        let list = DataType::new_list(DataType::Int8, true);
        assert!(taken(&Schema::new(vec![Field::new("l", list, true)])).is_err());
    }
}
