//! Manifests: Avro files that list the files of a table and what is known of each.

use std::io::Read as _;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StructArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_avro::reader::{ReaderBuilder, read_header_info};
use arrow_avro::schema::AvroSchema;
use serde_json::Value;

use super::types::ById;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::files::SourceFile;

/// Files of which a manifest says that they are gone.
const DELETED: i64 = 2;
/// What stands between the values of a partition, which no value holds.
const BETWEEN: char = '\u{1f}';

/// A manifest, as the list of a snapshot has it.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) spec: i32,
    /// When what it adds was added, counted in commits. Its files have it unless they say otherwise.
    sequence: i64,
}

/// A file of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) content: Content,
    /// `PARQUET`, in whatever letters.
    pub(super) format: String,
    pub(super) sequence: i64,
    pub(super) partition: Partition,
    pub(super) rows: i64,
    pub(super) size: u64,
    pub(super) nulls: ById<i64>,
    pub(super) nans: ById<i64>,
    pub(super) least: ById<Vec<u8>>,
    pub(super) greatest: ById<Vec<u8>>,
}

/// What a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Rows,
    /// Places of rows that are deleted.
    Positions,
    /// Values of these fields; rows that have them are deleted.
    Values(Vec<i32>),
}

/// The values that all rows of a file share, in the order of the spec.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    pub(super) spec: i32,
    /// Arrays of one.
    pub(super) values: Vec<ArrayRef>,
    /// The same as text, by which two are compared.
    key: String,
}

impl Partition {
    pub(super) fn is_none(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.spec == other.spec && self.key == other.key
    }
}

/// The manifests that a list names.
pub(super) fn list(file: &SourceFile) -> Result<Vec<Manifest>, CopyError> {
    let mut manifests = Vec::new();
    each(file, |rows| {
        let (paths, specs, sequences) = (
            Texts::of(rows, "manifest_path"),
            Integers::of(rows, "partition_spec_id"),
            Integers::of(rows, "sequence_number"),
        );
        for row in 0..rows.len() {
            manifests.push(Manifest {
                path: paths.at(row).ok_or("it names a manifest without a path")?,
                spec: i32::try_from(specs.at(row).unwrap_or(0)).map_err(|error| error.to_string())?,
                // Tables of the first format count no commits.
                sequence: sequences.at(row).unwrap_or(0),
            });
        }
        Ok(())
    })?;
    Ok(manifests)
}

/// A manifest that stands in the metadata itself.
pub(super) fn alone(path: &str) -> Manifest {
    Manifest { path: path.to_owned(), spec: 0, sequence: 0 }
}

/// The files that a manifest names.
pub(super) fn entries(manifest: &Manifest, file: &SourceFile) -> Result<Vec<Entry>, CopyError> {
    let mut entries = Vec::new();
    each(file, |rows| {
        let (status, sequences) = (Integers::of(rows, "status"), Integers::of(rows, "sequence_number"));
        let files = rows.column_by_name("data_file").and_then(|files| files.as_struct_opt());
        let files = Files::of(files.ok_or("it has no files")?);
        for row in 0..rows.len() {
            if status.at(row) != Some(DELETED) {
                let sequence = sequences.at(row).unwrap_or(manifest.sequence);
                entries.push(files.at(row, manifest.spec, sequence)?);
            }
        }
        Ok(())
    })?;
    Ok(entries)
}

/// Reads all rows of an Avro file.
fn each(
    file: &SourceFile,
    mut take: impl FnMut(&StructArray) -> Result<(), String>,
) -> Result<(), CopyError> {
    let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
    let broken = |error: &dyn std::fmt::Display| file.trouble().cause_of(failed(error));
    let mut bytes = Vec::new();
    // What is read beside the rows is not counted.
    let read = file.open(&Arc::new(Meter::new(1)))?.read_to_end(&mut bytes);
    read.map_err(|error| broken(&error))?;
    let header = read_header_info(bytes.as_slice()).map_err(|error| failed(&error))?;
    let mut builder = ReaderBuilder::new();
    let written = header.writer_schema().map_err(|error| failed(&error))?;
    if let Some(wanted) = without_empty(&written.json_string) {
        builder = builder.with_reader_schema(AvroSchema::new(wanted));
    }
    let reader = builder.build(bytes.as_slice()).map_err(|error| failed(&error))?;
    for batch in reader {
        let batch: RecordBatch = batch.map_err(|error| failed(&error))?;
        take(&batch.into()).map_err(|message| failed(&message))?;
    }
    Ok(())
}

/// The schema of a manifest without the partition of a table that has none: a struct without fields, which the reader of Avro cannot make.
/// `None` if there is nothing to leave out.
fn without_empty(schema: &str) -> Option<String> {
    let mut schema: Value = serde_json::from_str(schema).ok()?;
    let named = |field: &Value, name: &str| field["name"] == name;
    let fields = schema.get_mut("fields")?.as_array_mut()?;
    let file = fields.iter_mut().find(|field| named(field, "data_file"))?;
    let fields = file.get_mut("type")?.get_mut("fields")?.as_array_mut()?;
    let before = fields.len();
    fields.retain(|field| {
        !(named(field, "partition") && field["type"]["fields"].as_array().is_some_and(Vec::is_empty))
    });
    (fields.len() < before).then(|| schema.to_string())
}

