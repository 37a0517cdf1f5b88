//! What stands for Ballista in a build without it.

use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use millrace_contract::{BatchStream, Cluster, RemoteError};

use crate::engine::DataFusionEngine;
use crate::flow::PlanError;

#[allow(clippy::unused_async, reason = "as in builds that ask a scheduler")]
pub(crate) async fn session(_: &DataFusionEngine, cluster: &Cluster) -> Result<SessionContext, PlanError> {
    Err(not_built(cluster).into())
}

#[allow(clippy::unused_async, reason = "as in builds that ask a scheduler")]
pub(crate) async fn begin(_: DataFrame, cluster: &Cluster) -> Result<BatchStream, PlanError> {
    Err(RemoteError::Refused { engine: cluster.name.clone(), message: "there is no session".to_owned() }
        .into())
}

/// # Errors
/// Always: there is nothing to connect with.
#[allow(clippy::unused_async, reason = "as in builds that ask a scheduler")]
pub async fn reach(cluster: &Cluster) -> Result<(), RemoteError> {
    Err(not_built(cluster))
}

fn not_built(cluster: &Cluster) -> RemoteError {
    let message = "this build has no Ballista; make one with `cargo build --release --features ballista`";
    RemoteError::Refused { engine: cluster.name.clone(), message: message.to_owned() }
}
