//! Evaluation datasets and their records.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_metastore::eval_datasets::{EvalDatasetRow, EvalRecordRow};
use millrace_metastore::experiments::Key;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::page_token;
use crate::present::instant;
use crate::views::json::{Json as AnyJson, JsonMap, TextMap};
use crate::views::prompts::{EvaluationDatasetView, EvaluationRecordPage, EvaluationRecordView};

const MOST: i64 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_evaluation_datasets))
        .routes(routes!(find_evaluation_dataset))
        .routes(routes!(list_evaluation_records))
}

fn milliseconds(at: i64) -> String {
    instant(at.saturating_mul(1_000))
}

fn shown(row: EvalDatasetRow) -> EvaluationDatasetView {
    EvaluationDatasetView {
        id: row.id,
        name: row.name,
        digest: row.digest,
        records: u64::try_from(row.records).unwrap_or_default(),
        experiments: row.experiments.iter().map(ToString::to_string).collect(),
        tags: TextMap(row.tags.into_iter().collect()),
        created_by: row.created_by,
        created_at: milliseconds(row.created_at_ms),
        updated_at: milliseconds(row.updated_at_ms),
    }
}

/// Lists the evaluation datasets, the one that was changed last first.
#[utoipa::path(get, path = "/api/evaluation-datasets", responses((status = 200, body = [EvaluationDatasetView])))]
async fn list_evaluation_datasets(State(app): State<App>) -> ApiResult<Vec<EvaluationDatasetView>> {
    let mut rows = app.engine.store().list_eval_datasets(None).await?;
    rows.sort_by(|one, other| other.updated_at_ms.cmp(&one.updated_at_ms).then(one.id.cmp(&other.id)));
    Ok(Json(rows.into_iter().map(shown).collect()))
}

async fn found(app: &App, id: &str) -> Result<EvalDatasetRow, ApiError> {
    let row = app.engine.store().find_eval_dataset(id.to_owned()).await?;
    row.ok_or_else(|| ApiError::unknown("evaluation dataset", id))
}

/// Finds an evaluation dataset.
#[utoipa::path(get, path = "/api/evaluation-datasets/{id}", params(("id" = String, Path)), responses((status = 200, body = EvaluationDatasetView)))]
async fn find_evaluation_dataset(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<EvaluationDatasetView> {
    Ok(Json(shown(found(&app, &id).await?)))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct RecordsQuery {
    /// Records at most, 100 if absent.
    limit: Option<i64>,
    /// Token of the page before.
    after: Option<String>,
}

/// Lists the records of an evaluation dataset, by page.
#[utoipa::path(get, path = "/api/evaluation-datasets/{id}/records", params(("id" = String, Path), RecordsQuery),
    responses((status = 200, body = EvaluationRecordPage)))]
async fn list_evaluation_records(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Result<Query<RecordsQuery>, QueryRejection>,
) -> ApiResult<EvaluationRecordPage> {
    let Query(asked) = query?;
    found(&app, &id).await?;
    let after = match asked.after.as_deref().map(page_token::decode) {
        None => None,
        Some(Some(cursor)) => match cursor.as_slice() {
            [Key::Int(at), Key::Text(id)] => Some((*at, id.clone())),
            _ => return Err(foreign()),
        },
        Some(None) => return Err(foreign()),
    };
    let limit = asked.limit.unwrap_or(100).clamp(1, MOST);
    let mut rows = app.engine.store().list_eval_records(id, after, limit + 1).await?;
    let size = usize::try_from(limit).unwrap_or_default();
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|last| page_token::encode(&vec![Key::Int(last.created_at_ms), Key::Text(last.id.clone())]));
    Ok(Json(EvaluationRecordPage { records: rows.into_iter().map(record).collect(), next }))
}

fn foreign() -> ApiError {
    Problem::error("invalid-query", "`after` is not a token of an earlier page").into()
}

fn record(row: EvalRecordRow) -> EvaluationRecordView {
    let mut document: Map<String, Value> = serde_json::from_str(&row.document).unwrap_or_default();
    let mut object = |name: &str| match document.remove(name) {
        Some(Value::Object(object)) => JsonMap(object.into_iter().collect()),
        _ => JsonMap::default(),
    };
    let (inputs, expectations, tags) = (object("inputs"), object("expectations"), object("tags"));
    let source = document.get("source");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let data = source.and_then(|source| source.get("source_data"));
    // Clients send the source's data as an object, or as one in a text.
    let data = data.map(|data| match data {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        data => data.clone(),
    });
    EvaluationRecordView {
        id: row.id,
        source: text(source.and_then(|source| source.get("source_type"))),
        trace_id: text(data.as_ref().and_then(|data| data.get("trace_id"))),
        outputs: document.get("outputs").filter(|value| !value.is_null()).cloned().map(AnyJson),
        inputs,
        expectations,
        tags,
        created_at: milliseconds(row.created_at_ms),
    }
}
