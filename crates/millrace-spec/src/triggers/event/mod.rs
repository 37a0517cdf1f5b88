//! Event triggers: what happened elsewhere starts a run. One file a kind.
//!
//! Every kind has the keys of [`Shared`] beside its own: a filter, inputs for the run, an order, and how events are gathered into one run.

mod alert;
mod dataset;
mod feed;
mod files;
mod git;
mod imap;
mod kafka;
mod model;
mod mqtt;
mod nats;
mod pipeline_end;
mod postgres;
mod rabbitmq;
mod redis;
mod webhook;

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use alert::{AlertChange, AlertWord};
pub use dataset::DatasetPublished;
pub use feed::FeedEntries;
pub use files::{BlobFiles, FileChange, LocalFiles};
pub use git::{GitChange, GitEvent};
pub use imap::MailboxMails;
pub use kafka::KafkaTopic;
pub use model::{ModelChange, ModelWord};
pub use mqtt::{MqttProtocol, MqttTopic};
pub use nats::NatsSubject;
pub use pipeline_end::{EndState, PipelineEnd};
pub use postgres::PostgresChannel;
pub use rabbitmq::RabbitQueue;
pub use redis::RedisStream;
pub use webhook::{Sender, Webhook};

use super::{Trigger, TriggerKind, place_of};
use crate::duration::Elapsed;
use crate::expression::{self, Reference};
use crate::glob::Glob;
use crate::problem::{Place, Problem};
use crate::yaml::Node;

/// Starts a run for what happened elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventTrigger {
    /// Where events come from.
    pub source: EventSpec,
    /// What every kind may say beside.
    #[serde(default)]
    pub shared: Shared,
}

/// Keys of every event trigger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Expression over `event`; events for which it is false start nothing.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Inputs of the runs it starts; `${{ event.… }}` is what happened.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, Value>,
    /// Expression over `event`: events with the same value run one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<String>,
    /// One run for the newest event, once nothing came for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Elapsed>,
    /// One run for so many events; `events` has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// An event that passes `if` is expected at least so often: if none came for longer, the trigger is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_every: Option<Elapsed>,
}

const SHARED: [&str; 6] = ["if", "inputs", "order_by", "debounce", "batch", "expected_every"];

/// How many events one run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The run begins when so many have come.
    #[schemars(range(min = 1, max = 10_000))]
    pub size: u32,
    /// Or when the first of them is so old; `1m` if absent.
    #[serde(default = "a_minute")]
    pub within: Elapsed,
}

fn a_minute() -> Elapsed {
    Elapsed::from_ms(60_000)
}

/// Where a reader that is new begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    /// With what comes from now on.
    #[default]
    New,
    /// With the oldest that is there.
    Beginning,
}

/// Where events come from, by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSpec {
    /// A request to this server.
    Webhook(Webhook),
    /// The end of another pipeline's run.
    Pipeline(PipelineEnd),
    /// A new version of a dataset.
    Dataset(DatasetPublished),
    /// A new version of a model, or an alias that moved.
    Model(ModelChange),
    /// An alert that fires.
    Alert(AlertChange),
    /// Files of this machine that come or go.
    File(LocalFiles),
    /// Objects in a bucket that come or go.
    Blob(BlobFiles),
    /// Commits, pull requests, tags.
    Git(GitChange),
    /// Entries of a feed.
    Feed(FeedEntries),
    /// Entries of a Redis stream.
    Redis(RedisStream),
    /// Notifications of PostgreSQL.
    Postgres(PostgresChannel),
    /// Messages of NATS.
    Nats(NatsSubject),
    /// Messages of an MQTT broker.
    Mqtt(MqttTopic),
    /// Messages of RabbitMQ.
    Rabbitmq(RabbitQueue),
    /// Records of Kafka.
    Kafka(KafkaTopic),
    /// Mails of a mailbox.
    Imap(MailboxMails),
}

