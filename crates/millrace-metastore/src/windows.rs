//! The windows of triggers and the runs that were about them. States are the orchestration room's words.

use crate::{Metastore, MetastoreError, Row, Session, Value};

const COLUMNS: &str = "pipeline, trigger_name, window_start, window_end, due_at, state, reason, attempt, tried, run_id, retry_at, \
     waiting_since, succeeded_at";
/// States in which nothing more happens by itself.
const SETTLED: &str = "('succeeded', 'failed', 'cancelled', 'stale')";
/// States in which something is still to happen.
const OPEN: &str = "('waiting', 'waiting_on_dependency', 'running')";

/// A row of `trigger_window`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowRow {
    /// Pipeline name.
    pub pipeline: String,
    /// Trigger name.
    pub trigger: String,
    /// Its first instant.
    pub start: i64,
    /// The instant after its last.
    pub end: i64,
    /// When it may run.
    pub due_at: i64,
    /// State word.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// Runs begun in all.
    pub attempt: i64,
    /// Runs begun since it was last asked for.
    pub tried: i64,
    /// Its newest run.
    pub run_id: Option<String>,
    /// When the next run may begin.
    pub retry_at: Option<i64>,
    /// Since when it waits for other windows.
    pub waiting_since: Option<i64>,
    /// When it last succeeded.
    pub succeeded_at: Option<i64>,
}

/// A run that is about a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRunRow {
    /// Trigger name.
    pub trigger: String,
    /// The window's first instant.
    pub start: i64,
    /// The instant after its last.
    pub end: i64,
    /// From 1.
    pub attempt: i64,
    /// Whether the run takes the window, which must not have begun this attempt; a run that a person starts does not.
    pub takes: bool,
}

/// Some windows of a pipeline.
#[derive(Debug, Clone, Default)]
pub struct WindowFilter {
    /// Pipeline name.
    pub pipeline: String,
    /// Only of this trigger.
    pub trigger: Option<String>,
    /// Only those that end after this instant.
    pub from: Option<i64>,
    /// Only those that begin before this instant.
    pub until: Option<i64>,
    /// At most so many, the newest.
    pub limit: i64,
}

/// What becomes of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowChange {
    /// Pipeline name.
    pub pipeline: String,
    /// Trigger name.
    pub trigger: String,
    /// The window's first instant.
    pub start: i64,
    /// Only if it is in this state.
    pub was: String,
    /// Its state from now on.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// When its next run may begin.
    pub retry_at: Option<i64>,
    /// Since when it waits for others.
    pub waiting_since: Option<i64>,
    /// When it succeeded; what it was if absent.
    pub succeeded_at: Option<i64>,
}

/// Windows that succeeded and whose ground has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleRange {
    /// Pipeline name.
    pub pipeline: String,
    /// Trigger name.
    pub trigger: String,
    /// The range that changed: windows are meant that begin before `until`…
    pub until: i64,
    /// … and end after `from`.
    pub from: i64,
    /// Whether they run again by themselves.
    pub again: bool,
    /// Why.
    pub reason: String,
}

/// An input that a window read and that has changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedInputRow {
    /// The window's first instant.
    pub start: i64,
    /// The instant after its last.
    pub end: i64,
    /// Dataset name.
    pub dataset: String,
    /// The version it read.
    pub read_version: i64,
    /// The newer one.
    pub new_version: i64,
    /// The interval that the newer one is about, if a run of a window made it.
    pub about: Option<(i64, i64)>,
}

