//! What happens elsewhere and starts runs, and where it is heard of.

use std::time::Duration;

use async_trait::async_trait;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::EventSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that happened elsewhere, in the words of CloudEvents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Tells it from every other event of its source; the same event that comes again has the same.
    pub id: String,
    /// Where it happened: a URL, or the name of what is watched.
    pub source: String,
    /// What happened, for example `github.push`, `millrace.dataset.version`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When, RFC 3339, if the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What the source tells of it.
    #[serde(default)]
    pub data: Value,
    /// The same in words of ours: `blob`, `git`, `run`, `dataset`, …
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
}

impl Event {
    /// What `event` is in an expression: the fields of its data, over them its facts, over them `id`, `source`, `type`, `subject`,
    /// `time` and `data`.
    pub fn to_value(&self) -> Value {
        let mut fields = self.data.as_object().cloned().unwrap_or_default();
        fields.extend(self.facts.clone());
        fields.insert("id".to_owned(), self.id.clone().into());
        fields.insert("source".to_owned(), self.source.clone().into());
        fields.insert("type".to_owned(), self.kind.clone().into());
        fields.insert("subject".to_owned(), self.subject.clone().into());
        fields.insert("time".to_owned(), self.time.clone().into());
        fields.insert("data".to_owned(), self.data.clone());
        Value::Object(fields)
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_fact(mut self, name: &str, fact: Value) -> Self {
        self.facts.insert(name.to_owned(), fact);
        self
    }
}

/// What a source told when it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// What happened since the cursor, oldest first.
    pub events: Vec<Event>,
    /// How far it is now; handed to the next call, also after a restart. Stored in one transaction with the events.
    pub cursor: Value,
    /// When to ask again.
    pub look_again: Duration,
}

/// Where events are heard of. Each trigger has its own; it is made anew after every failure.
#[async_trait]
pub trait EventSource: Send {
    /// What happened since `cursor`. Without one the source begins: what is there already started nothing. May wait some seconds for
    /// something to happen; it is dropped when the trigger goes.
    ///
    /// # Errors
    /// Why it cannot be asked. It is tried again later.
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem>;

    /// What the last call gave is in the inbox: a queue may forget it now.
    ///
    /// # Errors
    /// If the queue does not hear it; then it gives the same again, which starts nothing.
    async fn acknowledge(&mut self) -> Result<(), Problem> {
        Ok(())
    }
}

/// A trigger that listens: its pipeline and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the trigger in it.
    pub trigger: String,
}

/// Makes sources by their spec.
#[async_trait]
pub trait EventSources: Send + Sync {
    /// The source of the trigger `listener`, or `None` if it is none of the kinds that are known here.
    ///
    /// # Errors
    /// Why it cannot be opened: a wrong address, a secret that is not set. It is tried again later.
    async fn open(
        &self,
        spec: &EventSpec,
        listener: &Listener,
    ) -> Result<Option<Box<dyn EventSource>>, Problem>;
}
