//! Columns that grow cell by cell and can forget the last ones: a row that is rejected half way leaves nothing behind.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use super::cell::{Scalar, date, integer, number};
use super::{CellFormat, ColumnType};

/// Collects the cells of a column.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    format: CellFormat,
    values: Values,
    cells: usize,
    /// Which cells are no nulls, from the first null on.
    valid: Option<Vec<bool>>,
}

#[derive(Debug)]
enum Values {
    Boolean(Vec<bool>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Int128(Vec<i128>),
    Int32(Vec<i32>),
    /// Texts or bytes end to end, and where each ends.
    Bytes {
        content: Vec<u8>,
        ends: Vec<i32>,
    },
}

impl ColumnBuilder {
    pub(crate) fn new(format: CellFormat, rows: usize) -> Self {
        let values = match format.kind {
            ColumnType::Boolean => Values::Boolean(Vec::with_capacity(rows)),
            ColumnType::Integer | ColumnType::Datetime | ColumnType::Timestamp => {
                Values::Int64(Vec::with_capacity(rows))
            }
            ColumnType::Number => Values::Float64(Vec::with_capacity(rows)),
            ColumnType::Decimal { .. } => Values::Int128(Vec::with_capacity(rows)),
            ColumnType::Date => Values::Int32(Vec::with_capacity(rows)),
            ColumnType::String | ColumnType::Binary => {
                Values::Bytes { content: Vec::with_capacity(rows * 8), ends: Vec::with_capacity(rows) }
            }
        };
        Self { format, values, cells: 0, valid: None }
    }

    pub(crate) fn kind(&self) -> ColumnType {
        self.format.kind
    }

    /// Cells so far.
    pub(crate) fn len(&self) -> usize {
        self.cells
    }

    pub(crate) fn is_null(&self, text: &[u8]) -> bool {
        self.format.is_null(text)
    }

    /// Appends what a text says; `false`, and nothing appended, if it is not of the column's type. A text for a column of texts has to be
    /// UTF-8.
    pub(crate) fn append(&mut self, text: &[u8]) -> bool {
        if let Values::Bytes { content, ends } = &mut self.values {
            let before = content.len();
            if self.format.kind == ColumnType::String {
                content.extend_from_slice(text);
            } else {
                let digits = text.trim_ascii();
                content.resize(before + digits.len() / 2, 0);
                let room = content.get_mut(before..).unwrap_or_default();
                if hex_digits(digits, room).is_none() {
                    content.truncate(before);
                    return false;
                }
            }
            let Ok(end) = i32::try_from(content.len()) else {
                content.truncate(before);
                return false;
            };
            ends.push(end);
            self.append_valid();
            return true;
        }
        if self.format.is_plain() {
            // Most cells: what is read goes where it belongs, without a value of every type in between.
            let text = text.trim_ascii();
            let appended = match (&mut self.values, self.format.kind) {
                (Values::Int64(values), ColumnType::Integer) => integer(text).map(|value| values.push(value)),
                (Values::Float64(values), _) => number(text).map(|value| values.push(value)),
                (Values::Int32(values), _) => date(text).map(|value| values.push(value)),
                _ => return self.append_read(text),
            };
            if appended.is_some() {
                self.append_valid();
            }
            return appended.is_some();
        }
        self.append_read(text)
    }

    fn append_read(&mut self, text: &[u8]) -> bool {
        let value = self.format.scalar(text);
        value.is_some_and(|value| {
            self.append_scalar(value);
            true
        })
    }

    fn append_valid(&mut self) {
        self.cells += 1;
        if let Some(valid) = &mut self.valid {
            valid.push(true);
        }
    }

    /// Appends a value that has the column's type; another one becomes null.
    pub(crate) fn append_scalar(&mut self, value: Scalar) {
        match (&mut self.values, value) {
            (Values::Boolean(values), Scalar::Boolean(value)) => values.push(value),
            (Values::Int64(values), Scalar::Int64(value)) => values.push(value),
            (Values::Float64(values), Scalar::Float64(value)) => values.push(value),
            (Values::Int128(values), Scalar::Int128(value)) => values.push(value),
            (Values::Int32(values), Scalar::Int32(value)) => values.push(value),
            _ => return self.append_null(),
        }
        self.append_valid();
    }

    pub(crate) fn append_null(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.push(false),
            Values::Int64(values) => values.push(0),
            Values::Float64(values) => values.push(0.0),
            Values::Int128(values) => values.push(0),
            Values::Int32(values) => values.push(0),
            Values::Bytes { ends, .. } => ends.push(ends.last().copied().unwrap_or(0)),
        }
        self.valid.get_or_insert_with(|| vec![true; self.cells]).push(false);
        self.cells += 1;
    }

