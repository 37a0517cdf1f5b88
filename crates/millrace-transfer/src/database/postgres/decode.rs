//! Values in the server's binary form, straight into Arrow's builders.
//!
//! The forms are those of the `*_send` functions in PostgreSQL's `src/backend/utils/adt/`.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::columns::Kind;
use crate::source::BATCH_ROWS;

/// Days from 1970 to 2000, where PostgreSQL begins to count.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// A batch ends before it holds more than this and another row.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Rows on their way into a batch.
pub(super) struct Decoder {
    schema: SchemaRef,
    columns: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

impl Decoder {
    pub(super) fn new(schema: SchemaRef, kinds: &[Kind]) -> Self {
        let columns = kinds.iter().map(|kind| Builder::new(kind, BATCH_ROWS)).collect();
        Self { schema, columns, rows: 0, bytes: 0 }
    }

    /// Takes a row of COPY, from its count of fields on, and returns what is after it; `None` at the end of all rows.
    pub(super) fn row<'a>(&mut self, mut data: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
        let before = data.len();
        let fields = i16::from_be_bytes(take(&mut data)?);
        if fields == -1 {
            return Ok(None);
        }
        if usize::try_from(fields) != Ok(self.columns.len()) {
            return Err(format!("the server sent {fields} columns instead of {}", self.columns.len()));
        }
        for (column, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            let value = value(&mut data)?;
            column.append(value).map_err(|message| said(field, &message))?;
        }
        self.rows += 1;
        self.bytes += before - data.len();
        Ok(Some(data))
    }

    /// Takes a row whose values are apart already.
    pub(super) fn values<'a>(
        &mut self,
        values: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Result<(), String> {
        for ((column, field), value) in self.columns.iter_mut().zip(self.schema.fields()).zip(values) {
            column.append(value).map_err(|message| said(field, &message))?;
            self.bytes += value.map_or(0, <[u8]>::len);
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The batch of what came since the last one, and how many bytes it was; `None` if nothing did.
    pub(super) fn finish(&mut self) -> Result<Option<(RecordBatch, u64)>, String> {
        if self.rows == 0 {
            return Ok(None);
        }
        let columns = self.columns.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| error.to_string())?;
        let bytes = std::mem::take(&mut self.bytes) as u64;
        self.rows = 0;
        Ok(Some((batch, bytes)))
    }
}

fn said(field: &Field, message: &str) -> String {
    format!("column `{}`: {message}", field.name())
}

/// Cuts `N` bytes off.
fn take<const N: usize>(data: &mut &[u8]) -> Result<[u8; N], String> {
    let (head, rest) = data.split_first_chunk::<N>().ok_or_else(cut_off)?;
    *data = rest;
    Ok(*head)
}

/// Cuts a value with its length off.
fn value<'a>(data: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let length = i32::from_be_bytes(take(data)?);
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    let (head, rest) = data.split_at_checked(length).ok_or_else(cut_off)?;
    *data = rest;
    Ok(Some(head))
}

fn cut_off() -> String {
    "the server's row is cut off".to_owned()
}

/// A value that has exactly `N` bytes.
fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], String> {
    value.try_into().map_err(|_| format!("a value of {} bytes instead of {N}", value.len()))
}

/// One column.
enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Numeric(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Jsonb(StringBuilder),
    Uuid(StringBuilder),
    Bytes(BinaryBuilder),
    List { items: Box<Self>, kind: Kind, ends: Vec<i32>, count: i32, valid: Vec<bool> },
}

