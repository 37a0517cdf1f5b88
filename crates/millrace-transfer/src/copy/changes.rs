//! Copying what changed, as the source itself notes it ([`crate::tracking`]). How far it was read stands in the step's `state`.
//!
//! The place up to which a copy reads is fixed before it reads, and noted with the key that the sink loads the rows by before the sink commits. Whoever
//! finds such a note reads up to the same place under the same key: the sink takes those rows if it does not have them, whatever was killed when.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::StreamExt as _;
use millrace_contract::{
    BatchStream, ChangedBetween, QueryEngine, QueryError, StepContext, TableMoment, TableRef,
};
use millrace_spec::asset::Asset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Copy;
use crate::address::{Address, sources};
use crate::config::{CopyConfig, Incremental, OP, Write};
use crate::error::CopyError;
use crate::needless::{LIMIT, UNNEST, WHERE, refuse};
use crate::origin;
use crate::progress::{Progress, checked, new_load_key};
use crate::shape::{Facts, MappedColumn, SourceColumn, origin as origin_of};
use crate::source::Outcome;
use crate::store::unless_cancelled;
use crate::tracking::{Tracked, Tracking, all_there};

const EXAMPLE: &str =
    "write: {apply_changes: {keys: [id]}}, incremental: {changes: true}, state: state/orders.json";

/// What stands in the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Read {
    source: String,
    position: u64,
}

impl Read {
    fn of(state: Value, label: &str, file: &str) -> Result<u64, CopyError> {
        let read: Option<Self> = serde_json::from_value(state).ok();
        match read {
            Some(read) if read.source == label => Ok(read.position),
            Some(read) => Err(CopyError::config(
                format!("`{file}` says how far `{}` was read, not `{label}`", read.source),
                "each copy has a `state` of its own",
            )),
            None => Err(CopyError::config(
                format!("`{file}` does not say how far the changes of `{label}` were read"),
                "remove it and what was copied, and every row is read again",
            )),
        }
    }
}

/// What can be said of such a step before it runs.
pub(super) fn check(config: &CopyConfig, incremental: &Incremental) -> Result<(), CopyError> {
    if incremental.column.is_some() || incremental.lookback.is_some() {
        return Err(CopyError::config(
            "`incremental` takes either `column` or `changes`",
            "incremental: {changes: true}",
        ));
    }
    let file = config.state.as_deref().ok_or_else(|| {
        CopyError::config("`incremental: {changes: true}` keeps in `state` how far it has read", EXAMPLE)
    })?;
    checked(file)?;
    if !matches!(config.write, Write::ApplyChanges(_) | Write::Append) {
        return Err(CopyError::config(
            "`incremental: {changes: true}` brings rows that are to be changed or deleted",
            "`write: {apply_changes: {keys: [id]}}`, or `write: append` for a log of the changes",
        ));
    }
    if config.partition.as_ref().is_some_and(|partition| partition.resume) {
        let message = "`resume` keeps rows of another moment than the changes that follow";
        return Err(CopyError::config(message, "leave `resume` out"));
    }
    // Rows that come to be outside of it would stay in the sink.
    let whom = "`incremental: {changes: true}`, which takes every row that changed";
    refuse(config, &[WHERE, LIMIT, UNNEST], whom, "copy all of the table, and choose afterwards")
}

/// The column that says what a row does.
fn op_column(config: &CopyConfig) -> &str {
    config.write.op_column().unwrap_or(OP)
}

/// The step as its rows are shaped: what they do stays with them.
pub(super) fn keeping_op(config: &Arc<CopyConfig>) -> Arc<CopyConfig> {
    if !config.takes_changes() || config.select.is_empty() && config.mapping.is_empty() {
        return config.clone();
    }
    let mut config = CopyConfig::clone(config);
    let op = op_column(&config).to_owned();
    if !config.select.is_empty() && !config.select.contains(&op) {
        config.select.push(op.clone());
    }
    if !config.mapping.is_empty() && !config.mapping.contains_key(&op) {
        config.mapping.insert(op.clone(), MappedColumn::From(SourceColumn::Name(op)));
    }
    Arc::new(config)
}

