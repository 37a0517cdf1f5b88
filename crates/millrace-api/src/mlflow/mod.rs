//! MLflow's REST API for experiments, runs, metrics, artifacts, logged models, the model registry with its webhooks, and traces, as its
//! Python client of 3.17 uses it.
//!
//! Bodies and answers are MLflow's; `docs.mlflow.org` describes them. Each address is under `/api` and, as the client's pages call it,
//! under `/ajax-api`. What is not served answers `ENDPOINT_NOT_FOUND`, on which the client falls back or says so.

mod artifacts;
mod assessments;
mod error;
mod eval_datasets;
mod eval_records;
mod experiments;
mod get_artifact;
mod graphql;
pub(crate) mod guard;
mod inputs;
mod known_inputs;
mod log;
mod logged_models;
mod metrics;
mod model_versions;
mod names;
mod owners;
pub(crate) mod pages;
mod present;
mod registered_models;
mod registry;
mod roles;
mod runs;
mod search;
mod sources;
mod trace_wire;
mod traces;
mod uploads;
mod users;
mod webhooks;
mod wire;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, patch, post, put};
use axum::{Router, middleware};
use millrace_metastore::experiments::Refusal;
use serde_json::json;

use crate::app::App;
use crate::changes::Noun;
pub(crate) use artifacts::{Purpose, send, stored};
pub(crate) use error::MlflowError;
pub(crate) use present::{model_uri, run_uri};
pub(crate) use uploads::{PART, SIGNED};

/// What the client takes for the server's version: from 3.4 on it uses today's protocol.
const VERSION: &str = "3.18.0";

/// Everything whose body is JSON.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .nest("/api", json_routes())
        .nest("/ajax-api", json_routes())
        .route("/graphql", get(graphql::answer).post(graphql::answer))
        .route("/version", get(|| async { ([(header::CONTENT_TYPE, "text/plain")], VERSION) }))
}

/// The same for MLflow's own pages, which call what is beside them.
pub(crate) fn page_routes() -> Router<App> {
    pages::routes()
        .nest("/mlflow/ajax-api", json_routes())
        .route("/mlflow/graphql", get(graphql::answer).post(graphql::answer))
}

/// Files: streams as long as they need to be.
pub(crate) fn file_routes() -> Router<App> {
    Router::new().nest("/api", files()).nest("/ajax-api", files()).merge(single_files())
}

/// Files as MLflow's own pages ask for them.
pub(crate) fn page_file_routes() -> Router<App> {
    Router::new().nest("/mlflow", single_files().nest("/ajax-api", files()))
}

fn files() -> Router<App> {
    Router::new()
        .route("/2.0/mlflow/upload-artifact", post(artifacts::upload_to_run))
        .route("/2.0/mlflow/logged-models/{id}/artifacts/files", get(get_artifact::of_model))
        .nest("/2.0/mlflow-artifacts", artifact_routes())
}

fn single_files() -> Router<App> {
    Router::new()
        .route("/get-artifact", get(get_artifact::of_run))
        .route("/model-versions/get-artifact", get(get_artifact::of_version))
}

fn artifact_routes() -> Router<App> {
    let file = get(artifacts::read_file).put(artifacts::write_file).delete(artifacts::delete_file);
    Router::new()
        .route("/artifacts", get(artifacts::list_folder))
        .route("/artifacts/{*path}", file)
        .route("/mpu/create/{*path}", post(uploads::create))
        .route("/mpu/complete/{*path}", post(uploads::complete))
        .route("/mpu/abort/{*path}", post(uploads::abort))
        .route("/mpu/part/{id}/{number}", put(uploads::put_part))
        .route("/mpu/parts/{id}", get(uploads::list_parts))
        .route("/presigned/{*path}", get(uploads::presigned))
        .route("/signed/{*path}", get(uploads::read_signed).put(uploads::write_signed))
}

