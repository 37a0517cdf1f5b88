//! Deployments that steps made: which model version is behind which endpoint, with which share of its traffic.

use crate::{Metastore, MetastoreError, Row};

/// A row of `deployment`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentRow {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Name of the deployment, unique in its endpoint.
    pub name: String,
    /// Registered model, or the URI of one without a name.
    pub model: String,
    /// Its version; 0 for a model without a name.
    pub version: i64,
    /// Folder of the model, an absolute URL.
    pub uri: String,
    /// Digest of the model.
    pub digest: String,
    /// Per cent of the endpoint's requests.
    pub traffic: i64,
    /// Share of the requests that are logged, 0 to 1.
    pub sample: f64,
    /// Pipeline run that made it.
    pub run_id: Option<String>,
    /// Its step.
    pub step: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Of the newest change; microseconds since 1970.
    pub updated_at: i64,
}

const COLUMNS: &str =
    "endpoint, name, model, version, uri, digest, traffic, sample, run_id, step, created_at, updated_at";

impl Metastore {
    /// Stores a deployment, in the place of one with its name, and the shares of its endpoint's others, in one transaction. The time
    /// at which a replaced one was made is kept.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn upsert_deployment(
        &self,
        row: DeploymentRow,
        others: Vec<(String, i64)>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for (name, traffic) in &others {
                    let sql = "UPDATE deployment SET traffic = $3, updated_at = $4 \
                               WHERE endpoint = $1 AND name = $2 AND traffic <> $3";
                    let args =
                        [(&row.endpoint).into(), name.into(), (*traffic).into(), row.updated_at.into()];
                    session.execute(sql, &args).await?;
                }
                let sql = format!(
                    "INSERT INTO deployment ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                     ON CONFLICT (endpoint, name) DO UPDATE SET model = excluded.model, version = excluded.version, \
                     uri = excluded.uri, digest = excluded.digest, traffic = excluded.traffic, sample = excluded.sample, \
                     run_id = excluded.run_id, step = excluded.step, updated_at = excluded.updated_at"
                );
                let args = [
                    (&row.endpoint).into(),
                    (&row.name).into(),
                    (&row.model).into(),
                    row.version.into(),
                    (&row.uri).into(),
                    (&row.digest).into(),
                    row.traffic.into(),
                    row.sample.into(),
                    row.run_id.as_deref().into(),
                    row.step.as_deref().into(),
                    row.created_at.into(),
                    row.updated_at.into(),
                ];
                session.execute(&sql, &args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Every deployment, by endpoint and name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_deployments(&self) -> Result<Vec<DeploymentRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM deployment ORDER BY endpoint, name");
                session.fetch_all(&sql, &[]).await?.iter().map(deployment_row).collect()
            })
        })
        .await
    }

    /// Removes a deployment; `false` if there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_deployment(&self, endpoint: String, name: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM deployment WHERE endpoint = $1 AND name = $2";
                Ok(session.execute(sql, &[(&endpoint).into(), (&name).into()]).await? > 0)
            })
        })
        .await
    }
}

fn deployment_row(row: &Row) -> Result<DeploymentRow, MetastoreError> {
    Ok(DeploymentRow {
        endpoint: row.text("endpoint")?,
        name: row.text("name")?,
        model: row.text("model")?,
        version: row.int("version")?,
        uri: row.text("uri")?,
        digest: row.text("digest")?,
        traffic: row.int("traffic")?,
        sample: row.real("sample")?,
        run_id: row.opt_text("run_id")?,
        step: row.opt_text("step")?,
        created_at: row.int("created_at")?,
        updated_at: row.int("updated_at")?,
    })
}
