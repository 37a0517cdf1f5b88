//! Web APIs that flows ask about their rows.

use std::sync::Arc;

use millrace_contract::{RowCaller, RowCalls};

use crate::connections::{self, ReadConnections};
use crate::error::CopyError;
use crate::origin;

/// The web APIs that connections of the kind `rest` lead to.
#[derive(Clone)]
pub struct WebApis {
    /// Where they are, and what opens them.
    pub connections: ReadConnections,
}

impl RowCalls for WebApis {
    fn names(&self) -> Result<Vec<String>, String> {
        let connections =
            (self.connections)().map_err(|problem| CopyError::Connection(problem).to_string())?;
        let apis = connections.iter().filter(|(_, connection)| origin::answers_rows(&connection.settings));
        Ok(apis.map(|(name, _)| name.clone()).collect())
    }

    fn open(&self, connection: &str) -> Result<Arc<dyn RowCaller>, String> {
        let open = || {
            let connections = (self.connections)().map_err(CopyError::Connection)?;
            origin::row_caller(connection, connections::find(&connections, connection)?)
        };
        open().map_err(|error| error.to_string())
    }
}
