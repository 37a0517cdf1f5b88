//! Flows: their files, what a text says, changes to it, and the rows of a node.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use indexmap::IndexMap;
use millrace_contract::TableRef;
use millrace_spec::problem::Problem;
use millrace_tracking::tables;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Caller;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flows::{FlowFile, edited};
use crate::views::datasets::{FieldView, TablePreview};
use crate::views::flows::{
    CheckFlow, EditFlow, EditedFlow, FlowKindView, FlowModel, FlowSummary, FlowView, PreviewFlow, SaveFlow,
};
use crate::views::json::{Json as AnyJson, TextMap};

/// Time that the rows of a node get.
const TIME: Duration = Duration::from_secs(30);
/// Rows unless a request says how many, and at most.
const ROWS: (u32, u32) = (50, 1_000);
/// Longest text of a flow, bytes.
const LONGEST: usize = 1024 * 1024;
/// What problems of a text that is no file name as its file.
const TEXT: &str = "flow.yaml";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_flow_kinds))
        .routes(routes!(list_flows))
        .routes(routes!(find_flow, save_flow))
        .routes(routes!(check_flow))
        .routes(routes!(edit_flow))
        .routes(routes!(preview_flow))
}

/// Lists the kinds of nodes.
#[utoipa::path(get, path = "/api/flow-kinds", responses((status = 200, body = [FlowKindView])))]
async fn list_flow_kinds(State(app): State<App>) -> Json<Vec<FlowKindView>> {
    Json(app.flows.flow_kinds())
}

/// Lists the flow files.
#[utoipa::path(get, path = "/api/flows", responses((status = 200, body = [FlowSummary])))]
async fn list_flows(State(app): State<App>) -> Json<Vec<FlowSummary>> {
    Json(app.flows.list_flows().await)
}

/// Shows a flow.
#[utoipa::path(get, path = "/api/flows/{name}", params(("name" = String, Path)), responses((status = 200, body = FlowView)))]
async fn find_flow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> ApiResult<FlowView> {
    let found = app.flows.find_flow(&name).await?.ok_or_else(|| ApiError::unknown("flow", &name))?;
    Ok(Json(view(&app, &caller, name, found).await))
}

/// Writes a flow: in place of the text that it was made from, or as a new file. If the file has another text meanwhile, it is left alone.
#[utoipa::path(put, path = "/api/flows/{name}", params(("name" = String, Path)), request_body = SaveFlow,
    responses((status = 200, body = FlowView), (status = 409, description = "The file has another text meanwhile.")))]
async fn save_flow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Result<Json<SaveFlow>, JsonRejection>,
) -> ApiResult<FlowView> {
    let Json(wanted) = body?;
    short_enough(&wanted.yaml)?;
    let kept = app.flows.save_flow(&name, wanted.yaml, wanted.etag.as_deref()).await?;
    Ok(Json(view(&app, &caller, name, kept).await))
}

async fn view(app: &App, caller: &Caller, name: String, found: FlowFile) -> FlowView {
    let (tables, _) = open(app, &found.tables).await;
    let model = app.flows.check_flow(&found.file, &found.yaml, &tables).await;
    let refused = match caller {
        Caller::Account(account) if !account.is_admin => {
            Some("files are changed by administrators".to_owned())
        }
        _ => None,
    };
    FlowView {
        name,
        file: found.file,
        yaml: found.yaml,
        etag: found.etag,
        read_only: refused.or(found.read_only),
        used_by: found.used_by,
        tables: TextMap(found.tables),
        model,
    }
}

/// Says what a text says: nodes, what they give, and what is wrong with them.
#[utoipa::path(post, path = "/api/flow-checks", request_body = CheckFlow, responses((status = 200, body = FlowModel)))]
async fn check_flow(
    State(app): State<App>,
    body: Result<Json<CheckFlow>, JsonRejection>,
) -> ApiResult<FlowModel> {
    let Json(wanted) = body?;
    short_enough(&wanted.yaml)?;
    Ok(Json(checked(&app, &wanted.yaml, &wanted.tables.0).await))
}

