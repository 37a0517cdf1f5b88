//! What is asked of the workspace's connections.

use async_trait::async_trait;
use millrace_spec::problem::Problem;

use crate::views::connections::{ConnectionsView, SaveConnection, TryConnection};

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
