//! Tables as the steps of this room read them.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use indexmap::IndexMap;
use millrace_contract::{QueryEngine, QueryError, QueryRequest, StepError, TableRef};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;

pub(crate) fn table_ref(field: &str, asset: &Asset) -> Result<TableRef, Problem> {
    let uri = asset.uri.clone();
    let path = uri.trim_end_matches(".gz").trim_end_matches(".zst").to_lowercase();
    let ends = |ending: &str| asset.kind == AssetType::File && path.ends_with(ending);
    match (asset.kind, asset.delta_version) {
        (AssetType::Table, Some(version)) => Ok(TableRef::Delta { uri, version }),
        (AssetType::Folder, _) => Ok(TableRef::Parquet { uri }),
        _ if ends(".parquet") => Ok(TableRef::Parquet { uri }),
        _ if ends(".csv") => Ok(TableRef::Csv { uri }),
        _ if ends(".json") || ends(".jsonl") || ends(".ndjson") => Ok(TableRef::Json { uri }),
        _ => Err(Problem::error("not-a-table", format!("`{field}` is not a table"))
            .hint("give a dataset, or a file that ends with .parquet, .csv, .json or .jsonl")),
    }
}

/// Columns of a table.
pub(crate) async fn schema_of(engine: &dyn QueryEngine, table: &TableRef) -> Result<SchemaRef, StepError> {
    let request = QueryRequest {
        sql: "select * from t".to_owned(),
        tables: IndexMap::from([("t".to_owned(), table.clone())]),
        ..QueryRequest::default()
    };
    engine.plan_schema(request).await.map_err(|error| read_error(&error))
}

pub(crate) fn read_error(error: &QueryError) -> StepError {
    match error {
        QueryError::Cancelled => StepError::cancelled(),
        _ => StepError::permanent(Problem::error("table-read", error.to_string())),
    }
}

/// A name that is none of `known`, with the nearest of them.
pub(crate) fn unknown(kind: &str, table: &str, name: &str, known: &[&str]) -> Problem {
    let problem = Problem::error(format!("unknown-{kind}"), format!("`{table}` has no {kind} `{name}`"));
    match nearest(name, known) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.note(format!("it has {}", known.join(", "))),
    }
}

/// A number for every row that depends on its values and on `seed` alone. Engines give rows in no particular order; sorting by these
/// numbers makes results independent of it.
pub(crate) fn row_hashes(batch: &RecordBatch, seed: u64) -> Result<Vec<u64>, ArrowError> {
    if batch.num_columns() == 0 {
        return Ok(vec![0; batch.num_rows()]);
    }
    let fields =
        batch.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(batch.columns())?;
    let hash = |row: arrow::row::Row<'_>| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(row.as_ref());
        let mut first = [0; 8];
        first.copy_from_slice(hasher.finalize().as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
        u64::from_le_bytes(first)
    };
    Ok(rows.iter().map(hash).collect())
}

/// A column of a batch by its name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| ArrowError::SchemaError(format!("the table gave no column `{name}`")))
}

pub(crate) fn arrow_error(error: &ArrowError) -> StepError {
    StepError::permanent(Problem::error("column-type", error.to_string()))
}

/// Runs work that computes for long, away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        StepError::permanent(Problem::error("work-ended", format!("the {what} ended: {error}")))
    })
}
