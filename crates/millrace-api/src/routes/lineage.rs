//! What was made from what.

use std::collections::{BTreeSet, VecDeque};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use millrace_metastore::assets::AssetNode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::views::datasets::{AssetKey, LineageEdge, LineageView};

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
    /// `dataset` or `model`.
    kind: String,
    /// Name.
    name: String,
    /// Version.
    version: i64,
}

/// Finds everything that a version was made from and everything that was made from it, however far.
#[utoipa::path(get, path = "/api/lineage", params(LineageQuery), responses((status = 200, body = LineageView)))]
async fn find_lineage(
    State(app): State<App>,
    query: Result<Query<LineageQuery>, QueryRejection>,
) -> ApiResult<LineageView> {
    let Query(LineageQuery { kind, name, version }) = query?;
    let start = AssetNode { kind, name, version };
    let mut seen = BTreeSet::from([start.clone()]);
    let mut edges: BTreeSet<(AssetNode, AssetNode)> = BTreeSet::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        let (made_from, made) = app.engine.store().list_asset_edges(node.clone()).await?;
        let up = made_from.into_iter().map(|from| (from, node.clone()));
        let down = made.into_iter().map(|to| (node.clone(), to));
        for (from, to) in up.chain(down).collect::<Vec<_>>() {
            let next = if from == node { to.clone() } else { from.clone() };
            edges.insert((from, to));
            if seen.len() < MOST_NODES && seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    edges.retain(|(from, to)| seen.contains(from) && seen.contains(to));
    let edge = |(from, to): (AssetNode, AssetNode)| LineageEdge {
        from: key(from),
        to: key(to),
        run_id: None,
        step: None,
    };
    Ok(Json(LineageView {
        nodes: seen.into_iter().map(key).collect(),
        edges: edges.into_iter().map(edge).collect(),
    }))
}
