use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of connections that lead to queues which can be read some messages at a time.
pub const READABLE_QUEUES: [&str; 5] = ["redis", "nats", "rabbitmq", "mqtt", "kafka"];

/// Reads queues some messages at a time; what was read is given back unless it is acknowledged.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Begins to read.
    ///
    /// # Errors
    /// If the connection is not there or not one to such a queue, or if the server does not give the queue.
    async fn read(&self, reading: QueueReading) -> Result<Box<dyn QueueReader>, Problem>;
}

/// Which queue is read, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueReading {
    /// Name of the connection.
    pub connection: String,
    /// A stream or list of Redis, a stream of JetStream with or without `/` and a subject, a queue of RabbitMQ, a topic filter of MQTT, a
    /// topic of Kafka.
    pub queue: String,
    /// Who reads; where a queue keeps how far each of its readers is, this is kept by.
    pub reader: Reader,
    /// Of Redis, the field with the body; the others are headers then. All fields are the body if absent.
    pub field: Option<String>,
    /// Of Redis, the end that a list is taken from; a stream is read if absent.
    pub list: Option<ListEnd>,
}

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListEnd {
    /// Where the oldest element is if `RPUSH` adds them.
    Left,
    /// Where the oldest element is if `LPUSH` adds them.
    Right,
}

/// Who reads a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// The group or consumer of this name.
    Named(String),
    /// A step of this workspace.
    Step {
        /// Name of its pipeline.
        pipeline: String,
        /// Its name in it.
        step: String,
    },
}

/// A queue that is read. When it is dropped, what was not acknowledged is given again, to whoever reads next.
#[async_trait]
pub trait QueueReader: Send {
    /// The next messages, oldest first, `most` of them at most; those that are there now, or else those that come within `wait`. Nothing may
    /// come although `wait` is not over.
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem>;

    /// Everything that was received is kept elsewhere: the queue may forget it.
    async fn acknowledge(&mut self) -> Result<(), Problem>;

    /// Whether its messages have keys.
    fn has_keys(&self) -> bool {
        false
    }

    /// The key of a load that may have been committed although nothing was acknowledged, if what is received now is what that one had received.
    /// Until [`Received::is_all`], it belongs together, however much is wanted.
    fn owed_to(&self) -> Option<&str> {
        None
    }

    /// Everything that was received is about to be committed elsewhere, by the load of this key.
    async fn note(&mut self, _load: &str) -> Result<(), Problem> {
        Ok(())
    }
}

/// What a queue gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// The messages.
    pub messages: Vec<QueueMessage>,
    /// Whether nothing else was there then, not even with a reader that is gone.
    pub is_all: bool,
}

/// A message of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueMessage {
    /// Tells it from every other of its queue, also when it is given again; of RabbitMQ only if its sender gave it one. Elements of a list of
    /// Redis have none.
    pub id: String,
    /// Stream, subject, topic or routing key.
    pub subject: String,
    /// What it is partitioned by, of queues whose messages have such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was sent, milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body as it came; of fields a JSON object; of what is not UTF-8 its Base64.
    pub body: String,
    /// Whether the body is JSON.
    pub is_json: bool,
}
