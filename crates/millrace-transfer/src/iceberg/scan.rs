//! The rows of a table's files: small files and the row groups of large ones are decoded side by side.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch, take};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::deletes::{DeleteFile, both};
use super::metadata::{Field, NameMapping};
use super::types::{Matching, aligned, data_type};
use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Emit, Job, Piece, Reader};

/// Bytes of a file that is read as a whole by one thread.
const SMALL: u64 = 32 << 20;

/// A file with rows.
pub(super) struct Part {
    pub(super) file: SourceFile,
    /// As the table calls it.
    pub(super) address: String,
    pub(super) size: u64,
    /// What may delete rows of it.
    pub(super) deletes: Vec<Arc<DeleteFile>>,
    /// Values of all its rows, by the id of the column: arrays of one. Files that were partitioned by another program may lack such a column.
    pub(super) constants: Vec<(i32, ArrayRef)>,
}

/// What all files have in common.
struct Shared {
    schema: SchemaRef,
    /// Those of the rows, then those that only deletes need.
    fields: Vec<Field>,
    mapping: Option<Vec<NameMapping>>,
}

/// Reads one file after another.
pub(super) struct Scan {
    shared: Arc<Shared>,
    parts: std::vec::IntoIter<Part>,
    open: Option<(Arc<Opened>, usize)>,
}

/// A file whose footer was read.
struct Opened {
    part: Part,
    metadata: ArrowReaderMetadata,
}

impl Scan {
    pub(super) fn new(
        (schema, mut fields): (SchemaRef, Vec<Field>),
        mapping: Option<Vec<NameMapping>>,
        parts: Vec<Part>,
    ) -> Self {
        for field in parts.iter().flat_map(|part| &part.deletes).flat_map(|delete| &delete.fields) {
            if !fields.iter().any(|known| known.id == field.id) {
                fields.push(field.clone());
            }
        }
        let shared = Arc::new(Shared { schema, fields, mapping });
        Self { shared, parts: parts.into_iter(), open: None }
    }
}

impl Reader for Scan {
    fn schema(&self) -> SchemaRef {
        self.shared.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        loop {
            if let Some((opened, group)) = &mut self.open
                && *group < opened.groups()
            {
                let (shared, opened, chosen) = (self.shared.clone(), opened.clone(), *group..*group + 1);
                *group += 1;
                return Ok(Some(Box::new(move |emit| opened.read(&shared, chosen, emit))));
            }
            let Some(part) = self.parts.next() else { return Ok(None) };
            if part.size > SMALL {
                self.open = Some((Arc::new(Opened::open(part)?), 0));
                continue;
            }
            let shared = self.shared.clone();
            return Ok(Some(Box::new(move |emit| {
                let opened = Opened::open(part)?;
                opened.read(&shared, 0..opened.groups(), emit)
            })));
        }
    }
}

impl Opened {
    fn open(part: Part) -> Result<Self, CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::read(&part.file.name, error);
        let opened = fs_err::File::open(part.file.path()?).map_err(|error| failed(&error))?.into_file();
        // Types as Parquet has them: what a writer has noted of its own is not the table's.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&opened, options).map_err(|error| failed(&error))?;
        Ok(Self { part, metadata })
    }

    fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The rows of some row groups, without those that are deleted.
    fn read(&self, shared: &Shared, groups: Range<usize>, emit: &mut Emit<'_>) -> Result<(), CopyError> {
        let name = &self.part.file.name;
        let failed = |error: &dyn std::fmt::Display| CopyError::read(name, error);
        let all = self.metadata.metadata().row_groups();
        let (before, chosen) =
            (all.iter().take(groups.start), all.iter().take(groups.end).skip(groups.start));
        let mut first: i64 = before.map(|group| group.num_rows()).sum();
        let bytes = chosen.map(|group| u64::try_from(group.compressed_size()).unwrap_or(0)).sum();
        let file = fs_err::File::open(self.part.file.path()?).map_err(|error| failed(&error))?.into_file();
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let columns = self.metadata.schema().fields();
        let matching = Matching::of(columns, shared.mapping.as_deref());
        let wanted = shared.fields.iter().filter_map(|field| matching.find(columns, field.id, &field.name));
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let reader =
            builder.with_projection(mask).with_row_groups(groups.collect()).with_batch_size(BATCH_ROWS);
        for batch in reader.build().map_err(|error| failed(&error))? {
            let batch = batch.map_err(|error| failed(&error))?;
            let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
            let batches = vec![self.kept(shared, &batch, matching, first)?];
            first += rows;
            emit(Piece { batches, ..Piece::of_file(name) })?;
        }
        emit(Piece { bytes, ..Piece::default() })
    }

    /// Rows of the file as the table has them.
    fn kept(
        &self,
        shared: &Shared,
        batch: &RecordBatch,
        matching: Matching<'_>,
        first: i64,
    ) -> Result<RecordBatch, CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::read(&self.part.file.name, error);
        let column = |field: &Field| {
            let column = self.column(field, batch, matching);
            column.map_err(|message| failed(&format!("its column `{}`: {message}", field.name)))
        };
        let columns = shared.fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let rows = batch.num_rows();
        let mut kept: Option<BooleanArray> = None;
        for delete in &self.part.deletes {
            let by_id = |id: i32| {
                let place = shared.fields.iter().position(|field| field.id == id)?;
                columns.get(place).cloned()
            };
            let left = delete.kept((&self.part.address, first, rows), shared.mapping.as_deref(), by_id)?;
            kept = both(kept, left).map_err(|message| failed(&message))?;
        }
        let columns = columns.into_iter().take(shared.schema.fields().len()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(shared.schema.clone(), columns, &options);
        let batch = batch.map_err(|error| failed(&error))?;
        match kept {
            Some(kept) => filter_record_batch(&batch, &kept).map_err(|error| failed(&error)),
            None => Ok(batch),
        }
    }

    fn column(&self, field: &Field, batch: &RecordBatch, matching: Matching<'_>) -> Result<ArrayRef, String> {
        if let Some(place) = matching.find(batch.schema_ref().fields(), field.id, &field.name) {
            return aligned(batch.column(place), (field.id, &field.kind), matching);
        }
        let (kind, rows) = (data_type(&field.kind)?, batch.num_rows());
        let Some((_, value)) = self.part.constants.iter().find(|(id, _)| *id == field.id) else {
            return Ok(new_null_array(&kind, rows));
        };
        let wrong = |error: arrow::error::ArrowError| error.to_string();
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let value = cast_with_options(value, &kind, &options).map_err(wrong)?;
        take(&value, &UInt32Array::from(vec![0; rows]), None).map_err(wrong)
    }
}
