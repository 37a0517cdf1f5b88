//! The step kind `monitor`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{
    Clock, KindDoc, KindFamily, OutputDoc, QueryEngine, QueryError, QueryRequest, Signal, SignalSink,
    StepContext, StepError, StepKind, StepOutcome, StepTraits, TableRef,
};
use millrace_metastore::Metastore;
use millrace_metastore::monitoring::MonitorResultRow;
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::drift::{ColumnReport, Rule, judge, measure};
use crate::sample::{ColumnKind, Sample};

/// Compares a table with a reference, column by column: drift by two keys (an effect that matters, and no accident) and quality rates.
///
/// A column drifted if its Jensen-Shannon distance reaches `threshold` and its p-value, adjusted for the number of columns, is below
/// 0.05. With fewer than `min_rows` usable rows on a side there is no verdict.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MonitorConfig {
    /// The table that is as it should be, often the training data.
    #[schemars(with = "Value")]
    reference: Asset,
    /// The table to watch.
    #[schemars(with = "Value")]
    current: Asset,
    /// Columns to compare; all numbers, texts and truth values that both tables have, if absent.
    #[serde(default)]
    columns: Option<Vec<String>>,
    /// Name of the monitor; `<pipeline>_<step>` if absent.
    #[serde(default)]
    name: Option<String>,
    /// Jensen-Shannon distance from which a column may count as drifted, between 0 and 1.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = 0.0, max = 1.0))]
    threshold: f64,
    /// Usable rows that each side needs.
    #[serde(default = "default_min_rows")]
    min_rows: u64,
}

fn default_threshold() -> f64 {
    0.1
}

fn default_min_rows() -> u64 {
    200
}

const EXAMPLE: &str = "monitor:\n  reference: data:training@champion\n  current: ${{ steps.score.data }}\n  columns: [distance, carrier]\n  threshold: 0.1";

/// The page of the kind.
pub fn doc() -> KindDoc {
    KindDoc::of::<MonitorConfig>(KindFamily::Step, "monitor", EXAMPLE)
}

/// The document that a monitor leaves: what was compared, how, and each column's verdict.
#[derive(Debug, Serialize)]
struct Report<'a> {
    version: u32,
    monitor: &'a str,
    at: Timestamp,
    run_id: &'a str,
    step: &'a str,
    reference: String,
    current: String,
    drifted: bool,
    drifted_columns: Vec<&'a str>,
    columns: &'a [ColumnReport],
}

/// The step kind `monitor`.
pub struct MonitorStep {
    doc: KindDoc,
    engine: Arc<dyn QueryEngine>,
    store: Metastore,
    clock: Arc<dyn Clock>,
    signals: Arc<dyn SignalSink>,
    wake: Arc<Notify>,
}

impl std::fmt::Debug for MonitorStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MonitorStep")
    }
}

impl MonitorStep {
    /// Reads tables with `engine`, keeps results in `store`, reports numbers to `signals` and notifies `wake` of every new result.
    pub fn new(
        engine: Arc<dyn QueryEngine>,
        store: Metastore,
        clock: Arc<dyn Clock>,
        signals: Arc<dyn SignalSink>,
        wake: Arc<Notify>,
    ) -> Self {
        Self { doc: doc(), engine, store, clock, signals, wake }
    }

    async fn compare(
        &self,
        context: &StepContext,
        config: &MonitorConfig,
    ) -> Result<Vec<ColumnReport>, StepError> {
        let reference = table_ref("reference", &config.reference)?;
        let current = table_ref("current", &config.current)?;
        let columns = self.columns(config, &reference, &current).await?;
        let rule = Rule { threshold: config.threshold, min_rows: config.min_rows };
        let mut reports = Vec::new();
        // One column at a time, so that memory holds two columns and not two tables.
        for (name, kind) in columns {
            let before = self.sample(&reference, &name, kind).await?;
            let now = self.sample(&current, &name, kind).await?;
            let work = move || measure(&name, kind, &before, &now, rule);
            let report = tokio::task::spawn_blocking(work).await.map_err(|error| {
                StepError::permanent(Problem::error(
                    "monitor-failed",
                    format!("the comparison ended: {error}"),
                ))
            })?;
            reports.push(report);
        }
        let reports = judge(reports, rule);
        for report in &reports {
            context.log.line(&format!("{}: {}", report.column, report.reason));
        }
        Ok(reports)
    }

