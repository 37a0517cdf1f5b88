//! What becomes of a dataset with the rows of its model's query.

use arrow::datatypes::{Field, Schema, SchemaRef};
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, QueryEngine as _, QueryError, QueryRequest, TableRef, WriteMode, WrittenTable,
};
use millrace_spec::sql_models::{
    HardDeletes, Incremental, SchemaChange, Snapshot, SqlModel, Strategy, quoted,
};
use serde_json::Value;

use crate::delta::{StagedRows, write_after};
use crate::engine::DataFusionEngine;

/// Why rows are not kept.
#[derive(Debug)]
pub(super) enum NotWritten {
    /// The engine says so.
    Query(QueryError),
    /// The model's rules do.
    Rule {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: &'static str,
    },
}

impl From<QueryError> for NotWritten {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// A dataset to be written.
pub(super) struct Writing<'a> {
    pub(super) engine: &'a DataFusionEngine,
    pub(super) uri: &'a str,
    /// The version that is there; the rows follow it or are refused.
    pub(super) base: Option<u64>,
    /// Under which they are written.
    pub(super) key: &'a str,
    /// RFC 3339, of this build.
    pub(super) now: &'a str,
}

impl Writing<'_> {
    /// Writes what becomes of the dataset; `None` if another writer was first. `kept` are the columns that are there, if rows are added.
    pub(super) async fn write(
        &self,
        model: &SqlModel,
        rows: BatchStream,
        kept: Option<SchemaRef>,
    ) -> Result<Option<WrittenTable>, NotWritten> {
        if let Some(rule) = &model.doc.snapshot {
            return self.snapshot(rule, rows, kept).await;
        }
        match (&model.doc.incremental, kept) {
            (Some(rule), Some(kept)) => self.add(rule, rows, kept).await,
            _ => self.after(rows, WriteMode::Overwrite).await,
        }
    }

    async fn after(&self, rows: BatchStream, mode: WriteMode) -> Result<Option<WrittenTable>, NotWritten> {
        Ok(write_after(self.engine, self.uri, self.base, rows, mode, self.key).await?)
    }

    async fn add(
        &self,
        rule: &Incremental,
        rows: BatchStream,
        kept: SchemaRef,
    ) -> Result<Option<WrittenTable>, NotWritten> {
        let coming = StagedRows::keep(self.engine, rows).await?;
        let target = target_schema(rule, &kept, &coming.schema)?;
        let own = columns(&target, &coming.schema, None);
        let names =
            |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let strategy = rule.strategy();
        if strategy == Strategy::Append && names(&target).starts_with(&names(&kept)) {
            let rows = self.query(format!("select {own} from coming"), &coming, false, Vec::new()).await?;
            return self.after(rows, WriteMode::AppendColumns).await;
        }
        let old = columns(&target, &kept, Some("kept"));
        let (keys, equal) = match strategy {
            Strategy::Append => (&[][..], ""),
            Strategy::Merge | Strategy::DeleteInsert => (rule.unique_key.as_slice(), "="),
            Strategy::InsertOverwrite => (rule.partition_by.as_slice(), "is not distinct from"),
        };
        has_columns(&coming.schema, keys)?;
        has_columns(&kept, keys)?;
        if strategy == Strategy::Merge {
            self.one_row_a_key(&coming, keys).await?;
        }
        let stays = if keys.is_empty() {
            String::new()
        } else {
            let list = keys.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(", ");
            let conditions: Vec<String> = keys
                .iter()
                .map(|key| quoted(key))
                .map(|key| format!("(gone.{key} {equal} kept.{key})"))
                .collect();
            format!(
                " where not exists (select 1 from (select distinct {list} from coming) as gone where {})",
                conditions.join(" and ")
            )
        };
        let sql = format!("select {old} from kept{stays} union all select {own} from coming");
        let rows = self.query(sql, &coming, true, Vec::new()).await?;
        self.after(rows, WriteMode::Overwrite).await
    }

    /// Writes the history with the rows of this build.
    async fn snapshot(
        &self,
        rule: &Snapshot,
        rows: BatchStream,
        kept: Option<SchemaRef>,
    ) -> Result<Option<WrittenTable>, NotWritten> {
        let coming = StagedRows::keep(self.engine, rows).await?;
        has_columns(&coming.schema, &rule.unique_key)?;
        has_columns(&coming.schema, rule.updated_at.as_slice())?;
        has_columns(&coming.schema, rule.check.as_deref().unwrap_or_default())?;
        for own in ["valid_from", "valid_to", "is_deleted"] {
            if coming.schema.index_of(own).is_ok() {
                let message =
                    format!("the query of a snapshot has a column `{own}`, which the history has too");
                return Err(NotWritten::Rule { message, hint: "rename it with `as`" });
            }
        }
        self.one_row_a_key(&coming, &rule.unique_key).await?;
        let sql = history(rule, &coming.schema, kept.as_ref());
        let rows = self.query(sql, &coming, kept.is_some(), vec![Value::from(self.now)]).await?;
        self.after(rows, WriteMode::Overwrite).await
    }

    async fn one_row_a_key(&self, coming: &StagedRows, keys: &[String]) -> Result<(), NotWritten> {
        let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
        let (list, nulls) = (
            keys.join(", "),
            keys.iter().map(|key| format!("{key} is null")).collect::<Vec<_>>().join(" or "),
        );
        let twice = format!("select {list} from coming group by {list} having count(*) > 1 limit 1");
        let none = format!("select {list} from coming where {nulls} limit 1");
        for (sql, what) in [(none, "a row has no value in its key"), (twice, "two rows have one key")] {
            let rows = self.query(sql, coming, false, Vec::new()).await?.collect().await?;
            if let Some(row) = crate::rows::to_json(&rows).first() {
                let message = format!("{what}: {}", row);
                return Err(NotWritten::Rule {
                    message,
                    hint: "make the query give one row a key, for example by `select distinct on`",
                });
            }
        }
        Ok(())
    }

    async fn query(
        &self,
        sql: String,
        coming: &StagedRows,
        reads_kept: bool,
        params: Vec<Value>,
    ) -> Result<BatchStream, NotWritten> {
        let mut tables = IndexMap::from([("coming".to_owned(), coming.table()?)]);
        if let Some(version) = self.base.filter(|_| reads_kept) {
            tables.insert("kept".to_owned(), TableRef::Delta { uri: self.uri.to_owned(), version });
        }
        Ok(self.engine.query(QueryRequest { sql, params, tables, limit: None }).await?)
    }
}

