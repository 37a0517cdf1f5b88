//! Lists of runs for pages: searched, counted, laid out over time. Definitions and outcomes, which are large, are not read.

use std::collections::HashMap;

use crate::runs::{AttemptCostRow, PipelineRunRow};
use crate::{Metastore, MetastoreError, Row, Session, Value};

/// Which runs a search wants.
#[derive(Debug, Clone, Default)]
pub struct RunSearch {
    /// Only these pipelines; all if empty.
    pub pipelines: Vec<String>,
    /// Only these state words; all if empty.
    pub states: Vec<String>,
    /// Only what was started by these: `manual`, `cron`, …; all if empty.
    pub causes: Vec<String>,
    /// Only runs made at or after this instant.
    pub since: Option<i64>,
    /// Only runs made before this instant.
    pub until: Option<i64>,
    /// In the id from its beginning, or anywhere in the pipeline's name, the inputs or the problem, whatever the case.
    pub text: Option<String>,
    /// Only runs that this run's steps started, or a step of it: run, step with its item. Without it, only runs that no step started.
    pub parent: Option<(String, Option<String>)>,
    /// Also runs that steps of other runs started.
    pub all: bool,
    /// Only runs older than this one: created at, id.
    pub before: Option<(i64, String)>,
    /// At most so many.
    pub limit: i64,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunListRow {
    /// 32 hex digits.
    pub id: String,
    /// Counts the runs of its pipeline from 1.
    pub number: i64,
    /// Pipeline name.
    pub pipeline: String,
    /// What started it.
    pub cause: String,
    /// State word.
    pub state: String,
    /// Problem of the run.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When its first step could begin.
    pub started_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
    /// The run that started it, if a step did.
    pub parent_run: Option<String>,
    /// The step that did.
    pub parent_step: Option<String>,
    /// Whether somebody holds it.
    pub paused: bool,
    /// When it should be over.
    pub deadline_at: Option<i64>,
}

impl From<&PipelineRunRow> for RunListRow {
    fn from(run: &PipelineRunRow) -> Self {
        Self {
            id: run.id.clone(),
            number: run.number,
            pipeline: run.pipeline.clone(),
            cause: run.cause.clone(),
            state: run.state.clone(),
            error: run.error.clone(),
            created_at: run.created_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            parent_run: run.parent_run.clone(),
            parent_step: run.parent_step.clone(),
            paused: run.paused,
            deadline_at: run.deadline_at,
        }
    }
}

const COLUMNS: &str = "id, number, pipeline, cause, state, error, created_at, started_at, ended_at, parent_run, \
     parent_step, paused, deadline_at";

/// How many steps of a run are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepCount {
    /// State word.
    pub state: String,
    /// Steps in it.
    pub steps: i64,
}

