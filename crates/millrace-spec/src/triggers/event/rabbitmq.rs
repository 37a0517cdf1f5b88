use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};

/// Messages of a queue of RabbitMQ (AMQP 0.9.1), each to one run.
///
/// A message is acknowledged once it is in the inbox; what is in the queue when the trigger is written is taken, too, since a queue is there to
/// be emptied. `event.data` is the body, read as JSON, else as text, else as base64; `event.message` has the `id` (the sender's `message_id`
/// if there is one), `subject` (the routing key), `exchange`, `redelivered`, `headers` and `size`. A message without `message_id` that the
/// broker delivers again is known by its content. A CloudEvent, binary or structured, is one here, too.
///
/// `connection` names one of connections.yaml: `rabbit: {rabbitmq: {url: "amqp://host:5672/vhost", user: reader, password: "${{ secrets.rabbit }}"}}`;
/// `amqps://` is with TLS, `ca` is a certificate in PEM that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RabbitQueue {
    /// Name of the queue, which must be there.
    pub rabbitmq: String,
    /// Name of the connection.
    pub connection: String,
    /// How many messages may be on their way at once.
    #[serde(default = "five_hundred")]
    #[schemars(range(min = 1, max = 10_000))]
    pub prefetch: u16,
}

impl EventKind for RabbitQueue {
    const WORD: &'static str = "rabbitmq";
    const EXAMPLE: &'static str = "{rabbitmq: jobs, connection: rabbit}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Rabbitmq(self)
    }
}

fn five_hundred() -> u16 {
    500
}
