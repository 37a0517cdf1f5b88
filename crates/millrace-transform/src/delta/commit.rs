//! Rows in, one Delta commit out.
//!
//! Data files are written first, under names nobody knows; the commit that names them is one put of one log file which must not exist
//! yet. Until then, and for ever if the process ends before, readers see the version before. Of two writers at once one is first: the
//! other one looks at what that left, and commits the version after it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use deltalake::kernel::transaction::{CommitBuilder, TableReference, TransactionError};
use deltalake::kernel::{Action, Add, MetadataExt as _, Protocol, StructType, new_metadata};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryEngine as _, QueryError, TableRef, WriteMode, WrittenTable};
use serde_json::{Value, json};

use super::digest::{Hasher, RowSum};
use super::files::{DataFile, FileWriter};
use super::{chain, discard, foreign, once};
use crate::engine::DataFusionEngine;
use crate::engine::types;

/// Key of our [`RowSum`] in the commit's own information.
pub(super) const SUM_KEY: &str = "millrace.rows";

/// Commits that are tried, each after another writer was first.
pub(super) const COMMITS: u32 = 20;
/// Longest pause before the next of them, milliseconds; each waits a share of it that differs from writer to writer.
const PAUSE_MS: u64 = 50;

/// Why a commit was not stored.
pub(super) enum NotCommitted {
    /// Another writer made that version.
    Late,
    /// Anything else.
    Failed(String),
}

/// Writes `rows` as the next version; under a key that was written before, none.
pub(crate) async fn write(
    engine: &DataFusionEngine,
    uri: &str,
    mut rows: BatchStream,
    mode: WriteMode,
    key: Option<&str>,
) -> Result<WrittenTable, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let mut table = super::handle(engine, uri)?;
    let exists = table.verify_deltatable_existence().await.map_err(|error| refused(chain(&error)))?;
    if exists {
        table.load().await.map_err(|error| refused(chain(&error)))?;
        foreign::check(&table).map_err(refused)?;
    }
    if let Some(key) = key
        && let Some(written) = once::found(engine, uri, &table, key).await?
    {
        return Ok(written);
    }
    let mut schema = types::delta_schema(&rows.schema);
    check_names(&schema).map_err(refused)?;
    if adds(mode) && exists {
        schema = added_to(&table, &schema, mode).map_err(refused)?;
    }
    let mut hasher = Hasher::new(&schema, RowSum::default()).map_err(|error| refused(error.to_string()))?;
    let store = table.object_store();
    let mut writer = FileWriter::new(store.clone(), schema.clone());
    if let Err(error) = drain(&mut rows, &schema, &mut hasher, &mut writer, uri).await {
        writer.abort().await;
        return Err(error);
    }
    let sum = hasher.finish();
    let paths: Vec<_> = writer.done.iter().map(|file| file.path.clone()).collect();
    let written = Written { schema, files: writer.done, sum, mode, key: key.map(str::to_owned) };
    let committed = commit_in_turn(engine, uri, table, &written).await;
    match committed {
        Ok(Some(written)) => Ok(written),
        Ok(None) => {
            discard(&store, &paths).await;
            let mut table = super::handle(engine, uri)?;
            table.load().await.map_err(|error| refused(chain(&error)))?;
            let found = once::found(engine, uri, &table, key.unwrap_or_default()).await?;
            found.ok_or_else(|| refused("another writer with the same key is gone".to_owned()))
        }
        Err(error) => {
            discard(&store, &paths).await;
            Err(error)
        }
    }
}

/// Data files that no version names yet.
pub(super) struct Written {
    pub(super) schema: SchemaRef,
    pub(super) files: Vec<DataFile>,
    /// Over their rows.
    pub(super) sum: RowSum,
    pub(super) mode: WriteMode,
    /// Under which it is written once.
    pub(super) key: Option<String>,
}

/// Commits as the version after the newest, however many other writers are first; `None` if one of them had the same key.
async fn commit_in_turn(
    engine: &DataFusionEngine,
    uri: &str,
    mut table: DeltaTable,
    written: &Written,
) -> Result<Option<WrittenTable>, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let Written { schema, files, mode, key, .. } = written;
    for tried in 1..=COMMITS {
        let mut sum = written.sum.clone();
        let mut size_bytes = files.iter().map(|file| file.bytes).sum::<u64>();
        if adds(*mode) && table.snapshot().is_ok() {
            sum.add(&kept_sum(engine, uri, &table, schema).await?);
            size_bytes += kept_bytes(&table);
        }
        match commit(&table, written, &sum).await {
            Ok(delta_version) => {
                return Ok(Some(WrittenTable {
                    uri: uri.to_owned(),
                    delta_version,
                    rows: sum.rows,
                    size_bytes,
                    digest: sum.digest(schema),
                    schema: types::schema_json(schema),
                }));
            }
            Err(NotCommitted::Failed(message)) => return Err(refused(message)),
            Err(NotCommitted::Late) => {
                // The names of its files are random, and so the same writers do not meet again.
                let share = files.first().map_or(0, |file| u64::from(jitter(file.path.as_ref())));
                tokio::time::sleep(Duration::from_millis(share * u64::from(tried) % PAUSE_MS)).await;
                table.load().await.map_err(|error| refused(chain(&error)))?;
                if let Some(key) = key
                    && once::found(engine, uri, &table, key).await?.is_some()
                {
                    return Ok(None);
                }
                if adds(*mode) {
                    let kept = added_to(&table, schema, *mode).map_err(refused)?;
                    if kept != *schema {
                        let message = "another writer has changed the columns or their types meanwhile";
                        return Err(refused(message.to_owned()));
                    }
                }
            }
        }
    }
    Err(refused(format!("other writers were first {COMMITS} times; try it again when they are done")))
}

