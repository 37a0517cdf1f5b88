//! Experiments and what their runs logged.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use indexmap::IndexMap;
use millrace_metastore::experiments::{
    Attribute, Field, Order, Query as RunQuery, RunGroup, Spread, TrackedRunRow, View,
};
use millrace_spec::problem::Problem;
use millrace_tracking::search::{Target, parse_filter};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::page_token;
use crate::present::instant;
use crate::views::json::{NumberMap, TextMap};
use crate::views::tracking::{
    ExperimentSummary, MetricCurve, MetricPoint, MetricSpread, RunGroupList, RunGroupView, TrackedRun,
    TrackedRunPage,
};

const MOST_RUNS: i64 = 2_000;
/// Groups in one answer.
const MOST_GROUPS: usize = 1_000;
/// Curves in one answer.
const MOST_CURVES: usize = 1_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_experiments))
        .routes(routes!(list_tracked_runs))
        .routes(routes!(list_run_groups))
        .routes(routes!(find_tracked_run))
        .routes(routes!(list_metric_curves))
}

/// Lists the experiments, the one that was used last first.
#[utoipa::path(get, path = "/api/experiments", responses((status = 200, body = [ExperimentSummary])))]
async fn list_experiments(State(app): State<App>) -> ApiResult<Vec<ExperimentSummary>> {
    let rows = app.engine.store().list_experiments().await?;
    let summary = |row: millrace_metastore::experiments::ExperimentRow| ExperimentSummary {
        id: row.id.to_string(),
        name: row.name,
        runs: u64::try_from(row.runs).unwrap_or_default(),
        last_run_at: row.last_run_at.map(instant),
    };
    Ok(Json(rows.into_iter().map(summary).collect()))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    /// Which runs: `metrics.auc > 0.9 and (params.depth = '7' or tags.best is not null)`.
    filter: String,
    /// `metrics.auc`, `params.depth`, `name` or `start_time`, `-` before it for the largest first; several with commas between. Newest
    /// first if absent.
    sort: String,
    /// Runs at most.
    limit: Option<i64>,
    /// Token of the page before.
    after: Option<String>,
    /// Deleted runs instead of the others.
    deleted: bool,
    /// `metrics.auc,params.depth`: only these values; all if empty.
    columns: String,
}

