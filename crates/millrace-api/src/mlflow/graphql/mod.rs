//! `/graphql`, of which MLflow's own pages use a few queries: answers of the REST handlers, cut to what is selected.

mod parse;
mod schema;
mod select;

use std::collections::HashMap;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use millrace_metastore::experiments::Condition;
use millrace_metastore::registry::{ModelVersionRow, RegistryClause, RegistryField, RegistryQuery};
use serde_json::{Map, Value, json};

use super::error::MlflowError;
use super::wire::Fields;
use super::{artifacts, experiments, guard, inputs, metrics, model_versions, registry, runs};
use crate::accounts::Caller;
use crate::app::App;
use parse::{Document, FieldNode, Operation};
use schema::{MUTATION, Of, QUERY};
use select::Request;

/// Versions that models of a request's runs became.
const MOST_VERSIONS: i64 = 10_000;

/// Answers a document: 400 for one that cannot be, otherwise what was found and what failed.
pub(super) async fn answer(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let query = fields.required("query")?;
    let document = match parse::parse(&query) {
        Ok(document) => document,
        Err(error) => return Ok(refused(&error)),
    };
    let name = fields.text("operation_name")?.filter(|name| !name.is_empty());
    let operation = match operation(&document, name.as_deref()) {
        Ok(operation) => operation,
        Err(error) => return Ok(refused(&error)),
    };
    let given = fields.json("variables").and_then(Value::as_object).cloned().unwrap_or_default();
    let variables = variables(operation, given);
    let request = Request { document: &document, variables: &variables };
    let root = if operation.mutation { &MUTATION } else { &QUERY };
    if let Err(error) = request.check(root, &operation.selections) {
        return Ok(refused(&error));
    }
    let (mut data, mut errors) = (Map::new(), Vec::new());
    for field in request.fields(root, &operation.selections).unwrap_or_default() {
        let key = field.alias.as_ref().unwrap_or(&field.name).clone();
        let Some(Of::One(of)) = root.field(&field.name) else {
            data.insert(key, Value::from(root.name));
            continue;
        };
        let found = match root_field(&app, &caller, &request, field).await {
            Ok(found) => request.cut(of, &field.selections, &found),
            Err(error) => {
                errors.push(error.message().to_owned());
                Value::Null
            }
        };
        data.insert(key, found);
    }
    // MLflow's errors are texts, not GraphQL's objects; its pages read them so.
    let errors = if errors.is_empty() { Value::Null } else { json!(errors) };
    Ok(Json(json!({"data": data, "errors": errors})).into_response())
}

fn refused(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"data": null, "errors": [error]}))).into_response()
}

fn operation<'a>(document: &'a Document, name: Option<&str>) -> Result<&'a Operation, String> {
    match (document.operations.as_slice(), name) {
        ([], _) => Err("Must provide an operation.".to_owned()),
        ([only], None) => Ok(only),
        (_, None) => Err("Must provide operation name if query contains multiple operations.".to_owned()),
        (all, Some(name)) => {
            let found = all.iter().find(|operation| operation.name.as_deref() == Some(name));
            found.ok_or_else(|| format!("Unknown operation named '{name}'."))
        }
    }
}

/// What is given, and the defaults of the rest.
fn variables(operation: &Operation, mut given: Map<String, Value>) -> Map<String, Value> {
    for (name, default) in &operation.variables {
        if let (false, Some(default)) = (given.contains_key(name), default)
            && let Some(value) = default.resolve(&Map::new())
        {
            given.insert(name.clone(), value);
        }
    }
    given
}

/// A field of the operation itself, as the REST handler of the same request answers it.
async fn root_field(
    app: &App,
    caller: &Caller,
    request: &Request<'_>,
    field: &FieldNode,
) -> Result<Value, MlflowError> {
    let input = field.arguments.iter().find(|(name, _)| name == "input");
    let input =
        input.and_then(|(_, input)| input.resolve(request.variables)).filter(|input| !input.is_null());
    let input = Fields::of_json(input.unwrap_or_else(|| json!({})))?;
    let same_as = match field.name.as_str() {
        "mlflowGetExperiment" => (&Method::GET, "experiments/get"),
        "mlflowGetMetricHistoryBulkInterval" => (&Method::GET, "metrics/get-history-bulk-interval"),
        "mlflowGetRun" => (&Method::GET, "runs/get"),
        "mlflowListArtifacts" => (&Method::GET, "artifacts/list"),
        "mlflowSearchModelVersions" => (&Method::GET, "model-versions/search"),
        "mlflowSearchDatasets" => (&Method::POST, "experiments/search-datasets"),
        _ => (&Method::POST, "runs/search"),
    };
    let granted = guard::graphql(app, caller, same_as, &input).await?;
    let state = State(app.clone());
    let mut answer = match field.name.as_str() {
        "mlflowGetExperiment" => experiments::find(state, input).await?.0,
        "mlflowGetMetricHistoryBulkInterval" => metrics::interval(app, &input).await?,
        "mlflowGetRun" => runs::find(state, input).await?.0,
        "mlflowListArtifacts" => artifacts::list_of_run(state, input).await?.0,
        "mlflowSearchModelVersions" => model_versions::search(state, input).await?.0,
        "mlflowSearchDatasets" => inputs::search_datasets(state, input).await?.0,
        _ => json!(runs::search(state, input).await?.0),
    };
    add_to_runs(app, request, field, &mut answer).await?;
    if let Some(granted) = granted {
        for versions in lists_of_versions(&mut answer) {
            guard::keep_readable(app, &granted, versions).await?;
        }
    }
    Ok(answer)
}

