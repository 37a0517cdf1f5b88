//! Copies: what one would do, and a pipeline that does it.

use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use millrace_orchestration::RunRequest;
use millrace_spec::edit::{Change, edit};
use millrace_spec::problem::Problem;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Caller;
use crate::actor::person;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::table;
use crate::views::copies::{CopyPreview, PreviewCopy, StartCopy};
use crate::views::runs::RunSummary;

/// How long a look at a source may take.
const TIME: Duration = Duration::from_secs(60);
/// Rows unless a request says how many, and at most.
const ROWS: (u32, u32) = (50, 1_000);
/// The one step of a pipeline that is made for a copy.
const STEP: &str = "copy";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(preview_copy)).routes(routes!(start_copy))
}

/// Shows what a copy would do: columns and first rows as the sink would get them, the pipeline and the command. Nothing is written.
#[utoipa::path(post, path = "/api/copy-previews", request_body = PreviewCopy, responses((status = 200, body = CopyPreview)))]
async fn preview_copy(
    State(app): State<App>,
    body: Result<Json<PreviewCopy>, JsonRejection>,
) -> ApiResult<CopyPreview> {
    let Json(wanted) = body?;
    let limit = wanted.limit.unwrap_or(ROWS.0).min(ROWS.1) as usize;
    let yaml = pipeline(&wanted.copy.0)?;
    let command = command(&wanted.copy.0);
    let began = app.clock.now();
    let looked = tokio::time::timeout(TIME, app.copying.preview_copy(wanted.copy.0, limit)).await;
    let looked = looked.unwrap_or_else(|_| {
        let message = format!("the source gave no rows within {} s", TIME.as_secs());
        Err(Problem::error("copy-timeout", message))
    });
    Ok(Json(match looked {
        Ok(found) => {
            let table = table::preview(found.rows, limit).await?;
            let table = super::datasets::timed(&app, began, table);
            let (rejected, rejects) = (found.rejected, found.rejects);
            CopyPreview { table: Some(table), rejected, rejects, problem: None, yaml, command }
        }
        Err(problem) => CopyPreview {
            table: None,
            rejected: 0,
            rejects: Vec::new(),
            problem: Some(problem.into()),
            yaml,
            command,
        },
    }))
}

/// Writes the pipeline of a copy and runs it.
#[utoipa::path(post, path = "/api/copies", request_body = StartCopy,
    responses((status = 200, body = RunSummary), (status = 409, description = "There is another pipeline of that name.")))]
async fn start_copy(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<StartCopy>, JsonRejection>,
) -> ApiResult<RunSummary> {
    let Json(wanted) = body?;
    let user = person(&app, &caller, None)?.name;
    app.copying.write_pipeline(&wanted.name, &pipeline(&wanted.copy.0)?).await?;
    let definition = app.definitions.definition(&wanted.name).await;
    let definition = definition.ok_or_else(|| ApiError::unknown("pipeline", &wanted.name))?;
    let Some(pipeline) = definition.pipeline.filter(|_| definition.problems.is_empty()) else {
        let problem = definition.problems.into_iter().next();
        let problem =
            problem.unwrap_or_else(|| Problem::error("invalid-pipeline", "the pipeline cannot be read"));
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem));
    };
    let cause = json!({"by": "manual", "user": user});
    let id = app.engine.submit(pipeline, RunRequest { cause, ..RunRequest::default() }).await?;
    Ok(Json(super::runs::summary(&app, &id).await?))
}

/// The text of a pipeline with that copy alone.
fn pipeline(config: &Value) -> Result<String, ApiError> {
    let path = ["steps", STEP, "copy"].map(str::to_owned).to_vec();
    let text = edit("pipeline.yaml", "", &[Change::Set { path, value: config.clone() }]);
    text.map_err(|problem| (*problem).into())
}

/// The command that does the same once. What is read and written must be texts.
fn command(config: &Value) -> Option<String> {
    let (from, to) = (config.get("from")?.as_str()?, config.get("to")?.as_str()?);
    let mut words = vec!["millrace".to_owned(), "copy".to_owned(), word(from), word(to)];
    for (name, value) in
        config.as_object()?.iter().filter(|(name, _)| !matches!(name.as_str(), "from" | "to"))
    {
        // JSON is YAML; a text that is read as itself needs no quotes.
        let plain =
            value.as_str().filter(|text| text.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_'));
        let value = plain.map_or_else(|| value.to_string(), str::to_owned);
        words.extend(["--with".to_owned(), word(&format!("{name}={value}"))]);
    }
    Some(words.join(" "))
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "_@%+=:,./-".contains(sign);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_a_pipeline_and_a_command() {
        let config = json!({
            "from": "raw/it's.csv", "to": "data:orders", "on_error": "reject", "null_values": ["NA"],
            "rename": {"a": "b"}, "limit": 5,
        });
        insta::assert_snapshot!(command(&config).unwrap(), @r###"millrace copy 'raw/it'\''s.csv' data:orders --with on_error=reject --with 'null_values=["NA"]' --with 'rename={"a":"b"}' --with limit=5"###);
        insta::assert_snapshot!(pipeline(&config).unwrap(), @r###"
        steps:
          copy:
            copy:
              from: raw/it's.csv
              to: data:orders
              on_error: reject
              null_values: [NA]
              rename: {a: b}
              limit: 5
        "###);
        assert_eq!(command(&json!({"from": "a.csv", "to": {"path": "b.csv"}})), None);
        assert_eq!(command(&json!({"from": "a.csv"})), None);
    }
}
