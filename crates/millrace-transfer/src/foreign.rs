//! Tables of databases in queries: `connection.schema.table` is read when the query runs, its conditions and columns told to the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, ForeignCondition, ForeignReading, ForeignTables, ForeignTest, QueryError,
};
use serde_json::Value;

use crate::config::Condition;
use crate::connections::{self, ReadConnections};
use crate::database::{self, Dialect, Reading, TableServer};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::rejects::{OnError, RejectFile, Rejects};
use crate::source::Outcome;

/// The databases that connections lead to.
#[derive(Clone)]
pub struct Databases {
    /// Root of the workspace, which paths of connections are relative to.
    pub workspace: PathBuf,
    /// Where they are, and what opens them.
    pub connections: ReadConnections,
}

impl Databases {
    fn server(&self, connection: &str) -> Result<Box<dyn TableServer>, CopyError> {
        let connections = (self.connections)().map_err(CopyError::Connection)?;
        database::open(connection, connections::find(&connections, connection)?, &self.workspace)
    }

    async fn rows(&self, connection: &str, reading: Reading) -> Result<BatchStream, QueryError> {
        let uri = format!("{connection}:{}", reading.relation);
        let failed = |error: CopyError| QueryError::Read { uri: uri.clone(), message: error.to_string() };
        // No row of a database is set aside.
        let rejects = Rejects::new(OnError::Fail, None, Path::new(""), RejectFile::Csv);
        let outcome = Outcome::new(rejects, Arc::new(Meter::new(1)));
        self.server(connection).map_err(failed)?.read(reading, outcome).await.map_err(failed)
    }
}

#[async_trait]
impl ForeignTables for Databases {
    fn has(&self, connection: &str) -> bool {
        (self.connections)().is_ok_and(|connections| connections.contains_key(connection))
    }

    async fn schema(&self, connection: &str, table: &str) -> Result<SchemaRef, QueryError> {
        let nothing = Some(Condition::Text("1 = 0".to_owned()));
        let reading = reading(table.to_owned(), nothing);
        Ok(self.rows(connection, reading).await?.schema)
    }

    async fn read(&self, connection: &str, wanted: ForeignReading) -> Result<BatchStream, QueryError> {
        let uri = format!("{connection}:{}", wanted.table);
        let server = self.server(connection);
        let dialect = server.map_err(|error| QueryError::Read { uri, message: error.to_string() })?.dialect();
        let columns: Vec<String> = wanted.columns.iter().map(|name| dialect.quoted(name)).collect();
        let limit = wanted.limit.map(|rows| format!(" limit {rows}")).unwrap_or_default();
        let relation =
            format!("(select {} from {}{limit})", columns.join(", "), dialect.table(&wanted.table));
        self.rows(connection, reading(relation, told(dialect, &wanted.conditions))).await
    }
}

fn reading(relation: String, condition: Option<Condition>) -> Reading {
    Reading { relation, condition, partition: None, columns: IndexMap::new(), connections: 1, kept: None }
}

/// The conditions that the database can check as we do, their values bound.
fn told(dialect: Dialect, conditions: &[ForeignCondition]) -> Option<Condition> {
    let mut params: Vec<Value> = Vec::new();
    let mut parts = Vec::new();
    for ForeignCondition { column, test } in conditions {
        let mut place = |value: &Value| {
            params.push(value.clone());
            format!("${}", params.len())
        };
        let column = dialect.quoted(column);
        // Text is what SQLite has for decimal numbers and times, in whatever form somebody wrote them.
        let sent = |value: &Value| dialect != Dialect::Sqlite || value.is_number();
        let part = match test {
            ForeignTest::Null(true) => format!("{column} is null"),
            ForeignTest::Null(false) => format!("{column} is not null"),
            ForeignTest::In(values) if values.iter().all(sent) => {
                let places: Vec<String> = values.iter().map(&mut place).collect();
                format!("{column} in ({})", places.join(", "))
            }
            ForeignTest::Less { than, equal } if sent(than) => {
                format!("{column} {} {}", if *equal { "<=" } else { "<" }, place(than))
            }
            ForeignTest::Greater { than, equal } if sent(than) => {
                format!("{column} {} {}", if *equal { ">=" } else { ">" }, place(than))
            }
            ForeignTest::In(_) | ForeignTest::Less { .. } | ForeignTest::Greater { .. } => continue,
        };
        parts.push(part);
    }
    (!parts.is_empty()).then(|| Condition::Bound { text: parts.join(" and "), params })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_told() {
        let conditions = [
            ForeignCondition {
                column: "a\"b".to_owned(),
                test: ForeignTest::In(vec![json!("x"), json!("y")]),
            },
            ForeignCondition {
                column: "n".to_owned(),
                test: ForeignTest::Less { than: json!(3), equal: true },
            },
            ForeignCondition { column: "z".to_owned(), test: ForeignTest::Null(false) },
        ];
        let shown = |dialect| match told(dialect, &conditions) {
            Some(Condition::Bound { text, params }) => format!("{text} {}", json!(params)),
            other => format!("{other:?}"),
        };
        insta::assert_snapshot!(shown(Dialect::Postgres), @r###""a""b" in ($1, $2) and "n" <= $3 and "z" is not null ["x","y",3]"###);
        insta::assert_snapshot!(shown(Dialect::Mysql), @r###"`a"b` in ($1, $2) and `n` <= $3 and `z` is not null ["x","y",3]"###);
        insta::assert_snapshot!(shown(Dialect::Sqlite), @r###""n" <= $1 and "z" is not null [3]"###);
        assert!(told(Dialect::Postgres, &[]).is_none());
    }
}