/// The columns of `data_file`.
struct Files<'a> {
    content: Integers,
    path: Texts,
    format: Texts,
    rows: Integers,
    size: Integers,
    partition: Option<&'a StructArray>,
    ids: Option<&'a ArrayRef>,
    nulls: Option<&'a ArrayRef>,
    nans: Option<&'a ArrayRef>,
    least: Option<&'a ArrayRef>,
    greatest: Option<&'a ArrayRef>,
}

impl<'a> Files<'a> {
    fn of(files: &'a StructArray) -> Self {
        Self {
            content: Integers::of(files, "content"),
            path: Texts::of(files, "file_path"),
            format: Texts::of(files, "file_format"),
            rows: Integers::of(files, "record_count"),
            size: Integers::of(files, "file_size_in_bytes"),
            partition: files.column_by_name("partition").and_then(|partition| partition.as_struct_opt()),
            ids: files.column_by_name("equality_ids"),
            nulls: files.column_by_name("null_value_counts"),
            nans: files.column_by_name("nan_value_counts"),
            least: files.column_by_name("lower_bounds"),
            greatest: files.column_by_name("upper_bounds"),
        }
    }

    fn at(&self, row: usize, spec: i32, sequence: i64) -> Result<Entry, String> {
        let path = self.path.at(row).ok_or("it names a file without a path")?;
        let content = match self.content.at(row) {
            None | Some(0) => Content::Rows,
            Some(1) => Content::Positions,
            Some(2) => Content::Values(numbers(self.ids, row)),
            Some(other) => return Err(format!("`{path}` has the content {other}, which is not known")),
        };
        let count = |value: Vec<u8>| value.try_into().ok().map(i64::from_le_bytes);
        let counts = |column| -> ById<i64> {
            let found = pairs(column, row).into_iter();
            found.filter_map(|(id, value)| Some((id, count(value)?))).collect()
        };
        Ok(Entry {
            path,
            content,
            format: self.format.at(row).unwrap_or_default(),
            sequence,
            partition: self.partition(row, spec)?,
            rows: self.rows.at(row).unwrap_or(0),
            size: self.size.at(row).and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            nulls: counts(self.nulls),
            nans: counts(self.nans),
            least: pairs(self.least, row).into_iter().collect(),
            greatest: pairs(self.greatest, row).into_iter().collect(),
        })
    }

    fn partition(&self, row: usize, spec: i32) -> Result<Partition, String> {
        let columns = self.partition.map_or(&[][..], |partition| partition.columns());
        let values: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
        let options = FormatOptions::default();
        let mut key = String::new();
        for value in &values {
            if value.is_valid(0) {
                let text = ArrayFormatter::try_new(value.as_ref(), &options)
                    .and_then(|formatter| formatter.value(0).try_to_string());
                key.push('=');
                key.push_str(&text.map_err(|error| error.to_string())?);
            }
            key.push(BETWEEN);
        }
        Ok(Partition { spec, values, key })
    }
}

/// A column of texts; nothing if there is none.
struct Texts(Option<ArrayRef>);

impl Texts {
    fn of(rows: &StructArray, name: &str) -> Self {
        Self(rows.column_by_name(name).and_then(|column| arrow::compute::cast(column, &DataType::Utf8).ok()))
    }

    fn at(&self, row: usize) -> Option<String> {
        let column = self.0.as_ref()?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    }
}

/// A column of whole numbers; nothing if there is none.
struct Integers(Option<ArrayRef>);

impl Integers {
    fn of(rows: &StructArray, name: &str) -> Self {
        Self(rows.column_by_name(name).and_then(|column| arrow::compute::cast(column, &DataType::Int64).ok()))
    }

    fn at(&self, row: usize) -> Option<i64> {
        let column = self.0.as_ref()?.as_primitive_opt::<Int64Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }
}

/// The numbers of a list.
fn numbers(column: Option<&ArrayRef>, row: usize) -> Vec<i32> {
    let list = column.and_then(|column| column.as_list_opt::<i32>()).filter(|list| list.is_valid(row));
    // Some writers take more room for them.
    let values = list.and_then(|list| arrow::compute::cast(&list.value(row), &DataType::Int32).ok());
    let values = values.as_ref().and_then(|values| values.as_primitive_opt::<Int32Type>());
    values.map_or_else(Vec::new, |values| values.values().to_vec())
}

/// What Iceberg writes of a map in Avro: a list of keys and values, since Avro's own maps have keys of text. Counts are eight bytes here.
fn pairs(column: Option<&ArrayRef>, row: usize) -> Vec<(i32, Vec<u8>)> {
    let list = column.and_then(|column| column.as_list_opt::<i32>()).filter(|list| list.is_valid(row));
    let Some(entries) = list.map(|list| list.value(row)) else { return Vec::new() };
    let Some(entries) = entries.as_struct_opt() else { return Vec::new() };
    let (Some(keys), Some(values)) = (entries.column_by_name("key"), entries.column_by_name("value")) else {
        return Vec::new();
    };
    let Some(keys) = keys.as_primitive_opt::<Int32Type>() else { return Vec::new() };
    let value = |index: usize| match values.as_primitive_opt::<Int64Type>() {
        Some(counts) => Some(counts.value(index).to_le_bytes().to_vec()),
        None => values.as_binary_opt::<i32>().map(|bytes| bytes.value(index).to_vec()),
    };
    (0..entries.len()).filter_map(|index| Some((keys.value(index), value(index)?))).collect()
}
