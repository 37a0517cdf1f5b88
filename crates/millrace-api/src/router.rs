//! The routes.
//!
//! | address | method | answer |
//! |---|---|---|
//! | `/api/workspace` | GET | `WorkspaceView` |
//! | `/api/search?q&limit` | GET | `[SearchHit]` |
//! | `/api/kinds` | GET | `[KindView]` |
//! | `/api/pipelines`, `/api/pipelines/{name}` | GET | `[PipelineSummary]`, `PipelineView` |
//! | `/api/pipelines/{name}/runs?wait` | POST `StartRun`, header `Idempotency-Key` | `RunSummary`, 202 while it goes on |
//! | `/api/pipelines/{name}/plan` | POST `StartRun` | `[PlannedStepView]` |
//! | `/api/triggers` | GET | `[TriggerStatusView]` |
//! | `/api/pipelines/{name}/triggers/{trigger}/pause`, `…/resume` | POST | `TriggerStatusView` |
//! | `/api/pipelines/{name}/windows?trigger&limit` | GET | `WindowListView` |
//! | `/api/pipelines/{name}/windows/rerun`, `…/windows/cancel`, `…/backfill` | POST `WindowRange` | `WindowsChanged` |
//! | `/api/runs?pipeline&status&trigger&since&until&text&parent&step&all&after&limit` | GET | `RunPage` |
//! | `/api/runs/cancel` | POST `CancelRuns` | `CancelledRuns` |
//! | `/api/timeline?from&to&limit` | GET | `TimelineView` |
//! | `/api/runs/{id}?wait`, `/api/runs/{id}/compare/{other}` | GET | `RunView`, `RunComparison` |
//! | `/api/runs/{id}/cancel`, `…/pause`, `…/resume`, `…/rerun?failed&from` | POST | `RunSummary` |
//! | `/api/runs/{id}/steps/{step}/items?status&after&limit` | GET | `ItemPage` |
//! | `/api/runs/{id}/why` | GET | `[WhyView]` |
//! | `/api/runs/{id}/steps/{step}/log?attempt&from&count` | GET | `LogView` |
//! | `…/log/events?attempt&from&tail`, `…/log/search?pattern&regex&case&from&limit&context` | GET | server-sent events |
//! | `…/log/file?attempt&times` | GET | the whole log as text |
//! | `/api/runs/{id}/steps/{step}/outputs/{output}?limit` | GET | `TablePreview` of a table, the document of a report, else the value |
//! | `/api/inbox?pipeline&trigger&status&after&limit`, `/api/inbox/{id}` | GET | `InboxPage`, `InboxEventDetail` |
//! | `/api/inbox/{id}/replay` | POST | `InboxEventView` |
//! | `/api/event-triggers` | GET | `[EventTriggerView]` |
//! | `/hooks/{pipeline}/{trigger}` | POST | `{"events": [{"event", "repeated"}]}` |
//! | `/api/experiments`, `/api/experiments/{id}/runs?sort&limit` | GET | `[ExperimentSummary]`, `TrackedRunPage` |
//! | `/api/experiments/{id}/groups?by&filter&columns&sort` | GET | `RunGroupList` |
//! | `/api/tracked-runs/{id}` | GET | `TrackedRun` |
//! | `/api/tracked-runs/{id}/models`, `/api/logged-models/{id}` | GET | `[LoggedModelView]`, `LoggedModelView` |
//! | `/api/artifacts?path`, `/api/artifacts/{path}` | GET | `[ArtifactFile]` of a folder, the file to be shown |
//! | `/api/artifact-table?path&limit`, `/api/artifact-archive?path` | GET | `TablePreview`, a folder as ZIP |
//! | `/api/artifact-model?path` | GET | `ModelFolderView` |
//! | `/api/traces?experiment&filter&sort&after&limit`, `/api/traces/{id}` | GET | `TracePage`, `TraceView` |
//! | `/api/traces/{id}/spans`, `…/spans/{span}` | GET | `[SpanSummary]`, `SpanView` |
//! | `/api/prompts?filter&after&limit`, `/api/prompts/{name}` | GET | `PromptPage`, `PromptView` |
//! | `/api/webhooks`, `/api/webhooks/{id}/deliveries`, `…/{delivery}/retry` | GET, POST | `WebhookList`, `[DeliveryView]` |
//! | `/api/evaluation-datasets`, `…/{id}`, `…/{id}/records?after&limit` | GET | `[EvaluationDatasetView]`, one, `EvaluationRecordPage` |
//! | `/api/metrics?runs&keys&points` | GET | `[MetricCurve]` |
//! | `/api/datasets`, `/api/datasets/{name}?version` | GET | `[DatasetSummary]`, `DatasetView` |
//! | `/api/datasets/{name}/sample?version&filter&columns&limit`, `…/rows` | GET | `TablePreview`, Arrow's stream format |
//! | `/api/datasets/{name}/schema-diff?from&to`, `…/reads?version` | GET | `SchemaDiff`, `[DatasetRead]` |
//! | `/api/datasets/{name}/aliases/{alias}` | PUT `AliasTarget`, DELETE | `[DatasetAlias]` |
//! | `/api/datasets/{name}/versions/{version}/tags/{key}` | PUT `TagValue`, DELETE | tags by key |
//! | `/api/sql`, `/api/sql/tables` | POST `SqlRequest`, GET | `TablePreview`, `[QueryTable]` |
//! | `/api/files?folder` | GET | `[WorkspaceFile]` |
//! | `/api/connections`, `/api/connections/{name}?etag` | GET, PUT `SaveConnection`, DELETE | `ConnectionsView`, without secrets |
//! | `/api/connection-tests` | POST `TryConnection` | `TriedConnection` |
//! | `/api/copy-previews`, `/api/copies` | POST `PreviewCopy`, `StartCopy` | `CopyPreview`, `RunSummary` |
//! | `/api/flows`, `/api/flow-kinds` | GET | `[FlowSummary]`, `[FlowKindView]` |
//! | `/api/flows/{name}` | GET, PUT `SaveFlow` | `FlowView`, 409 if the file changed meanwhile |
//! | `/api/sql-models`, `/api/sql-models/{name}` | GET | `SqlModels`, `SqlModelView` |
//! | `/api/flow-checks`, `/api/flow-edits`, `/api/flow-previews` | POST `CheckFlow`, `EditFlow`, `PreviewFlow` | `FlowModel`, `EditedFlow`, `TablePreview`; nothing is kept |
//! | `/api/lineage?kind&name&version` | GET | `LineageView` |
//! | `/api/lineage/jobs` | GET | `[OutsideJobSummary]` |
//! | `/api/lineage/job?key`, `/api/lineage/dataset?key` | GET | `OutsideJobView`, `OutsideDatasetView` |
//! | `/api/v1/lineage` | POST | events of OpenLineage |
//! | `/api/models`, `/api/models/{name}?version` | GET | `[ModelSummary]`, `ModelView` |
//! | `/api/models/{name}/card?version` | GET, PUT `WriteCard` | `ModelCardView` |
//! | `/api/models/{name}/compare?versions` | GET | `ModelComparison` |
//! | `/api/models/{name}/promotions`, `/api/promotions?model` | POST `RequestPromotion`, GET | `PromotionView`, `[PromotionView]` |
//! | `/api/promotions/{id}/votes`, `…/withdraw` | POST `CastVote`, `Withdraw` | `PromotionView` |
//! | `/api/approvals?state&run&after&limit`, `/api/approvals/{id}` | GET | `ApprovalPage`, `ApprovalView` |
//! | `/api/environments` | GET | `[EnvironmentView]` |
//! | `/api/approvals/{id}/decisions` | POST `DecideApproval` | `ApprovalView` |
//! | `/api/endpoints`, `/api/endpoints/{name}` | GET | `[EndpointSummary]`, `EndpointView` |
//! | `/api/monitors`, `/api/monitors/{name}` | GET | `[MonitorSummary]`, `MonitorView` |
//! | `/api/alerts` | GET | `[AlertView]` |
//! | `/endpoints/{name}/score`, `…/invocations` | POST | predictions: `{"rows": […]}`, and as MLflow's scoring server |
//! | `/v2/…` | GET, POST | Open Inference Protocol v2, JSON |
//! | `/api/2.0/mlflow/…`, `/api/2.0/mlflow-artifacts/…`, also under `/ajax-api` | | as MLflow's server |
//! | `/api/3.0/mlflow/traces/…`, `…/datasets/…`, also under `/ajax-api` | | as MLflow's server: traces, assessments, evaluation data |
//! | `/get-artifact`, `/model-versions/get-artifact` | GET | one file, as MLflow's server |
//! | `/graphql` | POST | the queries of MLflow's own pages |
//! | `/mlflow/…`, `/static-files/…` | | MLflow's own pages and all that they call, if the server was told where they are |
//! | `/v1/traces` | POST | OpenTelemetry's traces, protobuf or JSON, gzip or deflate |
//! | `/metrics` | GET | Prometheus text |
//! | `/api/events?run` | GET | server-sent events `run`, `step`, `tracking`, `trace`, …, `lagged` with `EventView` |
//! | `/api/openapi.json` | GET | this, for machines |
//! | `/version` | GET | MLflow's version that the client is to assume |
//! | `/api/session` | GET | `SessionView` |
//! | `/api/login`, `/api/logout` | POST `SignIn`, POST | `SessionView` and a cookie, the cookie taken back; no login needed |
//! | `/health`, `/ping`, `/sign-in`, `/assets/…` | GET | no login needed |
//! | anything else | GET | the web UI |

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::{access, changes, events, mlflow, otlp, routes, ui, unread};