/// Where an answer has versions of models: in itself, and in its runs.
fn lists_of_versions(answer: &mut Value) -> Vec<&mut Vec<Value>> {
    let mut found = Vec::new();
    let Some(fields) = answer.as_object_mut() else { return found };
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("model_versions", Value::Array(versions)) => found.push(versions),
            ("run", run) => found.extend(run.get_mut("model_versions").and_then(Value::as_array_mut)),
            ("runs", Value::Array(runs)) => {
                let versions = |run| Value::get_mut(run, "model_versions").and_then(Value::as_array_mut);
                found.extend(runs.iter_mut().filter_map(versions));
            }
            _ => {}
        }
    }
    found
}

/// Adds what only GraphQL has of runs, if it is selected: their experiments and the versions that models of theirs became.
async fn add_to_runs(
    app: &App,
    request: &Request<'_>,
    field: &FieldNode,
    answer: &mut Value,
) -> Result<(), MlflowError> {
    let Some(Of::One(of)) = QUERY.field(&field.name) else { return Ok(()) };
    let selects = |name: &str| {
        request.selects(of, &field.selections, &["run", name])
            || request.selects(of, &field.selections, &["runs", name])
    };
    let (with_experiment, with_versions) = (selects("experiment"), selects("modelVersions"));
    let mut found: Vec<&mut Value> = match answer.as_object_mut() {
        Some(answer) => answer
            .iter_mut()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("run", run) => vec![run],
                ("runs", Value::Array(runs)) => runs.iter_mut().collect(),
                _ => Vec::new(),
            })
            .collect(),
        None => return Ok(()),
    };
    if with_experiment {
        let mut known: HashMap<String, Value> = HashMap::new();
        for run in &mut found {
            let id = text(run, "experiment_id");
            if !known.contains_key(&id) {
                let input = Fields::of_json(json!({"experiment_id": id}))?;
                let experiment = experiments::find(State(app.clone()), input).await?.0;
                known.insert(id.clone(), experiment.get("experiment").cloned().unwrap_or_default());
            }
            add(run, "experiment", known.get(&id).cloned().unwrap_or_default());
        }
    }
    if with_versions {
        let ids = found.iter().map(|run| text(run, "run_id")).collect();
        let mut versions: HashMap<String, Vec<Value>> = HashMap::new();
        for row in versions_of(app, ids).await? {
            let run_id = row.run_id.clone().unwrap_or_default();
            versions.entry(run_id).or_default().push(registry::version_json(&row));
        }
        for run in &mut found {
            let of_run = versions.remove(&text(run, "run_id")).unwrap_or_default();
            add(run, "model_versions", Value::from(of_run));
        }
    }
    Ok(())
}

/// A text of a run's `info`.
fn text(run: &Value, name: &str) -> String {
    let text = run.get("info").and_then(|info| info.get(name)).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn add(run: &mut Value, name: &str, value: Value) {
    if let Some(run) = run.as_object_mut() {
        run.insert(name.to_owned(), value);
    }
}

async fn versions_of(app: &App, run_ids: Vec<String>) -> Result<Vec<ModelVersionRow>, MlflowError> {
    let mut found = Vec::new();
    // Each id is a bound value, of which a statement takes a limited number.
    for ids in run_ids.chunks(500) {
        let condition = Condition::In { values: ids.to_vec(), negated: false };
        let query = RegistryQuery {
            clauses: vec![RegistryClause { field: RegistryField::RunId, condition }],
            limit: MOST_VERSIONS,
            ..RegistryQuery::default()
        };
        found.extend(app.engine.store().search_model_versions(query).await?.0);
    }
    Ok(found)
}
