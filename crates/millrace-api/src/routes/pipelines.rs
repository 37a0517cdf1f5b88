//! Pipelines: files, and starting their runs.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use millrace_metastore::runs_read::RunFilter;
use millrace_orchestration::{NextFiring, RunRequest, describe_trigger, next_firings, window_at};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::Calendars;
use millrace_spec::triggers::Trigger;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::summaries;
use crate::app::{App, Definition};
use crate::error::{ApiError, ApiResult};
use crate::views::json::Json as AnyJson;
use crate::views::pipelines::{
    InputView, OutputView, PipelineStepView, PipelineSummary, PipelineView, StartRun, TriggerView,
};
use crate::views::runs::RunSummary;

/// Runs that a list shows for each pipeline.
const STRIP: i64 = 20;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_pipelines))
        .routes(routes!(find_pipeline))
        .routes(routes!(start_run))
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
#[utoipa::path(post, path = "/api/pipelines/{name}/runs", request_body = StartRun,
    params(("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = RunSummary)))]
async fn start_run(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Json<StartRun>, JsonRejection>,
) -> ApiResult<RunSummary> {
    let Json(wanted) = body?;
    let definition = definition(&app, &name).await?;
    let Some(pipeline) = definition.pipeline else {
        let problem = definition.problems.into_iter().next();
        let problem =
            problem.unwrap_or_else(|| Problem::error("invalid-pipeline", format!("`{name}` cannot be read")));
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem.hint("millrace check")));
    };
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let mut request =
        RunRequest { inputs: wanted.inputs.0, cause: json!({"by": "manual"}), ..RunRequest::default() };
    request.idempotency_key = key.map(|key| format!("{name}/{key}"));
    if let Some(text) = &wanted.window {
        let window = window_at(&pipeline, &app.workspace.timezone, text)
            .map_err(|problem| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, *problem))?;
        request.window = Some(window);
    }
    if wanted.force {
        request.force = serde_json::from_value(json!("all"))?;
    }
    let id = app.engine.submit(pipeline, request).await?;
    super::runs::summary(&app, &id).await.map(Json)
}

async fn definition(app: &App, name: &str) -> Result<Definition, ApiError> {
    app.definitions.definition(name).await.ok_or_else(|| ApiError::unknown("pipeline", name))
}

async fn recent_runs(app: &App, pipeline: &str) -> Result<Vec<RunSummary>, ApiError> {
    let filter = RunFilter { pipeline: Some(pipeline.to_owned()), limit: STRIP, ..RunFilter::default() };
    summaries(app, app.engine.store().list_pipeline_runs(filter).await?).await
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
        outputs: match app.steps.get(step.kind.as_str()) {
            Some(kind) => kind
                .outputs(&step.config, &step.outputs)
                .into_iter()
                .map(|output| OutputView { name: output.name, type_name: output.type_name })
                .collect(),
            None => Vec::new(),
        },
    };
    steps.map(view).collect()
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
