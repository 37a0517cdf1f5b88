//! Rows that replace those with the same keys, as one version.
//!
//! The new rows are kept beside, joined with the version that is there, and what comes of it becomes the whole table. If another writer was
//! first with the next version, that is done again with what it left: no row of either is lost.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::DeltaTable;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, QueryEngine as _, QueryError, QueryRequest, TableRef, WriteMode, WrittenTable,
};
use object_store::local::LocalFileSystem;

use super::commit::{COMMITS, NotCommitted, Written, check_names, commit, drain, kept_schema};
use super::digest::{Hasher, RowSum};
use super::files::FileWriter;
use super::{chain, discard, foreign, once};
use crate::engine::DataFusionEngine;
use crate::engine::types;

/// Tells which of several new rows with one key is the last.
const ORDER: &str = "millrace.order";

/// Writes `rows` as the next version of the table at `uri`; under a key that was written before, none.
pub(crate) async fn upsert(
    engine: &DataFusionEngine,
    uri: &str,
    rows: BatchStream,
    columns: &[String],
    key: &str,
) -> Result<WrittenTable, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let mut table = super::handle(engine, uri)?;
    let exists = table.verify_deltatable_existence().await.map_err(|error| refused(chain(&error)))?;
    let mut schema = types::delta_schema(&rows.schema);
    check_names(&schema).map_err(refused)?;
    if exists {
        table.load().await.map_err(|error| refused(chain(&error)))?;
        foreign::check(&table).map_err(refused)?;
        if let Some(written) = once::found(engine, uri, &table, key).await? {
            return Ok(written);
        }
        schema = kept_schema(&table).map_err(refused)?;
    }
    let coming = Coming::keep(engine, uri, rows, &schema, columns).await?;
    for _ in 0..COMMITS {
        let rows = coming.merged(engine, uri, &table, &schema, columns).await?;
        match write(uri, &table, rows, (&schema, key)).await? {
            Some(written) => return Ok(written),
            None => {
                table = super::handle(engine, uri)?;
                table.load().await.map_err(|error| refused(chain(&error)))?;
                if let Some(written) = once::found(engine, uri, &table, key).await? {
                    return Ok(written);
                }
                if kept_schema(&table).map_err(refused)? != schema {
                    return Err(refused("another writer has changed the columns meanwhile".to_owned()));
                }
            }
        }
    }
    Err(refused(format!("other writers were first {COMMITS} times; try it again when they are done")))
}

/// Writes the rows as the whole table; `None` if another writer was first with that version.
async fn write(
    uri: &str,
    table: &DeltaTable,
    mut rows: BatchStream,
    (schema, key): (&SchemaRef, &str),
) -> Result<Option<WrittenTable>, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let mut hasher = Hasher::new(schema, RowSum::default()).map_err(|error| refused(error.to_string()))?;
    let store = table.object_store();
    let mut writer = FileWriter::new(store.clone(), schema.clone());
    if let Err(error) = drain(&mut rows, schema, &mut hasher, &mut writer, uri).await {
        writer.abort().await;
        return Err(error);
    }
    let sum = hasher.finish();
    let paths: Vec<_> = writer.done.iter().map(|file| file.path.clone()).collect();
    let size_bytes = writer.done.iter().map(|file| file.bytes).sum();
    let mode = WriteMode::Overwrite;
    let written =
        Written { schema: schema.clone(), files: writer.done, sum, mode, key: Some(key.to_owned()) };
    let committed = commit(table, &written, &written.sum).await;
    if committed.is_err() {
        discard(&store, &paths).await;
    }
    match committed {
        Ok(delta_version) => Ok(Some(WrittenTable {
            uri: uri.to_owned(),
            delta_version,
            rows: written.sum.rows,
            size_bytes,
            digest: written.sum.digest(schema),
            schema: types::schema_json(schema),
        })),
        Err(NotCommitted::Late) => Ok(None),
        Err(NotCommitted::Failed(message)) => Err(refused(message)),
    }
}

/// New rows, kept in a folder as long as this is there.
struct Coming {
    folder: PathBuf,
}

