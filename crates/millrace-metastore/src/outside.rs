//! Jobs of other systems, their runs and their datasets, as those tell of them by OpenLineage.

use serde_json::Value as Json;

use crate::{Metastore, MetastoreError, Row, Session, Value};

/// Rows of one answer.
const MOST: i64 = 500;
/// Microseconds that a run is kept which nobody told of again; its job, and what that reads and writes, stay.
const KEPT: i64 = 90 * 24 * 3600 * 1_000_000;
/// Old runs that one event removes at most.
const SWEPT: i64 = 100;

/// A job of another system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutsideJob {
    /// `namespace/name`.
    pub key: String,
    /// Whose it is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// What is known of it: a JSON object.
    pub facets: Json,
    /// Who told of it.
    pub producer: String,
    /// Its newest run.
    pub run_id: Option<String>,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

/// A run of such a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutsideRun {
    /// Its id there.
    pub id: String,
    /// Its job.
    pub job: String,
    /// `running`, `succeeded`, `failed`, `cancelled` or `unknown`.
    pub state: String,
    /// Microseconds since 1970.
    pub started_at: Option<i64>,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
    /// What is known of it: a JSON object.
    pub facets: Json,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

/// A dataset of another system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutsideDataset {
    /// `namespace/name`.
    pub key: String,
    /// Where it is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// What is known of it: a JSON object.
    pub facets: Json,
}

/// That a job reads or writes a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideUse {
    /// The job.
    pub job: String,
    /// Whether it writes it.
    pub writes: bool,
    /// The dataset.
    pub dataset: String,
    /// Name in the catalog, if it is one of ours.
    pub asset_name: Option<String>,
    /// The version that was meant, or 0.
    pub asset_version: i64,
    /// The newest run that did so.
    pub run_id: Option<String>,
    /// When; microseconds since 1970.
    pub used_at: i64,
}

/// What one event tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutsideEvent {
    /// The job, if it is about one.
    pub job: Option<OutsideJob>,
    /// The run, if it is about one.
    pub run: Option<OutsideRun>,
    /// Datasets that it names.
    pub datasets: Vec<OutsideDataset>,
    /// What the job reads and writes.
    pub uses: Vec<OutsideUse>,
    /// Microseconds since 1970.
    pub now: i64,
}

const USES: &str =
    "SELECT job_key, direction, dataset_key, asset_name, asset_version, run_id, used_at FROM outside_use";
const JOBS: &str = "SELECT job_key, namespace, name, facets, producer, run_id, updated_at FROM outside_job";

impl Metastore {
    /// Takes events in, all or none of them, in any order. What is told again changes nothing; facets add up, the newest of a name counts.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_outside_events(&self, events: Vec<OutsideEvent>) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for event in &events {
                    take(session, event).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Jobs of others, those told of last first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_outside_jobs(&self) -> Result<Vec<OutsideJob>, MetastoreError> {
        self.jobs(format!("{JOBS} ORDER BY updated_at DESC, job_key LIMIT {MOST}"), Vec::new()).await
    }

    /// A job of others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_outside_job(&self, key: String) -> Result<Option<OutsideJob>, MetastoreError> {
        Ok(self.jobs(format!("{JOBS} WHERE job_key = $1"), vec![key.into()]).await?.into_iter().next())
    }

    async fn jobs(&self, sql: String, args: Vec<Value<'static>>) -> Result<Vec<OutsideJob>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move { session.fetch_all(&sql, &args).await?.iter().map(job_row).collect() })
        })
        .await
    }

    /// Runs of a job, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_outside_runs(
        &self,
        job: String,
        limit: u32,
    ) -> Result<Vec<OutsideRun>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, job_key, state, started_at, ended_at, facets, updated_at FROM outside_run \
                           WHERE job_key = $1 ORDER BY updated_at DESC, id LIMIT $2";
                session.fetch_all(sql, &[job.as_str().into(), i64::from(limit).into()]).await?.iter().map(run_row).collect()
            })
        })
        .await
    }

    /// A dataset of others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_outside_dataset(&self, key: String) -> Result<Option<OutsideDataset>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql =
                    "SELECT dataset_key, namespace, name, facets FROM outside_dataset WHERE dataset_key = $1";
                session
                    .fetch_optional(sql, &[key.as_str().into()])
                    .await?
                    .as_ref()
                    .map(dataset_row)
                    .transpose()
            })
        })
        .await
    }

    /// What a job reads and writes, what it used last first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_uses_of_outside_job(&self, job: String) -> Result<Vec<OutsideUse>, MetastoreError> {
        let sql = format!(
            "{USES} WHERE job_key = $1 ORDER BY used_at DESC, direction, dataset_key, asset_version DESC LIMIT {MOST}"
        );
        self.outside_uses(sql, vec![job.into()]).await
    }

    /// Who reads and writes a dataset of others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_uses_of_outside_dataset(
        &self,
        dataset: String,
    ) -> Result<Vec<OutsideUse>, MetastoreError> {
        let sql =
            format!("{USES} WHERE dataset_key = $1 ORDER BY job_key, direction, asset_version LIMIT {MOST}");
        self.outside_uses(sql, vec![dataset.into()]).await
    }

    /// Jobs of others that read or write a version of a dataset of ours, or the dataset whatever its version.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_outside_uses_of_asset(
        &self,
        name: String,
        version: i64,
    ) -> Result<Vec<OutsideUse>, MetastoreError> {
        let sql = format!(
            "{USES} WHERE asset_name = $1 AND asset_version IN (0, $2) ORDER BY job_key, direction, dataset_key LIMIT {MOST}"
        );
        self.outside_uses(sql, vec![name.into(), version.into()]).await
    }

    async fn outside_uses(
        &self,
        sql: String,
        args: Vec<Value<'static>>,
    ) -> Result<Vec<OutsideUse>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move { session.fetch_all(&sql, &args).await?.iter().map(use_row).collect() })
        })
        .await
    }

    /// Names of the sources outside that versions were made from.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_source_names(&self) -> Result<Vec<String>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT DISTINCT from_name FROM asset_edge WHERE from_kind = 'source' ORDER BY from_name LIMIT {}",
                    MOST * 20
                );
                session.fetch_all(&sql, &[]).await?.iter().map(|row| row.text("from_name")).collect()
            })
        })
        .await
    }
}