/// Lists the runs of an experiment, by page; `*` is every experiment.
#[utoipa::path(get, path = "/api/experiments/{id}/runs", params(("id" = String, Path), RunsQuery), responses((status = 200, body = TrackedRunPage)))]
async fn list_tracked_runs(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> ApiResult<TrackedRunPage> {
    let Query(asked) = query?;
    let found = app.engine.store().search_runs(run_query(&id, &asked)?, true).await?;
    let (mut metric_keys, mut param_keys) = (BTreeSet::new(), BTreeSet::new());
    for row in &found.rows {
        metric_keys.extend(row.values.metrics.iter().map(|point| point.name.clone()));
        param_keys.extend(row.values.params.iter().map(|(name, _)| name.clone()));
    }
    let mut rows = found.rows;
    let columns: Vec<&str> = words(&asked.columns).collect();
    if !columns.is_empty() {
        rows.iter_mut().for_each(|row| row.values.keep_only(&columns));
    }
    Ok(Json(TrackedRunPage {
        total: found.total.unwrap_or_default(),
        runs: tracked_runs(&app, rows).await?,
        next: found.next.as_ref().map(page_token::encode),
        metric_keys: metric_keys.into_iter().collect(),
        param_keys: param_keys.into_iter().collect(),
    }))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GroupsQuery {
    /// `params.depth`, `tags.team`, `status` or `experiment_id`.
    by: String,
    /// Which runs.
    filter: String,
    /// Metrics to be looked at, `metrics.auc`, with commas between.
    columns: String,
    /// One of the columns, `-metrics.auc` for the largest mean first, or `value`; the largest group first if absent.
    sort: String,
}

/// Gathers the runs of an experiment by a value that they share; `*` is every experiment.
#[utoipa::path(get, path = "/api/experiments/{id}/groups", params(("id" = String, Path), GroupsQuery), responses((status = 200, body = RunGroupList)))]
async fn list_run_groups(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Result<Query<GroupsQuery>, QueryRejection>,
) -> ApiResult<RunGroupList> {
    let Query(asked) = query?;
    let runs = RunsQuery { filter: asked.filter, ..RunsQuery::default() };
    let invalid = |message: String| ApiError::from(Problem::error("invalid-query", message));
    let by = match asked.by.split_once('.') {
        Some(("params", name)) => Field::Param(name.to_owned()),
        Some(("tags", name)) => Field::Tag(name.to_owned()),
        _ => Field::Attribute(match asked.by.as_str() {
            "status" => Attribute::Status,
            "experiment_id" => Attribute::ExperimentId,
            other => return Err(invalid(format!("`{other}` is nothing that runs are gathered by"))),
        }),
    };
    let columns: Vec<&str> =
        words(&asked.columns).filter_map(|column| column.strip_prefix("metrics.")).collect();
    let metrics = columns.iter().map(|name| (*name).to_owned()).collect();
    let mut groups = app.engine.store().group_runs(run_query(&id, &runs)?, by, metrics).await?;
    let (ascending, key) =
        asked.sort.strip_prefix('-').map_or((true, asked.sort.as_str()), |key| (false, key));
    if key == "value" {
        groups.sort_by(|one, other| one.value.cmp(&other.value));
    } else if let Some(name) = key.strip_prefix("metrics.") {
        let place = columns.iter().position(|column| *column == name);
        let place = place.ok_or_else(|| invalid(format!("`{key}` is sorted by, but is no column")))?;
        sort_by_mean(&mut groups, place, ascending);
    } else if !key.is_empty() {
        return Err(invalid(format!("`{key}` is nothing that groups are sorted by")));
    }
    let spread = |spread: &Spread| {
        (spread.count > 0).then_some(MetricSpread {
            count: spread.count,
            mean: spread.mean,
            min: spread.min,
            max: spread.max,
        })
    };
    Ok(Json(RunGroupList {
        total: groups.len() as u64,
        runs: groups.iter().map(|group| group.runs).sum(),
        groups: groups
            .into_iter()
            .take(MOST_GROUPS)
            .map(|group| RunGroupView {
                metrics: group.metrics.iter().map(spread).collect(),
                runs: group.runs,
                value: group.value,
            })
            .collect(),
    }))
}

/// Groups without the metric come last, whichever way the others are sorted.
fn sort_by_mean(groups: &mut [RunGroup], place: usize, ascending: bool) {
    let mean = |group: &RunGroup| {
        group.metrics.get(place).filter(|spread| spread.count > 0).map(|spread| spread.mean)
    };
    groups.sort_by(|one, other| match (mean(one), mean(other)) {
        (Some(one), Some(other)) if ascending => one.total_cmp(&other),
        (Some(one), Some(other)) => other.total_cmp(&one),
        (one, other) => other.is_some().cmp(&one.is_some()),
    });
}

fn run_query(id: &str, asked: &RunsQuery) -> Result<RunQuery, ApiError> {
    let invalid = |message: String| ApiError::from(Problem::error("invalid-query", message));
    let everywhere = id == "*";
    let experiments = match id.parse() {
        Ok(number) => vec![number],
        Err(_) if everywhere => Vec::new(),
        Err(_) => return Err(ApiError::unknown("experiment", id)),
    };
    let after = match &asked.after {
        None => None,
        Some(token) => Some(
            page_token::decode(token)
                .ok_or_else(|| invalid("`after` is not a token of an earlier page".to_owned()))?,
        ),
    };
    Ok(RunQuery {
        experiments,
        everywhere,
        filter: parse_filter(Target::Runs, &asked.filter).map_err(|error| invalid(error.to_string()))?,
        order: words(&asked.sort).map(|sort| order(sort).map_err(invalid)).collect::<Result<_, _>>()?,
        after,
        view: if asked.deleted { View::Deleted } else { View::Active },
        limit: asked.limit.unwrap_or(MOST_RUNS).clamp(1, MOST_RUNS),
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// `-metrics.auc`.
fn order(sort: &str) -> Result<Order, String> {
    let (ascending, key) = sort.strip_prefix('-').map_or((true, sort), |key| (false, key));
    let field = match key.split_once('.') {
        Some(("metrics", name)) => Field::Metric(name.to_owned()),
        Some(("params", name)) => Field::Param(name.to_owned()),
        Some(("tags", name)) => Field::Tag(name.to_owned()),
        _ => Field::Attribute(match key {
            "name" => Attribute::Name,
            "status" => Attribute::Status,
            "start_time" => Attribute::StartTime,
            "end_time" => Attribute::EndTime,
            _ => return Err(format!("`{key}` is nothing that runs are sorted by")),
        }),
    };
    Ok(Order { field, ascending })
}

/// Runs as the API shows them.
async fn tracked_runs(app: &App, rows: Vec<TrackedRunRow>) -> Result<Vec<TrackedRun>, ApiError> {
    let pipeline_run = |row: &TrackedRunRow| row.parent_id.clone().unwrap_or_else(|| row.id.clone());
    let known = app.engine.store().known_pipeline_runs(rows.iter().map(pipeline_run).collect()).await?;
    let shown = |row: TrackedRunRow| {
        let pipeline_run = pipeline_run(&row);
        let known = known.contains(&pipeline_run);
        let artifact_uri = crate::mlflow::run_uri(&row);
        // JSON has no word for "not a number".
        let numbers = row.values.metrics.into_iter().filter(|point| !point.number.is_nan());
        TrackedRun {
            artifact_uri,
            step: row.parent_id.as_ref().filter(|_| known).map(|_| row.name.clone()),
            pipeline_run_id: known.then_some(pipeline_run),
            id: row.id,
            name: row.name,
            experiment_id: row.experiment_id.to_string(),
            status: row.status,
            start_time: Some(instant(row.started_at)),
            end_time: row.ended_at.map(instant),
            params: TextMap(row.values.params.into_iter().collect()),
            metrics: NumberMap(numbers.map(|point| (point.name, point.number)).collect()),
            tags: TextMap(row.values.tags.into_iter().collect()),
            parent_id: row.parent_id,
        }
    };
    Ok(rows.into_iter().map(shown).collect())
}

async fn run_row(app: &App, id: &str) -> Result<TrackedRunRow, ApiError> {
    app.engine.store().find_tracked_run(id.to_owned()).await?.ok_or_else(|| ApiError::unknown("run", id))
}

/// Finds a tracked run.
#[utoipa::path(get, path = "/api/tracked-runs/{id}", params(("id" = String, Path)), responses((status = 200, body = TrackedRun)))]
async fn find_tracked_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<TrackedRun> {
    let row = run_row(&app, &id).await?;
    let run = tracked_runs(&app, vec![row]).await?.pop();
    Ok(Json(run.ok_or_else(|| ApiError::unknown("run", &id))?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CurvesQuery {
    /// Run ids with commas between.
    runs: String,
    /// Metric names with commas between; all if empty.
    #[serde(default)]
    keys: String,
    /// Points a curve at most; first and last are kept.
    points: Option<usize>,
}

/// Reads the history of metrics, thinned to what a screen can show.
#[utoipa::path(get, path = "/api/metrics", params(CurvesQuery), responses((status = 200, body = [MetricCurve])))]
async fn list_metric_curves(
    State(app): State<App>,
    query: Result<Query<CurvesQuery>, QueryRejection>,
) -> ApiResult<Vec<MetricCurve>> {
    let Query(query) = query?;
    let wanted: Vec<&str> = query.keys.split(',').filter(|key| !key.is_empty()).collect();
    let most = query.points.unwrap_or(2_000).clamp(2, 10_000);
    let mut curves: Vec<MetricCurve> = Vec::new();
    for run in query.runs.split(',').filter(|id| !id.is_empty()).take(100) {
        let mut of_run: IndexMap<String, Vec<MetricPoint>> = IndexMap::new();
        let one = match wanted.as_slice() {
            [only] => Some((*only).to_owned()),
            _ => None,
        };
        for point in app.engine.store().list_tracked_metrics(run.to_owned(), one).await? {
            if (wanted.is_empty() || wanted.contains(&point.name.as_str())) && !point.number.is_nan() {
                let shown =
                    MetricPoint { step: point.step, at: instant(point.logged_at), value: point.number };
                of_run.entry(point.name).or_default().push(shown);
            }
        }
        curves.extend(of_run.into_iter().map(|(key, points)| MetricCurve {
            run_id: run.to_owned(),
            key,
            points: thinned(points, most),
        }));
        curves.truncate(MOST_CURVES);
    }
    Ok(Json(curves))
}

/// First, last, and of each stretch between the least and the largest point, so that no peak is lost.
fn thinned(points: Vec<MetricPoint>, most: usize) -> Vec<MetricPoint> {
    let count = points.len();
    if count <= most || count < 3 {
        return points;
    }
    let length = (count - 2).div_ceil((most.saturating_sub(2) / 2).max(1));
    let mut kept = vec![0, count - 1];
    for begin in (1..count - 1).step_by(length) {
        let stretch = begin..(begin + length).min(count - 1);
        let value = |index: &usize| points.get(*index).map_or(f64::NAN, |point| point.value);
        let order = |one: &usize, other: &usize| value(one).total_cmp(&value(other));
        kept.extend(stretch.clone().min_by(order));
        kept.extend(stretch.max_by(order));
    }
    kept.sort_unstable();
    kept.dedup();
    let mut wanted = kept.into_iter().peekable();
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| wanted.next_if_eq(index).is_some())
        .map(|(_, point)| point)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends_and_its_peaks() {
        let point = |step: i64| {
            let value = if step == 7_777 {
                9.0
            } else if step == 3_333 {
                -9.0
            } else {
                0.0
            };
            MetricPoint { step, at: String::new(), value }
        };
        let thin = thinned((0..10_001).map(point).collect(), 100);
        assert!(thin.len() <= 100 && thin.len() > 50, "{}", thin.len());
        assert!(thin.windows(2).all(|pair| pair[0].step < pair[1].step));
        let steps: Vec<i64> = thin.iter().map(|point| point.step).collect();
        for step in [0, 3_333, 7_777, 10_000] {
            assert!(steps.contains(&step), "{step}");
        }
        for most in [2, 3, 4, 5] {
            assert!(thinned((0..50).map(point).collect(), most).len() <= most.max(4), "{most}");
        }
        assert_eq!(thinned((0..5).map(point).collect(), 10).len(), 5);
    }
}