fn json_routes() -> Router<App> {
    Router::new()
        .nest(
            "/2.0/mlflow",
            tracking_routes()
                .merge(logged_model_routes())
                .merge(registry_routes())
                .merge(webhook_routes())
                .merge(user_routes())
                .merge(shared_trace_routes()),
        )
        .nest(
            "/3.0/mlflow",
            trace_routes()
                .merge(shared_trace_routes())
                .merge(eval_dataset_routes())
                .merge(permission_routes())
                .merge(role_routes()),
        )
        .route("/3.0/mlflow/server-info", get(server_info))
        .route("/3.0/mlflow/ui-telemetry", get(telemetry).post(refuse_telemetry))
        .route("/2.0/mlflow/gateway-proxy", get(no_gateway))
        .route("/3.0/mlflow/traces/metrics", any(unknown))
        .route("/2.0/mlflow/{*rest}", any(unknown))
        .route("/3.0/mlflow/{*rest}", any(unknown))
        .layer(middleware::from_fn(refuse_no_text))
}

/// What a request of a client changes, by its address; nothing if it only reads.
pub(crate) fn changed_by(method: &Method, path: &str) -> Option<Noun> {
    let (_, call) = path.split_once("/mlflow/")?;
    let mut parts = call.split('/');
    let (noun, verb) = (parts.next()?, call.rsplit('/').next()?);
    let reads = method == Method::GET || verb.starts_with("search") || verb.starts_with("batchGet");
    if reads || verb == "get-latest-versions" {
        return None;
    }
    match noun {
        "experiments" | "runs" | "logged-models" => Some(Noun::Tracking),
        "traces" => Some(Noun::Trace),
        "registered-models" | "model-versions" => Some(Noun::Model),
        "webhooks" => Some(Noun::Webhook),
        "datasets" => Some(Noun::Evaluation),
        _ => None,
    }
}

/// No id has a NUL, and PostgreSQL takes none; what is not UTF-8 is no text at all.
async fn refuse_no_text(request: Request, next: Next) -> Response {
    match millrace_storage::decode_text(request.uri().path()) {
        Ok(path) if !path.contains('\0') => next.run(request).await,
        _ => MlflowError::invalid("An address contains a NUL, or what is not UTF-8").into_response(),
    }
}

fn tracking_routes() -> Router<App> {
    Router::new()
        .route("/experiments/create", post(experiments::create))
        .route("/experiments/get", get(experiments::find))
        .route("/experiments/get-by-name", get(experiments::find_by_name))
        .route("/experiments/search", get(experiments::search).post(experiments::search))
        .route("/experiments/update", post(experiments::update))
        .route("/experiments/delete", post(experiments::delete))
        .route("/experiments/restore", post(experiments::restore))
        .route("/experiments/set-experiment-tag", post(experiments::set_tag))
        .route("/experiments/delete-experiment-tag", post(experiments::delete_tag))
        .route("/runs/create", post(runs::create))
        .route("/runs/get", get(runs::find))
        .route("/runs/update", post(runs::update))
        .route("/runs/delete", post(runs::delete))
        .route("/runs/restore", post(runs::restore))
        .route("/runs/search", post(runs::search))
        .route("/runs/set-tag", post(runs::set_tag))
        .route("/runs/delete-tag", post(runs::delete_tag))
        .route("/runs/log-metric", post(log::log_metric))
        .route("/runs/log-parameter", post(log::log_parameter))
        .route("/runs/log-batch", post(log::log_batch))
        .route("/runs/log-inputs", post(inputs::log_inputs))
        .route("/runs/log-model", post(inputs::log_model))
        .route("/runs/outputs", post(inputs::log_outputs))
        .route("/metrics/get-history", get(metrics::history))
        .route("/metrics/get-history-bulk", get(metrics::history_bulk))
        .route("/metrics/get-history-bulk-interval", get(metrics::history_bulk_interval))
        .route("/experiments/search-datasets", post(inputs::search_datasets))
        .route("/artifacts/list", get(artifacts::list_of_run))
        .route("/artifacts/presigned-upload-url", post(uploads::presigned_upload))
        .route("/artifacts/presigned-download-url", post(uploads::presigned_download))
}

