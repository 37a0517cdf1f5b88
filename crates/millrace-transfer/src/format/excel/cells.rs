//! Cells of a sheet, row by row.

use std::borrow::Cow;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;

use calamine::{Data, DataRef, ExcelDateTime, Reader as _, Sheets};

use crate::config::Sheet;
use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::types::ColumnType;

/// A row that has cells.
pub(super) struct Row {
    /// From 0.
    pub(super) number: u32,
    /// By column, from 0; empty ones are left out.
    pub(super) cells: Vec<(u32, Cell)>,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Number(f64),
    Integer(i64),
    Boolean(bool),
    /// `2026-03-01`.
    Date(String),
    /// `2026-03-01T06:00:00.250`.
    Datetime(String),
    /// `#DIV/0!`.
    Error(String),
}

impl Cell {
    /// What inference takes it for; an error says nothing.
    pub(super) fn kind(&self) -> Option<ColumnType> {
        Some(match self {
            Self::Text(_) => ColumnType::String,
            Self::Number(_) => ColumnType::Number,
            Self::Integer(_) => ColumnType::Integer,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Date(_) => ColumnType::Date,
            Self::Datetime(_) => ColumnType::Datetime,
            Self::Error(_) => return None,
        })
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) | Self::Date(text) | Self::Datetime(text) | Self::Error(text) => {
                Cow::Borrowed(text)
            }
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        }
    }

    /// Whether its text may be read as one of a type. Texts only where the user says the type.
    pub(super) fn suits(&self, kind: ColumnType, declared: bool) -> bool {
        match self {
            Self::Text(_) => declared || kind == ColumnType::String,
            Self::Number(_) => {
                matches!(kind, ColumnType::Number | ColumnType::Decimal { .. } | ColumnType::String)
            }
            Self::Integer(_) => {
                let number =
                    matches!(kind, ColumnType::Integer | ColumnType::Number | ColumnType::Decimal { .. });
                number || kind == ColumnType::String
            }
            Self::Boolean(_) => matches!(kind, ColumnType::Boolean | ColumnType::String),
            Self::Date(_) => {
                let time = matches!(kind, ColumnType::Date | ColumnType::Datetime | ColumnType::Timestamp);
                time || kind == ColumnType::String
            }
            Self::Datetime(_) => {
                matches!(kind, ColumnType::Datetime | ColumnType::Timestamp | ColumnType::String)
            }
            Self::Error(_) => false,
        }
    }

    fn of(data: &DataRef<'_>) -> Option<Self> {
        Some(match data {
            DataRef::Int(number) => Self::Integer(*number),
            DataRef::Float(number) => Self::number(*number),
            DataRef::String(text) => Self::Text(text.clone()),
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            DataRef::Bool(value) => Self::Boolean(*value),
            DataRef::DateTime(time) => Self::time(time),
            DataRef::DateTimeIso(text) if text.contains('T') => Self::Datetime(text.clone()),
            DataRef::DateTimeIso(text) => Self::Date(text.clone()),
            DataRef::DurationIso(text) => Self::Text(text.clone()),
            DataRef::Error(error) => Self::Error(error.to_string()),
            DataRef::Empty => return None,
        })
    }

    /// Excel has no integers: a number without a fraction is one, as long as it is exact.
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    fn number(number: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() <= EXACT {
            Self::Integer(number as i64)
        } else {
            Self::Number(number)
        }
    }

    fn time(time: &ExcelDateTime) -> Self {
        let days = time.as_f64();
        if time.is_duration() || days.abs() < 1.0 {
            return Self::Text(clock(days));
        }
        let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
        let date = format!("{year:04}-{month:02}-{day:02}");
        if (hour, minute, second, milli) == (0, 0, 0, 0) {
            return Self::Date(date);
        }
        let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
        Self::Datetime(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}"))
    }
}

