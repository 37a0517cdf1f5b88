use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec, StartAt};

/// Records of a Kafka topic, each to one run.
///
/// All partitions are read; how far is kept here, in one transaction with the inbox, and not in a consumer group of Kafka's, so that no record
/// is lost or comes twice. `event.data` is the value, read as JSON, else as text, else as base64; `event.message` has the `id`
/// (partition and offset), `subject` (the topic), `key`, `partition`, `offset`, `headers` and `size`. A CloudEvent, binary or structured,
/// is one here, too.
///
/// `connection` names one of connections.yaml: `log: {kafka: {brokers: ["host:9092"], user: reader, password: "${{ secrets.log }}", tls: true}}`;
/// `sasl` is `plain` (the default), `scram-sha-256` or `scram-sha-512`, `ca` is a certificate in PEM that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaTopic {
    /// Name of the topic.
    pub kafka: String,
    /// Name of the connection.
    pub connection: String,
    /// Where it is begun; `new` if absent. Partitions that are added later are read from their beginning.
    #[serde(default)]
    pub from: StartAt,
}

impl EventKind for KafkaTopic {
    const WORD: &'static str = "kafka";
    const EXAMPLE: &'static str = "{kafka: clicks, connection: log, batch: {size: 1000, within: 1m}}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Kafka(self)
    }
}