impl Copy {
    /// The rows that changed since the last copy. [`CopyError::Unchanged`] if there are none.
    pub(super) async fn changed(
        &self,
        (from, to): (&Address, &Address),
        config: &Arc<CopyConfig>,
        (context, facts): (&StepContext, &Facts),
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let file = config.state.clone().unwrap_or_default();
        let label = sources(from).into_iter().next().map_or_else(String::new, |source| source.name);
        let op = op_column(config).to_owned();
        let tracking =
            Tracking { table: String::new(), label, op, config: config.clone(), outcome: outcome.clone() };
        let (label, op) = (tracking.label.clone(), tracking.op.clone());
        let tracked = self.tracked(from, tracking, facts).await?;
        // One of its own for each range: a step that is begun again after its end reads another one.
        let key = new_load_key(&context.idempotency_key);
        let mut progress = Progress::read(&self.services.workspace, &file, &key)?;
        if self.existing(to, outcome).await?.is_none() {
            progress = progress.afresh();
        }
        let since = progress.state().map(|state| Read::of(state.clone(), &label, &file)).transpose()?;
        let until = match progress.owed() {
            Some((key, state)) => {
                context.log.line(&format!(
                    "`{label}` gives what a copy had read that did not end; the rest comes with the next one"
                ));
                progress = progress.under(key);
                Read::of(state, &label, &file)?
            }
            None => unless_cancelled(context, tracked.now(since)).await?,
        };
        let rows = match since {
            None => {
                let rows = unless_cancelled(context, tracked.whole(until)).await?;
                let rows = match rows {
                    Some(rows) => rows,
                    None => self.open(from, config, context, outcome).await?,
                };
                Some(all_there(rows, &op, &label)?)
            }
            Some(since) => {
                let between = ChangedBetween { since, until };
                let begun = async { begun(tracked.changes(between).await?, &label, outcome).await };
                unless_cancelled(context, begun).await?
            }
        };
        let note = serde_json::to_value(Read { source: label.clone(), position: until });
        let note = note.map_err(|error| CopyError::write(&file, &error))?;
        let (log, settled) = (context.log.clone(), progress.clone());
        let settle = async move {
            settled.settle()?;
            // The source keeps them a while longer, and that is all.
            if let Err(error) = tracked.taken(until).await {
                log.line(&error.to_string());
            }
            Ok(())
        };
        let Some(rows) = rows else {
            progress.note(Some(note))?;
            settle.await?;
            return Err(CopyError::Unchanged { what: label });
        };
        outcome.load_by(progress.key().to_owned());
        outcome.commit_after(Box::pin(async move { progress.note(Some(note)) }));
        outcome.settle_with(Box::pin(settle));
        Ok(rows)
    }

    /// The source as one that notes its changes.
    async fn tracked(
        &self,
        from: &Address,
        tracking: Tracking,
        facts: &Facts,
    ) -> Result<Arc<dyn Tracked>, CopyError> {
        let untracked = || untracked(from);
        match from {
            Address::Database { connection, table } => {
                let tracking = Tracking { table: table.clone(), ..tracking };
                self.server(connection)?.tracked(tracking).ok_or_else(untracked)
            }
            Address::Origin { connection, stream } => {
                let origin =
                    origin::open(connection, &self.connection(connection)?, &self.services.workspace)?;
                origin.tracked(Tracking { table: stream.clone(), ..tracking }).ok_or_else(untracked)
            }
            Address::Delta { place, .. } => {
                let (engine, uri) = self.delta_table(place)?;
                let newest = None;
                let mut table = DeltaChanges { engine, uri, newest, keys: None, tracking };
                table.keys = table.keys(facts).await?;
                Ok(Arc::new(table))
            }
            Address::Table(Asset { uri, delta_version: newest @ Some(_), .. }) => {
                let (engine, uri) = (self.services.engine.clone(), uri.clone());
                let mut table = DeltaChanges { engine, uri, newest: *newest, keys: None, tracking };
                table.keys = table.keys(facts).await?;
                Ok(Arc::new(table))
            }
            _ => Err(untracked()),
        }
    }
}

/// Whether a source may note its changes, as far as its address tells.
pub(super) fn check_source(
    from: &Address,
    incremental: &Incremental,
    connection: Option<&Value>,
) -> Result<(), CopyError> {
    let slot = incremental.slot.is_some();
    let has = |word: &str| connection.is_some_and(|settings| settings.get(word).is_some());
    match from {
        Address::Database { table, .. } if has("postgres") => match slot {
            _ if table.trim_start().starts_with('(') => Err(no_table(table)),
            true => Ok(()),
            false => Err(CopyError::config(
                "PostgreSQL keeps changes for a replication slot, and `incremental` names none",
                "incremental: {changes: true, slot: orders_copy}",
            )),
        },
        // What is wrong with the connection is said at that file.
        Address::Database { .. } | Address::Origin { .. } if connection.is_none() => Ok(()),
        Address::Origin { stream, .. } if has("sqlserver") => match stream.trim_start().starts_with('(') {
            true => Err(no_table(stream)),
            false => check_no_slot(incremental),
        },
        Address::Delta { moment: TableMoment::Newest, .. } | Address::Table(_) | Address::Dataset(_) => {
            check_no_slot(incremental)
        }
        Address::Delta { place, .. } => Err(CopyError::config(
            format!("`delta:{place}` names one version, which does not change"),
            format!("from: \"delta:{place}\", without `@`"),
        )),
        _ => Err(untracked(from)),
    }
}

fn check_no_slot(incremental: &Incremental) -> Result<(), CopyError> {
    match incremental.slot.is_some() || incremental.publication.is_some() {
        true => Err(CopyError::config(
            "`slot` and `publication` are of PostgreSQL",
            "incremental: {changes: true}",
        )),
        false => Ok(()),
    }
}

