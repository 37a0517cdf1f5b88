//! What steps left: logs, tables, reports.

use std::path::{Path as FilePath, PathBuf};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_contract::{StepOutcome, TableRef};
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::read_log;
use millrace_orchestration::state::StepState;
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::{run_row, step_key};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::table;
use crate::views::json::Json as AnyJson;
use crate::views::runs::LogChunk;

/// Bytes of a log a request answers, about.
const CHUNK: u64 = 512 * 1024;
/// Lines of a log a request answers.
const LINES: usize = 5_000;
/// A command writes two logs; an offset carries the place in both: `stdout * SHIFT + stderr`. A log is capped far below this size.
const SHIFT: u64 = 1 << 26;
/// Largest document that is read for a page.
const MAX_DOCUMENT: u64 = 32 * 1024 * 1024;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_step_log)).routes(routes!(read_output))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// From 1; the last one if absent.
    attempt: Option<u32>,
    /// `next_offset` of the chunk before.
    offset: Option<u64>,
}

/// Reads a step's log from an offset on.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/log", params(("id" = String, Path), ("step" = String, Path), LogQuery),
    responses((status = 200, body = LogChunk)))]
async fn read_step_log(
    State(app): State<App>,
    Path((id, step)): Path<(String, String)>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> ApiResult<LogChunk> {
    let Query(query) = query?;
    run_row(&app, &id).await?;
    let row = step_row(&app, &id, &step).await?;
    let attempt = query.attempt.unwrap_or_else(|| u32::try_from(row.attempt).unwrap_or(0)).max(1);
    let folder = app.engine.attempt_folder(&id, &step_key(&step)?, attempt);
    // An earlier attempt says nothing more; the last one says nothing more once the step is over.
    let ended =
        i64::from(attempt) < row.attempt || StepState::parse(&row.state).is_some_and(StepState::is_final);
    let offset = query.offset.unwrap_or(0);
    let chunk = tokio::task::spawn_blocking(move || read_chunk(&folder, offset, ended)).await;
    Ok(Json(chunk.map_err(|error| ApiError::internal(&error))??))
}

fn read_chunk(folder: &FilePath, offset: u64, ended: bool) -> std::io::Result<LogChunk> {
    let (output, errors) = (folder.join("stdout.log"), folder.join("stderr.log"));
    if !output.exists() {
        let page = read_log(folder, offset, LINES)?;
        let mut text = String::new();
        for line in &page.lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        let first_error = page.lines.iter().position(|line| line.stream == "stderr").map(|line| line as u64);
        let size = page.next_offset + u64::from(page.lines.len() == LINES);
        return Ok(LogChunk { text, offset, next_offset: page.next_offset, size, first_error, ended });
    }
    let (mut text, said) = read_lines(&output, offset / SHIFT, ended)?;
    let lines = text.lines().count() as u64;
    let (told, complained) = read_lines(&errors, offset % SHIFT, ended)?;
    text.push_str(&told);
    let size = |path: &FilePath| fs_err::metadata(path).map_or(0, |meta| meta.len()).min(SHIFT - 1);
    Ok(LogChunk {
        first_error: (!told.is_empty()).then_some(lines),
        text,
        offset,
        next_offset: said * SHIFT + complained,
        size: size(&output) * SHIFT + size(&errors),
        ended,
    })
}

/// Whole lines from `offset` on, and where to read on. The last line needs no end once the log is `complete`.
fn read_lines(path: &FilePath, offset: u64, complete: bool) -> std::io::Result<(String, u64)> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((String::new(), offset)),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    let room = CHUNK.min((SHIFT - 1).saturating_sub(offset));
    let read = file.take(room).read_to_end(&mut bytes)? as u64;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if read < room && complete || whole == 0 && read == room {
        // All that will come, or one line that is longer than a chunk.
    } else {
        bytes.truncate(whole);
    }
    let next = offset + bytes.len() as u64;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if complete && !text.is_empty() && !text.ends_with('\n') && read < room {
        text.push('\n');
    }
    Ok((text, next))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OutputQuery {
    /// Rows of a table; 50 if absent, at most 1,000.
    limit: Option<usize>,
}

/// Shows an output: the first rows of a table, the document of a report or of metrics, otherwise the value.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/outputs/{output}",
    params(("id" = String, Path), ("step" = String, Path), ("output" = String, Path), OutputQuery),
    responses((status = 200, body = AnyJson)))]
async fn read_output(
    State(app): State<App>,
    Path((id, step, output)): Path<(String, String, String)>,
    query: Result<Query<OutputQuery>, QueryRejection>,
) -> ApiResult<Value> {
    let limit = query?.0.limit.unwrap_or(50).min(1_000);
    let row = step_row(&app, &id, &step).await?;
    let outcome: StepOutcome = match &row.outcome {
        Some(text) => serde_json::from_str(text)?,
        None => StepOutcome::default(),
    };
    let value = outcome.outputs.get(&output).ok_or_else(|| ApiError::unknown("output", &output))?;
    let Some(asset) = Asset::from_value(value) else { return Ok(Json(value.clone())) };
    if let Some(table) = TableRef::of(&asset) {
        let rows = app.query.scan(&table, None, Some(limit + 1)).await?;
        return Ok(Json(serde_json::to_value(table::preview(rows, limit).await?)?));
    }
    if matches!(asset.kind, AssetType::Metrics | AssetType::Report | AssetType::File)
        && let Some(path) = asset.uri.strip_prefix("file://")
    {
        return read_document(PathBuf::from(path)).await.map(Json);
    }
    Ok(Json(value.clone()))
}

async fn read_document(path: PathBuf) -> Result<Value, ApiError> {
    let size = fs_err::tokio::metadata(&path).await.map_err(|_| gone())?.len();
    if size > MAX_DOCUMENT {
        let message = format!("the document has {size} bytes, more than a page can show");
        return Err(Problem::error("document-too-large", message).into());
    }
    let bytes = fs_err::tokio::read(&path).await.map_err(|_| gone())?;
    Ok(serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())))
}

fn gone() -> ApiError {
    let problem =
        Problem::error("output-gone", "the file of this output is gone").hint("run the pipeline again");
    ApiError::new(axum::http::StatusCode::GONE, problem)
}

async fn step_row(app: &App, id: &str, step: &str) -> Result<StepRunRow, ApiError> {
    let found = app.engine.store().find_step_run(id.to_owned(), step.to_owned()).await?;
    found.ok_or_else(|| ApiError::unknown("step", step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_of_a_command_are_read_on_by_one_offset() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("stdout.log"), "one\ntw").unwrap();
        fs_err::write(folder.path().join("stderr.log"), "oops\n").unwrap();
        let first = read_chunk(folder.path(), 0, false).unwrap();
        assert_eq!((first.text.as_str(), first.first_error), ("one\noops\n", Some(1)));
        fs_err::write(folder.path().join("stdout.log"), "one\ntwo").unwrap();
        let rest = read_chunk(folder.path(), first.next_offset, true).unwrap();
        assert_eq!((rest.text.as_str(), rest.first_error), ("two\n", None));
        assert_eq!(rest.next_offset, rest.size);
    }
}
