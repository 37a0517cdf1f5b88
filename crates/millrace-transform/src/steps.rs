//! Step kinds of this room: `sql`, `flow`, `split`, `sql_models`.

use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, BatchStream, CatalogError, Clock, DatasetCatalog, KindDoc, NewDatasetVersion, Producer,
    QueryEngine, QueryError, RemoteEngines, StepContext, StepError, StepKind, TableRef, WriteMode,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::engine::{DataFusionEngine, origins};
use crate::sql_models::Services;

mod elsewhere;
mod flow;
mod learned;
mod split;
mod sql;
mod sql_models;

pub use flow::FlowStep;
pub use split::SplitStep;
pub use sql::SqlStep;
pub use sql_models::SqlModelsStep;

/// Every step kind of this room. `remotes` are the engines that a step may name.
pub fn kinds(
    engine: &DataFusionEngine,
    catalog: &Arc<dyn DatasetCatalog>,
    clock: &Arc<dyn Clock>,
    remotes: &Arc<dyn RemoteEngines>,
) -> Vec<Arc<dyn StepKind>> {
    let services = Services { engine: engine.clone(), catalog: catalog.clone(), clock: clock.clone() };
    vec![
        Arc::new(SqlStep::new(engine.clone(), catalog.clone()).with_remotes(remotes.clone())),
        Arc::new(FlowStep::new(engine.clone(), catalog.clone()).with_remotes(remotes.clone())),
        Arc::new(SplitStep::new(Arc::new(engine.clone()), catalog.clone())),
        Arc::new(SqlModelsStep::new(services)),
    ]
}

/// The pages of this room's step kinds.
pub fn docs() -> Vec<KindDoc> {
    vec![sql::doc(), flow::doc(), split::doc(), sql_models::doc()]
}

/// An asset as a table: a table at its version, or a file by its ending.
pub(crate) fn table_ref(name: &str, asset: &Asset) -> Result<TableRef, Problem> {
    let uri = asset.uri.clone();
    let path = uri.trim_end_matches(".gz").trim_end_matches(".zst").to_lowercase();
    match asset.kind {
        AssetType::Table => match asset.delta_version {
            Some(version) => Ok(TableRef::Delta { uri, version }),
            None => {
                Err(Problem::error("not-a-table", format!("the table `{name}` has no version in its log")))
            }
        },
        AssetType::Folder => Ok(TableRef::Parquet { uri }),
        AssetType::File if path.ends_with(".parquet") => Ok(TableRef::Parquet { uri }),
        AssetType::File if path.ends_with(".csv") => Ok(TableRef::Csv { uri }),
        AssetType::File
            if path.ends_with(".json") || path.ends_with(".jsonl") || path.ends_with(".ndjson") =>
        {
            Ok(TableRef::Json { uri })
        }
        _ => Err(Problem::error("not-a-table", format!("the input `{name}` is not a table"))
            .hint("give a dataset, or a file that ends with .parquet, .csv, .json or .jsonl")),
    }
}

/// The step's inputs that are assets, as tables and as lineage.
pub(crate) fn tables(
    context: &StepContext,
) -> Result<(IndexMap<String, TableRef>, Vec<AssetKey>), StepError> {
    let mut tables = IndexMap::new();
    let mut keys = Vec::new();
    for (name, value) in &context.inputs {
        let Some(asset) = Asset::from_value(value) else { continue };
        tables.insert(name.clone(), table_ref(name, &asset).map_err(StepError::permanent)?);
        keys.push(asset_key(&asset));
    }
    Ok((tables, keys))
}

pub(crate) fn asset_key(asset: &Asset) -> AssetKey {
    match (&asset.name, asset.version) {
        (Some(name), Some(version)) => AssetKey { kind: "dataset".to_owned(), name: name.clone(), version },
        _ => AssetKey { kind: "source".to_owned(), name: asset.uri.clone(), version: 0 },
    }
}

