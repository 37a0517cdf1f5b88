//! Items of steps, sub-runs, and what is asked of a run from outside: pausing it, taking over what it did.

use std::collections::BTreeMap;

use crate::runs::{StepAttemptRow, StepRunRow};
use crate::runs_read::{ATTEMPT_COLUMNS, STEP_COLUMNS, attempt_row, step_row};
use crate::{Metastore, MetastoreError, Value};

/// Which items a listing wants.
#[derive(Debug, Clone, Default)]
pub struct ItemFilter {
    /// Only in these states; all that have begun if empty.
    pub states: Vec<String>,
    /// Only items after this one.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

impl Metastore {
    /// One step of a run, or one item of a step that has begun.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_step_run(
        &self,
        run_id: String,
        step: String,
    ) -> Result<Option<StepRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!("SELECT {STEP_COLUMNS} FROM step_run WHERE run_id = $1 AND step = $2");
                let found =
                    session.fetch_optional(&sql, &[run_id.as_str().into(), step.as_str().into()]).await?;
                found.as_ref().map(step_row).transpose()
            })
        })
        .await
    }

    /// Items of a step that have begun, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_step_items(
        &self,
        run_id: String,
        step: String,
        filter: ItemFilter,
    ) -> Result<Vec<StepRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut args: Vec<Value<'_>> = vec![
                    run_id.as_str().into(),
                    step.as_str().into(),
                    filter.after.unwrap_or(-1).into(),
                    filter.limit.into(),
                ];
                let marks: Vec<String> =
                    (0..filter.states.len()).map(|index| format!("${}", index + 5)).collect();
                let states = match marks.is_empty() {
                    true => String::new(),
                    false => format!("AND state IN ({})", marks.join(", ")),
                };
                args.extend(filter.states.iter().map(Value::from));
                let sql = format!(
                    "SELECT {STEP_COLUMNS} FROM step_run WHERE run_id = $1 AND item_of = $2 AND item > $3 {states} \
                     ORDER BY item LIMIT $4"
                );
                session.fetch_all(&sql, &args).await?.iter().map(step_row).collect()
            })
        })
        .await
    }

    /// How many items of each step of a run are in each state, of those that have begun: step, then state.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_step_items(
        &self,
        run_id: String,
    ) -> Result<BTreeMap<String, BTreeMap<String, i64>>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT item_of, state, count(*) AS n FROM step_run WHERE run_id = $1 AND item_of IS NOT NULL \
                           GROUP BY item_of, state";
                let mut counts: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
                for row in session.fetch_all(sql, &[run_id.as_str().into()]).await? {
                    counts.entry(row.text("item_of")?).or_default().insert(row.text("state")?, row.int("n")?);
                }
                Ok(counts)
            })
        })
        .await
    }

    /// What a step is done for, a JSON list; `None` until that is known.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_items_document(
        &self,
        run_id: String,
        step: String,
    ) -> Result<Option<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT items FROM step_run WHERE run_id = $1 AND step = $2";
                let found =
                    session.fetch_optional(sql, &[run_id.as_str().into(), step.as_str().into()]).await?;
                found.map_or(Ok(None), |row| row.opt_text("items"))
            })
        })
        .await
    }

    /// Attempts of one step or item, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_attempts_of(
        &self,
        run_id: String,
        step: String,
    ) -> Result<Vec<StepAttemptRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {ATTEMPT_COLUMNS} FROM step_attempt WHERE run_id = $1 AND step = $2 ORDER BY number"
                );
                let args = [run_id.as_str().into(), step.as_str().into()];
                session.fetch_all(&sql, &args).await?.iter().map(attempt_row).collect()
            })
        })
        .await
    }

    /// The newest result of a step of a pipeline, of whichever run: run id and the step's row. `finally` and items are steps like others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_result(
        &self,
        pipeline: String,
        step: String,
    ) -> Result<Option<(String, StepRunRow)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let columns: Vec<String> =
                    STEP_COLUMNS.split(", ").map(|column| format!("step_run.{}", column.trim())).collect();
                let sql = format!(
                    "SELECT step_run.run_id, {} FROM pipeline_run AS run JOIN step_run ON step_run.run_id = run.id \
                     AND step_run.step = $2 WHERE run.pipeline = $1 AND step_run.state IN ('succeeded', 'cached') \
                     ORDER BY run.created_at DESC, run.id DESC LIMIT 1",
                    columns.join(", ")
                );
                let args = [pipeline.as_str().into(), step.as_str().into()];
                match session.fetch_optional(&sql, &args).await? {
                    Some(row) => Ok(Some((row.text("run_id")?, step_row(&row)?))),
                    None => Ok(None),
                }
            })
        })
        .await
    }

    /// Holds a run or lets it go on; `false` if it is over or absent.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_run_paused(&self, id: String, paused: bool) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql =
                    "UPDATE pipeline_run SET paused = $2 WHERE id = $1 AND state IN ('queued', 'running')";
                Ok(session.execute(sql, &[id.as_str().into(), paused.into()]).await? == 1)
            })
        })
        .await
    }

    /// Open runs with a concurrency key, oldest first: id and state word.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_runs_of_key(&self, key: String) -> Result<Vec<(String, String)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, state FROM pipeline_run WHERE concurrency_key = $1 AND state IN ('queued', 'running') \
                           ORDER BY created_at, id";
                let rows = session.fetch_all(sql, &[key.as_str().into()]).await?;
                rows.iter().map(|row| Ok((row.text("id")?, row.text("state")?))).collect()
            })
        })
        .await
    }
}
