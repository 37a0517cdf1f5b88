//! Writing of runs: new ones, admission, what waits. Transitions are in `transitions`.

use crate::run_notices::note_deadline;
use crate::runs::{FiringRow, InsertedRun, PipelineRunRow, RunOrigin, StepRunRow};
use crate::schedules::OPEN_RUNS;
use crate::transitions::{ROWS, rows_of};
use crate::windows::{note_window_run, take_window};
use crate::{Metastore, MetastoreError, Row, Session, Value};

impl Metastore {
    /// Stores a new run with its steps, unless its idempotency key or what it stands for has been seen.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert_pipeline_run(
        &self,
        run: PipelineRunRow,
        steps: Vec<StepRunRow>,
        origin: Option<RunOrigin>,
    ) -> Result<InsertedRun, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                // Two servers that fire the same trigger at once: the second finds the first one's run.
                session.lock(&run.pipeline).await?;
                if let Some(earlier) = earlier_run(session, &run, origin.as_ref()).await? {
                    return Ok(earlier);
                }
                let number = insert_run(session, &run).await?;
                insert_steps(session, &run.id, &steps).await?;
                match &origin {
                    Some(RunOrigin::Firing(firing)) => {
                        insert_firing(session, &run.pipeline, firing, &run.id, None).await?;
                    }
                    Some(RunOrigin::Window(window)) => {
                        note_window_run(session, &run.pipeline, &run.id, window).await?;
                    }
                    None => {}
                }
                Ok(InsertedRun::New { number })
            })
        })
        .await
    }

    /// Moves a queued run to `running` if its concurrency key has room. Oldest first: a younger run waits for an older one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn admit_pipeline_run(&self, id: String, now: i64) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                session.lock(LIMITS).await?;
                let admitted = session
                    .execute(
                        "UPDATE pipeline_run SET state = 'running', started_at = COALESCE(started_at, $2) \
                         WHERE id = $1 AND state = 'queued' AND paused = 0 AND (concurrency_key IS NULL OR concurrency_limit > \
                           (SELECT count(*) FROM pipeline_run AS other WHERE other.concurrency_key = pipeline_run.concurrency_key \
                            AND other.state = 'running'))",
                        &[id.as_str().into(), now.into()],
                    )
                    .await?;
                Ok(admitted == 1)
            })
        })
        .await
    }

    /// Stores on what a waiting attempt waits. One that is over meanwhile is left alone.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_waiting_reason(
        &self,
        run_id: String,
        step: String,
        attempt: i64,
        reason: String,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                session
                    .execute(
                        "UPDATE step_run SET reason = $4 WHERE run_id = $1 AND step = $2 AND attempt = $3 AND state = 'waiting'",
                        &[
                            run_id.as_str().into(),
                            step.as_str().into(),
                            attempt.into(),
                            reason.as_str().into(),
                        ],
                    )
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Stores how to find an attempt's command, or what it waits for, again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_attempt_handle(
        &self,
        run_id: String,
        step: String,
        attempt: i64,
        handle: String,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                session
                    .execute(
                        "UPDATE step_attempt SET handle = $4 WHERE run_id = $1 AND step = $2 AND number = $3",
                        &[
                            run_id.as_str().into(),
                            step.as_str().into(),
                            attempt.into(),
                            handle.as_str().into(),
                        ],
                    )
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

/// The lock under which slots and concurrency keys are counted.
pub(crate) const LIMITS: &str = "limits";

