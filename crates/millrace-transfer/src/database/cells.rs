//! Cells of servers that send row by row: into columns, and out of them.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::json;
use crate::source::BATCH_ROWS;
use crate::types::{CellFormat, ColumnBuilder, ColumnType};

/// A batch ends before it holds more than this and another row.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What a server sent, or is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
        }
    }
}

/// Rows on their way into a batch.
pub(crate) struct Rows {
    schema: SchemaRef,
    columns: Vec<Column>,
    count: usize,
    bytes: usize,
}

impl Rows {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|field| Column::new(field)).collect();
        Self { schema, columns, count: 0, bytes: 0 }
    }

    /// Takes a cell of the row that is open.
    pub(crate) fn cell(&mut self, index: usize, cell: Cell<'_>) -> Result<(), String> {
        self.bytes += match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            _ => 8,
        };
        self.columns.get_mut(index).map_or(Ok(()), |column| column.append(cell))
    }

    /// Ends the row; whether the batch is full.
    pub(crate) fn end(&mut self) -> bool {
        self.count += 1;
        self.count >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The batch of what came since the last one, and how many bytes it was; `None` if nothing did.
    pub(crate) fn finish(&mut self) -> Result<Option<(RecordBatch, u64)>, String> {
        if self.count == 0 {
            return Ok(None);
        }
        let fields = self.schema.fields().clone();
        let columns =
            std::mem::replace(&mut self.columns, fields.iter().map(|field| Column::new(field)).collect());
        let arrays = columns.into_iter().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| error.to_string())?;
        self.count = 0;
        Ok(Some((batch, std::mem::take(&mut self.bytes) as u64)))
    }
}

struct Column {
    name: String,
    data_type: DataType,
    building: Building,
}

enum Building {
    Boolean(BooleanBuilder),
    Int(Int64Builder),
    Unsigned(UInt64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    /// Decimals, dates and times, by their text.
    Parsed(ColumnBuilder),
}

fn boolean(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Boolean(value) => Some(value),
        Cell::Int(value @ (0 | 1)) => Some(value == 1),
        Cell::Unsigned(value @ (0 | 1)) => Some(value == 1),
        Cell::Text("1" | "t" | "true" | "TRUE") => Some(true),
        Cell::Text("0" | "f" | "false" | "FALSE") => Some(false),
        _ => None,
    }
}

fn int(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(value),
        Cell::Boolean(value) => Some(i64::from(value)),
        Cell::Unsigned(value) => i64::try_from(value).ok(),
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn unsigned(cell: Cell<'_>) -> Option<u64> {
    match cell {
        Cell::Unsigned(value) => Some(value),
        Cell::Int(value) => u64::try_from(value).ok(),
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn float(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(value) => Some(value),
        Cell::Int(value) => exact_float(value),
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

impl Column {
    fn new(field: &Field) -> Self {
        let parsed =
            |kind: ColumnType| Building::Parsed(ColumnBuilder::new(CellFormat::plain(kind), BATCH_ROWS));
        let building = match field.data_type() {
            DataType::Boolean => Building::Boolean(BooleanBuilder::new()),
            DataType::UInt64 => Building::Unsigned(UInt64Builder::new()),
            kind if kind.is_integer() => Building::Int(Int64Builder::new()),
            kind if kind.is_floating() => Building::Float(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                parsed(ColumnType::Decimal { precision: *precision, scale: *scale })
            }
            DataType::Date32 => parsed(ColumnType::Date),
            DataType::Timestamp(_, None) => parsed(ColumnType::Datetime),
            DataType::Timestamp(_, Some(_)) => parsed(ColumnType::Timestamp),
            DataType::Binary => Building::Bytes(BinaryBuilder::new()),
            _ => Building::Text(StringBuilder::new()),
        };
        Self { name: field.name().clone(), data_type: field.data_type().clone(), building }
    }

    fn append(&mut self, cell: Cell<'_>) -> Result<(), String> {
        let taken = match (&mut self.building, cell) {
            (building, Cell::Null) => {
                building.append_null();
                true
            }
            (Building::Boolean(builder), cell) => {
                boolean(cell).map(|value| builder.append_value(value)).is_some()
            }
            (Building::Int(builder), cell) => int(cell).map(|value| builder.append_value(value)).is_some(),
            (Building::Unsigned(builder), cell) => {
                unsigned(cell).map(|value| builder.append_value(value)).is_some()
            }
            (Building::Float(builder), cell) => {
                float(cell).map(|value| builder.append_value(value)).is_some()
            }
            (Building::Text(builder), Cell::Text(text)) => {
                builder.append_value(text);
                true
            }
            (Building::Text(builder), Cell::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => {
                    builder.append_value(text);
                    true
                }
                Err(_) => false,
            },
            (Building::Text(builder), cell) => {
                builder.append_value(cell.to_string());
                true
            }
            (Building::Bytes(builder), Cell::Bytes(bytes)) => {
                builder.append_value(bytes);
                true
            }
            (Building::Bytes(builder), Cell::Text(text)) => {
                builder.append_value(text.as_bytes());
                true
            }
            (Building::Parsed(builder), Cell::Text(text)) => builder.append(text.as_bytes()),
            (Building::Parsed(builder), Cell::Int(_) | Cell::Unsigned(_) | Cell::Float(_))
                if matches!(self.data_type, DataType::Decimal128(..)) =>
            {
                builder.append(cell.to_string().as_bytes())
            }
            _ => false,
        };
        if taken {
            return Ok(());
        }
        let Self { name, data_type, .. } = self;
        Err(format!(
            "`{cell}` in column `{name}` is not of the type {data_type}; declare another: `columns: {{{name}: string}}`"
        ))
    }

    fn finish(self) -> Result<ArrayRef, String> {
        let array: ArrayRef = match self.building {
            Building::Boolean(mut builder) => Arc::new(builder.finish()),
            Building::Int(mut builder) => Arc::new(builder.finish()),
            Building::Unsigned(mut builder) => Arc::new(builder.finish()),
            Building::Float(mut builder) => Arc::new(builder.finish()),
            Building::Text(mut builder) => Arc::new(builder.finish()),
            Building::Bytes(mut builder) => Arc::new(builder.finish()),
            Building::Parsed(builder) => builder.finish().map_err(|error| error.to_string())?,
        };
        cast(&array, &self.data_type).map_err(|error| {
            let name = &self.name;
            format!("column `{name}`: {error}; declare another type: `columns: {{{name}: string}}`")
        })
    }
}

impl Building {
    fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Unsigned(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::Parsed(builder) => builder.append_null(),
        }
    }
}

/// The number, if a float holds it without loss.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "whether there is loss is looked at"
)]
fn exact_float(value: i64) -> Option<f64> {
    let float = value as f64;
    (float as i128 == i128::from(value)).then_some(float)
}

/// A value that does not fit is an error, not a null.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &strict).map_err(|error| error.to_string())
}

