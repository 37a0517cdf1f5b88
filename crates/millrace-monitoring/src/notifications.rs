//! Channels by their names (`channels.yaml`), and notes that rooms send through them.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{Clock, Note, Notifier, SecretSource};
use millrace_metastore::Metastore;
use millrace_metastore::monitoring::AlertNoteRow;
use millrace_spec::expression;
use millrace_spec::problem::Problem;
use millrace_spec::secret;
use millrace_spec::suggest::nearest;
use millrace_spec::validate::{Violation, violations};
use millrace_spec::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::rule::Channel;

/// What `channels.yaml` says: destinations by the names of channels, secrets not yet in place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Channels(IndexMap<String, Value>);

/// The file's shape.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
struct ChannelsFile(IndexMap<String, Vec<Channel>>);

/// The channels as the file is now.
pub type ChannelSource = Arc<dyn Fn() -> Result<Channels, Box<Problem>> + Send + Sync>;
/// Where people reach the server, without a slash at its end; empty if nobody knows.
pub type BaseUrl = Arc<dyn Fn() -> String + Send + Sync>;

impl Channels {
    /// Reads the file; `file` is the path shown in problems.
    ///
    /// # Errors
    /// Everything that is wrong with its shape.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        if matches!(node.value, yaml::NodeValue::Null) {
            return Ok(Self::default());
        }
        let value = node.to_json();
        let problem = |violation: &Violation| {
            let problem =
                Problem::error("channels-file", violation.message.clone()).at(violation.place_in(&node));
            violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))
        };
        let mut problems: Vec<Problem> = violations(&Self::schema(), &value).iter().map(problem).collect();
        for (name, destinations) in value.as_object().into_iter().flatten() {
            for (index, destination) in destinations.as_array().into_iter().flatten().enumerate() {
                if destination.get("channel").is_some() {
                    let place = node.nearest(&format!("/{name}/{index}")).place.clone();
                    let message = format!("`{name}` names another channel: write its destinations out");
                    problems.push(Problem::error("channels-file", message).at(place));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self(
            value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, list)| (name.clone(), list.clone()))
                .collect(),
        ))
    }

    /// The JSON Schema of the file.
    pub fn schema() -> Value {
        schemars::schema_for!(ChannelsFile).to_value()
    }

    /// Names of the channels.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// How many destinations a channel has.
    ///
    /// # Errors
    /// If there is no such channel.
    pub fn destinations(&self, name: &str) -> Result<usize, Problem> {
        let list = self.0.get(name).ok_or_else(|| self.unknown(name))?;
        Ok(list.as_array().map_or(0, Vec::len))
    }

    /// A destination, with its secrets.
    pub(crate) fn destination(
        &self,
        name: &str,
        place: usize,
        secrets: &dyn SecretSource,
    ) -> Result<Channel, Problem> {
        let written = self.0.get(name).and_then(|list| list.get(place)).ok_or_else(|| self.unknown(name))?;
        let secrets = secrets.secrets();
        let user = format!("the channel `{name}`");
        if let Some(problem) = secrets.refusal(&user, written) {
            return Err(problem);
        }
        let resolved =
            expression::render(written, &json!({"secrets": secrets.to_value()})).map_err(|error| {
                secret::missing(&user, &error)
                    .unwrap_or_else(|| Problem::error("channels-file", format!("{user}: {error}")))
            })?;
        serde_json::from_value(resolved)
            .map_err(|error| Problem::error("channels-file", format!("{user}: {error}")))
    }

    fn unknown(&self, name: &str) -> Problem {
        let problem = Problem::error("unknown-channel", format!("there is no channel `{name}`"));
        match nearest(name, &self.names()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("add it to `channels.yaml`: {name}: [log]")),
        }
    }
}

/// To whom a stored note goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Addressee {
    /// To every destination of a channel, so many.
    Channel(String, usize),
    /// To one.
    Destination(Channel),
}

/// Finds destinations, with their secrets, when a note is delivered.
#[derive(Clone)]
pub struct NamedChannels {
    channels: ChannelSource,
    secrets: Arc<dyn SecretSource>,
}

impl NamedChannels {
    /// Reads channels and secrets anew for each note.
    pub fn new(channels: ChannelSource, secrets: Arc<dyn SecretSource>) -> Self {
        Self { channels, secrets }
    }