impl Metastore {
    /// Adds windows that are not there yet.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert_windows(&self, windows: Vec<WindowRow>, now: i64) -> Result<u64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let mut added = 0;
                for window in &windows {
                    let sql = "INSERT INTO trigger_window (pipeline, trigger_name, window_start, window_end, due_at, state, reason, changed_at) \
                               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (pipeline, trigger_name, window_start) DO NOTHING";
                    let args = [
                        window.pipeline.as_str().into(),
                        window.trigger.as_str().into(),
                        window.start.into(),
                        window.end.into(),
                        window.due_at.into(),
                        window.state.as_str().into(),
                        window.reason.as_deref().into(),
                        now.into(),
                    ];
                    added += session.execute(sql, &args).await?;
                }
                Ok(added)
            })
        })
        .await
    }

    /// Windows of a pipeline, oldest first; if there are more than the limit, the newest of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_windows(&self, filter: WindowFilter) -> Result<Vec<WindowRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut args: Vec<Value<'_>> = vec![filter.pipeline.as_str().into()];
                let mut clauses = vec!["pipeline = $1".to_owned()];
                if let Some(trigger) = &filter.trigger {
                    args.push(trigger.as_str().into());
                    clauses.push(format!("trigger_name = ${}", args.len()));
                }
                if let Some(from) = filter.from {
                    args.push(from.into());
                    clauses.push(format!("window_end > ${}", args.len()));
                }
                if let Some(until) = filter.until {
                    args.push(until.into());
                    clauses.push(format!("window_start < ${}", args.len()));
                }
                args.push(filter.limit.into());
                let sql = format!(
                    "SELECT {COLUMNS} FROM trigger_window WHERE {} ORDER BY window_start DESC, trigger_name LIMIT ${}",
                    clauses.join(" AND "),
                    args.len()
                );
                let mut rows: Vec<WindowRow> =
                    session.fetch_all(&sql, &args).await?.iter().map(window_row).collect::<Result<_, _>>()?;
                rows.reverse();
                Ok(rows)
            })
        })
        .await
    }

    /// Windows of a trigger to which something is still to happen, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_windows(
        &self,
        pipeline: String,
        trigger: String,
        limit: i64,
    ) -> Result<Vec<WindowRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM trigger_window WHERE pipeline = $1 AND trigger_name = $2 AND state IN {OPEN} \
                     ORDER BY window_start LIMIT $3"
                );
                let args = [pipeline.as_str().into(), trigger.as_str().into(), limit.into()];
                session.fetch_all(&sql, &args).await?.iter().map(window_row).collect()
            })
        })
        .await
    }

    /// How many windows of a trigger are in each state.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_windows(
        &self,
        pipeline: String,
        trigger: String,
    ) -> Result<Vec<(String, i64)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT state, count(*) AS windows FROM trigger_window WHERE pipeline = $1 AND trigger_name = $2 \
                           GROUP BY state ORDER BY state";
                let args = [pipeline.as_str().into(), trigger.as_str().into()];
                let rows = session.fetch_all(sql, &args).await?;
                rows.iter().map(|row| Ok((row.text("state")?, row.int("windows")?))).collect()
            })
        })
        .await
    }

    /// Moves windows to other states, each only if it is in the state that the change starts from, and marks those whose ground has
    /// changed with it, in one transaction. Answers how many were moved.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn change_windows(
        &self,
        changes: Vec<WindowChange>,
        stale: Vec<StaleRange>,
        now: i64,
    ) -> Result<u64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let mut moved = 0;
                for change in &changes {
                    moved += change_window(session, change, now).await?;
                }
                for range in &stale {
                    mark_stale(session, range, now).await?;
                }
                Ok(moved)
            })
        })
        .await
    }

    /// Asks for the windows of a range again: those that are over wait for a run as if they were new. Answers how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rerun_windows(
        &self,
        filter: WindowFilter,
        reason: String,
        now: i64,
    ) -> Result<u64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "UPDATE trigger_window SET state = 'waiting', reason = $1, tried = 0, retry_at = NULL, waiting_since = NULL, changed_at = $2 \
                     WHERE pipeline = $3 AND trigger_name = $4 AND window_end > $5 AND window_start < $6 AND state IN {SETTLED}"
                );
                let trigger = filter.trigger.as_deref().unwrap_or_default();
                let args = [
                    reason.as_str().into(),
                    now.into(),
                    filter.pipeline.as_str().into(),
                    trigger.into(),
                    filter.from.unwrap_or(i64::MIN).into(),
                    filter.until.unwrap_or(i64::MAX).into(),
                ];
                session.execute(&sql, &args).await
            })
        })
        .await
    }

    /// Cancels the windows of a range that wait, and answers how many, with the runs of those that go on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn cancel_windows(
        &self,
        filter: WindowFilter,
        reason: String,
        now: i64,
    ) -> Result<(u64, Vec<String>), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let trigger = filter.trigger.as_deref().unwrap_or_default();
                let range = [
                    filter.pipeline.as_str().into(),
                    trigger.into(),
                    filter.from.unwrap_or(i64::MIN).into(),
                    filter.until.unwrap_or(i64::MAX).into(),
                ];
                let place = "pipeline = $1 AND trigger_name = $2 AND window_end > $3 AND window_start < $4";
                let running =
                    format!("SELECT run_id FROM trigger_window WHERE {place} AND state = 'running' AND run_id IS NOT NULL");
                let rows = session.fetch_all(&running, &range).await?;
                let runs = rows.iter().map(|row| row.text("run_id")).collect::<Result<_, _>>()?;
                let sql = format!(
                    "UPDATE trigger_window SET state = 'cancelled', reason = $5, changed_at = $6 \
                     WHERE {place} AND state IN ('waiting', 'waiting_on_dependency', 'stale')"
                );
                let mut args = range.to_vec();
                args.push(reason.as_str().into());
                args.push(now.into());
                Ok((session.execute(&sql, &args).await?, runs))
            })
        })
        .await
    }

    /// What the windows of a trigger read that succeeded and end after `since`, where the dataset has a version with other content by now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn changed_inputs(
        &self,
        pipeline: String,
        trigger: String,
        since: i64,
    ) -> Result<Vec<ChangedInputRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT w.window_start, w.window_end, a.name, a.version AS read_version, v.version AS new_version, \
                             p.window_start AS about_start, p.window_end AS about_end \
                           FROM trigger_window AS w \
                           JOIN step_asset AS a ON a.run_id = w.run_id AND a.direction = 'read' AND a.kind = 'dataset' AND a.version > 0 \
                           JOIN asset_version AS v ON v.kind = 'dataset' AND v.name = a.name AND v.version > a.version AND v.digest <> a.digest \
                           LEFT JOIN step_asset AS made ON made.direction = 'wrote' AND made.kind = 'dataset' AND made.name = v.name \
                             AND made.version = v.version \
                           LEFT JOIN window_run AS p ON p.run_id = made.run_id \
                           WHERE w.pipeline = $1 AND w.trigger_name = $2 AND w.state = 'succeeded' AND w.window_end > $3 \
                             AND (made.run_id IS NULL OR made.run_id <> w.run_id) \
                           ORDER BY w.window_start, a.name, v.version";
                let args = [pipeline.as_str().into(), trigger.as_str().into(), since.into()];
                session.fetch_all(sql, &args).await?.iter().map(changed_row).collect()
            })
        })
        .await
    }
}

