//! Arrow's values in the form that the server takes.

use arrow::array::*;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;

use super::columns::Kind;
use crate::database::json;

const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A column of the target: the form of its values, and the type of its items if it is an array.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Of the items, if it is an array.
    pub(super) item: u32,
}

/// Whether values of an Arrow type can be sent in that form; else the server converts them from text.
pub(super) fn fits(kind: &Kind, data_type: &DataType) -> bool {
    let plain = match data_type {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let texts = matches!(plain, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
    let null = *plain == DataType::Null;
    match kind {
        Kind::Bool => null || *plain == DataType::Boolean,
        Kind::Int2 | Kind::Int4 | Kind::Int8 => null || plain.is_integer(),
        Kind::Float4 => null || matches!(plain, DataType::Float16 | DataType::Float32),
        Kind::Float8 => null || plain.is_floating() || plain.is_integer(),
        Kind::Numeric { .. } => {
            null || plain.is_integer()
                || matches!(
                    plain,
                    DataType::Decimal128(..) | DataType::Decimal32(..) | DataType::Decimal64(..)
                )
        }
        Kind::Date => matches!(plain, DataType::Date32 | DataType::Date64),
        Kind::Time => matches!(plain, DataType::Time32(_) | DataType::Time64(_)),
        Kind::Timestamp { zoned } => match plain {
            DataType::Timestamp(_, zone) => zone.is_some() == *zoned,
            _ => false,
        },
        Kind::Text => true,
        Kind::Jsonb => texts || plain.is_nested(),
        Kind::Uuid => false,
        Kind::Bytes => matches!(
            plain,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        ),
        Kind::List(item) => match plain {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                fits(item, field.data_type())
            }
            _ => false,
        },
    }
}

/// Rows as COPY takes them, without header and end.
pub(super) fn rows(batch: &RecordBatch, targets: &[Target]) -> Result<Vec<u8>, String> {
    let columns = batch
        .columns()
        .iter()
        .zip(targets)
        .map(|(array, target)| {
            Cells::new(array, &target.kind, target.item)
                .map_err(|message| format!("column `{}`: {message}", target.name))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let count = i16::try_from(columns.len()).map_err(|_| "a table has 1600 columns at most".to_owned())?;
    let mut out =
        Vec::with_capacity(batch.get_array_memory_size() + batch.num_rows() * (2 + 4 * columns.len()));
    for row in 0..batch.num_rows() {
        out.extend(count.to_be_bytes());
        for (cells, target) in columns.iter().zip(targets) {
            cells.put(row, &mut out).map_err(|message| format!("column `{}`: {message}", target.name))?;
        }
    }
    Ok(out)
}

/// A column in the Arrow type that its form is written from.
enum Cells {
    Bool(BooleanArray),
    Int2(PrimitiveArray<Int16Type>),
    Int4(PrimitiveArray<Int32Type>),
    Int8(PrimitiveArray<Int64Type>),
    Float4(PrimitiveArray<Float32Type>),
    Float8(PrimitiveArray<Float64Type>),
    Numeric(PrimitiveArray<Decimal128Type>, u16),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time64MicrosecondType>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    Text(StringArray),
    Jsonb(StringArray),
    Bytes(BinaryArray),
    List(ListArray, Box<Self>, u32),
}

impl Cells {
    fn new(array: &ArrayRef, kind: &Kind, item: u32) -> Result<Self, String> {
        let micros = |zoned: bool| DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()));
        Ok(match kind {
            Kind::Bool => Self::Bool(cast(array, &DataType::Boolean)?.as_boolean().clone()),
            Kind::Int2 => Self::Int2(cast(array, &DataType::Int16)?.as_primitive().clone()),
            Kind::Int4 => Self::Int4(cast(array, &DataType::Int32)?.as_primitive().clone()),
            Kind::Int8 => Self::Int8(cast(array, &DataType::Int64)?.as_primitive().clone()),
            Kind::Float4 => Self::Float4(cast(array, &DataType::Float32)?.as_primitive().clone()),
            Kind::Float8 => Self::Float8(cast(array, &DataType::Float64)?.as_primitive().clone()),
            Kind::Numeric { .. } => {
                let (precision, scale) = match array.data_type() {
                    DataType::Decimal128(_, scale)
                    | DataType::Decimal32(_, scale)
                    | DataType::Decimal64(_, scale) => (38, (*scale).max(0)),
                    _ => (38, 0),
                };
                let decimals = cast(array, &DataType::Decimal128(precision, scale))?;
                Self::Numeric(decimals.as_primitive().clone(), u16::try_from(scale).unwrap_or(0))
            }
            Kind::Date => Self::Date(cast(array, &DataType::Date32)?.as_primitive().clone()),
            Kind::Time => {
                Self::Time(cast(array, &DataType::Time64(TimeUnit::Microsecond))?.as_primitive().clone())
            }
            Kind::Timestamp { zoned } => {
                Self::Timestamp(cast(array, &micros(*zoned))?.as_primitive().clone())
            }
            Kind::Text => Self::Text(texts(array)?),
            Kind::Jsonb | Kind::Uuid => Self::Jsonb(texts(array)?),
            Kind::Bytes => Self::Bytes(cast(array, &DataType::Binary)?.as_binary().clone()),
            Kind::List(inner) => {
                let field = match array.data_type() {
                    DataType::List(field)
                    | DataType::LargeList(field)
                    | DataType::FixedSizeList(field, _) => field,
                    other => return Err(format!("{other} is no list")),
                };
                let list = cast(array, &DataType::List(field.clone()))?.as_list::<i32>().clone();
                let items = Self::new(list.values(), inner, 0)?;
                Self::List(list, Box::new(items), item)
            }
        })
    }

    /// Length and value.
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_null(row) {
            out.extend((-1_i32).to_be_bytes());
            return Ok(());
        }
        match self {
            Self::Bool(array) => sized(out, &[u8::from(array.value(row))]),
            Self::Int2(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Int4(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Int8(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Float4(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Float8(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Numeric(array, scale) => numeric(array.value(row), *scale, out),
            Self::Date(array) => {
                let days = i64::from(array.value(row)) - EPOCH_DAYS;
                let days = i32::try_from(days).map_err(|_| "the date is too far away".to_owned())?;
                sized(out, &days.to_be_bytes())
            }
            Self::Time(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Timestamp(array) => {
                let micros = array.value(row).checked_sub(EPOCH_MICROS);
                sized(out, &micros.ok_or_else(|| "the time is too far away".to_owned())?.to_be_bytes())
            }
            Self::Text(array) => text(array.value(row), &[], out),
            Self::Jsonb(array) => text(array.value(row), &[1], out),
            Self::Bytes(array) => sized(out, array.value(row)),
            Self::List(array, items, item) => list(array, row, items, *item, out),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(array) => array.is_null(row),
            Self::Int2(array) => array.is_null(row),
            Self::Int4(array) => array.is_null(row),
            Self::Int8(array) => array.is_null(row),
            Self::Float4(array) => array.is_null(row),
            Self::Float8(array) => array.is_null(row),
            Self::Numeric(array, _) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
            Self::Timestamp(array) => array.is_null(row),
            Self::Text(array) | Self::Jsonb(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
            Self::List(array, ..) => array.is_null(row),
        }
    }
}

/// A value that does not fit is an error, not a null.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &strict).map_err(|error| error.to_string())
}

/// What is nested becomes JSON, bytes hexadecimal as the server reads them.
fn texts(array: &ArrayRef) -> Result<StringArray, String> {
    match array.data_type() {
        kind if kind.is_nested() => json::texts(array),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = cast(array, &DataType::Binary)?;
            let hex = |bytes: Option<&[u8]>| bytes.map(|bytes| format!("\\x{}", hex(bytes)));
            Ok(bytes.as_binary::<i32>().iter().map(hex).collect())
        }
        _ => Ok(cast(array, &DataType::Utf8)?.as_string().clone()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sized(out: &mut Vec<u8>, value: &[u8]) -> Result<(), String> {
    let length = i32::try_from(value.len()).map_err(|_| "a value of more than 2 GB".to_owned())?;
    out.extend(length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

fn text(value: &str, version: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    if memchr::memchr(0, value.as_bytes()).is_some() {
        return Err("PostgreSQL has no place for the character U+0000".to_owned());
    }
    let length =
        i32::try_from(value.len() + version.len()).map_err(|_| "a value of more than 2 GB".to_owned())?;
    out.extend(length.to_be_bytes());
    out.extend_from_slice(version);
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

/// Groups of four digits that begin at the point.
fn numeric(value: i128, scale: u16, out: &mut Vec<u8>) -> Result<(), String> {
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    // The last group is filled up with zeros.
    let padding = (4 - scale % 4) % 4;
    let after = i16::try_from((scale + padding) / 4).unwrap_or(0);
    let mut groups = [0_u16; 12];
    let mut count = 0;
    let mut rest = value.unsigned_abs();
    if padding > 0 && rest > 0 {
        let divisor = 10_u128.pow(u32::from(4 - padding));
        let last = rest % divisor * 10_u128.pow(u32::from(padding));
        rest /= divisor;
        push(&mut groups, &mut count, last);
    }
    while rest > 0 {
        push(&mut groups, &mut count, rest % 10_000);
        rest /= 10_000;
    }
    let digits = groups.get(..count).unwrap_or_default();
    let length = i32::try_from(8 + 2 * count).unwrap_or(0);
    out.extend(length.to_be_bytes());
    out.extend(u16::try_from(count).unwrap_or(0).to_be_bytes());
    let weight = i16::try_from(count).unwrap_or(0) - after - 1;
    out.extend((if count == 0 { 0 } else { weight }).to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(scale.to_be_bytes());
    for group in digits.iter().rev() {
        out.extend(group.to_be_bytes());
    }
    Ok(())
}

fn push(groups: &mut [u16; 12], count: &mut usize, group: u128) {
    if let Some(place) = groups.get_mut(*count) {
        *place = u16::try_from(group).unwrap_or(0);
        *count += 1;
    }
}

fn list(array: &ListArray, row: usize, items: &Cells, item: u32, out: &mut Vec<u8>) -> Result<(), String> {
    let at = out.len();
    out.extend([0; 4]);
    let offsets = array.value_offsets();
    let (start, end) = (offsets.get(row).copied().unwrap_or(0), offsets.get(row + 1).copied().unwrap_or(0));
    out.extend(i32::from(end > start).to_be_bytes());
    out.extend(1_i32.to_be_bytes());
    out.extend(item.to_be_bytes());
    if end > start {
        out.extend((end - start).to_be_bytes());
        out.extend(1_i32.to_be_bytes());
        for place in start..end {
            items.put(usize::try_from(place).unwrap_or(0), out)?;
        }
    }
    let length = i32::try_from(out.len() - at - 4).map_err(|_| "a value of more than 2 GB".to_owned())?;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
