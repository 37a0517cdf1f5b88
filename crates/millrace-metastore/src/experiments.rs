//! Experiments, tracked runs, their metrics, parameters and tags.

use crate::{Metastore, MetastoreError, Row, Session};

/// An experiment and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRow {
    /// From 1.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Runs in it.
    pub runs: i64,
    /// When its newest run began, microseconds since 1970.
    pub last_run_at: Option<i64>,
}

/// A row of `tracked_run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedRunRow {
    /// 32 hex digits.
    pub id: String,
    /// Id of its experiment; given by the database.
    pub experiment_id: i64,
    /// Name of its experiment.
    pub experiment: String,
    /// The run it is nested in.
    pub parent_id: Option<String>,
    /// Name for people.
    pub name: String,
    /// MLflow's word: `RUNNING`, `FINISHED`, `FAILED`, `KILLED`.
    pub status: String,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
}

/// A point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// Name.
    pub name: String,
    /// Step.
    pub step: i64,
    /// Microseconds since 1970.
    pub logged_at: i64,
    /// The number.
    pub number: f64,
}

const SELECT_RUN: &str = "SELECT run.id, run.experiment_id, experiment.name AS experiment, run.parent_id, run.name, run.status, \
     run.started_at, run.ended_at FROM tracked_run AS run JOIN experiment ON experiment.id = run.experiment_id";

/// What is logged in one transaction.
#[derive(Debug, Clone, Default)]
pub struct TrackedBatch {
    /// Points; an exact repeat is dropped.
    pub metrics: Vec<MetricRow>,
    /// Parameters and tags: family (`param` or `tag`), name, content. A later value replaces an earlier one.
    pub texts: Vec<(String, String, String)>,
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
                session
                    .execute(
                        "INSERT INTO tracked_run (id, experiment_id, parent_id, name, status, started_at) \
                         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
                        &[
                            run.id.as_str().into(),
                            experiment_id.into(),
                            run.parent_id.as_deref().into(),
                            run.name.as_str().into(),
                            run.status.as_str().into(),
                            run.started_at.into(),
                        ],
                    )
                    .await?;
                Ok(())
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
                Ok(session.execute(sql, &args).await? == 1)
            })
        })
        .await
    }

    /// Logs points, parameters and tags of a run.
    ///
    /// # Errors
    /// If there is no such run or the database fails.
    pub async fn log_tracked_batch(&self, run_id: String, batch: TrackedBatch) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for point in &batch.metrics {
                    session
                        .execute(
                            "INSERT INTO tracked_metric (run_id, name, step, logged_at, number) VALUES ($1, $2, $3, $4, $5) \
                             ON CONFLICT DO NOTHING",
                            &[run_id.as_str().into(), point.name.as_str().into(), point.step.into(), point.logged_at.into(), point.number.into()],
                        )
                        .await?;
                }
                for (family, name, content) in &batch.texts {
                    session
                        .execute(
                            "INSERT INTO tracked_text (run_id, family, name, content) VALUES ($1, $2, $3, $4) \
                             ON CONFLICT (run_id, family, name) DO UPDATE SET content = excluded.content",
                            &[run_id.as_str().into(), family.as_str().into(), name.as_str().into(), content.as_str().into()],
                        )
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Experiments, the one that was used last first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_experiments(&self) -> Result<Vec<ExperimentRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT experiment.id, experiment.name, COUNT(run.id) AS runs, MAX(run.started_at) AS last_run_at \
                           FROM experiment LEFT JOIN tracked_run AS run ON run.experiment_id = experiment.id \
                           GROUP BY experiment.id, experiment.name ORDER BY MAX(run.started_at) DESC, experiment.id";
                let rows = session.fetch_all(sql, &[]).await?;
                rows.iter().map(experiment_row).collect()
            })
        })
        .await
    }

    /// Runs of an experiment, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tracked_runs(
        &self,
        experiment_id: i64,
        limit: i64,
    ) -> Result<Vec<TrackedRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "{SELECT_RUN} WHERE run.experiment_id = $1 ORDER BY run.started_at DESC, run.id LIMIT $2"
                );
                let rows = session.fetch_all(&sql, &[experiment_id.into(), limit.into()]).await?;
                rows.iter().map(run_row).collect()
            })
        })
        .await
    }

    /// One run.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_tracked_run(&self, id: String) -> Result<Option<TrackedRunRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!("{SELECT_RUN} WHERE run.id = $1");
                session.fetch_optional(&sql, &[id.as_str().into()]).await?.as_ref().map(run_row).transpose()
            })
        })
        .await
    }

    /// Parameters and tags of a run: family, name, content.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tracked_texts(
        &self,
        run_id: String,
    ) -> Result<Vec<(String, String, String)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql =
                    "SELECT family, name, content FROM tracked_text WHERE run_id = $1 ORDER BY family, name";
                let rows = session.fetch_all(sql, &[run_id.as_str().into()]).await?;
                rows.iter()
                    .map(|row| Ok((row.text("family")?, row.text("name")?, row.text("content")?)))
                    .collect()
            })
        })
        .await
    }

    /// All points of a run, by name and step.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tracked_metrics(&self, run_id: String) -> Result<Vec<MetricRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT name, step, logged_at, number FROM tracked_metric WHERE run_id = $1 ORDER BY name, step, logged_at";
                let rows = session.fetch_all(sql, &[run_id.as_str().into()]).await?;
                rows.iter().map(metric_row).collect()
            })
        })
        .await
    }
}

async fn ensure_experiment(session: &mut Session, name: &str, now: i64) -> Result<i64, MetastoreError> {
    let find = "SELECT id FROM experiment WHERE name = $1";
    if let Some(row) = session.fetch_optional(find, &[name.into()]).await? {
        return row.int("id");
    }
    session
        .execute(
            "INSERT INTO experiment (id, name, created_at) SELECT COALESCE(MAX(id), 0) + 1, $1, $2 FROM experiment",
            &[name.into(), now.into()],
        )
        .await?;
    let row = session.fetch_optional(find, &[name.into()]).await?;
    row.map_or_else(|| Err(MetastoreError::stale("a new experiment was not stored")), |row| row.int("id"))
}

fn experiment_row(row: &Row) -> Result<ExperimentRow, MetastoreError> {
    Ok(ExperimentRow {
        id: row.int("id")?,
        name: row.text("name")?,
        runs: row.int("runs")?,
        last_run_at: row.opt_int("last_run_at")?,
    })
}

fn run_row(row: &Row) -> Result<TrackedRunRow, MetastoreError> {
    Ok(TrackedRunRow {
        id: row.text("id")?,
        experiment_id: row.int("experiment_id")?,
        experiment: row.text("experiment")?,
        parent_id: row.opt_text("parent_id")?,
        name: row.text("name")?,
        status: row.text("status")?,
        started_at: row.int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
    })
}

fn metric_row(row: &Row) -> Result<MetricRow, MetastoreError> {
    Ok(MetricRow {
        name: row.text("name")?,
        step: row.int("step")?,
        logged_at: row.int("logged_at")?,
        number: row.real("number")?,
    })
}
