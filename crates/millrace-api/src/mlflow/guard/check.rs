//! Whether an account has what a request needs.

use axum::http::{HeaderMap, Method};
use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{LoggedModelRow, Refusal};
use millrace_metastore::registry::RegistryRefusal;
use millrace_tracking::REGISTERED;
use serde_json::Value;

use super::rules::{Need, Route, Streams};
use super::{Granted, Kind, Permission, denied};
use crate::app::App;
use crate::mlflow::error::MlflowError;
use crate::mlflow::owners::trace;
use crate::mlflow::wire::Fields;

/// What the tags of a model begin with that say how its aliases move, and who decides.
const OWN_TAGS: &str = "millrace.";
/// Parts of a file's address that are looked at for whose it is.
const MOST_PARTS: usize = 12;

/// Checks a request with fields.
pub(super) async fn request(
    app: &App,
    granted: &Granted,
    route: &Route,
    fields: &Fields,
) -> Result<(), MlflowError> {
    if route.lists_files() {
        let path = fields.text("path")?.unwrap_or_default();
        return below(app, granted, &path, Permission::Read).await;
    }
    let check = Check { app, granted, route, fields };
    if let Some(own) = &granted.attempt
        && route.is(&Method::POST, &["runs", "create"])
        && !own.may_make(app, fields).await?
    {
        return Err(denied());
    }
    for need in route.needs().ok_or_else(denied)? {
        check.need(need).await?;
    }
    Ok(())
}

/// Checks a request whose body is not read here.
pub(super) async fn file(
    app: &App,
    granted: &Granted,
    headers: &HeaderMap,
    streams: Streams<'_>,
) -> Result<(), MlflowError> {
    let Streams::File(path, wanted) = streams else {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // Without an experiment the handler refuses it.
        let Some(experiment) = header("x-mlflow-experiment-id") else { return Ok(()) };
        on_experiment(granted, experiment, Permission::Edit)?;
        return match header("x-mlflow-run-id") {
            Some(run) => on_run(app, granted, run, Permission::Edit).await,
            None => Ok(()),
        };
    };
    below(app, granted, path, wanted).await
}

/// Files belong to the run or the logged model that a part of their address is the id of, to a trace or to a registered model.
async fn below(app: &App, granted: &Granted, path: &str, wanted: Permission) -> Result<(), MlflowError> {
    let store = app.engine.store();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.first() == Some(&REGISTERED) {
        return match parts.get(1) {
            Some(name) => on_model(app, granted, name, wanted).await,
            None => Err(denied()),
        };
    }
    let whole = parts.join("/");
    if let Some((id, _)) = trace(&whole).filter(|(id, _)| !id.contains('\0')) {
        // A trace is as open as its experiment; nothing can be attached to one that there is not.
        let found = store.find_traces(vec![id.to_owned()]).await?;
        let trace = found.first().ok_or_else(denied)?;
        return on_experiment(granted, &trace.row.experiment_id.to_string(), wanted);
    }
    for part in parts.into_iter().take(MOST_PARTS) {
        if part.contains('\0') {
            break;
        }
        if let Some(run) = store.find_tracked_run(part.to_owned()).await? {
            return on_run_of(app, granted, (&run.id, run.experiment_id), wanted).await;
        }
        if part.starts_with("m-") && logged_model(app, part).await?.is_some() {
            return on_logged_model(app, granted, part, wanted).await;
        }
    }
    Err(denied())
}

fn allow(has: Permission, wanted: Permission) -> Result<(), MlflowError> {
    if has >= wanted { Ok(()) } else { Err(denied()) }
}

fn on_experiment(granted: &Granted, id: &str, wanted: Permission) -> Result<(), MlflowError> {
    // What is no number is no experiment, which the handler says.
    let Ok(number) = id.parse::<i64>() else { return Ok(()) };
    allow(granted.on(Kind::Experiment, &number.to_string()), wanted)
}

/// What there is none of, the handler says.
async fn on_run(app: &App, granted: &Granted, id: &str, wanted: Permission) -> Result<(), MlflowError> {
    match app.engine.store().find_tracked_run(id.to_owned()).await? {
        Some(run) => on_run_of(app, granted, (&run.id, run.experiment_id), wanted).await,
        None => Ok(()),
    }
}

/// A run is as open as its experiment; to the program of a step, if it is its own.
async fn on_run_of(
    app: &App,
    granted: &Granted,
    (id, experiment): (&str, i64),
    wanted: Permission,
) -> Result<(), MlflowError> {
    on_experiment(granted, &experiment.to_string(), wanted)?;
    match &granted.attempt {
        Some(own) if wanted > Permission::Read && !own.has(app, id).await? => Err(denied()),
        _ => Ok(()),
    }
}

