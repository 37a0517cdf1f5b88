//! Which rows versions of a table changed: from the files that its writer noted changes in (the change data feed,
//! <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#add-cdc-file>), else from the files that a version added and removed.

use std::sync::Arc;

use datafusion::logical_expr::lit;
use deltalake::delta_datafusion::DeltaCdfTableProvider;
use millrace_contract::{BatchStream, ChangedBetween, QueryError, RowChange, TableRef};

use super::{open, read_error};
use crate::engine::failure::words;
use crate::engine::{DataFusionEngine, query, source};
use crate::flow::quote;

/// What the engine calls the changes in the queries here.
const CHANGES: &str = "changes";
/// What a change is, in the feed's words.
const CHANGE_TYPE: &str = "_change_type";
/// The version that made it.
const VERSION: &str = "_commit_version";
/// When that was.
const TIME: &str = "_commit_timestamp";

/// See [`millrace_contract::QueryEngine::table_changes`].
pub(crate) async fn changes(
    engine: &DataFusionEngine,
    uri: &str,
    versions: ChangedBetween,
    keys: Option<&[String]>,
    op: &str,
) -> Result<BatchStream, QueryError> {
    let refused = |message: String| QueryError::Read { uri: uri.to_owned(), message };
    let Some(first) = versions.since.checked_add(1).filter(|first| *first <= versions.until) else {
        return none(engine, uri, versions.until, op).await;
    };
    let table = open(engine, uri, Some(versions.until)).await?;
    let kept = table.log_store().read_commit_entry(first).await.map_err(|error| read_error(uri, &error))?;
    if kept.is_none() {
        return Err(refused(format!("what version {first} changed is not in its log any more")));
    }
    let feed = table.scan_cdf().with_starting_version(first).with_ending_version(versions.until);
    let feed = DeltaCdfTableProvider::try_new(feed).map_err(|error| read_error(uri, &error))?;
    let context = engine.session()?;
    let schema = datafusion::catalog::TableProvider::schema(&feed);
    let columns: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| ![CHANGE_TYPE, VERSION, TIME].contains(name))
        .collect();
    if columns.contains(&op) {
        return Err(refused(format!("the table has a column `{op}`")));
    }
    context.register_table(CHANGES, Arc::new(feed)).map_err(|error| refused(words(&error)))?;
    let frame = query::select(&context, &sql(&columns, keys, op), &[]).await?;
    // The log is read when the plan is made: a version that is no longer in it is known before the first row.
    query::stream(frame).await.map_err(|error| match error {
        QueryError::Run { message } | QueryError::Plan { message, .. } => refused(message),
        other => other,
    })
}

/// No change of a table.
async fn none(
    engine: &DataFusionEngine,
    uri: &str,
    version: u64,
    op: &str,
) -> Result<BatchStream, QueryError> {
    let table = TableRef::Delta { uri: uri.to_owned(), version };
    let frame = source::frame(engine, &table, None, Some(0)).await?;
    let frame = frame.with_column(op, lit(RowChange::Upsert.word()));
    query::stream(frame.map_err(|error| QueryError::Read { uri: uri.to_owned(), message: words(&error) })?)
        .await
}

/// The query over the feed.
///
/// A version that changes a row both removes and adds it; what it adds is what stays.
fn sql(columns: &[&str], keys: Option<&[String]>, op: &str) -> String {
    let list = columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let comes = format!("{CHANGE_TYPE} in ('insert', 'update_postimage')");
    let change = format!(
        "case when {comes} then '{}' else '{}' end as {}",
        RowChange::Upsert.word(),
        RowChange::Delete.word(),
        quote(op)
    );
    match keys {
        None => format!("select {list}, {change} from {CHANGES} order by {VERSION}, {comes}"),
        Some(keys) => {
            let keys = keys.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
            let last = format!(
                "row_number() over (partition by {keys} order by {VERSION} desc, {comes} desc) as \"millrace.place\""
            );
            format!(
                "select {list}, {change} from (select *, {last} from {CHANGES}) where \"millrace.place\" = 1"
            )
        }
    }
}
