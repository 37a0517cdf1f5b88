//! Queues that are read some messages at a time, by copies. They are connected to as triggers do.

use std::path::PathBuf;

use async_trait::async_trait;
use millrace_contract::{Listener, QueueMessage, QueueReader, QueueReading, Queues, Reader};
use millrace_spec::problem::Problem;

use crate::connection::{ReadConnection, Server};
use crate::message::Message;
use crate::queue::Subscriber;
use crate::queues::{kafka_read, mqtt_spool, nats, rabbitmq, redis, redis_list};

/// What copies call themselves within a group, so that one that is begun again is given what it had not acknowledged.
const CONSUMER: &str = "copy";

/// The queues that connections lead to.
#[derive(Clone)]
pub struct ConnectedQueues {
    /// Name of the workspace, which is in the names of readers.
    pub name: String,
    /// Settings of a connection, secrets resolved.
    pub connections: ReadConnection,
    /// Where messages are kept that a queue was told to forget before their sink had them, and how far queues were read that do not know that.
    pub folder: PathBuf,
}

#[async_trait]
impl Queues for ConnectedQueues {
    async fn read(&self, reading: QueueReading) -> Result<Box<dyn QueueReader>, Problem> {
        let QueueReading { connection, queue, reader, field, list } = reading;
        let found = (self.connections)(&connection).map_err(|problem| *problem)?;
        let subscriber = match reader {
            Reader::Named(name) => Subscriber { name, server: CONSUMER.to_owned() },
            Reader::Step { pipeline, step } => {
                Subscriber::new(&self.name, &Listener { pipeline, trigger: step }, CONSUMER)
            }
        };
        if found.get("redis").is_some() {
            let server = Server::read(&connection, &self.connections)?;
            return match (list, field) {
                (Some(end), None) => {
                    Ok(Box::new(redis_list::Reading::begin((queue, end), server, &subscriber).await?))
                }
                (Some(_), Some(field)) => Err(for_streams(&field)),
                (None, field) => {
                    Ok(Box::new(redis::Reading::begin((queue, field), server, &subscriber).await?))
                }
            };
        }
        if list.is_some() {
            let problem = Problem::error("bad-queue", "`list` is for lists of Redis");
            return Err(problem.hint("leave it out"));
        }
        if let Some(field) = field {
            return Err(for_streams(&field));
        }
        if found.get("nats").is_some() {
            let server = Server::read(&connection, &self.connections)?;
            return Ok(Box::new(nats::Reading::begin(&queue, server, &subscriber).await?));
        }
        if found.get("rabbitmq").is_some() {
            let server = Server::read(&connection, &self.connections)?;
            return Ok(Box::new(rabbitmq::Reading::begin(queue, server, &subscriber).await?));
        }
        if found.get("mqtt").is_some() {
            let server = Server::read(&connection, &self.connections)?;
            return Ok(Box::new(mqtt_spool::Reading::begin(queue, server, &subscriber, &self.folder).await?));
        }
        if found.get("kafka").is_some() {
            let server = Server::read(&connection, &self.connections)?;
            return Ok(Box::new(kafka_read::Reading::begin(queue, server, &subscriber, &self.folder).await?));
        }
        let problem =
            Problem::error("bad-connection", format!("the connection `{connection}` leads to no queue"));
        Err(problem
            .hint(format!("in connections.yaml: `{connection}: {{redis: {{url: \"redis://host:6379\"}}}}`")))
    }
}

fn for_streams(field: &str) -> Problem {
    let problem = Problem::error("bad-queue", format!("`field: {field}` is for streams of Redis"));
    problem.hint("leave it out: the body of a message is in `body`")
}

impl From<Message> for QueueMessage {
    fn from(message: Message) -> Self {
        let Message { id, subject, key, time_ms, headers, body, .. } = message;
        let (body, is_json) = body.into_text();
        Self { id, subject, key, time_ms, headers, body, is_json }
    }
}
