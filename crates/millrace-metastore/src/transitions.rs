//! Transitions of a run's state machine: fenced by epoch and attempt, limits counted in the same transaction.
//!
//! However many items change at once, they are written by a few statements: a hundred rows are one statement, not a hundred.

use std::collections::HashMap;

use crate::lineage::insert_step_assets;
use crate::lineage_out::note_change;
use crate::queue::Room;
use crate::run_notices::note_end;
use crate::runs::{ItemRow, PoolClaim, RunTransition, StepCacheRow, StepChange, TransitionResult};
use crate::runs_write::LIMITS;
use crate::{Metastore, MetastoreError, Session, Value};

/// Rows that one statement writes; far below SQLite's 32,766 values.
pub(crate) const ROWS: usize = 200;

/// `($1, $2, $3), ($1, $4, $5), …`: so many rows of so many values each after the first `taken` ones, each row begun by the value `first`.
pub(crate) fn rows_of(rows: usize, columns: usize, first: Option<usize>, taken: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        if let Some(first) = first {
            text.push_str(&format!("${first}, "));
        }
        for column in 0..columns {
            let separator = if column == 0 { "" } else { ", " };
            text.push_str(&format!("{separator}${}", taken + row * columns + column + 1));
        }
        text.push(')');
    }
    text
}

impl Metastore {
    /// Stores one transition. Ends are stored before begins, so that what ends makes room for what begins.
    ///
    /// # Errors
    /// If the database fails, or if an `EndAttempt` names an attempt that is not the running one.
    pub async fn store_transition(
        &self,
        transition: RunTransition,
    ) -> Result<TransitionResult, MetastoreError> {
        let told = self.lineage_receivers();
        self.write(move |session| {
            Box::pin(async move {
                if !holds_run(session, &transition).await? {
                    return Ok(TransitionResult::StaleEpoch);
                }
                let begins = |change: &StepChange| matches!(change, StepChange::Begin { waits: false, .. });
                if transition.steps.iter().any(begins) {
                    session.lock(LIMITS).await?;
                }
                end_attempts(session, &transition).await?;
                // A step over an empty list gets its items and ends in one transition.
                expand_steps(session, &transition).await?;
                end_steps(session, &transition).await?;
                close_items(session, &transition).await?;
                let (waiting, again_at) = begin_attempts(session, &transition).await?;
                end_run(session, &transition).await?;
                note_end(session, &transition).await?;
                note_change(session, &told, &transition.run_id, transition.now).await?;
                Ok(TransitionResult::Stored { waiting, again_at })
            })
        })
        .await
    }
}

/// Whether the run is that server's, which stays so until the transaction is over.
async fn holds_run(session: &mut Session, transition: &RunTransition) -> Result<bool, MetastoreError> {
    let wait = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT owner FROM pipeline_run WHERE id = $1{wait}");
    let found = session.fetch_optional(&sql, &[transition.run_id.as_str().into()]).await?;
    Ok(found.map(|row| row.int("owner")).transpose()? == Some(transition.epoch))
}

async fn end_run(session: &mut Session, transition: &RunTransition) -> Result<(), MetastoreError> {
    let Some(end) = &transition.run else { return Ok(()) };
    session
        .execute(
            "UPDATE pipeline_run SET state = $2, error = COALESCE($3, error), ended_at = $4, outputs = $5 WHERE id = $1",
            &[
                transition.run_id.as_str().into(),
                end.state.as_str().into(),
                end.error.as_deref().into(),
                transition.now.into(),
                end.outputs.as_deref().into(),
            ],
        )
        .await?;
    Ok(())
}