/// The columns that the dataset is to have.
fn target_schema(rule: &Incremental, kept: &SchemaRef, coming: &SchemaRef) -> Result<SchemaRef, NotWritten> {
    let without = |some: &SchemaRef, others: &SchemaRef| {
        let fields = some.fields().iter().filter(|field| others.index_of(field.name()).is_err());
        fields.cloned().collect::<Vec<_>>()
    };
    let (added, gone) = (without(coming, kept), without(kept, coming));
    match rule.on_schema_change {
        SchemaChange::Fail if !added.is_empty() || !gone.is_empty() => {
            let list = |fields: &[std::sync::Arc<Field>]| {
                fields.iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", ")
            };
            let mut parts = Vec::new();
            if !added.is_empty() {
                parts.push(format!("the query has {} and the dataset has not", list(&added)));
            }
            if !gone.is_empty() {
                parts.push(format!("the dataset has {} and the query has not", list(&gone)));
            }
            Err(NotWritten::Rule {
                message: parts.join("; "),
                hint: "build it with `--full-refresh`, or write `on_schema_change: append_new_columns`",
            })
        }
        SchemaChange::Fail | SchemaChange::Ignore => Ok(kept.clone()),
        SchemaChange::AppendNewColumns => {
            let fields = kept.fields().iter().cloned().chain(added);
            Ok(std::sync::Arc::new(Schema::new(fields.collect::<Vec<_>>())))
        }
        SchemaChange::SyncAllColumns => Ok(coming.clone()),
    }
}

