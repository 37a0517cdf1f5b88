use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec, StartAt};
use crate::problem::Problem;

/// Messages of NATS, each to one run.
///
/// With `stream` a durable consumer of JetStream reads them: a message is acknowledged once it is in the inbox, and what comes while no
/// server is up waits. Without it the subject is listened to (core NATS), which keeps nothing for who is not there; several servers share
/// the messages. `event.data` is the body, read as JSON, else as text, else as base64; `event.message` has the `id` (`Nats-Msg-Id`, or the
/// stream's sequence number), `subject`, `headers` and `size`. A CloudEvent, binary or structured, is one here, too.
///
/// `connection` names one of connections.yaml: `bus: {nats: {url: "nats://host:4222", user: reader, password: "${{ secrets.bus }}"}}`;
/// `token`, `credentials` (the text of a `.creds` file) and `ca` (PEM, for `tls://`) are the other keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsSubject {
    /// Subject, with `*` for a part and `>` for the rest.
    pub nats: String,
    /// Name of the connection.
    pub connection: String,
    /// Stream of JetStream that keeps the subject's messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Name of the durable consumer, or of the queue group without `stream`; a name of the trigger's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where a consumer that is made begins, only with `stream`; `new` if absent.
    #[serde(default)]
    pub from: StartAt,
}

impl EventKind for NatsSubject {
    const WORD: &'static str = "nats";
    const EXAMPLE: &'static str = "{nats: \"orders.>\", connection: bus, stream: ORDERS}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Nats(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        let mut found = Vec::new();
        let mut parts = self.nats.split('.').peekable();
        let mut sound = true;
        while let Some(part) = parts.next() {
            let wildcard = matches!(part, "*" | ">");
            sound &= !part.is_empty() && !part.contains(char::is_whitespace);
            sound &= wildcard || !part.contains(['*', '>']);
            sound &= part != ">" || parts.peek().is_none();
        }
        if !sound {
            let problem = Problem::error("not-a-subject", format!("`{}` is no subject of NATS", self.nats));
            found.push((
                "nats",
                problem.hint("write parts with dots between them: `orders.*.paid`, `orders.>`"),
            ));
        }
        if self.stream.is_none() && self.from == StartAt::Beginning {
            let problem =
                Problem::error("nothing-kept", "`from` needs `stream`: core NATS keeps no messages");
            found.push(("from", problem.hint("name the stream: `stream: NAME`")));
        }
        found
    }
}