fn no_table(query: &str) -> CopyError {
    CopyError::config(
        format!("changes are noted of tables, and `{query}` is a query"),
        "from: \"erp:dbo.orders\"",
    )
}

fn untracked(from: &Address) -> CopyError {
    let label = sources(from).into_iter().next().map_or_else(String::new, |source| source.name);
    CopyError::config(
        format!(
            "`{label}` notes no changes that are read here; SQL Server, PostgreSQL, Delta tables and datasets do"
        ),
        "incremental: {column: updated_at}",
    )
}

/// The rows, once it is known that there are some.
async fn begun(
    mut rows: BatchStream,
    label: &str,
    outcome: &Outcome,
) -> Result<Option<BatchStream>, CopyError> {
    loop {
        match rows.batches.next().await {
            None => return Ok(None),
            Some(Ok(batch)) if batch.num_rows() == 0 => {}
            Some(Ok(batch)) => {
                let first = futures::stream::iter([Ok(batch)]);
                let batches = Box::pin(first.chain(rows.batches));
                return Ok(Some(BatchStream { schema: rows.schema, batches }));
            }
            Some(Err(error)) => {
                return Err(outcome.take_error().unwrap_or_else(|| CopyError::read(label, &error)));
            }
        }
    }
}

/// A Delta table; its changes are those of its versions.
#[derive(Clone)]
struct DeltaChanges {
    engine: Arc<dyn QueryEngine>,
    uri: String,
    /// The version that is meant; the newest one if absent.
    newest: Option<u64>,
    /// Columns of the table that make a row one with another in the sink, if each of the sink's is one of the table's.
    keys: Option<Vec<String>>,
    tracking: Tracking,
}

impl DeltaChanges {
    fn said(&self, error: QueryError) -> CopyError {
        let message = match error {
            QueryError::Read { message, .. } => message,
            other => other.to_string(),
        };
        self.tracking.failed(message)
    }

    /// Changes cannot be read. Their files, or the log of their versions, may have been taken away.
    fn gone(&self, error: QueryError) -> CopyError {
        let message = match error {
            QueryError::Read { message, .. } | QueryError::Run { message } => message,
            other => other.to_string(),
        };
        self.tracking.failed(format!(
            "{message}; if that stays so, remove what was copied, and the next copy takes every row"
        ))
    }

    async fn version(&self) -> Result<u64, CopyError> {
        if let Some(version) = self.newest {
            return Ok(version);
        }
        let version = self.engine.table_version(&self.uri, &TableMoment::Newest).await;
        let version = version.map_err(|error| self.said(error))?;
        version.ok_or_else(|| self.tracking.failed("there is no Delta table here"))
    }

    async fn rows(&self, version: u64, limit: Option<usize>) -> Result<BatchStream, CopyError> {
        let table = TableRef::Delta { uri: self.uri.clone(), version };
        self.engine.scan(&table, None, limit).await.map_err(|error| self.said(error))
    }

    /// The sink's keys as the table names them.
    async fn keys(&self, facts: &Facts) -> Result<Option<Vec<String>>, CopyError> {
        let Write::ApplyChanges(changes) = &self.tracking.config.write else { return Ok(None) };
        let rows = self.rows(self.version().await?, Some(0)).await?;
        let op = Arc::new(Field::new(&self.tracking.op, DataType::Utf8, false));
        let fields: Vec<_> = rows.schema.fields().iter().cloned().chain([op]).collect();
        let schema = Arc::new(Schema::new(fields));
        let config = keeping_op(&self.tracking.config);
        let key = |name: &String| origin_of(&schema, &config, facts, name);
        changes.keys.iter().map(key).collect()
    }
}

#[async_trait]
impl Tracked for DeltaChanges {
    async fn now(&self, since: Option<u64>) -> Result<u64, CopyError> {
        let newest = self.version().await?;
        match since.filter(|since| *since > newest) {
            Some(since) => Err(self
                .tracking
                .forgotten(&format!("its newest version is {newest}, and {since} was copied"))),
            None => Ok(newest),
        }
    }

    async fn whole(&self, until: u64) -> Result<Option<BatchStream>, CopyError> {
        self.rows(until, None).await.map(Some)
    }

    async fn changes(&self, between: ChangedBetween) -> Result<BatchStream, CopyError> {
        let (keys, op) = (self.keys.as_deref(), self.tracking.op.as_str());
        let rows = self.engine.table_changes(&self.uri, between, keys, op).await;
        let BatchStream { schema, batches } = rows.map_err(|error| self.gone(error))?;
        let table = self.clone();
        let batches = batches.map(move |batch| {
            batch.map_err(|error| match error {
                QueryError::Cancelled => error,
                error => table.tracking.outcome.fail(table.gone(error)),
            })
        });
        Ok(BatchStream { schema, batches: Box::pin(batches) })
    }
}
