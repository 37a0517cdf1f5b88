//! `metrics/get-history`.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_metastore::experiments::MetricRow;
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::wire::Fields;
use super::{present, runs, search};
use crate::app::App;

/// All points by time, step and number; a page of them if the client says how many.
pub(super) async fn history(State(app): State<App>, fields: Fields) -> Answer {
    let (run_id, key) = (fields.run_id()?, fields.required("metric_key")?);
    let limit = match fields.int("max_results")? {
        Some(_) => Some(search::limit(&fields, 1)?),
        None => None,
    };
    let after = match fields.text("page_token")?.filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => Some(
            decode(&key, &token)
                .ok_or_else(|| MlflowError::invalid("Invalid page token, decoding failed"))?,
        ),
    };
    runs::found(&app, &run_id).await?;
    let asked = limit.map_or(i64::MAX, |limit| limit + 1);
    let mut points = app.engine.store().list_metric_history(run_id, key, after, asked).await?;
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let more = points.len() > most;
    points.truncate(most);
    let mut answer = json!({"metrics": points.iter().map(present::metric).collect::<Vec<_>>()});
    if let (true, Some(last), Some(answer)) = (more, points.last(), answer.as_object_mut()) {
        answer.insert("next_page_token".to_owned(), json!(encode(last)));
    }
    Ok(Json(answer))
}

fn encode(point: &MetricRow) -> String {
    URL_SAFE_NO_PAD.encode(json!([point.logged_at, point.step, point.number.to_bits()]).to_string())
}

fn decode(key: &str, token: &str) -> Option<MetricRow> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (logged_at, step, bits): (i64, i64, u64) = serde_json::from_slice(&bytes).ok()?;
    Some(MetricRow { name: key.to_owned(), step, logged_at, number: f64::from_bits(bits) })
}
