//! What Millrace's own pages list and its own steps begin and end.

use crate::{Metastore, MetastoreError, Row, Session};

use super::document::Document;
use super::run::{insert_run, stamp};
use super::{SELECT_RUN, TrackedRunRow, run_rows};

/// An experiment and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRow {
    /// From 0, which is `Default`.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Runs in it.
    pub runs: i64,
    /// When its newest run began, microseconds since 1970.
    pub last_run_at: Option<i64>,
}

impl Metastore {
    /// Begins a run in an experiment, which is made if absent. A run that was begun already is left as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin_tracked_run(&self, run: TrackedRunRow) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let experiment_id = ensure_experiment(session, &run.experiment, run.started_at).await?;
                insert_run(session, &TrackedRunRow { experiment_id, ..run }, &Document::default()).await
            })
        })
        .await
    }

    /// Ends a run; `false` if there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end_tracked_run(
        &self,
        id: String,
        status: String,
        ended_at: i64,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE tracked_run SET status = $2, ended_at = $3 WHERE id = $1";
                let args = [id.as_str().into(), status.as_str().into(), ended_at.into()];
                let found = session.execute(sql, &args).await? == 1;
                stamp(session, &id).await?;
                Ok(found)
            })
        })
        .await
    }

    /// Experiments that are not deleted, the one that was used last first. `Default` only once it has a run.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_experiments(&self) -> Result<Vec<ExperimentRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT experiment.id, experiment.name, COUNT(run.id) AS runs, MAX(run.started_at) AS last_run_at \
                           FROM experiment LEFT JOIN tracked_run AS run ON run.experiment_id = experiment.id AND run.lifecycle = 'active' \
                           WHERE experiment.lifecycle = 'active' GROUP BY experiment.id, experiment.name \
                           HAVING experiment.id > 0 OR COUNT(run.id) > 0 \
                           ORDER BY COALESCE(MAX(run.started_at), 0) DESC, experiment.id";
                let rows = session.fetch_all(sql, &[]).await?;
                rows.iter().map(experiment_row).collect()
            })
        })
        .await
    }

    /// Runs that are nested in a run and not deleted, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_nested_runs(&self, parent_id: String) -> Result<Vec<TrackedRunRow>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "{SELECT_RUN} FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id \
                     WHERE this.parent_id = $1 AND this.lifecycle = 'active' ORDER BY this.started_at DESC, this.id"
                );
                let rows = session.fetch_all(&sql, &[parent_id.as_str().into()]).await?;
                run_rows(session, &keys, &rows).await
            })
        })
        .await
    }
}

async fn ensure_experiment(session: &mut Session, name: &str, now: i64) -> Result<i64, MetastoreError> {
    let find = "SELECT id, lifecycle FROM experiment WHERE name = $1";
    if let Some(row) = session.fetch_optional(find, &[name.into()]).await? {
        let id = row.int("id")?;
        if row.text("lifecycle")? == "deleted" {
            // A pipeline that runs again brings its experiment back; its old runs stay deleted.
            session
                .execute(
                    "UPDATE experiment SET lifecycle = 'active', deleted_at = NULL WHERE id = $1",
                    &[id.into()],
                )
                .await?;
        }
        return Ok(id);
    }
    super::experiment::insert_experiment(session, name, None, now).await
}

fn experiment_row(row: &Row) -> Result<ExperimentRow, MetastoreError> {
    Ok(ExperimentRow {
        id: row.int("id")?,
        name: row.text("name")?,
        runs: row.int("runs")?,
        last_run_at: row.opt_int("last_run_at")?,
    })
}