impl EventSpec {
    /// The kind's word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook(_) => Webhook::WORD,
            Self::Pipeline(_) => PipelineEnd::WORD,
            Self::Dataset(_) => DatasetPublished::WORD,
            Self::Model(_) => ModelChange::WORD,
            Self::Alert(_) => AlertChange::WORD,
            Self::File(_) => LocalFiles::WORD,
            Self::Blob(_) => BlobFiles::WORD,
            Self::Git(_) => GitChange::WORD,
            Self::Feed(_) => FeedEntries::WORD,
            Self::Redis(_) => RedisStream::WORD,
            Self::Postgres(_) => PostgresChannel::WORD,
            Self::Nats(_) => NatsSubject::WORD,
            Self::Mqtt(_) => MqttTopic::WORD,
            Self::Rabbitmq(_) => RabbitQueue::WORD,
            Self::Kafka(_) => KafkaTopic::WORD,
            Self::Imap(_) => MailboxMails::WORD,
        }
    }

    /// What it watches: the sender, or a name, path or address.
    pub fn watches(&self) -> String {
        match self {
            Self::Webhook(webhook) => webhook.webhook.word().to_owned(),
            Self::Pipeline(end) => end.pipeline.to_string(),
            Self::Dataset(spec) => spec.dataset.clone(),
            Self::Model(spec) => spec.model.clone(),
            Self::Alert(spec) => spec.alert.clone(),
            Self::File(spec) => spec.file.clone(),
            Self::Blob(spec) => spec.blob.clone(),
            Self::Git(spec) => spec.git.clone(),
            Self::Feed(spec) => spec.feed.clone(),
            Self::Redis(spec) => spec.redis.clone(),
            Self::Postgres(spec) => spec.postgres.clone(),
            Self::Nats(spec) => spec.nats.clone(),
            Self::Mqtt(spec) => spec.mqtt.clone(),
            Self::Rabbitmq(spec) => spec.rabbitmq.clone(),
            Self::Kafka(spec) => spec.kafka.clone(),
            Self::Imap(spec) => spec.imap.clone(),
        }
    }

    /// What `POST /hooks/PIPELINE/TRIGGER` must look like; `None` where requests are not taken.
    pub fn webhook(&self) -> Option<Webhook> {
        match self {
            Self::Webhook(webhook) => Some(webhook.clone()),
            Self::Git(git) => git.as_webhook(),
            _ => None,
        }
    }

    /// Whether this server has to look for events itself.
    pub fn is_polled(&self) -> bool {
        match self {
            Self::Webhook(_) => false,
            Self::Git(git) => git.is_polled(),
            _ => true,
        }
    }

    /// The connection that it goes over. The word of the kind is the key that the connection has in connections.yaml.
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::Redis(spec) => Some(&spec.connection),
            Self::Postgres(spec) => Some(&spec.connection),
            Self::Nats(spec) => Some(&spec.connection),
            Self::Mqtt(spec) => Some(&spec.connection),
            Self::Rabbitmq(spec) => Some(&spec.connection),
            Self::Kafka(spec) => Some(&spec.connection),
            Self::Imap(spec) => Some(&spec.connection),
            _ => None,
        }
    }

    /// Whether only one of several servers may listen: every one would hear the same, and what it hears has no name that all of them know.
    pub fn has_one_listener(&self) -> bool {
        matches!(self, Self::Postgres(_) | Self::Mqtt(_) | Self::Rabbitmq(_) | Self::Kafka(_))
    }

    /// The name of the secret that proves where requests come from.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Webhook(webhook) => webhook.secret.as_deref(),
            Self::Git(git) => git.secret.as_deref(),
            _ => None,
        }
    }
}

/// A kind of event trigger: its own keys.
pub(crate) trait EventKind: DeserializeOwned + JsonSchema {
    /// The key that names the kind.
    const WORD: &'static str;
    /// A trigger as it stands in a file.
    const EXAMPLE: &'static str;

    /// The source that these keys describe.
    fn into_spec(self) -> EventSpec;

