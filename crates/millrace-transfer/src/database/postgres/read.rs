//! Reading: one snapshot, several connections, rows in the table's order.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{TryReadyChunks, TryReadyChunksError};
use futures::{Stream as _, StreamExt as _, TryStreamExt as _};
use millrace_contract::BatchStream;
use serde_json::Value;
use tokio_postgres::CopyOutStream;
use tokio_postgres::types::{FromSql, Type};

use super::columns::{Column, Kind};
use super::decode::Decoder;
use super::parts;
use super::{Connected, Postgres, TextParam, failed, tap};
use crate::database::parted::{self, Batches, PartReader, Parted};
use crate::database::{Dialect, Reading};
use crate::error::CopyError;
use crate::meter::{Meter, Stage};
use crate::source::Outcome;

/// Messages, each a row, that are decoded in one go.
const AT_ONCE: usize = 256;
/// What every COPY in binary form begins with, before the length of what may follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// How values look that are read as text.
const SETTINGS: &str = "set local synchronize_seqscans = off; set local timezone = 'UTC'; set local datestyle = 'ISO'; \
                        set local intervalstyle = 'postgres'; set local bytea_output = 'hex'";

/// What is read.
struct Query {
    what: String,
    kinds: Vec<Kind>,
    schema: SchemaRef,
    /// `select … from …`.
    select: String,
    condition: Option<String>,
    values: Vec<Value>,
    meter: Arc<Meter>,
}

/// Reads a table or a query.
pub(super) async fn read(
    server: &Postgres,
    reading: Reading,
    outcome: Outcome,
) -> Result<BatchStream, CopyError> {
    let fail = |error: tokio_postgres::Error| failed(&reading.relation, &error);
    let leader = server.connect().await?;
    leader.client.batch_execute("begin isolation level repeatable read, read only").await.map_err(fail)?;
    leader.client.batch_execute(SETTINGS).await.map_err(fail)?;
    let from = Dialect::Postgres.relation(&reading.relation);
    let columns = describe(&leader, &reading, &from).await?;
    let expressions: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
    let (condition, values) = reading.condition();
    let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
    let query = Query {
        what: reading.relation.clone(),
        kinds: columns.iter().map(|column| column.kind.clone()).collect(),
        schema: schema.clone(),
        select: format!("select {} from {from}", expressions.join(", ")),
        condition: condition.map(str::to_owned),
        values: values.to_vec(),
        meter: outcome.meter.clone(),
    };
    // A mistake in the condition is known before a sink is opened.
    leader.client.prepare(&query.sql(None)).await.map_err(fail)?;
    let parts = parts::of(&leader, &reading, &from).await?;
    let parts = reading.begun(&query.select, &schema, parts)?;
    let parted = Parted { schema, parts, outcome, kept: reading.kept.clone() };
    let (count, query) = (parted.workers(reading.connections), Arc::new(query));
    let worker = |connected| Worker { connected, query: query.clone() };
    if count > 1 {
        let row = leader.client.query_one("select pg_export_snapshot()", &[]).await.map_err(fail)?;
        let snapshot: String = row.try_get(0).map_err(fail)?;
        let mut workers = Vec::new();
        for _ in 0..count {
            let connected = server.connect().await?;
            let begin = format!(
                "begin isolation level repeatable read, read only; set transaction snapshot '{}'; {SETTINGS}",
                snapshot.replace('\'', "''")
            );
            connected.client.batch_execute(&begin).await.map_err(fail)?;
            workers.push(worker(connected));
        }
        // The snapshot is there as long as the leader's transaction.
        Ok(parted.read(workers, leader))
    } else {
        Ok(parted.read(vec![worker(leader)], ()))
    }
}

async fn describe(leader: &Connected, reading: &Reading, from: &str) -> Result<Vec<Column>, CopyError> {
    let described = leader.client.prepare(&format!("select * from {from}")).await;
    let described = described.map_err(|error| failed(&reading.relation, &error))?;
    let column = |column: &tokio_postgres::Column| {
        let declared = reading.columns.get(column.name());
        Column::new(column.name(), column.type_(), column.type_modifier(), declared)
    };
    Ok(described.columns().iter().map(column).collect())
}

/// A connection with what it reads.
struct Worker {
    connected: Connected,
    query: Arc<Query>,
}

#[async_trait]
impl PartReader for Worker {
    async fn read(&mut self, part: Option<&str>, to: &Batches) -> Result<(), CopyError> {
        self.query.read(&self.connected, part, to).await
    }
}

impl Query {
    fn sql(&self, part: Option<&str>) -> String {
        parted::query(&self.select, self.condition.as_deref(), part)
    }

    async fn read(&self, connected: &Connected, part: Option<&str>, to: &Batches) -> Result<(), CopyError> {
        // COPY takes no values.
        if self.values.is_empty() {
            self.copy(connected, part, to).await
        } else {
            self.query(connected, part, to).await
        }
    }

