//! Runs with what they logged, and logged models.

use std::collections::{BTreeMap, HashMap};

use millrace_metastore::experiments::{
    DatasetInput, ImportedModel, ImportedRun, LoggedModelRow, MetricRow, ModelLink, ModelMetric,
    TrackedRunRow,
};
use millrace_metastore::{MetastoreError, Row, Value};

use super::{DatabaseSource, MANY, TOGETHER, failed, marks, pairs, some_text, text_of};
use crate::ImportError;
use crate::folder::{dataset_input, greatest, status_word};
use crate::record::{Broken, Found, Model, Run, micros, settle};

const WHAT: &str = "runs";

/// Rows by the id of their run.
type Grouped = BTreeMap<String, Vec<Row>>;

impl DatabaseSource {
    pub(super) async fn read_runs(&mut self) -> Result<Option<Found<Run>>, ImportError> {
        let Some(after) = self.runs.take() else { return Ok(None) };
        let texts = ["run_uuid", "name", "user_id", "status", "lifecycle_stage", "artifact_uri"];
        let select = self.select("runs", &texts, &["start_time", "end_time", "experiment_id"]);
        let sql = format!("{select} WHERE runs.run_uuid > $1 ORDER BY runs.run_uuid LIMIT {TOGETHER}");
        let rows = self.fetch(WHAT, &sql, &[after.into()]).await?;
        let rows: Vec<(TrackedRunRow, String)> =
            rows.iter().map(run_row).collect::<Result<_, MetastoreError>>().map_err(failed(WHAT))?;
        let rows = self.within_reach(rows).await?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        self.runs = Some(last.id.clone());
        let ids: Vec<String> = rows.iter().map(|(row, _)| row.id.clone()).collect();
        let nan =
            if self.has_column("metrics", "is_nan") { "CASE WHEN is_nan THEN 1 ELSE 0 END" } else { "0" };
        let step = if self.has_column("metrics", "step") { "step" } else { "0" };
        let sql = format!(
            "SELECT run_uuid AS owner, key, value, CAST(timestamp AS BIGINT) AS logged_at, CAST({step} AS BIGINT) AS step, \
             CAST({nan} AS BIGINT) AS is_nan FROM metrics"
        );
        let mut points = self.of("metrics", &sql, "run_uuid", &ids).await?;
        let text = |table: &str| format!("SELECT run_uuid AS owner, key, value FROM {table}");
        let mut params = self.of("params", &text("params"), "run_uuid", &ids).await?;
        let mut tags = self.of("tags", &text("tags"), "run_uuid", &ids).await?;
        let mut datasets = self.read_inputs(&ids).await?;
        let mut models = self.read_links(&ids).await?;
        let mut found = Found::default();
        for (row, uri) in rows {
            let id = row.id.clone();
            let read = || -> Result<ImportedRun, MetastoreError> {
                Ok(ImportedRun {
                    points: points
                        .remove(&id)
                        .unwrap_or_default()
                        .iter()
                        .map(point)
                        .collect::<Result<_, _>>()?,
                    params: pairs(params.remove(&id), ("key", "value"))?,
                    tags: pairs(tags.remove(&id), ("key", "value"))?,
                    datasets: datasets.remove(&id).unwrap_or_default(),
                    models: models.remove(&id).unwrap_or_default(),
                    row,
                })
            };
            found.take(read().map_err(|error| Broken::new(format!("run {id}"), error)).map(|mut run| {
                settle(&mut run);
                Run { run, uri }
            }));
        }
        Ok(Some(found))
    }

    /// The first of these runs, as many as have not too many points together; at least one.
    async fn within_reach(
        &self,
        mut rows: Vec<(TrackedRunRow, String)>,
    ) -> Result<Vec<(TrackedRunRow, String)>, ImportError> {
        let args: Vec<Value<'_>> = rows.iter().map(|(row, _)| Value::from(row.id.clone())).collect();
        if args.is_empty() {
            return Ok(rows);
        }
        let sql = format!(
            "SELECT run_uuid AS owner, COUNT(*) AS many FROM metrics WHERE run_uuid IN ({}) GROUP BY run_uuid",
            marks(args.len())
        );
        let mut counts = HashMap::new();
        for row in self.fetch("metrics", &sql, &args).await? {
            let count = row.text("owner").and_then(|owner| Ok((owner, row.int("many")?)));
            counts.extend([count.map_err(failed("metrics"))?]);
        }
        let mut sum = 0;
        let fits = rows.iter().take_while(|(row, _)| {
            sum += counts.get(&row.id).copied().unwrap_or(0);
            sum <= MANY
        });
        let fits = fits.count().max(1);
        rows.truncate(fits);
        Ok(rows)
    }

