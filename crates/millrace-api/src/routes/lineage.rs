//! What was made from what.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use millrace_contract as contract;
use millrace_metastore::assets::AssetNode;
use millrace_tracking::lineage;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::views::datasets::{AssetKey, LineageEdge, LineageView};
use crate::views::json::TextMap;

/// Things in one picture; a larger one is cut at its rim.
const MOST_NODES: usize = 300;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find_lineage))
}

/// A node as the wire has it.
pub(crate) fn key(node: AssetNode) -> AssetKey {
    AssetKey { kind: node.kind, name: node.name, version: u64::try_from(node.version).unwrap_or_default() }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LineageQuery {
    /// `source`, `dataset`, `run`, `model`, `endpoint`; `job` or `outside` for what others told of.
    kind: String,
    /// Name; the id of a run.
    name: String,
    /// Version; 0 or absent for things without.
    version: Option<u64>,
}

/// Finds everything that a version, an endpoint or a tracked run came from and everything that came of it, however far.
#[utoipa::path(get, path = "/api/lineage", params(LineageQuery), responses((status = 200, body = LineageView)))]
async fn find_lineage(
    State(app): State<App>,
    query: Result<Query<LineageQuery>, QueryRejection>,
) -> ApiResult<LineageView> {
    let Query(LineageQuery { kind, name, version }) = query?;
    let start = contract::AssetKey { kind, name, version: version.unwrap_or_default() };
    let graph = lineage::around(app.engine.store(), start, MOST_NODES, &(app.sources)()).await?;
    let edge = |edge: lineage::Edge| LineageEdge {
        from: edge.from.into(),
        to: edge.to.into(),
        tie: edge.tie.word().to_owned(),
        run_id: edge.run_id,
        step: edge.step,
    };
    Ok(Json(LineageView {
        nodes: graph.nodes.into_iter().map(Into::into).collect(),
        edges: graph.edges.into_iter().map(edge).collect(),
        run_names: TextMap(graph.run_names.into_iter().collect()),
        cut: graph.cut,
    }))
}
