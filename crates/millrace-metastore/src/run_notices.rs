//! What is to be told of runs, stored in the transactions in which that came about.

use crate::runs::{PipelineRunRow, RunTransition};
use crate::{Metastore, MetastoreError, Session};

/// A run goes on beyond its deadline.
pub const LATE: &str = "late";
/// A run is over.
pub const ENDED: &str = "ended";

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNotice {
    /// Of which run.
    pub run_id: String,
    /// [`LATE`] or [`ENDED`].
    pub event: String,
    /// Since when; microseconds since 1970.
    pub due_at: i64,
}

impl Metastore {
    /// What is to be told by `now`, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_due_run_notices(&self, now: i64, limit: i64) -> Result<Vec<RunNotice>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT run_id, event, due_at FROM run_notice WHERE due_at <= $1 ORDER BY due_at, run_id LIMIT $2";
                let rows = session.fetch_all(sql, &[now.into(), limit.into()]).await?;
                let notice = |row: &crate::Row| {
                    Ok(RunNotice {
                        run_id: row.text("run_id")?,
                        event: row.text("event")?,
                        due_at: row.int("due_at")?,
                    })
                };
                rows.iter().map(notice).collect()
            })
        })
        .await
    }

    /// When the next of what is to be told is due; microseconds since 1970.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_run_notice_due(&self) -> Result<Option<i64>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT due_at FROM run_notice ORDER BY due_at LIMIT 1";
                session.fetch_all(sql, &[]).await?.first().map(|row| row.int("due_at")).transpose()
            })
        })
        .await
    }

    /// Forgets what has been told.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_run_notice(&self, notice: RunNotice) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM run_notice WHERE run_id = $1 AND event = $2";
                session
                    .execute(sql, &[notice.run_id.as_str().into(), notice.event.as_str().into()])
                    .await
                    .map(drop)
            })
        })
        .await
    }
}

/// A new run with a deadline is to be told of when it has passed.
pub(crate) async fn note_deadline(session: &mut Session, run: &PipelineRunRow) -> Result<(), MetastoreError> {
    let Some(due_at) = run.deadline_at else { return Ok(()) };
    note(session, &run.id, LATE, due_at).await
}

/// That a run is over is told if somebody wants to know.
pub(crate) async fn note_end(
    session: &mut Session,
    transition: &RunTransition,
) -> Result<(), MetastoreError> {
    let Some(end) = &transition.run else { return Ok(()) };
    if !end.told {
        return Ok(());
    }
    note(session, &transition.run_id, ENDED, transition.now).await
}

async fn note(session: &mut Session, run_id: &str, event: &str, due_at: i64) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO run_notice (run_id, event, due_at) VALUES ($1, $2, $3) ON CONFLICT (run_id, event) DO NOTHING";
    session.execute(sql, &[run_id.into(), event.into(), due_at.into()]).await.map(drop)
}
