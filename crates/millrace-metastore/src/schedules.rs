//! What is known of each trigger: up to when its firings are settled, when the next one is expected, whether it is paused or overdue.

use crate::{Metastore, MetastoreError, Row, Value};

const COLUMNS: &str = "pipeline, trigger_name, rule, checked_until, paused, next_at, overdue_since, note";

/// A row of `trigger_state`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriggerStateRow {
    /// Pipeline name.
    pub pipeline: String,
    /// Trigger name.
    pub trigger: String,
    /// The rule as it was when `checked_until` was set.
    pub rule: String,
    /// Firings up to here are settled; windows up to here have their rows.
    pub checked_until: i64,
    /// Whether somebody paused it.
    pub paused: bool,
    /// When it is expected to fire next; `None` if it never will.
    pub next_at: Option<i64>,
    /// Since when it should have fired.
    pub overdue_since: Option<i64>,
    /// Why it last started no run.
    pub note: Option<String>,
}

/// The newest firing of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFiringRow {
    /// Pipeline name.
    pub pipeline: String,
    /// Trigger name.
    pub trigger: String,
    /// The instant it stands for.
    pub instant: i64,
    /// The run it started, and its state word.
    pub run: Option<(String, String)>,
    /// Why it started none.
    pub note: Option<String>,
}

impl Metastore {
    /// State of every trigger that was ever checked.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_trigger_states(&self) -> Result<Vec<TriggerStateRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM trigger_state ORDER BY 1, 2");
                session.fetch_all(&sql, &[]).await?.iter().map(state_row).collect()
            })
        })
        .await
    }

    /// State of one trigger.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_trigger_state(
        &self,
        pipeline: String,
        trigger: String,
    ) -> Result<Option<TriggerStateRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql =
                    format!("SELECT {COLUMNS} FROM trigger_state WHERE pipeline = $1 AND trigger_name = $2");
                let args = [pipeline.as_str().into(), trigger.as_str().into()];
                session.fetch_optional(&sql, &args).await?.as_ref().map(state_row).transpose()
            })
        })
        .await
    }

    /// Stores up to where triggers are settled and what is expected of them. Whether they are paused stays as it is in the database: only
    /// [`Metastore::pause_trigger`] says so.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_trigger_states(&self, states: Vec<TriggerStateRow>) -> Result<(), MetastoreError> {
        if states.is_empty() {
            return Ok(());
        }
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO trigger_state (pipeline, trigger_name, rule, checked_until, paused, next_at, overdue_since, note) \
                           VALUES ($1, $2, $3, $4, 0, $5, $6, $7) ON CONFLICT (pipeline, trigger_name) DO UPDATE SET \
                           rule = excluded.rule, checked_until = excluded.checked_until, next_at = excluded.next_at, \
                           overdue_since = excluded.overdue_since, note = excluded.note";
                for state in &states {
                    let args = [
                        state.pipeline.as_str().into(),
                        state.trigger.as_str().into(),
                        state.rule.as_str().into(),
                        state.checked_until.into(),
                        state.next_at.into(),
                        state.overdue_since.into(),
                        state.note.as_deref().into(),
                    ];
                    session.execute(sql, &args).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Pauses a trigger, or lets it go on: then nothing is owed for the pause. `false` if it was so already.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pause_trigger(
        &self,
        pipeline: String,
        trigger: String,
        paused: bool,
        now: i64,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let key: [Value<'_>; 2] = [pipeline.as_str().into(), trigger.as_str().into()];
                session
                    .execute(
                        "INSERT INTO trigger_state (pipeline, trigger_name, rule, checked_until, paused) VALUES ($1, $2, '', $3, 0) \
                         ON CONFLICT (pipeline, trigger_name) DO NOTHING",
                        &[key[0].clone(), key[1].clone(), now.into()],
                    )
                    .await?;
                let changed = session
                    .execute(
                        "UPDATE trigger_state SET paused = $3, overdue_since = NULL, \
                         checked_until = CASE WHEN $3 = 0 AND checked_until < $4 THEN $4 ELSE checked_until END \
                         WHERE pipeline = $1 AND trigger_name = $2 AND paused <> $3",
                        &[key[0].clone(), key[1].clone(), i64::from(paused).into(), now.into()],
                    )
                    .await?;
                Ok(changed == 1)
            })
        })
        .await
    }

    /// The newest firing of every trigger with instants.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn last_firings(&self) -> Result<Vec<LastFiringRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT f.pipeline, f.trigger_name, f.instant, f.run_id, f.note, r.state FROM trigger_firing AS f \
                           JOIN (SELECT pipeline, trigger_name, MAX(instant) AS newest FROM trigger_firing GROUP BY pipeline, trigger_name) AS n \
                             ON n.pipeline = f.pipeline AND n.trigger_name = f.trigger_name AND n.newest = f.instant \
                           LEFT JOIN pipeline_run AS r ON r.id = f.run_id ORDER BY 1, 2";
                session.fetch_all(sql, &[]).await?.iter().map(firing_row).collect()
            })
        })
        .await
    }

    /// Runs of a trigger that are not over, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_runs_of_trigger(
        &self,
        pipeline: String,
        trigger: String,
    ) -> Result<Vec<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let args = [pipeline.as_str().into(), trigger.as_str().into()];
                let rows = session.fetch_all(OPEN_RUNS, &args).await?;
                rows.iter().map(|row| row.text("id")).collect()
            })
        })
        .await
    }
}

/// Runs of a trigger that are not over.
pub(crate) const OPEN_RUNS: &str = "SELECT r.id FROM pipeline_run AS r JOIN trigger_firing AS f ON f.run_id = r.id \
     WHERE f.pipeline = $1 AND f.trigger_name = $2 AND r.state IN ('queued', 'running') ORDER BY r.created_at, r.id";

fn state_row(row: &Row) -> Result<TriggerStateRow, MetastoreError> {
    Ok(TriggerStateRow {
        pipeline: row.text("pipeline")?,
        trigger: row.text("trigger_name")?,
        rule: row.text("rule")?,
        checked_until: row.int("checked_until")?,
        paused: row.int("paused")? != 0,
        next_at: row.opt_int("next_at")?,
        overdue_since: row.opt_int("overdue_since")?,
        note: row.opt_text("note")?,
    })
}

fn firing_row(row: &Row) -> Result<LastFiringRow, MetastoreError> {
    Ok(LastFiringRow {
        pipeline: row.text("pipeline")?,
        trigger: row.text("trigger_name")?,
        instant: row.int("instant")?,
        run: row
            .opt_text("state")?
            .map(|state| Ok::<_, MetastoreError>((row.text("run_id")?, state)))
            .transpose()?,
        note: row.opt_text("note")?,
    })
}