impl Builder {
    fn new(kind: &Kind, rows: usize) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::Int2 => Self::Int2(Int16Builder::with_capacity(rows)),
            Kind::Int4 => Self::Int4(Int32Builder::with_capacity(rows)),
            Kind::Int8 => Self::Int8(Int64Builder::with_capacity(rows)),
            Kind::Float4 => Self::Float4(Float32Builder::with_capacity(rows)),
            Kind::Float8 => Self::Float8(Float64Builder::with_capacity(rows)),
            Kind::Numeric { precision, scale } => {
                let builder = Decimal128Builder::with_capacity(rows).with_data_type(kind.data_type());
                Self::Numeric(builder, *precision, *scale)
            }
            Kind::Date => Self::Date(Date32Builder::with_capacity(rows)),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            Kind::Timestamp { .. } => {
                let builder = TimestampMicrosecondBuilder::with_capacity(rows);
                Self::Timestamp(builder.with_data_type(kind.data_type()))
            }
            Kind::Text => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
            Kind::Jsonb => Self::Jsonb(StringBuilder::with_capacity(rows, rows * 32)),
            Kind::Uuid => Self::Uuid(StringBuilder::with_capacity(rows, rows * 36)),
            Kind::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, rows * 16)),
            Kind::List(item) => Self::List {
                items: Box::new(Self::new(item, rows)),
                kind: (**item).clone(),
                ends: vec![0],
                count: 0,
                valid: Vec::new(),
            },
        }
    }

    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        let Some(value) = value else {
            self.append_null();
            return Ok(());
        };
        match self {
            Self::Bool(builder) => builder.append_value(exact::<1>(value)? != [0]),
            Self::Int2(builder) => builder.append_value(i16::from_be_bytes(exact(value)?)),
            Self::Int4(builder) => builder.append_value(i32::from_be_bytes(exact(value)?)),
            Self::Int8(builder) => builder.append_value(i64::from_be_bytes(exact(value)?)),
            Self::Float4(builder) => builder.append_value(f32::from_be_bytes(exact(value)?)),
            Self::Float8(builder) => builder.append_value(f64::from_be_bytes(exact(value)?)),
            Self::Numeric(builder, precision, scale) => {
                builder.append_value(numeric(value, *precision, *scale)?);
            }
            Self::Date(builder) => {
                let days = i32::from_be_bytes(exact(value)?);
                builder.append_value(finite(days, i32::MIN, i32::MAX, days.checked_add(EPOCH_DAYS))?);
            }
            Self::Time(builder) => builder.append_value(i64::from_be_bytes(exact(value)?)),
            Self::Timestamp(builder) => {
                let micros = i64::from_be_bytes(exact(value)?);
                builder.append_value(finite(micros, i64::MIN, i64::MAX, micros.checked_add(EPOCH_MICROS))?);
            }
            Self::Text(builder) => builder.append_value(text(value)?),
            Self::Jsonb(builder) => match value.split_first() {
                Some((1, rest)) => builder.append_value(text(rest)?),
                _ => return Err("`jsonb` of a version that is not known".to_owned()),
            },
            Self::Uuid(builder) => {
                let uuid = uuid::Uuid::from_bytes(exact(value)?);
                builder.append_value(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
            }
            Self::Bytes(builder) => builder.append_value(value),
            Self::List { items, ends, count, valid, .. } => {
                *count += list(items, value)?;
                ends.push(*count);
                valid.push(true);
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int2(builder) => builder.append_null(),
            Self::Int4(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Float4(builder) => builder.append_null(),
            Self::Float8(builder) => builder.append_null(),
            Self::Numeric(builder, ..) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Text(builder) | Self::Jsonb(builder) | Self::Uuid(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::List { ends, count, valid, .. } => {
                ends.push(*count);
                valid.push(false);
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, String> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int2(builder) => Arc::new(builder.finish()),
            Self::Int4(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Float4(builder) => Arc::new(builder.finish()),
            Self::Float8(builder) => Arc::new(builder.finish()),
            Self::Numeric(builder, ..) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Text(builder) | Self::Jsonb(builder) | Self::Uuid(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) => Arc::new(builder.finish()),
            Self::List { items, kind, ends, count, valid } => {
                let field = Arc::new(Field::new_list_field(kind.data_type(), true));
                let ends = OffsetBuffer::new(std::mem::replace(ends, vec![0]).into());
                let nulls = NullBuffer::from(std::mem::take(valid));
                *count = 0;
                let list = ListArray::try_new(field, ends, items.finish()?, Some(nulls));
                Arc::new(list.map_err(|error| error.to_string())?)
            }
        })
    }
}

fn text(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|_| "text that is not UTF-8".to_owned())
}

/// The least and the greatest stand for infinities.
fn finite<T: PartialEq>(value: T, least: T, greatest: T, moved: Option<T>) -> Result<T, String> {
    if value == least || value == greatest {
        return Err("`infinity` is no date here; to have it as text: `columns: {…: string}`".to_owned());
    }
    moved.ok_or_else(|| "the time is too far away; to have it as text: `columns: {…: string}`".to_owned())
}

/// The items of an array of one dimension; returns how many they are.
fn list(items: &mut Builder, mut data: &[u8]) -> Result<i32, String> {
    let dimensions = i32::from_be_bytes(take(&mut data)?);
    // Whether there are nulls, and the type of the items, both known.
    let _: [u8; 8] = take(&mut data)?;
    match dimensions {
        0 => return Ok(0),
        1 => {}
        more => {
            return Err(format!(
                "an array of {more} dimensions; to have it as text: `columns: {{…: string}}`"
            ));
        }
    }
    let count = i32::from_be_bytes(take(&mut data)?);
    let _lower_bound: [u8; 4] = take(&mut data)?;
    for _ in 0..count {
        items.append(value(&mut data)?)?;
    }
    Ok(count)
}

/// Groups of four digits, the first one worth `10000 ^ weight`.
fn numeric(mut data: &[u8], precision: u8, scale: i8) -> Result<i128, String> {
    let count = u16::from_be_bytes(take(&mut data)?);
    let weight = i16::from_be_bytes(take(&mut data)?);
    let sign = u16::from_be_bytes(take(&mut data)?);
    let _digits_shown: [u8; 2] = take(&mut data)?;
    if sign & 0xc000 == 0xc000 {
        return Err("`NaN` and infinity are no decimals; declare it: `columns: {…: string}`".to_owned());
    }
    let no_room = || {
        format!(
            "a number has no room in decimal({precision},{scale}) without loss; declare it: `columns: {{…: string}}`, `number` or another \
             `decimal(…)`"
        )
    };
    let mut sum: i128 = 0;
    for place in 0..count {
        let group = i128::from(u16::from_be_bytes(take(&mut data)?));
        // The power of ten that the group's last digit is worth, in units of the result's last digit.
        let power = 4 * (i32::from(weight) - i32::from(place)) + i32::from(scale);
        let units = if power >= 0 {
            let factor = u32::try_from(power).ok().and_then(|power| 10_i128.checked_pow(power));
            match factor.and_then(|factor| group.checked_mul(factor)) {
                Some(units) => units,
                None if group == 0 => 0,
                None => return Err(no_room()),
            }
        } else {
            let divisor = if power > -4 { 10_i128.pow(power.unsigned_abs()) } else { 10_000 };
            if group % divisor != 0 {
                return Err(no_room());
            }
            group / divisor
        };
        sum = sum.checked_add(units).ok_or_else(no_room)?;
    }
    if sum >= 10_i128.pow(u32::from(precision)) {
        return Err(no_room());
    }
    Ok(if sign == 0 { sum } else { -sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &[u16], weight: i16, scale: i8, expected: Result<i128, ()>) {
        let mut data = Vec::new();
        data.extend((groups.len() as u16).to_be_bytes());
        data.extend(weight.to_be_bytes());
        data.extend([0x40, 0, 0, 0]);
        for group in groups {
            data.extend(group.to_be_bytes());
        }
        assert_eq!(numeric(&data, 38, scale).map_err(drop), expected.map(|value: i128| -value));
    }

    #[test]
    fn numbers_of_groups() {
        check(&[1, 2345, 6700], 1, 2, Ok(1_234_567));
        check(&[1, 2345, 6789], 1, 2, Err(()));
        check(&[1], 3, 0, Ok(1_000_000_000_000));
        check(&[5000], -1, 1, Ok(5));
        check(&[1, 0, 1], 0, 8, Ok(100_000_001));
        check(&[], 0, 2, Ok(0));
        check(&[9999; 9], 8, 2, Ok(99_999_999_999_999_999_999_999_999_999_999_999_900));
        check(&[9999; 10], 9, 2, Err(()));
    }

    #[test]
    fn rows_that_are_cut_off() {
        let schema =
            Arc::new(arrow::datatypes::Schema::new(vec![Field::new("a", Kind::Int4.data_type(), true)]));
        let row = [0, 1, 0, 0, 0, 4, 0, 0, 0, 7];
        for end in 0..row.len() {
            let mut decoder = Decoder::new(schema.clone(), &[Kind::Int4]);
            assert!(decoder.row(&row[..end]).is_err());
        }
        let mut decoder = Decoder::new(schema, &[Kind::Int4]);
        assert_eq!(decoder.row(&row), Ok(Some(&[][..])));
        assert_eq!(decoder.row(&[0xff, 0xff]), Ok(None));
        let (batch, bytes) = decoder.finish().unwrap().unwrap();
        assert_eq!((batch.num_rows(), bytes), (1, 10));
    }
}