impl Metastore {
    /// Runs that a search finds, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn search_pipeline_runs(&self, search: RunSearch) -> Result<Vec<RunListRow>, MetastoreError> {
        // What started a run is a field of a document.
        let cause =
            if self.is_postgres() { "(cause::jsonb) ->> 'by'" } else { "json_extract(cause, '$.by')" };
        self.read(move |session| {
            Box::pin(async move {
                let text = search.text.as_deref().map(|text| escaped(&text.to_lowercase()));
                let (begins, has) = match &text {
                    Some(text) => (format!("{text}%"), format!("%{text}%")),
                    None => Default::default(),
                };
                let mut query = Query::default();
                query.among("pipeline", &search.pipelines);
                query.among("state", &search.states);
                query.among(&format!("COALESCE({cause}, 'manual')"), &search.causes);
                match &search.parent {
                    Some((run, step)) => {
                        query.among("parent_run", std::slice::from_ref(run));
                        query.among("parent_step", step.as_slice());
                    }
                    None if search.all => {}
                    None => query.clauses.push("parent_run IS NULL".to_owned()),
                }
                query.compare("created_at >=", search.since);
                query.compare("created_at <", search.until);
                if text.is_some() {
                    let (first, other) = (query.bind(begins.as_str().into()), query.bind(has.as_str().into()));
                    let anywhere = ["pipeline", "inputs", "COALESCE(error, '')"]
                        .map(|column| format!("lower({column}) LIKE {other} ESCAPE '!'"));
                    query.clauses.push(format!("(id LIKE {first} ESCAPE '!' OR {})", anywhere.join(" OR ")));
                }
                if let Some((created_at, id)) = &search.before {
                    let (at, id) = (query.bind((*created_at).into()), query.bind(id.as_str().into()));
                    query.clauses.push(format!("(created_at < {at} OR (created_at = {at} AND id < {id}))"));
                }
                let limit = query.bind(search.limit.into());
                let condition = if query.clauses.is_empty() { "1 = 1".to_owned() } else { query.clauses.join(" AND ") };
                let sql = format!(
                    "SELECT {COLUMNS} FROM pipeline_run WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT {limit}"
                );
                list(session, &sql, &query.args).await
            })
        })
        .await
    }

    /// Runs that went on at some time between two instants, the newest first, at most `limit`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pipeline_runs_between(
        &self,
        from: i64,
        to: i64,
        limit: i64,
    ) -> Result<Vec<RunListRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                // Each part has an index of its own: began in it, ended in it or later, did not end.
                let part = |condition: &str| {
                    format!(
                        "SELECT * FROM (SELECT {COLUMNS} FROM pipeline_run WHERE {condition} \
                         ORDER BY created_at DESC, id DESC LIMIT $3) AS part"
                    )
                };
                let sql = format!(
                    "SELECT * FROM ({} UNION ALL {} UNION ALL {}) AS runs ORDER BY created_at DESC, id DESC LIMIT $3",
                    part("created_at >= $1 AND created_at < $2"),
                    part("created_at < $1 AND ended_at >= $1"),
                    part("created_at < $1 AND state IN ('queued', 'running')"),
                );
                list(session, &sql, &[from.into(), to.into(), limit.into()]).await
            })
        })
        .await
    }

    /// What the attempts of each step of a run used, those of its items too: sums, and the largest of the peaks.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn step_costs(
        &self,
        run_id: String,
    ) -> Result<HashMap<String, AttemptCostRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sums = ["cpu_user_ms", "cpu_system_ms", "read_bytes", "written_bytes"]
                    .map(|column| format!("CAST(SUM(attempt.{column}) AS BIGINT) AS {column}"));
                let sql = format!(
                    "SELECT COALESCE(step.item_of, step.step) AS of_step, {}, \
                     MAX(attempt.peak_memory_bytes) AS peak_memory_bytes FROM step_attempt AS attempt \
                     JOIN step_run AS step ON step.run_id = attempt.run_id AND step.step = attempt.step \
                     WHERE attempt.run_id = $1 GROUP BY COALESCE(step.item_of, step.step)",
                    sums.join(", ")
                );
                let mut found = HashMap::new();
                for row in session.fetch_all(&sql, &[run_id.as_str().into()]).await? {
                    found.insert(row.text("of_step")?, cost_row(&row)?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// How many steps of each run are in which state, items left out. Runs without steps are absent.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_steps(
        &self,
        runs: Vec<String>,
    ) -> Result<HashMap<String, Vec<StepCount>>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found: HashMap<String, Vec<StepCount>> = HashMap::new();
                for runs in runs.chunks(500) {
                    let mut query = Query::default();
                    query.among("run_id", runs);
                    let sql = format!(
                        "SELECT run_id, state, count(*) AS steps FROM step_run WHERE {} AND item_of IS NULL GROUP BY run_id, state",
                        query.clauses.join(" AND ")
                    );
                    for row in session.fetch_all(&sql, &query.args).await? {
                        let count = StepCount { state: row.text("state")?, steps: row.int("steps")? };
                        found.entry(row.text("run_id")?).or_default().push(count);
                    }
                }
                Ok(found)
            })
        })
        .await
    }
}

async fn list(
    session: &mut Session,
    sql: &str,
    args: &[Value<'_>],
) -> Result<Vec<RunListRow>, MetastoreError> {
    session.fetch_all(sql, args).await?.iter().map(list_row).collect()
}

fn list_row(row: &Row) -> Result<RunListRow, MetastoreError> {
    Ok(RunListRow {
        id: row.text("id")?,
        number: row.int("number")?,
        pipeline: row.text("pipeline")?,
        cause: row.text("cause")?,
        state: row.text("state")?,
        error: row.opt_text("error")?,
        created_at: row.int("created_at")?,
        started_at: row.opt_int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
        parent_run: row.opt_text("parent_run")?,
        parent_step: row.opt_text("parent_step")?,
        paused: row.int("paused")? != 0,
        deadline_at: row.opt_int("deadline_at")?,
    })
}

/// The columns of [`AttemptCostRow`].
pub(crate) fn cost_row(row: &Row) -> Result<AttemptCostRow, MetastoreError> {
    Ok(AttemptCostRow {
        cpu_user_ms: row.opt_int("cpu_user_ms")?,
        cpu_system_ms: row.opt_int("cpu_system_ms")?,
        peak_memory_bytes: row.opt_int("peak_memory_bytes")?,
        read_bytes: row.opt_int("read_bytes")?,
        written_bytes: row.opt_int("written_bytes")?,
    })
}

/// Conditions and what they bind.
#[derive(Default)]
struct Query<'q> {
    clauses: Vec<String>,
    args: Vec<Value<'q>>,
}

impl<'q> Query<'q> {
    fn bind(&mut self, value: Value<'q>) -> String {
        self.args.push(value);
        format!("${}", self.args.len())
    }

    fn among(&mut self, column: &str, words: &'q [String]) {
        if !words.is_empty() {
            let marks: Vec<String> = words.iter().map(|word| self.bind(word.as_str().into())).collect();
            self.clauses.push(format!("{column} IN ({})", marks.join(", ")));
        }
    }

    fn compare(&mut self, how: &str, with: Option<i64>) {
        if let Some(with) = with {
            let mark = self.bind(with.into());
            self.clauses.push(format!("{how} {mark}"));
        }
    }
}

/// A text in which `%` and `_` stand for themselves.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}