    async fn read_inputs(&self, ids: &[String]) -> Result<HashMap<String, Vec<DatasetInput>>, ImportError> {
        let mut found: HashMap<String, Vec<DatasetInput>> = HashMap::new();
        if !self.has("inputs") {
            return Ok(found);
        }
        let sql = "SELECT inputs.destination_id AS owner, inputs.input_uuid, datasets.name, datasets.digest, \
                   datasets.dataset_source_type, datasets.dataset_source, datasets.dataset_schema, datasets.dataset_profile \
                   FROM inputs JOIN datasets ON datasets.dataset_uuid = inputs.source_id";
        let column =
            "inputs.source_type = 'DATASET' AND inputs.destination_type = 'RUN' AND inputs.destination_id";
        let inputs = self.of("inputs", sql, column, ids).await?;
        let uuid = |row: &Row| row.text("input_uuid").map_err(failed("inputs"));
        let uuids: Vec<String> = inputs.values().flatten().map(uuid).collect::<Result<_, _>>()?;
        let mut tags = Grouped::new();
        for uuids in uuids.chunks(500) {
            let sql = "SELECT input_uuid AS owner, name, value FROM input_tags";
            tags.extend(self.of("inputs", sql, "input_uuid", uuids).await?);
        }
        for (run, rows) in inputs {
            for row in rows {
                let uuid = row.text("input_uuid").map_err(failed("inputs"))?;
                let read = pairs(tags.remove(&uuid), ("name", "value")).and_then(|tags| {
                    let data = DatasetInput {
                        name: text_of(&row, "name")?,
                        digest: text_of(&row, "digest")?,
                        source_type: text_of(&row, "dataset_source_type")?,
                        source: text_of(&row, "dataset_source")?,
                        schema: some_text(&row, "dataset_schema")?,
                        profile: some_text(&row, "dataset_profile")?,
                        context: None,
                        tags: String::new(),
                    };
                    Ok(dataset_input(data, tags))
                });
                found.entry(run.clone()).or_default().push(read.map_err(failed("inputs"))?);
            }
        }
        Ok(found)
    }

    async fn read_links(&self, ids: &[String]) -> Result<HashMap<String, Vec<ModelLink>>, ImportError> {
        let mut found: HashMap<String, Vec<ModelLink>> = HashMap::new();
        if !self.has_column("inputs", "step") {
            return Ok(found);
        }
        let sql = "SELECT source_id AS owner, source_type, destination_id, CAST(step AS BIGINT) AS step FROM inputs";
        for (run, rows) in
            self.of("inputs", sql, "source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id", ids).await?
        {
            let link = |row: &Row| {
                let direction = if row.text("source_type")? == "RUN_INPUT" { "input" } else { "output" };
                Ok(ModelLink { direction, model_id: row.text("destination_id")?, step: row.int("step")? })
            };
            let links = rows.iter().map(link).collect::<Result<_, MetastoreError>>();
            found.insert(run, links.map_err(failed("inputs"))?);
        }
        Ok(found)
    }