    /// Says what is wrong although the shape is right: a problem, and the key it is about.
    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        Vec::new()
    }
}

/// A kind with the keys of every event trigger.
pub(super) struct EventOf<K> {
    own: K,
    shared: Shared,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for EventOf<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::<String, Value>::deserialize(deserializer)?;
        let (shared, own): (Map<_, _>, Map<_, _>) =
            fields.into_iter().partition(|(name, _)| SHARED.contains(&name.as_str()));
        let own = serde_json::from_value(Value::Object(own)).map_err(D::Error::custom)?;
        let shared = serde_json::from_value(Value::Object(shared)).map_err(D::Error::custom)?;
        Ok(Self { own, shared })
    }
}

impl<K: JsonSchema> JsonSchema for EventOf<K> {
    fn schema_name() -> Cow<'static, str> {
        K::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = K::json_schema(generator);
        let mut shared = Shared::json_schema(generator);
        let more = shared.ensure_object().remove("properties");
        let known = schema.ensure_object().entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let (Some(known), Some(Value::Object(more))) = (known.as_object_mut(), more) {
            known.extend(more);
        }
        schema
    }
}

impl<K: EventKind> From<EventOf<K>> for Trigger {
    fn from(event: EventOf<K>) -> Self {
        Self::Event(Box::new(EventTrigger { source: event.own.into_spec(), shared: event.shared }))
    }
}

impl<K: EventKind> TriggerKind for EventOf<K> {
    const WORD: &'static str = K::WORD;
    const EXAMPLE: &'static str = K::EXAMPLE;

    fn check(&self, node: &Node) -> Vec<Problem> {
        let placed = |(key, problem): (&str, Problem)| problem.at(place_of(node, key));
        let mut problems: Vec<Problem> = self.own.mistakes().into_iter().map(placed).collect();
        if self.shared.debounce.is_some() && self.shared.batch.is_some() {
            let problem = Problem::error("two-gatherings", "`debounce` and `batch` exclude each other");
            problems.push(placed(("debounce", problem.hint("take one of them away"))));
        }
        for (key, text) in [("if", &self.shared.condition), ("order_by", &self.shared.order_by)] {
            let Some(text) = text else { continue };
            let bare = text.trim().trim_start_matches("${{").trim_end_matches("}}");
            let names = expression::references_of_expression(bare).map(Vec::from_iter);
            problems.extend(wrong_names(names, key, &place_of(node, key)));
        }
        for (name, value) in &self.shared.inputs {
            let place = node.get("inputs").and_then(|node| node.get(name)).unwrap_or(node).place.clone();
            let names = expression::references(value).map(Vec::from_iter);
            problems.extend(wrong_names(names, &format!("inputs.{name}"), &place));
        }
        problems
    }
}

/// A trigger sees the event alone: there is no run yet.
fn wrong_names(
    names: Result<Vec<Reference>, expression::ExpressionError>,
    key: &str,
    place: &Place,
) -> Vec<Problem> {
    let names = match names {
        Ok(names) => names,
        Err(error) => {
            return vec![Problem::error("bad-expression", format!("`{key}`: {error}")).at(place.clone())];
        }
    };
    let roots = names.iter().filter_map(|name| name.path.first()).filter(|root| *root != "event");
    let problem = |root: &String| {
        let message = format!("`{root}` has no value in a trigger, where only `event` is known");
        let problem = Problem::error("only-event", message).at(place.clone());
        problem.hint("use it in a step, or give the step an input")
    };
    roots.map(problem).collect()
}

fn bad_globs<'g>(key: &'static str, globs: impl Iterator<Item = &'g String>) -> Vec<(&'static str, Problem)> {
    let bad = globs.filter(|glob| Glob::new(glob.trim_start_matches('!')).is_none());
    let problem = |glob: &String| {
        let problem = Problem::error("bad-glob", format!("`{glob}` is not a glob"));
        (key, problem.hint("close every `[` and `{`"))
    };
    bad.map(problem).collect()
}

#[cfg(test)]
mod tests;
