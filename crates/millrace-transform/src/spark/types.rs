//! Types and literals.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::ScalarValue;

use super::{Translated, Untranslated, text};

/// The type's word in Spark. Layouts that hold the same values have the same word.
pub(crate) fn word(kind: &DataType) -> Translated {
    Ok(match kind {
        DataType::Null => "void".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "int".to_owned(),
        // What is counted stays far below the half that is missing; a larger number is an error over there.
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        // The session's zone is UTC; parts of times in other zones would be others.
        DataType::Timestamp(_, Some(zone)) if ["UTC", "+00:00", "Z"].contains(&zone.as_ref()) => {
            "timestamp".to_owned()
        }
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) if *s >= 0 => {
            format!("decimal({p}, {s})")
        }
        DataType::Decimal256(p, s) if *p <= 38 && *s >= 0 => format!("decimal({p}, {s})"),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => format!("array<{}>", word(field.data_type())?),
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| Ok(format!("{}: {}", super::quoted(field.name()), word(field.data_type())?)))
                .collect::<Result<Vec<_>, Untranslated>>()?;
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => match fields.iter().collect::<Vec<_>>().as_slice() {
                [key, value] => format!("map<{}, {}>", word(key.data_type())?, word(value.data_type())?),
                _ => return Err(unknown(kind)),
            },
            _ => return Err(unknown(kind)),
        },
        DataType::Dictionary(_, value) => word(value)?,
        DataType::RunEndEncoded(_, values) => word(values.data_type())?,
        other => return Err(unknown(other)),
    })
}

fn unknown(kind: &DataType) -> Untranslated {
    Untranslated::new(format!("the type {kind} has no equal in Spark"))
}

pub(super) fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(super) fn is_decimal(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

/// A value as a literal of its type.
pub(super) fn literal(value: &ScalarValue) -> Translated {
    let kind = value.data_type();
    if value.is_null() {
        return Ok(match kind {
            DataType::Null => "null".to_owned(),
            kind => format!("cast(null as {})", word(&kind)?),
        });
    }
    Ok(match value {
        ScalarValue::Boolean(Some(value)) => value.to_string(),
        ScalarValue::Int64(Some(i64::MIN)) => "(-9223372036854775807L - 1L)".to_owned(),
        ScalarValue::Int64(Some(value)) => signed(*value < 0, format!("{value}L")),
        ScalarValue::Int32(Some(value)) => signed(*value < 0, value.to_string()),
        ScalarValue::Int16(Some(value)) => format!("cast({value} as smallint)"),
        ScalarValue::Int8(Some(value)) => format!("cast({value} as tinyint)"),
        ScalarValue::UInt8(Some(value)) => format!("cast({value} as smallint)"),
        ScalarValue::UInt16(Some(value)) => value.to_string(),
        ScalarValue::UInt32(Some(value)) => format!("{value}L"),
        ScalarValue::UInt64(Some(value)) if *value <= i64::MAX.unsigned_abs() => format!("{value}L"),
        ScalarValue::Float64(Some(value)) if value.is_finite() => signed(*value < 0.0, format!("{value:?}D")),
        ScalarValue::Float64(Some(value)) => format!("cast('{value}' as double)"),
        ScalarValue::Float32(Some(value)) => format!("cast('{value:?}' as float)"),
        ScalarValue::Utf8(Some(value))
        | ScalarValue::LargeUtf8(Some(value))
        | ScalarValue::Utf8View(Some(value)) => text(value),
        ScalarValue::Date32(Some(_)) => format!("date '{value}'"),
        _ => return other_literal(value, &kind),
    })
}

/// A negative number stands in parentheses, so that no two signs meet.
fn signed(is_negative: bool, number: String) -> String {
    if is_negative { format!("({number})") } else { number }
}

fn other_literal(value: &ScalarValue, kind: &DataType) -> Translated {
    match kind {
        kind if is_decimal(kind) => Ok(format!("cast({} as {})", text(&value.to_string()), word(kind)?)),
        DataType::Timestamp(_, None) => {
            let plain =
                value.cast_to(&DataType::Utf8).map_err(|error| Untranslated::new(error.to_string()))?;
            Ok(format!("timestamp_ntz '{}'", plain.to_string().replace('T', " ")))
        }
        DataType::List(_) => match value {
            ScalarValue::List(list) => {
                let values = list.value(0);
                let items = (0..values.len())
                    .map(|at| {
                        let item = ScalarValue::try_from_array(&values, at);
                        literal(&item.map_err(|error| Untranslated::new(error.to_string()))?)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(match items.is_empty() {
                    true => format!("cast(array() as {})", word(kind)?),
                    false => format!("array({})", items.join(", ")),
                })
            }
            _ => Err(unknown(kind)),
        },
        DataType::Interval(_) => Err(Untranslated::new("an interval stands alone")
            .hinted("add it to a time: `time + interval '1 day'`")),
        kind => Err(unknown(kind)),
    }
}

/// The two kinds of intervals that Spark keeps apart: months, and days with a time. `None` stands for one that is zero.
pub(super) fn interval(value: &ScalarValue) -> Result<(Option<String>, Option<String>), Untranslated> {
    let (months, days, nanoseconds) = match value {
        ScalarValue::IntervalMonthDayNano(Some(value)) => (value.months, value.days, value.nanoseconds),
        ScalarValue::IntervalYearMonth(Some(months)) => (*months, 0, 0),
        ScalarValue::IntervalDayTime(Some(value)) => {
            (0, value.days, i64::from(value.milliseconds).saturating_mul(1_000_000))
        }
        _ => {
            return Err(Untranslated::new(format!(
                "an interval of the type {} is not known",
                value.data_type()
            )));
        }
    };
    if nanoseconds % 1000 != 0 {
        return Err(Untranslated::new("Spark's times have microseconds, and the interval is finer"));
    }
    let microseconds = nanoseconds / 1000;
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let rest = rest.abs();
    let sign = if microseconds < 0 && seconds == 0 { "-" } else { "" };
    let by_months = (months != 0).then(|| format!("make_ym_interval(0, {months})"));
    let by_days = (days != 0 || microseconds != 0)
        .then(|| format!("make_dt_interval({days}, 0, 0, {sign}{seconds}.{rest:06})"));
    Ok((by_months, by_days))
}

pub(super) fn is_interval(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano)
    )
}
