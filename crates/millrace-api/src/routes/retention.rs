//! For how long runs are kept.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use millrace_metastore::experiments::ALL_EXPERIMENTS;
use millrace_spec::problem::Problem;
use millrace_tracking::lifecycle::{KeepBest, RetentionPlan, RetentionRules};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lifecycle::experiment_id;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::views::lifecycle::{BestRuns, RetentionPlanView, RetentionRulesView, RetentionView, RunName};

/// Runs of a plan that are named.
const NAMED: usize = 100;
/// In the place of an experiment's id: the rules of all experiments without rules of their own.
const DEFAULT: &str = "default";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(find_retention, set_retention, remove_retention))
        .routes(routes!(plan_retention))
}

fn number(id: &str) -> Result<i64, ApiError> {
    if id == DEFAULT { Ok(ALL_EXPERIMENTS) } else { experiment_id(id) }
}

fn checked(rules: RetentionRulesView) -> Result<RetentionRules, ApiError> {
    let best = |best: BestRuns| KeepBest { count: best.count, metric: best.metric, smallest: best.smallest };
    let rules = RetentionRules {
        delete_after_days: rules.delete_after_days,
        keep_best: rules.keep_best.map(best),
        keep_newest: rules.keep_newest,
        keep_tagged: rules.keep_tagged,
        purge_after_days: rules.purge_after_days,
    };
    rules.check().map_err(|error| Problem::error("invalid-retention", error.to_string()))?;
    Ok(rules)
}

fn shown(rules: RetentionRules) -> RetentionRulesView {
    let best = |best: KeepBest| BestRuns { count: best.count, metric: best.metric, smallest: best.smallest };
    RetentionRulesView {
        delete_after_days: rules.delete_after_days,
        keep_best: rules.keep_best.map(best),
        keep_newest: rules.keep_newest,
        keep_tagged: rules.keep_tagged,
        purge_after_days: rules.purge_after_days,
    }
}

/// The rules of an experiment, and the default ones; `default` in the place of its id is the default alone.
#[utoipa::path(get, path = "/api/experiments/{id}/retention", params(("id" = String, Path)), responses((status = 200, body = RetentionView)))]
async fn find_retention(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RetentionView> {
    let number = number(&id)?;
    if number != ALL_EXPERIMENTS {
        app.engine.store().find_experiment(number).await?;
    }
    let default = app.lifecycle.own_retention(ALL_EXPERIMENTS).await?;
    let own = if number == ALL_EXPERIMENTS { None } else { app.lifecycle.own_retention(number).await? };
    Ok(Json(RetentionView { own: own.map(shown), default: default.map(shown) }))
}

/// Gives an experiment rules of its own. They are evaluated every hour.
#[utoipa::path(put, path = "/api/experiments/{id}/retention", request_body = RetentionRulesView, params(("id" = String, Path)), responses((status = 200, body = RetentionView)))]
async fn set_retention(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Result<Json<RetentionRulesView>, JsonRejection>,
) -> ApiResult<RetentionView> {
    let Json(rules) = body?;
    app.lifecycle.set_retention(number(&id)?, Some(&checked(rules)?)).await?;
    find_retention(State(app), Path(id)).await
}

/// Takes the rules of an experiment away, so that the default ones hold.
#[utoipa::path(delete, path = "/api/experiments/{id}/retention", params(("id" = String, Path)), responses((status = 200, body = RetentionView)))]
async fn remove_retention(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RetentionView> {
    app.lifecycle.set_retention(number(&id)?, None).await?;
    find_retention(State(app), Path(id)).await
}

/// Says what rules would do in an experiment now, and does nothing.
#[utoipa::path(post, path = "/api/experiments/{id}/retention/plan", request_body = RetentionRulesView, params(("id" = String, Path)), responses((status = 200, body = RetentionPlanView)))]
async fn plan_retention(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Result<Json<RetentionRulesView>, JsonRejection>,
) -> ApiResult<RetentionPlanView> {
    let Json(rules) = body?;
    let plan = app.lifecycle.plan_retention(experiment_id(&id)?, &checked(rules)?).await?;
    Ok(Json(plan_view(plan)))
}

fn plan_view(plan: RetentionPlan) -> RetentionPlanView {
    let run = |(id, name): (String, String)| RunName { id, name };
    RetentionPlanView {
        deletes: plan.delete.len() as u64,
        delete: plan.delete.into_iter().take(NAMED).map(run).collect(),
        purges: plan.purge.len() as u64,
        purges_models: plan.purge_models.len() as u64,
        purges_experiment: plan.purge_experiment,
        kept: plan.kept,
        referenced: plan.referenced,
        more: plan.more,
    }
}