    async fn columns(
        &self,
        config: &MonitorConfig,
        reference: &TableRef,
        current: &TableRef,
    ) -> Result<Vec<(String, ColumnKind)>, StepError> {
        let before = self.kinds(reference).await?;
        let now = self.kinds(current).await?;
        let Some(wanted) = &config.columns else {
            let both = before.into_iter().filter(|(name, kind)| now.get(name) == Some(kind));
            return Ok(both
                .filter_map(|(name, (kind, temporal))| (!temporal).then_some((name, kind?)))
                .collect());
        };
        let mut columns = Vec::new();
        for name in wanted {
            let kind = known("reference", &before, name)?;
            let other = known("current", &now, name)?;
            if kind != other {
                let message =
                    format!("the column `{name}` is of another kind in `reference` than in `current`");
                return Err(StepError::permanent(Problem::error("monitor-column-type", message)));
            }
            columns.push((name.clone(), kind));
        }
        Ok(columns)
    }

    /// Columns of a table, with their kind and whether they are times.
    async fn kinds(
        &self,
        table: &TableRef,
    ) -> Result<IndexMap<String, (Option<ColumnKind>, bool)>, StepError> {
        let request = QueryRequest {
            sql: "select * from t".to_owned(),
            tables: IndexMap::from([("t".to_owned(), table.clone())]),
            ..QueryRequest::default()
        };
        let schema = self.engine.plan_schema(request).await.map_err(|error| step_error(&error))?;
        let entry = |field: &Arc<arrow::datatypes::Field>| {
            let data_type = field.data_type();
            (field.name().clone(), (ColumnKind::of(data_type), data_type.is_temporal()))
        };
        Ok(schema.fields().iter().map(entry).collect())
    }

    async fn sample(&self, table: &TableRef, name: &str, kind: ColumnKind) -> Result<Sample, StepError> {
        let columns = Some(vec![name.to_owned()]);
        let mut stream =
            self.engine.scan(table, columns, None).await.map_err(|error| step_error(&error))?.batches;
        let mut sample = Sample::default();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| step_error(&error))?;
            let Some(array) = batch.columns().first() else { continue };
            sample.add(kind, array).map_err(|error| {
                let message = format!("the column `{name}` cannot be compared: {error}");
                StepError::permanent(Problem::error("monitor-column-type", message))
            })?;
        }
        sample.finish();
        Ok(sample)
    }

    fn emit(&self, monitor: &str, at: Timestamp, reports: &[ColumnReport]) {
        let signal = |name: &str, labels: &[(&str, &str)], value: f64| {
            let mut labels: Vec<(String, String)> =
                labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            labels.sort();
            self.signals.record(Signal { name: name.to_owned(), labels, value, at });
        };
        for report in reports {
            let column = report.column.as_str();
            if let Some(score) = report.score {
                signal("millrace_drift_js", &[("monitor", monitor), ("column", column)], score);
            }
            for rate in &report.quality {
                let labels = [("monitor", monitor), ("column", column), ("rate", rate.name)];
                signal("millrace_quality_rate", &labels, rate.current);
            }
        }
        let drifted = reports.iter().filter(|report| report.drifted).count();
        signal("millrace_drifted_columns", &[("monitor", monitor)], drifted as f64);
    }

    async fn finish(
        &self,
        context: &StepContext,
        config: &MonitorConfig,
        reports: &[ColumnReport],
    ) -> Result<StepOutcome, StepError> {
        let default = context.dataset_name();
        let monitor = config.name.as_deref().unwrap_or(&default);
        let at = self.clock.now();
        let drifted: Vec<&str> =
            reports.iter().filter(|report| report.drifted).map(|report| report.column.as_str()).collect();
        let report = Report {
            version: 1,
            monitor,
            at,
            run_id: &context.run_id,
            step: &context.step,
            reference: config.reference.label(),
            current: config.current.label(),
            drifted: !drifted.is_empty(),
            drifted_columns: drifted.clone(),
            columns: reports,
        };
        let text = serde_json::to_string_pretty(&report).map_err(|error| failed(&error))?;
        let asset = write_report(&context.folder, text.clone()).await?;
        let row = MonitorResultRow {
            id: context.idempotency_key.clone(),
            monitor: monitor.to_owned(),
            run_id: context.run_id.clone(),
            step: context.step.clone(),
            observed_at: at.as_microsecond(),
            drifted: !drifted.is_empty(),
            drifted_columns: drifted.len() as i64,
            columns: reports.len() as i64,
            reference: report.reference.clone(),
            current: report.current.clone(),
            report: text,
        };
        self.store.upsert_monitor_result(row).await.map_err(|error| {
            StepError::transient(Problem::error("store-failed", format!("cannot keep the result: {error}")))
        })?;
        self.emit(monitor, at, reports);
        self.wake.notify_one();
        let metrics = summary(reports);
        Ok(StepOutcome {
            outputs: IndexMap::from([
                ("metrics".to_owned(), json!(metrics)),
                ("report".to_owned(), asset.to_value()),
                ("monitor".to_owned(), json!(monitor)),
                ("drifted".to_owned(), json!(!drifted.is_empty())),
                ("drifted_columns".to_owned(), json!(drifted)),
            ]),
            metrics,
            rows: reports.iter().map(|report| report.current_rows).max(),
            ..StepOutcome::default()
        })
    }
}

