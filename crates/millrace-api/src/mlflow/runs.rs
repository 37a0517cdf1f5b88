//! `runs/…`: their life.

use axum::extract::State;
use axum::{Extension, Json};
use millrace_metastore::experiments::{
    NAME_TAG, PARENT_TAG, ParamRule, RunChange, TrackedBatch, TrackedRunRow,
};
use millrace_tracking::search::Target;
use serde::Serialize;
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::experiments::experiment_id;
use super::wire::Fields;
use super::{names, present, search as searching};
use crate::accounts::Caller;
use crate::app::App;
use crate::page_token;

const STATUSES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/// A tag of a run as it is kept.
pub(super) fn tag(place: &str, (key, value): (String, String)) -> Result<(String, String), MlflowError> {
    names::check_key(place, &key)?;
    Ok((key, names::tag_value(value)))
}

/// MLflow's word; numbers are those of its enumeration.
fn status(fields: &Fields) -> Result<Option<String>, MlflowError> {
    let Some(given) = fields.text("status")?.filter(|given| !given.is_empty()) else { return Ok(None) };
    if STATUSES.contains(&given.as_str()) {
        return Ok(Some(given));
    }
    Err(MlflowError::invalid(format!("Invalid value \"{given}\" for parameter 'status' supplied")))
}

pub(super) async fn found(app: &App, id: &str) -> Result<TrackedRunRow, MlflowError> {
    let row = app.engine.store().find_tracked_run(id.to_owned()).await?;
    row.ok_or_else(|| MlflowError::absent(format!("Run with id={id} not found")))
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let tags = fields.pairs("tags")?.into_iter().map(|pair| tag("tags.key", pair));
    let mut tags = tags.collect::<Result<Vec<_>, _>>()?;
    let mut taken = |key: &str| {
        let at = tags.iter().position(|(other, _)| other == key)?;
        Some(tags.remove(at).1).filter(|value| !value.is_empty())
    };
    // What the program of a step makes is nested in the step's run.
    let own = || caller.own_run().map(str::to_owned);
    let (tagged, parent_id) = (taken(NAME_TAG), taken(PARENT_TAG).or_else(own));
    let named = fields.text("run_name")?.filter(|name| !name.is_empty());
    if let (Some(named), Some(tagged)) = (&named, &tagged)
        && named != tagged
    {
        return Err(MlflowError::invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='{named}', mlflow.runName='{tagged}')."
        )));
    }
    let id = app.new_id();
    let name = named.or(tagged).unwrap_or_else(|| names::random_name(&id));
    let started_at = match fields.time("start_time")? {
        Some(time) => time,
        None => app.clock.now().as_microsecond(),
    };
    let experiment_id = if fields.text("experiment_id")?.is_some() { experiment_id(&fields)? } else { 0 };
    let row = TrackedRunRow {
        id: id.clone(),
        experiment_id,
        parent_id,
        name,
        status: "RUNNING".to_owned(),
        started_at,
        user_id: fields.text("user_id")?.unwrap_or_default(),
        ..TrackedRunRow::default()
    };
    app.engine.store().create_tracked_run(row, tags).await?;
    answer_run(&app, &id).await
}

async fn answer_run(app: &App, id: &str) -> Answer {
    let row = found(app, id).await?;
    let run = present::runs(app.engine.store(), vec![row]).await?.pop();
    Ok(Json(json!({"run": run})))
}

pub(super) async fn find(State(app): State<App>, fields: Fields) -> Answer {
    answer_run(&app, &fields.run_id()?).await
}

pub(super) async fn update(State(app): State<App>, fields: Fields) -> Answer {
    let id = fields.run_id()?;
    let change = RunChange {
        status: status(&fields)?,
        ended_at: fields.time("end_time")?,
        name: fields.text("run_name")?.filter(|name| !name.is_empty()).map(names::tag_value),
    };
    app.engine.store().update_tracked_run(id.clone(), change).await?;
    Ok(Json(json!({"run_info": present::RunInfo::of(&found(&app, &id).await?)})))
}

pub(super) async fn delete(State(app): State<App>, fields: Fields) -> Answer {
    app.engine.store().delete_tracked_run(fields.run_id()?, app.clock.now().as_microsecond()).await?;
    Ok(Json(json!({})))
}

pub(super) async fn restore(State(app): State<App>, fields: Fields) -> Answer {
    app.engine.store().restore_tracked_run(fields.run_id()?).await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Result<Json<FoundRuns>, MlflowError> {
    let mut query = searching::query(&fields, Target::Runs, 1000)?;
    searching::scope(&fields, &mut query)?;
    query.view = searching::view(&fields, "run_view_type")?;
    query.order = searching::orders(&fields, Target::Runs)?;
    let count = fields.bool("count")?.unwrap_or(false);
    let mut found = app.engine.store().search_runs(query, count).await?;
    // Beyond MLflow, whose answers have everything of a run.
    let columns = fields.texts("columns")?;
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    if !columns.is_empty() {
        found.rows.iter_mut().for_each(|row| row.values.keep_only(&columns));
    }
    Ok(Json(FoundRuns {
        runs: present::runs(app.engine.store(), found.rows).await?,
        next_page_token: found.next.as_ref().map(page_token::encode),
        total_count: found.total,
    }))
}

/// A page of runs.
#[derive(Serialize)]
pub(super) struct FoundRuns {
    runs: Vec<present::Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    /// Beyond MLflow, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<u64>,
}

pub(super) async fn set_tag(State(app): State<App>, fields: Fields) -> Answer {
    let pair = (fields.required("key")?, fields.text("value")?.unwrap_or_default());
    let (key, value) = tag("key", pair)?;
    let batch = TrackedBatch {
        texts: vec![("tag".to_owned(), key, value)],
        params: ParamRule::Keep,
        ..TrackedBatch::default()
    };
    app.engine.store().log_tracked_batch(fields.run_id()?, batch).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(app): State<App>, fields: Fields) -> Answer {
    app.engine.store().delete_run_tag(fields.run_id()?, fields.required("key")?).await?;
    Ok(Json(json!({})))
}
