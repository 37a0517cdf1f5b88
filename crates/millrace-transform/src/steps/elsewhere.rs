//! Where a step's query runs: here, or on an engine elsewhere that a connection names.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, EngineElsewhere, RemoteEngine, RemoteEngines, RemoteError, RemoteQuery, StepContext,
    StepError, TableRef,
};
use millrace_spec::asset::Asset;
use millrace_spec::bytes::parse_bytes;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::step_error;
use crate::engine::{DataFusionEngine, query};
use crate::flow::plan::PlanError;
use crate::flow::schema_of;
use crate::spark::{InputView, OPTIONS, Untranslated, Writer, input_view};

/// Bytes of input from which on `auto` asks another engine, unless the connection or the step says otherwise.
const AUTO_ABOVE: u64 = 20_000_000_000;

/// Where it runs. `local` is this machine; another name is a `spark` or `ballista` connection. `auto` takes the only such connection for large inputs, and this
/// machine for others; the log and `millrace why` say which and why.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum EngineChoice {
    /// Not said: here.
    #[default]
    #[serde(skip)]
    Here,
    /// `local`, `auto` or a connection's name.
    Named(String),
    /// A connection to Spark.
    Spark(SparkChoice),
    /// A connection to a cluster.
    Ballista(BallistaChoice),
    /// Another engine for large inputs.
    Auto(AutoChoice),
}

/// A connection to Spark.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SparkChoice {
    /// The connection's name.
    spark: String,
}

/// A connection to a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BallistaChoice {
    /// The connection's name.
    ballista: String,
}

/// Another engine for large inputs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AutoChoice {
    /// The connection's name.
    auto: String,
    /// Size of all inputs from which on it is asked, for example `5GB`; what the connection says if absent, else 20 GB.
    #[serde(default)]
    above: Option<String>,
}

/// What was chosen.
pub(super) struct Chosen {
    /// `None` if it runs here.
    pub(super) engine: Option<EngineElsewhere>,
    /// What was said about it; `None` if nothing was asked.
    pub(super) reason: Option<String>,
}

impl Chosen {
    /// The output `engine`, if something was asked.
    pub(super) fn output(&self) -> Option<Value> {
        let name = self.engine.as_ref().map_or("local", EngineElsewhere::name);
        self.reason.as_ref().map(|reason| json!({ "name": name, "reason": reason }))
    }
}

/// What is wrong with how an engine is named, and the place of it below the step's settings.
pub(super) fn mistake(config: &Value, engines: Option<&Arc<dyn RemoteEngines>>) -> Option<(String, Problem)> {
    let written = config.get("engine")?;
    if let Some(above) = written.get("above").and_then(Value::as_str)
        && parse_bytes(above).is_none()
    {
        let problem = Problem::error("engine-size", format!("`{above}` is no size")).hint("above: 5GB");
        return Some(("/engine/above".to_owned(), problem));
    }
    // A wrong shape is told by the schema.
    let choice = EngineChoice::deserialize(written).ok()?;
    let (place, name) = match &choice {
        EngineChoice::Here => return None,
        EngineChoice::Named(name) => ("/engine", name),
        EngineChoice::Spark(choice) => ("/engine/spark", &choice.spark),
        EngineChoice::Ballista(choice) => ("/engine/ballista", &choice.ballista),
        EngineChoice::Auto(choice) => ("/engine/auto", &choice.auto),
    };
    let engines = engines?;
    let names = engines.names();
    let problem = match (&choice, name.as_str()) {
        (_, name) if name.contains("${{") => None,
        (EngineChoice::Named(_), "local") => None,
        (EngineChoice::Named(_), "auto") => several(&names),
        // What keeps one from being used that is there is told where it is declared.
        (_, known) if names.iter().any(|name| name == known) => {
            engines.open(known).ok().and_then(|engine| other_kind(&choice, &engine))
        }
        (_, unknown) => engines.open(unknown).err().map(|problem| *problem),
    };
    problem.map(|problem| (place.to_owned(), problem))
}

/// `auto` has to know which.
fn several(names: &[String]) -> Option<Problem> {
    (names.len() > 1).then(|| {
        let message = format!("`engine: auto` finds several engines: {}", names.join(", "));
        Problem::error("engine-ambiguous", message).hint("say which: `engine: {auto: <connection>}`")
    })
}

