//! Rows that join those with the same keys, as one version.
//!
//! The new rows are kept beside, joined with the version that is there, and what comes of it becomes the whole table. If another writer was
//! first with the next version, that is done again with what it left: no row of either is lost.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use deltalake::DeltaTable;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, ByKey, QueryEngine as _, QueryError, QueryRequest, RowChange, TableRef, WriteMode,
    WrittenTable,
};
use object_store::local::LocalFileSystem;

use super::commit::{COMMITS, NotCommitted, Written, check_names, commit, drain, kept_schema};
use super::digest::{Hasher, RowSum};
use super::files::FileWriter;
use super::{chain, discard, foreign, once};
use crate::engine::DataFusionEngine;
use crate::engine::types;
use crate::flow::quote;

/// Tells which of several new rows with one key is the last.
const ORDER: &str = "millrace.order";
/// The number of what a new row does, if rows say so.
const CHANGE: &str = "millrace.change";

/// Writes `rows` as the next version of the table at `uri`; under a key that was written before, none.
pub(crate) async fn merge(
    engine: &DataFusionEngine,
    uri: &str,
    rows: BatchStream,
    by: ByKey<'_>,
    key: &str,
) -> Result<WrittenTable, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let mut table = super::handle(engine, uri)?;
    let exists = table.verify_deltatable_existence().await.map_err(|error| refused(chain(&error)))?;
    let mut schema = types::delta_schema(&stored(&rows.schema, by.change));
    check_names(&schema).map_err(refused)?;
    if exists {
        table.load().await.map_err(|error| refused(chain(&error)))?;
        foreign::check(&table).map_err(refused)?;
        if let Some(written) = once::found(engine, uri, &table, key).await? {
            return Ok(written);
        }
        schema = kept_schema(&table).map_err(refused)?;
    }
    let coming = Coming::keep(engine, uri, rows, &schema, by).await?;
    for _ in 0..COMMITS {
        let rows = coming.merged(engine, uri, &table, &schema, by).await?;
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
        by: ByKey<'_>,
    ) -> Result<Self, QueryError> {
        let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
        let places = places(schema, &rows.schema, by.change).map_err(refused)?;
        let changes = by.change.map(|name| Changes::of(name, &rows.schema)).transpose().map_err(refused)?;
        let keys: Vec<usize> =
            by.columns.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>().map_err(|_| {
                refused(format!("`{}`: the rows do not have all of these columns", by.columns.join("`, `")))
            })?;
        if keys.is_empty() {
            return Err(refused("no column makes a row one with another".to_owned()));
        }
        let folder = engine.config().spill_folder.join(format!("merge-{}", uuid::Uuid::now_v7().simple()));
        fs_err::create_dir_all(&folder).map_err(|error| refused(error.to_string()))?;
        let coming = Self { folder };
        let number = |name: &str| Arc::new(Field::new(name, DataType::Int64, false));
        let fields = schema.fields().iter().cloned().chain([number(ORDER)]);
        let fields = fields.chain(changes.is_some().then(|| number(CHANGE)));
        let numbered: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let store = LocalFileSystem::new_with_prefix(&coming.folder);
        let store = store.map_err(|error| refused(error.to_string()))?;
        let mut writer = FileWriter::new(Arc::new(store), numbered.clone());
        let mut count = 0_i64;
        while let Some(batch) = rows.batches.next().await {
            let batch = batch?;
            let changes = changes.as_ref().map(|changes| changes.numbers(&batch, count));
            let changes = changes.transpose().map_err(refused)?;
            let batch = batch.project(&places).map_err(|error| refused(error.to_string()))?;
            let batch = types::cast_to(&batch, schema).map_err(|error| refused(error.to_string()))?;
            for key in &keys {
                if batch.column(*key).null_count() > 0 {
                    let name = schema.field(*key).name();
                    return Err(refused(format!("a row has no value in `{name}`, which is among its keys")));
                }
            }
            let end = count + i64::try_from(batch.num_rows()).unwrap_or(0);
            let order: ArrayRef = Arc::new(Int64Array::from_iter_values(count..end));
            count = end;
            let columns = batch.columns().iter().cloned().chain([order]).chain(changes).collect();
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

    /// What the table is to be.
    async fn merged(
        &self,
        engine: &DataFusionEngine,
        uri: &str,
        table: &DeltaTable,
        schema: &SchemaRef,
        by: ByKey<'_>,
    ) -> Result<BatchStream, QueryError> {
        let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
        let folder = url::Url::from_directory_path(&self.folder)
            .map_err(|()| refused("the folder of spilled rows has no absolute path".to_owned()))?;
        let mut tables =
            IndexMap::from([("coming".to_owned(), TableRef::Parquet { uri: folder.to_string() })]);
        let kept = table.version().map(|version| TableRef::Delta { uri: uri.to_owned(), version });
        let joining = Joining::new(schema, by, kept.is_some());
        tables.extend(kept.map(|kept| ("kept".to_owned(), kept)));
        if let Some(sql) = joining.added_twice() {
            let asked = QueryRequest { sql, tables: tables.clone(), ..QueryRequest::default() };
            let counted = engine.query(asked).await?.collect().await?;
            let count = counted.first().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0));
            if let Some(count) = count.filter(|count| *count > 0) {
                return Err(refused(format!(
                    "{count} rows are to be inserted, and their keys are there already; `upsert` replaces them"
                )));
            }
        }
        engine.query(QueryRequest { sql: joining.rows(), tables, ..QueryRequest::default() }).await
    }
}

