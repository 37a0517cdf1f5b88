//! Models that runs saved.

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::experiments::LoggedModelRow;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::mlflow::model_uri;
use crate::present::instant;
use crate::views::json::TextMap;
use crate::views::prompts::{LoggedModelMetric, LoggedModelView};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find_logged_model)).routes(routes!(list_models_of_run))
}

/// Finds a model that a run saved.
#[utoipa::path(get, path = "/api/logged-models/{id}", params(("id" = String, Path)), responses((status = 200, body = LoggedModelView)))]
async fn find_logged_model(State(app): State<App>, Path(id): Path<String>) -> ApiResult<LoggedModelView> {
    let row = app.engine.store().find_logged_model(id.clone()).await;
    let row = row.map_err(|_| ApiError::unknown("logged model", &id))?;
    Ok(Json(shown(&app, vec![row]).await?.pop().ok_or_else(|| ApiError::unknown("logged model", &id))?))
}

/// Lists the models that a run saved, in the order of its steps.
#[utoipa::path(get, path = "/api/tracked-runs/{id}/models", params(("id" = String, Path)), responses((status = 200, body = [LoggedModelView])))]
async fn list_models_of_run(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<Vec<LoggedModelView>> {
    let store = app.engine.store();
    let mut rows: Vec<LoggedModelRow> = Vec::new();
    for (_, link) in store.list_linked(vec![id]).await?.models {
        if link.direction != "output" || rows.iter().any(|row| row.id == link.model_id) {
            continue;
        }
        // One that was deleted is still linked.
        rows.extend(store.find_logged_model(link.model_id).await.ok());
    }
    Ok(Json(shown(&app, rows).await?))
}

async fn shown(app: &App, rows: Vec<LoggedModelRow>) -> Result<Vec<LoggedModelView>, ApiError> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let store = app.engine.store();
    let texts = store.list_logged_model_texts(ids.clone()).await?;
    let metrics = store.list_logged_model_metrics(ids).await?;
    let view = |row: LoggedModelRow| {
        let own = |family: &str| {
            let own = texts.iter().filter(|(owner, (kind, _, _))| *owner == row.id && kind == family);
            TextMap(own.map(|(_, (_, name, content))| (name.clone(), content.clone())).collect())
        };
        let measured =
            metrics.iter().filter(|metric| metric.model_id == row.id && metric.point.number.is_finite());
        LoggedModelView {
            name: row.name.clone(),
            experiment_id: row.experiment_id.to_string(),
            status: row
                .status
                .trim_start_matches("LOGGED_MODEL_")
                .trim_start_matches("UPLOAD_")
                .to_ascii_lowercase(),
            model_type: Some(row.model_type.clone()).filter(|kind| !kind.is_empty()),
            run_id: Some(row.source_run_id.clone()).filter(|id| !id.is_empty()),
            artifact_uri: model_uri(&row),
            params: own("param"),
            tags: own("tag"),
            metrics: measured
                .map(|metric| LoggedModelMetric {
                    name: metric.point.name.clone(),
                    value: metric.point.number,
                    step: metric.point.step,
                    dataset: Some(metric.dataset_name.clone()).filter(|name| !name.is_empty()),
                    run_id: metric.run_id.clone(),
                })
                .collect(),
            created_at: instant(row.created_at),
            id: row.id.clone(),
        }
    };
    Ok(rows.into_iter().map(view).collect())
}
