//! The queues that can be subscribed to. One file a kind.

pub(crate) mod kafka;
pub(crate) mod kafka_read;
mod kept;
pub(crate) mod mqtt;
pub(crate) mod mqtt_spool;
pub(crate) mod nats;
mod postgres;
pub(crate) mod rabbitmq;
pub(crate) mod redis;
pub(crate) mod redis_list;
mod unsettled;

use millrace_contract::EventSource;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::EventSpec;

use serde_json::Value;

use crate::connection::{Located, ReadConnection, Server, schema_of};
use crate::imap::ImapServer;
use crate::queue::{QueueSource, Subscriber, Subscription};

/// The source of a trigger, if it is a queue.
///
/// # Errors
/// If its connection is not there, or not one to such a queue.
pub(crate) fn open(
    spec: &EventSpec,
    connections: &ReadConnection,
    subscriber: &Subscriber,
) -> Result<Option<Box<dyn EventSource>>, Problem> {
    let opening = Opening { spec, connections };
    Ok(Some(match spec.clone() {
        EventSpec::Redis(own) => opening.source(|server| redis::Stream::new(own, server, subscriber))?,
        EventSpec::Postgres(own) => opening.source(|server| postgres::Channel::new(own, server))?,
        EventSpec::Nats(own) => opening.source(|server| nats::Subject::new(own, server, subscriber))?,
        EventSpec::Mqtt(own) => opening.source(|server| mqtt::Topic::new(own, server, subscriber))?,
        EventSpec::Rabbitmq(own) => opening.source(|server| rabbitmq::Queue::new(own, server, subscriber))?,
        EventSpec::Kafka(own) => opening.source(|server| kafka::Topic::new(own, server))?,
        _ => return Ok(None),
    }))
}

/// The connections that lead to what is subscribed to and to mailboxes, each with the JSON Schema of its settings.
pub(crate) fn connection_schemas() -> [(&'static str, Value); 6] {
    [
        schema_of::<redis::RedisServer>(),
        schema_of::<nats::NatsServer>(),
        schema_of::<mqtt::MqttServer>(),
        schema_of::<rabbitmq::RabbitServer>(),
        schema_of::<kafka::KafkaServer>(),
        schema_of::<ImapServer>(),
    ]
}

struct Opening<'a> {
    spec: &'a EventSpec,
    connections: &'a ReadConnection,
}

impl Opening<'_> {
    fn source<S: Located, Q: Subscription + 'static>(
        &self,
        subscribe: impl FnOnce(Server<S>) -> Q,
    ) -> Result<Box<dyn EventSource>, Problem> {
        let server = Server::read(self.spec.connection().unwrap_or_default(), self.connections)?;
        let source = format!("{}/{}", server.address, self.spec.watches());
        Ok(Box::new(QueueSource::new(self.spec.word(), source, subscribe(server))))
    }
}