/// A column whose cells are sent.
pub(super) enum Sent {
    Boolean(BooleanArray),
    Int(PrimitiveArray<Int64Type>),
    Float(PrimitiveArray<Float64Type>),
    Text(StringArray),
    Bytes(BinaryArray),
}

impl Sent {
    /// `zone`: whether instants end in `Z`.
    pub(super) fn new(array: &ArrayRef, zone: bool) -> Result<Self, String> {
        let plain = match array.data_type() {
            DataType::Dictionary(_, value) => cast(array, value)?,
            _ => array.clone(),
        };
        Ok(match plain.data_type() {
            DataType::Boolean => Self::Boolean(plain.as_boolean().clone()),
            kind if kind.is_integer() && *kind != DataType::UInt64 => {
                Self::Int(cast(&plain, &DataType::Int64)?.as_primitive().clone())
            }
            DataType::Float32 | DataType::Float16 => {
                // By their shortest text, so that 0.1 does not become 0.10000000149.
                let texts = cast(&cast(&plain, &DataType::Float32)?, &DataType::Utf8)?;
                let floats =
                    texts.as_string::<i32>().iter().map(|text| text.and_then(|text| text.parse().ok()));
                Self::Float(floats.collect())
            }
            DataType::Float64 => Self::Float(plain.as_primitive().clone()),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                Self::Bytes(cast(&plain, &DataType::Binary)?.as_binary().clone())
            }
            DataType::Timestamp(_, in_zone) => {
                let utc = DataType::Timestamp(TimeUnit::Microsecond, in_zone.as_ref().map(|_| "UTC".into()));
                let end = if zone { "%Y-%m-%d %H:%M:%S%.6fZ" } else { "%Y-%m-%d %H:%M:%S%.6f" };
                let options = FormatOptions::default()
                    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"))
                    .with_timestamp_tz_format(Some(end));
                Self::Text(formatted(&cast(&plain, &utc)?, &options)?)
            }
            kind if kind.is_nested() => Self::Text(json::texts(&plain)?),
            _ => Self::Text(cast(&plain, &DataType::Utf8)?.as_string().clone()),
        })
    }

    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Boolean(array) if array.is_valid(row) => Cell::Boolean(array.value(row)),
            Self::Int(array) if array.is_valid(row) => Cell::Int(array.value(row)),
            Self::Float(array) if array.is_valid(row) => Cell::Float(array.value(row)),
            Self::Text(array) if array.is_valid(row) => Cell::Text(array.value(row)),
            Self::Bytes(array) if array.is_valid(row) => Cell::Bytes(array.value(row)),
            _ => Cell::Null,
        }
    }
}

fn formatted(array: &ArrayRef, options: &FormatOptions<'_>) -> Result<StringArray, String> {
    let formatter = ArrayFormatter::try_new(array.as_ref(), options).map_err(|error| error.to_string())?;
    let text = |row: usize| {
        if array.is_null(row) {
            return Ok(None);
        }
        formatter.value(row).try_to_string().map(Some).map_err(|error| error.to_string())
    };
    (0..array.len()).map(text).collect()
}

/// `insert into … values (…), (…)` for so many rows.
pub(super) fn insert(head: &str, places: &[&str], rows: usize) -> String {
    let row = format!("({})", places.join(", "));
    format!("{head} values {}", vec![row.as_str(); rows].join(", "))
}
