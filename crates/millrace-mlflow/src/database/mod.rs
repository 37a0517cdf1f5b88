//! A database of MLflow, SQLite or PostgreSQL, of any version since 1.0: what a version does not have yet is absent.

mod experiments;
mod registry;
mod runs;
mod traces;
mod webhooks;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use async_trait::async_trait;
use millrace_metastore::experiments::ExperimentFull;
use millrace_metastore::registry::ImportedRegistered;
use millrace_metastore::{ForeignDatabase, MetastoreError, Row, Value};

use crate::ImportError;
use crate::files::{Files, Places};
use crate::record::{self, EvalDataset, Found, Model, Run, Source, Webhook, clean};

/// Records that are read together.
const TOGETHER: usize = 100;
/// Points of runs that are read together, unless one run has more.
const MANY: i64 = 200_000;
/// The workspace that everything is in that names none.
const WORKSPACE: &str = "default";

/// Tables that are not taken over, and what is in them.
const LEFT_OUT: [(&str, &str); 7] = [
    ("scorers", "scorers"),
    ("issues", "issues"),
    ("label_schemas", "label schemas"),
    ("review_queues", "review queues"),
    ("endpoints", "endpoints of the gateway"),
    ("mcp_servers", "MCP servers"),
    ("budget_policies", "budget policies"),
];

/// Reads a database of MLflow.
pub(crate) struct DatabaseSource {
    database: ForeignDatabase,
    tables: HashMap<String, HashSet<String>>,
    identity: String,
    places: Places,
    /// Ids after which each kind is read on; `None` after the last.
    runs: Option<String>,
    models: Option<String>,
    registered: Option<Vec<(String, String)>>,
    traces: Option<String>,
    datasets: Option<String>,
}

impl DatabaseSource {
    pub(crate) async fn open(given: &str, mut places: Places) -> Result<Self, ImportError> {
        let (scheme, rest) = given.split_once("://").unwrap_or(("sqlite", given));
        let opening = |error| ImportError::Database { what: "anything".to_owned(), error };
        let (database, identity);
        if scheme == "sqlite" {
            // SQLAlchemy's `sqlite:///x.db` is a relative path.
            let path = rest.strip_prefix('/').unwrap_or(rest).split('?').next().unwrap_or_default();
            let path = places.base.join(path);
            let path = fs_err::canonicalize(&path).map_err(ImportError::reading(&path))?;
            // MLflow makes paths absolute where it was started, which mostly was beside the file.
            places.base = path.parent().map_or_else(PathBuf::new, PathBuf::from);
            identity = format!("sqlite://{}", path.display());
            database = ForeignDatabase::open_file(&path).await.map_err(opening)?;
        } else {
            // `user@/database?host=/folder` is how a socket is named; a URL needs a host before it.
            let rest = &match rest.split_once("@/") {
                Some((user, database)) => format!("{user}@localhost/{database}"),
                None => rest.to_owned(),
            };
            let shown = rest.rsplit_once('@').map_or(rest.as_str(), |(_, shown)| shown);
            identity = format!("postgresql://{}", shown.split('?').next().unwrap_or_default());
            database = ForeignDatabase::open_server(&format!("postgres://{rest}")).await.map_err(opening)?;
        }
        let mut tables: HashMap<String, HashSet<String>> = HashMap::new();
        for (table, column) in database.columns().await.map_err(opening)? {
            tables.entry(table).or_default().insert(column);
        }
        for table in ["experiments", "runs", "metrics", "params", "tags"] {
            if !tables.contains_key(table) {
                return Err(ImportError::NoTable { table });
            }
        }
        let first = || Some(String::new());
        Ok(Self {
            database,
            tables,
            identity,
            places,
            runs: first(),
            models: first(),
            registered: None,
            traces: first(),
            datasets: first(),
        })
    }

    fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    fn has_column(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// A column as text, or NULL where the table has none of the name.
    fn text(&self, table: &str, column: &str) -> String {
        self.cast(table, column, "TEXT")
    }

    /// A column as an integer, or NULL where the table has none of the name.
    fn int(&self, table: &str, column: &str) -> String {
        self.cast(table, column, "BIGINT")
    }

    fn cast(&self, table: &str, column: &str, kind: &str) -> String {
        if self.has_column(table, column) {
            format!("CAST({table}.{column} AS {kind}) AS {column}")
        } else {
            format!("CAST(NULL AS {kind}) AS {column}")
        }
    }

    /// `SELECT texts, ints FROM table`.
    fn select(&self, table: &str, texts: &[&str], ints: &[&str]) -> String {
        let texts = texts.iter().map(|column| self.text(table, column));
        let columns: Vec<String> = texts.chain(ints.iter().map(|column| self.int(table, column))).collect();
        format!("SELECT {} FROM {table}", columns.join(", "))
    }

    async fn fetch(&self, what: &str, sql: &str, args: &[Value<'_>]) -> Result<Vec<Row>, ImportError> {
        self.database.fetch(sql, args).await.map_err(failed(what))
    }

    /// Rows of a table by the ids in one of its columns.
    async fn of(
        &self,
        what: &str,
        select: &str,
        column: &str,
        ids: &[String],
    ) -> Result<BTreeMap<String, Vec<Row>>, ImportError> {
        let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
        let sql = format!("{select} WHERE {column} IN ({})", marks(ids.len()));
        for row in self.fetch(what, &sql, &args).await? {
            let owner = row.text("owner").map_err(failed(what))?;
            found.entry(owner).or_default().push(row);
        }
        Ok(found)
    }
}

fn marks(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

fn failed(what: &str) -> impl FnOnce(MetastoreError) -> ImportError {
    let what = what.to_owned();
    move |error| ImportError::Database { what, error }
}

/// A text, cleaned; empty for NULL.
fn text_of(row: &Row, column: &str) -> Result<String, MetastoreError> {
    Ok(some_text(row, column)?.unwrap_or_default())
}

/// A text, cleaned.
fn some_text(row: &Row, column: &str) -> Result<Option<String>, MetastoreError> {
    Ok(row.opt_text(column)?.map(clean))
}

/// Names and values of rows.
fn pairs(
    rows: Option<Vec<Row>>,
    (key, value): (&str, &str),
) -> Result<Vec<(String, String)>, MetastoreError> {
    let pair = |row: &Row| Ok((text_of(row, key)?, text_of(row, value)?));
    rows.unwrap_or_default().iter().map(pair).collect()
}

#[async_trait]
impl Source for DatabaseSource {
    fn identity(&self) -> &str {
        &self.identity
    }

    async fn experiments(&mut self) -> Result<Found<ExperimentFull>, ImportError> {
        self.read_experiments().await
    }

    async fn next_runs(&mut self) -> Result<Option<Found<Run>>, ImportError> {
        self.read_runs().await
    }

    async fn next_models(&mut self) -> Result<Option<Found<Model>>, ImportError> {
        self.read_models().await
    }

    async fn next_registered(&mut self) -> Result<Option<Found<ImportedRegistered>>, ImportError> {
        self.read_registered().await
    }

    async fn next_traces(&mut self) -> Result<Option<Found<record::Trace>>, ImportError> {
        self.read_traces().await
    }

    async fn next_datasets(&mut self) -> Result<Option<Found<EvalDataset>>, ImportError> {
        self.read_datasets().await
    }

    async fn webhooks(&mut self) -> Result<Found<Webhook>, ImportError> {
        self.read_webhooks().await
    }

    fn takes(&self, location: &str) -> bool {
        self.places.reads(location)
    }

    fn files(&self, uri: &str, owner: &str) -> Files {
        self.places.find(uri, owner)
    }

    async fn list_files(&self, _: &str) -> Result<Vec<(String, u64)>, ImportError> {
        Ok(Vec::new())
    }

    async fn read_file(&self, address: &str, _: &str) -> Result<reqwest::Response, ImportError> {
        Err(ImportError::Server { url: address.to_owned(), reason: "a database serves nothing".to_owned() })
    }

    async fn left_out(&mut self) -> Result<Vec<String>, ImportError> {
        let mut found = Vec::new();
        for (table, what) in LEFT_OUT.iter().filter(|(table, _)| self.has(table)) {
            let rows = self.fetch(table, &format!("SELECT COUNT(*) AS many FROM {table}"), &[]).await?;
            let many = rows.first().map_or(Ok(0), |row| row.int("many")).map_err(failed(table))?;
            if many > 0 {
                found.push(format!("{many} {what}"));
            }
        }
        Ok(found)
    }
}