async fn end_attempts(session: &mut Session, transition: &RunTransition) -> Result<(), MetastoreError> {
    let run_id = transition.run_id.as_str();
    let ends: Vec<&StepChange> =
        transition.steps.iter().filter(|change| matches!(change, StepChange::EndAttempt { .. })).collect();
    let mut caches: HashMap<&str, &StepCacheRow> = HashMap::new();
    for chunk in ends.chunks(ROWS) {
        let mut attempts: Vec<Value<'_>> = vec![run_id.into(), transition.now.into()];
        let mut steps: Vec<Value<'_>> = vec![run_id.into()];
        for change in chunk {
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
                cost,
                cache,
                ..
            } = change
            else {
                continue;
            };
            attempts.extend([
                step.as_str().into(),
                (*attempt).into(),
                attempt_state.as_str().into(),
                exit.as_deref().into(),
                error.as_deref().into(),
                cost.cpu_user_ms.into(),
                cost.cpu_system_ms.into(),
                cost.peak_memory_bytes.into(),
                cost.read_bytes.into(),
                cost.written_bytes.into(),
            ]);
            let ended_at = if step_state == "retrying" { None } else { Some(transition.now) };
            steps.extend([
                step.as_str().into(),
                step_state.as_str().into(),
                (*retry_at).into(),
                i64::from(*lost).into(),
                outcome.as_deref().into(),
                error.as_deref().into(),
                reuse.as_deref().into(),
                Value::from(ended_at),
            ]);
            // Items that are alike have one key.
            caches.extend(cache.as_ref().map(|cache| (cache.cache_key.as_str(), cache)));
        }
        let sql = format!(
            "UPDATE step_attempt SET state = v.column3, exit = v.column4, error = v.column5, ended_at = $2, \
             cpu_user_ms = v.column6, cpu_system_ms = v.column7, peak_memory_bytes = v.column8, \
             read_bytes = v.column9, written_bytes = v.column10 \
             FROM (VALUES {}) AS v WHERE step_attempt.run_id = $1 AND step_attempt.step = v.column1 \
             AND step_attempt.number = v.column2 AND step_attempt.state IN ('running', 'waiting')",
            rows_of(chunk.len(), 10, None, 2)
        );
        if session.execute(&sql, &attempts).await? != chunk.len() as u64 {
            return Err(stale(transition, chunk));
        }
        let sql = format!(
            "UPDATE step_run SET state = v.column2, retry_at = v.column3, lost = step_run.lost + v.column4, outcome = v.column5, \
             error = v.column6, reuse = v.column7, ended_at = v.column8, reason = NULL \
             FROM (VALUES {}) AS v WHERE step_run.run_id = $1 AND step_run.step = v.column1",
            rows_of(chunk.len(), 8, None, 1)
        );
        session.execute(&sql, &steps).await?;
    }
    keep_for_reuse(session, &caches.into_values().collect::<Vec<_>>()).await?;
    keep_assets(session, run_id, &ends).await
}

async fn keep_assets(
    session: &mut Session,
    run_id: &str,
    ends: &[&StepChange],
) -> Result<(), MetastoreError> {
    for change in ends {
        if let StepChange::EndAttempt { step, assets, .. } = change
            && !assets.is_empty()
        {
            insert_step_assets(session, (run_id, step), assets).await?;
        }
    }
    Ok(())
}

fn stale(transition: &RunTransition, ends: &[&StepChange]) -> MetastoreError {
    let named = ends.iter().filter_map(|change| match change {
        StepChange::EndAttempt { step, attempt, .. } => Some(format!("attempt {attempt} of `{step}`")),
        _ => None,
    });
    let named: Vec<String> = named.take(3).collect();
    let others = ends.len().saturating_sub(named.len());
    let others = if others == 0 { String::new() } else { format!(" or one of {others} others") };
    MetastoreError::stale(format!(
        "{}{others} in run {} is not the running one",
        named.join(" or "),
        transition.run_id
    ))
}

