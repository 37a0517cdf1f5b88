use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec, StartAt};

/// Entries of a Redis stream, each to one run.
///
/// A consumer group of the trigger reads them, and an entry is acknowledged once it is in the inbox. `event.data` has the entry's fields,
/// or the value of `field` where that is given, read as JSON, else as text, else as base64; `event.message` has the `id`, `subject` (the
/// stream), `headers` and `size`. An entry that is a CloudEvent is one here, too.
///
/// `connection` names one of connections.yaml: `queue: {redis: {url: "redis://host:6379", password: "${{ secrets.queue }}"}}`; `rediss://`
/// is with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisStream {
    /// Key of the stream.
    pub redis: String,
    /// Name of the connection.
    pub connection: String,
    /// Consumer group; a name of the trigger's own if absent. It is made where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where a group that is made begins; `new` if absent.
    #[serde(default)]
    pub from: StartAt,
    /// The field with the body of a message; the others are its headers. All fields are the body if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl EventKind for RedisStream {
    const WORD: &'static str = "redis";
    const EXAMPLE: &'static str =
        "{redis: orders, connection: queue, inputs: {order: \"${{ event.data.order }}\"}}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Redis(self)
    }
}