    /// Forgets all cells after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows >= self.cells {
            return;
        }
        match &mut self.values {
            Values::Boolean(values) => values.truncate(rows),
            Values::Int64(values) => values.truncate(rows),
            Values::Float64(values) => values.truncate(rows),
            Values::Int128(values) => values.truncate(rows),
            Values::Int32(values) => values.truncate(rows),
            Values::Bytes { content, ends } => {
                ends.truncate(rows);
                let end = ends.last().copied().unwrap_or(0);
                content.truncate(usize::try_from(end).unwrap_or(0));
            }
        }
        self.cells = rows;
        if let Some(valid) = &mut self.valid {
            valid.truncate(rows);
        }
    }

    /// The column.
    ///
    /// # Errors
    /// [`ArrowError`] if a text is not UTF-8.
    pub(crate) fn finish(self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.valid.map(NullBuffer::from).filter(|nulls| nulls.null_count() > 0);
        Ok(match (self.values, self.format.kind) {
            (Values::Boolean(values), _) => Arc::new(BooleanArray::new(values.into(), nulls)),
            (Values::Int64(values), ColumnType::Datetime) => {
                primitive::<TimestampMicrosecondType>(values, nulls)?
            }
            (Values::Int64(values), ColumnType::Timestamp) => {
                let array =
                    PrimitiveArray::<TimestampMicrosecondType>::try_new(ScalarBuffer::from(values), nulls)?;
                Arc::new(array.with_timezone("UTC"))
            }
            (Values::Int64(values), _) => primitive::<Int64Type>(values, nulls)?,
            (Values::Float64(values), _) => primitive::<Float64Type>(values, nulls)?,
            (Values::Int32(values), _) => primitive::<Date32Type>(values, nulls)?,
            (Values::Int128(values), kind) => {
                let array = PrimitiveArray::<Decimal128Type>::try_new(ScalarBuffer::from(values), nulls)?;
                match kind {
                    ColumnType::Decimal { precision, scale } => {
                        Arc::new(array.with_precision_and_scale(precision, scale)?)
                    }
                    _ => Arc::new(array),
                }
            }
            (Values::Bytes { content, ends }, kind) => {
                let mut offsets = Vec::with_capacity(ends.len() + 1);
                offsets.push(0);
                offsets.extend(ends);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                if kind == ColumnType::String {
                    Arc::new(StringArray::try_new(offsets, content.into(), nulls)?)
                } else {
                    Arc::new(BinaryArray::try_new(offsets, content.into(), nulls)?)
                }
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(values), nulls)?))
}

/// Two digits a byte.
fn hex_digits(text: &[u8], room: &mut [u8]) -> Option<()> {
    if text.len() % 2 == 1 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (pair, byte) in text.chunks_exact(2).zip(room) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;
    use arrow::util::display::{ArrayFormatter, FormatOptions};

    use super::*;

    fn column(kind: &str, cells: &[Option<&str>], keep: usize) -> Vec<String> {
        let mut builder = ColumnBuilder::new(CellFormat::plain(kind.parse().unwrap()), cells.len());
        for cell in cells {
            match cell {
                Some(text) => assert!(builder.append(text.as_bytes()), "{text}"),
                None => builder.append_null(),
            }
        }
        builder.truncate(keep);
        let array = builder.finish().unwrap();
        assert_eq!(array.len(), keep);
        assert_eq!(array.data_type(), &kind.parse::<ColumnType>().unwrap().data_type());
        let options = FormatOptions::default().with_null("null");
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
        (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
    }

    #[test]
    fn cells_are_kept_and_forgotten() {
        assert_eq!(column("string", &[Some("a"), None, Some("bc"), Some("d")], 3), ["a", "null", "bc"]);
        assert_eq!(column("string", &[Some("a"), None, None], 1), ["a"]);
        assert_eq!(column("integer", &[Some("1"), None, Some("3")], 3), ["1", "null", "3"]);
        assert_eq!(column("boolean", &[Some("t"), Some("no")], 2), ["true", "false"]);
        assert_eq!(column("decimal(6,3)", &[Some("1.5"), Some("2")], 2), ["1.500", "2.000"]);
        assert_eq!(column("binary", &[Some("00fF"), Some("")], 2), ["00ff", ""]);
        assert_eq!(column("date", &[Some("2026-03-01")], 1), ["2026-03-01"]);
        assert_eq!(column("timestamp", &[Some("2026-03-01T06:00:00Z")], 1), ["2026-03-01T06:00:00Z"]);
        assert_eq!(column("string", &[], 0), [""; 0]);
    }

    #[test]
    fn what_is_of_another_type_leaves_nothing() {
        let mut bytes = ColumnBuilder::new(CellFormat::plain(ColumnType::Binary), 1);
        assert!(!bytes.append(b"0g"));
        assert!(!bytes.append(b"000"));
        assert!(bytes.append(b"01"));
        assert_eq!(bytes.finish().unwrap().len(), 1);
    }
}
