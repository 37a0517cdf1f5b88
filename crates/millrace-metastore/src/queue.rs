//! Room for attempts: slots, pools and rates are counted in the transaction that begins an attempt, and whoever waits longer goes first.
//!
//! Nothing is kept in a counter, so neither a kill nor a cancellation can leak a slot. A step that found no room is marked with what it
//! waits for; a later one does not pass it unless it waits for something else, or has a higher priority.

use std::collections::HashMap;

use crate::runs::{PoolClaim, RunTransition};
use crate::{Metastore, MetastoreError, Session};

/// Waiting steps that are looked at; those behind them wait for these anyway.
const LOOKED_AT: i64 = 10_000;

/// A step that waits for room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its run.
    pub run_id: String,
    /// Its name; the step for items of it.
    pub step: String,
    /// `slots`, `pool:<name>` or `rate:<name>`.
    pub waits_for: String,
    /// Since when.
    pub queued_at: i64,
    /// Of its run.
    pub priority: i64,
}

/// An attempt that holds slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its run.
    pub run_id: String,
    /// Pipeline of the run.
    pub pipeline: String,
    /// Its step.
    pub step: String,
    /// Slots of the pool that it holds; 1 of the workspace's own.
    pub slots: i64,
    /// When it began.
    pub started_at: i64,
}

impl Metastore {
    /// Steps that wait for room, in the order in which they get it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_queued_steps(&self) -> Result<Vec<Queued>, MetastoreError> {
        self.read(|session| Box::pin(queued(session))).await
    }

    /// Attempts that run now: all of them, or those that hold slots of a pool, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_holders(&self, pool: Option<String>) -> Result<Vec<Holder>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let rows = match &pool {
                    None => {
                        let sql = "SELECT attempt.run_id, run.pipeline, attempt.step, CAST(1 AS BIGINT) AS slots, attempt.started_at \
                                   FROM step_attempt AS attempt JOIN pipeline_run AS run ON run.id = attempt.run_id \
                                   WHERE attempt.state = 'running' ORDER BY attempt.started_at LIMIT 1000";
                        session.fetch_all(sql, &[]).await?
                    }
                    Some(pool) => {
                        let sql = "SELECT attempt.run_id, run.pipeline, attempt.step, slot.slots, attempt.started_at \
                                   FROM attempt_slot AS slot JOIN step_attempt AS attempt ON attempt.run_id = slot.run_id \
                                   AND attempt.step = slot.step AND attempt.number = slot.number \
                                   JOIN pipeline_run AS run ON run.id = attempt.run_id \
                                   WHERE slot.pool = $1 AND attempt.state = 'running' ORDER BY attempt.started_at LIMIT 1000";
                        session.fetch_all(sql, &[pool.as_str().into()]).await?
                    }
                };
                rows.iter()
                    .map(|row| {
                        Ok(Holder {
                            run_id: row.text("run_id")?,
                            pipeline: row.text("pipeline")?,
                            step: row.text("step")?,
                            slots: row.int("slots")?,
                            started_at: row.int("started_at")?,
                        })
                    })
                    .collect()
            })
        })
        .await
    }
}

async fn queued(session: &mut Session) -> Result<Vec<Queued>, MetastoreError> {
    let sql = "SELECT step_run.run_id, step_run.step, step_run.waits_for, step_run.queued_at, run.priority FROM step_run \
               JOIN pipeline_run AS run ON run.id = step_run.run_id \
               WHERE step_run.waits_for IS NOT NULL AND run.state = 'running' AND run.paused = 0 AND run.cancel_requested = 0 \
               ORDER BY run.priority DESC, step_run.queued_at, step_run.run_id LIMIT $1";
    let rows = session.fetch_all(sql, &[LOOKED_AT.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Queued {
                run_id: row.text("run_id")?,
                step: row.text("step")?,
                waits_for: row.text("waits_for")?,
                queued_at: row.opt_int("queued_at")?.unwrap_or(0),
                priority: row.int("priority")?,
            })
        })
        .collect()
}

/// The room that one transition finds.
pub(crate) struct Room<'a> {
    run_id: &'a str,
    now: i64,
    priority: i64,
    free: i64,
    /// Slots held of each pool that was asked for.
    pools: HashMap<String, i64>,
    /// Attempts begun under each rate that was asked for, and when the oldest of them leaves it.
    rates: HashMap<String, (i64, i64)>,
    queue: Vec<Queued>,
    again_at: Option<i64>,
}

