use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, BatchStream, DatasetCatalog, KindDoc, KindFamily, LoadedModel, ModelError, ModelRegistry,
    ModelRuntime, NewDatasetVersion, OutputDoc, Producer, Progress, QueryEngine, QueryError, StepContext,
    StepError, StepKind, StepOutcome, StepTraits, TableRef, WriteMode, WrittenTable,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ModelArgument, catalog_error, config_error, resolve};
use crate::score::model_problem;

/// Scores a whole table and writes it with the columns `prediction` and, for classifiers, `probability_<class>`.
///
/// Rows are read, scored and written as they come, so a table need not fit into memory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScoreConfig {
    /// The model: an output of a training or `register` step, or `name`, `name@3`, `name@alias`.
    model: Value,
    /// The table.
    #[schemars(with = "Value")]
    data: Asset,
    /// Dataset to write, `data:name`; without it the table stays with the run.
    #[serde(default)]
    to: Option<String>,
    /// Columns to keep beside the predictions; all if absent.
    #[serde(default)]
    keep: Option<Vec<String>>,
}

const EXAMPLE: &str = "score:\n  model: late_flights@champion\n  data: ${{ steps.split.test }}\n  to: data:late_flights_scored\n  keep: [flight, carrier]";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<ScoreConfig>(KindFamily::Step, "score", EXAMPLE)
}

/// What the kind needs from others.
#[derive(Clone)]
pub struct ScoreServices {
    /// Loads models.
    pub runtime: Arc<dyn ModelRuntime>,
    /// Names models.
    pub registry: Arc<dyn ModelRegistry>,
    /// Reads and writes tables.
    pub engine: Arc<dyn QueryEngine>,
    /// Names and records datasets.
    pub datasets: Arc<dyn DatasetCatalog>,
}

/// The step kind `score`.
pub struct ScoreStep {
    doc: KindDoc,
    services: ScoreServices,
}

impl std::fmt::Debug for ScoreStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScoreStep")
    }
}

#[async_trait]
impl StepKind for ScoreStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    /// An alias may move, so only an asset or a numbered version may be reused.
    fn reusable(&self, config: &Value) -> bool {
        let Some(text) = config.get("model").and_then(Value::as_str) else { return true };
        let numbered = text.rsplit(['@', '/']).next().is_some_and(|version| version.parse::<u64>().is_ok());
        text.contains("${{") || (numbered && text.contains(['@', '/']))
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        [("data", "table"), ("rows", "integer")]
            .map(|(name, type_name)| OutputDoc { name: name.to_owned(), type_name: type_name.to_owned() })
            .into()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(StepError::cancelled()),
            done = self.score(&context) => done,
        }
    }
}

impl ScoreStep {
    /// Scores with what `services` gives.
    pub fn new(services: ScoreServices) -> Self {
        Self { doc: doc(), services }
    }

