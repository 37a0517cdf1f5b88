//! Rows for a table of ClickHouse, which has no transactions: they are staged in a table of their own and come over in one step each part of which
//! can be taken up again.

use std::pin::pin;
use std::sync::Arc;

use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use millrace_contract::BatchStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::Writing;
use super::types::{self, Taken};
use super::{ClickHouse, Refused, SILENCE, quoted};
use crate::config::Write;
use crate::error::CopyError;

/// Which loads there were, in the database of the tables they were for.
const LOADS: &str = "millrace_loads";
/// Digits of a load's key in the name of its stage.
const DIGITS: usize = 16;
/// Pieces of the stream that wait to be sent.
const PIECES: usize = 2;
/// What a table has for an id where its database gives none.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// A load.
pub(super) struct Load<'a> {
    server: &'a ClickHouse,
    writing: &'a Writing<'a>,
    database: Option<&'a str>,
    table: &'a str,
    stage: String,
}

/// Rows that are staged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Staged {
    rows: u64,
    /// The id of the table that they are in, which it keeps when it gets another name.
    id: String,
}

/// What is known of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    id: String,
    engine: String,
    /// Views that are told of rows that are inserted.
    views: String,
}

impl<'a> Load<'a> {
    pub(super) fn new(server: &'a ClickHouse, writing: &'a Writing<'a>) -> Self {
        let (database, table) = match writing.table.split_once('.') {
            Some((database, table)) => (Some(database), table),
            None => (None, writing.table),
        };
        let digest = blake3::hash(writing.key.as_bytes()).to_hex();
        let stage = format!("{table}__millrace_{}", digest.get(..DIGITS).unwrap_or_default());
        Self { server, writing, database, table, stage }
    }

    /// Loads the rows, unless they have been; how many there are.
    ///
    /// 1. They are inserted into the stage. A load that ends here has changed nothing; the next one drops the stage.
    /// 2. A row in the table of loads says that the stage is whole, and which table it is.
    /// 3. The stage comes over. Begun again, the table's id tells whether it has; parts that were moved are no longer in it.
    /// 4. A second row says that it has. The stage, empty or what the table was before, goes.
    /// 5. A third row, after the statements that come last, says that the load is done.
    pub(super) async fn run(&self, rows: BatchStream) -> Result<u64, CopyError> {
        let columns = "load_key String, load_rows UInt64, state String, stage UUID, loaded_at DateTime64(3) DEFAULT now64(3)";
        let loads = self.beside(LOADS);
        self.command(&format!(
            "CREATE TABLE IF NOT EXISTS {loads} ({columns}) ENGINE = MergeTree ORDER BY load_key"
        ))
        .await?;
        if let Some(done) = self.state("done").await? {
            return Ok(done.rows);
        }
        let arrived = match self.state("arrived").await? {
            Some(arrived) => arrived,
            None => {
                let staged = match self.state("staged").await? {
                    Some(staged) => staged,
                    None => self.staged(rows).await?,
                };
                self.bring(&staged).await?;
                self.note("arrived", &staged).await?;
                staged
            }
        };
        self.drop_stage().await?;
        for sql in self.writing.post_sql {
            self.command(sql).await?;
        }
        self.note("done", &arrived).await?;
        Ok(arrived.rows)
    }

    async fn staged(&self, rows: BatchStream) -> Result<Staged, CopyError> {
        let staged = self.stage(rows).await;
        if staged.is_err() {
            // A server that cannot be reached keeps it until the step is begun again.
            self.drop_stage().await.ok();
        }
        let staged = staged?;
        self.note("staged", &staged).await?;
        Ok(staged)
    }

    async fn stage(&self, rows: BatchStream) -> Result<Staged, CopyError> {
        for sql in self.writing.pre_sql {
            self.command(sql).await?;
        }
        let taken = types::taken(&rows.schema).map_err(|message| self.failed(&message))?;
        self.drop_stage().await?;
        let stage = self.beside(&self.stage);
        match self.known(self.table).await? {
            Some(table) => {
                self.check(&table)?;
                self.command(&format!("CREATE TABLE {stage} AS {}", self.beside(self.table))).await?;
            }
            None => {
                let columns = taken.declared.join(", ");
                self.command(&format!(
                    "CREATE TABLE {stage} ({columns}) ENGINE = MergeTree ORDER BY tuple()"
                ))
                .await?;
            }
        }
        let id = self.known(&self.stage).await?.map(|table| table.id).filter(|id| id != NO_ID);
        let id = id.ok_or_else(|| {
            self.failed("its database gives tables no ids, so nothing could be begun again; it takes one of the engine `Atomic`")
        })?;
        let rows = self.insert(rows, taken).await?;
        Ok(Staged { rows, id })
    }

