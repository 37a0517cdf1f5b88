//! Writing of the inbox: what came, what is next for it, and the runs that it starts.

use super::{CHUNK, EventCursorRow, EventVerdict, NewEventRow, ReceivedEvent, marks};
use crate::runs::{InsertedRun, PipelineRunRow, StepRunRow};
use crate::runs_write::{insert_run, insert_steps};
use crate::{Metastore, MetastoreError, Session, Value};

impl Metastore {
    /// Stores events that came; those that had come before are counted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn receive_events(
        &self,
        events: Vec<NewEventRow>,
        now: i64,
    ) -> Result<Vec<ReceivedEvent>, MetastoreError> {
        self.write(move |session| Box::pin(async move { receive(session, &events, now).await })).await
    }

    /// Stores what a source told together with how far it is now. Returns how many events had not come before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn receive_polled(
        &self,
        events: Vec<NewEventRow>,
        cursor: EventCursorRow,
    ) -> Result<usize, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let received = receive(session, &events, cursor.asked_at).await?;
                store_cursor(session, &cursor).await?;
                Ok(received.iter().filter(|event| !event.repeated).count())
            })
        })
        .await
    }

    /// Notes why a source could not be asked; how far it was read stays.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note_event_source_error(&self, cursor: EventCursorRow) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO event_cursor (pipeline, trigger_name, rule, position, asked_at, found_at, error, failing_since) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $5) ON CONFLICT (pipeline, trigger_name) DO UPDATE SET \
                           asked_at = excluded.asked_at, error = excluded.error, \
                           failing_since = COALESCE(event_cursor.failing_since, excluded.failing_since)";
                session.execute(sql, &cursor_values(&cursor)).await.map(drop)
            })
        })
        .await
    }

    /// Says what is next for events. One that is over already, by another server's doing, stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn judge_events(
        &self,
        verdicts: Vec<(String, EventVerdict)>,
        now: i64,
    ) -> Result<(), MetastoreError> {
        if verdicts.is_empty() {
            return Ok(());
        }
        self.write(move |session| {
            Box::pin(async move {
                for (id, verdict) in &verdicts {
                    judge(session, id, verdict, now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Looks again at `next_at` at what is held and was due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn postpone_held_events(
        &self,
        (pipeline, trigger): (String, String),
        now: i64,
        next_at: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE event_inbox SET next_at = $4 WHERE state = 'held' AND pipeline = $1 AND trigger_name = $2 \
                           AND next_at <= $3";
                let args = [pipeline.as_str().into(), trigger.as_str().into(), now.into(), next_at.into()];
                session.execute(sql, &args).await.map(drop)
            })
        })
        .await
    }

    /// Stores a run with its steps together with the events that it is of, if they are not over and no run of the same key goes on.
    ///
    /// # Errors
    /// [`MetastoreError::Stale`] if another server was faster; if the database fails.
    pub async fn insert_run_of_events(
        &self,
        run: PipelineRunRow,
        steps: Vec<StepRunRow>,
        events: Vec<String>,
    ) -> Result<InsertedRun, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                refuse_busy_key(session, &run, &events).await?;
                let number = insert_run(session, &run).await?;
                insert_steps(session, &run.id, &steps).await?;
                for ids in events.chunks(CHUNK) {
                    let sql = format!(
                        "UPDATE event_inbox SET state = 'started', run_id = $1, settled_at = $2, reason = NULL \
                         WHERE state IN ('waiting', 'held') AND id IN ({})",
                        marks(ids.len(), 3)
                    );
                    let mut args: Vec<Value<'_>> = vec![run.id.as_str().into(), run.created_at.into()];
                    args.extend(ids.iter().map(|id| Value::from(id.as_str())));
                    if session.execute(&sql, &args).await? != ids.len() as u64 {
                        return Err(MetastoreError::stale("another server started a run of these events"));
                    }
                }
                Ok(InsertedRun::New { number })
            })
        })
        .await
    }

    /// Looks at a dead or filtered event again, with all its tries; `false` if it is neither.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn replay_event(&self, id: String, now: i64) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE event_inbox SET state = 'waiting', attempts = 0, reason = NULL, settled_at = NULL, next_at = $2 \
                           WHERE id = $1 AND state IN ('dead', 'filtered')";
                Ok(session.execute(sql, &[id.as_str().into(), now.into()]).await? == 1)
            })
        })
        .await
    }

    /// Forgets events that came before and are over; dead ones stay until somebody decided about them. Returns how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_events(&self, before: i64) -> Result<u64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql =
                    "DELETE FROM event_inbox WHERE received_at < $1 AND state IN ('started', 'filtered')";
                session.execute(sql, &[before.into()]).await
            })
        })
        .await
    }
}

