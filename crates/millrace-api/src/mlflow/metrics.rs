//! `metrics/get-history`, and what charts of many runs ask for.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_metastore::experiments::MetricRow;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::MlflowError;
use super::wire::Fields;
use super::{present, runs, search};
use crate::app::App;

/// All points by time, step and number; a page of them if the client says how many.
pub(super) async fn history(State(app): State<App>, fields: Fields) -> Result<Response, MlflowError> {
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
    let metrics = points.iter().map(present::Metric::of).collect();
    let next_page_token = points.last().filter(|_| more).map(encode);
    Ok(Json(History { metrics, next_page_token }).into_response())
}

#[derive(Serialize)]
struct History<'a> {
    metrics: Vec<present::Metric<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Runs in one answer of a chart.
const MOST_RUNS: usize = 100;
/// Points in one answer, of all runs together.
const MOST_POINTS: usize = 25_000;
/// Points of a run in an answer that is thinned.
const MOST_SAMPLED: i64 = 2_500;

/// One metric of several runs: by run, time, step and number, up to a limit for all of them.
pub(super) async fn history_bulk(State(app): State<App>, fields: Fields) -> Result<Response, MlflowError> {
    let mut run_ids = fields.texts("run_id")?;
    check_runs("GetMetricHistoryBulk", "run_id", run_ids.len())?;
    run_ids.sort_unstable();
    let key = fields
        .text("metric_key")?
        .ok_or_else(|| MlflowError::invalid("GetMetricHistoryBulk request must specify a metric_key."))?;
    let asked = fields.int("max_results")?.map_or(MOST_POINTS, |asked| usize::try_from(asked).unwrap_or(0));
    let histories = app.engine.store().list_metric_histories(run_ids, key).await?;
    let points =
        histories.iter().flat_map(|(run_id, points)| points.iter().map(move |point| (run_id, point)));
    let metrics =
        points.take(asked.min(MOST_POINTS)).map(|(run_id, point)| PointOfRun::new(run_id, point)).collect();
    Ok(Json(Points { metrics }).into_response())
}

/// One metric of several runs between two steps: by run, step and time, each thinned to as many points as a chart shows.
pub(super) async fn history_bulk_interval(
    State(app): State<App>,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let histories = interval_of_runs(&app, &fields).await?;
    Ok(Json(Points::of(&histories)).into_response())
}

/// The same as a JSON value.
pub(super) async fn interval(app: &App, fields: &Fields) -> Result<Value, MlflowError> {
    let histories = interval_of_runs(app, fields).await?;
    serde_json::to_value(Points::of(&histories)).map_err(|error| MlflowError::internal(&error))
}

async fn interval_of_runs(app: &App, fields: &Fields) -> Result<Vec<(String, Vec<MetricRow>)>, MlflowError> {
    let run_ids = fields.texts("run_ids")?;
    check_runs("GetMetricHistoryBulkInterval", "run_ids", run_ids.len())?;
    let key = fields.required("metric_key")?;
    let most = fields.int("max_results")?.unwrap_or(MOST_SAMPLED);
    if !(1..=MOST_SAMPLED).contains(&most) {
        return Err(MlflowError::invalid(format!("max_results must be between 1 and {MOST_SAMPLED}.")));
    }
    let steps = match (fields.int("start_step")?, fields.int("end_step")?) {
        (None, None) => i64::MIN..=i64::MAX,
        (Some(first), Some(last)) if first <= last => first..=last,
        (Some(first), Some(last)) => {
            return Err(MlflowError::invalid(format!(
                "end_step must be greater than start_step. Found start_step={first} and end_step={last}."
            )));
        }
        _ => {
            return Err(MlflowError::invalid(
                "If either start step or end step are specified, both must be specified.",
            ));
        }
    };
    let histories = app.engine.store().list_metric_histories(run_ids, key).await?;
    let most = usize::try_from(most).unwrap_or(1);
    let thinned = |(run_id, mut points): (String, Vec<MetricRow>)| {
        points.retain(|point| steps.contains(&point.step));
        points.sort_by_key(|point| (point.step, point.logged_at));
        let shown = sampled(points.len(), most).filter_map(|at| points.get(at).cloned()).collect();
        (run_id, shown)
    };
    Ok(histories.into_iter().map(thinned).collect())
}

fn check_runs(request: &str, field: &str, count: usize) -> Result<(), MlflowError> {
    match count {
        0 => Err(MlflowError::invalid(format!("{request} request must specify at least one {field}."))),
        count if count > MOST_RUNS => Err(MlflowError::invalid(format!(
            "{request} request cannot specify more than {MOST_RUNS} run_ids. Received {count} run_ids."
        ))),
        _ => Ok(()),
    }
}

/// Points as they are written: there may be 25,000, and a JSON value for each field would take longer than to read them.
#[derive(Serialize)]
struct Points<'a> {
    metrics: Vec<PointOfRun<'a>>,
}

impl<'a> Points<'a> {
    fn of(histories: &'a [(String, Vec<MetricRow>)]) -> Self {
        let points =
            histories.iter().flat_map(|(run_id, points)| points.iter().map(move |point| (run_id, point)));
        Self { metrics: points.map(|(run_id, point)| PointOfRun::new(run_id, point)).collect() }
    }
}

#[derive(Serialize)]
struct PointOfRun<'a> {
    key: &'a str,
    #[serde(serialize_with = "present::double")]
    value: f64,
    timestamp: i64,
    step: i64,
    run_id: &'a str,
}

impl<'a> PointOfRun<'a> {
    fn new(run_id: &'a str, point: &'a MetricRow) -> Self {
        let timestamp = point.logged_at / 1000;
        Self { key: &point.name, value: point.number, timestamp, step: point.step, run_id }
    }
}

/// Places of `most` of `count` points, evenly spread, first and last among them.
fn sampled(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let shown = count.min(most);
    (0..shown).map(move |at| if shown < 2 { at } else { at * (count - 1) / (shown - 1) })
}

fn encode(point: &MetricRow) -> String {
    URL_SAFE_NO_PAD.encode(json!([point.logged_at, point.step, point.number.to_bits()]).to_string())
}

fn decode(key: &str, token: &str) -> Option<MetricRow> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (logged_at, step, bits): (i64, i64, u64) = serde_json::from_slice(&bytes).ok()?;
    Some(MetricRow { name: key.to_owned(), step, logged_at, number: f64::from_bits(bits) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_both_ends() {
        let check = |count, most, expected: &[usize]| {
            assert_eq!(sampled(count, most).collect::<Vec<_>>(), expected, "{most} of {count}");
        };
        check(0, 5, &[]);
        check(1, 1, &[0]);
        check(3, 5, &[0, 1, 2]);
        check(10, 1, &[0]);
        check(10, 2, &[0, 9]);
        check(10, 4, &[0, 3, 6, 9]);
    }
}