    /// Whether a table can be written as the step says.
    fn check(&self, table: &Table) -> Result<(), CopyError> {
        if !table.engine.ends_with("MergeTree") {
            let engine = &table.engine;
            return Err(self.failed(&format!(
                "it is of the engine `{engine}`, whose rows cannot come over at once; write a table of the family MergeTree"
            )));
        }
        if table.views != "[]" && *self.writing.write == Write::Append {
            let message =
                format!("the views {} would not be told of rows that come over at once", table.views);
            let hint = "write another table, and then `post_sql: [\"insert into … select * from …\"]`";
            return Err(self.failed(&format!("{message}; {hint}")));
        }
        Ok(())
    }

    /// Makes the staged rows those of the table. It may be done, in whole or in part.
    async fn bring(&self, staged: &Staged) -> Result<(), CopyError> {
        let (stage, target) = (self.beside(&self.stage), self.beside(self.table));
        let table = self.known(self.table).await?;
        if table.as_ref().is_some_and(|table| table.id == staged.id) {
            return Ok(());
        }
        if self.known(&self.stage).await?.is_none_or(|stage| stage.id != staged.id) {
            let stage = &self.stage;
            return Err(
                self.failed(&format!("somebody has taken away `{stage}`, in which its rows were staged"))
            );
        }
        match (table, self.writing.write) {
            (None, _) => self.command(&format!("RENAME TABLE {stage} TO {target}")).await,
            (Some(_), Write::Append) => {
                for partition in self.partitions().await? {
                    let partition = literal(&partition);
                    self.command(&format!(
                        "ALTER TABLE {stage} MOVE PARTITION ID {partition} TO TABLE {target}"
                    ))
                    .await?;
                }
                Ok(())
            }
            (Some(_), _) => self.command(&format!("EXCHANGE TABLES {stage} AND {target}")).await,
        }
    }

    async fn partitions(&self) -> Result<Vec<String>, CopyError> {
        let (database, table) = (self.in_database(), literal(&self.stage));
        let condition = format!("database = {database} AND table = {table} AND active");
        let rows = self
            .rows(&format!("SELECT DISTINCT partition_id FROM system.parts WHERE {condition} ORDER BY 1"))
            .await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
    }

    async fn known(&self, table: &str) -> Result<Option<Table>, CopyError> {
        let (database, table) = (self.in_database(), literal(table));
        let columns = "toString(uuid), engine, toString(dependencies_table)";
        let condition = format!("database = {database} AND name = {table}");
        let rows = self.rows(&format!("SELECT {columns} FROM system.tables WHERE {condition}")).await?;
        Ok(rows.into_iter().next().and_then(|row| {
            let mut cells = row.into_iter();
            Some(Table { id: cells.next()?, engine: cells.next()?, views: cells.next()? })
        }))
    }

    /// A state of this load, if it has reached it.
    async fn state(&self, state: &str) -> Result<Option<Staged>, CopyError> {
        let (loads, key, state) = (self.beside(LOADS), literal(self.writing.key), literal(state));
        let sql = format!(
            "SELECT toString(load_rows), toString(stage) FROM {loads} WHERE load_key = {key} AND state = {state} \
             ORDER BY loaded_at DESC LIMIT 1"
        );
        let found = self.rows(&sql).await?.into_iter().next();
        Ok(found.and_then(|row| {
            let mut cells = row.into_iter();
            Some(Staged { rows: cells.next()?.parse().ok()?, id: cells.next()? })
        }))
    }

    async fn note(&self, state: &str, staged: &Staged) -> Result<(), CopyError> {
        let (loads, key, state) = (self.beside(LOADS), literal(self.writing.key), literal(state));
        let values = format!("{key}, {}, {state}, {}", staged.rows, literal(&staged.id));
        self.command(&format!("INSERT INTO {loads} (load_key, load_rows, state, stage) VALUES ({values})"))
            .await
    }

    async fn drop_stage(&self) -> Result<(), CopyError> {
        self.command(&format!("DROP TABLE IF EXISTS {} SYNC", self.beside(&self.stage))).await
    }

