//! What the `call` step asks of every system that it can call.

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::CallError;

/// A run of the other system, as it is stored with the attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Its id there.
    pub(crate) id: String,
    /// Where people see it and its logs.
    pub(crate) url: Option<String>,
    /// What else it takes to ask for it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) more: Value,
}

impl Begun {
    pub(crate) fn new(id: impl Into<String>, url: Option<String>) -> Self {
        Self { id: id.into(), url, more: Value::Null }
    }
}

/// How far such a run is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Not over; the word that the other system has for it.
    Going(String),
    /// Over.
    Ended(End),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    /// The other system's word.
    pub(crate) state: String,
    /// What that means.
    pub(crate) verdict: Verdict,
    /// Why, if it did not succeed.
    pub(crate) message: Option<String>,
    /// What it gave, for the output `result`.
    pub(crate) result: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed,
    Cancelled,
}

impl Seen {
    pub(crate) fn succeeded(state: impl Into<String>, result: Value) -> Self {
        Self::Ended(End { state: state.into(), verdict: Verdict::Succeeded, message: None, result })
    }

    pub(crate) fn failed(state: impl Into<String>, message: Option<String>) -> Self {
        let message = message.filter(|text| !text.is_empty());
        Self::Ended(End { state: state.into(), verdict: Verdict::Failed, message, result: Value::Null })
    }

    pub(crate) fn cancelled(state: impl Into<String>) -> Self {
        Self::Ended(End {
            state: state.into(),
            verdict: Verdict::Cancelled,
            message: None,
            result: Value::Null,
        })
    }
}

/// One attempt of a step, as a target sees it.
pub(crate) struct Attempt<'a> {
    pub(crate) client: &'a reqwest::Client,
    /// The same for every time this attempt is begun, another for each attempt: 32 hex digits, `-`, the attempt's number.
    pub(crate) key: &'a str,
    /// When this attempt was begun first.
    pub(crate) first_begun: Timestamp,
    /// Whether it is begun once more, since nobody knows what became of the first time.
    pub(crate) again: bool,
}

/// A system that runs something for us. Secrets are in its values already.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// What is called, for messages: "the DAG `daily`".
    fn what(&self) -> String;

    /// Begins a run, or finds the one that this attempt began before.
    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError>;

    /// Looks how far it is.
    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError>;

    /// Asks it to end. One that is over already is no error.
    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError>;
}

/// A target as users write it.
pub(crate) trait Named: Target + DeserializeOwned + JsonSchema + 'static {
    /// Its word.
    const NAME: &'static str;
    /// A working example, the word and what stands below.
    const EXAMPLE: &'static str;
}

/// A line of the list.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) doc: fn() -> KindDoc,
    pub(crate) read: fn(Value) -> Result<Box<dyn Target>, serde_json::Error>,
}

/// The line of a target.
pub(crate) const fn entry<T: Named>() -> Entry {
    Entry { name: T::NAME, doc: doc::<T>, read: read::<T> }
}

fn doc<T: Named>() -> KindDoc {
    let mut doc = KindDoc::of::<T>(KindFamily::CallTarget, T::NAME, T::EXAMPLE);
    // It becomes part of the step's own schema, where definitions of several targets would get mixed up.
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    doc.schema = settings.into_generator().into_root_schema_for::<T>();
    doc
}

fn read<T: Named>(config: Value) -> Result<Box<dyn Target>, serde_json::Error> {
    Ok(Box::new(serde_json::from_value::<T>(config)?))
}
