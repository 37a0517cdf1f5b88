//! Rows for a table of SQL Server: loaded into a temporary one, which others do not wait for, and brought over in one transaction.

use std::future::Future;

use arrow::datatypes::DataType;
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use tiberius::TokenRow;
use tiberius::error::Error;

use super::super::Writing;
use super::super::sql::cast_to;
use super::values::{self, Taken};
use super::{Connection, Refused, SqlServer, heard, quoted, relation};
use crate::config::Write;
use crate::error::CopyError;

/// Which loads there were, beside the tables they were for.
const LOADS: &str = "millrace_loads";
/// Where rows are before they join others; it ends with the connection.
const STAGE: &str = "#millrace_staged";

/// A load.
pub(super) struct Load<'a> {
    server: &'a SqlServer,
    writing: &'a Writing<'a>,
    target: String,
    loads: String,
}

impl<'a> Load<'a> {
    pub(super) fn new(server: &'a SqlServer, writing: &'a Writing<'a>) -> Self {
        let table = writing.table.trim();
        let loads = match table.rsplit_once('.') {
            Some((schema, _)) => format!("{schema}.{LOADS}"),
            None => LOADS.to_owned(),
        };
        let named = |table: &str| relation(table).unwrap_or_else(|| quoted(table));
        Self { server, writing, target: named(table), loads: named(&loads) }
    }

    /// Loads the rows, unless they have been; how many there are.
    pub(super) async fn run(&self, rows: BatchStream) -> Result<u64, CopyError> {
        let taken = values::taken(&rows.schema).map_err(|message| self.refused(message))?;
        let keys = self.keys(&taken)?;
        let mut connection = self.server.connect().await.map_err(|error| self.failed(&error.into()))?;
        let columns = "load_key nvarchar(128) NOT NULL PRIMARY KEY, load_rows bigint NOT NULL, \
                       loaded_at datetime2(3) NOT NULL DEFAULT SYSUTCDATETIME()";
        let (there, loads) = (literal(&self.loads), &self.loads);
        let sql = format!("IF OBJECT_ID({there}) IS NULL CREATE TABLE {loads} ({columns})");
        self.change(&mut connection, &sql).await?;
        if let Some(before) = self.loaded(&mut connection).await? {
            return Ok(before);
        }
        let columns: Vec<String> =
            taken.words.iter().enumerate().map(|(at, word)| format!("c{at} {word} NULL")).collect();
        let sql = format!("CREATE TABLE {STAGE} (number bigint NOT NULL, {})", columns.join(", "));
        self.change(&mut connection, &sql).await?;
        let count = self.fill(&mut connection, rows, &taken, &keys).await?;
        // Without an end to it, the transaction ends with the connection, and nothing has happened.
        self.change(&mut connection, "SET XACT_ABORT ON").await?;
        self.change(&mut connection, "BEGIN TRANSACTION").await?;
        for sql in self.writing.pre_sql {
            self.change(&mut connection, sql).await?;
        }
        self.bring(&mut connection, &taken, &keys).await?;
        for sql in self.writing.post_sql {
            self.change(&mut connection, sql).await?;
        }
        let values = format!("{}, {count}", literal(self.writing.key));
        self.change(&mut connection, &format!("INSERT INTO {loads} (load_key, load_rows) VALUES ({values})"))
            .await?;
        self.change(&mut connection, "COMMIT TRANSACTION").await?;
        Ok(count)
    }

    /// The places of the columns that tell rows apart; none if they are added.
    fn keys(&self, taken: &Taken) -> Result<Vec<usize>, CopyError> {
        let Write::Upsert(keys) = self.writing.write else { return Ok(Vec::new()) };
        let places = keys.iter().map(|key| {
            let place = taken.schema.fields().iter().position(|field| field.name() == key);
            place.ok_or_else(|| {
                self.refused(format!("the rows have no column `{key}`, by which they are to be found"))
            })
        });
        places.collect()
    }

    async fn loaded(&self, connection: &mut Connection) -> Result<Option<u64>, CopyError> {
        let sql = format!("SELECT load_rows FROM {} WHERE load_key = @P1", self.loads);
        let asking = async { connection.query(sql, &[&self.writing.key]).await?.into_row().await };
        let row = self.heard(asking).await?;
        let rows = row
            .map(|row| row.try_get::<i64, _>(0))
            .transpose()
            .map_err(|error| self.failed(&error.into()))?;
        Ok(rows.flatten().and_then(|rows| u64::try_from(rows).ok()))
    }

    /// Whether the table is there.
    async fn is_there(&self, connection: &mut Connection) -> Result<bool, CopyError> {
        let asking = async {
            connection.query("SELECT OBJECT_ID(@P1) AS id", &[&self.target]).await?.into_row().await
        };
        let row = self.heard(asking).await?;
        let id = row
            .map(|row| row.try_get::<i32, _>(0))
            .transpose()
            .map_err(|error| self.failed(&error.into()))?;
        Ok(id.flatten().is_some())
    }

