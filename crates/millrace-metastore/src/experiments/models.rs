//! Logged models: what a run saved, before anybody gives it a name and a version.

use crate::{Metastore, MetastoreError, Row, Session, Value};

use super::experiment::{owned_text, require_active};
use super::{MetricRow, Refusal, Text, placeholders};

/// A row of `logged_model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedModelRow {
    /// `m-` and 32 hex digits.
    pub id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Name for people.
    pub name: String,
    /// Kind, as the client says; may be empty.
    pub model_type: String,
    /// The run that made it; may be empty.
    pub source_run_id: String,
    /// MLflow's word: `LOGGED_MODEL_PENDING`, `LOGGED_MODEL_READY`, `LOGGED_MODEL_UPLOAD_FAILED`.
    pub status: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// Where its experiment keeps files, if not here.
    pub artifact_location: Option<String>,
}

/// A point that tells of a model, perhaps on a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetric {
    /// The model.
    pub model_id: String,
    /// The point.
    pub point: MetricRow,
    /// The run that measured it; given by the database.
    pub run_id: String,
    /// Name of the dataset; may be empty.
    pub dataset_name: String,
    /// Its digest; may be empty.
    pub dataset_digest: String,
}

pub(super) const SELECT_MODEL: &str = "SELECT this.id, this.experiment_id, this.name, this.model_type, this.source_run_id, \
     this.status, this.created_at, this.updated_at, experiment.artifact_location";

impl Metastore {
    /// Records a new model with its parameters and tags.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such experiment or it is deleted; if the database fails.
    pub async fn create_logged_model(
        &self,
        model: LoggedModelRow,
        texts: Vec<Text>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, model.experiment_id).await?;
                let sql = "INSERT INTO logged_model (id, experiment_id, name, model_type, source_run_id, status, created_at, updated_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
                let args = [
                    model.id.as_str().into(),
                    model.experiment_id.into(),
                    model.name.as_str().into(),
                    model.model_type.as_str().into(),
                    model.source_run_id.as_str().into(),
                    model.status.as_str().into(),
                    model.created_at.into(),
                    model.updated_at.into(),
                ];
                session.execute(sql, &args).await?;
                set_texts(session, &model.id, &texts).await
            })
        })
        .await
    }

    /// A model that is not deleted.
    ///
    /// # Errors
    /// [`Refusal::NoModel`], or if the database fails.
    pub async fn find_logged_model(&self, id: String) -> Result<LoggedModelRow, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "{SELECT_MODEL} FROM logged_model AS this JOIN experiment ON experiment.id = this.experiment_id \
                     WHERE this.id = $1 AND this.lifecycle = 'active'"
                );
                let row = session.fetch_optional(&sql, &[id.as_str().into()]).await?;
                model_row(&row.ok_or(Refusal::NoModel { id })?)
            })
        })
        .await
    }

    /// Changes the status of a model.
    ///
    /// # Errors
    /// [`Refusal::NoModel`], or if the database fails.
    pub async fn set_logged_model_status(
        &self,
        id: String,
        status: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                touch(session, &id, now).await?;
                let sql = "UPDATE logged_model SET status = $2 WHERE id = $1";
                session.execute(sql, &[id.as_str().into(), status.as_str().into()]).await.map(drop)
            })
        })
        .await
    }

    /// Deletes a model; its files stay.
    ///
    /// # Errors
    /// [`Refusal::NoModel`], or if the database fails.
    pub async fn delete_logged_model(&self, id: String, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                touch(session, &id, now).await?;
                let sql = "UPDATE logged_model SET lifecycle = 'deleted' WHERE id = $1";
                session.execute(sql, &[id.as_str().into()]).await.map(drop)
            })
        })
        .await
    }

    /// Sets parameters and tags of a model.
    ///
    /// # Errors
    /// [`Refusal::NoModel`], or if the database fails.
    pub async fn set_logged_model_texts(
        &self,
        id: String,
        texts: Vec<Text>,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                touch(session, &id, now).await?;
                set_texts(session, &id, &texts).await
            })
        })
        .await
    }

    /// Removes a tag of a model.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such model or tag; if the database fails.
    pub async fn delete_logged_model_tag(
        &self,
        id: String,
        key: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                touch(session, &id, now).await?;
                let sql =
                    "DELETE FROM logged_model_text WHERE model_id = $1 AND family = 'tag' AND name = $2";
                match session.execute(sql, &[id.as_str().into(), key.as_str().into()]).await? {
                    0 => Err(Refusal::NoTag { what: "logged model", id, key }.into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Parameters and tags of models, each with the model's id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_logged_model_texts(
        &self,
        ids: Vec<String>,
    ) -> Result<Vec<(String, Text)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = Vec::new();
                for ids in ids.chunks(500) {
                    let sql = format!(
                        "SELECT model_id AS owner, family, name, content FROM logged_model_text WHERE model_id IN ({}) \
                         ORDER BY model_id, family, name",
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

    /// The latest points of models.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_logged_model_metrics(
        &self,
        ids: Vec<String>,
    ) -> Result<Vec<ModelMetric>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = Vec::new();
                for ids in ids.chunks(500) {
                    let sql = format!(
                        "SELECT * FROM logged_model_metric WHERE model_id IN ({}) ORDER BY model_id, name, dataset_name, run_id",
                        placeholders(1, ids.len())
                    );
                    let args: Vec<_> = ids.iter().map(Into::into).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        found.push(ModelMetric {
                            model_id: row.text("model_id")?,
                            point: metric_row(&row)?,
                            run_id: row.text("run_id")?,
                            dataset_name: row.text("dataset_name")?,
                            dataset_digest: row.text("dataset_digest")?,
                        });
                    }
                }
                Ok(found)
            })
        })
        .await
    }
}

