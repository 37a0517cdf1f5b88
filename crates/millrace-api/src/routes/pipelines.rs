//! Pipelines: files, and starting their runs.

use std::collections::HashMap;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use millrace_metastore::runs_search::RunSearch;
use millrace_orchestration::plan::PlannedStep;
use millrace_orchestration::{
    Force, NextFiring, RunRequest, Selection, describe_trigger, next_firings, window_at,
};
use millrace_spec::mapping::gathered_outputs;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::Calendars;
use millrace_spec::triggers::Trigger;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wait::{WaitQuery, until_over};
use crate::accounts::Caller;
use crate::actor::person;
use crate::app::{App, Definition};
use crate::error::{ApiError, ApiResult};
use crate::views::json::Json as AnyJson;
use crate::views::pipelines::{
    InputView, OutputView, PipelineStepView, PipelineSummary, PipelineView, PlannedStepView, StartRun,
    TriggerView,
};
use crate::views::runs::RunSummary;

/// Runs that a list shows for each pipeline.
const STRIP: i64 = 20;
/// Longest `Idempotency-Key`, characters.
const LONGEST_KEY: usize = 255;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_pipelines))
        .routes(routes!(find_pipeline))
        .routes(routes!(start_run))
        .routes(routes!(plan_run))
}

/// Lists the pipelines by name.
#[utoipa::path(get, path = "/api/pipelines", responses((status = 200, body = [PipelineSummary])))]
async fn list_pipelines(State(app): State<App>) -> ApiResult<Vec<PipelineSummary>> {
    let mut pipelines = Vec::new();
    let calendars = app.triggers.calendars().await;
    for definition in app.definitions.definitions().await {
        let recent_runs = recent_runs(&app, &definition.name).await?;
        let (firings, problems) = firings(&app, &definition, &calendars);
        pipelines.push(PipelineSummary {
            description: definition.pipeline.as_ref().and_then(|pipeline| pipeline.description.clone()),
            steps: definition
                .pipeline
                .as_ref()
                .map_or(0, |pipeline| pipeline.steps.len() + pipeline.finally.len())
                as u32,
            next_firing: firings.first().map(|firing| firing.at.to_string()),
            problems: problems.into_iter().map(Into::into).collect(),
            name: definition.name,
            file: definition.file,
            recent_runs,
        });
    }
    Ok(Json(pipelines))
}

/// Shows a pipeline.
#[utoipa::path(get, path = "/api/pipelines/{name}", params(("name" = String, Path)),
    responses((status = 200, body = PipelineView)))]
async fn find_pipeline(State(app): State<App>, Path(name): Path<String>) -> ApiResult<PipelineView> {
    let definition = definition(&app, &name).await?;
    let calendars = app.triggers.calendars().await;
    let (firings, problems) = firings(&app, &definition, &calendars);
    let pipeline = definition.pipeline.as_ref();
    Ok(Json(PipelineView {
        description: pipeline.and_then(|pipeline| pipeline.description.clone()),
        problems: problems.into_iter().map(Into::into).collect(),
        inputs: pipeline.map(inputs).unwrap_or_default(),
        steps: pipeline.map(|pipeline| steps(&app, pipeline)).unwrap_or_default(),
        triggers: pipeline.map(|pipeline| triggers(&app, pipeline, &firings)).unwrap_or_default(),
        recent_runs: recent_runs(&app, &name).await?,
        command: format!("millrace run {name}"),
        name: definition.name,
        file: definition.file,
        yaml: definition.yaml,
    }))
}

/// Starts a run. A request with the `Idempotency-Key` of an earlier one starts nothing and answers the earlier run.
///
/// With `wait` the answer comes when the run is over, or with 202 when the time is up; `Location` is where to ask then.
#[utoipa::path(post, path = "/api/pipelines/{name}/runs", request_body = StartRun,
    params(("name" = String, Path), ("Idempotency-Key" = Option<String>, Header), WaitQuery),
    responses((status = 200, body = RunSummary), (status = 202, body = RunSummary, description = "The run goes on."),
        (status = 422, description = "The inputs do not fit, or the key is that of another request.")))]
