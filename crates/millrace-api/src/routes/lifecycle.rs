//! Deleting, restoring and purging experiments and runs, and what they take.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{ExperimentFull, Kept, PurgeRule, Purged, Query, StorageUse, View};
use millrace_spec::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::instant;
use crate::views::lifecycle::{
    Changed, ExperimentLifecycle, ExperimentUse, KeptRun, NewName, PurgeExperiment, PurgeOutcome, PurgeRuns,
    RunIds, RunLifecycle, StorageUseList, StorageUseView,
};

/// Runs in one request.
const MOST_RUNS: usize = 10_000;
/// Characters of an experiment's name, as MLflow has it.
const LONGEST_NAME: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_storage_use))
        .routes(routes!(find_experiment_lifecycle))
        .routes(routes!(delete_experiment))
        .routes(routes!(restore_experiment))
        .routes(routes!(rename_experiment))
        .routes(routes!(purge_experiment))
        .routes(routes!(find_run_lifecycle))
        .routes(routes!(delete_runs))
        .routes(routes!(restore_runs))
        .routes(routes!(purge_runs))
}

fn now(app: &App) -> i64 {
    app.clock.now().as_microsecond()
}

pub(super) fn experiment_id(id: &str) -> Result<i64, ApiError> {
    id.parse().map_err(|_| ApiError::unknown("experiment", id))
}

fn shown(storage: StorageUse) -> StorageUseView {
    let of = |number: i64| u64::try_from(number).unwrap_or_default();
    StorageUseView {
        runs: of(storage.runs),
        document_bytes: of(storage.document_bytes),
        point_bytes: of(storage.point_bytes),
        artifact_bytes: of(storage.artifact_bytes),
        files: of(storage.files),
        traces: of(storage.traces),
        trace_bytes: of(storage.trace_bytes),
        total_bytes: of(storage.total()),
        measured_at: storage.measured_at.map(instant),
    }
}

/// Says what experiments take, the largest first; deleted ones too.
#[utoipa::path(get, path = "/api/storage-use", responses((status = 200, body = StorageUseList)))]
async fn list_storage_use(State(app): State<App>) -> ApiResult<StorageUseList> {
    let store = app.engine.store();
    let usage = store.experiment_usage().await?;
    let mut experiments = Vec::new();
    let mut query = Query { view: View::All, limit: 1_000, ..Query::default() };
    loop {
        let (page, next) = store.search_experiments(query.clone()).await?;
        experiments.extend(page.into_iter().map(|experiment: ExperimentFull| ExperimentUse {
            storage: shown(usage.get(&experiment.id).copied().unwrap_or_default()),
            id: experiment.id.to_string(),
            name: experiment.name,
            deleted: experiment.deleted,
            deleted_at: experiment.deleted_at.map(instant),
        }));
        query.after = next;
        if query.after.is_none() {
            break;
        }
    }
    experiments.sort_by_key(|one| std::cmp::Reverse(one.storage.total_bytes));
    let (waiting, failing) = store.count_garbage().await?;
    Ok(Json(StorageUseList {
        experiments,
        waiting_folders: waiting.unsigned_abs(),
        failing_folders: failing.unsigned_abs(),
    }))
}

