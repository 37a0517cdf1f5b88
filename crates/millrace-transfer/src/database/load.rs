//! How a load comes about, the same for every system: what was loaded before is found by its key, everything else is one transaction.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use millrace_metastore::commits::pass;
use serde_json::json;

use super::evolution::{evolved, same_name};
use super::merge::{Merge, Statement};
use super::unfit::{none, unique_key};
use super::{Dialect, Session, TableColumn};
use crate::config::Write;
use crate::error::CopyError;
use crate::meter::Meter;

/// Where rows are before they join others; it ends with the connection.
pub(super) const STAGE: &str = "millrace_staged";
/// Which loads there were, in the schema of the tables they were for.
pub(crate) const LOADS: &str = "millrace_loads";
/// Days for which a load is remembered; nobody begins a step again after that.
const REMEMBERED_DAYS: u32 = 90;

/// One load.
pub(crate) struct Load<'a> {
    /// The same for each attempt of a step.
    pub(crate) key: &'a str,
    /// `schema.table`.
    pub(crate) table: &'a str,
    pub(crate) write: &'a Write,
    /// Statements before the rows, in their transaction.
    pub(crate) pre_sql: &'a [String],
    /// Statements after them.
    pub(crate) post_sql: &'a [String],
    /// Columns that the table lacks are added to it.
    pub(crate) adds_columns: bool,
    /// Columns of the table that get the types of the rows.
    pub(crate) widened: &'a [String],
    /// The rows are only those that are new in the source: what is not among them is not gone.
    pub(crate) partial: bool,
    /// Rows that the source had and that were set aside; asked after the last row.
    pub(crate) rejected: &'a (dyn Fn() -> u64 + Sync),
    pub(crate) meter: &'a Meter,
}

impl Load<'_> {
    pub(super) fn failed(&self, error: &dyn std::fmt::Display) -> CopyError {
        CopyError::write(self.table, error)
    }
}

/// What a load left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    /// It had been loaded by an attempt whose end nobody saw.
    pub(crate) before: bool,
}

/// Loads the rows, unless they have been.
pub(crate) async fn load(
    session: &mut dyn Session,
    load: &Load<'_>,
    rows: BatchStream,
) -> Result<Loaded, CopyError> {
    let dialect = session.dialect();
    let loads = dialect.beside(load.table, LOADS);
    create_loads(session, load, &loads).await?;
    if let Some(loaded) = found(session, load, &loads).await? {
        return Ok(loaded);
    }
    check_keys(load, &rows.schema)?;
    let schema = stored(load.write, &rows.schema);
    // MySQL ends a transaction when a table is created.
    let ahead = if dialect == Dialect::Mysql { Some(prepare(session, load, &schema).await?) } else { None };
    pass();
    session.script(if dialect == Dialect::Sqlite { "begin immediate" } else { "begin" }).await?;
    for sql in load.pre_sql {
        session.script(sql).await?;
    }
    let prepared = match ahead {
        Some(prepared) => prepared,
        None => prepare(session, load, &schema).await?,
    };
    pass();
    let count = fill(session, load, &prepared, rows).await?;
    pass();
    for sql in load.post_sql {
        session.script(sql).await?;
    }
    // After this statement nothing but the end of the transaction can come; before it, nothing is remembered. It fails if another attempt
    // with the key was first.
    let rejected = (load.rejected)();
    if dialect == Dialect::Mysql && prepared.swapped.is_some() {
        session.script("commit").await?;
        pass();
        swap(session, load, &prepared).await?;
        pass();
        session.script("begin").await?;
    } else {
        swap(session, load, &prepared).await?;
    }
    remember(session, load, &loads, count, rejected).await?;
    pass();
    session.script("commit").await?;
    pass();
    Ok(Loaded { rows: count, rejected, before: false })
}

/// Creates the table of loads. Who may not create tables can load where it is there.
async fn create_loads(session: &mut dyn Session, load: &Load<'_>, loads: &str) -> Result<(), CopyError> {
    let name = match load.table.rsplit_once('.') {
        Some((schema, _)) => format!("{schema}.{LOADS}"),
        None => LOADS.to_owned(),
    };
    if session.columns(&name).await?.is_some() {
        return Ok(());
    }
    let dialect = session.dialect();
    let integer = if dialect == Dialect::Sqlite { "integer" } else { "bigint" };
    // Two that create it at once would hit each other in PostgreSQL's own catalog; the lock ends with the statements.
    let turn = if dialect == Dialect::Postgres { "select pg_advisory_xact_lock(6047283911); " } else { "" };
    let end = if dialect == Dialect::Mysql { " engine=InnoDB" } else { "" };
    let create = format!(
        "{turn}create table if not exists {loads} ({} varchar(64) primary key, {} {integer}, rejected {integer}, at {}){end}",
        dialect.quoted("key"),
        dialect.quoted("rows"),
        dialect.instant()
    );
    session.script(&create).await
}