/// Largest JSON body, bytes.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;
/// Longest time to an answer's first byte.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Scripts, data and images of this server alone. Styles also inline: the component library and the charts set positions by them.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Millrace's own API.
#[derive(OpenApi)]
#[openapi(info(
    title = "Millrace",
    description = "The API of a Millrace server.",
    license(name = "Apache-2.0")
))]
struct Document;

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(routes::workspace::routes())
        .merge(routes::pipelines::routes())
        .merge(routes::triggers::routes())
        .merge(routes::runs::routes())
        .merge(routes::run_lists::routes())
        .merge(routes::run_compare::routes())
        .merge(routes::timeline::routes())
        .merge(routes::run_items::routes())
        .merge(routes::outputs::routes())
        .merge(routes::logs::routes())
        .merge(routes::tracking::routes())
        .merge(routes::datasets::routes())
        .merge(routes::models::routes())
        .merge(routes::endpoints::routes())
        .merge(routes::lifecycle::routes())
        .merge(routes::retention::routes())
        .merge(routes::artifacts::routes())
        .merge(routes::logged_models::routes())
        .merge(routes::traces::routes())
        .merge(routes::prompts::routes())
        .merge(routes::webhooks::routes())
        .merge(routes::evaluation::routes())
        .merge(routes::approvals::routes())
        .merge(routes::environments::routes())
        .merge(routes::inbox::routes())
        .merge(routes::sessions::routes())
        .merge(routes::outside::routes())
        .merge(routes::sql::routes())
        .merge(routes::flows::routes())
        .merge(routes::sql_models::routes())
        .merge(routes::connections::routes())
        .merge(routes::copies::routes())
}