/// The columns of `target` out of a table that has those of `own`, of their types; null where it has none.
fn columns(target: &SchemaRef, own: &SchemaRef, table: Option<&str>) -> String {
    let table = table.map_or_else(String::new, |table| format!("{table}."));
    let column = |field: &std::sync::Arc<Field>| {
        let name = quoted(field.name());
        match own.field_with_name(field.name()) {
            Ok(found) if found.data_type() == field.data_type() => format!("{table}{name} as {name}"),
            Ok(_) => {
                format!("arrow_cast({table}{name}, {}) as {name}", literal(&field.data_type().to_string()))
            }
            Err(_) => format!("arrow_cast(null, {}) as {name}", literal(&field.data_type().to_string())),
        }
    };
    target.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

fn has_columns(schema: &SchemaRef, wanted: &[String]) -> Result<(), NotWritten> {
    match wanted.iter().find(|name| schema.index_of(name).is_err()) {
        None => Ok(()),
        Some(missing) => {
            let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let near = millrace_spec::suggest::nearest(missing, &known);
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Err(NotWritten::Rule {
                message: format!("the model's rules name a column `{missing}`, which is not there{near}"),
                hint: "name a column of the query",
            })
        }
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// How instants are kept in a history.
const INSTANT: &str = "'Timestamp(µs, \"UTC\")'";

/// The query for a history: `coming` are the rows as they are now, `kept` is the history so far, `$1` the instant of the build.
fn history(rule: &Snapshot, coming: &SchemaRef, kept: Option<&SchemaRef>) -> String {
    let instant = |sql: &str| format!("arrow_cast({sql}, {INSTANT})");
    let now = instant("$1");
    let from = match &rule.updated_at {
        Some(column) => instant(&format!("c.{}", quoted(column))),
        None => now.clone(),
    };
    let marks = rule.hard_deletes == HardDeletes::NewRecord;
    let mark = |sql: &str| if marks { format!(", {sql} as is_deleted") } else { String::new() };
    // The history's own columns, and after them those that are new.
    let ours = |name: &str| matches!(name, "valid_from" | "valid_to" | "is_deleted");
    let mut fields: Vec<_> =
        kept.iter().flat_map(|kept| kept.fields()).filter(|f| !ours(f.name())).cloned().collect();
    for field in coming.fields() {
        if !fields.iter().any(|known| known.name() == field.name()) {
            fields.push(field.clone());
        }
    }
    let target: SchemaRef = std::sync::Arc::new(Schema::new(fields));
    let new = columns(&target, coming, Some("c"));
    let begin = format!("{from} as valid_from, {} as valid_to", instant("null"));
    let Some(kept) = kept else {
        return format!("select {new}, {begin}{} from coming as c", mark("false"));
    };
    let old = columns(&target, kept, Some("k"));
    let deleted = if kept.index_of("is_deleted").is_ok() { "coalesce(k.is_deleted, false)" } else { "false" };
    let keys: Vec<String> = rule.unique_key.iter().map(|key| quoted(key)).collect();
    let first = keys.first().cloned().unwrap_or_default();
    let same: Vec<String> = keys.iter().map(|key| format!("k.{key} = c.{key}")).collect();
    let same = same.join(" and ");
    // Without its own parentheses, `is distinct from` takes what follows for a part of its right side.
    let mut changed: Vec<String> = match (&rule.updated_at, &rule.check) {
        (Some(_), _) => vec![format!("{from} > k.valid_from")],
        (None, check) => {
            let all: Vec<String> = coming.fields().iter().map(|field| field.name().clone()).collect();
            let named = check.as_ref().filter(|named| !named.is_empty()).unwrap_or(&all);
            let differs = |name: &String| match kept.index_of(name) {
                Ok(_) => format!("(c.{0} is distinct from k.{0})", quoted(name)),
                Err(_) => format!("c.{} is not null", quoted(name)),
            };
            named.iter().map(differs).collect()
        }
    };
    changed.push(deleted.to_owned());
    let changed = format!("({})", changed.join(" or "));
    let gone = match rule.hard_deletes {
        HardDeletes::Ignore => instant("null"),
        _ => format!("case when {deleted} then {} else {now} end", instant("null")),
    };
    let current = "(select * from kept where valid_to is null)";
    let mut parts = vec![
        format!(
            "select {old}, k.valid_from, k.valid_to{} from kept as k where k.valid_to is not null",
            mark(deleted)
        ),
        format!(
            "select {old}, k.valid_from, case when c.{first} is null then {gone} when {changed} then {from} else k.valid_to end as valid_to{} \
             from {current} as k left join coming as c on {same}",
            mark(deleted)
        ),
        format!(
            "select {new}, {begin}{} from coming as c left join {current} as k on {same} where k.{first} is null or {changed}",
            mark("false")
        ),
    ];
    if marks {
        parts.push(format!(
            "select {old}, {now} as valid_from, {} as valid_to, true as is_deleted from {current} as k \
             where not {deleted} and not exists (select 1 from coming as c where {same})",
            instant("null")
        ));
    }
    parts.join(" union all ")
}