/// Changes a text; nothing is kept. Comments, order and spaces stay.
#[utoipa::path(post, path = "/api/flow-edits", request_body = EditFlow, responses((status = 200, body = EditedFlow)))]
async fn edit_flow(
    State(app): State<App>,
    body: Result<Json<EditFlow>, JsonRejection>,
) -> ApiResult<EditedFlow> {
    let Json(wanted) = body?;
    short_enough(&wanted.yaml)?;
    let kinds = app.flows.flow_kinds();
    let example = |kind: &str| {
        let found = kinds.iter().find(|known| known.name == kind)?;
        millrace_spec::yaml::parse("example", &found.example).ok()?.to_json().get(kind).cloned()
    };
    let yaml = edited(TEXT, &wanted.yaml, wanted.edits, &example)?;
    let model = checked(&app, &yaml, &wanted.tables.0).await;
    Ok(Json(EditedFlow { yaml, model }))
}

async fn checked(app: &App, yaml: &str, tables: &IndexMap<String, String>) -> FlowModel {
    let (tables, problems) = open(app, tables).await;
    let mut model = app.flows.check_flow(TEXT, yaml, &tables).await;
    for (source, problem) in problems {
        let reads =
            |node: &&mut crate::views::flows::FlowNodeView| node.config.0.as_str() == Some(source.as_str());
        if let Some(node) =
            model.nodes.iter_mut().filter(|node| node.kind.as_deref() == Some("source")).find(reads)
        {
            node.problem = Some(problem.into());
        }
    }
    model
}

/// Gives the first rows of a node; only what it needs is run.
#[utoipa::path(post, path = "/api/flow-previews", request_body = PreviewFlow, responses((status = 200, body = TablePreview)))]
async fn preview_flow(
    State(app): State<App>,
    body: Result<Json<PreviewFlow>, JsonRejection>,
) -> ApiResult<TablePreview> {
    let Json(wanted) = body?;
    short_enough(&wanted.yaml)?;
    let (tables, _) = open(&app, &wanted.tables.0).await;
    let limit = wanted.limit.unwrap_or(ROWS.0).min(ROWS.1) as usize;
    let began = app.clock.now();
    let rows = app.flows.preview_node(&wanted.yaml, &wanted.node, &tables, limit);
    let Ok(found) = tokio::time::timeout(TIME, rows).await else {
        let problem =
            Problem::error("query-timeout", format!("the rows took longer than {} s", TIME.as_secs()))
                .hint("look at a node before it, or give its sources smaller tables");
        return Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, problem));
    };
    let found = found?;
    let columns: Vec<FieldView> = found
        .columns
        .into_iter()
        .map(|column| FieldView { name: column.name, data_type: column.data_type, nullable: column.nullable })
        .collect();
    let row = |mut row: serde_json::Map<String, serde_json::Value>| {
        columns.iter().map(|column| AnyJson(row.remove(&column.name).unwrap_or_default())).collect()
    };
    let rows = found.rows.into_iter().map(row).collect();
    let preview = TablePreview { rows, truncated: found.truncated, elapsed_ms: 0, columns };
    Ok(Json(super::datasets::timed(&app, began, preview)))
}

/// The tables of sources, and what is wrong with those that are not there.
async fn open(
    app: &App,
    names: &IndexMap<String, String>,
) -> (IndexMap<String, TableRef>, Vec<(String, Problem)>) {
    let (mut found, mut problems) = (IndexMap::new(), Vec::new());
    for (source, name) in names {
        match tables::named(app.datasets.as_ref(), &app.folder, name).await {
            Ok(table) => {
                found.insert(source.clone(), table);
            }
            Err(error) => problems.push((source.clone(), error.problem())),
        }
    }
    (found, problems)
}

fn short_enough(yaml: &str) -> Result<(), ApiError> {
    if yaml.len() <= LONGEST {
        return Ok(());
    }
    let problem = Problem::error("too-long", format!("a flow has at most {} KiB", LONGEST / 1024));
    Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, problem))
}
