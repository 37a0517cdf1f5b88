//! Runs, as MLflow's clients begin, change and delete them.

use crate::{Metastore, MetastoreError, Session};

use super::experiment::{owned_text, require_active};
use super::{
    MetricRow, NAME_TAG, PARENT_TAG, Refusal, SELECT_RUN, Text, TrackedRunRow, metric_row, placeholders,
    run_row,
};

/// What is to become of a run; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct RunChange {
    /// MLflow's word.
    pub status: Option<String>,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
    /// Name for people.
    pub name: Option<String>,
}

/// Ids in one statement.
const CHUNK: usize = 500;

impl Metastore {
    /// Begins a run in an experiment that exists, with its first tags.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such experiment or it is deleted; if the database fails.
    pub async fn create_tracked_run(
        &self,
        run: TrackedRunRow,
        tags: Vec<(String, String)>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, run.experiment_id).await?;
                let sql = "INSERT INTO tracked_run (id, experiment_id, parent_id, name, status, started_at, user_id) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7)";
                let args = [
                    run.id.as_str().into(),
                    run.experiment_id.into(),
                    run.parent_id.as_deref().into(),
                    run.name.as_str().into(),
                    run.status.as_str().into(),
                    run.started_at.into(),
                    run.user_id.as_str().into(),
                ];
                session.execute(sql, &args).await?;
                for (key, value) in &tags {
                    set_tag(session, &run.id, key, value).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// One run, deleted or not.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_tracked_run(&self, id: String) -> Result<Option<TrackedRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "{SELECT_RUN} FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id WHERE this.id = $1"
                );
                session.fetch_optional(&sql, &[id.as_str().into()]).await?.as_ref().map(run_row).transpose()
            })
        })
        .await
    }

    /// Changes a run.
    ///
    /// # Errors
    /// [`Refusal`] if there is none or it is deleted; if the database fails.
    pub async fn update_tracked_run(&self, id: String, change: RunChange) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_active_run(session, &id).await?;
                let sql = "UPDATE tracked_run SET status = COALESCE($2, status), ended_at = COALESCE($3, ended_at), \
                           name = COALESCE($4, name) WHERE id = $1";
                let args = [
                    id.as_str().into(),
                    change.status.as_deref().into(),
                    change.ended_at.into(),
                    change.name.as_deref().into(),
                ];
                session.execute(sql, &args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a run, which can be restored.
    ///
    /// # Errors
    /// [`Refusal::NoRun`], or if the database fails.
    pub async fn delete_tracked_run(&self, id: String) -> Result<(), MetastoreError> {
        self.mark_run(id, "deleted").await
    }

    /// Restores a deleted run.
    ///
    /// # Errors
    /// [`Refusal::NoRun`], or if the database fails.
    pub async fn restore_tracked_run(&self, id: String) -> Result<(), MetastoreError> {
        self.mark_run(id, "active").await
    }

    async fn mark_run(&self, id: String, lifecycle: &'static str) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE tracked_run SET lifecycle = $2 WHERE id = $1";
                match session.execute(sql, &[id.as_str().into(), lifecycle.into()]).await? {
                    0 => Err(Refusal::NoRun { id }.into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Removes a tag of a run.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such run or tag, or the run is deleted; if the database fails.
    pub async fn delete_run_tag(&self, id: String, key: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_active_run(session, &id).await?;
                let gone = if key == PARENT_TAG {
                    let sql =
                        "UPDATE tracked_run SET parent_id = NULL WHERE id = $1 AND parent_id IS NOT NULL";
                    session.execute(sql, &[id.as_str().into()]).await?
                } else {
                    let sql = "DELETE FROM tracked_text WHERE run_id = $1 AND family = 'tag' AND name = $2";
                    session.execute(sql, &[id.as_str().into(), key.as_str().into()]).await?
                };
                // A run without a name cannot be; its tag stays.
                if gone == 0 && key != NAME_TAG {
                    return Err(Refusal::NoTag { what: "run", id, key }.into());
                }
                Ok(())
            })
        })
        .await
    }

    /// Parameters and tags of runs, each with the run's id; by run, family and name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_run_texts(&self, ids: Vec<String>) -> Result<Vec<(String, Text)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = Vec::new();
                for ids in ids.chunks(CHUNK) {
                    let sql = format!(
                        "SELECT run_id AS owner, family, name, content FROM tracked_text WHERE run_id IN ({}) \
                         ORDER BY run_id, family, name",
                        placeholders(1, ids.len())
                    );
                    let args: Vec<_> = ids.iter().map(Into::into).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        found.push(owned_text(&row)?);
                    }
                }
                Ok(found)
            })
        })
        .await
    }

    /// The latest point of each metric of runs, each with the run's id; by run and name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_latest_metrics(
        &self,
        ids: Vec<String>,
    ) -> Result<Vec<(String, MetricRow)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = Vec::new();
                for ids in ids.chunks(CHUNK) {
                    let sql = format!(
                        "SELECT run_id AS owner, name, step, logged_at, number, is_nan FROM tracked_latest \
                         WHERE run_id IN ({}) ORDER BY run_id, name",
                        placeholders(1, ids.len())
                    );
                    let args: Vec<_> = ids.iter().map(Into::into).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        found.push((row.text("owner")?, metric_row(&row)?));
                    }
                }
                Ok(found)
            })
        })
        .await
    }
}

/// Checks that the run is there and not deleted; on PostgreSQL, holds it until the transaction ends, so that two writers of a run
/// come one after the other as they do on SQLite.
pub(super) async fn lock_active_run(session: &mut Session, id: &str) -> Result<i64, MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT experiment_id, lifecycle FROM tracked_run WHERE id = $1{lock}");
    let row = session.fetch_optional(&sql, &[id.into()]).await?;
    let row = row.ok_or_else(|| Refusal::NoRun { id: id.to_owned() })?;
    if row.text("lifecycle")? != "active" {
        return Err(Refusal::RunDeleted { id: id.to_owned() }.into());
    }
    row.int("experiment_id")
}

/// Sets a tag; the two that are columns change the column.
pub(super) async fn set_tag(
    session: &mut Session,
    id: &str,
    key: &str,
    value: &str,
) -> Result<(), MetastoreError> {
    let sql = match key {
        NAME_TAG => "UPDATE tracked_run SET name = $2 WHERE id = $1",
        PARENT_TAG => "UPDATE tracked_run SET parent_id = $2 WHERE id = $1",
        _ => {
            let sql = "INSERT INTO tracked_text (run_id, family, name, content) VALUES ($1, 'tag', $2, $3) \
                       ON CONFLICT (run_id, family, name) DO UPDATE SET content = excluded.content";
            return session.execute(sql, &[id.into(), key.into(), value.into()]).await.map(drop);
        }
    };
    session.execute(sql, &[id.into(), value.into()]).await.map(drop)
}