/// The load of that key, if it is there.
async fn found(session: &mut dyn Session, load: &Load<'_>, loads: &str) -> Result<Option<Loaded>, CopyError> {
    let dialect = session.dialect();
    let (key, rows, place) = (dialect.quoted("key"), dialect.quoted("rows"), dialect.placeholder(1));
    let sql = format!("select {rows}, rejected from {loads} where {key} = {place}");
    let row = session.ask(&sql, &[load.key.into()]).await?;
    let number = |cell: Option<&Option<String>>| {
        cell.and_then(|cell| cell.as_deref()).and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    Ok(row.map(|row| Loaded { rows: number(row.first()), rejected: number(row.get(1)), before: true }))
}

async fn remember(
    session: &mut dyn Session,
    load: &Load<'_>,
    loads: &str,
    rows: u64,
    rejected: u64,
) -> Result<(), CopyError> {
    let dialect = session.dialect();
    let places: Vec<String> = (1..=3).map(|number| dialect.placeholder(number)).collect();
    let (now, old) = match dialect {
        Dialect::Postgres => ("now()", format!("now() - interval '{REMEMBERED_DAYS} days'")),
        Dialect::Mysql => ("utc_timestamp(6)", format!("utc_timestamp(6) - interval {REMEMBERED_DAYS} day")),
        Dialect::Sqlite => (
            "strftime('%Y-%m-%d %H:%M:%fZ', 'now')",
            format!("strftime('%Y-%m-%d', 'now', '-{REMEMBERED_DAYS} days')"),
        ),
    };
    session.execute(&format!("delete from {loads} where at < {old}"), &[]).await?;
    let (key, list) = (dialect.quoted("key"), dialect.quoted("rows"));
    let sql =
        format!("insert into {loads} ({key}, {list}, rejected, at) values ({}, {now})", places.join(", "));
    session.execute(&sql, &[load.key.into(), json!(rows), json!(rejected)]).await?;
    Ok(())
}

/// The table as it is before the rows come.
struct Prepared {
    /// Quoted.
    target: String,
    /// Of the rows, in their order.
    columns: Vec<TableColumn>,
    /// The table that takes the target's place, quoted.
    swapped: Option<String>,
    schema: SchemaRef,
}

/// Creates what is not there.
async fn prepare(
    session: &mut dyn Session,
    load: &Load<'_>,
    schema: &SchemaRef,
) -> Result<Prepared, CopyError> {
    let dialect = session.dialect();
    let target = dialect.table(load.table);
    let mut prepared =
        Prepared { target: target.clone(), columns: Vec::new(), swapped: None, schema: schema.clone() };
    let existing = session.columns(load.table).await?;
    let alike = existing.as_ref().is_some_and(|existing| {
        existing.len() == schema.fields().len() && columns_of(dialect, load, existing, schema).is_ok()
    });
    let existing = match existing {
        Some(existing) if alike || !matches!(load.write, Write::Overwrite) => existing,
        Some(_) => {
            // Other columns than before: the table is made anew beside the old one.
            let name = new_name(load.table);
            let new = dialect.beside(load.table, name.rsplit('.').next().unwrap_or(&name));
            session.script(&format!("drop table if exists {new}")).await?;
            session.script(&create_table(dialect, &new, load, schema)).await?;
            prepared.swapped = Some(new);
            created(session, load, &name).await?
        }
        None => {
            session.script(&create_table(dialect, &target, load, schema)).await?;
            created(session, load, load.table).await?
        }
    };
    for name in own_columns(load.write) {
        if !existing.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            let (column, kind) = (dialect.quoted(name), dialect.instant());
            session.script(&format!("alter table {target} add column {column} {kind}")).await?;
        }
    }
    let existing = match prepared.swapped {
        None => evolved(session, load, existing, schema).await?,
        Some(_) => existing,
    };
    prepared.columns = columns_of(dialect, load, &existing, schema)?;
    Ok(prepared)
}