    /// Sends the rows as one Arrow stream; how many there are. The server is asked for the next piece no sooner than it has taken one.
    async fn insert(&self, rows: BatchStream, taken: Taken) -> Result<u64, CopyError> {
        let names: Vec<String> = taken.schema.fields().iter().map(|field| quoted(field.name())).collect();
        let sql =
            format!("INSERT INTO {} ({}) FORMAT ArrowStream", self.beside(&self.stage), names.join(", "));
        let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(PIECES);
        let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        });
        let request = self.server.request(&self.server.loader).query(&[("query", sql.as_str())]).query(&[
            // What has no place is refused, and the answer comes when the rows are there.
            ("input_format_null_as_default", "0"),
            ("async_insert", "0"),
            ("wait_end_of_query", "1"),
        ]);
        let request = request.body(reqwest::Body::wrap_stream(pieces));
        let mut asking =
            pin!(async { self.server.answer(request).await.map_err(|refused| self.refused(&refused)) });
        let mut sending = pin!(self.send(rows, Arc::new(taken), sender));
        let silent = || self.refused(&Refused::silent());
        tokio::select! {
            biased;
            sent = &mut sending => {
                let sent = sent?;
                timeout(SILENCE, asking).await.map_err(|_| silent())??;
                sent
            }
            answer = &mut asking => {
                // Where the source is to blame, it has said so by now.
                if let Some(sent) = sending.now_or_never() {
                    sent?;
                }
                answer.map(drop)?;
                None
            }
        }
        .ok_or_else(|| self.failed("the server has left rows"))
    }

    /// How many rows there are; `None` if the server takes no more.
    async fn send(
        &self,
        mut rows: BatchStream,
        taken: Arc<Taken>,
        to: mpsc::Sender<Result<Bytes, std::io::Error>>,
    ) -> Result<Option<u64>, CopyError> {
        let failed = |message: String| self.failed(&message);
        // The stream begins with its schema, which goes with the first piece.
        let mut writer =
            StreamWriter::try_new(Vec::new(), &taken.schema).map_err(|error| failed(error.to_string()))?;
        let mut count = 0;
        loop {
            let next = match rows.batches.next().await.transpose() {
                Ok(next) => next,
                Err(error) => {
                    // The server is to forget what it has of them.
                    to.send(Err(std::io::Error::other("the rows broke off"))).await.ok();
                    return Err(CopyError::read("the source", &error));
                }
            };
            let end = next.is_none();
            count += next.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            let taken = taken.clone();
            let encoding = tokio::task::spawn_blocking(move || encoded(writer, next, &taken));
            let (back, piece) = encoding.await.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
            writer = back;
            match timeout(SILENCE, to.send(Ok(piece.into()))).await {
                Err(_) => return Err(self.refused(&Refused::silent())),
                Ok(Err(_)) => return Ok(None),
                Ok(Ok(())) if end => return Ok(Some(count)),
                Ok(Ok(())) => {}
            }
        }
    }

    async fn command(&self, sql: &str) -> Result<(), CopyError> {
        let request = self
            .server
            .request(&self.server.client)
            .query(&[("wait_end_of_query", "1")])
            .body(sql.to_owned());
        let answer = self.server.answer(request).await.map_err(|refused| self.refused(&refused))?;
        answer.bytes().await.map(drop).map_err(|error| self.refused(&Refused::broken(error)))
    }

    /// The cells of a short answer.
    async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, CopyError> {
        let request = self.server.request(&self.server.client).body(format!("{sql} FORMAT TabSeparatedRaw"));
        let answer = self.server.answer(request).await.map_err(|refused| self.refused(&refused))?;
        let text = answer.text().await.map_err(|error| self.refused(&Refused::broken(error)))?;
        Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// A table of the same database.
    fn beside(&self, table: &str) -> String {
        let database = self.database.map(|database| format!("{}.", quoted(database))).unwrap_or_default();
        format!("{database}{}", quoted(table))
    }

    fn in_database(&self) -> String {
        self.database.map_or_else(|| "currentDatabase()".to_owned(), literal)
    }

    fn failed(&self, message: &str) -> CopyError {
        self.refused(&Refused { message: message.to_owned(), passes: false })
    }

    fn refused(&self, refused: &Refused) -> CopyError {
        CopyError::Write {
            what: self.writing.label.clone(),
            message: self.server.masked(&refused.message),
            transient: refused.passes,
        }
    }
}

/// The piece of a stream that a batch is, or its end.
type Encoded = (StreamWriter<Vec<u8>>, Vec<u8>);

fn encoded(
    mut writer: StreamWriter<Vec<u8>>,
    batch: Option<RecordBatch>,
    taken: &Taken,
) -> Result<Encoded, String> {
    let written = match batch {
        Some(batch) => writer.write(&taken.apply(&batch)?),
        None => writer.finish(),
    };
    written.map_err(|error| error.to_string())?;
    let piece = std::mem::take(writer.get_mut());
    Ok((writer, piece))
}

/// A text in a query.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
