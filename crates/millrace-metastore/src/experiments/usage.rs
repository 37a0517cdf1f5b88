//! How many bytes runs and experiments take.
//!
//! A measurer takes up the runs that changed since it looked last, by the same counter as the index of searches, and keeps what it found by
//! run; an experiment's total is a sum over one index. Files are measured by whoever keeps them.

use std::collections::{BTreeMap, HashMap};

use crate::{Metastore, MetastoreError, Row, Session, Value};

use super::garbage::own_folder;
use super::placeholders;

/// Ids in one statement.
const CHUNK: usize = 500;

/// Bytes that something takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageUse {
    /// Runs.
    pub runs: i64,
    /// Of latest values, parameters and tags, compressed as they are stored.
    pub document_bytes: i64,
    /// Of histories of metrics, likewise.
    pub point_bytes: i64,
    /// Of files of runs and of the models that they logged.
    pub artifact_bytes: i64,
    /// How many files.
    pub files: i64,
    /// Traces.
    pub traces: i64,
    /// Of spans, compressed.
    pub trace_bytes: i64,
    /// When the oldest part of it was measured, microseconds since 1970.
    pub measured_at: Option<i64>,
}

impl StorageUse {
    /// All bytes.
    pub fn total(&self) -> i64 {
        self.document_bytes + self.point_bytes + self.artifact_bytes + self.trace_bytes
    }
}

/// A run that is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToMeasure {
    /// Number of the run.
    pub number: i64,
    /// The change that it is measured for.
    pub changed: i64,
    /// Folders of its files, and of those of its models, below the root of all artifacts.
    pub folders: Vec<String>,
}

/// Files that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredFiles {
    /// Number of their run.
    pub run: i64,
    /// Bytes.
    pub bytes: i64,
    /// How many.
    pub files: i64,
}

impl Metastore {
    /// Runs that changed since they were measured, in the order of their changes.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_unmeasured_runs(&self, limit: i64) -> Result<Vec<ToMeasure>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT changed, run FROM tracked_usage_seen WHERE id = 1";
                let seen = session.fetch_optional(sql, &[]).await?;
                let seen = seen.ok_or_else(|| MetastoreError::stale("what was measured is gone"))?;
                let sql = format!(
                    "{TO_MEASURE} WHERE this.changed >= $1 AND (this.changed > $1 OR this.number > $2) \
                     ORDER BY this.changed, this.number LIMIT $3"
                );
                let args = [seen.int("changed")?.into(), seen.int("run")?.into(), limit.into()];
                let rows = session.fetch_all(&sql, &args).await?;
                to_measure(session, &rows).await
            })
        })
        .await
    }

    /// Where the files of these runs are.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_runs_to_measure(&self, ids: Vec<String>) -> Result<Vec<ToMeasure>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = Vec::new();
                for ids in ids.chunks(CHUNK) {
                    let sql = format!("{TO_MEASURE} WHERE this.id IN ({})", placeholders(1, ids.len()));
                    let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
                    let rows = session.fetch_all(&sql, &args).await?;
                    found.extend(to_measure(session, &rows).await?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// Keeps what was measured; the rest of each run is measured here. `seen`: change and run up to which all are measured now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_usage(
        &self,
        files: Vec<MeasuredFiles>,
        seen: Option<(i64, i64)>,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                // Each statement is a hand-over to the connection's thread and back, and others who write wait meanwhile.
                for files in files.chunks(CHUNK) {
                    let mut args: Vec<Value<'_>> = vec![now.into()];
                    let mut rows = Vec::with_capacity(files.len());
                    for files in files {
                        rows.push(format!("({})", placeholders(args.len() + 1, 3)));
                        args.extend([files.run.into(), files.bytes.into(), files.files.into()]);
                    }
                    // Without a condition SQLite would take ON CONFLICT for one of the join.
                    let sql = format!(
                        "INSERT INTO tracked_usage (run, experiment_id, document_bytes, point_bytes, artifact_bytes, files, measured_at) \
                         SELECT this.number, this.experiment_id, LENGTH(this.document), \
                         (SELECT COALESCE(SUM(LENGTH(body)), 0) FROM tracked_series WHERE run = this.number) \
                         + (SELECT COALESCE(SUM(LENGTH(body)), 0) FROM tracked_journal WHERE run = this.number), \
                         found.column2, found.column3, $1 FROM (VALUES {}) AS found \
                         JOIN tracked_run AS this ON this.number = found.column1 WHERE TRUE \
                         ON CONFLICT (run) DO UPDATE SET experiment_id = excluded.experiment_id, \
                         document_bytes = excluded.document_bytes, point_bytes = excluded.point_bytes, \
                         artifact_bytes = excluded.artifact_bytes, files = excluded.files, measured_at = excluded.measured_at",
                        rows.join(", ")
                    );
                    session.execute(&sql, &args).await?;
                }
                if let Some((changed, run)) = seen {
                    let sql = "UPDATE tracked_usage_seen SET changed = $1, run = $2 WHERE id = 1";
                    session.execute(sql, &[changed.into(), run.into()]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets what runs took that were purged while they were measured; to be done before it is forgotten which runs are gone.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn trim_usage(&self) -> Result<(), MetastoreError> {
        self.write(|session| {
            Box::pin(async move {
                let sql = "DELETE FROM tracked_usage WHERE run IN (SELECT run FROM tracked_gone)";
                session.execute(sql, &[]).await.map(drop)
            })
        })
        .await
    }

    /// Measures traces anew. Reads every stored document's length, so it is for the background.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn measure_traces(&self) -> Result<(), MetastoreError> {
        let sql = "SELECT trace.experiment_id, COUNT(DISTINCT trace.id) AS traces, CAST(COALESCE(SUM(LENGTH(spans.document)), 0) AS BIGINT) AS bytes \
                   FROM trace LEFT JOIN trace_spans AS spans ON spans.trace_id = trace.id GROUP BY trace.experiment_id";
        let measured = self.read(move |session| {
            Box::pin(async move {
                let rows = session.fetch_all(sql, &[]).await?;
                let of = |row: &Row| Ok((row.int("experiment_id")?, row.int("traces")?, row.int("bytes")?));
                rows.iter().map(of).collect::<Result<Vec<_>, MetastoreError>>()
            })
        });
        let measured = measured.await?;
        self.write(move |session| {
            Box::pin(async move {
                session.execute("DELETE FROM trace_usage", &[]).await?;
                for (experiment, traces, bytes) in measured {
                    let sql = "INSERT INTO trace_usage (experiment_id, traces, trace_bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                    session.execute(sql, &[experiment.into(), traces.into(), bytes.into()]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// What experiments take, as it was measured last; those of which nothing was measured are left out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn experiment_usage(&self) -> Result<BTreeMap<i64, StorageUse>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!("SELECT experiment_id, {SUMS} FROM tracked_usage GROUP BY experiment_id");
                let mut found = BTreeMap::new();
                for row in session.fetch_all(&sql, &[]).await? {
                    found.insert(row.int("experiment_id")?, sums(&row)?);
                }
                let sql = "SELECT experiment_id, traces, trace_bytes FROM trace_usage";
                for row in session.fetch_all(sql, &[]).await? {
                    let usage: &mut StorageUse = found.entry(row.int("experiment_id")?).or_default();
                    (usage.traces, usage.trace_bytes) = (row.int("traces")?, row.int("trace_bytes")?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// What runs take, by id, as it was measured last.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn run_usage(&self, ids: Vec<String>) -> Result<HashMap<String, StorageUse>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = HashMap::with_capacity(ids.len());
                for ids in ids.chunks(CHUNK) {
                    let sql = format!(
                        "SELECT run.id, {SUMS} FROM tracked_usage JOIN tracked_run AS run ON run.number = tracked_usage.run \
                         WHERE run.id IN ({}) GROUP BY run.id",
                        placeholders(1, ids.len())
                    );
                    let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        found.insert(row.text("id")?, sums(&row)?);
                    }
                }
                Ok(found)
            })
        })
        .await
    }

    /// Runs and logged models of an experiment: what goes with it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_experiment(&self, id: i64) -> Result<(i64, i64), MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT (SELECT COUNT(*) FROM tracked_run WHERE experiment_id = $1) AS runs, \
                           (SELECT COUNT(*) FROM logged_model WHERE experiment_id = $1) AS models";
                let row = session.fetch_optional(sql, &[id.into()]).await?;
                row.map_or(Ok((0, 0)), |row| Ok((row.int("runs")?, row.int("models")?)))
            })
        })
        .await
    }
}

