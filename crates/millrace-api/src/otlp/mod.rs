//! `POST /v1/traces`: OpenTelemetry's protocol for traces over HTTP, protobuf and JSON.
//!
//! The header `x-mlflow-experiment-id` says whose the traces are. All spans of a body are kept or none.

mod body;
mod convert;
mod json;
mod messages;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use millrace_metastore::traces::RUN_LINK;
use millrace_tracking::traces::{gather, totals};

use crate::app::App;
use crate::changes::Noun;
use crate::mlflow::{MlflowError, require_active_experiment};
use body::{Encoding, Packing};
pub(crate) use convert::proto_json;

const EXPERIMENT: &str = "x-mlflow-experiment-id";
const RUN: &str = "x-mlflow-run-id";

/// The route; its bodies are unpacked here, which the other routes' layers would not do for each packing.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/traces", post(export)).layer(DefaultBodyLimit::max(body::LARGEST))
}

async fn export(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, MlflowError> {
    let body =
        body.map_err(|error| MlflowError::new(error.status(), "INVALID_PARAMETER_VALUE", error.body_text()))?;
    let (encoding, packing) = (Encoding::of(&headers)?, Packing::of(&headers)?);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let experiment = text(EXPERIMENT).ok_or_else(|| {
        let message = format!("Missing value for required header '{EXPERIMENT}'.");
        MlflowError::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_PARAMETER_VALUE", message)
    })?;
    let experiment = require_active_experiment(&app, experiment).await?;
    let batches = tokio::task::spawn_blocking(move || body::spans(body, packing, encoding).map(gather));
    let batches = batches.await.map_err(|error| MlflowError::internal(&error))??;
    let ended: Vec<String> =
        batches.iter().filter(|batch| batch.root.is_some()).map(|batch| batch.trace_id.clone()).collect();
    let store = app.engine.store();
    store.append_spans(experiment, batches, totals).await?;
    let run = match text(RUN) {
        Some(run) => store.find_tracked_run(run.to_owned()).await?,
        None => None,
    };
    for trace in ended {
        if let Some(run) = &run {
            store.link_trace(trace.clone(), RUN_LINK, vec![run.id.clone()]).await?;
        }
        // The spans are kept already; joined, they only take less room.
        if let Err(error) = store.pack_spans(trace.clone()).await {
            tracing::warn!(%error, trace, "the spans of a trace could not be joined");
        }
    }
    app.changes().tell(Noun::Trace);
    let answer = match encoding {
        Encoding::Protobuf => ("application/x-protobuf", ""),
        Encoding::Json => ("application/json", "{}"),
    };
    Ok(([(header::CONTENT_TYPE, answer.0)], answer.1).into_response())
}
