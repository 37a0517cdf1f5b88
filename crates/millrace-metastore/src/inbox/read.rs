//! Reading of the inbox.

use super::{CHUNK, EventCursorRow, EventFilter, EventRow, HeldEvent, NewEventRow, marks};
use crate::{Metastore, MetastoreError, Row, Value};

const COLUMNS: &str = "id, pipeline, trigger_name, source, dedup_key, kind, subject, event, state, reason, order_key, attempts, \
     repeats, run_id, received_at, next_at, settled_at";

impl Metastore {
    /// How far every source was read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_event_cursors(&self) -> Result<Vec<EventCursorRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT pipeline, trigger_name, rule, position, asked_at, found_at, error, failing_since FROM event_cursor ORDER BY 1, 2";
                session.fetch_all(sql, &[]).await?.iter().map(cursor_row).collect()
            })
        })
        .await
    }

    /// How far one source was read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_event_cursor(
        &self,
        pipeline: String,
        trigger: String,
    ) -> Result<Option<EventCursorRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT pipeline, trigger_name, rule, position, asked_at, found_at, error, failing_since FROM event_cursor \
                           WHERE pipeline = $1 AND trigger_name = $2";
                let args = [pipeline.as_str().into(), trigger.as_str().into()];
                session.fetch_optional(sql, &args).await?.as_ref().map(cursor_row).transpose()
            })
        })
        .await
    }

    /// When the newest event of a trigger came that its filter did not leave out, microseconds since 1970.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_event_at(
        &self,
        pipeline: String,
        trigger: String,
    ) -> Result<Option<i64>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT received_at FROM event_inbox WHERE pipeline = $1 AND trigger_name = $2 AND state <> 'filtered' \
                           ORDER BY received_at DESC LIMIT 1";
                let args = [pipeline.as_str().into(), trigger.as_str().into()];
                session.fetch_optional(sql, &args).await?.map(|row| row.int("received_at")).transpose()
            })
        })
        .await
    }

    /// Triggers with events to look at by `now`: pipeline and trigger.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_triggers_with_due_events(
        &self,
        now: i64,
    ) -> Result<Vec<(String, String)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT pipeline, trigger_name FROM event_inbox WHERE state IN ('waiting', 'held') \
                           AND next_at <= $1 ORDER BY 1, 2";
                let rows = session.fetch_all(sql, &[now.into()]).await?;
                rows.iter().map(|row| Ok((row.text("pipeline")?, row.text("trigger_name")?))).collect()
            })
        })
        .await
    }

    /// When the next event is to be looked at, if one waits.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_event_due(&self) -> Result<Option<i64>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql =
                    "SELECT MIN(next_at) AS next_at FROM event_inbox WHERE state IN ('waiting', 'held')";
                session.fetch_optional(sql, &[]).await?.map_or(Ok(None), |row| row.opt_int("next_at"))
            })
        })
        .await
    }

    /// Events of a trigger that were not looked at yet, or that are to be tried again, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_waiting_events(
        &self,
        (pipeline, trigger): (String, String),
        now: i64,
        limit: i64,
    ) -> Result<Vec<EventRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM event_inbox WHERE state = 'waiting' AND pipeline = $1 AND trigger_name = $2 \
                     AND next_at <= $3 ORDER BY id LIMIT $4"
                );
                let args = [pipeline.as_str().into(), trigger.as_str().into(), now.into(), limit.into()];
                session.fetch_all(&sql, &args).await?.iter().map(event_row).collect()
            })
        })
        .await
    }

    /// Events of a trigger that passed its filter and wait, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_held_events(
        &self,
        (pipeline, trigger): (String, String),
    ) -> Result<Vec<HeldEvent>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, order_key, received_at FROM event_inbox WHERE state = 'held' AND pipeline = $1 \
                           AND trigger_name = $2 ORDER BY id";
                let rows = session.fetch_all(sql, &[pipeline.as_str().into(), trigger.as_str().into()]).await?;
                let held = |row: &Row| {
                    Ok(HeldEvent {
                        id: row.text("id")?,
                        order_key: row.opt_text("order_key")?,
                        received_at: row.int("received_at")?,
                    })
                };
                rows.iter().map(held).collect()
            })
        })
        .await
    }

    /// Keys of a trigger of which a run goes on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_busy_order_keys(
        &self,
        (pipeline, trigger): (String, String),
    ) -> Result<Vec<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT event.order_key FROM event_inbox AS event JOIN pipeline_run AS run ON run.id = event.run_id \
                           WHERE event.pipeline = $1 AND event.trigger_name = $2 AND event.state = 'started' \
                           AND event.order_key IS NOT NULL AND run.state IN ('queued', 'running')";
                let rows = session.fetch_all(sql, &[pipeline.as_str().into(), trigger.as_str().into()]).await?;
                rows.iter().map(|row| row.text("order_key")).collect()
            })
        })
        .await
    }

    /// Events, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_events(&self, filter: EventFilter) -> Result<Vec<EventRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut args: Vec<Value<'_>> = Vec::new();
                let mut clauses = Vec::new();
                let wanted =
                    [("pipeline", &filter.pipeline), ("trigger_name", &filter.trigger), ("state", &filter.state)];
                for (column, value) in wanted {
                    if let Some(value) = value {
                        args.push(value.as_str().into());
                        clauses.push(format!("{column} = ${}", args.len()));
                    }
                }
                if let Some((at, id)) = &filter.before {
                    args.push((*at).into());
                    args.push(id.as_str().into());
                    let n = args.len();
                    clauses.push(format!("(received_at < ${0} OR (received_at = ${0} AND id < ${1}))", n - 1, n));
                }
                let condition =
                    if clauses.is_empty() { String::new() } else { format!("WHERE {}", clauses.join(" AND ")) };
                args.push(filter.limit.into());
                let sql = format!(
                    "SELECT {COLUMNS} FROM event_inbox {condition} ORDER BY received_at DESC, id DESC LIMIT ${}",
                    args.len()
                );
                session.fetch_all(&sql, &args).await?.iter().map(event_row).collect()
            })
        })
        .await
    }

    /// Some events by their ids, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_events(&self, ids: Vec<String>) -> Result<Vec<EventRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = Vec::with_capacity(ids.len());
                for ids in ids.chunks(CHUNK) {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM event_inbox WHERE id IN ({}) ORDER BY id",
                        marks(ids.len(), 1)
                    );
                    let args: Vec<Value<'_>> = ids.iter().map(|id| id.as_str().into()).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        found.push(event_row(&row)?);
                    }
                }
                Ok(found)
            })
        })
        .await
    }

    /// Runs of a pipeline that ended after an instant, in that order: id, state, when.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_ended_runs(
        &self,
        pipeline: String,
        after: i64,
    ) -> Result<Vec<(String, String, i64)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, state, ended_at FROM pipeline_run WHERE pipeline = $1 AND ended_at > $2 ORDER BY ended_at, id";
                let rows = session.fetch_all(sql, &[pipeline.as_str().into(), after.into()]).await?;
                rows.iter().map(|row| Ok((row.text("id")?, row.text("state")?, row.int("ended_at")?))).collect()
            })
        })
        .await
    }

    /// Aliases of a model with the versions that they point at, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_model_aliases(&self, name: String) -> Result<Vec<(String, i64)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT alias, version FROM asset_alias WHERE kind = 'model' AND name = $1 ORDER BY alias";
                let rows = session.fetch_all(sql, &[name.as_str().into()]).await?;
                rows.iter().map(|row| Ok((row.text("alias")?, row.int("version")?))).collect()
            })
        })
        .await
    }

    /// How many events are in each state.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_events(&self) -> Result<Vec<(String, i64)>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT state, count(*) AS n FROM event_inbox GROUP BY state ORDER BY state";
                let rows = session.fetch_all(sql, &[]).await?;
                rows.iter().map(|row| Ok((row.text("state")?, row.int("n")?))).collect()
            })
        })
        .await
    }
}