    async fn score(&self, context: &StepContext) -> Result<StepOutcome, StepError> {
        let config =
            ScoreConfig::deserialize(&context.config).map_err(|error| config_error("score", &error))?;
        let asset = match ModelArgument::read(&config.model)? {
            ModelArgument::Asset(asset) => asset,
            ModelArgument::Reference(text) => resolve(self.services.registry.as_ref(), &text).await?.asset,
        };
        let model = self.services.runtime.load(&asset.uri).await;
        let model = model.map_err(|error| StepError::permanent(model_problem(&error)))?;
        let table = table_ref(&config.data).map_err(StepError::permanent)?;
        let engine = self.services.engine.as_ref();
        let schema = engine.scan(&table, None, Some(0)).await.map_err(|error| query_error(&error))?.schema;
        let plan = Plan::new(&schema, config.keep.as_deref(), model).map_err(StepError::permanent)?;
        let rows =
            engine.scan(&table, Some(plan.read.clone()), None).await.map_err(|error| query_error(&error))?;
        let failure = Failure::default();
        let scored = scored(rows, Arc::new(plan), context, config.data.rows, &failure);
        let name = config.to.as_deref().map(|to| to.strip_prefix("data:").unwrap_or(to));
        let uri = match name {
            Some(name) => self.services.datasets.location(name).map_err(|error| catalog_error(&error))?,
            None => format!("file://{}", context.folder.join("data").display()),
        };
        let written = engine.write_table(&uri, scored, WriteMode::Overwrite).await;
        // What the model said is the cause; what the engine says about it an echo.
        if let Some(error) = failure.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(StepError::permanent(model_problem(&error)));
        }
        let written = written.map_err(|error| query_error(&error))?;
        let (rows, bytes) = (written.rows, written.size_bytes);
        let inputs = vec![asset_key(&config.data, "dataset"), asset_key(&asset, "model")];
        let data = match name {
            Some(name) => self.commit(context, name, written, inputs).await?,
            None => written.asset(),
        };
        context.log.line(&format!("scored {rows} rows with {} into {}", asset.label(), data.label()));
        let outputs =
            IndexMap::from([("data".to_owned(), data.to_value()), ("rows".to_owned(), rows.into())]);
        Ok(StepOutcome { outputs, rows: Some(rows), bytes: Some(bytes), ..StepOutcome::default() })
    }

    async fn commit(
        &self,
        context: &StepContext,
        name: &str,
        written: WrittenTable,
        inputs: Vec<AssetKey>,
    ) -> Result<Asset, StepError> {
        let profile =
            self.services.engine.profile(&written.table()).await.map_err(|error| query_error(&error))?;
        let version = NewDatasetVersion {
            name: name.to_owned(),
            asset: written.asset(),
            schema: written.schema,
            profile: Some(profile),
            producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
            inputs,
        };
        Ok(self.services.datasets.commit(version).await.map_err(|error| catalog_error(&error))?.asset)
    }
}

/// Which columns are read and which are written.
struct Plan {
    model: Arc<dyn LoadedModel>,
    /// Columns to read, in the table's order.
    read: Vec<String>,
    /// Columns to keep, as they are written.
    keep: Vec<FieldRef>,
    /// Names of the model's columns, first `prediction`.
    added: Vec<String>,
}

/// Why the rows ended early.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<ModelError>>>);

impl Plan {
    fn new(schema: &Schema, keep: Option<&[String]>, model: Arc<dyn LoadedModel>) -> Result<Self, Problem> {
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let keep: Vec<FieldRef> = match keep {
            None => schema.fields().iter().cloned().collect(),
            Some(names) => {
                names.iter().map(|name| known(schema, &columns, name)).collect::<Result<_, _>>()?
            }
        };
        for column in model.signature().inputs.iter().filter(|column| column.required) {
            known(schema, &columns, &column.name)?;
        }
        let added: Vec<String> = model.signature().outputs.iter().map(|column| column.name.clone()).collect();
        if let Some(field) = keep.iter().find(|field| added.contains(field.name())) {
            let message =
                format!("the data has a column `{}` already, which is the prediction's name", field.name());
            return Err(Problem::error("column-exists", message).hint("list the other columns in `keep`"));
        }
        let needed = |name: &&&str| {
            keep.iter().any(|field| field.name() == **name)
                || model.signature().inputs.iter().any(|column| column.name == **name)
        };
        let read = columns.iter().filter(needed).map(|name| (*name).to_owned()).collect();
        Ok(Self { read, keep, added, model })
    }

    fn schema(&self, predictions: &Schema) -> SchemaRef {
        let added = self.added.iter().filter_map(|name| predictions.field_with_name(name).ok());
        let fields: Vec<Field> =
            self.keep.iter().map(|field| Field::clone(field)).chain(added.cloned()).collect();
        Arc::new(Schema::new(fields))
    }

    fn score(&self, rows: &RecordBatch) -> Result<RecordBatch, ModelError> {
        let predictions = self.model.score(rows)?;
        let kept = self.keep.iter().filter_map(|field| rows.column_by_name(field.name()));
        let added = self.added.iter().filter_map(|name| predictions.column_by_name(name));
        let columns: Vec<ArrayRef> = kept.chain(added).cloned().collect();
        RecordBatch::try_new(self.schema(&predictions.schema()), columns)
            .map_err(|error| ModelError::Run { message: error.to_string() })
    }
}