/// The statements by which new rows, `coming`, join those that are there, `kept`.
struct Joining {
    /// Quoted, with commas between.
    names: String,
    keys: String,
    /// Whether a row of `coming` and one of `kept` have the same keys.
    equal: String,
    has_changes: bool,
    has_kept: bool,
}

impl Joining {
    fn new(schema: &SchemaRef, by: ByKey<'_>, has_kept: bool) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| quote(field.name())).collect();
        let keys: Vec<String> = by.columns.iter().map(|name| quote(name)).collect();
        let equal: Vec<String> = keys.iter().map(|key| format!("coming.{key} = kept.{key}")).collect();
        Self {
            names: names.join(", "),
            keys: keys.join(", "),
            equal: equal.join(" and "),
            has_changes: by.change.is_some(),
            has_kept,
        }
    }

    /// Of the new rows of each key the last one, in place of `coming`; `does` is the number of what it comes to.
    fn last(&self) -> String {
        let (order, change, keys) = (quote(ORDER), quote(CHANGE), &self.keys);
        let turn =
            format!("row_number() over (partition by {keys} order by {order} desc) as \"millrace.turn\"");
        if !self.has_changes {
            return format!("(select * from (select *, {turn} from coming) where \"millrace.turn\" = 1)");
        }
        let before = RowChange::before_sql(&change, &order);
        let does = RowChange::outcome_sql(&change, "\"millrace.before\"", "\"millrace.rows\"");
        format!(
            "(select *, {does} as \"millrace.does\" from (select *, {turn}, {before} over (partition by {keys}) as \"millrace.before\", \
             count(*) over (partition by {keys}) as \"millrace.rows\" from coming) where \"millrace.turn\" = 1)"
        )
    }

    /// A condition of what a row comes to; nothing where rows do not say.
    fn doing(&self, changes: &str) -> String {
        if self.has_changes { format!(" and coming.\"millrace.does\" in ({changes})") } else { String::new() }
    }

    /// How many rows are to be added whose keys are there; `None` if there can be none.
    fn added_twice(&self) -> Option<String> {
        let (last, equal) = (self.last(), &self.equal);
        (self.has_changes && self.has_kept).then(|| {
            format!(
                "select count(*) from {last} coming where exists (select 1 from kept where {equal}){}",
                self.doing("0")
            )
        })
    }

    /// The rows that are there and of whose keys none is new, and those that come.
    fn rows(&self) -> String {
        let (names, last, equal) = (&self.names, self.last(), &self.equal);
        let added = format!("select {names} from {last} coming where true{}", self.doing("0, 2"));
        if !self.has_kept {
            return added;
        }
        let left = format!(
            "select {names} from kept where not exists (select 1 from {last} coming where {equal}) union all {added}"
        );
        if self.has_changes {
            let exists = format!("exists (select 1 from kept where {equal})");
            format!("{left} union all select {names} from {last} coming where {exists}{}", self.doing("1"))
        } else {
            left
        }
    }
}

/// The column that says what rows do.
struct Changes {
    name: String,
    place: usize,
}

impl Changes {
    fn of(name: &str, rows: &SchemaRef) -> Result<Self, String> {
        let place = rows.index_of(name).map_err(|_| format!("the rows have no column `{name}`"))?;
        Ok(Self { name: name.to_owned(), place })
    }

    /// The numbers of what the rows do; `before` rows came before them.
    fn numbers(&self, batch: &RecordBatch, before: i64) -> Result<ArrayRef, String> {
        let words = arrow::compute::cast(batch.column(self.place), &DataType::Utf8)
            .map_err(|_| format!("`{}` is no text that says what a row does", self.name))?;
        let words = words.as_string::<i32>();
        let number = |(word, row): (Option<&str>, i64)| {
            let word = word.unwrap_or_default();
            let named =
                |change: &RowChange| change.words().iter().any(|known| known.eq_ignore_ascii_case(word));
            let found = RowChange::ALL.iter().zip(0_i64..).find(|(change, _)| named(change));
            found.map(|(_, number)| number).ok_or_else(|| {
                let known: Vec<&str> = RowChange::ALL.into_iter().map(RowChange::word).collect();
                format!("row {row}: `{}` is `{word}`, and not one of {}", self.name, known.join(", "))
            })
        };
        let numbers = words.iter().zip(before + 1..).map(number).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Int64Array::from(numbers)))
    }
}

/// The columns of rows that a table gets.
fn stored(rows: &SchemaRef, change: Option<&str>) -> SchemaRef {
    let fields = rows.fields().iter().filter(|field| Some(field.name().as_str()) != change);
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

fn write_empty(path: &std::path::Path, empty: &RecordBatch) -> Result<(), String> {
    let file = fs_err::File::create(path).map_err(|error| error.to_string())?;
    let writer = parquet::arrow::ArrowWriter::try_new(file, empty.schema(), None);
    writer.and_then(parquet::arrow::ArrowWriter::close).map(drop).map_err(|error| error.to_string())
}

/// Where the rows have the columns of the table.
fn places(schema: &SchemaRef, rows: &SchemaRef, change: Option<&str>) -> Result<Vec<usize>, String> {
    let names = |schema: &SchemaRef| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let stored = stored(rows, change);
    let found: Option<Vec<usize>> = names(schema).iter().map(|name| rows.index_of(name).ok()).collect();
    found.filter(|found| found.len() == stored.fields().len()).ok_or_else(|| {
        format!(
            "the table has the columns {} but the rows have {}",
            names(schema).join(", "),
            names(&stored).join(", ")
        )
    })
}
