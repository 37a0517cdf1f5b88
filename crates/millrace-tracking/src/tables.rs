//! The datasets that a query names, at the versions that it names, and files of the workspace by their paths.

use std::path::{Component, Path};

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
    /// It names a file that is not there.
    #[error("there is no file `{name}` in the workspace")]
    NoFile {
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
            Self::NoFile { .. } => Problem::error("unknown-file", self.to_string())
                .hint("a path is relative to the workspace and in double quotes: `from \"raw/flights.csv\"`"),
        }
    }
}

/// The tables of a query by the names under which it reads them: `flights`, `flights@3`, `flights@champion`,
/// `"flights@2026-03-01T06:00:00Z"`, and files of the workspace in `root` by their paths, `"raw/flights.csv.gz"`. What it does not name is
/// not opened.
///
/// # Errors
/// See [`TablesError`].
pub async fn named_in(
    engine: &dyn QueryEngine,
    datasets: &dyn DatasetCatalog,
    root: &Path,
    sql: &str,
) -> Result<IndexMap<String, TableRef>, TablesError> {
    let mut tables = IndexMap::new();
    for name in engine.table_names(sql).await? {
        let table = named(datasets, root, &name).await?;
        tables.insert(name, table);
    }
    Ok(tables)
}

/// One table by such a name.
///
/// # Errors
/// If it is not there.
pub async fn named(datasets: &dyn DatasetCatalog, root: &Path, name: &str) -> Result<TableRef, TablesError> {
    if file_ending(name).is_some() {
        return file_table(root, name).ok_or_else(|| TablesError::NoFile { name: name.to_owned() });
    }
    let version = datasets.resolve(name).await?;
    TableRef::of(&version.asset).ok_or_else(|| TablesError::NotATable { name: name.to_owned() })
}

/// The format of a file that a query can read, by its ending without what packs it.
fn file_ending(name: &str) -> Option<&str> {
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    let (_, ending) = plain.rsplit_once('.')?;
    matches!(ending, "csv" | "parquet" | "json" | "jsonl" | "ndjson").then_some(ending)
}

/// A file of the workspace in `root` as a table. `None` if there is no such file, it is hidden or lies elsewhere, or no query can read it.
pub fn file_table(root: &Path, path: &str) -> Option<TableRef> {
    let ending = file_ending(path)?;
    let file = seen_path(root, path)?;
    if !file.is_file() {
        return None;
    }
    let uri = url::Url::from_file_path(file).ok()?.to_string();
    Some(match ending {
        "parquet" => TableRef::Parquet { uri },
        "csv" => TableRef::Csv { uri },
        _ => TableRef::Json { uri },
    })
}

/// The absolute path of what lies in the workspace where everybody may look: no part of the path is hidden, and links do not lead out.
pub fn seen_path(root: &Path, path: &str) -> Option<std::path::PathBuf> {
    let shown = |part: Component<'_>| match part {
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    };
    if !Path::new(path).components().all(shown) {
        return None;
    }
    let root = fs_err::canonicalize(root).ok()?;
    let found = fs_err::canonicalize(root.join(path)).ok()?;
    let inside = found.strip_prefix(&root).ok()?.components().all(shown);
    inside.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_that_are_not_hidden_and_lie_in_the_workspace() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["raw", ".millrace", "work"] {
            fs_err::create_dir_all(at(folder)).unwrap();
        }
        for file in
            ["raw/a.csv", "raw/b.parquet", "raw/c.jsonl.gz", "raw/note.txt", ".millrace/d.csv", "work/e.csv"]
        {
            fs_err::write(at(file), "a\n1\n").unwrap();
        }
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("f.csv"), "a\n1\n").unwrap();
        std::os::unix::fs::symlink(outside.path().join("f.csv"), at("raw/f.csv")).unwrap();
        std::os::unix::fs::symlink(at(".millrace/d.csv"), at("raw/d.csv")).unwrap();
        let kind = |path: &str| match file_table(root.path(), path) {
            Some(TableRef::Csv { .. }) => "csv",
            Some(TableRef::Parquet { .. }) => "parquet",
            Some(TableRef::Json { .. }) => "json",
            _ => "none",
        };
        assert_eq!(kind("raw/a.csv"), "csv");
        assert_eq!(kind("raw/b.parquet"), "parquet");
        assert_eq!(kind("raw/c.jsonl.gz"), "json");
        let absolute = outside.path().join("f.csv").to_string_lossy().into_owned();
        for path in [
            "raw/note.txt",
            "raw/none.csv",
            ".millrace/d.csv",
            "raw/../.millrace/d.csv",
            "raw/f.csv",
            "raw/d.csv",
            &absolute,
        ] {
            assert_eq!(kind(path), "none", "{path}");
        }
    }
}
