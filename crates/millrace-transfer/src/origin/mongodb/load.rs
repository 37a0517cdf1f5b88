//! Rows for a collection, which has no transactions on every server: what an attempt that was killed has left is found by its ids.

use std::future::Future;
use std::pin::pin;

use arrow::datatypes::SchemaRef;
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::Error;
use mongodb::{Client, Database};

use super::super::Writing;
use super::super::sql::cast_to;
use super::{MongoDb, Place, SILENCE, values};
use crate::config::Write;
use crate::error::CopyError;

/// Which loads there were, in the database of the collections they were for.
const LOADS: &str = "millrace_loads";
/// Documents that go at once.
const AT_ONCE: usize = 1_000;
/// Bytes that go at once; a message of the protocol has at most 48 million.
const BYTES: usize = 8 << 20;
/// The server's code for a collection that is not there.
const NO_NAMESPACE: i32 = 26;
/// Digits of a load's key in the name of its stage.
const DIGITS: usize = 16;

/// A load.
pub(super) struct Load<'a> {
    server: &'a MongoDb,
    writing: &'a Writing<'a>,
    client: Client,
    database: Database,
    collection: String,
    /// The key's digest.
    digest: [u8; 32],
}

/// How documents are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ids {
    /// By the load and the number of their row.
    Numbered,
    /// By this field of theirs, or these.
    Fields(Vec<String>),
}

impl<'a> Load<'a> {
    pub(super) async fn new(
        server: &'a MongoDb,
        writing: &'a Writing<'a>,
        place: Place,
    ) -> Result<Self, CopyError> {
        let client = server.client().await.map_err(|error| failed(server, writing, &error))?;
        let database = client.database(&place.database);
        let digest = *blake3::hash(writing.key.as_bytes()).as_bytes();
        Ok(Self { server, writing, client, database, collection: place.collection, digest })
    }