/// Which columns the columns of a dataset come from, as the plan of its rows says; `None` where that is not known.
pub(crate) fn column_lineage(
    context: &StepContext,
    dataset: &str,
    frame: &datafusion::dataframe::DataFrame,
) -> Option<millrace_contract::ColumnLineage> {
    let input = |table: &str| {
        let name = table.strip_prefix(crate::flow::INPUT_PREFIX).unwrap_or(table);
        context.inputs.get(name).and_then(Asset::from_value).map(|asset| asset_key(&asset))
    };
    origins::lineage(frame.logical_plan(), dataset, &input)
}

/// The name of the dataset that a step writes: `to:` without `data:`, or `<pipeline>_<step>`, and the output's name unless it is `data`.
pub(crate) fn dataset_name(context: &StepContext, to: Option<&str>, output: &str) -> String {
    let base = match to {
        Some(to) => to.strip_prefix("data:").unwrap_or(to).to_owned(),
        None => context.dataset_name(),
    };
    if output == "data" { base } else { format!("{base}_{output}") }
}

/// Writes rows as a new version of a dataset and records it. Ends early if the step is cancelled.
pub(crate) async fn publish(
    engine: &dyn QueryEngine,
    catalog: &dyn DatasetCatalog,
    context: &StepContext,
    name: &str,
    rows: BatchStream,
    inputs: &[AssetKey],
) -> Result<Asset, StepError> {
    let work = async {
        let uri = catalog.location(name).map_err(|error| catalog_error(&error))?;
        let written =
            engine.write_table(&uri, rows, WriteMode::Overwrite).await.map_err(|error| step_error(&error))?;
        let profile = engine.profile(&written.table()).await.map_err(|error| step_error(&error))?;
        let version = NewDatasetVersion {
            name: name.to_owned(),
            asset: written.asset(),
            schema: written.schema,
            profile: Some(profile),
            producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
            inputs: inputs.to_vec(),
        };
        let recorded = catalog.commit(version).await.map_err(|error| catalog_error(&error))?;
        context.log.line(&format!("wrote {} rows to {}", written.rows, recorded.asset.label()));
        Ok(recorded.asset)
    };
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(StepError::cancelled()),
        done = work => done,
    }
}

/// A query's failure as a user sees it.
pub(crate) fn query_problem(error: &QueryError) -> Problem {
    match error {
        QueryError::Plan { message, position } => {
            let problem = Problem::error("sql-plan", message.clone());
            match position {
                Some((line, column)) => problem.note(format!("in the SQL at line {line}, column {column}")),
                None => problem,
            }
        }
        QueryError::Run { .. } => Problem::error("sql-run", error.to_string()),
        QueryError::Read { .. } => Problem::error("table-read", error.to_string()),
        QueryError::Write { .. } => Problem::error("table-write", error.to_string()),
        QueryError::Source { .. } => Problem::error("rows-source", error.to_string()),
        QueryError::Cancelled => Problem::error("cancelled", error.to_string()),
    }
}

pub(crate) fn step_error(error: &QueryError) -> StepError {
    match error {
        QueryError::Cancelled => StepError::cancelled(),
        _ => StepError::permanent(query_problem(error)),
    }
}

fn catalog_error(error: &CatalogError) -> StepError {
    let problem = Problem::error("dataset", error.to_string());
    match error {
        CatalogError::Store { .. } => StepError::transient(problem),
        CatalogError::NotFound { suggestion: Some(near), .. } => {
            StepError::permanent(problem.hint(format!("did you mean `{near}`?")))
        }
        _ => StepError::permanent(problem),
    }
}

/// A config that does not have the kind's shape.
pub(crate) fn config_error(kind: &str, error: &serde_json::Error) -> StepError {
    StepError::permanent(Problem::error(
        "step-config",
        format!("the `{kind}` step cannot read its config: {error}"),
    ))
}

/// `to:` of a config that is an object.
pub(crate) fn object_field<'a>(config: &'a Value, field: &str) -> Option<&'a str> {
    config.get(field).and_then(Value::as_str)
}