fn known(schema: &Schema, columns: &[&str], name: &str) -> Result<FieldRef, Problem> {
    let found = schema.fields().iter().find(|field| field.name() == name);
    found.cloned().ok_or_else(|| {
        let problem = Problem::error("unknown-column", format!("the data has no column `{name}`"));
        match nearest(name, columns) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("the columns are {}", columns.join(", "))),
        }
    })
}

/// The rows with their predictions, in order, a few batches scored at once.
fn scored(
    rows: BatchStream,
    plan: Arc<Plan>,
    context: &StepContext,
    total: Option<u64>,
    failure: &Failure,
) -> BatchStream {
    // A score of no rows tells the types of the model's columns.
    let empty = RecordBatch::new_empty(rows.schema.clone());
    let types = plan.model.score(&empty).map_or_else(|_| declared(&plan), |batch| batch.schema());
    let schema = plan.schema(&types);
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let (progress, done, failure) = (context.progress.clone(), Arc::new(AtomicU64::new(0)), failure.clone());
    let batches = rows.batches.map(move |batch| {
        let (plan, failure) = (plan.clone(), failure.clone());
        async move {
            let batch = batch?;
            let work = tokio::task::spawn_blocking(move || plan.score(&batch)).await;
            let lost = |_| ModelError::Run { message: "it crashed".to_owned() };
            work.map_err(lost).and_then(|scored| scored).map_err(|error| {
                let message = error.to_string();
                failure.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                QueryError::Source { message }
            })
        }
    });
    let counted = batches.buffered(at_once).inspect(move |batch| {
        if let Ok(batch) = batch {
            let rows = batch.num_rows() as u64;
            let rows = done.fetch_add(rows, Ordering::Relaxed) + rows;
            let fraction =
                total.filter(|total| *total > 0).map(|total| (rows as f64 / total as f64).min(1.0));
            progress.report(Progress { fraction, rows: Some(rows), ..Progress::default() });
        }
    });
    BatchStream { schema, batches: Box::pin(counted) }
}

/// The types of the model's columns by its signature.
fn declared(plan: &Plan) -> SchemaRef {
    use arrow::datatypes::DataType;
    let field = |column: &millrace_contract::ModelColumn| {
        let kind = match column.data_type.as_str() {
            "boolean" => DataType::Boolean,
            "long" => DataType::Int64,
            "string" => DataType::Utf8,
            _ => DataType::Float64,
        };
        Field::new(&column.name, kind, true)
    };
    Arc::new(Schema::new(plan.model.signature().outputs.iter().map(field).collect::<Vec<_>>()))
}

fn table_ref(asset: &Asset) -> Result<TableRef, Problem> {
    match (asset.kind, asset.delta_version) {
        (AssetType::Table, Some(version)) => Ok(TableRef::Delta { uri: asset.uri.clone(), version }),
        (AssetType::Folder, _) => Ok(TableRef::Parquet { uri: asset.uri.clone() }),
        (AssetType::File, _) if asset.uri.ends_with(".parquet") => {
            Ok(TableRef::Parquet { uri: asset.uri.clone() })
        }
        _ => Err(Problem::error("not-a-table", "what `data` names is not a table")
            .hint("data: ${{ steps.split.test }}")),
    }
}

fn asset_key(asset: &Asset, kind: &str) -> AssetKey {
    match (&asset.name, asset.version) {
        (Some(name), Some(version)) => AssetKey { kind: kind.to_owned(), name: name.clone(), version },
        _ => AssetKey { kind: "source".to_owned(), name: asset.uri.clone(), version: 0 },
    }
}

fn query_error(error: &QueryError) -> StepError {
    let code = match error {
        QueryError::Cancelled => return StepError::cancelled(),
        QueryError::Read { .. } => "table-read",
        QueryError::Write { .. } => "table-write",
        QueryError::Source { .. } => "rows-source",
        QueryError::Plan { .. } | QueryError::Run { .. } => "table-scan",
    };
    StepError::permanent(Problem::error(code, error.to_string()))
}
