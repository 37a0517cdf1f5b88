//! What each receiver of lineage does not know of runs: noted in the transaction of the change, so that no kill loses it.

use std::collections::HashSet;

use crate::{Metastore, MetastoreError, Session, Value};

/// A run that changed, for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageChange {
    /// Who is to hear of it.
    pub receiver: String,
    /// The run.
    pub run_id: String,
    /// Raised with each change.
    pub revision: i64,
    /// Times that telling failed.
    pub attempts: i64,
}

/// How telling ended for a run and a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The receiver knows everything.
    Everything {
        /// Whether the run is over, so that nothing more will come.
        over: bool,
        /// Microseconds since 1970.
        now: i64,
    },
    /// It was not tried to the end; another round does.
    Later {
        /// Microseconds since 1970.
        now: i64,
    },
    /// The receiver could not be told.
    Again {
        /// When to try again; microseconds since 1970.
        at: i64,
        /// Why.
        error: String,
    },
}

/// What waits for a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageBacklog {
    /// Who is to hear of it.
    pub receiver: String,
    /// Runs that it does not know all of.
    pub runs: i64,
    /// Since when the first of them waits; microseconds since 1970.
    pub since: i64,
    /// Times that telling failed for the run that was tried most.
    pub attempts: i64,
    /// Why, the last time.
    pub error: Option<String>,
}

/// Notes that a run changed, for everybody who is to hear of it.
pub(crate) async fn note_change(
    session: &mut Session,
    receivers: &[String],
    run_id: &str,
    now: i64,
) -> Result<(), MetastoreError> {
    for receiver in receivers {
        let sql = "INSERT INTO lineage_change (receiver, run_id, revision, attempts, noted_at, next_at) VALUES ($1, $2, 1, 0, $3, $3) \
                   ON CONFLICT (receiver, run_id) DO UPDATE SET revision = lineage_change.revision + 1";
        session.execute(sql, &[receiver.as_str().into(), run_id.into(), now.into()]).await?;
    }
    Ok(())
}