/// Notes that a run is about a window, and takes the window if it is to. Answers the run that had taken it before.
pub(crate) async fn take_window(
    session: &mut Session,
    pipeline: &str,
    run_id: &str,
    window: &WindowRunRow,
    now: i64,
) -> Result<Option<String>, MetastoreError> {
    let key: [Value<'_>; 3] = [pipeline.into(), window.trigger.as_str().into(), window.start.into()];
    if window.takes {
        let sql = "UPDATE trigger_window SET state = 'running', run_id = $4, attempt = $5, tried = tried + 1, reason = NULL, \
                   retry_at = NULL, waiting_since = NULL, changed_at = $6 \
                   WHERE pipeline = $1 AND trigger_name = $2 AND window_start = $3 AND attempt = $5 - 1 \
                     AND state IN ('waiting', 'waiting_on_dependency')";
        let mut args = key.to_vec();
        args.extend([run_id.into(), window.attempt.into(), now.into()]);
        if session.execute(sql, &args).await? != 1 {
            let found = session
                .fetch_optional(
                    "SELECT run_id FROM trigger_window WHERE pipeline = $1 AND trigger_name = $2 AND window_start = $3",
                    &key,
                )
                .await?;
            let earlier = found.map(|row| row.opt_text("run_id")).transpose()?.flatten();
            return Ok(Some(earlier.unwrap_or_default()));
        }
    }
    Ok(None)
}

/// Stores the run's window, once the run is there.
pub(crate) async fn note_window_run(
    session: &mut Session,
    pipeline: &str,
    run_id: &str,
    window: &WindowRunRow,
) -> Result<(), MetastoreError> {
    let args = [
        run_id.into(),
        pipeline.into(),
        window.trigger.as_str().into(),
        window.start.into(),
        window.end.into(),
        window.attempt.into(),
    ];
    session
        .execute(
            "INSERT INTO window_run (run_id, pipeline, trigger_name, window_start, window_end, attempt) VALUES ($1, $2, $3, $4, $5, $6)",
            &args,
        )
        .await?;
    Ok(())
}

async fn change_window(
    session: &mut Session,
    change: &WindowChange,
    now: i64,
) -> Result<u64, MetastoreError> {
    let args = [
        change.pipeline.as_str().into(),
        change.trigger.as_str().into(),
        change.start.into(),
        change.was.as_str().into(),
        change.state.as_str().into(),
        change.reason.as_deref().into(),
        change.retry_at.into(),
        change.waiting_since.into(),
        change.succeeded_at.into(),
        now.into(),
    ];
    session
        .execute(
            "UPDATE trigger_window SET state = $5, reason = $6, retry_at = $7, waiting_since = $8, \
             succeeded_at = COALESCE($9, succeeded_at), changed_at = $10 \
             WHERE pipeline = $1 AND trigger_name = $2 AND window_start = $3 AND state = $4",
            &args,
        )
        .await
}

async fn mark_stale(session: &mut Session, range: &StaleRange, now: i64) -> Result<(), MetastoreError> {
    let state = if range.again { "waiting" } else { "stale" };
    let args = [
        range.pipeline.as_str().into(),
        range.trigger.as_str().into(),
        range.from.into(),
        range.until.into(),
        state.into(),
        range.reason.as_str().into(),
        now.into(),
    ];
    session
        .execute(
            "UPDATE trigger_window SET state = $5, reason = $6, tried = 0, retry_at = NULL, waiting_since = NULL, changed_at = $7 \
             WHERE pipeline = $1 AND trigger_name = $2 AND window_end > $3 AND window_start < $4 AND state = 'succeeded'",
            &args,
        )
        .await?;
    Ok(())
}

fn window_row(row: &Row) -> Result<WindowRow, MetastoreError> {
    Ok(WindowRow {
        pipeline: row.text("pipeline")?,
        trigger: row.text("trigger_name")?,
        start: row.int("window_start")?,
        end: row.int("window_end")?,
        due_at: row.int("due_at")?,
        state: row.text("state")?,
        reason: row.opt_text("reason")?,
        attempt: row.int("attempt")?,
        tried: row.int("tried")?,
        run_id: row.opt_text("run_id")?,
        retry_at: row.opt_int("retry_at")?,
        waiting_since: row.opt_int("waiting_since")?,
        succeeded_at: row.opt_int("succeeded_at")?,
    })
}

fn changed_row(row: &Row) -> Result<ChangedInputRow, MetastoreError> {
    let about = row.opt_int("about_start")?.zip(row.opt_int("about_end")?);
    Ok(ChangedInputRow {
        start: row.int("window_start")?,
        end: row.int("window_end")?,
        dataset: row.text("name")?,
        read_version: row.int("read_version")?,
        new_version: row.int("new_version")?,
        about,
    })
}