async fn receive(
    session: &mut Session,
    events: &[NewEventRow],
    now: i64,
) -> Result<Vec<ReceivedEvent>, MetastoreError> {
    let mut received = Vec::with_capacity(events.len());
    for event in events {
        let key = [
            event.pipeline.as_str().into(),
            event.trigger.as_str().into(),
            event.source.as_str().into(),
            event.dedup_key.as_str().into(),
        ];
        let [pipeline, trigger, source, dedup_key] = key.clone();
        let inserted = session
            .execute(
                "INSERT INTO event_inbox (id, pipeline, trigger_name, source, dedup_key, kind, subject, event, state, received_at, next_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $9) \
                 ON CONFLICT (pipeline, trigger_name, source, dedup_key) DO NOTHING",
                &[
                    event.id.as_str().into(),
                    pipeline,
                    trigger,
                    source,
                    dedup_key,
                    event.kind.as_str().into(),
                    event.subject.as_deref().into(),
                    event.event.as_str().into(),
                    now.into(),
                ],
            )
            .await?;
        if inserted == 1 {
            received.push(ReceivedEvent { id: event.id.clone(), repeated: false });
            continue;
        }
        let sql = "UPDATE event_inbox SET repeats = repeats + 1 WHERE pipeline = $1 AND trigger_name = $2 AND source = $3 \
                   AND dedup_key = $4 RETURNING id";
        let earlier = session.fetch_optional(sql, &key).await?;
        let id = earlier.map_or_else(|| Ok(event.id.clone()), |row| row.text("id"))?;
        received.push(ReceivedEvent { id, repeated: true });
    }
    Ok(received)
}

async fn judge(
    session: &mut Session,
    id: &str,
    verdict: &EventVerdict,
    now: i64,
) -> Result<(), MetastoreError> {
    let open = "WHERE id = $1 AND state IN ('waiting', 'held')";
    match verdict {
        EventVerdict::Held { order_key, next_at } => {
            let sql = format!("UPDATE event_inbox SET state = 'held', order_key = $2, next_at = $3 {open}");
            session.execute(&sql, &[id.into(), order_key.as_deref().into(), (*next_at).into()]).await?;
        }
        EventVerdict::Filtered { reason } => {
            let sql =
                format!("UPDATE event_inbox SET state = 'filtered', reason = $2, settled_at = $3 {open}");
            session.execute(&sql, &[id.into(), reason.as_str().into(), now.into()]).await?;
        }
        EventVerdict::Failed { reason, next_at: Some(next_at) } => {
            let sql = format!(
                "UPDATE event_inbox SET state = 'waiting', attempts = attempts + 1, reason = $2, next_at = $3 {open}"
            );
            session.execute(&sql, &[id.into(), reason.as_str().into(), (*next_at).into()]).await?;
        }
        EventVerdict::Failed { reason, next_at: None } => {
            let sql = format!(
                "UPDATE event_inbox SET state = 'dead', attempts = attempts + 1, reason = $2, settled_at = $3 {open}"
            );
            session.execute(&sql, &[id.into(), reason.as_str().into(), now.into()]).await?;
        }
    }
    Ok(())
}

/// Refuses events whose key has a run that goes on, also one that another server is about to store.
async fn refuse_busy_key(
    session: &mut Session,
    run: &PipelineRunRow,
    events: &[String],
) -> Result<(), MetastoreError> {
    let Some(first) = events.first() else { return Ok(()) };
    let sql = "SELECT trigger_name, order_key FROM event_inbox WHERE id = $1 AND order_key IS NOT NULL";
    let Some(row) = session.fetch_optional(sql, &[first.as_str().into()]).await? else { return Ok(()) };
    let (trigger, key) = (row.text("trigger_name")?, row.text("order_key")?);
    if session.is_postgres() {
        let name = format!("{}/{trigger}/{key}", run.pipeline);
        // Hashes of two keys that are the same only make one wait for the other.
        session
            .fetch_all("SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtext($1))", &[name.into()])
            .await?;
    }
    let sql = "SELECT 1 AS busy FROM event_inbox AS event JOIN pipeline_run AS run ON run.id = event.run_id \
               WHERE event.pipeline = $1 AND event.trigger_name = $2 AND event.order_key = $3 AND event.state = 'started' \
               AND run.state IN ('queued', 'running')";
    let args = [run.pipeline.as_str().into(), trigger.as_str().into(), key.as_str().into()];
    match session.fetch_optional(sql, &args).await? {
        Some(_) => Err(MetastoreError::stale("a run of the same key goes on")),
        None => Ok(()),
    }
}

fn cursor_values(cursor: &EventCursorRow) -> [Value<'_>; 7] {
    [
        cursor.pipeline.as_str().into(),
        cursor.trigger.as_str().into(),
        cursor.rule.as_str().into(),
        cursor.position.as_str().into(),
        cursor.asked_at.into(),
        cursor.found_at.into(),
        cursor.error.as_deref().into(),
    ]
}

async fn store_cursor(session: &mut Session, cursor: &EventCursorRow) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO event_cursor (pipeline, trigger_name, rule, position, asked_at, found_at, error) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (pipeline, trigger_name) DO UPDATE SET \
               rule = excluded.rule, position = excluded.position, asked_at = excluded.asked_at, \
               found_at = COALESCE(excluded.found_at, event_cursor.found_at), error = excluded.error, failing_since = NULL";
    session.execute(sql, &cursor_values(cursor)).await.map(drop)
}
