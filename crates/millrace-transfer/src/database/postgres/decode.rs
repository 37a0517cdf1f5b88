//! Values in the server's binary form, straight into Arrow's builders.
//!
//! The forms are those of the `*_send` functions in PostgreSQL's `src/backend/utils/adt/`.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Field, SchemaRef};
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
    kinds: Vec<Kind>,
    columns: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

impl Decoder {
    pub(super) fn new(schema: SchemaRef, kinds: &[Kind]) -> Self {
        let columns = kinds.iter().map(|kind| Builder::new(kind, BATCH_ROWS, BATCH_ROWS * 16)).collect();
        Self { schema, kinds: kinds.to_vec(), columns, rows: 0, bytes: 0 }
    }

    /// Counts a row of COPY, from its count of fields on, and puts its values after those that wait to be decoded; returns what is after it,
    /// or `None` at the end of all rows.
    pub(super) fn cut<'a>(
        &mut self,
        mut data: &'a [u8],
        cells: &mut Vec<Option<&'a [u8]>>,
    ) -> Result<Option<&'a [u8]>, String> {
        let before = data.len();
        let fields = i16::from_be_bytes(take(&mut data)?);
        if fields == -1 {
            return Ok(None);
        }
        if usize::try_from(fields) != Ok(self.columns.len()) {
            return Err(format!("the server sent {fields} columns instead of {}", self.columns.len()));
        }
        for _ in 0..fields {
            cells.push(value(&mut data)?);
        }
        self.rows += 1;
        self.bytes += before - data.len();
        Ok(Some(data))
    }

    /// Counts a row whose values are apart already, and decodes it.
    pub(super) fn values(&mut self, cells: &[Option<&[u8]>]) -> Result<(), String> {
        self.rows += 1;
        self.bytes += cells.iter().flatten().map(|cell| cell.len()).sum::<usize>();
        self.decode(cells)
    }

    /// Decodes rows that were counted, their values one after the other; column by column, so that what a value is is asked once for many.
    pub(super) fn decode(&mut self, cells: &[Option<&[u8]>]) -> Result<(), String> {
        let width = self.columns.len();
        for (index, (column, field)) in self.columns.iter_mut().zip(self.schema.fields()).enumerate() {
            let values = cells.get(index..).unwrap_or_default().iter().step_by(width).copied();
            column.extend(values).map_err(|message| said(field, &message))?;
        }
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
        let columns = self.columns.iter_mut().zip(&self.kinds).zip(self.schema.fields());
        let finish = |((column, kind), field): ((&mut Builder, &Kind), &Arc<Field>)| {
            // As large as this one became: a builder that has given its values away begins with nothing, and what grows is copied again
            // and again.
            let next = Builder::new(kind, BATCH_ROWS, column.bytes() + column.bytes() / 8);
            std::mem::replace(column, next).finish().map_err(|message| said(field, &message))
        };
        let columns = columns.map(finish).collect::<Result<Vec<_>, _>>()?;
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
    /// Whether it is UTF-8 is looked at once for a whole batch.
    Text(BinaryBuilder),
    Jsonb(BinaryBuilder),
    Uuid(StringBuilder),
    Bytes(BinaryBuilder),
    List {
        items: Box<Self>,
        kind: Kind,
        ends: Vec<i32>,
        count: i32,
        valid: Vec<bool>,
    },
}