async fn start_run(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    query: Result<Query<WaitQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Json<StartRun>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let wait = query.duration()?;
    let Json(wanted) = body?;
    let pipeline = runnable(&app, &name).await?;
    let key = idempotency_key(&headers)?;
    let user = person(&app, &caller, None)?.name;
    let cause = cause(&wanted, key.is_some(), &user);
    let mut request = request(&app, &pipeline, wanted).await?;
    request.cause = cause.clone();
    request.idempotency_key = key.as_ref().map(|key| format!("{name}/{key}"));
    let id = app.engine.submit(pipeline, request).await?;
    if let Some(key) = key {
        refuse_other_request(&app, &id, &key, &cause).await?;
    }
    let over = match wait {
        Some(wait) => until_over(&app, &id, wait).await?,
        None => true,
    };
    let status = if over { StatusCode::OK } else { StatusCode::ACCEPTED };
    let run = super::runs::summary(&app, &id).await?;
    Ok((status, [(header::LOCATION, format!("/api/runs/{id}"))], Json(run)).into_response())
}

/// Says what such a run would do: which steps run, which are reused, and why. Nothing is done.
#[utoipa::path(post, path = "/api/pipelines/{name}/plan", request_body = StartRun, params(("name" = String, Path)),
    responses((status = 200, body = [PlannedStepView])))]
async fn plan_run(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Result<Json<StartRun>, JsonRejection>,
) -> ApiResult<Vec<PlannedStepView>> {
    let Json(wanted) = body?;
    let pipeline = runnable(&app, &name).await?;
    let request = request(&app, &pipeline, wanted).await?;
    let plan = app.engine.plan(&pipeline, &request).await?;
    Ok(Json(plan.into_iter().map(planned).collect()))
}

fn planned(step: PlannedStep) -> PlannedStepView {
    PlannedStepView {
        step: step.step,
        kind: step.kind,
        action: step.action.as_str().to_owned(),
        why: step.why,
        items: step.items,
        items_reused: step.items_reused,
        problem: step.problem.map(Into::into),
    }
}

/// The pipeline of a name, if it has no errors.
async fn runnable(app: &App, name: &str) -> Result<Pipeline, ApiError> {
    let definition = definition(app, name).await?;
    definition.pipeline.ok_or_else(|| {
        let problem = definition.problems.into_iter().next();
        let problem =
            problem.unwrap_or_else(|| Problem::error("invalid-pipeline", format!("`{name}` cannot be read")));
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem.hint("millrace check"))
    })
}

async fn request(app: &App, pipeline: &Pipeline, wanted: StartRun) -> Result<RunRequest, ApiError> {
    let named = |step: Option<String>| step.filter(|step| !step.is_empty());
    let selection = match (named(wanted.from), named(wanted.only)) {
        (Some(step), _) => Some(Selection::From(step)),
        (None, Some(step)) => Some(Selection::Only(step)),
        (None, None) => None,
    };
    let take_over = match &selection {
        Some(selection) => Some(app.engine.take_over_for(pipeline, selection).await?),
        None => None,
    };
    let force = match (wanted.force, wanted.force_steps.is_empty()) {
        (true, _) => Force::All,
        (false, false) => Force::Steps(wanted.force_steps),
        (false, true) => Force::Nothing,
    };
    let window = match &wanted.window {
        Some(text) => Some(
            window_at(pipeline, &app.workspace.timezone, text)
                .map_err(|problem| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, *problem))?,
        ),
        None => None,
    };
    let (inputs, cause) = (wanted.inputs.0, json!({"by": "manual"}));
    Ok(RunRequest { inputs, cause, force, take_over, window, ..RunRequest::default() })
}

/// The caller's key; without one every request is a run of its own.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY);
    match key {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Problem::error(
            "invalid-idempotency-key",
            format!("an `Idempotency-Key` is 1 to {LONGEST_KEY} visible ASCII characters"),
        )
        .into()),
    }
}

/// What started the run; with a key also what was asked for, so that another request under the same key is noticed.
fn cause(wanted: &StartRun, keyed: bool, user: &str) -> Value {
    let mut cause = json!({"by": "manual", "user": user});
    if let Some(caller) = &wanted.caller {
        cause = json!({"by": caller.system, "url": caller.url, "user": user});
    }
    if keyed {
        let asked = json!([
            wanted.inputs.0,
            wanted.force,
            wanted.force_steps,
            wanted.from,
            wanted.only,
            wanted.window
        ])
        .to_string();
        cause["request"] = json!(blake3::hash(asked.as_bytes()).to_hex().as_str());
    }
    cause
}

