//! Writing of runs: new ones, admission, and the state machine's transitions.

use crate::lineage::insert_step_assets;
use crate::runs::{
    FiringRow, InsertedRun, PipelineRunRow, RunOrigin, RunTransition, StepCacheRow, StepChange, StepRunRow,
    TransitionResult,
};
use crate::schedules::OPEN_RUNS;
use crate::windows::{note_window_run, take_window};
use crate::{Metastore, MetastoreError, Row, Session, Value};

impl Metastore {
    /// Raises the epoch and returns it: transitions of engines that began before are refused from now on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin_engine_epoch(&self) -> Result<i64, MetastoreError> {
        self.write(|session| {
            Box::pin(async move {
                session.execute("UPDATE engine_epoch SET epoch = epoch + 1 WHERE id = 1", &[]).await?;
                current_epoch(session).await
            })
        })
        .await
    }

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
                if let Some(earlier) = earlier_run(session, &run, origin.as_ref()).await? {
                    return Ok(earlier);
                }
                let number = insert_run(session, &run).await?;
                for step in &steps {
                    insert_step(session, &run.id, step).await?;
                }
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
                let admitted = session
                    .execute(
                        "UPDATE pipeline_run SET state = 'running', started_at = COALESCE(started_at, $2) \
                         WHERE id = $1 AND state = 'queued' AND (concurrency_key IS NULL OR concurrency_limit > \
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

    /// Stores one transition: fenced by epoch and attempt, limits counted in the same transaction.
    ///
    /// # Errors
    /// If the database fails, or if an `EndAttempt` names an attempt that is not the running one.
    pub async fn store_transition(
        &self,
        transition: RunTransition,
    ) -> Result<TransitionResult, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if current_epoch(session).await? != transition.epoch {
                    return Ok(TransitionResult::StaleEpoch);
                }
                let mut waiting = Vec::new();
                for change in &transition.steps {
                    apply_change(session, &transition, change, &mut waiting).await?;
                }
                if let Some((state, error)) = &transition.run {
                    session
                        .execute(
                            "UPDATE pipeline_run SET state = $2, error = $3, ended_at = $4 WHERE id = $1",
                            &[
                                transition.run_id.as_str().into(),
                                state.as_str().into(),
                                error.as_deref().into(),
                                transition.now.into(),
                            ],
                        )
                        .await?;
                }
                Ok(TransitionResult::Stored { waiting })
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

async fn current_epoch(session: &mut Session) -> Result<i64, MetastoreError> {
    let row = session.fetch_optional("SELECT epoch FROM engine_epoch WHERE id = 1", &[]).await?;
    row.map_or(Ok(0), |row| row.int("epoch"))
}

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
             concurrency_key, concurrency_limit, cancel_requested, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)",
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
            ],
        )
        .await?;
    Ok(number)
}

pub(crate) async fn insert_step(
    session: &mut Session,
    run_id: &str,
    step: &StepRunRow,
) -> Result<(), MetastoreError> {
    session
        .execute(
            "INSERT INTO step_run (run_id, step, position, kind, state, reason, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                run_id.into(),
                step.step.as_str().into(),
                step.position.into(),
                step.kind.as_str().into(),
                step.state.as_str().into(),
                step.reason.as_deref().into(),
                step.outcome.as_deref().into(),
            ],
        )
        .await?;
    Ok(())
}

async fn apply_change(
    session: &mut Session,
    transition: &RunTransition,
    change: &StepChange,
    waiting: &mut Vec<String>,
) -> Result<(), MetastoreError> {
    match change {
        StepChange::Begin { step, ready_at, pools, waits, .. } => {
            if !*waits && !has_room(session, transition.max_running, pools).await? {
                waiting.push(step.clone());
                session
                    .execute(
                        "UPDATE step_run SET ready_at = COALESCE(ready_at, $3) WHERE run_id = $1 AND step = $2",
                        &[transition.run_id.as_str().into(), step.as_str().into(), (*ready_at).into()],
                    )
                    .await?;
                return Ok(());
            }
            begin_attempt(session, transition, change).await
        }
        StepChange::EndAttempt { .. } => end_attempt(session, transition, change).await,
        StepChange::End { step, state, reason, error } => {
            session
                .execute(
                    "UPDATE step_run SET state = $3, reason = $4, error = $5, retry_at = NULL, ended_at = $6 \
                     WHERE run_id = $1 AND step = $2 AND state IN ('pending', 'retrying')",
                    &[
                        transition.run_id.as_str().into(),
                        step.as_str().into(),
                        state.as_str().into(),
                        reason.as_deref().into(),
                        error.as_deref().into(),
                        transition.now.into(),
                    ],
                )
                .await?;
            Ok(())
        }
    }
}

