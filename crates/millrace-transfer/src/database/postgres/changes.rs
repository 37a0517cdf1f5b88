//! Which rows of a table changed, by a replication slot that the server keeps its log for.
//!
//! The log tells the keys of the rows that changed; what the rows are by now is read from the table, in the way in which the table is read. A row whose
//! key is not there any more was deleted. The slot is looked into, and moved on when the sink has the rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use indexmap::IndexSet;
use millrace_contract::{BatchStream, ChangedBetween, QueryError, RowChange};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_postgres::types::Oid;
use tokio_util::task::AbortOnDropHandle;

use super::pgoutput::{self, Cell, Message};
use super::{Connected, Postgres, TextParam, failed, read};
use crate::database::{Dialect, Reading};
use crate::error::CopyError;
use crate::tracking::{Tracked, Tracking};

/// Keys whose rows are read at once.
const KEYS: usize = 10_000;
/// Batches that wait to be taken.
const BATCHES: usize = 4;
/// How often it is asked whether a transaction that the log has is seen by others.
const PAUSE: Duration = Duration::from_millis(10);

/// What is known of the table: its parts' numbers, how changed rows are told, its columns, and its primary key with its types.
const TABLE: &str = "
    select array(select c.oid union select relid::oid from pg_partition_tree(c.oid)), c.relreplident::text,
        array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped order by attnum),
        array(select a.attname::text from pg_index i cross join unnest(i.indkey) with ordinality k(number, place)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
            where i.indrelid = c.oid and i.indisprimary order by k.place),
        array(select format_type(a.atttypid, a.atttypmod) from pg_index i cross join unnest(i.indkey) with ordinality k(number, place)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
            where i.indrelid = c.oid and i.indisprimary order by k.place)
    from pg_class c where c.oid = to_regclass($1)";
const SLOT: &str = "
    select plugin::text, (confirmed_flush_lsn - '0/0'::pg_lsn)::int8 from pg_replication_slots where slot_name = $1 and database = current_database()";
const PUBLISHED: &str = "
    select exists (select from pg_publication_tables p join pg_class c on c.relname = p.tablename
        join pg_namespace n on n.oid = c.relnamespace and n.nspname = p.schemaname
        where p.pubname = $1 and c.oid = any($2))";
const PEEK: &str = "
    select data from pg_logical_slot_peek_binary_changes($1, $2, null, 'proto_version', '1', 'publication_names', $3)";

/// A table whose changes a slot keeps.
pub(super) struct Changes {
    inner: Arc<Inner>,
}

struct Inner {
    server: Postgres,
    slot: String,
    publication: String,
    tracking: Tracking,
}

/// A table as the catalog has it.
struct Table {
    /// Its number, and those of its partitions.
    oids: Vec<Oid>,
    columns: Vec<String>,
    /// Columns of the primary key, and their types.
    keys: Vec<(String, String)>,
}

/// A place in the log, as the server writes it.
fn place(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & u64::from(u32::MAX))
}

impl Changes {
    /// `None` if the step names no slot.
    pub(super) fn new(server: Postgres, tracking: Tracking) -> Option<Self> {
        let spec = tracking.config.incremental.clone()?;
        let slot = spec.slot?;
        let publication = spec.publication.unwrap_or_else(|| slot.clone());
        Some(Self { inner: Arc::new(Inner { server, slot, publication, tracking }) })
    }
}

impl Inner {
    fn refused(&self, error: &tokio_postgres::Error) -> CopyError {
        failed(&self.tracking.label, error)
    }

    async fn table(&self, connected: &Connected) -> Result<Table, CopyError> {
        let name = self.tracking.table.trim();
        let quoted = Dialect::Postgres.table(name);
        let failed = |error| self.refused(&error);
        let row = connected.client.query_opt(TABLE, &[&quoted]).await.map_err(failed)?;
        let row = row.ok_or_else(|| self.tracking.failed(format!("relation \"{name}\" does not exist")))?;
        let identity: String = row.try_get(1).map_err(failed)?;
        let (keys, types): (Vec<String>, Vec<String>) =
            (row.try_get(3).map_err(failed)?, row.try_get(4).map_err(failed)?);
        if keys.is_empty() {
            return Err(self.tracking.failed("the table has no primary key, by which its changes are told"));
        }
        if !matches!(identity.as_str(), "d" | "f") {
            return Err(self.tracking.failed(format!(
                "the server does not note its changes by the primary key: `alter table {quoted} replica identity default`"
            )));
        }
        let columns: Vec<String> = row.try_get(2).map_err(failed)?;
        self.tracking.check_op(columns.iter().map(String::as_str))?;
        Ok(Table {
            oids: row.try_get(0).map_err(failed)?,
            columns,
            keys: keys.into_iter().zip(types).collect(),
        })
    }