/// A part of a day, or more than one, as hours, minutes and seconds.
#[allow(clippy::cast_possible_truncation, reason = "a duration of a sheet has few milliseconds")]
fn clock(days: f64) -> String {
    let millis = (days.abs() * 86_400_000.0).round() as i64;
    let sign = if days < 0.0 { "-" } else { "" };
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The part of a sheet to read; without ends, all there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Area {
    first_row: Option<u32>,
    last_row: Option<u32>,
    pub(super) first_column: Option<u32>,
    pub(super) last_column: Option<u32>,
}

impl Area {
    /// `B2:F100`, `B2:F`, `B2`.
    pub(super) fn of(text: Option<&str>) -> Result<Self, CopyError> {
        let Some(text) = text else { return Ok(Self::default()) };
        let failed = || CopyError::config(format!("`{text}` is no range of cells"), "range: \"B2:F100\"");
        let (first, last) = text.split_once(':').unwrap_or((text, ""));
        let (first_column, first_row) = cell_of(first).ok_or_else(failed)?;
        let (last_column, last_row) = match last {
            "" => (None, None),
            last => cell_of(last).ok_or_else(failed)?,
        };
        let backwards =
            |first: Option<u32>, last: Option<u32>| last.is_some_and(|last| last < first.unwrap_or(0));
        if backwards(first_column, last_column) || backwards(first_row, last_row) {
            return Err(failed());
        }
        Ok(Self { first_row, last_row, first_column, last_column })
    }

    fn has(&self, row: u32, column: u32) -> bool {
        let within = |at: u32, first: Option<u32>, last: Option<u32>| {
            at >= first.unwrap_or(0) && at <= last.unwrap_or(u32::MAX)
        };
        within(row, self.first_row, self.last_row) && within(column, self.first_column, self.last_column)
    }

    fn ends_before(&self, row: u32) -> bool {
        self.last_row.is_some_and(|last| row > last)
    }
}

/// Column and row, from 0, of `F100`, `F` or `100`.
fn cell_of(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    let text = text.trim().to_ascii_uppercase();
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let (column, row) = text.split_at(letters);
    let column = match column {
        "" => None,
        letters if letters.len() <= 3 => {
            let number = letters.bytes().fold(0, |number, letter| number * 26 + u32::from(letter - b'A') + 1);
            Some(number - 1)
        }
        _ => return None,
    };
    let row = match row {
        "" => None,
        digits => Some(digits.parse::<u32>().ok().filter(|row| *row > 0)? - 1),
    };
    (column.is_some() || row.is_some()).then_some((column, row))
}

/// `B7`; both from 0.
pub(super) fn name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        letters.push(char::from(b'A' + u8::try_from((left - 1) % 26).unwrap_or(0)));
        left = (left - 1) / 26;
    }
    let letters: String = letters.into_iter().rev().collect();
    format!("{letters}{}", row + 1)
}

/// Takes rows, and says whether it wants more.
pub(super) type Each<'a> = dyn FnMut(Row) -> Result<ControlFlow<()>, CopyError> + 'a;

/// Goes through the rows of a sheet that have cells in the area.
pub(super) fn each_row(
    file: &SourceFile,
    sheet: Option<&Sheet>,
    area: &Area,
    each: &mut Each<'_>,
) -> Result<(), CopyError> {
    let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
    let opened = fs_err::File::open(file.path()?).map_err(|error| failed(&error))?.into_file();
    let mut workbook = opened_as(&file.name, BufReader::new(opened)).map_err(|error| failed(&error))?;
    let name = sheet_name(&workbook.sheet_names(), sheet, &file.name)?;
    let mut rows = Rows { area, open: None, each };
    if let Sheets::Xlsx(workbook) = &mut workbook {
        let mut cells = workbook.worksheet_cells_reader(&name).map_err(|error| failed(&error))?;
        while let Some(cell) = cells.next_cell().map_err(|error| failed(&error))? {
            let (row, column) = cell.get_position();
            if area.ends_before(row) || rows.take(row, column, Cell::of(cell.get_value()))?.is_break() {
                break;
            }
        }
        return rows.end();
    }
    let range = workbook.worksheet_range(&name).map_err(|error| failed(&error))?;
    let (first_row, first_column) = range.start().unwrap_or((0, 0));
    for (row, column, data) in range.used_cells() {
        let place = |first: u32, at: usize| u32::try_from(at).map_or(u32::MAX, |at| first.saturating_add(at));
        let cell = Cell::of(&referenced(data));
        if rows.take(place(first_row, row), place(first_column, column), cell)?.is_break() {
            break;
        }
    }
    rows.end()
}

