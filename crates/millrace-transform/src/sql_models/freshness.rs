use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{Explain as _, QueryEngine as _, QueryRequest, TableRef};
use millrace_spec::duration::Elapsed;
use millrace_spec::problem::Problem;
use millrace_spec::sql_models::{Project, quoted};
use serde::Serialize;
use serde_json::Value;

use super::Services;
use super::plan::Place;
use crate::steps::query_problem;

/// How new a table of a source is.
#[derive(Debug, Clone, Serialize)]
pub struct FreshnessResult {
    /// The source.
    pub source: String,
    /// Its table.
    pub table: String,
    /// Whether it is new enough.
    pub status: FreshnessStatus,
    /// When the newest row came, or the newest version.
    pub newest: Option<Timestamp>,
    /// How long ago that was.
    pub age_ms: Option<u64>,
    /// When it counts as a warning.
    pub warn_after: Option<Elapsed>,
    /// When it counts as an error.
    pub error_after: Option<Elapsed>,
    /// Why it is not known.
    pub problem: Option<Problem>,
}

/// Whether a table is new enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessStatus {
    /// It is.
    Pass,
    /// Older than `warn_after`.
    Warn,
    /// Older than `error_after`, without rows, or not to be read.
    Error,
}

/// Looks how new the tables are for which `sources.yaml` says how new they have to be; `wanted` are `source` or `source.table`, all if empty.
///
/// # Errors
/// A name that is none.
pub async fn freshness(
    services: &Services,
    project: &Project,
    wanted: &[String],
) -> Result<Vec<FreshnessResult>, Box<Problem>> {
    for name in wanted {
        let (source, table) =
            name.split_once('.').map_or((name.as_str(), None), |(source, table)| (source, Some(table)));
        let found = project.sources.0.get(source);
        if found.is_none_or(|found| table.is_some_and(|table| !found.tables.contains_key(table))) {
            let known: Vec<&str> = project.sources.0.keys().map(String::as_str).collect();
            let problem = Problem::error("unknown-source", format!("there is no source `{name}`"));
            return Err(Box::new(match millrace_spec::suggest::nearest(source, &known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.note(format!("there are {}", known.join(", "))),
            }));
        }
    }
    let now = services.clock.now();
    let mut results = Vec::new();
    for (source, about) in &project.sources.0 {
        for table in about.tables.keys() {
            let is_wanted = wanted.is_empty()
                || wanted.iter().any(|name| name == source || *name == format!("{source}.{table}"));
            let Some(rule) = project.freshness(source, table).filter(|_| is_wanted) else { continue };
            let newest = newest(services, project, source, table).await;
            let (newest, problem) = match newest {
                Ok(newest) => (newest, None),
                Err(problem) => (None, Some(*problem)),
            };
            let age = newest.map(|newest| Duration::try_from(now.duration_since(newest)).unwrap_or_default());
            let age_ms = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            let beyond =
                |limit: Option<Elapsed>| limit.is_some_and(|limit| age_ms.is_none_or(|age| age > limit.ms));
            let status = if problem.is_some() || beyond(rule.error_after) {
                FreshnessStatus::Error
            } else if beyond(rule.warn_after) {
                FreshnessStatus::Warn
            } else {
                FreshnessStatus::Pass
            };
            results.push(FreshnessResult {
                source: source.clone(),
                table: table.clone(),
                status,
                newest,
                age_ms,
                warn_after: rule.warn_after,
                error_after: rule.error_after,
                problem,
            });
        }
    }
    Ok(results)
}

/// When the newest row came; `None` if there is no row.
async fn newest(
    services: &Services,
    project: &Project,
    source: &str,
    table: &str,
) -> Result<Option<Timestamp>, Box<Problem>> {
    let loaded_at = project.source(source, table).and_then(|table| table.loaded_at.clone());
    let mut tables = IndexMap::new();
    let name = match Place::of(project, source, table) {
        Some(Place::Dataset(name)) => {
            let version = services.catalog.resolve(&name).await.map_err(|error| Box::new(error.problem()))?;
            if loaded_at.is_none() {
                return Ok(Some(version.created_at));
            }
            let table = TableRef::of(&version.asset).ok_or_else(|| {
                Box::new(Problem::error("not-a-table", format!("the dataset `{name}` is no table")))
            })?;
            tables.insert(name.clone(), table);
            quoted(&name)
        }
        Some(Place::Foreign(connection, table)) => {
            let parts = std::iter::once(connection.as_str()).chain(table.split('.'));
            parts.map(quoted).collect::<Vec<_>>().join(".")
        }
        None => {
            return Err(Box::new(Problem::error(
                "unknown-source",
                format!("there is no table `{source}.{table}`"),
            )));
        }
    };
    let Some(column) = loaded_at else {
        let message = format!("`{source}.{table}` is a table of a database and has no `loaded_at`");
        return Err(Box::new(Problem::error("model-file", message).hint("loaded_at: COLUMN")));
    };
    let sql = format!(
        "select arrow_cast(arrow_cast(max({}), 'Timestamp(µs, \"UTC\")'), 'Int64') as newest from {name}",
        quoted(&column)
    );
    let request = QueryRequest { sql, tables, ..QueryRequest::default() };
    let rows = services.engine.query(request).await.map_err(|error| Box::new(query_problem(&error)))?;
    let rows = rows.collect().await.map_err(|error| Box::new(query_problem(&error)))?;
    let rows = crate::rows::to_json(&rows);
    let micros = rows.first().and_then(|row| row.get("newest")).and_then(Value::as_i64);
    Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}
