use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{
    Clock, KindDoc, KindFamily, Look, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::duration::parse_ms;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::target::{Attempt, Begun, End, Entry, Seen, Target, Verdict};
use crate::targets::ALL;

/// Bounds of the time between two looks where the step says nothing: a short call is seen soon, a long one is not asked often.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);
const LONGEST_LOOK: Duration = Duration::from_secs(20);
/// Waits between tries to begin; beginning is idempotent, and a network that blinks must not fail a step.
const BEGIN_AGAIN: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// Waits before it is asked to end again. A system may be away when it is asked, take a while, or lose it: Airflow's scheduler writes over
/// the state that a request has just set.
const CANCEL_AGAIN: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];
/// Nobody waits longer for a cancellation, however long a system takes to answer.
const LONGEST_CANCEL: Duration = Duration::from_secs(60);
/// File in the attempt's folder that says when it was begun first.
const MARK: &str = "call-begun";
/// Key beside the target's.
const POLL: &str = "poll";

/// Begins a run in another orchestrator and waits for it, without holding a worker or a slot.
///
/// One key names the system: `airflow`, `prefect`, `dagster`, `azureml`, `data_factory`, `databricks`, `logic_apps`, `azure_devops`,
/// `github_actions`, `argo`, or `http` for anything that gives an id for a request and a status for the id. Cancelling the run here cancels
/// it there, and the step waits some seconds to see it end. `poll` is how often it is asked how far it is; without it, from every second to
/// every 20 seconds, the longer it takes. An attempt begins one run there, even if this server is killed while it does. `connection` names
/// an entry of `connections.yaml` whose fields stand in for those that are absent.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct CallSpec(#[allow(dead_code, reason = "read for its description only")] Map<String, Value>);

const EXAMPLE: &str = "call:\n  airflow:\n    url: http://airflow:8080\n    dag: nightly\n    conf: {day: \"${{ inputs.day }}\"}\n    username: millrace\n    password: \"${{ secrets.airflow }}\"\n";

/// Settings of a connection by its name, secrets resolved, for each call anew.
pub type ReadConnection = Arc<dyn Fn(&str) -> Result<Value, Box<Problem>> + Send + Sync>;

/// What the step needs.
#[derive(Clone)]
pub struct CallServices {
    /// Asks the other systems.
    pub client: reqwest::Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Reads `connections.yaml`.
    pub connections: ReadConnection,
}

/// The `call` step.
pub struct Call {
    doc: KindDoc,
    services: CallServices,
}

/// What is stored with the attempt.
#[derive(Serialize, Deserialize)]
struct Handle {
    #[serde(flatten)]
    begun: Begun,
    /// When.
    at: Timestamp,
}

impl Call {
    /// Makes the kind.
    pub fn new(services: CallServices) -> Self {
        let mut doc = KindDoc::of::<CallSpec>(KindFamily::Step, "call", EXAMPLE);
        let targets = ALL.iter().map(|entry| (entry.name.to_owned(), below((entry.doc)().schema.into())));
        let mut properties: Map<String, Value> = targets.collect();
        properties.insert(
            POLL.to_owned(),
            json!({"type": "string", "description": "How often it is asked how far it is, such as `10s`."}),
        );
        for (key, value) in [
            ("properties", Value::Object(properties)),
            ("additionalProperties", json!(false)),
            ("minProperties", json!(1)),
        ] {
            doc.schema.insert(key.to_owned(), value);
        }
        Self { doc, services }
    }

    /// The target that the config names, with its connection's fields.
    fn target(&self, config: &Value) -> Result<Box<dyn Target>, StepError> {
        let Some((entry, settings)) = chosen(config) else {
            return Err(StepError::permanent(no_target(config)));
        };
        let settings = self.with_connection(entry, settings)?;
        (entry.read)(settings).map_err(|error| {
            let problem = Problem::error("call-config", format!("`{}`: {error}", entry.name));
            StepError::permanent(problem.hint(format!("millrace explain {}", entry.name)))
        })
    }

    fn with_connection(&self, entry: &Entry, settings: &Value) -> Result<Value, StepError> {
        let Some(name) = settings.get("connection").and_then(Value::as_str) else {
            return Ok(settings.clone());
        };
        let connection =
            (self.services.connections)(name).map_err(|problem| StepError::permanent(*problem))?;
        let Some(fields) = connection.get(entry.name).and_then(Value::as_object) else {
            let message = format!("the connection `{name}` is not one of `{}`", entry.name);
            let hint = format!("in connections.yaml: `{name}: {{{}: {{…}}}}`", entry.name);
            return Err(StepError::permanent(Problem::error("call-connection", message).hint(hint)));
        };
        let mut merged = fields.clone();
        merged.extend(settings.as_object().cloned().unwrap_or_default());
        Ok(Value::Object(merged))
    }