    /// A workspace without channels.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        struct NoSecrets;
        impl SecretSource for NoSecrets {
            fn secrets(&self) -> millrace_spec::secret::Secrets {
                millrace_spec::secret::Secrets::default()
            }
        }
        Self::new(Arc::new(|| Ok(Channels::default())), Arc::new(NoSecrets))
    }

    pub(crate) fn addressee(&self, stored: &str) -> Result<Addressee, Problem> {
        let unreadable = |error: serde_json::Error| {
            Problem::error("channels-file", format!("the channel cannot be read: {error}"))
        };
        let value: Value = serde_json::from_str(stored).map_err(unreadable)?;
        if let Some(name) = value.get("named").and_then(Value::as_str) {
            let place =
                value.get("place").and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
            let channels = (self.channels)().map_err(|problem| *problem)?;
            let found = channels.destination(name, place.unwrap_or_default(), self.secrets.as_ref())?;
            return Ok(Addressee::Destination(found));
        }
        match serde_json::from_value(value).map_err(unreadable)? {
            Channel::Channel(name) => {
                let count = (self.channels)().map_err(|problem| *problem)?.destinations(&name)?;
                Ok(Addressee::Channel(name, count))
            }
            channel => Ok(Addressee::Destination(channel)),
        }
    }
}

/// Stores notes; the loop of the alerts delivers them.
#[derive(Clone)]
pub struct Notifications {
    store: Metastore,
    clock: Arc<dyn Clock>,
    channels: ChannelSource,
    base: BaseUrl,
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Notifications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notifications")
    }
}

impl Notifications {
    /// Keeps notes in `store` and tells `wake` of each.
    pub fn new(
        store: Metastore,
        clock: Arc<dyn Clock>,
        channels: ChannelSource,
        base: BaseUrl,
        wake: Arc<Notify>,
    ) -> Self {
        Self { store, clock, channels, base, wake }
    }
}

#[async_trait]
impl Notifier for Notifications {
    fn unknown(&self, channel: &str) -> Option<Problem> {
        match (self.channels)() {
            Ok(channels) => channels.destinations(channel).err(),
            Err(problem) => Some(*problem),
        }
    }

    async fn notify(&self, channels: &[String], note: Note) -> Result<(), Problem> {
        if let Some(problem) = channels.iter().find_map(|channel| self.unknown(channel)) {
            return Err(problem);
        }
        let base = (self.base)();
        let link = note.path.filter(|_| !base.is_empty()).map(|path| format!("{base}{path}"));
        let body =
            json!({"id": note.id, "subject": note.subject, "text": note.text, "link": link}).to_string();
        let now = self.clock.now().as_microsecond();
        let rows = channels.iter().map(|channel| AlertNoteRow {
            id: format!("{}/{channel}", note.id),
            to: json!(Channel::Channel(channel.clone())).to_string(),
            body: body.clone(),
            attempts: 0,
            next_at: now,
        });
        let stored = self.store.insert_notes(rows.collect()).await;
        stored.map_err(|error| Problem::error("store-failed", format!("the note is not stored: {error}")))?;
        self.wake.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "team_ml:\n  - log\n  - mail: {server: \"smtp://mail.example\", from: millrace@example.com, to: [ml@example.com], password: \"${{ secrets.smtp }}\"}\n  - slack: {url: \"${{ secrets.slack }}\"}\n";

    #[test]
    fn a_file_is_read_and_a_wrong_one_refused_at_its_place() {
        let channels = Channels::parse("channels.yaml", FILE).unwrap();
        assert_eq!(channels.destinations("team_ml").unwrap(), 3);
        assert_eq!(channels.destinations("team_m").unwrap_err().hints, ["did you mean `team_ml`?"]);
        let line = |from: &str, to: &str| {
            let problems = Channels::parse("channels.yaml", &FILE.replace(from, to)).unwrap_err();
            problems[0].place.clone().unwrap().line
        };
        assert_eq!(line("server:", "serve:"), 3);
        assert_eq!(line("- slack: {url: \"${{ secrets.slack }}\"}", "- channel: other"), 4);
        assert_eq!(line("- log", "- lgo"), 2);
    }
}