/// `{spark: …}` and `{ballista: …}` say of which kind it is.
fn other_kind(choice: &EngineChoice, engine: &EngineElsewhere) -> Option<Problem> {
    let word = match (choice, engine) {
        (EngineChoice::Spark(_), EngineElsewhere::Cluster(_)) => "spark",
        (EngineChoice::Ballista(_), EngineElsewhere::SparkSql(_)) => "ballista",
        _ => return None,
    };
    let name = engine.name();
    let problem = Problem::error("engine-unknown", format!("`{name}` is not a `{word}` connection"));
    Some(problem.hint(format!("engine: {name}")))
}

/// Chooses the engine for a step, and says so in its log.
pub(super) async fn choose(
    choice: &EngineChoice,
    engines: Option<&Arc<dyn RemoteEngines>>,
    context: &StepContext,
) -> Result<Chosen, StepError> {
    let open = |name: &str| match engines {
        Some(engines) => engines.open(name).map_err(|problem| StepError::permanent(*problem)),
        None => Err(StepError::permanent(Problem::error(
            "engine-unknown",
            format!("there is no engine `{name}` here"),
        ))),
    };
    let chosen = match choice {
        EngineChoice::Here => return Ok(Chosen { engine: None, reason: None }),
        EngineChoice::Named(name) if name == "local" => {
            Chosen { engine: None, reason: Some("this machine, as `engine: local` says".to_owned()) }
        }
        EngineChoice::Named(name) if name == "auto" => {
            let names = engines.map(|engines| engines.names()).unwrap_or_default();
            if let Some(problem) = several(&names) {
                return Err(StepError::permanent(problem));
            }
            match names.first() {
                None => Chosen {
                    engine: None,
                    reason: Some("this machine: `auto` finds no connection to another engine".to_owned()),
                },
                Some(only) => by_size(only, open(only), None, context).await?,
            }
        }
        EngineChoice::Named(name)
        | EngineChoice::Spark(SparkChoice { spark: name })
        | EngineChoice::Ballista(BallistaChoice { ballista: name }) => {
            let engine = open(name)?;
            if let Some(problem) = other_kind(choice, &engine) {
                return Err(StepError::permanent(problem));
            }
            Chosen { engine: Some(engine), reason: Some(format!("`{name}`, as the step says")) }
        }
        EngineChoice::Auto(AutoChoice { auto, above }) => {
            let above = above.as_deref().map(|text| {
                parse_bytes(text).ok_or_else(|| {
                    StepError::permanent(
                        Problem::error("engine-size", format!("`{text}` is no size")).hint("above: 5GB"),
                    )
                })
            });
            by_size(auto, open(auto), above.transpose()?, context).await?
        }
    };
    if let Some(reason) = &chosen.reason {
        context.log.line(&format!("engine: {reason}"));
    }
    Ok(chosen)
}

/// The engine for large inputs. Small ones run here even where it cannot be used.
async fn by_size(
    name: &str,
    engine: Result<EngineElsewhere, StepError>,
    above: Option<u64>,
    context: &StepContext,
) -> Result<Chosen, StepError> {
    let of_connection = engine.as_ref().ok().and_then(EngineElsewhere::auto_above);
    let above = above.or(of_connection).unwrap_or(AUTO_ABOVE);
    let (bytes, unknown) = input_bytes(context).await;
    let of_unknown = match unknown.as_slice() {
        [] => String::new(),
        names => format!(" (without {}, whose size is not known)", names.join(", ")),
    };
    let (limit, size) = (amount(above), amount(bytes));
    if bytes >= above {
        let reason =
            format!("`{name}`: the inputs have {size}{of_unknown}, and `auto` asks it from {limit} on");
        return Ok(Chosen { engine: Some(engine?), reason: Some(reason) });
    }
    let reason =
        format!("this machine: the inputs have {size}{of_unknown}, and `auto` asks `{name}` from {limit} on");
    Ok(Chosen { engine: None, reason: Some(reason) })
}

/// Bytes of all inputs, and those inputs whose size is not known.
async fn input_bytes(context: &StepContext) -> (u64, Vec<String>) {
    let mut bytes = 0_u64;
    let mut unknown = Vec::new();
    for (name, value) in &context.inputs {
        let Some(asset) = Asset::from_value(value) else { continue };
        let size = match asset.size_bytes {
            Some(size) => Some(size),
            None => size_of_file(&asset.uri).await,
        };
        match size {
            Some(size) => bytes = bytes.saturating_add(size),
            None => unknown.push(format!("`{name}`")),
        }
    }
    (bytes, unknown)
}

async fn size_of_file(uri: &str) -> Option<u64> {
    let path = url::Url::parse(uri).ok()?.to_file_path().ok()?;
    let found = fs_err::tokio::metadata(path).await.ok()?;
    found.is_file().then_some(found.len())
}