/// What keeps a run from being made: an earlier one of the same request or origin, or one that still goes on.
async fn earlier_run(
    session: &mut Session,
    run: &PipelineRunRow,
    origin: Option<&RunOrigin>,
) -> Result<Option<InsertedRun>, MetastoreError> {
    let mut found: Option<Row> = None;
    if let Some(key) = &run.idempotency_key {
        found = session
            .fetch_optional("SELECT id FROM pipeline_run WHERE idempotency_key = $1", &[key.as_str().into()])
            .await?;
    }
    match (&found, origin) {
        (None, Some(RunOrigin::Firing(firing))) => {
            let key = [run.pipeline.as_str().into(), firing.trigger.as_str().into(), firing.instant.into()];
            let sql = "SELECT run_id AS id FROM trigger_firing WHERE pipeline = $1 AND trigger_name = $2 AND instant = $3";
            found = session.fetch_optional(sql, &key).await?;
            if found.is_none() && firing.skip_if_running {
                let key = [run.pipeline.as_str().into(), firing.trigger.as_str().into()];
                if let Some(row) = session.fetch_optional(OPEN_RUNS, &key).await? {
                    let running = row.text("id")?;
                    let note = format!("the run {running} was still going on");
                    insert_firing(session, &run.pipeline, firing, "", Some(&note)).await?;
                    return Ok(Some(InsertedRun::Skipped { running }));
                }
            }
        }
        (None, Some(RunOrigin::Window(window))) => {
            let earlier = take_window(session, &run.pipeline, &run.id, window, run.created_at).await?;
            return Ok(earlier.map(|id| InsertedRun::Existing { id }));
        }
        _ => {}
    }
    found.map(|row| Ok(InsertedRun::Existing { id: row.text("id")? })).transpose()
}

async fn insert_firing(
    session: &mut Session,
    pipeline: &str,
    firing: &FiringRow,
    run_id: &str,
    note: Option<&str>,
) -> Result<(), MetastoreError> {
    let args =
        [pipeline.into(), firing.trigger.as_str().into(), firing.instant.into(), run_id.into(), note.into()];
    session
        .execute(
            "INSERT INTO trigger_firing (pipeline, trigger_name, instant, run_id, note) VALUES ($1, $2, $3, $4, $5)",
            &args,
        )
        .await?;
    Ok(())
}

pub(crate) async fn insert_run(session: &mut Session, run: &PipelineRunRow) -> Result<i64, MetastoreError> {
    let newest = session
        .fetch_optional(
            "SELECT COALESCE(MAX(number), 0) AS newest FROM pipeline_run WHERE pipeline = $1",
            &[run.pipeline.as_str().into()],
        )
        .await?;
    let number = newest.map_or(Ok(0), |row| row.int("newest"))? + 1;
    session
        .execute(
            "INSERT INTO pipeline_run (id, number, pipeline, definition, inputs, options, cause, state, idempotency_key, \
             concurrency_key, concurrency_limit, cancel_requested, created_at, parent_run, parent_step, depth, priority, \
             deadline_at, error, ended_at, owner) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
            &[
                run.id.as_str().into(),
                number.into(),
                run.pipeline.as_str().into(),
                run.definition.as_str().into(),
                run.inputs.as_str().into(),
                run.options.as_str().into(),
                run.cause.as_str().into(),
                run.state.as_str().into(),
                run.idempotency_key.as_deref().into(),
                run.concurrency_key.as_deref().into(),
                run.concurrency_limit.into(),
                run.created_at.into(),
                run.parent_run.as_deref().into(),
                run.parent_step.as_deref().into(),
                run.depth.into(),
                run.priority.into(),
                run.deadline_at.into(),
                run.error.as_deref().into(),
                run.ended_at.into(),
                run.owner.into(),
            ],
        )
        .await?;
    note_deadline(session, run).await?;
    Ok(number)
}

pub(crate) async fn insert_steps(
    session: &mut Session,
    run_id: &str,
    steps: &[StepRunRow],
) -> Result<(), MetastoreError> {
    const COLUMNS: usize = 15;
    for chunk in steps.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO step_run (run_id, step, position, kind, state, reason, outcome, reuse, ready_at, started_at, ended_at, \
             item_of, item, label, items, items_total) VALUES {}",
            rows_of(chunk.len(), COLUMNS, Some(1), 1)
        );
        let mut args: Vec<Value<'_>> = vec![run_id.into()];
        for step in chunk {
            args.extend([
                step.step.as_str().into(),
                step.position.into(),
                step.kind.as_str().into(),
                step.state.as_str().into(),
                step.reason.as_deref().into(),
                step.outcome.as_deref().into(),
                step.reuse.as_deref().into(),
                step.ready_at.into(),
                step.started_at.into(),
                step.ended_at.into(),
                step.item_of.as_deref().into(),
                step.item.into(),
                step.label.as_deref().into(),
                step.items.as_deref().into(),
                step.items_total.into(),
            ]);
        }
        session.execute(&sql, &args).await?;
    }
    Ok(())
}