/// A key stands for one request: another one under it is a mistake of the caller, who would take the wrong run for theirs.
async fn refuse_other_request(app: &App, id: &str, key: &str, cause: &Value) -> Result<(), ApiError> {
    let row = super::runs::run_row(app, id).await?;
    let stored: Value = serde_json::from_str(&row.cause)?;
    match stored.get("request") {
        Some(asked) if Some(asked) != cause.get("request") => {
            let message = format!("the `Idempotency-Key` `{key}` was used for a request with other inputs");
            let problem = Problem::error("idempotency-key-reused", message)
                .note(format!("that request started the run {id}"))
                .hint("send another key to start another run");
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem))
        }
        _ => Ok(()),
    }
}

async fn definition(app: &App, name: &str) -> Result<Definition, ApiError> {
    app.definitions.definition(name).await.ok_or_else(|| ApiError::unknown("pipeline", name))
}

async fn recent_runs(app: &App, pipeline: &str) -> Result<Vec<RunSummary>, ApiError> {
    let search = RunSearch { pipelines: vec![pipeline.to_owned()], limit: STRIP, ..RunSearch::default() };
    super::run_lists::listed(app, app.engine.store().search_pipeline_runs(search).await?).await
}

/// The next firings of a pipeline, soonest first, and its problems, those of its triggers last.
fn firings(app: &App, definition: &Definition, calendars: &Calendars) -> (Vec<NextFiring>, Vec<Problem>) {
    let mut problems = definition.problems.clone();
    let Some(pipeline) = &definition.pipeline else { return (Vec::new(), problems) };
    let firings = next_firings(pipeline, &app.workspace.timezone, calendars, app.clock.now(), 1)
        .unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
    (firings, problems)
}

fn inputs(pipeline: &Pipeline) -> Vec<InputView> {
    let view = |(name, input): (&String, &millrace_spec::pipeline::InputSpec)| InputView {
        name: name.clone(),
        type_name: input.type_name.clone(),
        default: AnyJson(input.default.clone().unwrap_or(Value::Null)),
        required: input.default.is_none(),
        allowed: input.allowed.as_ref().map(|values| values.iter().cloned().map(AnyJson).collect()),
        description: input.description.clone(),
    };
    pipeline.inputs.iter().map(view).collect()
}

fn steps(app: &App, pipeline: &Pipeline) -> Vec<PipelineStepView> {
    let steps = pipeline.steps.values().map(|step| (step, false));
    let steps = steps.chain(pipeline.finally.values().map(|step| (step, true)));
    let view = |(step, at_the_end): (&millrace_spec::pipeline::Step, bool)| PipelineStepView {
        id: step.id.to_string(),
        kind: step.kind.clone(),
        needs: step.needs.iter().map(ToString::to_string).collect(),
        at_the_end,
        condition: step.condition.clone(),
        outputs: outputs(app, step),
    };
    steps.map(view).collect()
}

fn outputs(app: &App, step: &millrace_spec::pipeline::Step) -> Vec<OutputView> {
    let Some(kind) = app.steps.get(step.kind.as_str()) else { return Vec::new() };
    let of_kind = kind.outputs(&step.config, &step.outputs).into_iter();
    let mut outputs: Vec<(String, String)> = of_kind.map(|output| (output.name, output.type_name)).collect();
    if let Some(mapping) = &step.mapping {
        outputs = gathered_outputs(outputs, mapping);
    }
    outputs.into_iter().map(|(name, type_name)| OutputView { name, type_name }).collect()
}

fn triggers(app: &App, pipeline: &Pipeline, firings: &[NextFiring]) -> Vec<TriggerView> {
    let next: HashMap<_, _> = firings.iter().map(|firing| (firing.trigger.as_str(), firing.at)).collect();
    let view = |(name, trigger): (&String, &Trigger)| TriggerView {
        name: name.clone(),
        kind: trigger.word().to_owned(),
        description: describe_trigger(trigger, &app.workspace.timezone),
        next_firing: next.get(name.as_str()).map(ToString::to_string),
    };
    pipeline.triggers.iter().map(view).collect()
}
