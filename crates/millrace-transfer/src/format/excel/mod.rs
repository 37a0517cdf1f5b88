//! Sheets of workbooks: read as rows of cells, one row at a time, and written with a bounded memory.

mod cells;
mod write;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use indexmap::IndexMap;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::config::{CopyConfig, Sheet};
use crate::error::CopyError;
use crate::rejects::Reject;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Job, Piece, Reader};
use crate::types::{CellFormat, ColumnBuilder, ColumnSpec, ColumnType, Shape, fields_of};
use cells::{Area, Cell, Row, each_row};

/// Rows that types are inferred from.
const SAMPLE_ROWS: usize = 10_000;

/// Reads sheets of workbooks (xlsx, xlsm, xlsb, xls, ods) and writes xlsx.
///
/// Types are inferred from the first 10,000 rows unless `columns:` declares them: whole numbers are integers, days without a time dates; times of the
/// day and durations are text. Rows without any cell are left out. A cell with an error such as `#DIV/0!`, or of another type than its column,
/// fails the copy, or its row is set aside with `on_error: reject`, with the row's number. Workbooks other than xlsx are held in memory.
///
/// A sheet has room for 1,048,576 rows, the header among them, 16,384 columns and 32,767 letters a cell. What Excel would round is written as text:
/// numbers of more than 15 digits, days before March 1900, fractions of milliseconds are lost; so are structs and lists, as JSON.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the fields are there for their documentation; the step's config holds them")]
struct ExcelDoc {
    /// The sheet by its name, or by its number from 1; the first if absent.
    sheet: Option<Sheet>,
    /// The cells to read, the header among them: `B2:F100`, `B2:F` to the last row.
    range: Option<String>,
    /// Whether the first row names the columns.
    header: Option<bool>,
    /// Types of columns by name, also with the form of their values.
    columns: Option<IndexMap<String, ColumnSpec>>,
    /// Texts that mean null.
    null_values: Option<Vec<String>>,
}

/// The format `excel`.
pub(crate) struct Excel;