/// A number that differs from name to name.
fn jitter(name: &str) -> u16 {
    name.bytes().fold(0xffff, |sum: u16, byte| sum.rotate_left(5) ^ u16::from(byte))
}

/// Writes rows of that schema into files, and counts them.
pub(super) async fn drain(
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

pub(super) fn check_names(schema: &SchemaRef) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name().to_lowercase()) {
            return Err(format!("two columns are named `{}`; rename one with `as`", field.name()));
        }
    }
    if seen.is_empty() { Err("a table needs at least one column".to_owned()) } else { Ok(()) }
}

/// The table's own schema.
pub(super) fn kept_schema(table: &DeltaTable) -> Result<SchemaRef, String> {
    let state = table.snapshot().map_err(|error| chain(&error))?;
    let kept: arrow::datatypes::Schema =
        state.schema().as_ref().try_into_arrow().map_err(|error| error.to_string())?;
    Ok(types::delta_schema(&kept))
}

/// Whether the rows that are there stay.
pub(super) fn adds(mode: WriteMode) -> bool {
    mode != WriteMode::Overwrite
}

/// The schema of the table with the rows: its own, of which they must have the columns by position and name, and what they may have after it.
pub(super) fn added_to(table: &DeltaTable, rows: &SchemaRef, mode: WriteMode) -> Result<SchemaRef, String> {
    let kept = kept_schema(table)?;
    let names = |schema: &SchemaRef| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let (own, theirs) = (names(&kept), names(rows));
    if own == theirs {
        return Ok(kept);
    }
    if mode == WriteMode::AppendColumns && theirs.starts_with(&own) {
        let fields = kept.fields().iter().chain(rows.fields().iter().skip(own.len())).cloned();
        return Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
    }
    Err(format!(
        "the table has the columns {} but the rows have {}; append wants the same ones in the same order",
        own.join(", "),
        theirs.join(", ")
    ))
}

/// The sum over the rows that are there: from the log, or by reading them if something else wrote the newest version.
pub(super) async fn kept_sum(
    engine: &DataFusionEngine,
    uri: &str,
    table: &DeltaTable,
    schema: &SchemaRef,
) -> Result<RowSum, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let as_it_is = kept_schema(table).map_err(refused)? == *schema;
    let newest = table.history(Some(1)).next().await.and_then(Result::ok);
    if let Some(sum) = newest.and_then(|info| info.info.get(SUM_KEY).cloned())
        // The sum of rows with other columns is another one.
        && as_it_is
        && let Ok(sum) = serde_json::from_value(sum)
    {
        return Ok(sum);
    }
    let version = table.version().unwrap_or_default();
    let mut rows = engine.scan(&TableRef::Delta { uri: uri.to_owned(), version }, None, None).await?;
    let mut hasher = Hasher::new(schema, RowSum::default()).map_err(|error| refused(error.to_string()))?;
    while let Some(batch) = rows.batches.next().await {
        let batch = types::widened_to(&batch?, schema).map_err(|error| refused(error.to_string()))?;
        hasher.add(&batch).map_err(|error| refused(error.to_string()))?;
    }
    Ok(hasher.finish())
}

pub(super) fn kept_bytes(table: &DeltaTable) -> u64 {
    let Ok(snapshot) = table.snapshot() else { return 0 };
    snapshot.log_data().iter().map(|file| u64::try_from(file.size()).unwrap_or(0)).sum()
}

/// Commits as the version after the table's.
pub(super) async fn commit(table: &DeltaTable, written: &Written, sum: &RowSum) -> Result<u64, NotCommitted> {
    let Written { schema, files, mode, key, .. } = written;
    let mode = *mode;
    let mut actions = actions(table, schema, files, mode).map_err(NotCommitted::Failed)?;
    actions.extend(key.as_ref().map(|key| once::action(table, key)));
    let snapshot = table.snapshot().ok();
    let mode = if mode == WriteMode::Overwrite { SaveMode::Overwrite } else { SaveMode::Append };
    let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
    let info = HashMap::from([(SUM_KEY.to_owned(), serde_json::to_value(sum).unwrap_or(Value::Null))]);
    // One try: a commit that came between changed the rows that our digest counts, and what is to be removed.
    let done = CommitBuilder::default()
        .with_actions(actions)
        .with_app_metadata(info)
        .with_max_retries(0)
        .build(snapshot.map(|state| state as &dyn TableReference), table.log_store(), operation)
        .await
        .map_err(|error| match error {
            DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source:
                    TransactionError::VersionAlreadyExists(_)
                    | TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_),
            } => NotCommitted::Late,
            error => NotCommitted::Failed(chain(&error)),
        })?;
    Ok(done.version())
}

/// What the commit changes in the table as it is.
fn actions(
    table: &DeltaTable,
    schema: &SchemaRef,
    files: &[DataFile],
    mode: WriteMode,
) -> Result<Vec<Action>, String> {
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
        Some(state) => {
            if mode != WriteMode::Append && state.schema().as_ref() != &kernel {
                if has_naive_timestamps(schema) && state.protocol().min_reader_version() < 3 {
                    actions.push(Action::Protocol(protocol(schema)?));
                }
                let metadata =
                    state.metadata().clone().with_schema(&kernel).map_err(|error| chain(&error))?;
                actions.push(Action::Metadata(metadata));
            }
            if mode == WriteMode::Overwrite {
                actions.extend(state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
            }
        }
    }
    actions.extend(files.iter().map(|file| Action::Add(add(file))));
    Ok(actions)
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
