//! Logged models that come from elsewhere, and all that there are, deleted or not.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Row, Session, Value};

use super::experiment::owned_text;
use super::models::{LoggedModelRow, ModelMetric, SELECT_MODEL, columns, metric_row, model_row};
use super::{Text, placeholders};

/// A logged model with everything that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedModel {
    /// The model.
    pub row: LoggedModelRow,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Parameters and tags.
    pub texts: Vec<Text>,
    /// The greatest point of each metric, dataset and run.
    pub metrics: Vec<ModelMetric>,
}

impl Metastore {
    /// Records models in one transaction; gives how many were new. A model that is there already stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn import_logged_models(&self, models: Vec<ImportedModel>) -> Result<usize, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let mut new = 0;
                for model in &models {
                    new += usize::from(insert(session, model).await?);
                }
                Ok(new)
            })
        })
        .await
    }

    /// Models by their ids, deleted or not, in any order; those that are absent are left out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_whole_models(&self, ids: Vec<String>) -> Result<Vec<ImportedModel>, MetastoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |session| {
            Box::pin(async move {
                let args: Vec<Value<'_>> = ids.iter().map(Into::into).collect();
                let condition = format!("this.id IN ({})", placeholders(1, ids.len()));
                whole(session, &condition, &args).await
            })
        })
        .await
    }

    /// Models of experiments, deleted or not, by id, those after one of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_whole_models(
        &self,
        experiments: Vec<i64>,
        after: String,
        limit: i64,
    ) -> Result<Vec<ImportedModel>, MetastoreError> {
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |session| {
            Box::pin(async move {
                let mut args: Vec<Value<'_>> = vec![after.into()];
                args.extend(experiments.iter().map(|id| Value::from(*id)));
                let among = placeholders(2, experiments.len());
                let condition = format!(
                    "this.id > $1 AND this.experiment_id IN ({among}) ORDER BY this.id LIMIT {limit}"
                );
                whole(session, &condition, &args).await
            })
        })
        .await
    }
}

/// Whether it was new.
async fn insert(session: &mut Session, model: &ImportedModel) -> Result<bool, MetastoreError> {
    let row = &model.row;
    let sql = "INSERT INTO logged_model (id, experiment_id, name, model_type, source_run_id, status, created_at, updated_at, lifecycle) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
    let args = [
        row.id.as_str().into(),
        row.experiment_id.into(),
        row.name.as_str().into(),
        row.model_type.as_str().into(),
        row.source_run_id.as_str().into(),
        row.status.as_str().into(),
        row.created_at.into(),
        row.updated_at.into(),
        if model.deleted { "deleted" } else { "active" }.into(),
    ];
    if session.execute(sql, &args).await? == 0 {
        return Ok(false);
    }
    let mut statements: Vec<(String, Vec<Value<'_>>)> = Vec::new();
    for (family, name, content) in &model.texts {
        let sql = "INSERT INTO logged_model_text (model_id, family, name, content) VALUES ($1, $2, $3, $4)";
        let args = [&row.id, family, name, content].map(Value::from).to_vec();
        statements.push((sql.to_owned(), args));
    }
    for metric in &model.metrics {
        let (number, is_nan) = columns(metric.point.number);
        let sql = "INSERT INTO logged_model_metric (model_id, run_id, name, logged_at, step, number, is_nan, dataset_name, dataset_digest) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let args = vec![
            row.id.as_str().into(),
            metric.run_id.as_str().into(),
            metric.point.name.as_str().into(),
            metric.point.logged_at.into(),
            metric.point.step.into(),
            number.into(),
            is_nan.into(),
            metric.dataset_name.as_str().into(),
            metric.dataset_digest.as_str().into(),
        ];
        statements.push((sql.to_owned(), args));
    }
    session.execute_all(statements).await?;
    Ok(true)
}

async fn whole(
    session: &mut Session,
    condition: &str,
    args: &[Value<'_>],
) -> Result<Vec<ImportedModel>, MetastoreError> {
    let sql = format!(
        "{SELECT_MODEL}, this.lifecycle FROM logged_model AS this JOIN experiment ON experiment.id = this.experiment_id WHERE {condition}"
    );
    let rows = session.fetch_all(&sql, args).await?;
    let model = |row: &Row| {
        let deleted = row.text("lifecycle")? == "deleted";
        Ok(ImportedModel { row: model_row(row)?, deleted, texts: Vec::new(), metrics: Vec::new() })
    };
    let mut models = rows.iter().map(model).collect::<Result<Vec<_>, MetastoreError>>()?;
    if models.is_empty() {
        return Ok(models);
    }
    let places: HashMap<String, usize> =
        models.iter().enumerate().map(|(place, model)| (model.row.id.clone(), place)).collect();
    let ids: Vec<Value<'_>> = places.keys().map(Value::from).collect();
    let marks = placeholders(1, ids.len());
    let sql = format!(
        "SELECT model_id AS owner, family, name, content FROM logged_model_text WHERE model_id IN ({marks}) ORDER BY family, name"
    );
    for row in session.fetch_all(&sql, &ids).await? {
        let (owner, text) = owned_text(&row)?;
        if let Some(model) = places.get(&owner).and_then(|place| models.get_mut(*place)) {
            model.texts.push(text);
        }
    }
    let sql = format!(
        "SELECT * FROM logged_model_metric WHERE model_id IN ({marks}) ORDER BY name, dataset_name, run_id"
    );
    for row in session.fetch_all(&sql, &ids).await? {
        let metric = ModelMetric {
            model_id: row.text("model_id")?,
            point: metric_row(&row)?,
            run_id: row.text("run_id")?,
            dataset_name: row.text("dataset_name")?,
            dataset_digest: row.text("dataset_digest")?,
        };
        if let Some(model) = places.get(&metric.model_id).and_then(|place| models.get_mut(*place)) {
            model.metrics.push(metric);
        }
    }
    Ok(models)
}