fn logged_model_routes() -> Router<App> {
    Router::new()
        .route("/logged-models", post(logged_models::create))
        .route("/logged-models/search", post(logged_models::search))
        .route(
            "/logged-models/{id}",
            get(logged_models::find).patch(logged_models::finalize).delete(logged_models::delete),
        )
        .route("/logged-models/{id}/tags", patch(logged_models::set_tags))
        .route("/logged-models/{id}/tags/{key}", delete(logged_models::delete_tag))
        .route("/logged-models/{id}/params", post(logged_models::log_params))
        .route("/logged-models/{id}/artifacts/directories", get(artifacts::list_of_model))
}

fn registry_routes() -> Router<App> {
    let alias = post(registered_models::set_alias)
        .delete(registered_models::delete_alias)
        .get(registered_models::find_by_alias);
    Router::new()
        .route("/registered-models/create", post(registered_models::create))
        .route("/registered-models/get", get(registered_models::find))
        .route("/registered-models/search", get(registered_models::search))
        .route("/registered-models/rename", post(registered_models::rename))
        .route("/registered-models/update", patch(registered_models::update))
        .route("/registered-models/delete", delete(registered_models::delete))
        .route(
            "/registered-models/get-latest-versions",
            get(registered_models::latest_versions).post(registered_models::latest_versions),
        )
        .route("/registered-models/set-tag", post(registered_models::set_tag))
        .route("/registered-models/delete-tag", delete(registered_models::delete_tag))
        .route("/registered-models/alias", alias)
        .route("/model-versions/create", post(model_versions::create))
        .route("/model-versions/get", get(model_versions::find))
        .route("/model-versions/search", get(model_versions::search))
        .route("/model-versions/update", patch(model_versions::update))
        .route("/model-versions/delete", delete(model_versions::delete))
        .route("/model-versions/transition-stage", post(model_versions::transition_stage))
        .route("/model-versions/get-download-uri", get(model_versions::download_uri))
        .route("/model-versions/set-tag", post(model_versions::set_tag))
        .route("/model-versions/delete-tag", delete(model_versions::delete_tag))
}

fn webhook_routes() -> Router<App> {
    Router::new()
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/{id}", get(webhooks::find).patch(webhooks::update).delete(webhooks::delete))
        .route("/webhooks/{id}/test", post(webhooks::test))
}

fn user_routes() -> Router<App> {
    Router::new()
        .route("/users/create", post(users::create))
        .route("/users/get", get(users::find))
        .route("/users/list", get(users::list))
        .route("/users/current", get(users::current))
        .route("/users/update-password", patch(users::update_password))
        .route("/users/update-admin", patch(users::update_admin))
        .route("/users/delete", delete(users::delete))
        // Beyond MLflow: tokens, so that no program has to know a password.
        .route("/users/tokens", get(users::list_tokens).post(users::create_token))
        .route("/users/tokens/{id}", delete(users::delete_token))
}

fn permission_routes() -> Router<App> {
    Router::new()
        .route("/users/current/permissions", get(users::current_permissions))
        .route("/users/permissions/list", get(users::list_permissions))
        .route("/users/permissions/get", get(users::find_permission))
        .route("/users/permissions/grant", post(users::grant))
        .route("/users/permissions/revoke", post(users::revoke))
}

fn role_routes() -> Router<App> {
    Router::new()
        .route("/roles/create", post(roles::create))
        .route("/roles/get", get(roles::find))
        .route("/roles/list", get(roles::list))
        .route("/roles/update", patch(roles::update))
        .route("/roles/delete", delete(roles::delete))
        .route("/roles/permissions/add", post(roles::add_permission))
        .route("/roles/permissions/remove", delete(roles::remove_permission))
        .route("/roles/permissions/list", get(roles::list_permissions))
        .route("/roles/permissions/update", patch(roles::update_permission))
        .route("/roles/assign", post(roles::assign))
        .route("/roles/unassign", delete(roles::unassign))
        .route("/roles/users/list", get(roles::list_members))
        .route("/users/roles/list", get(roles::list_of_user))
}

