//! What is asked of the workspace's connections.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use millrace_spec::problem::Problem;

use crate::views::connections::{ConnectionsView, SaveConnection, TriedConnection, TryConnection};

/// The file of connections, as it is now.
#[async_trait]
pub trait Connections: Send + Sync {
    /// What stands in it, without secrets.
    async fn connections(&self) -> ConnectionsView;

    /// Writes one, new or in place of what stands there; everything else in the file stays.
    async fn save_connection(&self, name: &str, wanted: SaveConnection) -> Result<(), Problem>;

    /// Takes one out of the file that has that etag.
    async fn remove_connection(&self, name: &str, etag: Option<&str>) -> Result<(), Problem>;

    /// Connects and asks for what is there: what answered, and names. The caller says how long it may take.
    async fn try_connection(&self, wanted: TryConnection) -> Result<(String, Vec<String>), Problem>;
}

/// Tries a connection for as long as `patience`, and tells what came of it.
pub async fn tried(
    connections: &dyn Connections,
    wanted: TryConnection,
    patience: Duration,
) -> TriedConnection {
    let began = Instant::now();
    let answer = tokio::time::timeout(patience, connections.try_connection(wanted)).await;
    let answer = answer.unwrap_or_else(|_| {
        let message = format!("nothing answered within {} s", patience.as_secs());
        Err(Problem::error("connection-timeout", message)
            .hint("is the address right, and may this machine reach it?"))
    });
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or_default();
    match answer {
        Ok((said, names)) => TriedConnection { said: Some(said), names, elapsed_ms, problem: None },
        Err(problem) => {
            TriedConnection { said: None, names: Vec::new(), elapsed_ms, problem: Some(problem.into()) }
        }
    }
}