    /// Up to where the slot was read; `None` if there is none.
    async fn slot(&self, connected: &Connected) -> Result<Option<u64>, CopyError> {
        let failed = |error| self.refused(&error);
        let Some(row) = connected.client.query_opt(SLOT, &[&self.slot]).await.map_err(failed)? else {
            return Ok(None);
        };
        let plugin: Option<String> = row.try_get(0).map_err(failed)?;
        if plugin.as_deref() != Some("pgoutput") {
            return Err(self.tracking.failed(format!(
                "the replication slot `{}` is not one of the plugin `pgoutput`; name another one",
                self.slot
            )));
        }
        let confirmed: Option<i64> = row.try_get(1).map_err(failed)?;
        Ok(confirmed.and_then(|place| u64::try_from(place).ok()))
    }

    /// A place in the log before which everything is on the server's disk, to the last byte. Of a record that is there in part, whoever looks into a slot
    /// waits for the rest, which may come with the next commit, whenever that is.
    async fn mark(&self, connected: &Connected) -> Result<i64, tokio_postgres::Error> {
        // No standby needs to have it.
        connected.client.batch_execute("begin; set local synchronous_commit = local").await?;
        let mark = "select (pg_logical_emit_message(true, 'millrace', '') - '0/0'::pg_lsn)::int8";
        let row = connected.client.query_one(mark, &[]).await?;
        connected.client.batch_execute("commit").await?;
        row.try_get(0)
    }

    /// Whether the slot still keeps what changed since then.
    async fn check_slot(&self, connected: &Connected, since: u64) -> Result<(), CopyError> {
        let why = match self.slot(connected).await? {
            Some(confirmed) if confirmed <= since => return Ok(()),
            Some(confirmed) => format!(
                "the replication slot `{}` keeps changes since {}, and {} was copied",
                self.slot,
                place(confirmed),
                place(since)
            ),
            None => format!("the replication slot `{}` is gone", self.slot),
        };
        Err(self.tracking.forgotten(&why))
    }