/// By the ending, so that what is wrong with a workbook of this kind is told.
fn opened_as(name: &str, input: BufReader<File>) -> Result<Sheets<BufReader<File>>, calamine::Error> {
    let name = name.to_lowercase();
    Ok(match name.rsplit('.').next() {
        Some("xls") => Sheets::Xls(calamine::Xls::new(input)?),
        Some("xlsb") => Sheets::Xlsb(calamine::Xlsb::new(input)?),
        Some("ods") => Sheets::Ods(calamine::Ods::new(input)?),
        _ => Sheets::Xlsx(calamine::Xlsx::new(input)?),
    })
}

fn referenced(data: &Data) -> DataRef<'_> {
    match data {
        Data::Int(number) => DataRef::Int(*number),
        Data::Float(number) => DataRef::Float(*number),
        Data::String(text) => DataRef::SharedString(text),
        Data::Bool(value) => DataRef::Bool(*value),
        Data::DateTime(time) => DataRef::DateTime(*time),
        Data::DateTimeIso(text) => DataRef::DateTimeIso(text.clone()),
        Data::DurationIso(text) => DataRef::DurationIso(text.clone()),
        Data::Error(error) => DataRef::Error(error.clone()),
        Data::Empty => DataRef::Empty,
    }
}

/// Collects cells to rows.
struct Rows<'a, 'b> {
    area: &'a Area,
    open: Option<Row>,
    each: &'a mut Each<'b>,
}

impl Rows<'_, '_> {
    fn take(&mut self, row: u32, column: u32, cell: Option<Cell>) -> Result<ControlFlow<()>, CopyError> {
        let Some(cell) = cell.filter(|_| self.area.has(row, column)) else {
            return Ok(ControlFlow::Continue(()));
        };
        let mut flow = ControlFlow::Continue(());
        if let Some(whole) = self.open.take_if(|open| open.number != row) {
            flow = (self.each)(whole)?;
        }
        if flow.is_continue() {
            self.open
                .get_or_insert_with(|| Row { number: row, cells: Vec::new() })
                .cells
                .push((column, cell));
        }
        Ok(flow)
    }

    fn end(mut self) -> Result<(), CopyError> {
        match self.open.take() {
            Some(row) => (self.each)(row).map(drop),
            None => Ok(()),
        }
    }
}

fn sheet_name(names: &[String], sheet: Option<&Sheet>, file: &str) -> Result<String, CopyError> {
    let found = match sheet {
        None => names.first(),
        Some(Sheet::Number(number)) => names.get(number.get() - 1),
        Some(Sheet::Name(name)) => names.iter().find(|known| *known == name),
    };
    found.cloned().ok_or_else(|| {
        let wanted = match sheet {
            Some(Sheet::Number(number)) => format!("`{file}` has no sheet {number}"),
            Some(Sheet::Name(name)) => format!("`{file}` has no sheet `{name}`"),
            None => format!("`{file}` has no sheet"),
        };
        CopyError::config(wanted, format!("its sheets are: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas() {
        let area = |text: &str| {
            Area::of(Some(text))
                .map(|area| (area.first_column, area.first_row, area.last_column, area.last_row))
                .ok()
        };
        assert_eq!(area("B2:F100"), Some((Some(1), Some(1), Some(5), Some(99))));
        assert_eq!(area("b2:AA"), Some((Some(1), Some(1), Some(26), None)));
        assert_eq!(area("A5"), Some((Some(0), Some(4), None, None)));
        assert_eq!(area("C:D"), Some((Some(2), None, Some(3), None)));
        for text in ["", ":", "B0", "F1:B2", "B2:F1", "1B", "ABCD1", "B2:F3:G4", "B-1"] {
            assert_eq!(area(text), None, "{text}");
        }
        assert_eq!(name(6, 1), "B7");
        assert_eq!(name(0, 25), "Z1");
        assert_eq!(name(0, 26), "AA1");
        assert_eq!(name(0, 16_383), "XFD1");
    }

    #[test]
    fn clocks() {
        assert_eq!(clock(0.5), "12:00:00");
        assert_eq!(clock(1.25), "30:00:00");
        assert_eq!(clock(-0.000_011_574_074_074_074_073), "-00:00:01");
    }
}
