//! What is asked of the workspace's SQL models.

use async_trait::async_trait;
use millrace_spec::problem::Problem;

use crate::views::sql_models::{SqlModelView, SqlModels};

/// The queries in `models/`, as they are now.
#[async_trait]
pub trait SqlModelFiles: Send + Sync {
    /// All of them, whatever is wrong with some.
    async fn list_sql_models(&self) -> Result<SqlModels, Problem>;

    /// One by its name; `None` if there is no such query.
    async fn find_sql_model(&self, name: &str) -> Result<Option<SqlModelView>, Problem>;
}