impl Metastore {
    /// Receivers that are to be told of something now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due_lineage_receivers(&self, now: i64) -> Result<HashSet<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT receiver FROM lineage_change WHERE next_at <= $1";
                session.fetch_all(sql, &[now.into()]).await?.iter().map(|row| row.text("receiver")).collect()
            })
        })
        .await
    }

    /// Runs that a receiver is to be told of, those that wait longest first, and takes them: another server does not get them before `until`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_lineage_changes(
        &self,
        receiver: String,
        (now, until): (i64, i64),
        limit: u32,
    ) -> Result<Vec<LineageChange>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let lock = if session.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
                let sql = format!(
                    "SELECT run_id, revision, attempts FROM lineage_change WHERE receiver = $1 AND next_at <= $2 \
                     ORDER BY next_at, run_id LIMIT $3{lock}"
                );
                let args = [receiver.as_str().into(), now.into(), i64::from(limit).into()];
                let rows = session.fetch_all(&sql, &args).await?;
                let mut changes = Vec::with_capacity(rows.len());
                for row in &rows {
                    let run_id = row.text("run_id")?;
                    let sql = "UPDATE lineage_change SET next_at = $3 WHERE receiver = $1 AND run_id = $2";
                    session.execute(sql, &[receiver.as_str().into(), run_id.as_str().into(), until.into()]).await?;
                    changes.push(LineageChange {
                        receiver: receiver.clone(),
                        run_id,
                        revision: row.int("revision")?,
                        attempts: row.int("attempts")?,
                    });
                }
                Ok(changes)
            })
        })
        .await
    }

    /// Notes the runs that began before `since` and go on, so that receivers hear of them again; one that waits for a receiver is left as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note_running_lineage(
        &self,
        receivers: Vec<String>,
        since: i64,
        now: i64,
    ) -> Result<(), MetastoreError> {
        if receivers.is_empty() {
            return Ok(());
        }
        self.write(move |session| {
            Box::pin(async move {
                for receiver in &receivers {
                    let sql = "INSERT INTO lineage_change (receiver, run_id, revision, attempts, noted_at, next_at) \
                               SELECT $1, id, 1, 0, $3, $3 FROM pipeline_run WHERE ended_at IS NULL AND started_at <= $2 \
                               ON CONFLICT (receiver, run_id) DO NOTHING";
                    session.execute(sql, &[receiver.as_str().into(), since.into(), now.into()]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Events of a run that a receiver was told of.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lineage_told(
        &self,
        receiver: String,
        run_id: String,
    ) -> Result<HashSet<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT event FROM lineage_told WHERE receiver = $1 AND run_id = $2";
                let rows =
                    session.fetch_all(sql, &[receiver.as_str().into(), run_id.as_str().into()]).await?;
                rows.iter().map(|row| row.text("event")).collect()
            })
        })
        .await
    }

    /// Keeps which events a receiver was told of now, and how that ended. With everything told, the change is settled unless the run
    /// has changed again since, and of a run that is over nothing is kept any more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn settle_lineage_change(
        &self,
        change: LineageChange,
        told: Vec<String>,
        outcome: Settled,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let whose: [Value<'_>; 2] = [change.receiver.as_str().into(), change.run_id.as_str().into()];
                let [receiver, run_id] = &whose;
                for event in &told {
                    let sql = "INSERT INTO lineage_told (receiver, run_id, event) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                    session.execute(sql, &[receiver.clone(), run_id.clone(), event.as_str().into()]).await?;
                }
                let (next_at, error) = match outcome {
                    Settled::Everything { over, now } => {
                        let sql = "DELETE FROM lineage_change WHERE receiver = $1 AND run_id = $2 AND revision = $3";
                        let args = [receiver.clone(), run_id.clone(), change.revision.into()];
                        if session.execute(sql, &args).await? > 0 {
                            if over {
                                let sql = "DELETE FROM lineage_told WHERE receiver = $1 AND run_id = $2";
                                session.execute(sql, &whose).await?;
                            }
                            return Ok(());
                        }
                        (now, None)
                    }
                    Settled::Later { now } => {
                        let sql = "UPDATE lineage_change SET next_at = $3 WHERE receiver = $1 AND run_id = $2";
                        session.execute(sql, &[receiver.clone(), run_id.clone(), now.into()]).await?;
                        return Ok(());
                    }
                    Settled::Again { at, error } => (at, Some(error)),
                };
                let attempts = if error.is_some() { change.attempts + 1 } else { 0 };
                let sql = "UPDATE lineage_change SET next_at = $3, attempts = $4, error = $5 WHERE receiver = $1 AND run_id = $2";
                let args =
                    [receiver.clone(), run_id.clone(), next_at.into(), attempts.into(), error.as_deref().into()];
                session.execute(sql, &args).await.map(drop)
            })
        })
        .await
    }

    /// Forgets what waits since before `oldest`, and which events were told of runs that are over; gives how many runs somebody will
    /// never hear all of.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_lineage(&self, oldest: i64) -> Result<u64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM lineage_change WHERE noted_at < $1";
                let gone = session.execute(sql, &[oldest.into()]).await?;
                let sql = "DELETE FROM lineage_told WHERE NOT EXISTS (SELECT 1 FROM lineage_change WHERE \
                           lineage_change.receiver = lineage_told.receiver AND lineage_change.run_id = lineage_told.run_id) \
                           AND NOT EXISTS (SELECT 1 FROM pipeline_run WHERE pipeline_run.id = lineage_told.run_id AND ended_at IS NULL)";
                session.execute(sql, &[]).await?;
                Ok(gone)
            })
        })
        .await
    }

    /// What waits, for each receiver that has not heard everything.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_lineage_backlogs(&self) -> Result<Vec<LineageBacklog>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT receiver, COUNT(*) AS runs, MIN(noted_at) AS since, MAX(attempts) AS attempts, \
                           (SELECT error FROM lineage_change AS worst WHERE worst.receiver = lineage_change.receiver \
                            AND error IS NOT NULL ORDER BY attempts DESC, next_at DESC LIMIT 1) AS error \
                           FROM lineage_change GROUP BY receiver ORDER BY receiver";
                let rows = session.fetch_all(sql, &[]).await?;
                let backlog = |row: &crate::Row| {
                    Ok(LineageBacklog {
                        receiver: row.text("receiver")?,
                        runs: row.int("runs")?,
                        since: row.int("since")?,
                        attempts: row.int("attempts")?,
                        error: row.opt_text("error")?,
                    })
                };
                rows.iter().map(backlog).collect()
            })
        })
        .await
    }
}