const SUMS: &str = "COUNT(*) AS runs, CAST(SUM(document_bytes) AS BIGINT) AS document_bytes, CAST(SUM(point_bytes) AS BIGINT) AS point_bytes, \
     CAST(SUM(artifact_bytes) AS BIGINT) AS artifact_bytes, CAST(SUM(files) AS BIGINT) AS files, MIN(measured_at) AS measured_at";

fn sums(row: &Row) -> Result<StorageUse, MetastoreError> {
    Ok(StorageUse {
        runs: row.int("runs")?,
        document_bytes: row.int("document_bytes")?,
        point_bytes: row.int("point_bytes")?,
        artifact_bytes: row.int("artifact_bytes")?,
        files: row.int("files")?,
        traces: 0,
        trace_bytes: 0,
        measured_at: row.opt_int("measured_at")?,
    })
}

const TO_MEASURE: &str = "SELECT this.number, this.id, this.changed, experiment.artifact_location FROM tracked_run AS this \
     JOIN experiment ON experiment.id = this.experiment_id";

async fn to_measure(session: &mut Session, rows: &[Row]) -> Result<Vec<ToMeasure>, MetastoreError> {
    let mut found = Vec::with_capacity(rows.len());
    let mut places = HashMap::with_capacity(rows.len());
    for row in rows {
        let (id, location) = (row.text("id")?, row.opt_text("artifact_location")?);
        let folders = own_folder(location.as_deref(), "", &id).into_iter().collect();
        places.insert(id, found.len());
        found.push(ToMeasure { number: row.int("number")?, changed: row.int("changed")?, folders });
    }
    let ids: Vec<String> = places.keys().cloned().collect();
    for ids in ids.chunks(CHUNK) {
        let sql = format!(
            "SELECT this.id, this.source_run_id, experiment.artifact_location FROM logged_model AS this \
             JOIN experiment ON experiment.id = this.experiment_id WHERE this.source_run_id IN ({})",
            placeholders(1, ids.len())
        );
        let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
        for row in session.fetch_all(&sql, &args).await? {
            let place = places.get(&row.text("source_run_id")?).and_then(|at| found.get_mut(*at));
            let location = row.opt_text("artifact_location")?;
            if let (Some(run), Some(folder)) =
                (place, own_folder(location.as_deref(), "models", &row.text("id")?))
            {
                run.folders.push(folder);
            }
        }
    }
    Ok(found)
}
