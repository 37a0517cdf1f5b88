//! What runs read and left: steps of pipelines, and runs that clients of MLflow track.

use crate::{Metastore, MetastoreError, Row, Session, Value};

/// Rows of one answer; more of them tell a reader nothing.
const MOST_READS: i64 = 500;

/// Whether a step read something or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// It was an input.
    Read,
    /// It is an output.
    Wrote,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Wrote => "wrote",
        }
    }
}

/// Something that a step read or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepAsset {
    /// Read or left.
    pub direction: Direction,
    /// `dataset`, `model`, `file`, `folder`, ….
    pub kind: String,
    /// Name in the catalog; empty for what has none.
    pub name: String,
    /// Version in the catalog; 0 for what has none.
    pub version: i64,
    /// Digest of the content.
    pub digest: String,
}

/// A [`StepAsset`] with the step it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUse {
    /// Pipeline run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The step.
    pub step: String,
    /// Kind of step: `train`, `evaluate`, ….
    pub step_kind: String,
    /// When the step ended; microseconds since 1970.
    pub ended_at: Option<i64>,
    /// What it read or left.
    pub asset: StepAsset,
}

/// A tracked run that read a dataset version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedRead {
    /// Tracked run.
    pub run_id: String,
    /// Its name.
    pub run_name: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// What it was read for: MLflow's `mlflow.data.context`.
    pub context: Option<String>,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Dataset.
    pub asset_name: String,
    /// Its version.
    pub asset_version: i64,
}

/// Says that an input which a client logged is a version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownInput {
    /// Name of the input, as logged.
    pub name: String,
    /// Digest of the input, as logged.
    pub digest: String,
    /// Dataset.
    pub asset_name: String,
    /// Its version.
    pub asset_version: i64,
}

const USE: &str = "SELECT used.run_id, run.pipeline, used.step, step.kind AS step_kind, step.ended_at, used.direction, used.kind, \
                   used.name, used.version, used.digest FROM step_asset AS used \
                   JOIN pipeline_run AS run ON run.id = used.run_id \
                   JOIN step_run AS step ON step.run_id = used.run_id AND step.step = used.step";

