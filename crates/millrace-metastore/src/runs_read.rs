//! Reading of runs, steps, attempts and cache entries; and the few writes beside the state machine.

use std::collections::HashSet;

use crate::runs::{PipelineRunRow, StepAttemptRow, StepCacheRow, StepRunRow};
use crate::runs_search::cost_row;
use crate::{Metastore, MetastoreError, Row};

const RUN_COLUMNS: &str = "id, number, pipeline, definition, inputs, options, cause, state, idempotency_key, concurrency_key, \
     concurrency_limit, owner, cancel_requested, error, created_at, started_at, ended_at, parent_run, parent_step, depth, outputs, \
     priority, paused, deadline_at";
/// Columns of [`StepRunRow`].
pub(crate) const STEP_COLUMNS: &str = "step, position, kind, state, attempt, lost, retry_at, ready_at, started_at, ended_at, outcome, \
     error, reuse, reason, item_of, item, label, items_total, waits_for, queued_at";

/// Columns of [`StepAttemptRow`].
pub(crate) const ATTEMPT_COLUMNS: &str = "step, number, epoch, state, handle, exit, error, started_at, ended_at, cpu_user_ms, \
     cpu_system_ms, peak_memory_bytes, read_bytes, written_bytes";

impl Metastore {
    /// One run.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_pipeline_run(&self, id: String) -> Result<Option<PipelineRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!("SELECT {RUN_COLUMNS} FROM pipeline_run WHERE id = $1");
                session.fetch_optional(&sql, &[id.as_str().into()]).await?.as_ref().map(run_row).transpose()
            })
        })
        .await
    }

    /// Those of these ids that are runs.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn known_pipeline_runs(&self, ids: HashSet<String>) -> Result<HashSet<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut known = HashSet::new();
                let ids: Vec<&String> = ids.iter().collect();
                for ids in ids.chunks(500) {
                    let marks: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
                    let sql = format!("SELECT id FROM pipeline_run WHERE id IN ({})", marks.join(", "));
                    let args: Vec<_> = ids.iter().map(|id| (*id).into()).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        known.insert(row.text("id")?);
                    }
                }
                Ok(known)
            })
        })
        .await
    }

    /// Runs that are queued or running, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_pipeline_runs(&self) -> Result<Vec<PipelineRunRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {RUN_COLUMNS} FROM pipeline_run WHERE state IN ('queued', 'running') ORDER BY created_at, id"
                );
                session.fetch_all(&sql, &[]).await?.iter().map(run_row).collect()
            })
        })
        .await
    }

    /// Steps of a run in the file's order, without the items of those that have items.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_step_runs(&self, run_id: String) -> Result<Vec<StepRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {STEP_COLUMNS} FROM step_run WHERE run_id = $1 AND item_of IS NULL ORDER BY position"
                );
                session.fetch_all(&sql, &[run_id.as_str().into()]).await?.iter().map(step_row).collect()
            })
        })
        .await
    }

    /// Attempts of a run's steps, oldest first, without those of items.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_step_attempts(&self, run_id: String) -> Result<Vec<StepAttemptRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {ATTEMPT_COLUMNS} FROM step_attempt WHERE run_id = $1 AND step NOT LIKE '%[%' ORDER BY started_at, step, number"
                );
                session.fetch_all(&sql, &[run_id.as_str().into()]).await?.iter().map(attempt_row).collect()
            })
        })
        .await
    }

    /// State word of an attempt; `None` if it has not begun.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn step_attempt_state(
        &self,
        run_id: String,
        step: String,
        number: i64,
    ) -> Result<Option<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT state FROM step_attempt WHERE run_id = $1 AND step = $2 AND number = $3";
                let args = [run_id.as_str().into(), step.as_str().into(), number.into()];
                session.fetch_optional(sql, &args).await?.map(|row| row.text("state")).transpose()
            })
        })
        .await
    }

    /// Notes that somebody wants the run to end; `false` if it is over or absent.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn request_run_cancel(&self, id: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE pipeline_run SET cancel_requested = 1 WHERE id = $1 AND state IN ('queued', 'running')";
                Ok(session.execute(sql, &[id.as_str().into()]).await? == 1)
            })
        })
        .await
    }

    /// The cache entry of a key; without one, the newest entry of the step, to be compared with. One look instead of two: ten thousand
    /// items look.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn look_up_step_cache(
        &self,
        key: String,
        pipeline: String,
        step: String,
    ) -> Result<Option<StepCacheRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let columns = "cache_key, pipeline, step, kind, components, outcome, run_id, created_at";
                let sql = format!("SELECT {columns} FROM step_cache WHERE cache_key = $1");
                let mut found = session.fetch_optional(&sql, &[key.as_str().into()]).await?;
                if found.is_none() {
                    let sql = format!(
                        "SELECT {columns} FROM step_cache WHERE pipeline = $1 AND step = $2 ORDER BY created_at DESC LIMIT 1"
                    );
                    found = session.fetch_optional(&sql, &[pipeline.as_str().into(), step.as_str().into()]).await?;
                }
                found.as_ref().map(cache_row).transpose()
            })
        })
        .await
    }
}