impl FileFormat for Excel {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/plan.xlsx, sheet: \"2026\", range: \"B3:F\", to: \"data:plan\"}\n";
        KindDoc::of::<ExcelDoc>(KindFamily::Connector, "excel", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["xlsx", "xlsm", "xlsb", "xls", "ods"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(ExcelReader::open(opening)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        Ok(Box::new(write::ExcelEncoder::new(out, schema, target)?))
    }
}

/// Reads workbooks, one job each.
struct ExcelReader {
    files: std::vec::IntoIter<SourceFile>,
    table: Arc<Table>,
}

/// What the rows of all workbooks become.
struct Table {
    config: Arc<CopyConfig>,
    area: Area,
    names: Vec<String>,
    formats: Vec<CellFormat>,
    schema: SchemaRef,
}

/// The columns that a workbook has: from which cell, and their names.
struct Header {
    first: u32,
    names: Vec<String>,
}

impl ExcelReader {
    fn open(opening: Opening) -> Result<Self, CopyError> {
        let Opening { files, config, .. } = opening;
        let Some(first) = files.first() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let area = Area::of(config.range.as_deref())?;
        let (mut header, mut shapes, mut seen) = (None::<Header>, Vec::<Shape>::new(), 0);
        each_row(first, config.sheet.as_ref(), &area, &mut |row| {
            if header.is_none() {
                header = Some(header_of(&row, &area, &config, &first.name)?);
                if config.header {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            let Some(header) = &mut header else { return Ok(ControlFlow::Continue(())) };
            for (column, cell) in &row.cells {
                let Some(index) = column.checked_sub(header.first).map(|index| index as usize) else {
                    continue;
                };
                if !config.header && index >= header.names.len() && area.last_column.is_none() {
                    // A longer row among those of the sample.
                    header.names.extend((header.names.len()..=index).map(numbered));
                }
                if index >= shapes.len() {
                    shapes.resize_with(index + 1, Shape::default);
                }
                if let (Some(shape), Some(kind)) = (shapes.get_mut(index), cell.kind())
                    && !is_null(cell, &config)
                {
                    shape.see(kind);
                }
            }
            seen += 1;
            Ok(if seen < SAMPLE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        let Some(header) = header else { return Err(CopyError::read(&first.name, &"the sheet is empty")) };
        shapes.resize_with(header.names.len(), Shape::default);
        let table = Table::new(config, area, header.names, shapes, &first.name)?;
        Ok(Self { files: files.into_iter(), table: Arc::new(table) })
    }
}

fn numbered(index: usize) -> String {
    format!("column_{}", index + 1)
}

/// The names in the first row, or numbers for as many cells as it has.
fn header_of(row: &Row, area: &Area, config: &CopyConfig, file: &str) -> Result<Header, CopyError> {
    let first = area.first_column.or_else(|| row.cells.first().map(|(column, _)| *column)).unwrap_or(0);
    let last = area.last_column.or_else(|| row.cells.last().map(|(column, _)| *column)).unwrap_or(first);
    let mut names = Vec::new();
    let mut known = HashSet::new();
    for column in first..=last {
        let cell =
            row.cells.iter().find(|(at, _)| *at == column).map(|(_, cell)| cell.text().trim().to_owned());
        let name = match cell {
            Some(name) if config.header && !name.is_empty() => name,
            _ => numbered(names.len()),
        };
        if !known.insert(name.clone()) {
            return Err(CopyError::read(file, &format!("two columns are named `{name}`")));
        }
        names.push(name);
    }
    Ok(Header { first, names })
}

/// A cell that means null in every column.
fn is_null(cell: &Cell, config: &CopyConfig) -> bool {
    matches!(cell, Cell::Text(text) | Cell::Error(text) if text.is_empty() || config.null_values.contains(text))
}

impl Table {
    fn new(
        config: Arc<CopyConfig>,
        area: Area,
        names: Vec<String>,
        shapes: Vec<Shape>,
        file: &str,
    ) -> Result<Self, CopyError> {
        if let Some(unknown) = config.columns.keys().find(|name| !names.contains(name)) {
            return Err(CopyError::config(
                format!("`{file}` has no column `{unknown}`"),
                format!("its columns are: {}", names.join(", ")),
            ));
        }
        let mut columns = IndexMap::new();
        for (name, shape) in names.iter().zip(shapes) {
            let mut shape = match config.columns.get(name).map(CellFormat::of) {
                None => shape,
                Some(Ok(format)) => Shape::Declared(format),
                Some(Err(message)) => {
                    return Err(CopyError::config(
                        format!("column `{name}`: {message}"),
                        format!("{name}: {{type: date, format: \"%d.%m.%Y\"}}"),
                    ));
                }
            };
            shape.settle();
            columns.insert(name.clone(), shape);
        }
        let format = |shape: &Shape| match shape {
            Shape::Declared(format) => format.clone(),
            Shape::Kind(kind) => CellFormat::plain(*kind),
            _ => CellFormat::plain(ColumnType::String),
        };
        let formats = columns.values().map(format).collect();
        let schema = Arc::new(Schema::new(fields_of(&columns)));
        Ok(Self { config, area, names, formats, schema })
    }

    fn read(
        &self,
        file: &SourceFile,
        emit: &mut dyn FnMut(Piece) -> Result<(), CopyError>,
    ) -> Result<(), CopyError> {
        let mut rows =
            Rows { table: self, file: &file.name, builders: self.builders(), count: 0, rejects: Vec::new() };
        let mut header = None::<(u32, Vec<Option<usize>>)>;
        each_row(file, self.config.sheet.as_ref(), &self.area, &mut |row| {
            if header.is_none() {
                let found = header_of(&row, &self.area, &self.config, &file.name)?;
                header = Some((found.first, self.positions(&found, &file.name)?));
                if self.config.header {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            if let Some((first, positions)) = &header {
                rows.take(&row, *first, positions);
            }
            if rows.count + rows.rejects.len() >= BATCH_ROWS {
                emit(rows.piece()?)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut piece = rows.piece()?;
        piece.bytes = file.size_bytes();
        emit(piece)
    }

    fn builders(&self) -> Vec<ColumnBuilder> {
        self.formats.iter().map(|format| ColumnBuilder::new(format.clone(), BATCH_ROWS)).collect()
    }

    /// For each column of a workbook, the column of the table.
    fn positions(&self, header: &Header, file: &str) -> Result<Vec<Option<usize>>, CopyError> {
        if !self.config.header {
            return Ok((0..self.names.len()).map(Some).collect());
        }
        let missing = self.names.iter().find(|name| !header.names.contains(name));
        if missing.is_some() || header.names.len() != self.names.len() {
            let message = format!(
                "its columns are {}, those of the first file {}",
                header.names.join(", "),
                self.names.join(", ")
            );
            return Err(CopyError::read(file, &message));
        }
        Ok(header.names.iter().map(|name| self.names.iter().position(|known| known == name)).collect())
    }
}

/// Rows on their way into a batch.
struct Rows<'t> {
    table: &'t Table,
    file: &'t str,
    builders: Vec<ColumnBuilder>,
    count: usize,
    rejects: Vec<Reject>,
}

impl Rows<'_> {
    /// `first`: the column of the sheet that the table begins at.
    fn take(&mut self, row: &Row, first: u32, positions: &[Option<usize>]) {
        let bad = row
            .cells
            .iter()
            .find_map(|(column, cell)| self.append(row, *column, cell, first, positions).err());
        match bad {
            None => {
                self.count += 1;
                let count = self.count;
                self.builders
                    .iter_mut()
                    .filter(|builder| builder.len() < count)
                    .for_each(ColumnBuilder::append_null);
            }
            Some(reject) => {
                self.builders.iter_mut().for_each(|builder| builder.truncate(self.count));
                self.rejects.push(reject);
            }
        }
    }

    fn append(
        &mut self,
        row: &Row,
        column: u32,
        cell: &Cell,
        first: u32,
        positions: &[Option<usize>],
    ) -> Result<(), Reject> {
        let table = self.table;
        let reject = |column: Option<&String>, kind: &'static str, message: String| Reject {
            file: self.file.to_owned(),
            line: u64::from(row.number) + 1,
            byte_offset: 0,
            column: column.cloned(),
            kind,
            raw: row
                .cells
                .iter()
                .map(|(_, cell)| cell.text().into_owned())
                .collect::<Vec<_>>()
                .join("\t")
                .into_bytes(),
            message,
        };
        let place = column.checked_sub(first).map(|index| index as usize);
        let Some(index) = place.and_then(|index| positions.get(index).copied().flatten()) else {
            if is_null(cell, &table.config) {
                return Ok(());
            }
            let message = format!("cell {} is outside of the columns", cells::name(row.number, column));
            return Err(reject(None, "too_many_fields", message));
        };
        let (name, builder) = (table.names.get(index), self.builders.get_mut(index));
        let Some(builder) = builder else { return Ok(()) };
        let text = cell.text();
        if is_null(cell, &table.config) || builder.is_null(text.as_bytes()) {
            return Ok(());
        }
        let at = cells::name(row.number, column);
        if let Cell::Error(error) = cell {
            return Err(reject(name, "cell_error", format!("cell {at} has the error {error}")));
        }
        let kind = builder.kind();
        let declared = name.is_some_and(|name| table.config.columns.contains_key(name));
        if cell.suits(kind, declared) && builder.append(text.as_bytes()) {
            return Ok(());
        }
        let text: String = text.chars().take(200).collect();
        Err(reject(name, "type", format!("`{text}` in cell {at} is not of the type {kind}")))
    }

    /// What was collected, and begins anew.
    fn piece(&mut self) -> Result<Piece, CopyError> {
        let rejects = std::mem::take(&mut self.rejects);
        let mut piece = Piece { rejects, ..Piece::of_file(self.file) };
        let builders = std::mem::replace(&mut self.builders, self.table.builders());
        let rows = std::mem::take(&mut self.count);
        if rows > 0 {
            let columns: Result<Vec<_>, _> = builders.into_iter().map(ColumnBuilder::finish).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = columns.and_then(|columns| {
                RecordBatch::try_new_with_options(self.table.schema.clone(), columns, &options)
            });
            piece.batches.push(batch.map_err(|error| CopyError::read(self.file, &error))?);
        }
        Ok(piece)
    }
}

impl Reader for ExcelReader {
    fn schema(&self) -> SchemaRef {
        self.table.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        let Some(file) = self.files.next() else { return Ok(None) };
        let table = self.table.clone();
        Ok(Some(Box::new(move |emit| table.read(&file, emit))))
    }
}
