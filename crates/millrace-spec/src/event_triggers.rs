//! Event triggers: what happened elsewhere starts a run. One file a kind; the struct in it is what stands in the file, its doc comments are
//! the schema's, the form's and the reference's.
//!
//! Every kind shares the keys of [`Shared`]: a filter, inputs for the run, an order, and how events are gathered into one run.

mod alert;
mod dataset;
mod files;
mod git;
mod model;
mod pipeline_end;
mod webhook;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use alert::{AlertChange, AlertWord};
pub use dataset::DatasetPublished;
pub use files::{FileChange, Files, LooksAt};
pub use git::{GitChange, GitEvent};
pub use model::{ModelChange, ModelWord};
pub use pipeline_end::{EndState, PipelineEnd};
pub use webhook::{Sender, Webhook};

use crate::duration::DurationText;

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
    pub debounce: Option<DurationText>,
    /// One run for so many events; `events` has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// How many events one run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The run begins when so many have come.
    #[schemars(range(min = 1, max = 10_000))]
    pub size: u32,
    /// Or when the first of them is so old.
    #[serde(default = "a_minute")]
    pub within: DurationText,
}

fn a_minute() -> DurationText {
    DurationText(60_000)
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
    /// Files that come or go.
    Files(Files),
    /// Commits, pull requests, tags.
    Git(GitChange),
}

impl EventSpec {
    /// The kind's word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Pipeline(_) => "pipeline",
            Self::Dataset(_) => "dataset",
            Self::Model(_) => "model",
            Self::Alert(_) => "alert",
            Self::Files(files) if files.blob.is_some() => "blob",
            Self::Files(_) => "file",
            Self::Git(_) => "git",
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

    /// The name of the secret that proves where requests come from.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Webhook(webhook) => webhook.secret.as_deref(),
            Self::Git(git) => git.secret.as_deref(),
            _ => None,
        }
    }
}

/// A kind of event trigger, for its page and the schema.
pub struct EventKind {
    /// The key that names it.
    pub name: &'static str,
    /// YAML of a trigger.
    pub example: &'static str,
    /// What stands beside the key.
    pub schema: fn() -> schemars::Schema,
    read: fn(Value) -> Result<EventSpec, serde_json::Error>,
}

impl std::fmt::Debug for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventKind").field("name", &self.name).finish_non_exhaustive()
    }
}

fn kind<T: JsonSchema + DeserializeOwned>(
    name: &'static str,
    example: &'static str,
    read: fn(Value) -> Result<EventSpec, serde_json::Error>,
) -> EventKind {
    EventKind { name, example, schema: schema_of::<T>, read }
}

fn schema_of<T: JsonSchema>() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

/// Every kind of event trigger. A new one: a file beside this, and a line here.
pub fn all() -> [EventKind; 8] {
    [
        kind::<Webhook>("webhook", webhook::EXAMPLE, |value| read(value).map(EventSpec::Webhook)),
        kind::<PipelineEnd>("pipeline", pipeline_end::EXAMPLE, |value| read(value).map(EventSpec::Pipeline)),
        kind::<DatasetPublished>("dataset", dataset::EXAMPLE, |value| read(value).map(EventSpec::Dataset)),
        kind::<ModelChange>("model", model::EXAMPLE, |value| read(value).map(EventSpec::Model)),
        kind::<AlertChange>("alert", alert::EXAMPLE, |value| read(value).map(EventSpec::Alert)),
        kind::<Files>("file", files::FILE_EXAMPLE, |value| read(value).map(EventSpec::Files)),
        kind::<Files>("blob", files::BLOB_EXAMPLE, |value| read(value).map(EventSpec::Files)),
        kind::<GitChange>("git", git::EXAMPLE, |value| read(value).map(EventSpec::Git)),
    ]
}

/// The schema of a whole trigger of this kind: its own keys and those of [`Shared`], definitions inside.
pub fn schema(kind: &EventKind) -> Value {
    let mut schema = (kind.schema)().to_value();
    let shared = schema_of::<Shared>().to_value();
    for section in ["properties", "$defs"] {
        let more = shared.get(section).and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(fields) = schema.as_object_mut() {
            let known = fields.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if let Some(known) = known.as_object_mut() {
                known.extend(more);
            }
        }
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("required".to_owned(), serde_json::json!([kind.name]));
        fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    schema
}

/// Reads a trigger that fits [`schema`].
///
/// # Errors
/// What the schema does not say: a value that cannot be.
pub fn from_value(kind: &EventKind, value: Value) -> Result<EventTrigger, serde_json::Error> {
    const SHARED: [&str; 5] = ["if", "inputs", "order_by", "debounce", "batch"];
    let Value::Object(fields) = value else { return read(value) };
    let (shared, own): (Map<_, _>, Map<_, _>) =
        fields.into_iter().partition(|(name, _)| SHARED.contains(&name.as_str()));
    Ok(EventTrigger { source: (kind.read)(Value::Object(own))?, shared: read(Value::Object(shared))? })
}

#[cfg(test)]
#[path = "event_triggers_tests.rs"]
mod tests;