fn event_row(row: &Row) -> Result<EventRow, MetastoreError> {
    Ok(EventRow {
        new: NewEventRow {
            id: row.text("id")?,
            pipeline: row.text("pipeline")?,
            trigger: row.text("trigger_name")?,
            source: row.text("source")?,
            dedup_key: row.text("dedup_key")?,
            kind: row.text("kind")?,
            subject: row.opt_text("subject")?,
            event: row.text("event")?,
        },
        state: row.text("state")?,
        reason: row.opt_text("reason")?,
        order_key: row.opt_text("order_key")?,
        attempts: row.int("attempts")?,
        repeats: row.int("repeats")?,
        run_id: row.opt_text("run_id")?,
        received_at: row.int("received_at")?,
        next_at: row.int("next_at")?,
        settled_at: row.opt_int("settled_at")?,
    })
}

fn cursor_row(row: &Row) -> Result<EventCursorRow, MetastoreError> {
    Ok(EventCursorRow {
        pipeline: row.text("pipeline")?,
        trigger: row.text("trigger_name")?,
        rule: row.text("rule")?,
        position: row.text("position")?,
        asked_at: row.int("asked_at")?,
        found_at: row.opt_int("found_at")?,
        error: row.opt_text("error")?,
        failing_since: row.opt_int("failing_since")?,
    })
}
