//! All pipelines over time.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use millrace_metastore::runs_search::RunListRow;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::present::runs::trigger;
use crate::views::timeline::{TimelineLane, TimelineRun, TimelineView};

/// Runs that one answer has at most.
const MOST_RUNS: i64 = 5_000;
/// Longest time that one answer shows, milliseconds: a leap year.
const LONGEST: i64 = 366 * 86_400_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show_timeline))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TimelineQuery {
    /// Milliseconds since 1970; a day before `to` if absent.
    from: Option<i64>,
    /// Milliseconds since 1970; now if absent.
    to: Option<i64>,
    /// Runs; 2,000 if absent, at most 5,000. The newest are there.
    limit: Option<i64>,
}

/// Shows which runs of which pipelines went on between two instants.
#[utoipa::path(get, path = "/api/timeline", params(TimelineQuery), responses((status = 200, body = TimelineView)))]
async fn show_timeline(
    State(app): State<App>,
    query: Result<Query<TimelineQuery>, QueryRejection>,
) -> ApiResult<TimelineView> {
    let Query(query) = query?;
    let to_ms = query.to.unwrap_or_else(|| app.clock.now().as_millisecond());
    let from_ms = query.from.unwrap_or_else(|| to_ms.saturating_sub(86_400_000));
    if from_ms >= to_ms || to_ms.saturating_sub(from_ms) > LONGEST {
        let problem = Problem::error("invalid-query", "`to` is not within a year after `from`");
        return Err(problem.hint("from=1767225600000&to=1767312000000").into());
    }
    let limit = query.limit.unwrap_or(2_000).clamp(1, MOST_RUNS);
    let (from, to) = (from_ms.saturating_mul(1_000), to_ms.saturating_mul(1_000));
    // One more than asked for tells whether some are missing.
    let mut rows = app.engine.store().pipeline_runs_between(from, to, limit + 1).await?;
    let whole_since_ms =
        rows.get(usize::try_from(limit).unwrap_or(usize::MAX)).map(|row| row.created_at / 1_000 + 1);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut lanes: BTreeMap<String, Vec<TimelineRun>> = BTreeMap::new();
    for row in rows {
        lanes.entry(row.pipeline.clone()).or_default().push(run(row));
    }
    let lanes = lanes.into_iter().map(|(pipeline, runs)| TimelineLane { pipeline, runs }).collect();
    Ok(Json(TimelineView { from_ms, to_ms, lanes, whole_since_ms }))
}

fn run(row: RunListRow) -> TimelineRun {
    TimelineRun {
        id: row.id,
        number: row.number,
        status: row.state,
        trigger: trigger(&row.cause),
        created_ms: row.created_at / 1_000,
        started_ms: row.started_at.map(|at| at / 1_000),
        ended_ms: row.ended_at.map(|at| at / 1_000),
    }
}