async fn touch(session: &mut Session, id: &str, now: i64) -> Result<(), MetastoreError> {
    let sql = "UPDATE logged_model SET updated_at = $2 WHERE id = $1 AND lifecycle = 'active'";
    match session.execute(sql, &[id.into(), now.into()]).await? {
        0 => Err(Refusal::NoModel { id: id.to_owned() }.into()),
        _ => Ok(()),
    }
}

async fn set_texts(session: &mut Session, id: &str, texts: &[Text]) -> Result<(), MetastoreError> {
    for (family, name, content) in texts {
        let sql = "INSERT INTO logged_model_text (model_id, family, name, content) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (model_id, family, name) DO UPDATE SET content = excluded.content";
        let args = [id.into(), family.as_str().into(), name.as_str().into(), content.as_str().into()];
        session.execute(sql, &args).await?;
    }
    Ok(())
}

/// Keeps the greatest point of a model, metric, dataset and run by step, time and number.
pub(super) async fn log_model_metrics(
    session: &mut Session,
    run_id: &str,
    metrics: &[ModelMetric],
) -> Result<(), MetastoreError> {
    for metric in metrics {
        let find = "SELECT id FROM logged_model WHERE id = $1 AND lifecycle = 'active'";
        if session.fetch_optional(find, &[metric.model_id.as_str().into()]).await?.is_none() {
            return Err(Refusal::NoModel { id: metric.model_id.clone() }.into());
        }
        let (number, is_nan) = columns(metric.point.number);
        let args: [Value<'_>; 9] = [
            metric.model_id.as_str().into(),
            run_id.into(),
            metric.point.name.as_str().into(),
            metric.point.logged_at.into(),
            metric.point.step.into(),
            number.into(),
            is_nan.into(),
            metric.dataset_name.as_str().into(),
            metric.dataset_digest.as_str().into(),
        ];
        let sql = "INSERT INTO logged_model_metric AS known (model_id, run_id, name, logged_at, step, number, is_nan, dataset_name, dataset_digest) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (model_id, name, dataset_name, dataset_digest, run_id) \
                   DO UPDATE SET logged_at = excluded.logged_at, step = excluded.step, number = excluded.number, is_nan = excluded.is_nan \
                   WHERE (excluded.step, excluded.logged_at, excluded.number) > (known.step, known.logged_at, known.number)";
        session.execute(sql, &args).await?;
    }
    Ok(())
}

pub(super) fn model_row(row: &Row) -> Result<LoggedModelRow, MetastoreError> {
    Ok(LoggedModelRow {
        id: row.text("id")?,
        experiment_id: row.int("experiment_id")?,
        name: row.text("name")?,
        model_type: row.text("model_type")?,
        source_run_id: row.text("source_run_id")?,
        status: row.text("status")?,
        created_at: row.int("created_at")?,
        updated_at: row.int("updated_at")?,
        artifact_location: row.opt_text("artifact_location")?,
    })
}

/// The number and the mark of "not a number" as columns: no database has a NaN that both kinds read back alike.
pub(super) fn columns(number: f64) -> (f64, i64) {
    if number.is_nan() { (0.0, 1) } else { (number.clamp(f64::MIN, f64::MAX), 0) }
}

pub(super) fn metric_row(row: &Row) -> Result<MetricRow, MetastoreError> {
    Ok(MetricRow {
        name: row.text("name")?,
        step: row.int("step")?,
        logged_at: row.int("logged_at")?,
        number: if row.bool("is_nan")? { f64::NAN } else { row.real("number")? },
    })
}