    /// Notes that the attempt is being begun, before it is. Says when it was first, and whether this is not the first time.
    async fn mark(&self, context: &StepContext) -> Result<(Timestamp, bool), StepError> {
        let failed = |error: std::io::Error| {
            StepError::transient(Problem::error("attempt-folder", format!("cannot note the call: {error}")))
        };
        let path = context.folder.join(MARK);
        match fs_err::tokio::read_to_string(&path).await {
            Ok(text) => Ok((text.trim().parse().unwrap_or(Timestamp::UNIX_EPOCH), true)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let now = self.services.clock.now();
                fs_err::tokio::create_dir_all(&context.folder).await.map_err(failed)?;
                let staged = path.with_extension("staged");
                fs_err::tokio::write(&staged, now.to_string()).await.map_err(failed)?;
                fs_err::tokio::rename(&staged, &path).await.map_err(failed)?;
                Ok((now, false))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn attempt<'a>(&'a self, key: &'a str, first_begun: Timestamp) -> Attempt<'a> {
        Attempt { client: &self.services.client, key, first_begun, again: false }
    }

    fn pause(&self, config: &Value, since: Timestamp) -> Duration {
        let asked = config.get(POLL).and_then(Value::as_str).and_then(parse_ms);
        asked.map(Duration::from_millis).unwrap_or_else(|| {
            let waited = self.services.clock.now().duration_since(since).unsigned_abs();
            (waited / 10).clamp(SHORTEST_LOOK, LONGEST_LOOK)
        })
    }
}

#[async_trait]
impl StepKind for Call {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        [("id", "string"), ("url", "string"), ("state", "string"), ("result", "json")]
            .map(|(name, type_name)| OutputDoc { name: name.to_owned(), type_name: type_name.to_owned() })
            .to_vec()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        match chosen(config) {
            None => problems.push(no_target(config)),
            Some((entry, settings)) => {
                let has = |name: &str| settings.get(name).is_some();
                let asks = (entry.doc)().schema.pointer("/properties/url").is_some();
                if asks && !has("url") && !has("connection") && needs_url(entry.name) {
                    let problem = Problem::error(
                        "call-url",
                        format!("`{}` needs a `url` or a `connection`", entry.name),
                    );
                    problems.push(problem.hint(format!("millrace explain {}", entry.name)));
                }
            }
        }
        if let Some(text) = config.get(POLL).and_then(Value::as_str)
            && !text.contains("${{")
            && parse_ms(text).is_none()
        {
            let problem = Problem::error("not-a-duration", format!("`{text}` is not a duration"));
            problems.push(problem.hint("write a number and a unit: `poll: 10s`"));
        }
        problems
    }

    fn waits(&self, _: &Value) -> bool {
        true
    }

    async fn run(&self, _: StepContext) -> Result<StepOutcome, StepError> {
        Err(StepError::permanent(Problem::error("internal", "a call is waited for, not run")))
    }

    async fn begin_waiting(&self, context: &StepContext) -> Result<Value, StepError> {
        let target = self.target(&context.config)?;
        let key = key(context);
        let (first_begun, mut again) = self.mark(context).await?;
        let mut waits = BEGIN_AGAIN.into_iter();
        let begun = loop {
            let attempt = Attempt { again, ..self.attempt(&key, first_begun) };
            match target.begin(&attempt).await {
                Ok(begun) => break begun,
                Err(error) => match waits.next().filter(|_| error.is_transient()) {
                    Some(wait) => {
                        context.log.line(&format!("{error}; asked again"));
                        tokio::time::sleep(wait).await;
                        again = true;
                    }
                    None => return Err(error.into()),
                },
            }
        };
        let place = begun.url.clone().unwrap_or_else(|| begun.id.clone());
        context.log.line(&format!("began {}: {place}", target.what()));
        let handle = Handle { begun, at: first_begun };
        serde_json::to_value(handle)
            .map_err(|error| StepError::permanent(Problem::error("internal", error.to_string())))
    }

    async fn look(&self, context: &StepContext, handle: &Value) -> Result<Look, StepError> {
        let handle = read_handle(handle)?;
        let target = self.target(&context.config)?;
        let key = key(context);
        let look_again = self.pause(&context.config, handle.at);
        match target.look(&self.attempt(&key, handle.at), &handle.begun).await {
            Ok(Seen::Going(state)) => {
                Ok(Look::Waiting { reason: format!("{} is {state}", target.what()), look_again })
            }
            Ok(Seen::Ended(end)) => {
                context.log.line(&format!("{} ended: {}", target.what(), end.state));
                ended(target.what(), &handle.begun, end).map(Look::Done)
            }
            // It goes on there, whether or not it can be asked now: only the step's timeout ends the wait.
            Err(error) if error.is_transient() => Ok(Look::Waiting { reason: error.to_string(), look_again }),
            Err(error) => Err(error.into()),
        }
    }

    async fn abandon(&self, context: &StepContext, handle: &Value) {
        let Ok(handle) = read_handle(handle) else { return };
        let said = match self.target(&context.config) {
            Ok(target) => {
                let key = key(context);
                let attempt = self.attempt(&key, handle.at);
                let ending = seen_to_its_end(&*target, &attempt, &handle.begun);
                let silent = |_| format!("{} was asked to end, and does not answer", target.what());
                tokio::time::timeout(LONGEST_CANCEL, ending).await.unwrap_or_else(silent)
            }
            Err(error) => format!("the call cannot be cancelled: {error}"),
        };
        context.log.line(&said);
    }
}

/// Asks a run to end until it has, or for as long as is bearable to someone who waits for it. Says what came of it.
async fn seen_to_its_end(target: &dyn Target, attempt: &Attempt<'_>, begun: &Begun) -> String {
    let what = target.what();
    let mut waits = CANCEL_AGAIN.into_iter();
    loop {
        // Looked at even where it refuses: it may have heard the time before.
        let refused = target.cancel(attempt, begun).await.err();
        let last = match target.look(attempt, begun).await {
            Ok(Seen::Ended(end)) => return format!("{what} has ended: {}", end.state),
            Ok(Seen::Going(state)) => format!("{what} was asked to end and is {state}"),
            Err(error) => format!("{what} was asked to end: {error}"),
        };
        let lasting = refused.as_ref().is_some_and(|error| !error.is_transient());
        match waits.next().filter(|_| !lasting) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return refused.map_or(last, |error| format!("{what} cannot be cancelled: {error}")),
        }
    }
}

/// The target that a config names, if it is exactly one.
fn chosen(config: &Value) -> Option<(&'static Entry, &Value)> {
    let fields = config.as_object()?;
    let mut named = fields.iter().filter(|(key, _)| *key != POLL);
    let (key, settings) = named.next()?;
    if named.next().is_some() {
        return None;
    }
    ALL.iter().find(|entry| entry.name == key).map(|entry| (entry, settings))
}

fn no_target(config: &Value) -> Problem {
    let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
    let problem = Problem::error("call-target", "a call names one system to call")
        .note(format!("systems are {}", names.join(", ")));
    let fields = config.as_object().map(Map::keys).into_iter().flatten();
    match fields
        .filter_map(|key| nearest(key, &names))
        .find(|_| config.as_object().is_some_and(|f| f.len() < 3))
    {
        Some(near) => problem.hint(format!("`{near}: {{…}}`")),
        None => problem.hint("for example `airflow: {url: http://airflow:8080, dag: nightly}`"),
    }
}

/// Whether the system has no address that everybody shares.
fn needs_url(name: &str) -> bool {
    matches!(name, "airflow" | "prefect" | "dagster" | "databricks" | "argo")
}

/// A target's schema without what only a document of its own has.
fn below(schema: Value) -> Value {
    match schema {
        Value::Object(mut fields) => {
            fields.remove("$schema");
            fields.remove("title");
            Value::Object(fields)
        }
        other => other,
    }
}

/// What the other system knows this attempt by.
fn key(context: &StepContext) -> String {
    let run_and_step = context.idempotency_key.get(..32).unwrap_or(&context.idempotency_key);
    format!("{run_and_step}-{}", context.attempt)
}

fn read_handle(handle: &Value) -> Result<Handle, StepError> {
    Handle::deserialize(handle).map_err(|error| {
        StepError::permanent(Problem::error(
            "call-handle",
            format!("what is known of the call cannot be read: {error}"),
        ))
    })
}

fn ended(what: String, begun: &Begun, end: End) -> Result<StepOutcome, StepError> {
    let code = match end.verdict {
        Verdict::Succeeded => {
            let outputs = [
                ("id", json!(begun.id)),
                ("url", json!(begun.url.clone().unwrap_or_default())),
                ("state", json!(end.state)),
                ("result", end.result),
            ];
            let outputs = outputs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            return Ok(StepOutcome { outputs, ..StepOutcome::default() });
        }
        Verdict::Failed => "call-failed",
        Verdict::Cancelled => "call-cancelled",
    };
    let why = end.message.map(|text| format!(": {text}")).unwrap_or_default();
    let mut problem = Problem::error(code, format!("{what} ended as {}{why}", end.state));
    problem = match &begun.url {
        Some(url) => problem.hint(format!("its own log is at {url}")),
        None => problem.note(format!("its id there is {}", begun.id)),
    };
    Err(StepError::permanent(problem))
}
