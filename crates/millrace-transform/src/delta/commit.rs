//! Rows in, one Delta commit out.
//!
//! Data files are written first, under names nobody knows; the commit that names them is one put of one log file which must not exist
//! yet. Until then, and for ever if the process ends before, readers see the version before.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use deltalake::kernel::transaction::{CommitBuilder, TableReference};
use deltalake::kernel::{Action, Add, MetadataExt as _, Protocol, StructType, new_metadata};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryEngine as _, QueryError, TableRef, WriteMode, WrittenTable};
use serde_json::{Value, json};

use super::digest::{Hasher, RowSum};
use super::files::{DataFile, FileWriter};
use super::{chain, discard};
use crate::engine::DataFusionEngine;
use crate::engine::types;

/// Key of our [`RowSum`] in the commit's own information.
const SUM_KEY: &str = "millrace.rows";

/// Writes `rows` as the next version.
pub(crate) async fn write(
    engine: &DataFusionEngine,
    uri: &str,
    mut rows: BatchStream,
    mode: WriteMode,
) -> Result<WrittenTable, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let mut table = super::handle(engine, uri)?;
    let exists = table.verify_deltatable_existence().await.map_err(|error| refused(chain(&error)))?;
    if exists {
        table.load().await.map_err(|error| refused(chain(&error)))?;
    }
    let mut schema = types::delta_schema(&rows.schema);
    check_names(&schema).map_err(refused)?;
    let mut sum = RowSum::default();
    if mode == WriteMode::Append && exists {
        schema = same_columns(&table, &schema).map_err(refused)?;
        sum = kept_sum(engine, uri, &table, &schema).await?;
    }
    let mut hasher = Hasher::new(&schema, sum).map_err(|error| refused(error.to_string()))?;
    let store = table.object_store();
    let mut writer = FileWriter::new(store.clone(), schema.clone());
    if let Err(error) = drain(&mut rows, &schema, &mut hasher, &mut writer, uri).await {
        writer.abort().await;
        return Err(error);
    }
    let sum = hasher.finish();
    let paths: Vec<_> = writer.done.iter().map(|file| file.path.clone()).collect();
    let size_bytes = writer.done.iter().map(|file| file.bytes).sum::<u64>()
        + if mode == WriteMode::Append { kept_bytes(&table) } else { 0 };
    match commit(&table, &schema, &writer.done, mode, &sum).await {
        Ok(delta_version) => Ok(WrittenTable {
            uri: uri.to_owned(),
            delta_version,
            rows: sum.rows,
            size_bytes,
            digest: sum.digest(&schema),
            schema: types::schema_json(&schema),
        }),
        Err(message) => {
            discard(&store, &paths).await;
            Err(refused(message))
        }
    }
}

async fn drain(
    rows: &mut BatchStream,
    schema: &SchemaRef,
    hasher: &mut Hasher,
    writer: &mut FileWriter,
    uri: &str,
) -> Result<(), QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    while let Some(batch) = rows.batches.next().await {
        let batch = types::cast_to(&batch?, schema).map_err(|error| refused(error.to_string()))?;
        hasher.add(&batch).map_err(|error| refused(error.to_string()))?;
        writer.write(&batch).await.map_err(refused)?;
        tokio::task::yield_now().await;
    }
    writer.end_file().await.map_err(refused)
}

fn check_names(schema: &SchemaRef) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name().to_lowercase()) {
            return Err(format!("two columns are named `{}`; rename one with `as`", field.name()));
        }
    }
    if seen.is_empty() { Err("a table needs at least one column".to_owned()) } else { Ok(()) }
}

/// Appending takes the table's own schema; the rows must have its columns by position and name.
fn same_columns(table: &DeltaTable, rows: &SchemaRef) -> Result<SchemaRef, String> {
    let kept: arrow::datatypes::Schema = table
        .snapshot()
        .map_err(|error| chain(&error))?
        .schema()
        .as_ref()
        .try_into_arrow()
        .map_err(|error| error.to_string())?;
    let kept = types::delta_schema(&kept);
    let names = |schema: &SchemaRef| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    if names(&kept) == names(rows) {
        return Ok(kept);
    }
    Err(format!(
        "the table has the columns {} but the rows have {}; append wants the same ones in the same order",
        names(&kept).join(", "),
        names(rows).join(", ")
    ))
}

