//! What types of SQL Server are here, for what is read.

use std::str::FromStr as _;

use arrow::datatypes::{DataType, Field, TimeUnit};
use tiberius::error::Error;
use tiberius::time::chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use tiberius::{ColumnData, FromSql as _};

use super::quoted;
use crate::database::cells::{Cell, Rows};
use crate::types::ColumnType;

/// A column that is read.
#[derive(Debug, PartialEq)]
pub(super) struct Column {
    pub(super) field: Field,
    /// How it is asked for.
    pub(super) expression: String,
}

impl Column {
    /// A column by its type in the server's words; the words if there is no such type here.
    pub(super) fn of(name: &str, sql_type: &str) -> Result<Self, String> {
        let word = sql_type.split('(').next().unwrap_or_default();
        let mut expression = quoted(name);
        let kind = match word {
            "bit" => DataType::Boolean,
            "tinyint" => DataType::UInt8,
            "smallint" => DataType::Int16,
            "int" => DataType::Int32,
            "bigint" => DataType::Int64,
            "real" => DataType::Float32,
            "float" => DataType::Float64,
            "decimal" | "numeric" => {
                let digits = sql_type.strip_prefix(word).unwrap_or_default();
                let kind = ColumnType::from_str(&format!("decimal{digits}"));
                kind.map_err(|_| sql_type.to_owned())?.data_type()
            }
            // As money it comes as a floating point number.
            "money" | "smallmoney" => {
                expression = format!("CAST({expression} AS decimal(19,4)) AS {expression}");
                DataType::Decimal128(19, 4)
            }
            "date" => DataType::Date32,
            "time" => DataType::Time64(TimeUnit::Microsecond),
            "datetime" | "datetime2" | "smalldatetime" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "datetimeoffset" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "char" | "varchar" | "text" | "nchar" | "nvarchar" | "ntext" | "xml" | "uniqueidentifier" => {
                DataType::Utf8
            }
            "sql_variant" => {
                expression = format!("CAST({expression} AS nvarchar(4000)) AS {expression}");
                DataType::Utf8
            }
            "binary" | "varbinary" | "image" | "timestamp" | "rowversion" => DataType::Binary,
            _ => return Err(sql_type.to_owned()),
        };
        Ok(Self { field: Field::new(name, kind, true), expression })
    }
}

/// Puts a value into its row.
pub(super) fn put(rows: &mut Rows, index: usize, value: &ColumnData<'static>) -> Result<(), String> {
    let wrong = |error: Error| error.to_string();
    let text = |rows: &mut Rows, text: Option<String>| {
        rows.cell(index, text.as_deref().map_or(Cell::Null, Cell::Text))
    };
    match value {
        ColumnData::U8(value) => rows.cell(index, value.map_or(Cell::Null, |value| Cell::Int(value.into()))),
        ColumnData::I16(value) => rows.cell(index, value.map_or(Cell::Null, |value| Cell::Int(value.into()))),
        ColumnData::I32(value) => rows.cell(index, value.map_or(Cell::Null, |value| Cell::Int(value.into()))),
        ColumnData::I64(value) => rows.cell(index, value.map_or(Cell::Null, Cell::Int)),
        ColumnData::F32(value) => {
            rows.cell(index, value.map_or(Cell::Null, |value| Cell::Float(value.into())))
        }
        ColumnData::F64(value) => rows.cell(index, value.map_or(Cell::Null, Cell::Float)),
        ColumnData::Bit(value) => rows.cell(index, value.map_or(Cell::Null, Cell::Boolean)),
        ColumnData::String(value) => rows.cell(index, value.as_deref().map_or(Cell::Null, Cell::Text)),
        ColumnData::Binary(value) => rows.cell(index, value.as_deref().map_or(Cell::Null, Cell::Bytes)),
        ColumnData::Guid(value) => text(rows, value.map(|id| id.hyphenated().to_string())),
        ColumnData::Xml(value) => text(rows, value.as_ref().map(ToString::to_string)),
        ColumnData::Numeric(value) => text(rows, value.map(|number| decimal(number.value(), number.scale()))),
        ColumnData::Date(_) => {
            text(rows, NaiveDate::from_sql(value).map_err(wrong)?.map(|date| date.to_string()))
        }
        ColumnData::Time(_) => text(
            rows,
            NaiveTime::from_sql(value).map_err(wrong)?.map(|time| time.format("%H:%M:%S%.6f").to_string()),
        ),
        ColumnData::DateTime(_) | ColumnData::SmallDateTime(_) | ColumnData::DateTime2(_) => {
            let at = NaiveDateTime::from_sql(value).map_err(wrong)?;
            text(rows, at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()))
        }
        ColumnData::DateTimeOffset(_) => {
            let at = DateTime::<FixedOffset>::from_sql(value).map_err(wrong)?;
            text(rows, at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()))
        }
    }
}

/// A number of so many places after the point.
fn decimal(value: i128, scale: u8) -> String {
    let places = usize::from(scale);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let sign = if value < 0 { "-" } else { "" };
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_numbers() {
        let kind = |sql_type: &str| Column::of("c", sql_type).map(|column| column.field.data_type().clone());
        assert_eq!(kind("decimal(12,2)"), Ok(DataType::Decimal128(12, 2)));
        assert_eq!(kind("nvarchar(max)"), Ok(DataType::Utf8));
        assert_eq!(
            kind("datetimeoffset(7)"),
            Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        );
        assert_eq!(kind("geography"), Err("geography".to_owned()));
        let texts = [(1230, 2), (-5, 3), (0, 0), (-7, 0), (i128::from(i64::MAX), 4)]
            .map(|(value, scale)| decimal(value, scale));
        assert_eq!(texts, ["12.30", "-0.005", "0", "-7", "922337203685477.5807"]);
    }
}