async fn logged_model(app: &App, id: &str) -> Result<Option<LoggedModelRow>, MlflowError> {
    match app.engine.store().find_logged_model(id.to_owned()).await {
        Ok(model) => Ok(Some(model)),
        Err(MetastoreError::Refused(Refusal::NoModel { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn on_logged_model(
    app: &App,
    granted: &Granted,
    id: &str,
    wanted: Permission,
) -> Result<(), MlflowError> {
    let Some(model) = logged_model(app, id).await? else { return Ok(()) };
    on_experiment(granted, &model.experiment_id.to_string(), wanted)?;
    if granted.attempt.is_some() && !model.source_run_id.is_empty() {
        return on_run(app, granted, &model.source_run_id, wanted).await;
    }
    Ok(())
}

async fn on_traces(
    app: &App,
    granted: &Granted,
    ids: Vec<String>,
    wanted: Permission,
) -> Result<(), MlflowError> {
    for trace in app.engine.store().find_traces(ids).await? {
        on_experiment(granted, &trace.row.experiment_id.to_string(), wanted)?;
    }
    Ok(())
}

/// A name is a model's or a prompt's; of neither, the handler says so.
async fn on_model(app: &App, granted: &Granted, name: &str, wanted: Permission) -> Result<(), MlflowError> {
    match kind_of(app, name).await? {
        Some(kind) => allow(granted.on(kind, name), wanted),
        None => Ok(()),
    }
}

pub(super) async fn kind_of(app: &App, name: &str) -> Result<Option<Kind>, MlflowError> {
    match app.engine.store().find_registered_model(name.to_owned()).await {
        Ok(model) => Ok(Some(if model.is_prompt() { Kind::Prompt } else { Kind::Model })),
        Err(MetastoreError::Registry(RegistryRefusal::NoModel { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Checks the experiment or the run that an address of our own API names.
pub(super) async fn own_object(
    app: &App,
    granted: &Granted,
    word: &str,
    id: &str,
) -> Result<(), MlflowError> {
    match word {
        "experiments" => on_experiment(granted, id, Permission::Read),
        _ => on_run(app, granted, id, Permission::Read).await,
    }
}

/// Keeps what an account may see of models or versions; `name` is where their names are.
pub(super) async fn keep_readable(
    app: &App,
    granted: &Granted,
    name: &str,
    found: &mut Vec<Value>,
) -> Result<(), MlflowError> {
    let mut kept = Vec::with_capacity(found.len());
    for item in found.drain(..) {
        let named = item.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = kind_of(app, named).await?;
        if kind.is_some_and(|kind| granted.on(kind, named) >= Permission::Read) {
            kept.push(item);
        }
    }
    *found = kept;
    Ok(())
}

struct Check<'a> {
    app: &'a App,
    granted: &'a Granted,
    route: &'a Route,
    fields: &'a Fields,
}

impl Check<'_> {
    async fn need(&self, need: Need) -> Result<(), MlflowError> {
        let Self { app, granted, route, fields } = self;
        match need {
            Need::Experiment(wanted) => {
                let id = fields.text("experiment_id")?.unwrap_or_else(|| "0".to_owned());
                on_experiment(granted, &id, wanted)
            }
            Need::ExperimentNamed(wanted) => {
                let name = fields.text("experiment_name")?.unwrap_or_default();
                match app.engine.store().find_experiment_named(name).await? {
                    Some(found) => on_experiment(granted, &found.id.to_string(), wanted),
                    None => Ok(()),
                }
            }
            Need::Experiments(field, wanted) => self.each_experiment(&fields.texts(field)?, wanted),
            Need::Locations => self.locations(),
            Need::ToldTrace => self.told_trace().await,
            Need::Run(wanted) => on_run(app, granted, &fields.run_id()?, wanted).await,
            Need::SomeRun(wanted) => {
                let wanted = self.of_source(wanted);
                for field in ["run_id", "run_uuid", "source_run_id"] {
                    if let Some(id) = fields.text(field)? {
                        on_run(app, granted, &id, wanted).await?;
                    }
                }
                Ok(())
            }
            Need::Runs(field, wanted) => {
                for id in fields.texts(field)? {
                    on_run(app, granted, &id, wanted).await?;
                }
                Ok(())
            }
            Need::LoggedModelAt(index, wanted) => {
                on_logged_model(app, granted, route.part(index), wanted).await
            }
            Need::LoggedModels(list, wanted) => self.logged_models(list, self.of_source(wanted)).await,
            Need::TraceAt(index, wanted) => {
                on_traces(app, granted, vec![route.part(index).to_owned()], wanted).await
            }
            Need::Traces(field, wanted) => {
                let ids = match fields.json(field) {
                    Some(Value::Array(_)) => fields.texts(field)?,
                    _ => fields.text(field)?.into_iter().collect(),
                };
                on_traces(app, granted, ids, wanted).await
            }
            Need::DatasetAt(index, wanted) => self.dataset(route.part(index), wanted).await,
            // The program of a step may add versions; what they are made of is checked beside.
            Need::Model(_) if granted.attempt.is_some() && self.makes_a_version() => Ok(()),
            Need::Model(wanted) => match fields.text("name")? {
                Some(name) => on_model(app, granted, &name, wanted).await,
                None => Ok(()),
            },
            Need::ModelTag => {
                let decides = fields.text("key")?.is_some_and(|key| key.starts_with(OWN_TAGS));
                let wanted = if decides { Permission::Manage } else { Permission::Edit };
                match fields.text("name")? {
                    Some(name) => on_model(app, granted, &name, wanted).await,
                    None => Ok(()),
                }
            }
            Need::Source => self.source().await,
        }
    }

    fn makes_a_version(&self) -> bool {
        self.route.is(&Method::POST, &["model-versions", "create"])
    }

    /// What something is made of, the program of a step must have made.
    fn of_source(&self, wanted: Permission) -> Permission {
        let makes = self.makes_a_version() || self.route.is(&Method::POST, &["logged-models"]);
        if makes && self.granted.attempt.is_some() { wanted.max(Permission::Edit) } else { wanted }
    }

    fn each_experiment(&self, ids: &[String], wanted: Permission) -> Result<(), MlflowError> {
        if (ids.is_empty() || ids.iter().any(|id| id == "*")) && self.granted.is_restricted() {
            return Err(denied());
        }
        ids.iter().try_for_each(|id| on_experiment(self.granted, id, wanted))
    }

    fn locations(&self) -> Result<(), MlflowError> {
        let mut ids = Vec::new();
        for location in self.fields.messages("locations")? {
            if let Some(experiment) = location.message("mlflow_experiment")? {
                ids.extend(experiment.text("experiment_id")?);
            }
        }
        self.each_experiment(&ids, Permission::Read)
    }

    async fn told_trace(&self) -> Result<(), MlflowError> {
        let Some(trace) = self.fields.message("trace")? else { return Ok(()) };
        let Some(info) = trace.message("trace_info")? else { return Ok(()) };
        if let Some(id) = info.text("trace_id")? {
            on_traces(self.app, self.granted, vec![id], Permission::Edit).await?;
        }
        let location = info.message("trace_location")?;
        let experiment =
            location.map(|location| location.message("mlflow_experiment")).transpose()?.flatten();
        match experiment.map(|experiment| experiment.text("experiment_id")).transpose()?.flatten() {
            Some(id) => on_experiment(self.granted, &id, Permission::Edit),
            // Without one the handler refuses it.
            None => Ok(()),
        }
    }

    async fn logged_models(&self, list: &str, wanted: Permission) -> Result<(), MlflowError> {
        let mut ids: Vec<String> = self.fields.text("model_id")?.into_iter().collect();
        for message in self.fields.messages(list)? {
            ids.extend(message.text("model_id")?);
        }
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            on_logged_model(self.app, self.granted, &id, wanted).await?;
        }
        Ok(())
    }

    /// A dataset is as open as the least open of its experiments.
    async fn dataset(&self, id: &str, wanted: Permission) -> Result<(), MlflowError> {
        let Some(found) = self.app.engine.store().find_eval_dataset(id.to_owned()).await? else {
            return Ok(());
        };
        if found.experiments.is_empty() {
            return allow(self.granted.otherwise, wanted);
        }
        let of = |id: &i64| on_experiment(self.granted, &id.to_string(), wanted);
        found.experiments.iter().try_for_each(of)
    }

    /// `models:/name/…` copies a version, so its model must be one that the caller sees; `runs:/…` names a run.
    async fn source(&self) -> Result<(), MlflowError> {
        let wanted = self.of_source(Permission::Read);
        let source = self.fields.text("source")?.unwrap_or_default();
        if let Some((run, _)) = crate::mlflow::sources::of_run(&source) {
            return on_run(self.app, self.granted, run, wanted).await;
        }
        let Some(rest) = source.strip_prefix("models:/") else { return Ok(()) };
        let rest = rest.trim_start_matches('/');
        let name = rest.split(['/', '@']).next().unwrap_or_default();
        let name = millrace_storage::decode_text(name).unwrap_or_default();
        on_logged_model(self.app, self.granted, &name, wanted).await?;
        on_model(self.app, self.granted, &name, wanted).await
    }
}