/// `schema.millrace_new_table`.
fn new_name(table: &str) -> String {
    match table.rsplit_once('.') {
        Some((schema, table)) => format!("{schema}.millrace_new_{table}"),
        None => format!("millrace_new_{table}"),
    }
}

pub(super) async fn created(
    session: &mut dyn Session,
    load: &Load<'_>,
    name: &str,
) -> Result<Vec<TableColumn>, CopyError> {
    session.columns(name).await?.ok_or_else(|| load.failed(&"the table that was created is not there"))
}

/// Columns that a mode adds.
pub(crate) fn own_columns(write: &Write) -> &'static [&'static str] {
    match write {
        Write::Scd2(_) => &["valid_from", "valid_to"],
        Write::Snapshot => &["snapshot_at"],
        _ => &[],
    }
}

fn create_table(dialect: Dialect, target: &str, load: &Load<'_>, schema: &Schema) -> String {
    let keys: &[String] = match load.write {
        Write::Upsert(keys) | Write::InsertOnly(keys) => keys,
        Write::ApplyChanges(changes) => &changes.keys,
        _ => &[],
    };
    let mut columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let key = keys.contains(field.name());
            let not_null = if key { " not null" } else { "" };
            format!(
                "{} {}{not_null}",
                dialect.quoted(field.name()),
                dialect.column_type(field.data_type(), key)
            )
        })
        .collect();
    for name in own_columns(load.write) {
        columns.push(format!("{} {}", dialect.quoted(name), dialect.instant()));
    }
    if !keys.is_empty() {
        let keys: Vec<String> = keys.iter().map(|key| dialect.quoted(key)).collect();
        columns.push(format!("primary key ({})", keys.join(", ")));
    }
    // MySQL's usual collations take `a` for `A`.
    let end = if dialect == Dialect::Mysql {
        " engine=InnoDB character set utf8mb4 collate utf8mb4_bin"
    } else {
        ""
    };
    format!("create table {target} ({}){end}", columns.join(", "))
}

/// The table's columns that the rows have, in the rows' order.
fn columns_of(
    dialect: Dialect,
    load: &Load<'_>,
    existing: &[TableColumn],
    schema: &Schema,
) -> Result<Vec<TableColumn>, CopyError> {
    let column = |field: &arrow::datatypes::FieldRef| {
        let found = existing.iter().find(|column| same_name(dialect, &column.name, field.name()));
        found.cloned().ok_or_else(|| {
            let (table, name) = (dialect.table(load.table), dialect.quoted(field.name()));
            let kind = dialect.column_type(field.data_type(), false);
            CopyError::config(
                format!("the table `{}` has no column `{}`", load.table, field.name()),
                format!("`schema: evolve` or pre_sql: ['alter table {table} add column {name} {kind}']"),
            )
        })
    };
    schema.fields().iter().map(column).collect()
}

