//! The datasets that a query names, at the versions that it names.

use indexmap::IndexMap;
use millrace_contract::{CatalogError, DatasetCatalog, Explain as _, QueryEngine, QueryError, TableRef};
use millrace_spec::problem::Problem;

/// Why a query's tables cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The query does not parse.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It names a dataset, a version or an alias that is not there.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// It names a dataset that has no rows.
    #[error("the dataset `{name}` is a folder of files, not a table")]
    NotATable {
        /// As written.
        name: String,
    },
}

impl TablesError {
    /// As a user sees it.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Query(QueryError::Plan { message, position }) => {
                let problem = Problem::error("sql-plan", message.clone());
                match position {
                    Some((line, column)) => {
                        problem.note(format!("at line {line}, column {column} of the query"))
                    }
                    None => problem,
                }
            }
            Self::Query(error) => Problem::error("query-failed", error.to_string()),
            Self::Catalog(error) => error.problem(),
            Self::NotATable { .. } => Problem::error("not-a-table", self.to_string()),
        }
    }
}

/// The tables of a query by the names under which it reads them: `flights`, `flights@3`, `flights@champion`,
/// `"flights@2026-03-01T06:00:00Z"`. Datasets that it does not name are not opened.
///
/// # Errors
/// See [`TablesError`].
pub async fn named_in(
    engine: &dyn QueryEngine,
    datasets: &dyn DatasetCatalog,
    sql: &str,
) -> Result<IndexMap<String, TableRef>, TablesError> {
    let mut tables = IndexMap::new();
    for name in engine.table_names(sql).await? {
        let version = datasets.resolve(&name).await?;
        let table = TableRef::of(&version.asset);
        let table = table.ok_or_else(|| TablesError::NotATable { name: name.clone() })?;
        tables.insert(name, table);
    }
    Ok(tables)
}