impl<'a> Room<'a> {
    /// Counts what runs.
    pub(crate) async fn count(
        session: &mut Session,
        transition: &'a RunTransition,
    ) -> Result<Self, MetastoreError> {
        let running = session
            .fetch_optional("SELECT count(*) AS n FROM step_attempt WHERE state = 'running'", &[])
            .await?;
        let running = running.map_or(Ok(0), |row| row.int("n"))?;
        let queue = queued(session).await?;
        let mut priority = 0;
        if !queue.is_empty() {
            let row = session
                .fetch_optional(
                    "SELECT priority FROM pipeline_run WHERE id = $1",
                    &[transition.run_id.as_str().into()],
                )
                .await?;
            priority = row.map_or(Ok(0), |row| row.int("priority"))?;
        }
        Ok(Self {
            run_id: &transition.run_id,
            now: transition.now,
            priority,
            free: transition.max_running - running,
            pools: HashMap::new(),
            rates: HashMap::new(),
            queue,
            again_at: None,
        })
    }

    /// When the rate of a pool that was asked for lets the next attempt begin.
    pub(crate) fn again_at(&self) -> Option<i64> {
        self.again_at
    }

    /// Takes room for one attempt of a step, or says what it must wait for.
    pub(crate) async fn take(
        &mut self,
        session: &mut Session,
        step: &str,
        claims: &[PoolClaim],
    ) -> Result<Option<String>, MetastoreError> {
        if self.free <= self.ahead(step, "slots") {
            return Ok(Some("slots".to_owned()));
        }
        for claim in claims {
            let held = self.held(session, &claim.pool).await?;
            let word = format!("pool:{}", claim.pool);
            // Each of those ahead wants a slot at least.
            if held + self.ahead(step, &word) + claim.slots > claim.size {
                return Ok(Some(word));
            }
            if let Some(rate) = claim.rate
                && !self.rate_allows(session, &claim.pool, rate).await?
            {
                return Ok(Some(format!("rate:{}", claim.pool)));
            }
        }
        self.free -= 1;
        for claim in claims {
            *self.pools.entry(claim.pool.clone()).or_default() += claim.slots;
            if let Some((begun, _)) = self.rates.get_mut(&claim.pool) {
                *begun += 1;
            }
        }
        Ok(None)
    }

    /// Steps of other runs that wait for the same and go first.
    fn ahead(&self, step: &str, waits_for: &str) -> i64 {
        if self.queue.is_empty() {
            return 0;
        }
        let own = self.queue.iter().find(|queued| queued.run_id == self.run_id && queued.step == step);
        let since = own.map_or(self.now, |own| own.queued_at);
        let ahead = self.queue.iter().filter(|other| {
            other.run_id != self.run_id
                && other.waits_for == waits_for
                && (-other.priority, other.queued_at, other.run_id.as_str())
                    < (-self.priority, since, self.run_id)
        });
        i64::try_from(ahead.count()).unwrap_or(i64::MAX)
    }

    async fn held(&mut self, session: &mut Session, pool: &str) -> Result<i64, MetastoreError> {
        if let Some(held) = self.pools.get(pool) {
            return Ok(*held);
        }
        let row = session
            .fetch_optional(
                "SELECT CAST(COALESCE(SUM(slot.slots), 0) AS BIGINT) AS n FROM attempt_slot AS slot \
                 JOIN step_attempt AS attempt ON attempt.run_id = slot.run_id AND attempt.step = slot.step \
                 AND attempt.number = slot.number WHERE slot.pool = $1 AND attempt.state = 'running'",
                &[pool.into()],
            )
            .await?;
        let held = row.map_or(Ok(0), |row| row.int("n"))?;
        self.pools.insert(pool.to_owned(), held);
        Ok(held)
    }

    async fn rate_allows(
        &mut self,
        session: &mut Session,
        pool: &str,
        (most, period): (i64, i64),
    ) -> Result<bool, MetastoreError> {
        if !self.rates.contains_key(pool) {
            let row = session
                .fetch_optional(
                    "SELECT count(*) AS n, COALESCE(MIN(attempt.started_at), $2) AS oldest FROM attempt_slot AS slot \
                     JOIN step_attempt AS attempt ON attempt.run_id = slot.run_id AND attempt.step = slot.step \
                     AND attempt.number = slot.number WHERE slot.pool = $1 AND attempt.started_at > $3",
                    &[pool.into(), self.now.into(), (self.now - period).into()],
                )
                .await?;
            let counted = match row {
                Some(row) => (row.int("n")?, row.int("oldest")? + period),
                None => (0, self.now + period),
            };
            self.rates.insert(pool.to_owned(), counted);
        }
        let (begun, next) = self.rates.get(pool).copied().unwrap_or((0, self.now));
        if begun < most {
            return Ok(true);
        }
        self.again_at = Some(self.again_at.map_or(next, |earlier| earlier.min(next)));
        Ok(false)
    }
}