impl Builder {
    /// With room for so many rows, and so many bytes of text.
    fn new(kind: &Kind, rows: usize, bytes: usize) -> Self {
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
            Kind::Text => Self::Text(BinaryBuilder::with_capacity(rows, bytes)),
            Kind::Jsonb => Self::Jsonb(BinaryBuilder::with_capacity(rows, bytes)),
            Kind::Uuid => Self::Uuid(StringBuilder::with_capacity(rows, rows * 36)),
            Kind::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, bytes)),
            Kind::List(item) => Self::List {
                items: Box::new(Self::new(item, rows, bytes)),
                kind: (**item).clone(),
                ends: vec![0],
                count: 0,
                valid: Vec::new(),
            },
        }
    }

    /// Of text and bytes so far.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(builder) | Self::Jsonb(builder) | Self::Bytes(builder) => builder.values_slice().len(),
            Self::List { items, .. } => items.bytes(),
            _ => 0,
        }
    }

    fn extend<'a>(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>) -> Result<(), String> {
        match self {
            Self::Bool(builder) => {
                for value in values {
                    builder.append_option(value.map(exact::<1>).transpose()?.map(|byte| byte != [0]));
                }
            }
            Self::Int2(builder) => primitive(builder, values, |value| Ok(i16::from_be_bytes(exact(value)?)))?,
            Self::Int4(builder) => primitive(builder, values, |value| Ok(i32::from_be_bytes(exact(value)?)))?,
            Self::Int8(builder) => primitive(builder, values, |value| Ok(i64::from_be_bytes(exact(value)?)))?,
            Self::Float4(builder) => {
                primitive(builder, values, |value| Ok(f32::from_be_bytes(exact(value)?)))?
            }
            Self::Float8(builder) => {
                primitive(builder, values, |value| Ok(f64::from_be_bytes(exact(value)?)))?
            }
            Self::Numeric(builder, precision, scale) => {
                primitive(builder, values, |value| numeric(value, *precision, *scale))?;
            }
            Self::Date(builder) => primitive(builder, values, |value| {
                let days = i32::from_be_bytes(exact(value)?);
                finite(days, i32::MIN, i32::MAX, days.checked_add(EPOCH_DAYS))
            })?,
            Self::Time(builder) => primitive(builder, values, |value| Ok(i64::from_be_bytes(exact(value)?)))?,
            Self::Timestamp(builder) => primitive(builder, values, |value| {
                let micros = i64::from_be_bytes(exact(value)?);
                finite(micros, i64::MIN, i64::MAX, micros.checked_add(EPOCH_MICROS))
            })?,
            Self::Text(builder) | Self::Bytes(builder) => {
                values.for_each(|value| builder.append_option(value))
            }
            Self::Jsonb(builder) => {
                for value in values {
                    builder.append_option(match value.map(<[u8]>::split_first) {
                        Some(Some((1, rest))) => Some(rest),
                        None => None,
                        Some(_) => return Err("`jsonb` of a version that is not known".to_owned()),
                    });
                }
            }
            Self::Uuid(builder) => {
                for value in values {
                    let uuid = value.map(exact).transpose()?.map(uuid::Uuid::from_bytes);
                    let mut digits = uuid::Uuid::encode_buffer();
                    builder.append_option(uuid.map(|uuid| uuid.hyphenated().encode_lower(&mut digits)));
                }
            }
            Self::List { items, ends, count, valid, .. } => {
                for value in values {
                    if let Some(value) = value {
                        *count += list(items, value)?;
                    }
                    ends.push(*count);
                    valid.push(value.is_some());
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef, String> {
        Ok(match self {
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Int2(mut builder) => Arc::new(builder.finish()),
            Self::Int4(mut builder) => Arc::new(builder.finish()),
            Self::Int8(mut builder) => Arc::new(builder.finish()),
            Self::Float4(mut builder) => Arc::new(builder.finish()),
            Self::Float8(mut builder) => Arc::new(builder.finish()),
            Self::Numeric(mut builder, ..) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) | Self::Jsonb(mut builder) => {
                let text = StringArray::try_from_binary(builder.finish());
                Arc::new(text.map_err(|_| "text that is not UTF-8".to_owned())?)
            }
            Self::Uuid(mut builder) => Arc::new(builder.finish()),
            Self::Bytes(mut builder) => Arc::new(builder.finish()),
            Self::List { items, kind, ends, valid, .. } => {
                let field = Arc::new(Field::new_list_field(kind.data_type(), true));
                let list = ListArray::try_new(
                    field,
                    OffsetBuffer::new(ends.into()),
                    items.finish()?,
                    Some(NullBuffer::from(valid)),
                );
                Arc::new(list.map_err(|error| error.to_string())?)
            }
        })
    }
}

fn primitive<'a, T: ArrowPrimitiveType>(
    builder: &mut PrimitiveBuilder<T>,
    values: impl Iterator<Item = Option<&'a [u8]>>,
    read: impl Fn(&[u8]) -> Result<T::Native, String>,
) -> Result<(), String> {
    for value in values {
        match value {
            Some(value) => builder.append_value(read(value)?),
            None => builder.append_null(),
        }
    }
    Ok(())
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
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(value(&mut data)?);
    }
    items.extend(values.into_iter())?;
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
    fn text_of_another_encoding_is_refused_with_its_column() {
        let schema =
            Arc::new(arrow::datatypes::Schema::new(vec![Field::new("a", Kind::Text.data_type(), true)]));
        // One letter of two bytes, and its two halves as a text each: together they would be well-formed.
        let batch = |values: &[&[u8]]| {
            let mut decoder = Decoder::new(schema.clone(), &[Kind::Text]);
            values.iter().for_each(|value| decoder.values(&[Some(value)]).unwrap());
            decoder.finish().map(|batch| batch.unwrap().0.num_rows())
        };
        assert_eq!(batch(&["\u{e4}".as_bytes(), b"b"]), Ok(2));
        for bad in [&[b"a", &b"\xff"[..]][..], &[&b"\xc3"[..], &b"\xa4"[..]]] {
            assert_eq!(batch(bad), Err("column `a`: text that is not UTF-8".to_owned()));
        }
    }

    #[test]
    fn rows_that_are_cut_off() {
        let schema =
            Arc::new(arrow::datatypes::Schema::new(vec![Field::new("a", Kind::Int4.data_type(), true)]));
        let row = [0, 1, 0, 0, 0, 4, 0, 0, 0, 7];
        for end in 0..row.len() {
            let mut decoder = Decoder::new(schema.clone(), &[Kind::Int4]);
            assert!(decoder.cut(&row[..end], &mut Vec::new()).is_err());
        }
        let mut decoder = Decoder::new(schema, &[Kind::Int4]);
        let mut cells = Vec::new();
        assert_eq!(decoder.cut(&row, &mut cells), Ok(Some(&[][..])));
        assert_eq!(decoder.cut(&[0xff, 0xff], &mut cells), Ok(None));
        decoder.decode(&cells).unwrap();
        let (batch, bytes) = decoder.finish().unwrap().unwrap();
        assert_eq!((batch.num_rows(), bytes), (1, 10));
    }
}