    /// Sends the rows into the stage, packet by packet; how many there are.
    async fn fill(
        &self,
        connection: &mut Connection,
        mut rows: BatchStream,
        taken: &Taken,
        keys: &[usize],
    ) -> Result<u64, CopyError> {
        let mut bulk = self.heard(connection.bulk_insert_columns(STAGE, &["*"])).await?;
        let mut count: i64 = 0;
        while let Some(batch) = rows.batches.next().await {
            let batch = batch.map_err(|error| CopyError::read("the source", &error))?;
            let batch = cast_to(&batch, &taken.schema).map_err(|message| self.refused(message))?;
            let mut wrong = None;
            let sending = async {
                for row in 0..batch.num_rows() {
                    count += 1;
                    let mut values = TokenRow::with_capacity(batch.num_columns() + 1);
                    values.push(tiberius::ColumnData::I64(Some(count)));
                    for (at, column) in batch.columns().iter().enumerate() {
                        let name = || taken.schema.field(at).name();
                        match values::value(column, row) {
                            Ok(_) if keys.contains(&at) && column.is_null(row) => {
                                wrong = Some(format!("row {count}: it has no value in the key `{}`", name()));
                                return Ok(());
                            }
                            Ok(value) => values.push(value),
                            Err(message) => {
                                wrong = Some(format!("row {count}, column `{}`: {message}", name()));
                                return Ok(());
                            }
                        }
                    }
                    bulk.send(values).await?;
                }
                Ok(())
            };
            self.heard(sending).await?;
            if let Some(message) = wrong {
                return Err(self.refused(message));
            }
        }
        self.heard(bulk.finalize()).await?;
        Ok(count.unsigned_abs())
    }

    /// Has the staged rows join those of the table.
    async fn bring(
        &self,
        connection: &mut Connection,
        taken: &Taken,
        keys: &[usize],
    ) -> Result<(), CopyError> {
        if !self.is_there(connection).await? {
            self.change(connection, &self.create(taken, keys)).await?;
        }
        let names: Vec<String> = taken.schema.fields().iter().map(|field| quoted(field.name())).collect();
        let (target, list) = (&self.target, names.join(", "));
        let staged =
            |prefix: &str| (0..names.len()).map(|at| format!("{prefix}c{at}")).collect::<Vec<_>>().join(", ");
        if keys.is_empty() {
            if *self.writing.write != Write::Append {
                self.change(connection, &format!("DELETE FROM {target}")).await?;
            }
            let sql =
                format!("INSERT INTO {target} ({list}) SELECT {} FROM {STAGE} ORDER BY number", staged(""));
            return self.change(connection, &sql).await;
        }
        let names = |keep: bool| names.iter().enumerate().filter(move |(at, _)| keys.contains(at) == keep);
        let by: Vec<String> = keys.iter().map(|at| format!("c{at}")).collect();
        let same: Vec<String> =
            names(true).map(|(at, name)| format!("target.{name} = staged.c{at}")).collect();
        let set: Vec<String> =
            names(false).map(|(at, name)| format!("target.{name} = staged.c{at}")).collect();
        let update = if set.is_empty() {
            String::new()
        } else {
            format!(" WHEN MATCHED THEN UPDATE SET {}", set.join(", "))
        };
        // Of several rows with one key the last counts; a lock on what is not there keeps others from adding it meanwhile.
        let ranked = format!(
            "SELECT *, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY number DESC) AS latest FROM {STAGE}",
            by.join(", ")
        );
        let sql = format!(
            "MERGE INTO {target} WITH (HOLDLOCK) AS target USING (SELECT * FROM ({ranked}) AS ranked WHERE latest = 1) AS staged \
             ON {}{update} WHEN NOT MATCHED THEN INSERT ({list}) VALUES ({});",
            same.join(" AND "),
            staged("staged.")
        );
        self.change(connection, &sql).await
    }

    /// A table for the rows, with a primary key of the columns that tell them apart.
    fn create(&self, taken: &Taken, keys: &[usize]) -> String {
        let fields = taken.schema.fields().iter().zip(&taken.words).enumerate();
        let mut columns: Vec<String> = fields
            .map(|(at, (field, word))| {
                let word = match field.data_type() {
                    // A key has at most 900 bytes.
                    DataType::Utf8 if keys.contains(&at) => "nvarchar(450)",
                    DataType::Binary if keys.contains(&at) => "varbinary(900)",
                    _ => word,
                };
                let end = if keys.contains(&at) { "NOT NULL" } else { "NULL" };
                format!("{} {word} {end}", quoted(field.name()))
            })
            .collect();
        if !keys.is_empty() {
            let names = keys.iter().map(|at| quoted(taken.schema.field(*at).name()));
            columns.push(format!("PRIMARY KEY ({})", names.collect::<Vec<_>>().join(", ")));
        }
        format!("CREATE TABLE {} ({})", self.target, columns.join(", "))
    }

    async fn change(&self, connection: &mut Connection, sql: &str) -> Result<(), CopyError> {
        let changing = async { connection.simple_query(sql).await?.into_results().await };
        self.heard(changing).await.map(drop)
    }

    /// What the server says, if it does.
    async fn heard<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, CopyError> {
        heard(question).await.map_err(|refused| self.failed(&refused))
    }

    fn refused(&self, message: String) -> CopyError {
        self.failed(&Refused::Said(message))
    }

    fn failed(&self, refused: &Refused) -> CopyError {
        let (message, transient) = self.server.said(refused);
        CopyError::Write { what: self.writing.label.clone(), message, transient }
    }
}

/// A text in a statement.
fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}
