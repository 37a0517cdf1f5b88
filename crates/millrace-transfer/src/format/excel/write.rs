//! Rows become a sheet. Rows go to a temporary file as they come, so that a sheet of any size takes little memory.

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rust_xlsxwriter::{Format, Workbook, Worksheet};

use super::super::nested::AsText;
use super::super::{Encoder, Failure, FileTarget, Out};

const MOST_ROWS: u32 = 1_048_576;
const MOST_COLUMNS: usize = 16_384;
const MOST_LETTERS: usize = 32_767;
/// Digits of a number that Excel keeps.
const EXACT_DIGITS: usize = 15;
const MICROS_A_DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 1900-03-01; before it, Excel's days are off by one, and before 1900 there are none.
const FIRST_DAY: i64 = -25_508;
/// Days from 1970-01-01 to 9999-12-31.
const LAST_DAY: i64 = 2_932_896;
/// Excel's number of 1970-01-01.
const EPOCH: i64 = 25_569;

/// Writes one sheet.
pub(super) struct ExcelEncoder {
    workbook: Workbook,
    out: Box<dyn Out>,
    as_text: AsText,
    date: Format,
    datetime: Format,
    row: u32,
}

impl ExcelEncoder {
    pub(super) fn new(out: Box<dyn Out>, schema: &SchemaRef, target: &FileTarget) -> Result<Self, Failure> {
        let columns = schema.fields().len();
        if columns > MOST_COLUMNS {
            return Err(
                format!("a sheet has room for {MOST_COLUMNS} columns, not {columns}; write Parquet").into()
            );
        }
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet_with_constant_memory()?;
        if let Some(name) = &target.sheet {
            sheet.set_name(name)?;
        }
        let mut row = 0;
        if target.header.unwrap_or(true) {
            let bold = Format::new().set_bold();
            for (column, field) in (0..).zip(schema.fields()) {
                sheet.write_string_with_format(0, column, checked(field.name())?, &bold)?;
            }
            row = 1;
        }
        let date = Format::new().set_num_format("yyyy-mm-dd");
        let datetime = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000");
        Ok(Self { workbook, out, as_text: AsText::new(schema), date, datetime, row })
    }
}

impl Encoder for ExcelEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let batch = self.as_text.of(batch)?;
        let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        let options = FormatOptions::default();
        let shown = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let shown = shown.collect::<Result<Vec<_>, _>>()?;
        let sheet = self.workbook.worksheet_from_index(0)?;
        for index in 0..batch.num_rows() {
            if self.row >= MOST_ROWS {
                let message = format!(
                    "a sheet has room for {MOST_ROWS} rows with its header, and there are more; write Parquet or CSV, or filter the rows"
                );
                return Err(message.into());
            }
            for (number, (column, shown)) in (0..).zip(columns.iter().zip(&shown)) {
                let text = || shown.value(index).try_to_string();
                let at = Place { row: self.row, column: number };
                match column.cell(index) {
                    Some(Value::Nothing) => {}
                    Some(Value::Number(value)) => at.number(sheet, value)?,
                    Some(Value::Boolean(value)) => {
                        sheet.write_boolean(at.row, at.column, value)?;
                    }
                    Some(Value::Date(days)) => {
                        sheet.write_number_with_format(at.row, at.column, days, &self.date)?;
                    }
                    Some(Value::Datetime(days)) => {
                        sheet.write_number_with_format(at.row, at.column, days, &self.datetime)?;
                    }
                    Some(Value::Digits) => at.digits(sheet, &text()?)?,
                    None => at.text(sheet, &text()?)?,
                }
            }
            self.row += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        self.workbook.save_to_writer(&mut self.out)?;
        Ok(self.out)
    }
}

#[derive(Clone, Copy)]
struct Place {
    row: u32,
    column: u16,
}

impl Place {
    fn number(self, sheet: &mut Worksheet, value: f64) -> Result<(), Failure> {
        if value.is_finite() {
            sheet.write_number(self.row, self.column, value)?;
            return Ok(());
        }
        self.text(sheet, &value.to_string())
    }

    /// A number if Excel keeps all of its digits, else its text.
    fn digits(self, sheet: &mut Worksheet, text: &str) -> Result<(), Failure> {
        let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
        match text.parse() {
            Ok(value) if digits <= EXACT_DIGITS => self.number(sheet, value),
            _ => self.text(sheet, text),
        }
    }

    fn text(self, sheet: &mut Worksheet, text: &str) -> Result<(), Failure> {
        if !text.is_empty() {
            sheet.write_string(self.row, self.column, checked(text)?)?;
        }
        Ok(())
    }
}

fn checked(text: &str) -> Result<&str, Failure> {
    let letters = text.encode_utf16().count();
    if letters > MOST_LETTERS {
        return Err(format!(
            "a cell has room for {MOST_LETTERS} letters, and a text has {letters}; write Parquet or CSV"
        )
        .into());
    }
    Ok(text)
}

/// What a cell gets; without one it gets the text that the value is shown as.
enum Value {
    Nothing,
    Number(f64),
    Boolean(bool),
    /// Excel's number of the day.
    Date(f64),
    Datetime(f64),
    Digits,
}

/// A column in one of a few types.
struct Column {
    array: ArrayRef,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Number,
    Digits,
    Boolean,
    Date,
    Datetime,
    Text,
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Self, Failure> {
        let to = |kind: DataType| cast(array, &kind);
        let (array, kind) = match array.data_type() {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                (to(DataType::Float64)?, Kind::Number)
            }
            DataType::Boolean => (array.clone(), Kind::Boolean),
            DataType::Date32 | DataType::Date64 => (to(DataType::Date32)?, Kind::Date),
            DataType::Timestamp(_, zone) => {
                // An instant is shown in UTC.
                let utc = zone.as_ref().map(|_| "UTC".into());
                let instants = to(DataType::Timestamp(TimeUnit::Microsecond, utc))?;
                (cast(&instants, &DataType::Timestamp(TimeUnit::Microsecond, None))?, Kind::Datetime)
            }
            kind if kind.is_integer() || kind.is_decimal() => (array.clone(), Kind::Digits),
            _ => (array.clone(), Kind::Text),
        };
        Ok(Self { array, kind })
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "days and milliseconds of years up to 9999 are exact enough"
    )]
    fn cell(&self, row: usize) -> Option<Value> {
        if self.array.is_null(row) {
            return Some(Value::Nothing);
        }
        let known = |day: i64| (FIRST_DAY..=LAST_DAY).contains(&day);
        match self.kind {
            Kind::Number => Some(Value::Number(self.array.as_primitive::<Float64Type>().value(row))),
            Kind::Boolean => Some(Value::Boolean(self.array.as_boolean().value(row))),
            Kind::Digits => Some(Value::Digits),
            Kind::Date => {
                let day = i64::from(self.array.as_primitive::<Date32Type>().value(row));
                known(day).then(|| Value::Date((day + EPOCH) as f64))
            }
            Kind::Datetime => {
                let micros = self.array.as_primitive::<TimestampMicrosecondType>().value(row);
                let (day, time) = (micros.div_euclid(MICROS_A_DAY), micros.rem_euclid(MICROS_A_DAY));
                known(day).then(|| Value::Datetime((day + EPOCH) as f64 + time as f64 / MICROS_A_DAY as f64))
            }
            Kind::Text => None,
        }
    }
}