async fn keep_for_reuse(session: &mut Session, caches: &[&StepCacheRow]) -> Result<(), MetastoreError> {
    for chunk in caches.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO step_cache (cache_key, pipeline, step, kind, components, outcome, run_id, created_at) \
             VALUES {} ON CONFLICT (cache_key) DO UPDATE SET pipeline = excluded.pipeline, \
             step = excluded.step, outcome = excluded.outcome, run_id = excluded.run_id, created_at = excluded.created_at",
            rows_of(chunk.len(), 8, None, 0)
        );
        let mut args: Vec<Value<'_>> = Vec::with_capacity(chunk.len() * 8);
        for cache in chunk {
            args.extend([
                cache.cache_key.as_str().into(),
                cache.pipeline.as_str().into(),
                cache.step.as_str().into(),
                cache.kind.as_str().into(),
                cache.components.as_str().into(),
                cache.outcome.as_str().into(),
                cache.run_id.as_str().into(),
                cache.created_at.into(),
            ]);
        }
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// Ends steps without an attempt, and steps whose items are all over.
async fn end_steps(session: &mut Session, transition: &RunTransition) -> Result<(), MetastoreError> {
    let ends: Vec<&StepChange> =
        transition.steps.iter().filter(|change| matches!(change, StepChange::End { .. })).collect();
    for chunk in ends.chunks(ROWS) {
        let mut args: Vec<Value<'_>> = vec![transition.run_id.as_str().into(), transition.now.into()];
        for change in chunk {
            let StepChange::End { step, state, reason, error } = change else { continue };
            args.extend([
                step.as_str().into(),
                state.as_str().into(),
                reason.as_deref().into(),
                error.as_deref().into(),
            ]);
        }
        let sql = format!(
            "UPDATE step_run SET state = v.column2, reason = v.column3, error = v.column4, retry_at = NULL, ended_at = $2, \
             waits_for = NULL, queued_at = NULL FROM (VALUES {}) AS v WHERE step_run.run_id = $1 AND step_run.step = v.column1 \
             AND (step_run.state IN ('pending', 'retrying') OR step_run.items_total IS NOT NULL)",
            rows_of(chunk.len(), 4, None, 2)
        );
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// A step whose items do not begin any more waits for nothing.
async fn close_items(session: &mut Session, transition: &RunTransition) -> Result<(), MetastoreError> {
    for change in &transition.steps {
        let StepChange::CloseItems { step } = change else { continue };
        let sql = "UPDATE step_run SET waits_for = NULL, queued_at = NULL WHERE run_id = $1 AND step = $2";
        session.execute(sql, &[transition.run_id.as_str().into(), step.as_str().into()]).await?;
    }
    Ok(())
}

async fn expand_steps(session: &mut Session, transition: &RunTransition) -> Result<(), MetastoreError> {
    for change in &transition.steps {
        let StepChange::Expand { step, items, total, ready_at } = change else { continue };
        session
            .execute(
                "UPDATE step_run SET state = 'running', items = $3, items_total = $4, ready_at = COALESCE(ready_at, $5), \
                 started_at = COALESCE(started_at, $6) WHERE run_id = $1 AND step = $2 AND state = 'pending'",
                &[
                    transition.run_id.as_str().into(),
                    step.as_str().into(),
                    items.as_str().into(),
                    (*total).into(),
                    (*ready_at).into(),
                    transition.now.into(),
                ],
            )
            .await?;
    }
    Ok(())
}

/// What a `Begin` says.
struct Begin<'a> {
    step: &'a str,
    attempt: i64,
    ready_at: i64,
    state: &'static str,
    pools: &'a [PoolClaim],
    item: Option<&'a ItemRow>,
}

/// Begins what finds room. Answers what must wait, and when a pool's rate lets the next one begin.
async fn begin_attempts(
    session: &mut Session,
    transition: &RunTransition,
) -> Result<(Vec<String>, Option<i64>), MetastoreError> {
    let begins: Vec<(Begin<'_>, bool)> = transition
        .steps
        .iter()
        .filter_map(|change| match change {
            StepChange::Begin { step, attempt, ready_at, waits, pools, item } => {
                let state = if *waits { "waiting" } else { "running" };
                let (attempt, ready_at, item) = (*attempt, *ready_at, item.as_ref());
                Some((Begin { step, attempt, ready_at, state, pools, item }, *waits))
            }
            _ => None,
        })
        .collect();
    if begins.is_empty() {
        return Ok((Vec::new(), None));
    }
    let limited = begins.iter().any(|(_, waits)| !waits);
    let mut room = if limited { Some(Room::count(session, transition).await?) } else { None };
    let (mut begun, mut waiting) = (Vec::new(), Vec::new());
    for (begin, waits) in begins {
        let queued_as = begin.item.map_or(begin.step, |item| item.of.as_str());
        let refused = match &mut room {
            Some(room) if !waits => room.take(session, queued_as, begin.pools).await?,
            _ => None,
        };
        match refused {
            None => begun.push(begin),
            Some(why) => waiting.push((begin, queued_as, why)),
        }
    }
    let (items, steps): (Vec<Begin<'_>>, Vec<Begin<'_>>) =
        begun.into_iter().partition(|begin| begin.item.is_some());
    begin_steps(session, transition, &steps).await?;
    begin_items(session, transition, &items).await?;
    let begun: Vec<&Begin<'_>> = steps.iter().chain(&items).collect();
    insert_attempts(session, transition, &begun).await?;
    let mut told: Vec<&str> = Vec::new();
    for (begin, queued_as, why) in &waiting {
        // One place in the queue for all items of a step.
        if told.contains(queued_as) {
            continue;
        }
        told.push(queued_as);
        session
            .execute(
                "UPDATE step_run SET ready_at = COALESCE(ready_at, $3), waits_for = $4, queued_at = COALESCE(queued_at, $5), \
                 asked_at = $5 WHERE run_id = $1 AND step = $2",
                &[
                    transition.run_id.as_str().into(),
                    (*queued_as).into(),
                    begin.ready_at.into(),
                    why.as_str().into(),
                    transition.now.into(),
                ],
            )
            .await?;
    }
    let again_at = room.and_then(|room| room.again_at());
    Ok((waiting.iter().map(|(begin, ..)| begin.step.to_owned()).collect(), again_at))
}

async fn begin_steps(
    session: &mut Session,
    transition: &RunTransition,
    begins: &[Begin<'_>],
) -> Result<(), MetastoreError> {
    for chunk in begins.chunks(ROWS) {
        let mut args: Vec<Value<'_>> = vec![transition.run_id.as_str().into(), transition.now.into()];
        for begin in chunk {
            args.extend([begin.step.into(), begin.state.into(), begin.attempt.into(), begin.ready_at.into()]);
        }
        let sql = format!(
            "UPDATE step_run SET state = v.column2, reason = NULL, attempt = v.column3, retry_at = NULL, \
             ready_at = COALESCE(step_run.ready_at, v.column4), started_at = COALESCE(step_run.started_at, $2), \
             waits_for = NULL, queued_at = NULL FROM (VALUES {}) AS v \
             WHERE step_run.run_id = $1 AND step_run.step = v.column1",
            rows_of(chunk.len(), 4, None, 2)
        );
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

async fn begin_items(
    session: &mut Session,
    transition: &RunTransition,
    begins: &[Begin<'_>],
) -> Result<(), MetastoreError> {
    let mut queued: Vec<&str> = Vec::new();
    for chunk in begins.chunks(ROWS) {
        let mut args: Vec<Value<'_>> = vec![transition.run_id.as_str().into()];
        for begin in chunk {
            let Some(item) = begin.item else { continue };
            if !queued.contains(&item.of.as_str()) {
                queued.push(&item.of);
            }
            args.extend([
                begin.step.into(),
                item.position.into(),
                item.kind.as_str().into(),
                begin.state.into(),
                begin.attempt.into(),
                begin.ready_at.into(),
                transition.now.into(),
                item.of.as_str().into(),
                item.number.into(),
                item.label.as_str().into(),
            ]);
        }
        let sql = format!(
            "INSERT INTO step_run (run_id, step, position, kind, state, attempt, ready_at, started_at, item_of, item, label) \
             VALUES {} ON CONFLICT (run_id, step) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, \
             retry_at = NULL, reason = NULL, ended_at = NULL, started_at = COALESCE(step_run.started_at, excluded.started_at)",
            rows_of(chunk.len(), 10, Some(1), 1)
        );
        session.execute(&sql, &args).await?;
    }
    for step in queued {
        // The next item takes its place at the end of the queue.
        let sql = "UPDATE step_run SET waits_for = NULL, queued_at = NULL \
                   WHERE run_id = $1 AND step = $2 AND waits_for IS NOT NULL";
        session.execute(sql, &[transition.run_id.as_str().into(), step.into()]).await?;
    }
    Ok(())
}

async fn insert_attempts(
    session: &mut Session,
    transition: &RunTransition,
    begins: &[&Begin<'_>],
) -> Result<(), MetastoreError> {
    let run_id = transition.run_id.as_str();
    for chunk in begins.chunks(ROWS) {
        let mut args: Vec<Value<'_>> = vec![run_id.into(), transition.epoch.into(), transition.now.into()];
        for begin in chunk {
            args.extend([begin.step.into(), begin.attempt.into(), begin.state.into()]);
        }
        let rows: Vec<String> = (0..chunk.len())
            .map(|row| format!("($1, ${}, ${}, $2, ${}, $3)", 4 + row * 3, 5 + row * 3, 6 + row * 3))
            .collect();
        let sql = format!(
            "INSERT INTO step_attempt (run_id, step, number, epoch, state, started_at) VALUES {}",
            rows.join(", ")
        );
        session.execute(&sql, &args).await?;
    }
    let claims: Vec<(&Begin<'_>, &PoolClaim)> =
        begins.iter().flat_map(|begin| begin.pools.iter().map(move |claim| (*begin, claim))).collect();
    for chunk in claims.chunks(ROWS) {
        let mut args: Vec<Value<'_>> = vec![run_id.into()];
        for (begin, claim) in chunk {
            args.extend([
                begin.step.into(),
                begin.attempt.into(),
                claim.pool.as_str().into(),
                claim.slots.into(),
            ]);
        }
        let sql = format!(
            "INSERT INTO attempt_slot (run_id, step, number, pool, slots) VALUES {}",
            rows_of(chunk.len(), 4, Some(1), 1)
        );
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_their_values_on() {
        assert_eq!(rows_of(2, 2, None, 3), "($4, $5), ($6, $7)");
        assert_eq!(rows_of(2, 1, Some(1), 1), "($1, $2), ($1, $3)");
    }
}
