//! What starts a pipeline, beside a person. A new kind: a file beside this one, a line in [`ALL`] and a variant of [`Trigger`].
//!
//! One key of a trigger names its kind (`cron: "0 6 * * *"`). A kind is the struct that its mapping is read into: doc comments become the
//! JSON Schema, which is checked first, so that a mistake is told where it stands; `check` then says what a schema cannot.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::load::Reader;
use crate::problem::{Place, Problem};
use crate::suggest::nearest;
use crate::validate;
use crate::yaml::{Key, Node};

mod cron;
pub mod event;
mod policy;
mod recurrence;
mod window;

pub use cron::Cron;
use event::EventOf;
pub use event::EventTrigger;
pub use policy::{Boundary, MISSED_FOR, Missed, Overlap};
pub use recurrence::{Recurrence, TimeOfDay, Weekday};
pub use window::{Dependency, OnTimeout, Require, Rerun, RetryRule, Window, WindowRetry};

/// Every kind of trigger, in the order the manual prints them.
pub const ALL: &[Entry] = &[
    entry::<Cron>(),
    entry::<Recurrence>(),
    entry::<Window>(),
    entry::<EventOf<event::Webhook>>(),
    entry::<EventOf<event::PipelineEnd>>(),
    entry::<EventOf<event::DatasetPublished>>(),
    entry::<EventOf<event::ModelChange>>(),
    entry::<EventOf<event::AlertChange>>(),
    entry::<EventOf<event::LocalFiles>>(),
    entry::<EventOf<event::BlobFiles>>(),
    entry::<EventOf<event::GitChange>>(),
    entry::<EventOf<event::FeedEntries>>(),
    entry::<EventOf<event::RedisStream>>(),
    entry::<EventOf<event::PostgresChannel>>(),
    entry::<EventOf<event::NatsSubject>>(),
    entry::<EventOf<event::MqttTopic>>(),
    entry::<EventOf<event::RabbitQueue>>(),
    entry::<EventOf<event::KafkaTopic>>(),
    entry::<EventOf<event::MailboxMails>>(),
];

/// What starts a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// At the instants of a cron expression.
    Cron(Cron),
    /// Again and again, counted from a beginning.
    Recurrence(Recurrence),
    /// Once for each interval of time.
    Window(Box<Window>),
    /// When something happens elsewhere.
    Event(Box<EventTrigger>),
}

impl Trigger {
    /// The word that names its kind.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Cron(_) => Cron::WORD,
            Self::Recurrence(_) => Recurrence::WORD,
            Self::Window(_) => Window::WORD,
            Self::Event(event) => event.source.word(),
        }
    }

    /// The named calendar that it keeps to.
    pub fn calendar(&self) -> Option<&str> {
        match self {
            Self::Cron(cron) => cron.calendar.as_deref(),
            Self::Recurrence(recurrence) => recurrence.calendar.as_deref(),
            Self::Window(_) | Self::Event(_) => None,
        }
    }

    /// Takes its calendar away, where the files are not at hand.
    pub fn forget_calendar(&mut self) {
        match self {
            Self::Cron(cron) => cron.calendar = None,
            Self::Recurrence(recurrence) => recurrence.calendar = None,
            Self::Window(_) | Self::Event(_) => {}
        }
    }

    /// Its windows, if it has some.
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Inputs of the runs that it starts.
    pub fn inputs(&self) -> &IndexMap<String, Value> {
        match self {
            Self::Cron(cron) => &cron.inputs,
            Self::Recurrence(recurrence) => &recurrence.inputs,
            Self::Window(window) => &window.inputs,
            Self::Event(event) => &event.shared.inputs,
        }
    }
}

/// A kind of trigger: the mapping that users write, read.
pub(crate) trait TriggerKind: DeserializeOwned + JsonSchema + Into<Trigger> {
    /// The key that names the kind.
    const WORD: &'static str;
    /// A trigger as it stands in a file.
    const EXAMPLE: &'static str;

    /// Says what is wrong although the shape is right. `node` is the trigger's mapping, for places.
    fn check(&self, node: &Node) -> Vec<Problem>;
}

/// A line of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The key that names the kind.
    pub word: &'static str,
    /// A trigger as it stands in a file.
    pub example: &'static str,
    /// JSON Schema of the trigger's mapping.
    pub schema: fn() -> Schema,
    read: fn(&Node) -> Result<Trigger, Vec<Problem>>,
}

const fn entry<T: TriggerKind>() -> Entry {
    Entry { word: T::WORD, example: T::EXAMPLE, schema: schema_of::<T>, read: read::<T> }
}

/// The schema of all triggers of a file, with the definitions it needs, named after their kinds.
pub(crate) fn schema(definitions: &mut serde_json::Map<String, Value>) -> Value {
    let mut choices = Vec::new();
    for entry in ALL {
        let name = format!("trigger_{}", entry.word);
        definitions.extend(crate::schema::definitions(&name, (entry.schema)().to_value()));
        choices.push(json!({"$ref": format!("#/$defs/{name}")}));
    }
    json!({"type": "object", "description": "What starts it beside a person.",
        "additionalProperties": {"type": "object", "anyOf": choices}})
}

