//! Values of one type become values of another, or their rows are rejected.
//!
//! Texts are read as the cells of CSV are. Everything else is converted by Arrow's own rules and back again: what does not come back as it
//! was has lost something.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use indexmap::IndexMap;
use serde_json::Value;

use super::FILE_COLUMN;
use crate::error::CopyError;
use crate::rejects::Reject;
use crate::types::{CellFormat, ColumnBuilder, ColumnSpec, ColumnType};

/// Why a row cannot be copied.
#[derive(Debug)]
pub(super) struct Bad {
    column: String,
    kind: &'static str,
    message: String,
}

impl Bad {
    pub(super) fn new(column: &str, kind: &'static str, message: String) -> Self {
        Self { column: column.to_owned(), kind, message }
    }
}

/// How a column's values become others.
#[derive(Debug)]
pub(super) struct Conversion {
    /// For texts; `None` leaves them to Arrow's rules.
    format: Option<CellFormat>,
    to: DataType,
    /// Whether values may lose something.
    truncate: bool,
    /// What stands for null: an array of one.
    default: Option<ArrayRef>,
}

impl Conversion {
    /// `None` if there is nothing to convert.
    pub(super) fn new(name: &str, from: &DataType, spec: &ColumnSpec) -> Result<Option<Self>, CopyError> {
        let to = spec.kind().data_type();
        let text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if *from == to && !(text && matches!(spec, ColumnSpec::Long(long) if !long.null_values.is_empty())) {
            return Ok(None);
        }
        let format = if text { Some(cell_format(name, spec)?) } else { None };
        if format.is_none() && !arrow::compute::can_cast_types(from, &to) {
            return Err(CopyError::config(
                format!("the column `{name}` is {}; it cannot become {}", word(from), spec.kind()),
                format!("leave out the type of `{name}`"),
            ));
        }
        let truncate = matches!(spec, ColumnSpec::Long(long) if long.truncate);
        Ok(Some(Self { format, to, truncate, default: None }))
    }

    /// Into exactly this type of Arrow's.
    pub(super) fn to_type(name: &str, from: &DataType, to: &DataType) -> Result<Self, CopyError> {
        let text =
            |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let ours = ColumnType::of(to).filter(|kind| kind.data_type() == *to);
        let format = ours.filter(|_| text(from) && !text(to)).map(CellFormat::plain);
        if format.is_none() && !arrow::compute::can_cast_types(from, to) {
            return Err(CopyError::config(
                format!("the column `{name}` is {}; it cannot become {}", word(from), word(to)),
                format!("drop: [{name}]"),
            ));
        }
        Ok(Self { format, to: to.clone(), truncate: false, default: None })
    }

    /// Values stay as they are.
    pub(super) fn none(kind: DataType) -> Self {
        Self { format: None, to: kind, truncate: false, default: None }
    }