async fn has_room(
    session: &mut Session,
    max_running: i64,
    pools: &[(String, i64, i64)],
) -> Result<bool, MetastoreError> {
    let running =
        session.fetch_optional("SELECT count(*) AS n FROM step_attempt WHERE state = 'running'", &[]).await?;
    if running.map_or(Ok(0), |row| row.int("n"))? >= max_running {
        return Ok(false);
    }
    for (pool, slots, size) in pools {
        let held = session
            .fetch_optional(
                "SELECT CAST(COALESCE(SUM(slot.slots), 0) AS BIGINT) AS n FROM attempt_slot AS slot \
                 JOIN step_attempt AS attempt ON attempt.run_id = slot.run_id AND attempt.step = slot.step \
                 AND attempt.number = slot.number WHERE slot.pool = $1 AND attempt.state = 'running'",
                &[pool.as_str().into()],
            )
            .await?;
        if held.map_or(Ok(0), |row| row.int("n"))? + slots > *size {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn begin_attempt(
    session: &mut Session,
    transition: &RunTransition,
    change: &StepChange,
) -> Result<(), MetastoreError> {
    let StepChange::Begin { step, attempt, ready_at, waits, pools } = change else { return Ok(()) };
    let state = if *waits { "waiting" } else { "running" };
    let (step, attempt) = (step.as_str(), *attempt);
    let run_id = transition.run_id.as_str();
    let now = transition.now;
    session
        .execute(
            "UPDATE step_run SET state = $6, reason = NULL, attempt = $3, retry_at = NULL, ready_at = COALESCE(ready_at, $5), \
             started_at = COALESCE(started_at, $4) WHERE run_id = $1 AND step = $2",
            &[run_id.into(), step.into(), attempt.into(), now.into(), (*ready_at).into(), state.into()],
        )
        .await?;
    session
        .execute(
            "INSERT INTO step_attempt (run_id, step, number, epoch, state, started_at) VALUES ($1, $2, $3, $4, $6, $5)",
            &[run_id.into(), step.into(), attempt.into(), transition.epoch.into(), now.into(), state.into()],
        )
        .await?;
    for (pool, slots, _) in pools {
        session
            .execute(
                "INSERT INTO attempt_slot (run_id, step, number, pool, slots) VALUES ($1, $2, $3, $4, $5)",
                &[run_id.into(), step.into(), attempt.into(), pool.as_str().into(), (*slots).into()],
            )
            .await?;
    }
    Ok(())
}

async fn end_attempt(
    session: &mut Session,
    transition: &RunTransition,
    change: &StepChange,
) -> Result<(), MetastoreError> {
    let StepChange::EndAttempt {
        step,
        attempt,
        attempt_state,
        step_state,
        retry_at,
        lost,
        outcome,
        error,
        reuse,
        exit,
        cache,
        assets,
    } = change
    else {
        return Ok(());
    };
    let run_id = transition.run_id.as_str();
    let ended = session
        .execute(
            "UPDATE step_attempt SET state = $4, exit = $5, error = $6, ended_at = $7 \
             WHERE run_id = $1 AND step = $2 AND number = $3 AND state IN ('running', 'waiting')",
            &[
                run_id.into(),
                step.as_str().into(),
                (*attempt).into(),
                attempt_state.as_str().into(),
                exit.as_deref().into(),
                error.as_deref().into(),
                transition.now.into(),
            ],
        )
        .await?;
    if ended != 1 {
        return Err(MetastoreError::stale(format!(
            "attempt {attempt} of `{step}` in run {run_id} is not the running one"
        )));
    }
    session
        .execute(
            "UPDATE step_run SET state = $3, retry_at = $4, lost = lost + $5, outcome = $6, error = $7, reuse = $8, \
             ended_at = $9, reason = NULL WHERE run_id = $1 AND step = $2",
            &[
                run_id.into(),
                step.as_str().into(),
                step_state.as_str().into(),
                (*retry_at).into(),
                i64::from(*lost).into(),
                outcome.as_deref().into(),
                error.as_deref().into(),
                reuse.as_deref().into(),
                Value::from(if step_state == "retrying" { None } else { Some(transition.now) }),
            ],
        )
        .await?;
    if let Some(cache) = cache {
        keep_for_reuse(session, cache).await?;
    }
    insert_step_assets(session, (run_id, step), assets).await
}

async fn keep_for_reuse(session: &mut Session, cache: &StepCacheRow) -> Result<(), MetastoreError> {
    session
        .execute(
            "INSERT INTO step_cache (cache_key, pipeline, step, kind, components, outcome, run_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (cache_key) DO UPDATE SET pipeline = excluded.pipeline, \
             step = excluded.step, outcome = excluded.outcome, run_id = excluded.run_id, created_at = excluded.created_at",
            &[
                cache.cache_key.as_str().into(),
                cache.pipeline.as_str().into(),
                cache.step.as_str().into(),
                cache.kind.as_str().into(),
                cache.components.as_str().into(),
                cache.outcome.as_str().into(),
                cache.run_id.as_str().into(),
                cache.created_at.into(),
            ],
        )
        .await?;
    Ok(())
}