    async fn is_published(&self, connected: &Connected, table: &Table) -> Result<bool, CopyError> {
        let row = connected.client.query_one(PUBLISHED, &[&self.publication, &table.oids]).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.refused(&error))
    }

    /// Makes the slot, and the publication if that is not there: before the slot, or the slot would not know it.
    async fn begin(&self, connected: &Connected, table: &Table) -> Result<u64, CopyError> {
        let failed = |error| self.refused(&error);
        let there = "select exists (select from pg_publication where pubname = $1)";
        let row = connected.client.query_one(there, &[&self.publication]).await.map_err(failed)?;
        if !row.try_get::<_, bool>(0).map_err(failed)? {
            let (publication, name) = (
                Dialect::Postgres.quoted(&self.publication),
                Dialect::Postgres.table(self.tracking.table.trim()),
            );
            let sql = format!("create publication {publication} for table {name}");
            connected.client.batch_execute(&sql).await.map_err(failed)?;
        }
        self.check_published(connected, table).await?;
        let make = "select pg_create_logical_replication_slot($1, 'pgoutput')::text";
        let slot = TextParam::new(&self.slot.as_str().into());
        connected.client.query_one(make, &[&slot]).await.map_err(failed)?;
        let found = self.slot(connected).await?;
        found.ok_or_else(|| self.tracking.failed("the replication slot that was made is not there"))
    }

    async fn check_published(&self, connected: &Connected, table: &Table) -> Result<(), CopyError> {
        if self.is_published(connected, table).await? {
            return Ok(());
        }
        let name = Dialect::Postgres.table(self.tracking.table.trim());
        let publication = Dialect::Postgres.quoted(&self.publication);
        Err(self.tracking.failed(format!(
            "the publication {publication} does not have the table: `alter publication {publication} add table {name}`"
        )))
    }

    /// The rows of these keys as they are by now, as a query.
    fn relation<'k>(&self, table: &Table, keys: impl Iterator<Item = &'k Vec<String>> + Clone) -> String {
        let quoted = |name: &str| Dialect::Postgres.quoted(name);
        let is_key = |name: &String| table.keys.iter().any(|(key, _)| key == name);
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|name| format!("{}.{}", if is_key(name) { "k" } else { "t" }, quoted(name)))
            .collect();
        let typed = table.keys.iter().enumerate();
        let typed: Vec<String> =
            typed.map(|(at, (name, kind))| format!("u{at}::{kind} as {}", quoted(name))).collect();
        let arrays = (0..table.keys.len()).map(|at| array(keys.clone().filter_map(|key| key.get(at))));
        let arrays: Vec<String> = arrays.collect();
        let named: Vec<String> = (0..table.keys.len()).map(|at| format!("u{at}")).collect();
        let same: Vec<String> =
            table.keys.iter().map(|(name, _)| quoted(name)).map(|key| format!("t.{key} = k.{key}")).collect();
        let absent = table.keys.first().map(|(name, _)| format!("t.{} is null", quoted(name)));
        format!(
            "(select {}, case when {} then '{}' else '{}' end as {} from (select {} from unnest({}) as u({})) as k left join {} as t on {})",
            columns.join(", "),
            absent.unwrap_or_default(),
            RowChange::Delete.word(),
            RowChange::Upsert.word(),
            quoted(&self.tracking.op),
            typed.join(", "),
            arrays.join(", "),
            named.join(", "),
            Dialect::Postgres.table(self.tracking.table.trim()),
            same.join(" and ")
        )
    }

    async fn rows(&self, relation: String) -> Result<BatchStream, CopyError> {
        let reading = Reading {
            relation,
            condition: None,
            partition: None,
            columns: self.tracking.config.columns.clone(),
            connections: 1,
            kept: None,
        };
        let rows = read::read(&self.server, reading, self.tracking.outcome.clone()).await;
        rows.map_err(|error| match error {
            // Not by the query, which nobody wrote.
            CopyError::Read { message, transient, .. } => {
                CopyError::Read { what: self.tracking.label.clone(), message, transient }
            }
            other => other,
        })
    }

    /// Reads the log, and the rows of the keys in it.
    async fn send(
        &self,
        table: Table,
        between: ChangedBetween,
        to: &mpsc::Sender<RecordBatch>,
    ) -> Result<(), CopyError> {
        let failed = |error| self.refused(&error);
        let connected = self.server.connect().await?;
        let looking = self.server.connect().await?;
        let publication = Dialect::Postgres.quoted(&self.publication);
        let values = [self.slot.clone(), place(between.until), publication].map(Value::from);
        let values: Vec<TextParam> = values.iter().map(TextParam::new).collect();
        let statement = connected.client.prepare(PEEK).await.map_err(failed)?;
        let messages = connected.client.query_raw(&statement, values).await.map_err(failed)?;
        let mut messages = Box::pin(messages);
        let mut log = Log { table: &table, places: HashMap::new(), wanted: None, chunk: Chunk::default() };
        while let Some(row) = messages.try_next().await.map_err(failed)? {
            let data: &[u8] = row.try_get(0).map_err(failed)?;
            let message = pgoutput::read(data);
            let message = message.ok_or_else(|| self.tracking.failed("the server's log has another form"))?;
            log.take(message, between).map_err(|message| match message {
                Unread::Truncated => self.tracking.forgotten("the table was truncated"),
                Unread::Key => self.tracking.failed("the log does not tell the whole key of a row"),
            })?;
            if log.chunk.keys.len() >= KEYS && !self.give(&looking, &table, &mut log.chunk, to).await? {
                return Ok(());
            }
        }
        self.give(&looking, &table, &mut log.chunk, to).await.map(drop)
    }

    /// Sends the rows of some keys; whether somebody takes more.
    async fn give(
        &self,
        looking: &Connected,
        table: &Table,
        chunk: &mut Chunk,
        to: &mpsc::Sender<RecordBatch>,
    ) -> Result<bool, CopyError> {
        let Chunk { keys, transactions } = std::mem::take(chunk);
        if keys.is_empty() {
            return Ok(true);
        }
        // A commit stands in the log before others see what it did.
        while !self.see(looking, &transactions).await? {
            if to.is_closed() {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut rows = self.rows(self.relation(table, keys.iter())).await?;
        while let Some(batch) = rows.batches.next().await {
            let batch = batch.map_err(|error| {
                let said = self.tracking.outcome.take_error();
                said.unwrap_or_else(|| self.tracking.failed(error.to_string()))
            })?;
            if to.send(batch).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a transaction that begins now sees what these did.
    async fn see(&self, looking: &Connected, transactions: &HashSet<u32>) -> Result<bool, CopyError> {
        let failed = |error| self.refused(&error);
        let row = looking.client.query_one("select txid_current_snapshot()::text", &[]).await;
        let snapshot: String = row.and_then(|row| row.try_get(0)).map_err(failed)?;
        sees(&snapshot, transactions)
            .ok_or_else(|| self.tracking.failed(format!("`{snapshot}` is no snapshot")))
    }
}

/// Whether a snapshot, `least:next:running,…`, sees what these transactions did. Theirs are the last 32 bits of the numbers that it has.
fn sees(snapshot: &str, transactions: &HashSet<u32>) -> Option<bool> {
    let mut parts = snapshot.split(':');
    let (_least, next, running) = (parts.next()?, parts.next()?, parts.next()?);
    #[allow(clippy::cast_possible_truncation, reason = "the log has the last 32 bits")]
    let number = |text: &str| text.parse::<u64>().ok().map(|number| number as u32);
    let next = number(next)?;
    let running: HashSet<u32> =
        running.split(',').filter(|text| !text.is_empty()).map(number).collect::<Option<_>>()?;
    let is_before = |transaction: u32| {
        let ahead = next.wrapping_sub(transaction);
        ahead != 0 && ahead < 1 << 31
    };
    Some(transactions.iter().all(|number| is_before(*number) && !running.contains(number)))
}

/// An array of texts, as the server reads it.
fn array<'t>(texts: impl Iterator<Item = &'t String>) -> String {
    let mut list = String::new();
    for text in texts {
        list.push_str(if list.is_empty() { "\"" } else { ",\"" });
        for sign in text.chars() {
            if matches!(sign, '"' | '\\') {
                list.push('\\');
            }
            list.push(sign);
        }
        list.push('"');
    }
    format!("E'{{{}}}'::text[]", list.replace('\\', "\\\\").replace('\'', "''"))
}

/// Keys that belong together, each once.
#[derive(Default)]
struct Chunk {
    keys: IndexSet<Vec<String>>,
    /// Which changed them.
    transactions: HashSet<u32>,
}

/// The log as it is read.
struct Log<'a> {
    table: &'a Table,
    /// Where the columns of the key stand in rows of the table and of its partitions.
    places: HashMap<Oid, Vec<usize>>,
    /// The transaction, if it is one between the two places.
    wanted: Option<u32>,
    chunk: Chunk,
}

/// Why changes cannot be followed.
#[derive(Debug, PartialEq)]
enum Unread {
    Truncated,
    Key,
}

impl Log<'_> {
    fn take(&mut self, message: Message, between: ChangedBetween) -> Result<(), Unread> {
        match message {
            Message::Begin { commit, transaction } => {
                let is_between = (between.since..between.until).contains(&commit);
                self.wanted = is_between.then_some(transaction);
            }
            Message::Relation { oid, columns } if self.table.oids.contains(&oid) => {
                let place = |(key, _): &(String, String)| columns.iter().position(|name| name == key);
                let places = self.table.keys.iter().map(place).collect::<Option<_>>();
                self.places.insert(oid, places.ok_or(Unread::Key)?);
            }
            Message::Change { oid, rows } => {
                let (Some(transaction), Some(places)) = (self.wanted, self.places.get(&oid)) else {
                    return Ok(());
                };
                self.chunk.transactions.insert(transaction);
                for row in rows {
                    let text = |place: &usize| match row.get(*place) {
                        Some(Cell::Text(text)) => Some(text.clone()),
                        _ => None,
                    };
                    let key = places.iter().map(text).collect::<Option<_>>().ok_or(Unread::Key)?;
                    self.chunk.keys.insert(key);
                }
            }
            Message::Truncate { oids } => {
                if self.wanted.is_some() && oids.iter().any(|oid| self.table.oids.contains(oid)) {
                    return Err(Unread::Truncated);
                }
            }
            Message::Relation { .. } | Message::Other => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Tracked for Changes {
    async fn now(&self, since: Option<u64>) -> Result<u64, CopyError> {
        let inner = &self.inner;
        let connected = inner.server.connect().await?;
        let table = inner.table(&connected).await?;
        let Some(since) = since else {
            return match inner.slot(&connected).await? {
                Some(confirmed) => inner.check_published(&connected, &table).await.map(|()| confirmed),
                None => inner.begin(&connected, &table).await,
            };
        };
        inner.check_slot(&connected, since).await?;
        inner.check_published(&connected, &table).await?;
        let now = inner.mark(&connected).await.map_err(|error| inner.refused(&error))?;
        Ok(u64::try_from(now).unwrap_or(since).max(since))
    }

    async fn changes(&self, between: ChangedBetween) -> Result<BatchStream, CopyError> {
        let inner = self.inner.clone();
        let connected = inner.server.connect().await?;
        let table = inner.table(&connected).await?;
        inner.check_slot(&connected, between.since).await?;
        let none: [Vec<String>; 0] = [];
        let schema = inner.rows(inner.relation(&table, none.iter())).await?.schema;
        let (sender, receiver) = mpsc::channel(BATCHES);
        let outcome = inner.tracking.outcome.clone();
        let sending = tokio::spawn(async move { inner.send(table, between, &sender).await });
        let state = (receiver, Some(AbortOnDropHandle::new(sending)), outcome);
        let batches = futures::stream::unfold(state, |(mut receiver, mut sending, outcome)| async move {
            if let Some(batch) = receiver.recv().await {
                return Some((Ok(batch), (receiver, sending, outcome)));
            }
            let failed = match sending.take()?.await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => outcome.fail(error),
                Err(error) => QueryError::Source { message: error.to_string() },
            };
            Some((Err(failed), (receiver, None, outcome)))
        });
        Ok(BatchStream { schema, batches: Box::pin(batches) })
    }

    async fn taken(&self, until: u64) -> Result<(), CopyError> {
        let inner = &self.inner;
        let connected = inner.server.connect().await?;
        let advance = "select pg_replication_slot_advance($1, $2)::text";
        let values = [inner.slot.clone(), place(until)].map(Value::from);
        let [slot, until] = values.each_ref().map(TextParam::new);
        let moved = connected.client.query_one(advance, &[&slot, &until]).await;
        moved.map(drop).map_err(|error| inner.refused(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_is_over() {
        let sees = |snapshot: &str, transactions: &[u32]| {
            super::sees(snapshot, &transactions.iter().copied().collect())
        };
        assert_eq!(sees("10:12:", &[9, 10, 11]), Some(true));
        assert_eq!(sees("10:12:10", &[9, 10]), Some(false));
        assert_eq!(sees("10:12:10,11", &[12]), Some(false));
        // Numbers of 64 bits, whose last 32 the log has; they begin again after the greatest.
        assert_eq!(sees("4294967296:4294967299:4294967297", &[u32::MAX, 0, 2]), Some(true));
        assert_eq!(sees("4294967296:4294967299:4294967297", &[1]), Some(false));
        assert_eq!(sees("x", &[1]), None);
    }

    #[test]
    fn texts_are_quoted_twice() {
        let texts = ["a'b".to_owned(), "c\\\"d".to_owned()];
        assert_eq!(array(texts.iter()), r#"E'{"a''b","c\\\\\\"d"}'::text[]"#);
    }
}
