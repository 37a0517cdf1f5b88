//! MQTT topics, read some messages at a time.
//!
//! A broker gives no more than some messages before it is told of the first that it may forget it, and forgets what it was told on another
//! connection. So what comes is kept in a file here before it is acknowledged there, and given from that file until the sink has it.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{QueueMessage, QueueReader, Received};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{MqttProtocol, MqttTopic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kept::Kept;
use super::mqtt::{MqttServer, Topic};
use crate::connection::Server;
use crate::queue::{Subscriber, Subscription as _};

/// A broker that has sent nothing for so long has nothing.
const SILENT: Duration = Duration::from_secs(1);

/// How long another copy may read it: one that has just ended may hold it a moment longer, as may a program that is being started.
const PATIENCE: Duration = Duration::from_secs(1);

/// A topic that is read.
pub(crate) struct Reading {
    topic: Topic,
    spool: Spool,
}

impl Reading {
    pub(crate) async fn begin(
        topic: String,
        server: Server<MqttServer>,
        reader: &Subscriber,
        folder: &Path,
    ) -> Result<Self, Problem> {
        let digest = blake3::hash(format!("{}\0{}\0{topic}", reader.name, server.address).as_bytes());
        // 23 characters are all that MQTT 3.1.1 promises.
        let client_id = Some(format!("millrace-{:.14}", digest.to_hex()));
        let connection = server.connection.clone();
        let spec = MqttTopic { mqtt: topic, connection, protocol: MqttProtocol::Mqtt5, client_id };
        if let Some(problem) = spec.problem() {
            return Err(problem);
        }
        let spool = Spool::open(folder.join(format!("{:.32}", digest.to_hex()))).await?;
        let mut topic = Topic::new(spec, server, reader);
        topic.begin(spool.known.as_ref()).await?;
        Ok(Self { topic, spool })
    }
}

#[async_trait]
impl QueueReader for Reading {
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem> {
        if !self.spool.has_more() {
            let messages = self.topic.receive_within(wait).await?;
            if !messages.is_empty() {
                let messages = messages.into_iter().map(QueueMessage::from).collect();
                self.spool.keep(messages, self.topic.cursor()).await?;
            }
            // Retained messages are acknowledged too; they are none that came.
            self.topic.settle().await?;
        }
        let messages = self.spool.give(most);
        let is_all = messages.is_empty() && wait >= SILENT;
        Ok(Received { messages, is_all })
    }

    async fn acknowledge(&mut self) -> Result<(), Problem> {
        self.spool.forget().await
    }
}

/// Messages that the broker has forgotten and the sink does not have yet.
struct Spool {
    kept: Kept,
    messages: VecDeque<QueueMessage>,
    /// Ids of these and of what was forgotten since it was opened.
    seen: HashSet<String>,
    /// How many of them were given.
    given: usize,
    /// What the subscription has to know about what it received last.
    known: Option<Value>,
}

/// A line of the file: what came together. One that is not whole was never acknowledged.
#[derive(Serialize, Deserialize)]
struct Batch {
    known: Value,
    messages: Vec<QueueMessage>,
}

impl Spool {
    async fn open(folder: PathBuf) -> Result<Self, Problem> {
        let mut spool = Self {
            kept: Kept::open(folder, "messages.jsonl", PATIENCE).await?,
            messages: VecDeque::new(),
            seen: HashSet::new(),
            given: 0,
            known: None,
        };
        let Some(text) = spool.kept.read().await? else { return Ok(spool) };
        let batches = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        for line in batches {
            let Batch { known, messages } =
                serde_json::from_slice(line).map_err(|error| spool.kept.failed(&error))?;
            spool.known = Some(known);
            spool.seen.extend(messages.iter().map(|message| message.id.clone()));
            spool.messages.extend(messages);
        }
        // So that what comes begins on a line of its own.
        spool.write_anew().await?;
        Ok(spool)
    }

    fn has_more(&self) -> bool {
        self.given < self.messages.len()
    }

    /// Keeps what came; when this returns, it is on the disk.
    async fn keep(&mut self, mut messages: Vec<QueueMessage>, known: Value) -> Result<(), Problem> {
        // What the broker did not hear of in time comes again.
        messages.retain(|message| self.seen.insert(message.id.clone()));
        let line = self.line(&Batch { known: known.clone(), messages: messages.clone() })?;
        self.kept.append(&line).await?;
        self.messages.extend(messages);
        self.known = Some(known);
        Ok(())
    }

    fn give(&mut self, most: usize) -> Vec<QueueMessage> {
        let given: Vec<QueueMessage> = self.messages.iter().skip(self.given).take(most).cloned().collect();
        self.given += given.len();
        given
    }

    /// Removes what was given.
    async fn forget(&mut self) -> Result<(), Problem> {
        self.messages.drain(..self.given);
        self.given = 0;
        self.write_anew().await
    }

    async fn write_anew(&self) -> Result<(), Problem> {
        let batch = Batch {
            known: self.known.clone().unwrap_or_default(),
            messages: self.messages.iter().cloned().collect(),
        };
        self.kept.replace(&self.line(&batch)?).await
    }

    fn line(&self, batch: &Batch) -> Result<Vec<u8>, Problem> {
        let mut line = serde_json::to_vec(batch).map_err(|error| self.kept.failed(&error))?;
        line.push(b'\n');
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(id: &str) -> QueueMessage {
        QueueMessage { id: id.to_owned(), ..QueueMessage::default() }
    }

    fn ids(messages: &[QueueMessage]) -> Vec<&str> {
        messages.iter().map(|message| message.id.as_str()).collect()
    }

    #[tokio::test]
    async fn what_is_not_forgotten_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = || folder.path().join("spool");
        let mut spool = Spool::open(place()).await.unwrap();
        assert!(Spool::open(place()).await.is_err(), "another one reads it");
        spool.keep(vec![message("1"), message("2")], json!(2)).await.unwrap();
        spool.keep(vec![message("2"), message("3")], json!(3)).await.unwrap();
        assert_eq!(ids(&spool.give(2)), ["1", "2"]);
        drop(spool);
        let mut spool = Spool::open(place()).await.unwrap();
        assert_eq!((ids(&spool.give(2)), spool.known.clone()), (vec!["1", "2"], Some(json!(3))));
        spool.forget().await.unwrap();
        // Killed while it wrote.
        let mut text = std::fs::read(place().join("messages.jsonl")).unwrap();
        text.extend(b"{\"known\": 4, \"messages\": [{\"id\"");
        std::fs::write(place().join("messages.jsonl"), text).unwrap();
        drop(spool);
        let mut spool = Spool::open(place()).await.unwrap();
        spool.keep(vec![message("4")], json!(4)).await.unwrap();
        assert_eq!(ids(&spool.give(9)), ["3", "4"]);
        spool.forget().await.unwrap();
        drop(spool);
        let mut spool = Spool::open(place()).await.unwrap();
        assert_eq!((spool.give(9), spool.known.clone()), (Vec::new(), Some(json!(4))));
    }
}