#[async_trait]
impl StepKind for MonitorStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    /// The same tables by the same rule are no new observation.
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let types = [
            ("metrics", "metrics"),
            ("report", "report"),
            ("monitor", "string"),
            ("drifted", "boolean"),
            ("drifted_columns", "list[string]"),
        ];
        let output =
            |(name, kind): (&str, &str)| OutputDoc { name: name.to_owned(), type_name: kind.to_owned() };
        types.into_iter().map(output).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config = MonitorConfig::deserialize(&context.config).map_err(|error| {
            let message = format!("the `monitor` step cannot read its config: {error}");
            StepError::permanent(Problem::error("step-config", message))
        })?;
        let work = self.compare(&context, &config);
        let reports = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(StepError::cancelled()),
            reports = work => reports?,
        };
        self.finish(&context, &config, &reports).await
    }
}

/// The numbers worth tracking.
fn summary(reports: &[ColumnReport]) -> IndexMap<String, f64> {
    let drifted = reports.iter().filter(|report| report.drifted).count() as f64;
    let highest = reports.iter().filter_map(|report| report.score).fold(0.0, f64::max);
    IndexMap::from([
        ("drifted_columns".to_owned(), drifted),
        ("columns".to_owned(), reports.len() as f64),
        ("max_score".to_owned(), highest),
    ])
}

fn known(
    side: &str,
    columns: &IndexMap<String, (Option<ColumnKind>, bool)>,
    name: &str,
) -> Result<ColumnKind, StepError> {
    let problem = match columns.get(name) {
        Some((Some(kind), _)) => return Ok(*kind),
        Some((None, _)) => Problem::error(
            "monitor-column-type",
            format!("the column `{name}` of `{side}` is neither number, time, text nor truth value"),
        ),
        None => {
            let problem = Problem::error("unknown-column", format!("`{side}` has no column `{name}`"));
            let names: Vec<&str> = columns.keys().map(String::as_str).collect();
            match nearest(name, &names) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.note(format!("the columns are {}", names.join(", "))),
            }
        }
    };
    Err(StepError::permanent(problem))
}

fn table_ref(field: &str, asset: &Asset) -> Result<TableRef, StepError> {
    let uri = asset.uri.clone();
    let path = uri.trim_end_matches(".gz").trim_end_matches(".zst").to_lowercase();
    let ends = |ending: &str| asset.kind == AssetType::File && path.ends_with(ending);
    match (asset.kind, asset.delta_version) {
        (AssetType::Table, Some(version)) => Ok(TableRef::Delta { uri, version }),
        (AssetType::Folder, _) => Ok(TableRef::Parquet { uri }),
        _ if ends(".parquet") => Ok(TableRef::Parquet { uri }),
        _ if ends(".csv") => Ok(TableRef::Csv { uri }),
        _ if ends(".json") || ends(".jsonl") || ends(".ndjson") => Ok(TableRef::Json { uri }),
        _ => Err(StepError::permanent(
            Problem::error("not-a-table", format!("`{field}` is not a table"))
                .hint("give a dataset, or a file that ends with .parquet, .csv, .json or .jsonl"),
        )),
    }
}

fn step_error(error: &QueryError) -> StepError {
    match error {
        QueryError::Cancelled => StepError::cancelled(),
        _ => StepError::permanent(Problem::error("table-read", error.to_string())),
    }
}

fn failed(error: &dyn std::error::Error) -> StepError {
    StepError::permanent(Problem::error("report-write", format!("cannot write the report: {error}")))
}

/// Writes `outputs/report.json` whole: beside, synced, renamed.
async fn write_report(folder: &Path, text: String) -> Result<Asset, StepError> {
    let outputs = folder.join("outputs");
    let path = outputs.join("report.json");
    let asset = Asset {
        kind: AssetType::Report,
        name: None,
        version: None,
        uri: url::Url::from_file_path(&path).map(String::from).unwrap_or_default(),
        delta_version: None,
        digest: format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()),
        rows: None,
        size_bytes: Some(text.len() as u64),
    };
    let write = move || -> std::io::Result<()> {
        use std::io::Write as _;
        fs_err::create_dir_all(&outputs)?;
        let beside = outputs.join(".report.json.new");
        let mut file = fs_err::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs_err::rename(&beside, &path)
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    Ok(asset)
}
