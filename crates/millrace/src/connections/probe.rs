//! Which kinds of connections there are, and whether one leads anywhere.

use std::sync::Arc;

use millrace_api::views::connections::ConnectionFamily;
use millrace_contract::{Explain as _, KindDoc, RemoteError};
use millrace_spec::problem::Problem;
use millrace_transfer::Connection;
use millrace_transform::ballista::{self, BallistaSettings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::copies::{Said, apart};
use crate::workspace::Workspace;

/// The pages of all kinds that stand in `connections.yaml`, each with what it leads to.
pub(super) fn kinds() -> Vec<(ConnectionFamily, KindDoc)> {
    let rows = Connection::kinds().into_iter().map(|doc| (family(doc.name), doc));
    let queues = millrace_events::connection_kinds().into_iter().map(|doc| (ConnectionFamily::Queues, doc));
    let engines = [millrace_spark::connection_doc(), ballista::connection_doc()];
    let engines = engines.into_iter().map(|doc| (ConnectionFamily::Engines, doc));
    rows.chain(queues).chain(engines).collect()
}

fn family(kind: &str) -> ConnectionFamily {
    match kind {
        "rest" | "odata" | "graphql" => ConnectionFamily::Apis,
        "program" | "singer" => ConnectionFamily::Programs,
        "s3" | "azblob" | "gcs" | "sftp" | "ftp" | "webdav" | "http" | "git" => ConnectionFamily::Files,
        _ => ConnectionFamily::Databases,
    }
}

/// Who answers at a connection, secrets resolved, and names of what can be read there.
pub(super) async fn probe(
    workspace: &Workspace,
    name: &str,
    settings: Value,
) -> Result<(String, Vec<String>), Problem> {
    let known = settings.clone();
    let read: millrace_events::ReadConnection = Arc::new(move |_| Ok(known.clone()));
    if let Some(found) = millrace_events::probe(name, &settings, &read).await {
        return found;
    }
    if let Some(spark) = millrace_spark::SparkSettings::read(name, &settings) {
        let version = millrace_spark::version(name, spark.map_err(|problem| *problem)?).await;
        return Ok((format!("Spark {}", version.map_err(|error| unreached(&error))?), Vec::new()));
    }
    if let Some(cluster) = BallistaSettings::read(name, &settings) {
        let cluster = cluster.map_err(|problem| *problem)?;
        ballista::reach(&cluster).await.map_err(|error| unreached(&error))?;
        return Ok((format!("the scheduler at {} answers", cluster.scheduler), Vec::new()));
    }
    let state = workspace.state_folder();
    let folder = tempfile::Builder::new().prefix("look-").tempdir_in(state).map_err(|error| {
        Problem::error("unwritable-file", "cannot write into the state folder").note(error.to_string())
    })?;
    let cancel = CancellationToken::new();
    // Whoever stops waiting ends the work.
    let _ends = cancel.clone().drop_guard();
    let context =
        apart(workspace, "connection", folder.path(), Value::Null, cancel, &Arc::new(Said::default()));
    let found = Connection::from(settings).probe(name, &workspace.root, &context).await;
    found.map_err(|error| error.problem())
}

fn unreached(error: &RemoteError) -> Problem {
    Problem::error("remote-engine", error.to_string())
}