fn amount(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, factor)| bytes >= *factor) {
        // Tenths are enough to compare with a limit.
        Some((unit, factor)) => {
            let tenths = bytes / (factor / 10);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// Sends a query, and says in the log what is sent.
pub(super) async fn send(
    engine: &Arc<dyn RemoteEngine>,
    query: RemoteQuery,
    context: &StepContext,
) -> Result<BatchStream, StepError> {
    context.log.line(&format!("`{}` runs:", engine.name()));
    query.sql.lines().for_each(|line| context.log.line(&format!("  {line}")));
    unless_cancelled(context, engine.query(query)).await?.map_err(|error| remote_error(&error))
}

/// What comes of the work, unless the step is cancelled before that.
pub(super) async fn unless_cancelled<T>(
    context: &StepContext,
    work: impl Future<Output = T>,
) -> Result<T, StepError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(StepError::cancelled()),
        done = work => Ok(done),
    }
}

/// A query that did not begin. One that could not be sent may be tried again.
pub(super) fn remote_error(error: &RemoteError) -> StepError {
    let problem = Problem::error("engine", error.to_string());
    match error {
        RemoteError::Unreachable { .. } => StepError::transient(
            problem.hint("is the server up, and is `url` in connections.yaml its address?"),
        ),
        RemoteError::Refused { .. } => StepError::permanent(problem),
    }
}

/// A SELECT over the step's tables as Spark runs it.
pub(super) async fn statement(
    engine: &DataFusionEngine,
    sql: &str,
    params: &[Value],
    tables: &IndexMap<String, TableRef>,
) -> Result<RemoteQuery, StepError> {
    let refused = |error: Untranslated| {
        let problem = Problem::error("sql-plan", format!("Spark cannot do the same: {}", error.message));
        StepError::permanent(problem.hint(error.hint.unwrap_or_else(|| "engine: local".to_owned())))
    };
    let context = engine.session().map_err(|error| step_error(&error))?;
    let mut writer = Writer::default();
    let mut views = Vec::new();
    for (name, table) in tables {
        let schema: SchemaRef = match schema_of(engine, name, table).await {
            Ok(schema) => schema,
            Err(PlanError::Query(error)) => return Err(step_error(&error)),
            Err(other) => return Err(StepError::permanent(Problem::error("table-read", other.to_string()))),
        };
        let called = writer.free(&format!("{name}_input"));
        let view = input_view(engine, &called, table, &schema, true).await;
        let InputView { view, select } = view.map_err(|error| step_error(&error))?.map_err(refused)?;
        views.extend(view);
        writer.input(name, &called, select);
        let empty = Arc::new(EmptyTable::new(schema));
        let done = context.register_table(TableReference::bare(name.as_str()), empty);
        done.map_err(|error| step_error(&crate::engine::failure::plan_error(error)))?;
    }
    let frame = query::select(&context, sql, params).await.map_err(|error| step_error(&error))?;
    let (state, plan) = frame.into_parts();
    let schema = writer.table("answer", plan, &state).map_err(refused)?;
    let sql = writer.statement("answer", &schema).map_err(refused)?;
    Ok(RemoteQuery { views, options: OPTIONS.to_vec(), sql, schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_say_them() {
        for (bytes, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_540_000, "1.5 MB"),
            (20_000_000_000, "20.0 GB"),
            (3_210_000_000_000, "3.2 TB"),
        ] {
            assert_eq!(amount(bytes), words);
        }
    }

    #[test]
    fn an_engine_is_named_in_four_ways() {
        let read = |value: Value| EngineChoice::deserialize(value).unwrap();
        assert_eq!(read(json!("auto")), EngineChoice::Named("auto".to_owned()));
        assert_eq!(
            read(json!({"spark": "cluster"})),
            EngineChoice::Spark(SparkChoice { spark: "cluster".to_owned() })
        );
        let auto = AutoChoice { auto: "cluster".to_owned(), above: Some("5GB".to_owned()) };
        assert_eq!(read(json!({"auto": "cluster", "above": "5GB"})), EngineChoice::Auto(auto));
        assert!(EngineChoice::deserialize(json!({"sparc": "cluster"})).is_err());
        let (pointer, problem) =
            mistake(&json!({"engine": {"auto": "cluster", "above": "5 gigs"}}), None).unwrap();
        assert_eq!((pointer.as_str(), problem.message.as_str()), ("/engine/above", "`5 gigs` is no size"));
    }
}