impl Metastore {
    /// What the steps of a run read and left.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_uses_of_run(&self, run_id: String) -> Result<Vec<StepUse>, MetastoreError> {
        let sql = format!(
            "{USE} WHERE used.run_id = $1 ORDER BY step.position, used.direction, used.name, used.digest"
        );
        self.uses(sql, vec![run_id.into()]).await
    }

    /// The steps that read or left a version, newest run first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_uses_of_version(
        &self,
        kind: &'static str,
        name: String,
        version: i64,
    ) -> Result<Vec<StepUse>, MetastoreError> {
        let sql = format!(
            "{USE} WHERE used.kind = $1 AND used.name = $2 AND used.version = $3 \
             ORDER BY run.created_at DESC, step.position, used.direction LIMIT {MOST_READS}"
        );
        self.uses(sql, vec![kind.into(), name.into(), version.into()]).await
    }

    /// The steps that read or left something with this digest, newest run first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_uses_of_digest(&self, digest: String) -> Result<Vec<StepUse>, MetastoreError> {
        let sql = format!(
            "{USE} WHERE used.digest = $1 ORDER BY run.created_at DESC, step.position, used.direction LIMIT {MOST_READS}"
        );
        self.uses(sql, vec![digest.into()]).await
    }

    async fn uses(&self, sql: String, args: Vec<Value<'static>>) -> Result<Vec<StepUse>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move { session.fetch_all(&sql, &args).await?.iter().map(use_row).collect() })
        })
        .await
    }

    /// Keeps which dataset versions a run's logged inputs are.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_known_inputs(
        &self,
        run_id: String,
        inputs: Vec<KnownInput>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for input in &inputs {
                    let sql = "INSERT INTO tracked_input_asset (run_id, name, digest, asset_name, asset_version) \
                               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (run_id, name, digest) DO UPDATE SET \
                               asset_name = excluded.asset_name, asset_version = excluded.asset_version";
                    let args = [
                        run_id.as_str().into(),
                        input.name.as_str().into(),
                        input.digest.as_str().into(),
                        input.asset_name.as_str().into(),
                        input.asset_version.into(),
                    ];
                    session.execute(sql, &args).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The tracked runs that read a dataset version, newest first; deleted ones are left out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tracked_reads_of(
        &self,
        name: String,
        version: i64,
    ) -> Result<Vec<TrackedRead>, MetastoreError> {
        let condition = "known.asset_name = $1 AND known.asset_version = $2";
        self.tracked_reads(condition, vec![name.into(), version.into()]).await
    }

    /// The dataset versions that a tracked run read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tracked_reads_by(&self, run_id: String) -> Result<Vec<TrackedRead>, MetastoreError> {
        self.tracked_reads("known.run_id = $1", vec![run_id.into()]).await
    }

    async fn tracked_reads(
        &self,
        condition: &'static str,
        args: Vec<Value<'static>>,
    ) -> Result<Vec<TrackedRead>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT known.run_id, run.name AS run_name, run.experiment_id, input.context, run.started_at, \
                     known.asset_name, known.asset_version FROM tracked_input_asset AS known \
                     JOIN tracked_input AS input ON input.run_id = known.run_id AND input.name = known.name \
                     AND input.digest = known.digest JOIN tracked_run AS run ON run.id = known.run_id \
                     WHERE {condition} AND run.lifecycle = 'active' \
                     ORDER BY run.started_at DESC, known.run_id, known.asset_name LIMIT {MOST_READS}"
                );
                session.fetch_all(&sql, &args).await?.iter().map(read_row).collect()
            })
        })
        .await
    }

    /// The model versions with this digest, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_models_of_digest(&self, digest: String) -> Result<Vec<(String, i64)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT name, version FROM asset_version WHERE kind = 'model' AND digest = $1 ORDER BY name, version";
                let rows = session.fetch_all(sql, &[digest.as_str().into()]).await?;
                rows.iter().map(|row| Ok((row.text("name")?, row.int("version")?))).collect()
            })
        })
        .await
    }

    /// Whether a tracked run is a pipeline run, or that of one of its steps.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_pipeline_run_or_child(&self, run_id: String) -> Result<bool, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT 1 AS one FROM pipeline_run WHERE id = $1 OR id = \
                           (SELECT parent_id FROM tracked_run WHERE id = $1)";
                Ok(session.fetch_optional(sql, &[run_id.as_str().into()]).await?.is_some())
            })
        })
        .await
    }

    /// The model versions that a tracked run made, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_model_versions_of_run(
        &self,
        run_id: String,
    ) -> Result<Vec<(String, i64)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT this.name, this.version FROM model_version AS this JOIN asset_version AS content \
                           ON content.kind = 'model' AND content.name = this.name AND content.version = this.version \
                           WHERE this.run_id = $1 AND this.stage <> 'Deleted_Internal' ORDER BY this.name, this.version";
                let rows = session.fetch_all(sql, &[run_id.as_str().into()]).await?;
                rows.iter().map(|row| Ok((row.text("name")?, row.int("version")?))).collect()
            })
        })
        .await
    }
}

/// Stores what a step read and left; an earlier attempt of it may have stored the same.
pub(crate) async fn insert_step_assets(
    session: &mut Session,
    (run_id, step): (&str, &str),
    assets: &[StepAsset],
) -> Result<(), MetastoreError> {
    let mut statements = Vec::with_capacity(assets.len());
    for asset in assets {
        let sql = "INSERT INTO step_asset (run_id, step, direction, kind, name, version, digest) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let args = vec![
            run_id.into(),
            step.into(),
            asset.direction.word().into(),
            asset.kind.as_str().into(),
            asset.name.as_str().into(),
            asset.version.into(),
            asset.digest.as_str().into(),
        ];
        statements.push((sql.to_owned(), args));
    }
    if statements.is_empty() { Ok(()) } else { session.execute_all(statements).await }
}

fn use_row(row: &Row) -> Result<StepUse, MetastoreError> {
    let direction = if row.text("direction")? == "read" { Direction::Read } else { Direction::Wrote };
    Ok(StepUse {
        run_id: row.text("run_id")?,
        pipeline: row.text("pipeline")?,
        step: row.text("step")?,
        step_kind: row.text("step_kind")?,
        ended_at: row.opt_int("ended_at")?,
        asset: StepAsset {
            direction,
            kind: row.text("kind")?,
            name: row.text("name")?,
            version: row.int("version")?,
            digest: row.text("digest")?,
        },
    })
}

fn read_row(row: &Row) -> Result<TrackedRead, MetastoreError> {
    Ok(TrackedRead {
        run_id: row.text("run_id")?,
        run_name: row.text("run_name")?,
        experiment_id: row.int("experiment_id")?,
        context: row.opt_text("context")?,
        started_at: row.int("started_at")?,
        asset_name: row.text("asset_name")?,
        asset_version: row.int("asset_version")?,
    })
}