    pub(super) fn with_default(mut self, name: &str, value: &Value) -> Result<Self, CopyError> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![text.as_str()]));
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let default = cast_with_options(&texts, &self.to, &options).ok().filter(|array| array.is_valid(0));
        self.default = Some(default.ok_or_else(|| {
            CopyError::config(
                format!("`{text}`, the default of `{name}`, is not of its type {}", word(&self.to)),
                format!("default: a value of the type of `{name}`"),
            )
        })?);
        Ok(self)
    }

    pub(super) fn data_type(&self) -> &DataType {
        &self.to
    }

    /// The converted column. Rows that stay behind are put into `bad`; what stands in them means nothing.
    pub(super) fn apply(
        &self,
        name: &str,
        column: &ArrayRef,
        bad: &mut IndexMap<usize, Bad>,
    ) -> Result<ArrayRef, ArrowError> {
        let converted = match &self.format {
            Some(format) => self.read_texts(name, column, format, bad)?,
            None if column.data_type() == &self.to => column.clone(),
            None => {
                let options = CastOptions { safe: true, ..CastOptions::default() };
                let converted = cast_with_options(column, &self.to, &options)?;
                let lost = self.lost(column, &converted)?;
                if lost.true_count() > 0 {
                    let options = FormatOptions::default();
                    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
                    for row in (0..lost.len()).filter(|row| lost.value(*row)) {
                        self.refuse(name, &formatter.value(row).to_string(), row, bad);
                    }
                }
                converted
            }
        };
        match &self.default {
            Some(default) if converted.null_count() > 0 => {
                let holes = arrow::compute::is_null(&converted)?;
                arrow::compute::kernels::zip::zip(
                    &holes,
                    &arrow::array::Scalar::new(default.clone()),
                    &converted,
                )
            }
            _ => Ok(converted),
        }
    }

    /// Which values are not what they were.
    fn lost(&self, column: &ArrayRef, converted: &ArrayRef) -> Result<BooleanArray, ArrowError> {
        let gone = || {
            let gone = (0..column.len()).map(|row| column.is_valid(row) && converted.is_null(row));
            gone.map(Some).collect::<BooleanArray>()
        };
        let back = arrow::compute::can_cast_types(&self.to, column.data_type())
            && !column.data_type().is_nested()
            && !matches!(self.to, DataType::Utf8 | DataType::Binary);
        if self.truncate || !back {
            return Ok(gone());
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let returned = cast_with_options(converted, column.data_type(), &options)?;
        distinct(column, &returned)
    }

    fn read_texts(
        &self,
        name: &str,
        column: &ArrayRef,
        format: &CellFormat,
        bad: &mut IndexMap<usize, Bad>,
    ) -> Result<ArrayRef, ArrowError> {
        let texts = arrow::compute::cast(column, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let mut builder = ColumnBuilder::new(format.clone(), texts.len());
        for (row, text) in texts.iter().enumerate() {
            match text {
                Some(text) if !format.is_null(text.as_bytes()) => {
                    if !builder.append(text.as_bytes()) {
                        builder.append_null();
                        self.refuse(name, text, row, bad);
                    }
                }
                _ => builder.append_null(),
            }
        }
        builder.finish()
    }

    fn refuse(&self, name: &str, text: &str, row: usize, bad: &mut IndexMap<usize, Bad>) {
        let kind = word(&self.to);
        let text: String = text.chars().take(200).collect();
        let message = format!("`{text}` in column `{name}` is not of the type {kind}");
        bad.entry(row).or_insert_with(|| Bad::new(name, "type", message));
    }
}

/// The type in our words; in Arrow's if we have none.
pub(super) fn word(kind: &DataType) -> String {
    ColumnType::of(kind).map_or_else(|| kind.to_string(), |kind| kind.to_string())
}

fn cell_format(name: &str, spec: &ColumnSpec) -> Result<CellFormat, CopyError> {
    CellFormat::of(spec).map_err(|message| {
        CopyError::config(
            format!("column `{name}`: {message}"),
            format!("{name}: {{type: date, format: \"%d.%m.%Y\"}}"),
        )
    })
}

/// Rows of the source that are bad, as JSON, with their numbers.
pub(super) fn rejects(
    batch: &RecordBatch,
    bad: &IndexMap<usize, Bad>,
    label: &str,
    before: u64,
) -> Result<Vec<Reject>, ArrowError> {
    let file = batch.schema().index_of(FILE_COLUMN).ok();
    let shown: Vec<usize> = (0..batch.num_columns()).filter(|index| Some(*index) != file).collect();
    let plain = batch.project(&shown)?;
    let mut rejects = Vec::with_capacity(bad.len());
    for (row, bad) in bad {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        // A row whose types have no form in JSON is shown by its number alone.
        let written = writer.write(&plain.slice(*row, 1)).and_then(|()| writer.finish());
        let raw = written.map(|()| writer.into_inner()).unwrap_or_default();
        let named = file.map(|index| batch.column(index).as_string::<i32>());
        let file = named.filter(|names| names.is_valid(*row)).map_or(label, |names| names.value(*row));
        rejects.push(Reject {
            file: file.to_owned(),
            line: before + *row as u64 + 1,
            byte_offset: 0,
            column: Some(bad.column.clone()),
            kind: bad.kind,
            raw: raw.trim_ascii_end().to_vec(),
            message: bad.message.clone(),
        });
    }
    Ok(rejects)
}
