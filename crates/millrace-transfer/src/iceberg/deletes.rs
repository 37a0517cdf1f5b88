//! Rows that were deleted after their file was written: by their places, or by values of theirs.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use arrow::array::{ArrayRef, AsArray as _, BooleanArray};
use arrow::compute::{and, cast};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::row::{OwnedRow, RowConverter, SortField};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::manifest::{Content, Partition};
use super::metadata::{Field, NameMapping};
use super::types::{Matching, aligned, data_type};
use crate::error::CopyError;
use crate::source::BATCH_ROWS;
use crate::source::files::SourceFile;

/// A file of deletes, read once, when the first file that it may concern is.
pub(super) struct DeleteFile {
    pub(super) file: SourceFile,
    pub(super) content: Content,
    pub(super) sequence: i64,
    pub(super) partition: Partition,
    /// The fields whose values delete, as the table has them.
    pub(super) fields: Vec<Field>,
    pub(super) read: OnceLock<Result<Deleted, CopyError>>,
}

/// What is deleted.
pub(super) enum Deleted {
    /// Rows by their place in a file, by the file's address.
    Places(HashMap<String, HashSet<i64>>),
    /// Rows with one of these values.
    Values { converter: RowConverter, rows: HashSet<OwnedRow> },
}

impl DeleteFile {
    /// Whether it may delete rows of a file. Places are meant in files of the same commit too, values only in those of earlier ones.
    pub(super) fn concerns(&self, sequence: i64, partition: &Partition) -> bool {
        match self.content {
            Content::Rows => false,
            Content::Positions => sequence <= self.sequence,
            Content::Values(_) => {
                sequence < self.sequence && (self.partition.is_none() || self.partition.is(partition))
            }
        }
    }

    fn read(&self, mapping: Option<&[NameMapping]>) -> Result<&Deleted, CopyError> {
        self.read.get_or_init(|| self.all(mapping)).as_ref().map_err(Clone::clone)
    }

    fn all(&self, mapping: Option<&[NameMapping]>) -> Result<Deleted, CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::read(&self.file.name, error);
        let opened = fs_err::File::open(self.file.path()?).map_err(|error| failed(&error))?.into_file();
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options);
        let reader = builder.and_then(|builder| builder.with_batch_size(BATCH_ROWS).build());
        let mut deleted = self.none().map_err(|message| failed(&message))?;
        for batch in reader.map_err(|error| failed(&error))? {
            let batch = batch.map_err(|error| failed(&error))?;
            self.add(&mut deleted, &batch, mapping).map_err(|message| failed(&message))?;
        }
        Ok(deleted)
    }

    fn none(&self) -> Result<Deleted, String> {
        if self.fields.is_empty() {
            return Ok(Deleted::Places(HashMap::new()));
        }
        let sort = |field: &Field| data_type(&field.kind).map(SortField::new);
        let fields = self.fields.iter().map(sort).collect::<Result<Vec<_>, _>>()?;
        let converter = RowConverter::new(fields).map_err(|error| error.to_string())?;
        Ok(Deleted::Values { converter, rows: HashSet::new() })
    }

    fn add(
        &self,
        deleted: &mut Deleted,
        batch: &RecordBatch,
        mapping: Option<&[NameMapping]>,
    ) -> Result<(), String> {
        let schema = batch.schema();
        let wrong = |error: arrow::error::ArrowError| error.to_string();
        match deleted {
            Deleted::Places(places) => {
                let column = |name: &str, kind: &DataType| -> Result<ArrayRef, String> {
                    let found =
                        batch.column_by_name(name).ok_or_else(|| format!("it has no column `{name}`"))?;
                    cast(found, kind).map_err(wrong)
                };
                let (files, at) = (column("file_path", &DataType::Utf8)?, column("pos", &DataType::Int64)?);
                let (files, at) = (files.as_string::<i32>(), at.as_primitive::<Int64Type>());
                for (file, place) in files.iter().zip(at) {
                    let (Some(file), Some(place)) = (file, place) else { continue };
                    match places.get_mut(file) {
                        Some(places) => drop(places.insert(place)),
                        None => drop(places.insert(file.to_owned(), HashSet::from([place]))),
                    }
                }
            }
            Deleted::Values { converter, rows } => {
                let matching = Matching::of(schema.fields(), mapping);
                let column = |field: &Field| {
                    let place = matching.find(schema.fields(), field.id, &field.name);
                    let column = place.map(|place| batch.column(place));
                    let column = column.ok_or_else(|| format!("it has no values of `{}`", field.name))?;
                    aligned(column, (field.id, &field.kind), matching)
                };
                let columns = self.fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
                let found = converter.convert_columns(&columns).map_err(wrong)?;
                rows.extend(found.iter().map(|row| row.owned()));
            }
        }
        Ok(())
    }

    /// Which rows of a file stay. `first`: the place of the batch's first row in its file; `column` gives a column by its id.
    pub(super) fn kept(
        &self,
        (file, first, rows): (&str, i64, usize),
        mapping: Option<&[NameMapping]>,
        column: impl Fn(i32) -> Option<ArrayRef>,
    ) -> Result<Option<BooleanArray>, CopyError> {
        match self.read(mapping)? {
            Deleted::Places(places) => Ok(places
                .get(file)
                .map(|places| (first..).take(rows).map(|place| Some(!places.contains(&place))).collect())),
            Deleted::Values { rows: deleted, .. } if deleted.is_empty() => Ok(None),
            Deleted::Values { converter, rows: deleted } => {
                let failed = |message: &dyn std::fmt::Display| CopyError::read(&self.file.name, message);
                let columns = self.fields.iter().map(|field| column(field.id)).collect::<Option<Vec<_>>>();
                let columns = columns.ok_or_else(|| failed(&"it names columns that are not read"))?;
                let found = converter.convert_columns(&columns).map_err(|error| failed(&error))?;
                Ok(Some(found.iter().map(|row| Some(!deleted.contains(&row.owned()))).collect()))
            }
        }
    }
}

/// Rows that several files of deletes leave.
pub(super) fn both(
    one: Option<BooleanArray>,
    other: Option<BooleanArray>,
) -> Result<Option<BooleanArray>, String> {
    match (one, other) {
        (Some(one), Some(other)) => and(&one, &other).map(Some).map_err(|error| error.to_string()),
        (one, other) => Ok(one.or(other)),
    }
}
