//! Rows and tables that a mode cannot take, found before anything joins.

use serde_json::Value;

use super::load::Load;
use super::{Dialect, Session};
use crate::config::Write;
use crate::error::CopyError;

/// Rows that a mode cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// They are not in the range that is filled.
    OutsideRange,
    /// What they are to do is not known.
    UnknownChange,
    /// They are to be added, and their keys are there.
    AlreadyThere,
}

/// Fails if a query counts any row.
pub(super) async fn none(
    session: &mut dyn Session,
    load: &Load<'_>,
    unfit: Unfit,
    sql: &str,
    values: &[Value],
) -> Result<(), CopyError> {
    let row = session.ask(sql, values).await?;
    let count = row.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default();
    if count == "0" {
        return Ok(());
    }
    let column = match load.write {
        Write::Backfill(range) => &range.column,
        Write::ApplyChanges(changes) => &changes.op,
        _ => return Err(load.failed(&format!("{count} rows cannot be written"))),
    };
    Err(match unfit {
        Unfit::OutsideRange => CopyError::config(
            format!("{count} rows are outside of the range that is filled, by their `{column}`"),
            "take them out with `where:` or widen `from` and `to`",
        ),
        Unfit::UnknownChange => CopyError::config(
            format!("{count} rows have something in `{column}` that is not known"),
            "`insert`, `update`, `upsert` and `delete` are, and the letters i, c, u, r and d",
        ),
        Unfit::AlreadyThere => CopyError::config(
            format!("{count} rows are to be inserted, and their keys are there already"),
            "`upsert` in place of `insert` replaces them",
        ),
    })
}

/// Without such an index MySQL would add the rows a second time.
pub(super) async fn unique_key(
    session: &mut dyn Session,
    load: &Load<'_>,
    keys: &[String],
) -> Result<(), CopyError> {
    let (schema, table) = match load.table.rsplit_once('.') {
        Some((schema, table)) => (Value::from(schema), table),
        None => (Value::Null, load.table),
    };
    let places = vec!["?"; keys.len()].join(", ");
    let sql = format!(
        "select index_name from information_schema.statistics where table_schema = coalesce(?, database()) \
         and table_name = ? and non_unique = 0 group by index_name \
         having count(*) = {} and sum(column_name in ({places})) = {}",
        keys.len(),
        keys.len()
    );
    let mut values = vec![schema, table.into()];
    values.extend(keys.iter().map(|key| Value::from(key.as_str())));
    if session.ask(&sql, &values).await?.is_some() {
        return Ok(());
    }
    let list: Vec<String> = keys.iter().map(|key| Dialect::Mysql.quoted(key)).collect();
    Err(CopyError::config(
        format!("`{}` has no unique index on {}", load.table, keys.join(", ")),
        format!("alter table {} add unique ({})", Dialect::Mysql.table(load.table), list.join(", ")),
    ))
}