    pub(super) async fn read_models(&mut self) -> Result<Option<Found<Model>>, ImportError> {
        const WHAT: &str = "logged models";
        let Some(after) = self.models.take().filter(|_| self.has("logged_models")) else { return Ok(None) };
        let texts =
            ["model_id", "name", "artifact_location", "lifecycle_stage", "model_type", "source_run_id"];
        let ints = ["experiment_id", "creation_timestamp_ms", "last_updated_timestamp_ms", "status"];
        let select = self.select("logged_models", &texts, &ints);
        let sql = format!(
            "{select} WHERE logged_models.model_id > $1 ORDER BY logged_models.model_id LIMIT {TOGETHER}"
        );
        let rows = self.fetch(WHAT, &sql, &[after.into()]).await?;
        let mut models: Vec<Model> =
            rows.iter().map(model).collect::<Result<_, MetastoreError>>().map_err(failed(WHAT))?;
        let Some(last) = models.last() else { return Ok(None) };
        self.models = Some(last.model.row.id.clone());
        let ids: Vec<String> = models.iter().map(|model| model.model.row.id.clone()).collect();
        let text = |family: &str| {
            format!(
                "SELECT model_id AS owner, {family}_key AS key, {family}_value AS value FROM logged_model_{family}s"
            )
        };
        let mut params = self.of(WHAT, &text("param"), "model_id", &ids).await?;
        let mut tags = self.of(WHAT, &text("tag"), "model_id", &ids).await?;
        let sql = "SELECT model_id AS owner, metric_name AS key, metric_value AS value, dataset_name, dataset_digest, run_id, \
                   CAST(metric_timestamp_ms AS BIGINT) AS logged_at, CAST(metric_step AS BIGINT) AS step FROM logged_model_metrics";
        let mut metrics = self.of(WHAT, sql, "model_id", &ids).await?;
        for Model { model, .. } in &mut models {
            let id = model.row.id.clone();
            for (family, rows) in [("param", params.remove(&id)), ("tag", tags.remove(&id))] {
                let pairs = pairs(rows, ("key", "value")).map_err(failed(WHAT))?;
                model.texts.extend(pairs.into_iter().map(|(key, value)| (family.to_owned(), key, value)));
            }
            let metric = |row: &Row| {
                // MLflow stores "not a number" as nothing.
                let number = row.opt_real("value")?.unwrap_or(f64::NAN);
                Ok(ModelMetric {
                    model_id: id.clone(),
                    point: MetricRow {
                        name: text_of(row, "key")?,
                        step: row.int("step")?,
                        logged_at: micros(row.int("logged_at")?),
                        number,
                    },
                    run_id: text_of(row, "run_id")?,
                    dataset_name: text_of(row, "dataset_name")?,
                    dataset_digest: text_of(row, "dataset_digest")?,
                })
            };
            let all = metrics.remove(&id).unwrap_or_default();
            let all =
                all.iter().map(metric).collect::<Result<Vec<_>, MetastoreError>>().map_err(failed(WHAT))?;
            model.metrics = greatest(all);
        }
        Ok(Some(Found { records: models, broken: Vec::new() }))
    }
}

fn run_row(row: &Row) -> Result<(TrackedRunRow, String), MetastoreError> {
    let run = TrackedRunRow {
        id: row.text("run_uuid")?,
        experiment_id: row.int("experiment_id")?,
        name: text_of(row, "name")?,
        status: some_text(row, "status")?.unwrap_or_else(|| "RUNNING".to_owned()),
        started_at: micros(row.opt_int("start_time")?.unwrap_or(0)),
        ended_at: row.opt_int("end_time")?.map(micros),
        user_id: text_of(row, "user_id")?,
        deleted: some_text(row, "lifecycle_stage")?.as_deref() == Some("deleted"),
        ..TrackedRunRow::default()
    };
    Ok((run, text_of(row, "artifact_uri")?))
}

fn point(row: &Row) -> Result<MetricRow, MetastoreError> {
    Ok(MetricRow {
        name: text_of(row, "key")?,
        step: row.int("step")?,
        logged_at: micros(row.int("logged_at")?),
        number: if row.bool("is_nan")? { f64::NAN } else { row.real("value")? },
    })
}

fn model(row: &Row) -> Result<Model, MetastoreError> {
    let status = row.int("status")?;
    let created_at = micros(row.int("creation_timestamp_ms")?);
    let model = LoggedModelRow {
        id: row.text("model_id")?,
        experiment_id: row.int("experiment_id")?,
        name: text_of(row, "name")?,
        model_type: text_of(row, "model_type")?,
        source_run_id: text_of(row, "source_run_id")?,
        status: status_word(status).or_else(|| status_word(0)).unwrap_or_default().to_owned(),
        created_at,
        updated_at: row.opt_int("last_updated_timestamp_ms")?.map_or(created_at, micros),
        artifact_location: None,
    };
    let deleted = some_text(row, "lifecycle_stage")?.as_deref() == Some("deleted");
    let model = ImportedModel { row: model, deleted, texts: Vec::new(), metrics: Vec::new() };
    Ok(Model { model, uri: text_of(row, "artifact_location")? })
}
