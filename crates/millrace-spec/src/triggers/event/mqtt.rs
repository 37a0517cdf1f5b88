use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};
use crate::problem::Problem;

/// Messages of an MQTT broker, each to one run.
///
/// The session is kept by the broker: what comes with quality of service 1 while no server is up waits there, as long as the broker keeps it,
/// and a message is acknowledged once it is in the inbox. MQTT gives messages no ids, so what a sender publishes twice are two events; what
/// the broker delivers twice is known by its packet id and starts one run. Retained messages are what is there already, and start nothing.
/// `event.data` is the body, read as JSON, else as text, else as base64; `event.message` has the `subject` (the topic), `headers` (user
/// properties of MQTT 5) and `size`. A CloudEvent, binary or structured, is one here, too.
///
/// `connection` names one of connections.yaml: `broker: {mqtt: {url: "mqtt://host:1883", user: reader, password: "${{ secrets.broker }}"}}`;
/// `mqtts://` is with TLS, `ca` is a certificate in PEM that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttTopic {
    /// Topic filter, with `+` for a level and `#` for all below.
    pub mqtt: String,
    /// Name of the connection.
    pub connection: String,
    /// Version of the protocol; `mqtt5` if absent.
    #[serde(default)]
    pub protocol: MqttProtocol,
    /// Id of the client, and so of its session; an id of the trigger's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// Version of MQTT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MqttProtocol {
    /// MQTT 3.1.1.
    Mqtt3,
    /// MQTT 5.
    #[default]
    Mqtt5,
}

impl MqttTopic {
    /// What is wrong with the topic filter.
    pub fn problem(&self) -> Option<Problem> {
        self.mistakes().into_iter().next().map(|(_, problem)| problem)
    }
}

impl EventKind for MqttTopic {
    const WORD: &'static str = "mqtt";
    const EXAMPLE: &'static str =
        "{mqtt: \"plant/+/temperature\", connection: broker, if: \"event.data > 80\"}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Mqtt(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        let mut levels = self.mqtt.split('/').peekable();
        let mut sound = !self.mqtt.is_empty();
        while let Some(level) = levels.next() {
            sound &= level == "+" || !level.contains('+');
            sound &= if level == "#" { levels.peek().is_none() } else { !level.contains('#') };
        }
        if sound {
            return Vec::new();
        }
        let problem = Problem::error("not-a-topic", format!("`{}` is no topic filter of MQTT", self.mqtt));
        vec![("mqtt", problem.hint("`+` stands for a whole level, `#` for all below at the end: `plant/+/temperature`, `plant/#`"))]
    }
}