/// The sum over the rows that are there: from the log, or by reading them if something else wrote the newest version.
async fn kept_sum(
    engine: &DataFusionEngine,
    uri: &str,
    table: &DeltaTable,
    schema: &SchemaRef,
) -> Result<RowSum, QueryError> {
    let newest = table.history(Some(1)).next().await.and_then(Result::ok);
    if let Some(sum) = newest.and_then(|info| info.info.get(SUM_KEY).cloned())
        && let Ok(sum) = serde_json::from_value(sum)
    {
        return Ok(sum);
    }
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let version = table.version().unwrap_or_default();
    let mut rows = engine.scan(&TableRef::Delta { uri: uri.to_owned(), version }, None, None).await?;
    let mut hasher = Hasher::new(schema, RowSum::default()).map_err(|error| refused(error.to_string()))?;
    while let Some(batch) = rows.batches.next().await {
        let batch = types::cast_to(&batch?, schema).map_err(|error| refused(error.to_string()))?;
        hasher.add(&batch).map_err(|error| refused(error.to_string()))?;
    }
    Ok(hasher.finish())
}

fn kept_bytes(table: &DeltaTable) -> u64 {
    let Ok(snapshot) = table.snapshot() else { return 0 };
    snapshot.log_data().iter().map(|file| u64::try_from(file.size()).unwrap_or(0)).sum()
}

async fn commit(
    table: &DeltaTable,
    schema: &SchemaRef,
    files: &[DataFile],
    mode: WriteMode,
    sum: &RowSum,
) -> Result<u64, String> {
    let kernel: StructType =
        schema.as_ref().try_into_kernel().map_err(|error: arrow::error::ArrowError| error.to_string())?;
    let mut actions: Vec<Action> = Vec::new();
    let snapshot = table.snapshot().ok();
    match snapshot {
        None => {
            actions.push(Action::Protocol(protocol(schema)?));
            let none: [(String, String); 0] = [];
            let metadata =
                new_metadata(&kernel, Vec::<String>::new(), none).map_err(|error| chain(&error))?;
            actions.push(Action::Metadata(metadata));
        }
        Some(state) if mode == WriteMode::Overwrite => {
            if state.schema().as_ref() != &kernel {
                if has_naive_timestamps(schema) && state.protocol().min_reader_version() < 3 {
                    actions.push(Action::Protocol(protocol(schema)?));
                }
                let metadata =
                    state.metadata().clone().with_schema(&kernel).map_err(|error| chain(&error))?;
                actions.push(Action::Metadata(metadata));
            }
            actions.extend(state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
        }
        Some(_) => {}
    }
    actions.extend(files.iter().map(|file| Action::Add(add(file))));
    let mode = if mode == WriteMode::Overwrite { SaveMode::Overwrite } else { SaveMode::Append };
    let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
    let info = HashMap::from([(SUM_KEY.to_owned(), serde_json::to_value(sum).unwrap_or(Value::Null))]);
    // One try: a commit that came between changed the rows that our digest counts.
    let done = CommitBuilder::default()
        .with_actions(actions)
        .with_app_metadata(info)
        .with_max_retries(0)
        .build(snapshot.map(|state| state as &dyn TableReference), table.log_store(), operation)
        .await
        .map_err(|error| chain(&error))?;
    Ok(done.version())
}

fn add(file: &DataFile) -> Add {
    Add {
        path: file.path.to_string(),
        partition_values: HashMap::new(),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: 0,
        data_change: true,
        stats: Some(json!({ "numRecords": file.rows }).to_string()),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

fn has_naive_timestamps(schema: &SchemaRef) -> bool {
    fn naive(data_type: &arrow::datatypes::DataType) -> bool {
        use arrow::datatypes::DataType;
        match data_type {
            DataType::Timestamp(_, zone) => zone.is_none(),
            DataType::List(field) | DataType::Map(field, _) => naive(field.data_type()),
            DataType::Struct(fields) => fields.iter().any(|f| naive(f.data_type())),
            _ => false,
        }
    }
    schema.fields().iter().any(|field| naive(field.data_type()))
}

/// Version 1/2, which every reader knows, unless a timestamp without a zone needs the feature of that name.
fn protocol(schema: &SchemaRef) -> Result<Protocol, String> {
    let document = if has_naive_timestamps(schema) {
        json!({ "minReaderVersion": 3, "minWriterVersion": 7,
                "readerFeatures": ["timestampNtz"], "writerFeatures": ["timestampNtz", "appendOnly", "invariants"] })
    } else {
        json!({ "minReaderVersion": 1, "minWriterVersion": 2 })
    };
    serde_json::from_value(document).map_err(|error| error.to_string())
}
