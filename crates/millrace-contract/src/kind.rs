use millrace_spec::problem::Problem;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// The registries of things a user can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KindFamily {
    /// What a step does: `copy`, `sql`, `python`, …
    Step,
    /// A node of a flow: `filter`, `join`, …
    Transform,
    /// A place data is read from or written to: `csv`, `postgres`, …
    Connector,
    /// A learning algorithm: `gradient_boosting`, …
    Trainer,
    /// A drift or quality test.
    DriftTest,
    /// Where an alert goes: `log`, `webhook`.
    Channel,
    /// What starts a pipeline: `cron`.
    Trigger,
}

/// Documentation of a kind: the source of the JSON Schema, the form in the UI, `millrace explain` and the reference page.
#[derive(Debug, Clone, Serialize)]
pub struct KindDoc {
    /// Which registry it is in.
    pub family: KindFamily,
    /// The word users write, snake_case, unique in its family.
    pub name: &'static str,
    /// First sentence of the doc comment.
    pub summary: String,
    /// The whole doc comment.
    pub description: String,
    /// A working YAML example: the kind's key and its value.
    pub example: &'static str,
    /// JSON Schema of what stands under the key.
    pub schema: Schema,
}

impl KindDoc {
    /// Builds the page of a kind from the doc comments of its spec struct `T`.
    pub fn of<T: JsonSchema>(family: KindFamily, name: &'static str, example: &'static str) -> Self {
        let schema =
            schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
        Self::of_schema(family, name, example, schema)
    }

    /// Builds the page of a kind from the schema that its doc comments became.
    pub fn of_schema(family: KindFamily, name: &'static str, example: &'static str, schema: Schema) -> Self {
        let description = schema.get("description").and_then(|d| d.as_str()).unwrap_or_default().to_owned();
        let summary = description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        Self { family, name, summary, description, example, schema }
    }
}

/// An error that a user can act on.
pub trait Explain: std::error::Error {
    /// Code, message, place, notes and hints. The source chain goes to the notes.
    fn problem(&self) -> Problem;
}