/// Says whether an experiment is deleted, what is in it and what it takes.
#[utoipa::path(get, path = "/api/experiments/{id}/lifecycle", params(("id" = String, Path)), responses((status = 200, body = ExperimentLifecycle)))]
async fn find_experiment_lifecycle(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<ExperimentLifecycle> {
    let store = app.engine.store();
    let found = store.find_experiment(experiment_id(&id)?).await?;
    let (runs, models) = store.count_experiment(found.id).await?;
    let storage = store.experiment_usage().await?.remove(&found.id).unwrap_or_default();
    Ok(Json(ExperimentLifecycle {
        id,
        name: found.name,
        deleted: found.deleted,
        deleted_at: found.deleted_at.map(instant),
        runs: runs.unsigned_abs(),
        models: models.unsigned_abs(),
        storage: shown(storage),
    }))
}

/// Deletes an experiment with its runs; it can be restored until it is purged.
#[utoipa::path(post, path = "/api/experiments/{id}/delete", params(("id" = String, Path)), responses((status = 200, body = ExperimentLifecycle)))]
async fn delete_experiment(State(app): State<App>, Path(id): Path<String>) -> ApiResult<ExperimentLifecycle> {
    let number = experiment_id(&id)?;
    if number == 0 {
        return Err(millrace_metastore::experiments::Refusal::DefaultExperiment.into());
    }
    app.engine.store().delete_experiment(number, now(&app)).await?;
    find_experiment_lifecycle(State(app), Path(id)).await
}

/// Restores a deleted experiment with all its runs.
#[utoipa::path(post, path = "/api/experiments/{id}/restore", params(("id" = String, Path)), responses((status = 200, body = ExperimentLifecycle)))]
async fn restore_experiment(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<ExperimentLifecycle> {
    app.engine.store().restore_experiment(experiment_id(&id)?, now(&app)).await?;
    find_experiment_lifecycle(State(app), Path(id)).await
}

/// Renames an experiment, also a deleted one, whose name is free then.
#[utoipa::path(post, path = "/api/experiments/{id}/rename", request_body = NewName, params(("id" = String, Path)), responses((status = 200, body = ExperimentLifecycle)))]
async fn rename_experiment(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Result<Json<NewName>, JsonRejection>,
) -> ApiResult<ExperimentLifecycle> {
    let Json(NewName { name }) = body?;
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        let message = format!("a name has 1 to {LONGEST_NAME} characters that are not all blank");
        return Err(Problem::error("invalid-name", message).into());
    }
    app.engine.store().rename_experiment_in_any_state(experiment_id(&id)?, name, now(&app)).await?;
    find_experiment_lifecycle(State(app), Path(id)).await
}

fn rule(force: bool) -> PurgeRule {
    if force { PurgeRule::Any } else { PurgeRule::Deleted }
}

/// Deletes an experiment for good, with its runs, logged models, traces and files. Its name is free then.
#[utoipa::path(post, path = "/api/experiments/{id}/purge", request_body = PurgeExperiment, params(("id" = String, Path)), responses((status = 200, body = PurgeOutcome)))]
async fn purge_experiment(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Result<Json<PurgeExperiment>, JsonRejection>,
) -> ApiResult<PurgeOutcome> {
    let Json(PurgeExperiment { force, dry_run }) = body?;
    let id = experiment_id(&id)?;
    let store = app.engine.store();
    let storage = store.experiment_usage().await?.remove(&id).unwrap_or_default();
    let bytes = u64::try_from(storage.total()).unwrap_or_default();
    if dry_run {
        store.find_experiment(id).await?;
        let (runs, models) = store.count_experiment(id).await?;
        return Ok(Json(PurgeOutcome {
            dry_run,
            runs: runs.unsigned_abs(),
            models: models.unsigned_abs(),
            traces: storage.traces.unsigned_abs(),
            bytes,
            ..PurgeOutcome::default()
        }));
    }
    let (store, now) = (store.clone(), now(&app));
    let purged = to_its_end(async move { store.purge_experiment(id, rule(force), now).await }).await?;
    Ok(Json(outcome(purged, bytes, dry_run)))
}

/// What takes longer than somebody waits for an answer is done all the same.
async fn to_its_end(
    purge: impl Future<Output = Result<Purged, MetastoreError>> + Send + 'static,
) -> Result<Purged, ApiError> {
    let purged = tokio::spawn(purge).await.map_err(|error| ApiError::internal(&error))?;
    Ok(purged?)
}

/// Says whether a run is deleted and measures what it takes.
#[utoipa::path(get, path = "/api/tracked-runs/{id}/lifecycle", params(("id" = String, Path)), responses((status = 200, body = RunLifecycle)))]
async fn find_run_lifecycle(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RunLifecycle> {
    let row = app.engine.store().find_tracked_run(id.clone()).await?;
    let row = row.ok_or_else(|| ApiError::unknown("run", &id))?;
    let storage = app.lifecycle.run_usage(&id).await?.unwrap_or_default();
    Ok(Json(RunLifecycle { id, deleted: row.deleted, storage: shown(storage) }))
}

fn some_runs(ids: Vec<String>) -> Result<Vec<String>, ApiError> {
    if ids.is_empty() || ids.len() > MOST_RUNS {
        let message = format!("`ids` needs 1 to {MOST_RUNS} ids of runs, and has {}", ids.len());
        return Err(Problem::error("invalid-body", message).into());
    }
    Ok(ids)
}

/// Deletes runs; they can be restored until they are purged.
#[utoipa::path(post, path = "/api/tracked-runs/delete", request_body = RunIds, responses((status = 200, body = Changed)))]
async fn delete_runs(
    State(app): State<App>,
    body: Result<Json<RunIds>, JsonRejection>,
) -> ApiResult<Changed> {
    let Json(RunIds { ids }) = body?;
    let changed = app.engine.store().delete_tracked_runs(some_runs(ids)?, now(&app)).await?;
    Ok(Json(Changed { changed }))
}

/// Restores deleted runs.
#[utoipa::path(post, path = "/api/tracked-runs/restore", request_body = RunIds, responses((status = 200, body = Changed)))]
async fn restore_runs(
    State(app): State<App>,
    body: Result<Json<RunIds>, JsonRejection>,
) -> ApiResult<Changed> {
    let Json(RunIds { ids }) = body?;
    let changed = app.engine.store().restore_tracked_runs(some_runs(ids)?).await?;
    Ok(Json(Changed { changed }))
}

/// Deletes runs for good, with the models that they logged and their files. Files of registered model versions stay.
#[utoipa::path(post, path = "/api/tracked-runs/purge", request_body = PurgeRuns, responses((status = 200, body = PurgeOutcome)))]
async fn purge_runs(
    State(app): State<App>,
    body: Result<Json<PurgeRuns>, JsonRejection>,
) -> ApiResult<PurgeOutcome> {
    let Json(PurgeRuns { ids, force, dry_run }) = body?;
    let ids = some_runs(ids)?;
    let store = app.engine.store();
    let previewed = store.preview_purge_runs(ids.clone(), rule(force)).await?;
    let staying: std::collections::HashSet<&str> = previewed.kept.iter().map(|(id, _)| id.as_str()).collect();
    let going = ids.iter().filter(|id| !staying.contains(id.as_str())).cloned().collect();
    let bytes: i64 = store.run_usage(going).await?.values().map(StorageUse::total).sum();
    let bytes = u64::try_from(bytes).unwrap_or_default();
    let purged = if dry_run {
        previewed
    } else {
        let (store, now) = (store.clone(), now(&app));
        to_its_end(async move { store.purge_runs(ids, rule(force), now).await }).await?
    };
    Ok(Json(outcome(purged, bytes, dry_run)))
}

fn outcome(purged: Purged, bytes: u64, dry_run: bool) -> PurgeOutcome {
    let kept = |(id, why): (String, Kept)| KeptRun {
        id,
        reason: match why {
            Kept::Absent => "absent",
            Kept::NotDeleted => "not-deleted",
            Kept::InUse => "in-use",
            Kept::Registered => "registered",
        }
        .to_owned(),
    };
    PurgeOutcome {
        dry_run,
        runs: purged.runs,
        models: purged.models,
        traces: purged.traces,
        bytes,
        kept: purged.kept.into_iter().map(kept).collect(),
        elsewhere: purged.elsewhere.into_iter().collect(),
    }
}
