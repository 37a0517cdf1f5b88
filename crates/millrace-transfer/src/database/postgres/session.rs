//! A connection that loads.

use std::collections::HashMap;
use std::time::Instant;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use bytes::Bytes;
use futures::SinkExt as _;
use millrace_contract::BatchStream;
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{Kind as TypeKind, Type};

use super::columns::Kind;
use super::encode::{self, Target};
use super::{Connected, TextParam, is_transient, message};
use crate::database::load::next_batch;
use crate::database::{Dialect, Load, Session, TableColumn};
use crate::error::CopyError;
use crate::meter::Stage;

/// What COPY begins with: signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: &[u8] = &[0xff, 0xff];

pub(super) struct PostgresSession {
    connected: Connected,
    /// What is loaded, for errors.
    what: String,
    /// The form of the values of each type that a column has, by the server's name of it, and the number of its items' type.
    forms: HashMap<String, (Option<Kind>, u32)>,
}

impl PostgresSession {
    pub(super) fn new(connected: Connected, what: &str) -> Self {
        let forms = HashMap::from([("text".to_owned(), (Some(Kind::Text), 0))]);
        Self { connected, what: what.to_owned(), forms }
    }

    fn failed(&self, error: &tokio_postgres::Error) -> CopyError {
        CopyError::Write { what: self.what.clone(), message: message(error), transient: is_transient(error) }
    }

    fn target(&self, column: &TableColumn) -> Target {
        let (kind, item) = self.forms.get(&column.sql_type).cloned().unwrap_or((None, 0));
        Target { name: column.name.clone(), kind: kind.unwrap_or(Kind::Text), item }
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, CopyError> {
        let values: Vec<TextParam> = values.iter().map(TextParam::new).collect();
        let done = self.connected.client.execute_raw(sql, values).await;
        done.map_err(|error| self.failed(&error))
    }

    async fn script(&mut self, sql: &str) -> Result<(), CopyError> {
        self.connected.client.batch_execute(sql).await.map_err(|error| self.failed(&error))
    }

    async fn ask(&mut self, sql: &str, values: &[Value]) -> Result<Option<Vec<Option<String>>>, CopyError> {
        if values.is_empty() {
            let rows = self.connected.client.simple_query(sql).await.map_err(|error| self.failed(&error))?;
            let row = rows.into_iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            });
            return Ok(row.map(|row| (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()));
        }
        // As text, whatever the types are.
        let asked = self.connected.client.prepare(sql).await.map_err(|error| self.failed(&error))?;
        let names =
            asked.columns().iter().map(|column| format!("{}::text", self.dialect().quoted(column.name())));
        let sql = format!("select {} from ({sql}) asked", names.collect::<Vec<_>>().join(", "));
        let params: Vec<TextParam> = values.iter().map(TextParam::new).collect();
        let params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            params.iter().map(|param| param as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        let row = self.connected.client.query(&sql, &params).await.map_err(|error| self.failed(&error))?;
        let Some(row) = row.into_iter().next() else { return Ok(None) };
        let cells = (0..row.len()).map(|index| row.try_get(index)).collect::<Result<_, _>>();
        cells.map(Some).map_err(|error| self.failed(&error))
    }

    async fn columns(&mut self, table: &str) -> Result<Option<Vec<TableColumn>>, CopyError> {
        let quoted = Dialect::Postgres.table(table);
        let sql = "select attname::text, format_type(atttypid, atttypmod) from pg_attribute \
                   where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = '' \
                   order by attnum";
        let rows = self.connected.client.query(sql, &[&quoted]).await.map_err(|error| self.failed(&error))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::new();
        for row in rows {
            let cells = row.try_get(0).and_then(|name| Ok((name, row.try_get(1)?)));
            let (name, sql_type) = cells.map_err(|error| self.failed(&error))?;
            columns.push(TableColumn { name, sql_type });
        }
        let described = self.connected.client.prepare(&format!("select * from {quoted} limit 0")).await;
        let described = described.map_err(|error| self.failed(&error))?;
        for column in described.columns() {
            let Some(known) = columns.iter().find(|known| known.name == column.name()) else { continue };
            let item = match column.type_().kind() {
                TypeKind::Array(item) => item.oid(),
                _ => 0,
            };
            // Digits are the server's to check: one that has more of them than our decimals takes ours as well.
            let kind = match *column.type_() {
                Type::NUMERIC => Some(super::columns::UNBOUNDED),
                ref kind => Kind::of(kind, column.type_modifier()),
            };
            self.forms.insert(known.sql_type.clone(), (kind, item));
        }
        Ok(Some(columns))
    }

    async fn fill(
        &mut self,
        table: &str,
        columns: &[TableColumn],
        mut rows: BatchStream,
        load: &Load<'_>,
    ) -> Result<u64, CopyError> {
        let targets: Vec<Target> = columns.iter().map(|column| self.target(column)).collect();
        let names: Vec<String> =
            columns.iter().map(|column| Dialect::Postgres.quoted(&column.name)).collect();
        let sql = format!("copy {table} ({}) from stdin (format binary)", names.join(", "));
        let sink = self.connected.client.copy_in::<_, Bytes>(&sql).await;
        let mut sink = Box::pin(sink.map_err(|error| self.failed(&error))?);
        sink.send(Bytes::from_static(HEADER)).await.map_err(|error| self.failed(&error))?;
        let targets = std::sync::Arc::new(targets);
        // A sink that is dropped unfinished makes the server forget the rows.
        while let Some(batch) = next_batch(&mut rows).await? {
            let begun = Instant::now();
            let targets = targets.clone();
            let encoded = tokio::task::spawn_blocking(move || encode::rows(&batch, &targets)).await;
            let encoded =
                encoded.map_err(|error| load.failed(&error))?.map_err(|error| load.failed(&error))?;
            if let Err(error) = sink.send(Bytes::from(encoded)).await {
                // What the server has to say about it comes with the end.
                let end = sink.as_mut().finish().await.err().filter(|end| end.as_db_error().is_some());
                return Err(self.failed(&end.unwrap_or(error)));
            }
            load.meter.add(Stage::Write, begun.elapsed());
        }
        let begun = Instant::now();
        sink.send(Bytes::from_static(TRAILER)).await.map_err(|error| self.failed(&error))?;
        let count = sink.as_mut().finish().await.map_err(|error| self.failed(&error))?;
        load.meter.add(Stage::Write, begun.elapsed());
        Ok(count)
    }

    fn fits(&self, schema: &Schema, columns: &[TableColumn]) -> Vec<bool> {
        let fits = |(field, column): (&arrow::datatypes::FieldRef, &TableColumn)| {
            let form = self.forms.get(&column.sql_type).and_then(|(kind, _)| kind.as_ref());
            form.is_some_and(|kind| encode::fits(kind, field.data_type()))
        };
        schema.fields().iter().zip(columns).map(fits).collect()
    }
}