    async fn copy(&self, connected: &Connected, part: Option<&str>, to: &Batches) -> Result<(), CopyError> {
        let fail = |error: tokio_postgres::Error| failed(&self.what, &error);
        let wrong = |message: String| CopyError::read(&self.what, &message);
        let sql = format!("copy ({}) to stdout (format binary)", self.sql(part));
        let taken = connected.rows.as_ref().and_then(tap::Rows::taken);
        let mut messages =
            Box::pin(connected.client.copy_out(&sql).await.map_err(fail)?.try_ready_chunks(AT_ONCE));
        let mut copy =
            Copying { decoder: Decoder::new(self.schema.clone(), &self.kinds), begun: false, ended: false };
        loop {
            let waiting = Instant::now();
            let next = std::future::poll_fn(|context| arrived(taken.as_ref(), messages.as_mut(), context));
            let Some(arrived) = next.await else { break };
            let decoding = Instant::now();
            self.meter.add(Stage::Read, decoding - waiting);
            let more = match arrived {
                Arrived::Wire(rows) => self.take(&mut copy, tap::messages(&rows), to).await,
                Arrived::Messages(messages) => {
                    let messages = messages.map_err(|TryReadyChunksError(_, error)| fail(error))?;
                    self.take(&mut copy, messages.iter().map(AsRef::as_ref), to).await
                }
            };
            if !more.map_err(wrong)? {
                return Ok(());
            }
            self.meter.add(Stage::Decode, decoding.elapsed());
        }
        if !copy.ended {
            return Err(CopyError::Read {
                what: self.what.clone(),
                message: "the connection ended before the last row".to_owned(),
                transient: true,
            });
        }
        if let Some(taken) = taken {
            taken.ended();
        }
        give(&mut copy.decoder, to, &self.meter).await.map_err(wrong).map(drop)
    }

    /// Decodes what messages hold; whether somebody takes more.
    async fn take<'m>(
        &self,
        copy: &mut Copying,
        messages: impl Iterator<Item = &'m [u8]>,
        to: &Batches,
    ) -> Result<bool, String> {
        let some = AT_ONCE * self.kinds.len();
        let mut cells = Vec::with_capacity(some);
        for mut data in messages {
            if !copy.begun {
                data = after_header(data).ok_or("it is not COPY's binary form")?;
                copy.begun = true;
            }
            while !data.is_empty() && !copy.ended {
                match copy.decoder.cut(data, &mut cells)? {
                    Some(rest) => data = rest,
                    None => copy.ended = true,
                }
                if copy.decoder.is_full() || cells.len() >= some {
                    copy.decoder.decode(&cells)?;
                    cells.clear();
                }
                if copy.decoder.is_full() && !give(&mut copy.decoder, to, &self.meter).await? {
                    return Ok(false);
                }
            }
        }
        copy.decoder.decode(&cells)?;
        Ok(true)
    }

    async fn query(&self, connected: &Connected, part: Option<&str>, to: &Batches) -> Result<(), CopyError> {
        let fail = |error: tokio_postgres::Error| failed(&self.what, &error);
        let wrong = |message: String| CopyError::read(&self.what, &message);
        let values: Vec<TextParam> = self.values.iter().map(TextParam::new).collect();
        let statement = connected.client.prepare(&self.sql(part)).await.map_err(fail)?;
        let rows = connected.client.query_raw(&statement, values).await.map_err(fail)?;
        let mut rows = Box::pin(rows.ready_chunks(AT_ONCE));
        let mut decoder = Decoder::new(self.schema.clone(), &self.kinds);
        loop {
            let waiting = Instant::now();
            let Some(chunk) = rows.next().await else { break };
            let decoding = Instant::now();
            self.meter.add(Stage::Read, decoding - waiting);
            for row in chunk {
                let row = row.map_err(fail)?;
                let raw =
                    (0..self.kinds.len()).map(|index| row.try_get::<_, Raw<'_>>(index).map(|raw| raw.0));
                let raw = raw.collect::<Result<Vec<_>, _>>().map_err(fail)?;
                decoder.values(&raw).map_err(wrong)?;
                if decoder.is_full() && !give(&mut decoder, to, &self.meter).await.map_err(wrong)? {
                    return Ok(());
                }
            }
            self.meter.add(Stage::Decode, decoding.elapsed());
        }
        give(&mut decoder, to, &self.meter).await.map_err(wrong).map(drop)
    }
}

/// Rows of a COPY on their way.
struct Copying {
    decoder: Decoder,
    begun: bool,
    ended: bool,
}

/// What has come of a COPY.
enum Arrived {
    /// Whole messages off the wire.
    Wire(Bytes),
    /// What the client has taken apart, where there is no tap.
    Messages(Result<Vec<Bytes>, TryReadyChunksError<Bytes, tokio_postgres::Error>>),
}

type Messages = TryReadyChunks<CopyOutStream>;

fn arrived(
    taken: Option<&tap::Taken>,
    messages: Pin<&mut Messages>,
    context: &mut Context<'_>,
) -> Poll<Option<Arrived>> {
    let off_the_wire = |context: &Context<'_>| taken.map_or(Poll::Pending, |taken| taken.poll(context));
    if let Poll::Ready(rows) = off_the_wire(context) {
        return Poll::Ready(Some(Arrived::Wire(rows)));
    }
    match messages.poll_next(context) {
        // Its last message came behind the last row; that may have been taken off since the look above.
        Poll::Ready(None) => match off_the_wire(context) {
            Poll::Ready(rows) => Poll::Ready(Some(Arrived::Wire(rows))),
            Poll::Pending => Poll::Ready(None),
        },
        messages => messages.map(|messages| messages.map(Arrived::Messages)),
    }
}

/// Sends what is decoded; whether somebody takes more.
async fn give(decoder: &mut Decoder, to: &Batches, meter: &Meter) -> Result<bool, String> {
    let Some((batch, bytes)) = decoder.finish()? else { return Ok(true) };
    meter.read(bytes);
    Ok(to.send(Ok(batch)).await.is_ok())
}

/// What follows the signature, the flags and the extension.
fn after_header(data: &[u8]) -> Option<&[u8]> {
    let (_flags, rest) = data.strip_prefix(SIGNATURE)?.split_at_checked(4)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)
}

/// A value as the server sent it.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
