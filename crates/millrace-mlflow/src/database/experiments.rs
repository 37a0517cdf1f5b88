//! Experiments and evaluation datasets.

use millrace_metastore::eval_datasets::{EvalDatasetRow, EvalRecordRow};
use millrace_metastore::experiments::ExperimentFull;
use millrace_metastore::{MetastoreError, Row};
use serde_json::{Map, Value, json};

use super::{DatabaseSource, WORKSPACE, failed, pairs, some_text, text_of};
use crate::ImportError;
use crate::digest::sorted;
use crate::record::{EvalDataset, Found, micros};

/// What MLflow wraps outputs of a record in.
const WRAPPED: &str = "mlflow_wrapped";

/// A name among those of all workspaces.
pub(super) fn in_workspace(row: &Row, name: String, sign: char) -> Result<String, MetastoreError> {
    let workspace = some_text(row, "workspace")?.filter(|workspace| workspace != WORKSPACE);
    Ok(workspace.map_or_else(|| name.clone(), |workspace| format!("{workspace}{sign}{name}")))
}

impl DatabaseSource {
    pub(super) async fn read_experiments(&mut self) -> Result<Found<ExperimentFull>, ImportError> {
        const WHAT: &str = "experiments";
        let texts = ["name", "artifact_location", "lifecycle_stage", "workspace"];
        let ints = ["experiment_id", "creation_time", "last_update_time"];
        let sql = format!("{} ORDER BY experiments.experiment_id", self.select("experiments", &texts, &ints));
        let experiment = |row: &Row| {
            let created_at = micros(row.opt_int("creation_time")?.unwrap_or(0));
            Ok(ExperimentFull {
                id: row.int("experiment_id")?,
                name: in_workspace(row, text_of(row, "name")?, '/')?,
                created_at,
                updated_at: row.opt_int("last_update_time")?.map_or(created_at, micros),
                deleted: some_text(row, "lifecycle_stage")?.as_deref() == Some("deleted"),
                deleted_at: None,
                artifact_location: some_text(row, "artifact_location")?,
                tags: Vec::new(),
            })
        };
        let rows = self.fetch(WHAT, &sql, &[]).await?;
        let mut records: Vec<ExperimentFull> =
            rows.iter().map(experiment).collect::<Result<_, MetastoreError>>().map_err(failed(WHAT))?;
        if self.has("experiment_tags") {
            let sql = "SELECT CAST(experiment_id AS TEXT) AS owner, key, value FROM experiment_tags";
            let mut tags = std::collections::HashMap::<String, Vec<Row>>::new();
            for row in self.fetch(WHAT, sql, &[]).await? {
                tags.entry(row.text("owner").map_err(failed(WHAT))?).or_default().push(row);
            }
            for one in &mut records {
                one.tags = pairs(tags.remove(&one.id.to_string()), ("key", "value")).map_err(failed(WHAT))?;
            }
        }
        Ok(Found { records, broken: Vec::new() })
    }

    pub(super) async fn read_datasets(&mut self) -> Result<Option<Found<EvalDataset>>, ImportError> {
        const WHAT: &str = "evaluation datasets";
        let Some(after) = self.datasets.take().filter(|_| self.has("evaluation_datasets")) else {
            return Ok(None);
        };
        let texts = ["dataset_id", "name", "schema", "digest", "created_by", "last_updated_by"];
        let ints = ["created_time", "last_update_time"];
        let select = self.select("evaluation_datasets", &texts, &ints);
        let sql = format!(
            "{select} WHERE evaluation_datasets.dataset_id > $1 ORDER BY evaluation_datasets.dataset_id LIMIT 1"
        );
        let rows = self.fetch(WHAT, &sql, &[after.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut dataset = dataset_row(row).map_err(failed(WHAT))?;
        self.datasets = Some(dataset.id.clone());
        let ids = [dataset.id.clone()];
        let sql = "SELECT dataset_id AS owner, key, value FROM evaluation_dataset_tags";
        let mut tags = self.of(WHAT, sql, "dataset_id", &ids).await?;
        dataset.tags = pairs(tags.remove(&dataset.id), ("key", "value")).map_err(failed(WHAT))?;
        let sql =
            "SELECT source_id AS owner, CAST(destination_id AS TEXT) AS target FROM entity_associations";
        let column = "source_type = 'evaluation_dataset' AND destination_type = 'experiment' AND source_id";
        for row in self.of(WHAT, sql, column, &ids).await?.remove(&dataset.id).unwrap_or_default() {
            dataset.experiments.extend(row.text("target").map_err(failed(WHAT))?.parse::<i64>());
        }
        let texts = [
            "dataset_record_id",
            "inputs",
            "outputs",
            "expectations",
            "tags",
            "source",
            "source_id",
            "source_type",
            "created_by",
            "last_updated_by",
        ];
        let select = self.select("evaluation_dataset_records", &texts, &ints);
        let sql = format!("{select} WHERE evaluation_dataset_records.dataset_id = $1");
        let rows = self.fetch(WHAT, &sql, &[dataset.id.as_str().into()]).await?;
        let records: Vec<EvalRecordRow> =
            rows.iter().map(record_row).collect::<Result<_, MetastoreError>>().map_err(failed(WHAT))?;
        dataset.records = i64::try_from(records.len()).unwrap_or(i64::MAX);
        Ok(Some(Found { records: vec![(dataset, records)], broken: Vec::new() }))
    }
}

fn dataset_row(row: &Row) -> Result<EvalDatasetRow, MetastoreError> {
    let created_at_ms = row.opt_int("created_time")?.unwrap_or(0);
    Ok(EvalDatasetRow {
        id: row.text("dataset_id")?,
        name: text_of(row, "name")?,
        digest: text_of(row, "digest")?,
        fields: some_text(row, "schema")?,
        created_at_ms,
        updated_at_ms: row.opt_int("last_update_time")?.unwrap_or(created_at_ms),
        created_by: some_text(row, "created_by")?,
        updated_by: some_text(row, "last_updated_by")?,
        ..EvalDatasetRow::default()
    })
}

/// A record in the shape in which the server keeps those that clients send.
fn record_row(row: &Row) -> Result<EvalRecordRow, MetastoreError> {
    let part = |name: &str| -> Result<Option<Value>, MetastoreError> {
        let text = some_text(row, name)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).filter(|value: &Value| !value.is_null()))
    };
    let inputs = part("inputs")?.unwrap_or_else(|| json!({}));
    let inputs_digest = blake3::hash(sorted(&inputs).to_string().as_bytes()).to_hex().to_string();
    let mut document = Map::from_iter([("inputs".to_owned(), inputs)]);
    let outputs = part("outputs")?.map(|outputs| outputs.get(WRAPPED).cloned().unwrap_or(outputs));
    document.extend(outputs.filter(|value| !value.is_null()).map(|value| ("outputs".to_owned(), value)));
    document.extend(part("expectations")?.map(|value| ("expectations".to_owned(), value)));
    document.insert("tags".to_owned(), part("tags")?.unwrap_or_else(|| json!({})));
    document.extend(part("source")?.map(|value| ("source".to_owned(), value)));
    for name in ["source_id", "source_type", "created_by", "last_updated_by"] {
        document.extend(some_text(row, name)?.map(|text| (name.to_owned(), json!(text))));
    }
    let created_at_ms = row.opt_int("created_time")?.unwrap_or(0);
    Ok(EvalRecordRow {
        id: row.text("dataset_record_id")?,
        inputs_digest,
        document: Value::Object(document).to_string(),
        created_at_ms,
        updated_at_ms: row.opt_int("last_update_time")?.unwrap_or(created_at_ms),
    })
}
