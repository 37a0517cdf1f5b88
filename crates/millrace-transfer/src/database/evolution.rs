//! A table whose columns follow those of its rows.

use arrow::datatypes::SchemaRef;

use super::load::{Load, created};
use super::{Dialect, Session, TableColumn};
use crate::error::CopyError;

/// Gives the table the columns that it lacks and the types that have become too narrow.
pub(super) async fn evolved(
    session: &mut dyn Session,
    load: &Load<'_>,
    existing: Vec<TableColumn>,
    schema: &SchemaRef,
) -> Result<Vec<TableColumn>, CopyError> {
    let dialect = session.dialect();
    let target = dialect.table(load.table);
    let mut changed = false;
    for field in schema.fields() {
        let (column, kind) = (dialect.quoted(field.name()), dialect.column_type(field.data_type(), false));
        let sql = match existing.iter().find(|kept| same_name(dialect, &kept.name, field.name())) {
            None if load.adds_columns => format!("alter table {target} add column {column} {kind}"),
            Some(_) if load.widened.contains(field.name()) => match dialect {
                Dialect::Postgres => format!("alter table {target} alter column {column} type {kind}"),
                Dialect::Mysql => format!("alter table {target} modify column {column} {kind}"),
                Dialect::Sqlite => continue,
            },
            _ => continue,
        };
        session.script(&sql).await?;
        changed = true;
    }
    if changed { created(session, load, load.table).await } else { Ok(existing) }
}

/// Whether two names are one column's.
pub(super) fn same_name(dialect: Dialect, left: &str, right: &str) -> bool {
    if dialect.ignores_case() { left.eq_ignore_ascii_case(right) } else { left == right }
}