impl Drop for Coming {
    fn drop(&mut self) {
        // What stays is in the folder of spilled rows, which nobody reads.
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}

impl Coming {
    async fn keep(
        engine: &DataFusionEngine,
        uri: &str,
        mut rows: BatchStream,
        schema: &SchemaRef,
        columns: &[String],
    ) -> Result<Self, QueryError> {
        let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
        let places = places(schema, &rows.schema).map_err(refused)?;
        let keys: Vec<usize> =
            columns.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>().map_err(|_| {
                refused(format!("`{}`: the rows do not have all of these columns", columns.join("`, `")))
            })?;
        if keys.is_empty() {
            return Err(refused("`upsert` names no column".to_owned()));
        }
        let folder = engine.config().spill_folder.join(format!("upsert-{}", uuid::Uuid::now_v7().simple()));
        fs_err::create_dir_all(&folder).map_err(|error| refused(error.to_string()))?;
        let coming = Self { folder };
        let order = Arc::new(Field::new(ORDER, DataType::Int64, false));
        let fields = schema.fields().iter().cloned().chain([order]);
        let numbered: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let store = LocalFileSystem::new_with_prefix(&coming.folder);
        let store = store.map_err(|error| refused(error.to_string()))?;
        let mut writer = FileWriter::new(Arc::new(store), numbered.clone());
        let mut count = 0_i64;
        while let Some(batch) = rows.batches.next().await {
            let batch = batch?.project(&places).map_err(|error| refused(error.to_string()))?;
            let batch = types::cast_to(&batch, schema).map_err(|error| refused(error.to_string()))?;
            for key in &keys {
                if batch.column(*key).null_count() > 0 {
                    let name = schema.field(*key).name();
                    return Err(refused(format!("a row has no value in `{name}`, which `upsert` names")));
                }
            }
            let end = count + i64::try_from(batch.num_rows()).unwrap_or(0);
            let order: ArrayRef = Arc::new(Int64Array::from_iter_values(count..end));
            count = end;
            let columns = batch.columns().iter().cloned().chain([order]).collect();
            let batch = RecordBatch::try_new(numbered.clone(), columns);
            writer.write(&batch.map_err(|error| refused(error.to_string()))?).await.map_err(refused)?;
        }
        writer.end_file().await.map_err(refused)?;
        if count == 0 {
            // A table without rows still tells its columns.
            let empty = RecordBatch::new_empty(numbered.clone());
            write_empty(&coming.folder.join("empty.parquet"), &empty).map_err(refused)?;
        }
        Ok(coming)
    }

    /// What the table is to be: the rows that are there and have none of the new keys, and the last of the new ones of each key.
    async fn merged(
        &self,
        engine: &DataFusionEngine,
        uri: &str,
        table: &DeltaTable,
        schema: &SchemaRef,
        columns: &[String],
    ) -> Result<BatchStream, QueryError> {
        let folder = url::Url::from_directory_path(&self.folder).map_err(|()| QueryError::Write {
            uri: uri.to_owned(),
            message: "the folder of spilled rows has no absolute path".to_owned(),
        })?;
        let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        let keys: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let (names, listed) = (names.join(", "), keys.join(", "));
        let order = quoted(ORDER);
        let last = format!(
            "select {names} from (select *, row_number() over (partition by {listed} order by {order} desc) as \"millrace.last\" \
             from coming) where \"millrace.last\" = 1"
        );
        let mut tables =
            IndexMap::from([("coming".to_owned(), TableRef::Parquet { uri: folder.to_string() })]);
        let sql = match table.version() {
            None => last,
            Some(version) => {
                tables.insert("kept".to_owned(), TableRef::Delta { uri: uri.to_owned(), version });
                let equal: Vec<String> =
                    keys.iter().map(|key| format!("coming.{key} = kept.{key}")).collect();
                format!(
                    "select {names} from kept where not exists (select 1 from coming where {}) union all {last}",
                    equal.join(" and ")
                )
            }
        };
        engine.query(QueryRequest { sql, tables, ..QueryRequest::default() }).await
    }
}

fn write_empty(path: &std::path::Path, empty: &RecordBatch) -> Result<(), String> {
    let file = fs_err::File::create(path).map_err(|error| error.to_string())?;
    let writer = parquet::arrow::ArrowWriter::try_new(file, empty.schema(), None);
    writer.and_then(parquet::arrow::ArrowWriter::close).map(drop).map_err(|error| error.to_string())
}

/// Where the rows have the columns of the table.
fn places(schema: &SchemaRef, rows: &SchemaRef) -> Result<Vec<usize>, String> {
    let names = |schema: &SchemaRef| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let found: Option<Vec<usize>> = names(schema).iter().map(|name| rows.index_of(name).ok()).collect();
    found.filter(|found| found.len() == rows.fields().len()).ok_or_else(|| {
        format!(
            "the table has the columns {} but the rows have {}",
            names(schema).join(", "),
            names(rows).join(", ")
        )
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