fn trace_routes() -> Router<App> {
    Router::new()
        .route("/traces", post(traces::start))
        .route("/traces/search", post(traces::search))
        .route("/traces/get", get(traces::get))
        .route("/traces/batchGet", get(traces::batch_get))
        .route("/traces/batchGetInfos", post(traces::batch_get_infos))
        .route("/traces/{id}", get(traces::find))
        .route("/traces/{id}/assessments", post(assessments::create))
        .route(
            "/traces/{id}/assessments/{assessment}",
            get(assessments::find).patch(assessments::update).delete(assessments::delete),
        )
}

fn eval_dataset_routes() -> Router<App> {
    Router::new()
        .route("/datasets/create", post(eval_datasets::create))
        .route("/datasets/search", get(eval_datasets::search).post(eval_datasets::search))
        .route("/datasets/{id}", get(eval_datasets::find).delete(eval_datasets::delete))
        .route("/datasets/{id}/tags", patch(eval_datasets::set_tags))
        .route("/datasets/{id}/tags/{key}", delete(eval_datasets::delete_tag))
        .route("/datasets/{id}/experiment-ids", get(eval_datasets::experiment_ids))
        .route("/datasets/{id}/add-experiments", post(eval_datasets::join))
        .route("/datasets/{id}/remove-experiments", post(eval_datasets::leave))
        .route(
            "/datasets/{id}/records",
            get(eval_records::list).post(eval_records::upsert).delete(eval_records::delete),
        )
}

/// Calls that clients send under the number of the time when they began.
fn shared_trace_routes() -> Router<App> {
    Router::new()
        .route("/traces/{id}/tags", patch(traces::set_tag).delete(traces::delete_tag))
        .route("/traces/delete-traces", post(traces::delete))
        .route("/traces/link-to-run", post(traces::link_to_run))
        .route("/traces/link-prompts", post(traces::link_prompts))
        .route("/get-trace-artifact", get(traces::download))
}

/// The id of an experiment that may get traces.
pub(crate) async fn require_active_experiment(app: &App, id: &str) -> Result<i64, MlflowError> {
    let number = experiments::number_of(id)?;
    let experiment = app.engine.store().find_experiment(number).await?;
    if experiment.deleted {
        return Err(Refusal::ExperimentDeleted { id: number }.into());
    }
    Ok(number)
}

/// What the client may use beside the plain protocol. A file whose bytes lie here anyway comes no faster by several requests.
async fn server_info(State(app): State<App>) -> axum::Json<serde_json::Value> {
    axum::Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "multipart_uploads_enabled": true,
        "multipart_downloads_enabled": app.artifacts.local().is_none(),
    }))
}

/// Language models that MLflow's pages may call through the server: none, as of a server of theirs without a gateway.
async fn no_gateway() -> axum::Json<serde_json::Value> {
    axum::Json(json!({"endpoints": []}))
}

/// Whether pages are to tell what is done on them: never.
async fn telemetry() -> axum::Json<serde_json::Value> {
    axum::Json(json!({"disable_ui_telemetry": true, "disable_ui_events": [], "ui_rollout_percentage": 0}))
}

/// Takes what pages tell nevertheless, and forgets it.
async fn refuse_telemetry() -> axum::Json<serde_json::Value> {
    axum::Json(json!({"status": "disabled"}))
}

async fn unknown(request: Request) -> MlflowError {
    let message = format!("No API found for '{} {}'", request.method(), request.uri().path());
    MlflowError::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_changes() {
        let changed = |method: Method, call: &str| changed_by(&method, &format!("/api/2.0/mlflow/{call}"));
        assert_eq!(changed(Method::POST, "runs/log-batch"), Some(Noun::Tracking));
        assert_eq!(changed(Method::POST, "traces/tr-1/assessments"), Some(Noun::Trace));
        assert_eq!(changed(Method::DELETE, "registered-models/alias"), Some(Noun::Model));
        assert_eq!(changed(Method::PATCH, "webhooks/1"), Some(Noun::Webhook));
        for call in [
            "runs/search",
            "experiments/search-datasets",
            "traces/batchGetInfos",
            "registered-models/get-latest-versions",
        ] {
            assert_eq!(changed(Method::POST, call), None, "{call}");
        }
        assert_eq!(changed(Method::GET, "runs/get"), None);
        assert_eq!(changed_by(&Method::POST, "/api/sql"), None);
    }
}