/// The columns of rows that a table gets.
fn stored(write: &Write, rows: &SchemaRef) -> SchemaRef {
    let Some(op) = write.op_column() else { return rows.clone() };
    let fields = rows.fields().iter().filter(|field| field.name() != op);
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

fn check_keys(load: &Load<'_>, schema: &Schema) -> Result<(), CopyError> {
    let named: Vec<&String> = match load.write {
        Write::Upsert(keys) | Write::DeleteInsert(keys) | Write::InsertOnly(keys) | Write::Scd2(keys) => {
            keys.iter().collect()
        }
        Write::ApplyChanges(changes) if changes.keys.is_empty() => Vec::new(),
        Write::ApplyChanges(changes) => changes.keys.iter().chain([&changes.op]).collect(),
        Write::Backfill(range) => vec![&range.column],
        Write::Overwrite | Write::Append | Write::Truncate | Write::Snapshot => return Ok(()),
    };
    if named.is_empty() {
        return Err(CopyError::config("`write` names no key", "write: {upsert: [id]}"));
    }
    for name in named {
        if schema.field_with_name(name).is_err() {
            let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let hint = format!("the columns are: {}", known.join(", "));
            return Err(CopyError::config(
                format!("`write` names the column `{name}`, which the rows do not have"),
                hint,
            ));
        }
    }
    Ok(())
}

/// Brings the rows in, and what belongs before and after them.
async fn fill(
    session: &mut dyn Session,
    load: &Load<'_>,
    prepared: &Prepared,
    rows: BatchStream,
) -> Result<u64, CopyError> {
    let dialect = session.dialect();
    let fits = session.fits(&prepared.schema, &prepared.columns);
    let target = prepared.swapped.as_ref().unwrap_or(&prepared.target);
    let straight = fits.iter().all(|fits| *fits);
    if straight {
        let before = match load.write {
            Write::Append => Some(None),
            Write::Overwrite if prepared.swapped.is_some() => Some(None),
            Write::Overwrite => Some(Some(format!("delete from {target}"))),
            Write::Truncate if dialect == Dialect::Postgres => Some(Some(format!("truncate {target}"))),
            Write::Truncate => Some(Some(format!("delete from {target}"))),
            _ => None,
        };
        if let Some(before) = before {
            if let Some(sql) = before {
                session.execute(&sql, &[]).await?;
            }
            return session.fill(target, &prepared.columns, rows, load).await;
        }
    }
    let mut staged: Vec<TableColumn> = prepared
        .columns
        .iter()
        .zip(&fits)
        .map(|(column, fits)| {
            let sql_type = if *fits { column.sql_type.clone() } else { "text".to_owned() };
            TableColumn { name: column.name.clone(), sql_type }
        })
        .collect();
    if let Some(op) = load.write.op_column() {
        let place = rows.schema.index_of(op).map_err(|error| load.failed(&error))?;
        staged.insert(place, TableColumn { name: op.to_owned(), sql_type: "text".to_owned() });
    }
    session.script(&stage(dialect, &staged)).await?;
    let count = session.fill(&stage_name(dialect), &staged, rows, load).await?;
    if dialect == Dialect::Postgres {
        session.script(&format!("analyze {}", stage_name(dialect))).await?;
    }
    let now = match session.ask(dialect.now(), &[]).await? {
        Some(row) => row.into_iter().next().flatten().unwrap_or_default(),
        None => String::new(),
    };
    let stage = stage_name(dialect);
    let merge = Merge::new(dialect, target, &stage, &prepared.columns, &now);
    for step in merge.statements(load.write, load.partial) {
        match step {
            Statement::Run(sql, values) => drop(session.execute(&sql, &values).await?),
            Statement::None(unfit, sql, values) => none(session, load, unfit, &sql, &values).await?,
            Statement::UniqueKey(keys) => unique_key(session, load, keys).await?,
        }
    }
    session.script(&format!("drop table {}", stage_name(dialect))).await?;
    Ok(count)
}

pub(super) fn stage_name(dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => format!("pg_temp.{STAGE}"),
        Dialect::Mysql => STAGE.to_owned(),
        Dialect::Sqlite => format!("temp.{STAGE}"),
    }
}

/// The rows are numbered, so that the last of several with the same key is known.
fn stage(dialect: Dialect, columns: &[TableColumn]) -> String {
    let number = match dialect {
        Dialect::Postgres => "millrace_nr bigint generated always as identity",
        Dialect::Mysql => "millrace_nr bigint unsigned not null auto_increment primary key",
        Dialect::Sqlite => "millrace_nr integer primary key",
    };
    let mut list = vec![number.to_owned()];
    list.extend(columns.iter().map(|column| format!("{} {}", dialect.quoted(&column.name), column.sql_type)));
    let end = if dialect == Dialect::Mysql {
        " engine=InnoDB character set utf8mb4 collate utf8mb4_bin"
    } else {
        ""
    };
    format!("create temporary table {STAGE} ({}){end}", list.join(", "))
}

/// Puts the new table where the old one is.
async fn swap(session: &mut dyn Session, load: &Load<'_>, prepared: &Prepared) -> Result<(), CopyError> {
    let Some(new) = &prepared.swapped else { return Ok(()) };
    let (dialect, target) = (session.dialect(), &prepared.target);
    let name = load.table.rsplit('.').next().unwrap_or(load.table);
    if dialect == Dialect::Mysql {
        let old = dialect.beside(load.table, &format!("millrace_old_{name}"));
        session.script(&format!("drop table if exists {old}")).await?;
        session.script(&format!("rename table {target} to {old}, {new} to {target}")).await?;
        return session.script(&format!("drop table {old}")).await;
    }
    session.script(&format!("drop table {target}")).await?;
    session.script(&format!("alter table {new} rename to {}", dialect.quoted(name))).await
}

/// The next batch; an error of the source breaks the load off.
pub(super) async fn next_batch(
    rows: &mut BatchStream,
) -> Result<Option<arrow::record_batch::RecordBatch>, CopyError> {
    rows.batches.next().await.transpose().map_err(|error| CopyError::read("the source", &error))
}