/// The OpenAPI document, JSON with a newline at the end.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn openapi() -> Result<String, serde_json::Error> {
    let (_, document) = documented().split_for_parts();
    Ok(document.to_pretty_json()? + "\n")
}

/// Everything that the server answers.
pub fn router(app: App) -> Router {
    let (api, document) = documented().split_for_parts();
    let document = document.to_json().unwrap_or_default();
    let policy = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let metrics = app.metrics.clone();
    let access = middleware::from_fn_with_state(app.clone(), access::require_access);
    let (pages, page_files) = match app.mlflow_pages {
        Some(_) => (mlflow::page_routes(), mlflow::page_file_routes()),
        None => (Router::new(), Router::new()),
    };
    api.merge(routes::scoring::routes())
        .merge(mlflow::routes().layer(middleware::from_fn_with_state(app.clone(), changes::announce)))
        .merge(pages)
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics()) }),
        )
        .route(
            "/api/openapi.json",
            get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document) }),
        )
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT))
        .route("/api/events", get(events::follow_events))
        .route("/health", get(|| async { "OK" }))
        .route("/ping", get(|| async { "" }))
        .fallback(ui::serve_ui)
        .layer(access.clone())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(RequestDecompressionLayer::new())
        .layer(CompressionLayer::new())
        // Files go as they are, however long they take: no limits, no packing.
        .merge(
            mlflow::file_routes()
                .merge(page_files)
                .layer(access.clone())
                .layer(DefaultBodyLimit::max(MAX_BODY)),
        )
        .merge(routes::hooks::routes().layer(access.clone()))
        .merge(otlp::routes().layer(access))
        .layer(policy(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(policy(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(policy(header::REFERRER_POLICY, "same-origin"))
        .layer(policy(header::X_FRAME_OPTIONS, "DENY"))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(unread::read_the_rest))
        .with_state(app)
}
