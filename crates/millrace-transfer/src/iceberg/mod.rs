//! Iceberg tables as sources: metadata and manifests are read here, the rows by the reader of Parquet. There is no catalog: a table is the
//! folder it lies in.

mod deletes;
mod manifest;
mod metadata;
mod pruning;
mod root;
mod scan;
mod types;

use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use millrace_contract::{BatchStream, PartFacts, TableMoment};
use schemars::JsonSchema;

use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::{self, Outcome};
use deletes::DeleteFile;
use manifest::{Content, Entry};
use metadata::{Field, Metadata};
pub(crate) use root::Root;
use scan::{Part, Scan};

/// Reads Iceberg tables, of the format versions 1 and 2, from their files.
///
/// `iceberg:lake/orders` is a folder of the workspace, `iceberg:s3://bucket/warehouse/orders` or `iceberg:az://container/orders` a place that a
/// connection leads to. `@5937117119577207000` after it is the snapshot with this id, `@2026-03-01T00:00:00Z` the one that the table had at that
/// time. No catalog is asked: the metadata file with the greatest number counts; another one can be named, `iceberg:lake/orders/metadata/v7.metadata.json`.
/// Columns are found by their ids, so that renamed, widened and new ones are as the table has them now; deleted rows are left out, whether by
/// place or by value. With `where`, files in which no row can match are not read, by their partition and the bounds of their columns. A table may
/// have been moved as a whole; files that lie elsewhere than below it are read where the same connection leads to them.
#[derive(JsonSchema)]
pub(crate) struct IcebergTable {}

/// A table, and what its metadata say of it.
pub(crate) struct Table {
    root: Root,
    metadata: Metadata,
}

/// What is to be read of a table.
pub(crate) struct Plan {
    table: Table,
    schema: SchemaRef,
    fields: Vec<Field>,
    files: Vec<Entry>,
    deletes: Vec<Arc<DeleteFile>>,
}

impl Table {
    /// Reads the metadata.
    pub(crate) async fn open(root: Root) -> Result<Self, CopyError> {
        let path = root.newest_metadata().await?;
        blocking(move || {
            let file = root.file(&path)?;
            let read = file.open(&Arc::new(Meter::new(1))).and_then(|bytes| {
                Metadata::read(bytes).map_err(|message| CopyError::read(&file.name, &message))
            });
            let metadata = read.map_err(|error| file.trouble().cause_of(error))?;
            Ok(Self { root, metadata })
        })
        .await
    }

    /// Reads what the manifests list.
    pub(crate) async fn plan(self, moment: TableMoment) -> Result<Plan, CopyError> {
        blocking(move || self.planned(&moment)).await
    }

    fn planned(self, moment: &TableMoment) -> Result<Plan, CopyError> {
        let wrong = |message: String| CopyError::read(self.root.label(), &message);
        let snapshot = self.metadata.snapshot(moment).map_err(wrong)?;
        let fields = self.metadata.schema(moment, snapshot).map_err(wrong)?.fields.clone();
        let schema = types::schema_of(&fields).map_err(wrong)?;
        let manifests = match snapshot {
            None => Vec::new(),
            Some(snapshot) => match &snapshot.manifest_list {
                Some(list) => manifest::list(&self.located(list)?)?,
                None => snapshot.manifests.iter().map(|path| manifest::alone(path)).collect(),
            },
        };
        let (mut files, mut deletes) = (Vec::new(), Vec::new());
        for manifest in manifests {
            for entry in manifest::entries(&manifest, &self.located(&manifest.path)?)? {
                if !entry.format.eq_ignore_ascii_case("parquet") {
                    let message = format!("it is in the format {}; Parquet alone is read", entry.format);
                    return Err(CopyError::read(entry.path, &message));
                }
                match entry.content {
                    Content::Rows => files.push(entry),
                    _ => deletes.push(Arc::new(self.delete_file(entry, &fields)?)),
                }
            }
        }
        Ok(Plan { schema, fields, files, deletes, table: self })
    }

    fn delete_file(&self, entry: Entry, fields: &[Field]) -> Result<DeleteFile, CopyError> {
        let file = self.located(&entry.path)?;
        let by = match &entry.content {
            Content::Values(ids) => ids.as_slice(),
            Content::Rows | Content::Positions => &[],
        };
        let unknown = |id: i32| {
            CopyError::read(
                &file.name,
                &format!("it deletes by the values of the field {id}, which is no column"),
            )
        };
        let field = |id: &i32| {
            let now = fields.iter().find(|field| field.id == *id);
            // A column that was dropped since still deletes.
            now.or_else(|| self.metadata.column(*id)).cloned().ok_or_else(|| unknown(*id))
        };
        let fields = by.iter().map(field).collect::<Result<Vec<_>, _>>()?;
        if fields.is_empty() && entry.content != Content::Positions {
            return Err(CopyError::read(&file.name, &"it deletes by values and names no column"));
        }
        let Entry { content, sequence, partition, .. } = entry;
        Ok(DeleteFile { file, content, sequence, partition, fields, read: OnceLock::new() })
    }

    fn located(&self, address: &str) -> Result<source::files::SourceFile, CopyError> {
        self.root.file(&self.root.path(address, &self.metadata.location)?)
    }
}

impl Plan {
    /// What is known of each of its files.
    pub(crate) fn facts(&self) -> Result<PartFacts, CopyError> {
        let spec = |id| self.table.metadata.spec(id);
        pruning::facts(&self.schema, &self.fields, &self.files, spec)
            .map_err(|message| CopyError::read(self.table.root.label(), &message))
    }

    /// Leaves out files.
    pub(crate) fn keep(&mut self, kept: &[bool]) {
        let mut kept = kept.iter();
        self.files.retain(|_| kept.next() != Some(&false));
    }

    /// The rows.
    pub(crate) fn rows(self, config: &CopyConfig, outcome: Outcome) -> Result<BatchStream, CopyError> {
        let Self { table, schema, fields, files, deletes } = self;
        let wrong = |message: String| CopyError::read(table.root.label(), &message);
        let mapping = table.metadata.name_mapping().map_err(wrong)?;
        let mut parts = Vec::new();
        for file in files {
            let concerns = |delete: &&Arc<DeleteFile>| delete.concerns(file.sequence, &file.partition);
            let deletes = deletes.iter().filter(concerns).cloned().collect();
            let constants = table.metadata.spec(file.partition.spec).iter().zip(&file.partition.values);
            let constants = constants.filter(|(by, _)| by.transform == "identity");
            let constants = constants.map(|(by, value)| (by.source_id, value.clone())).collect();
            let found = table.located(&file.path)?;
            parts.push(Part { file: found, address: file.path, size: file.size, deletes, constants });
        }
        outcome.meter.expect(parts.iter().map(|part| part.size).sum());
        let (threads, wants_files) = (config.threads(), config.wants_files());
        let scan = Scan::new((schema, fields), mapping, parts);
        Ok(source::stream(Box::new(scan), threads, wants_files, outcome))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| CopyError::read("the source", &error))?
}