impl Reader<'_> {
    pub(crate) fn triggers(&mut self, node: &Node) -> IndexMap<String, Trigger> {
        let mut triggers = IndexMap::new();
        let Some(fields) = node.as_map() else {
            let problem = self.complain(
                &node.place,
                "wrong-type",
                format!("`triggers` is a mapping, this is {}", node.type_word()),
            );
            problem.hints.push("give each a name: `triggers: {daily: {cron: \"0 6 * * *\"}}`".to_owned());
            return triggers;
        };
        for (key, node) in fields {
            if let Some(trigger) = self.trigger(key, node) {
                triggers.insert(key.name.clone(), trigger);
            }
        }
        triggers
    }

    fn trigger(&mut self, key: &Key, node: &Node) -> Option<Trigger> {
        let name = &key.name;
        let Some(fields) = node.as_map() else {
            let problem = self.complain(
                &node.place,
                "wrong-type",
                format!("the trigger `{name}` is a mapping, this is {}", node.type_word()),
            );
            problem.hints.push(format!("write `{name}: {{cron: \"0 6 * * *\"}}`"));
            return None;
        };
        match (self.trigger_kind(key, fields)?.read)(node) {
            Ok(trigger) => Some(trigger),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// The kind that a trigger's keys name.
    fn trigger_kind(&mut self, key: &Key, fields: &[(Key, Node)]) -> Option<&'static Entry> {
        let has = |word: &str| fields.iter().any(|(field, _)| field.name == word);
        let named: Vec<&Entry> = ALL.iter().filter(|entry| has(entry.word)).collect();
        // A word may be a plain key of another kind.
        let covers = |entry: &&&Entry| named.iter().all(|other| takes_key(entry, other.word));
        if let Some(entry) = named.iter().find(covers).or_else(|| named.first()) {
            return Some(entry);
        }
        let words: Vec<&str> = ALL.iter().map(|entry| entry.word).collect();
        let message = format!("the trigger `{}` does not say what it waits for", key.name);
        let near = fields.iter().find_map(|(field, _)| Some((field, nearest(&field.name, &words)?)));
        let place = near.map_or(&key.place, |(field, _)| &field.place).clone();
        let problem = self.complain(&place, "no-trigger-kind", message);
        match near {
            Some((_, word)) => problem.hints.push(format!("did you mean `{word}`?")),
            None => problem.notes.push(format!("one key names the kind: {}", words.join(", "))),
        }
        None
    }
}

fn takes_key(entry: &Entry, key: &str) -> bool {
    (entry.schema)().get("properties").is_some_and(|properties| properties.get(key).is_some())
}

fn schema_of<T: TriggerKind>() -> Schema {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

fn read<T: TriggerKind>(node: &Node) -> Result<Trigger, Vec<Problem>> {
    let value = node.to_json();
    let violations = validate::violations(schema_of::<T>().as_value(), &value);
    let problem = |violation: validate::Violation| {
        let mut problem = Problem::error(violation.code, format!("{}: {}", T::WORD, violation.message));
        problem.place = Some(violation.place_in(node));
        problem.hints = violation.hints;
        problem
    };
    let mut problems: Vec<Problem> = violations.into_iter().map(problem).collect();
    if problems.is_empty() {
        match serde_json::from_value::<T>(value) {
            Ok(kind) => {
                problems = kind.check(node);
                if problems.is_empty() {
                    return Ok(kind.into());
                }
            }
            Err(error) => {
                let place = node.get(T::WORD).map_or(&node.place, |node| &node.place).clone();
                problems.push(Problem::error("wrong-value", format!("{}: {error}", T::WORD)).at(place));
            }
        }
    }
    Err(problems)
}

/// Where a trigger's key has its value.
pub(crate) fn place_of(node: &Node, key: &str) -> Place {
    node.get(key).map_or_else(|| node.place.clone(), |value| value.place.clone())
}

/// Says that a zone is unknown.
pub(crate) fn check_timezone(timezone: Option<&str>, node: &Node) -> Option<Problem> {
    let zone = timezone?;
    jiff::tz::TimeZone::get(zone).is_err().then(|| {
        Problem::error("unknown-timezone", format!("there is no time zone `{zone}`"))
            .at(place_of(node, "timezone"))
            .hint("use an IANA name such as `Europe/Berlin`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    /// What is wrong with a trigger, with its place in the file.
    pub(crate) fn problems(trigger: &str) -> Vec<String> {
        let text = format!("triggers:\n  t: {trigger}\nsteps: {{a: {{run: echo}}}}\n");
        let found = load::pipeline("pipelines/p.yaml", &text, &["run"]).err().unwrap_or_default();
        let line = |problem: Problem| {
            let place = problem.place.map(|place| format!("{}:{}", place.line, place.column));
            let hint = problem.hints.first().map(|hint| format!(" ({hint})"));
            format!("{}: {}{}", place.unwrap_or_default(), problem.message, hint.unwrap_or_default())
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn every_example_reads_as_its_kind() {
        for entry in ALL {
            let text = format!("triggers: {{t: {}}}\nsteps: {{a: {{run: echo}}}}\n", entry.example);
            let loaded = load::pipeline("pipelines/p.yaml", &text, &["run"]).unwrap();
            assert_eq!(loaded.pipeline.triggers["t"].word(), entry.word);
            let summary = (entry.schema)().get("description").and_then(Value::as_str).unwrap().to_owned();
            assert!(summary.split("\n\n").next().unwrap().ends_with('.'), "{}: {summary}", entry.word);
        }
    }

    #[test]
    fn a_mistake_is_told_where_it_stands() {
        assert_eq!(
            problems("{crom: '0 6 * * *'}"),
            ["2:7: the trigger `t` does not say what it waits for (did you mean `cron`?)"]
        );
        assert_eq!(
            problems("{cron: '0 6 * * *', timezone: Europe/Berlim}"),
            ["2:36: there is no time zone `Europe/Berlim` (use an IANA name such as `Europe/Berlin`)"]
        );
        assert_eq!(problems("{cron: '0 6 * * *', zone: UTC}").len(), 1);
        assert_eq!(problems("5 o'clock").len(), 1);
    }
}