async fn take(session: &mut Session, event: &OutsideEvent) -> Result<(), MetastoreError> {
    if let Some(run) = &event.run {
        take_run(session, run, event.now).await?;
    }
    if let Some(job) = &event.job {
        let sql = "SELECT facets, updated_at FROM outside_job WHERE job_key = $1";
        let known = session.fetch_optional(sql, &[job.key.as_str().into()]).await?;
        let facets = merged(known, &job.facets, event.now)?.to_string();
        let sql = format!(
            "INSERT INTO outside_job (job_key, namespace, name, facets, producer, run_id, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (job_key) DO UPDATE SET facets = excluded.facets, {}, {}, updated_at = {}",
            newest("outside_job", "producer", "excluded.producer"),
            newest("outside_job", "run_id", "COALESCE(excluded.run_id, outside_job.run_id)"),
            latest("outside_job", "updated_at"),
        );
        let args = [
            job.key.as_str().into(),
            job.namespace.as_str().into(),
            job.name.as_str().into(),
            facets.as_str().into(),
            job.producer.as_str().into(),
            job.run_id.as_deref().into(),
            event.now.into(),
        ];
        session.execute(&sql, &args).await?;
    }
    for dataset in &event.datasets {
        let sql = "SELECT facets, updated_at FROM outside_dataset WHERE dataset_key = $1";
        let known = session.fetch_optional(sql, &[dataset.key.as_str().into()]).await?;
        let facets = merged(known, &dataset.facets, event.now)?.to_string();
        let sql = format!(
            "INSERT INTO outside_dataset (dataset_key, namespace, name, facets, updated_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (dataset_key) DO UPDATE SET facets = excluded.facets, updated_at = {}",
            latest("outside_dataset", "updated_at"),
        );
        let args = [
            dataset.key.as_str().into(),
            dataset.namespace.as_str().into(),
            dataset.name.as_str().into(),
            facets.as_str().into(),
            event.now.into(),
        ];
        session.execute(&sql, &args).await?;
    }
    for used in &event.uses {
        let sql = format!(
            "INSERT INTO outside_use (job_key, direction, dataset_key, asset_name, asset_version, run_id, used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (job_key, direction, dataset_key, asset_name, asset_version) \
             DO UPDATE SET run_id = CASE WHEN excluded.used_at < outside_use.used_at THEN outside_use.run_id \
             ELSE COALESCE(excluded.run_id, outside_use.run_id) END, used_at = {}",
            latest("outside_use", "used_at"),
        );
        let args = [
            used.job.as_str().into(),
            if used.writes { "wrote" } else { "read" }.into(),
            used.dataset.as_str().into(),
            used.asset_name.as_deref().unwrap_or_default().into(),
            used.asset_version.into(),
            used.run_id.as_deref().into(),
            used.used_at.into(),
        ];
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// `column = …`, for a row that an event is told of: a later one keeps what it has.
fn newest(table: &str, column: &str, told: &str) -> String {
    format!(
        "{column} = CASE WHEN excluded.updated_at < {table}.updated_at THEN {table}.{column} ELSE {told} END"
    )
}

/// The later of a time that is known and one that is told.
fn latest(table: &str, column: &str) -> String {
    format!("CASE WHEN excluded.{column} < {table}.{column} THEN {table}.{column} ELSE excluded.{column} END")
}

async fn take_run(session: &mut Session, run: &OutsideRun, now: i64) -> Result<(), MetastoreError> {
    let known = "SELECT state, started_at, ended_at, facets, updated_at FROM outside_run WHERE id = $1";
    let known = session.fetch_optional(known, &[run.id.as_str().into()]).await?;
    let run = match known {
        Some(row) => merged_run(run, row, now)?,
        None => OutsideRun { updated_at: now, ..run.clone() },
    };
    let sql = "INSERT INTO outside_run (id, job_key, state, started_at, ended_at, facets, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (id) DO UPDATE SET job_key = excluded.job_key, state = excluded.state, started_at = excluded.started_at, \
               ended_at = excluded.ended_at, facets = excluded.facets, updated_at = excluded.updated_at";
    let facets = run.facets.to_string();
    let args = [
        run.id.as_str().into(),
        run.job.as_str().into(),
        run.state.as_str().into(),
        run.started_at.into(),
        run.ended_at.into(),
        facets.as_str().into(),
        run.updated_at.into(),
    ];
    session.execute(sql, &args).await?;
    let old = format!(
        "DELETE FROM outside_run WHERE id IN (SELECT id FROM outside_run WHERE updated_at < $1 ORDER BY updated_at LIMIT {SWEPT})"
    );
    session.execute(&old, &[(now - KEPT).into()]).await?;
    Ok(())
}

/// A run with what was known of it: events may come in any order, and an end is an end.
fn merged_run(run: &OutsideRun, known: Row, now: i64) -> Result<OutsideRun, MetastoreError> {
    let (state, updated_at) = (known.text("state")?, known.int("updated_at")?);
    let is_end = |state: &str| matches!(state, "succeeded" | "failed" | "cancelled");
    let keeps = match (is_end(&state), is_end(&run.state)) {
        (true, false) => true,
        (false, true) => false,
        _ => run.state == "unknown" || now < updated_at,
    };
    let earliest = match (known.opt_int("started_at")?, run.started_at) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(OutsideRun {
        state: if keeps { state } else { run.state.clone() },
        started_at: earliest,
        ended_at: run.ended_at.max(known.opt_int("ended_at")?),
        facets: merged(Some(known), &run.facets, now)?,
        updated_at: now.max(updated_at),
        ..run.clone()
    })
}

/// Facets of a row with those of an event of `now`. One that was deleted is kept as such, so that an older event does not bring it back.
fn merged(known: Option<Row>, new: &Json, now: i64) -> Result<Json, MetastoreError> {
    let fields = |facets: &Json| facets.as_object().cloned().unwrap_or_default();
    let Some(row) = known else { return Ok(Json::Object(fields(new))) };
    let known = fields(&serde_json::from_str(&row.text("facets")?).unwrap_or_default());
    let is_older = now < row.int("updated_at")?;
    let (mut all, over) = if is_older { (fields(new), known) } else { (known, fields(new)) };
    all.extend(over);
    Ok(Json::Object(all))
}

/// Facets of a row, without those that were deleted.
fn facets(row: &Row) -> Result<Json, MetastoreError> {
    let mut facets: Json = serde_json::from_str(&row.text("facets")?).unwrap_or_default();
    if let Some(fields) = facets.as_object_mut() {
        fields.retain(|_, facet| facet.get("_deleted") != Some(&Json::Bool(true)));
    }
    Ok(facets)
}

fn job_row(row: &Row) -> Result<OutsideJob, MetastoreError> {
    Ok(OutsideJob {
        key: row.text("job_key")?,
        namespace: row.text("namespace")?,
        name: row.text("name")?,
        facets: facets(row)?,
        producer: row.text("producer")?,
        run_id: row.opt_text("run_id")?,
        updated_at: row.int("updated_at")?,
    })
}

fn run_row(row: &Row) -> Result<OutsideRun, MetastoreError> {
    Ok(OutsideRun {
        id: row.text("id")?,
        job: row.text("job_key")?,
        state: row.text("state")?,
        started_at: row.opt_int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
        facets: facets(row)?,
        updated_at: row.int("updated_at")?,
    })
}

fn dataset_row(row: &Row) -> Result<OutsideDataset, MetastoreError> {
    Ok(OutsideDataset {
        key: row.text("dataset_key")?,
        namespace: row.text("namespace")?,
        name: row.text("name")?,
        facets: facets(row)?,
    })
}

fn use_row(row: &Row) -> Result<OutsideUse, MetastoreError> {
    Ok(OutsideUse {
        job: row.text("job_key")?,
        writes: row.text("direction")? == "wrote",
        dataset: row.text("dataset_key")?,
        asset_name: Some(row.text("asset_name")?).filter(|name| !name.is_empty()),
        asset_version: row.int("asset_version")?,
        run_id: row.opt_text("run_id")?,
        used_at: row.int("used_at")?,
    })
}