fn run_row(row: &Row) -> Result<PipelineRunRow, MetastoreError> {
    Ok(PipelineRunRow {
        id: row.text("id")?,
        number: row.int("number")?,
        pipeline: row.text("pipeline")?,
        definition: row.text("definition")?,
        inputs: row.text("inputs")?,
        options: row.text("options")?,
        cause: row.text("cause")?,
        state: row.text("state")?,
        idempotency_key: row.opt_text("idempotency_key")?,
        concurrency_key: row.opt_text("concurrency_key")?,
        concurrency_limit: row.opt_int("concurrency_limit")?,
        owner: row.int("owner")?,
        cancel_requested: row.int("cancel_requested")? != 0,
        error: row.opt_text("error")?,
        created_at: row.int("created_at")?,
        started_at: row.opt_int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
        parent_run: row.opt_text("parent_run")?,
        parent_step: row.opt_text("parent_step")?,
        depth: row.int("depth")?,
        outputs: row.opt_text("outputs")?,
        priority: row.int("priority")?,
        paused: row.int("paused")? != 0,
        deadline_at: row.opt_int("deadline_at")?,
    })
}

pub(crate) fn step_row(row: &Row) -> Result<StepRunRow, MetastoreError> {
    Ok(StepRunRow {
        step: row.text("step")?,
        position: row.int("position")?,
        kind: row.text("kind")?,
        state: row.text("state")?,
        attempt: row.int("attempt")?,
        lost: row.int("lost")?,
        retry_at: row.opt_int("retry_at")?,
        ready_at: row.opt_int("ready_at")?,
        started_at: row.opt_int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
        outcome: row.opt_text("outcome")?,
        error: row.opt_text("error")?,
        reuse: row.opt_text("reuse")?,
        reason: row.opt_text("reason")?,
        item_of: row.opt_text("item_of")?,
        item: row.opt_int("item")?,
        label: row.opt_text("label")?,
        items_total: row.opt_int("items_total")?,
        items: None,
        waits_for: row.opt_text("waits_for")?,
        queued_at: row.opt_int("queued_at")?,
    })
}

pub(crate) fn attempt_row(row: &Row) -> Result<StepAttemptRow, MetastoreError> {
    Ok(StepAttemptRow {
        step: row.text("step")?,
        number: row.int("number")?,
        epoch: row.int("epoch")?,
        state: row.text("state")?,
        handle: row.opt_text("handle")?,
        exit: row.opt_text("exit")?,
        cost: cost_row(row)?,
        error: row.opt_text("error")?,
        started_at: row.int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
    })
}

fn cache_row(row: &Row) -> Result<StepCacheRow, MetastoreError> {
    Ok(StepCacheRow {
        cache_key: row.text("cache_key")?,
        pipeline: row.text("pipeline")?,
        step: row.text("step")?,
        kind: row.text("kind")?,
        components: row.text("components")?,
        outcome: row.text("outcome")?,
        run_id: row.text("run_id")?,
        created_at: row.int("created_at")?,
    })
}