    /// Loads the rows, unless they have been; how many there are.
    pub(super) async fn run(&self, rows: BatchStream) -> Result<u64, CopyError> {
        let known = self.database.collection::<Document>(LOADS);
        let found = async { known.find_one(doc! {"_id": self.writing.key}).await };
        if let Some(found) = self.answered(found).await? {
            return Ok(found.get_i64("rows").ok().and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0));
        }
        let schema = values::taken(&rows.schema).map_err(|message| self.refused(&message))?;
        let own = schema.fields().iter().any(|field| field.name() == "_id");
        let count = match self.writing.write {
            Write::Upsert(keys) => {
                self.index(keys).await?;
                self.fill(&self.collection, rows, schema, &Ids::Fields(keys.clone())).await?
            }
            Write::Append if own => {
                self.fill(&self.collection, rows, schema, &Ids::Fields(vec!["_id".to_owned()])).await?
            }
            Write::Append => {
                // Those of an attempt that was killed.
                self.take_back().await?;
                let filled = self.fill(&self.collection, rows, schema, &Ids::Numbered).await;
                if filled.is_err() {
                    // A server that cannot be reached keeps them until the step is begun again.
                    self.take_back().await.ok();
                }
                filled?
            }
            _ => self.replace(rows, schema, own).await?,
        };
        let rows = i64::try_from(count).unwrap_or(i64::MAX);
        // Only the end of the step can come behind it.
        let done = doc! {"q": {"_id": self.writing.key}, "u": {"$set": {"rows": rows}, "$currentDate": {"at": true}}, "upsert": true};
        self.command(doc! {"update": LOADS, "updates": [done]}).await?;
        Ok(count)
    }

    /// Fills another collection with the rows, which then gets the name of this one.
    async fn replace(&self, rows: BatchStream, schema: SchemaRef, own: bool) -> Result<u64, CopyError> {
        let digest: String = self.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let stage = format!("{}__millrace_{}", self.collection, digest.get(..DIGITS).unwrap_or_default());
        self.drop(&stage).await?;
        let filled = self.fill_stage(&stage, rows, schema, own).await;
        let done = match filled {
            Ok(count) => {
                let (database, to) = (self.database.name(), &self.collection);
                let rename = doc! {
                    "renameCollection": format!("{database}.{stage}"), "to": format!("{database}.{to}"), "dropTarget": true,
                    "writeConcern": {"w": "majority"},
                };
                let admin = self.client.database("admin");
                self.answered(async { admin.run_command(rename).await }).await.map(|_| count)
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.drop(&stage).await.ok();
        }
        done
    }

    /// The stage has the options and the indexes of the collection, if that is there.
    async fn fill_stage(
        &self,
        stage: &str,
        rows: BatchStream,
        schema: SchemaRef,
        own: bool,
    ) -> Result<u64, CopyError> {
        let mut create = doc! {"create": stage};
        let there = self.described().await?;
        if let Some(there) = &there {
            let kind = there.get_str("type").unwrap_or("collection");
            if kind != "collection" {
                return Err(
                    self.refused(&format!("it is a {kind}, which no other collection can take the place of"))
                );
            }
            if let Ok(options) = there.get_document("options") {
                create.extend(options.clone());
            }
        }
        self.command(create).await?;
        if there.is_some() {
            let indexes: Vec<Bson> = self.indexes().await?.into_iter().map(Bson::Document).collect();
            if !indexes.is_empty() {
                self.command(doc! {"createIndexes": stage, "indexes": indexes}).await?;
            }
        }
        let ids = if own { Ids::Fields(vec!["_id".to_owned()]) } else { Ids::Numbered };
        self.fill(stage, rows, schema, &ids).await
    }

    /// What the server knows of the collection.
    async fn described(&self) -> Result<Option<Document>, CopyError> {
        let list = doc! {"listCollections": 1, "filter": {"name": &self.collection}};
        Ok(self.command(list).await.map(first_batch)?.into_iter().next())
    }

    /// Its indexes but that of `_id`, which every collection has.
    async fn indexes(&self) -> Result<Vec<Document>, CopyError> {
        let indexes =
            self.command(doc! {"listIndexes": &self.collection, "cursor": {"batchSize": 1_000}}).await?;
        let without = |mut index: Document| {
            index.remove("ns");
            index
        };
        Ok(first_batch(indexes)
            .into_iter()
            .filter(|index| index.get_str("name").ok() != Some("_id_"))
            .map(without)
            .collect())
    }

    /// Gives a collection that is not there yet an index that finds its keys.
    async fn index(&self, keys: &[String]) -> Result<(), CopyError> {
        if keys == ["_id"] || self.described().await?.is_some() {
            return Ok(());
        }
        let fields: Document = keys.iter().map(|key| (key.clone(), Bson::Int32(1))).collect();
        let index = doc! {"key": fields, "name": "millrace_keys", "unique": true};
        self.command(doc! {"createIndexes": &self.collection, "indexes": [index]}).await.map(drop)
    }

    async fn fill(
        &self,
        to: &str,
        mut rows: BatchStream,
        schema: SchemaRef,
        ids: &Ids,
    ) -> Result<u64, CopyError> {
        let mut count = 0;
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = rows.batches.next().await {
            let batch = batch.map_err(|error| CopyError::read("the source", &error))?;
            let batch = cast_to(&batch, &schema).map_err(|message| self.refused(&message))?;
            for row in 0..batch.num_rows() {
                let fields = values::document(&schema, batch.columns(), row);
                let change = fields.and_then(|fields| self.change(fields, ids, count));
                let change =
                    change.map_err(|message| self.refused(&format!("row {}: {message}", count + 1)))?;
                count += 1;
                bytes += change.to_vec().map_err(|error| self.refused(&error.to_string()))?.len();
                waiting.push(change);
                if waiting.len() == AT_ONCE || bytes >= BYTES {
                    self.send(to, ids, std::mem::take(&mut waiting)).await?;
                    bytes = 0;
                }
            }
        }
        if !waiting.is_empty() {
            self.send(to, ids, waiting).await?;
        }
        Ok(count)
    }

    /// What is done for a row: a document that is inserted, or a change to the one that there is.
    fn change(&self, mut fields: Document, ids: &Ids, row: u64) -> Result<Document, String> {
        let Ids::Fields(keys) = ids else {
            let mut whole = doc! {"_id": self.id(row)};
            whole.extend(fields);
            return Ok(whole);
        };
        let mut found = Document::new();
        for key in keys {
            match fields.get(key) {
                // A filter for nothing would find documents without the field, too.
                None | Some(Bson::Null) => {
                    return Err(format!("it has no value in `{key}`, which tells it from others"));
                }
                Some(value) => found.insert(key.clone(), value.clone()),
            };
        }
        if matches!(self.writing.write, Write::Upsert(_)) {
            fields.remove("_id");
            let fields = if fields.is_empty() {
                doc! {"$setOnInsert": {}}
            } else {
                doc! {"$set": fields}
            };
            return Ok(doc! {"q": found, "u": fields, "upsert": true});
        }
        Ok(doc! {"q": found, "u": fields, "upsert": true})
    }

    async fn send(&self, to: &str, ids: &Ids, changes: Vec<Document>) -> Result<(), CopyError> {
        let changes: Vec<Bson> = changes.into_iter().map(Bson::Document).collect();
        let command = match ids {
            Ids::Numbered => doc! {"insert": to, "documents": changes},
            Ids::Fields(_) => doc! {"update": to, "updates": changes},
        };
        self.command(command).await.map(drop)
    }

    /// The id of a row: eight bytes that are the load's, and the row's number.
    fn id(&self, row: u64) -> Bson {
        let load = self.digest.iter().take(8).copied();
        let bytes = load.chain(row.to_be_bytes()).collect();
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes })
    }

    /// Deletes what a load under this key has appended.
    async fn take_back(&self) -> Result<(), CopyError> {
        let ours = doc! {"_id": {"$gte": self.id(0), "$lte": self.id(u64::MAX)}};
        self.command(doc! {"delete": &self.collection, "deletes": [{"q": ours, "limit": 0}]}).await.map(drop)
    }

    async fn drop(&self, collection: &str) -> Result<(), CopyError> {
        let dropping = async {
            match self.database.run_command(doc! {"drop": collection}).await {
                Err(error) if code(&error) == Some(NO_NAMESPACE) => Ok(Document::new()),
                done => done,
            }
        };
        self.answered(dropping).await.map(drop)
    }

    /// A command whose writes are those of the most of the servers when it is done; the driver tells no errors of single writes.
    async fn command(&self, mut command: Document) -> Result<Document, CopyError> {
        let writes = ["insert", "update", "delete", "create", "createIndexes"];
        if command.keys().next().is_some_and(|name| writes.contains(&name.as_str())) {
            command.insert("writeConcern", doc! {"w": "majority"});
        }
        let answer = self.answered(async { self.database.run_command(command).await }).await?;
        let wrong = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document());
        match wrong.or_else(|| answer.get_document("writeConcernError").ok()) {
            Some(error) => Err(self.refused(error.get_str("errmsg").unwrap_or("a write has failed"))),
            None => Ok(answer),
        }
    }

    /// What the server answers, if it does.
    async fn answered<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, CopyError> {
        match tokio::time::timeout(SILENCE, pin!(question)).await {
            Ok(answer) => answer.map_err(|error| failed(self.server, self.writing, &error)),
            Err(_) => {
                let message = format!("the server says nothing for {} s", SILENCE.as_secs());
                Err(CopyError::Write { what: self.writing.label.clone(), message, transient: true })
            }
        }
    }

    fn refused(&self, message: &str) -> CopyError {
        CopyError::write(&self.writing.label, &self.server.masked(message))
    }
}

fn failed(server: &MongoDb, writing: &Writing<'_>, error: &Error) -> CopyError {
    let (message, transient) = server.said(error);
    CopyError::Write { what: writing.label.clone(), message, transient }
}

fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// The documents of an answer that has all of them.
fn first_batch(answer: Document) -> Vec<Document> {
    let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    batch
        .map(|batch| batch.iter().filter_map(|item| item.as_document().cloned()).collect())
        .unwrap_or_default()
}
