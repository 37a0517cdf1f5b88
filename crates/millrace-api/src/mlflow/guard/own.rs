//! What accounts may reach of Millrace's own API: all reads and what runs what is declared already. Changes are for administrators.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use millrace_spec::problem::Problem;

use super::{Granted, Kind, Permission, check};
use crate::accounts::Account;
use crate::app::App;
use crate::error::ApiError;
use crate::mlflow::error::MlflowError;
use millrace_storage::decode_text;

/// First words of addresses under `/api/` that tell nothing of experiments, models and prompts.
const WITHOUT_PERMISSIONS: [&str; 21] = [
    "session",
    "approvals",
    "environments",
    "workspace",
    "inbox",
    "event-triggers",
    "kinds",
    "pipelines",
    "runs",
    "datasets",
    "sql",
    "files",
    "flows",
    "flow-kinds",
    "sql-models",
    "endpoints",
    "monitors",
    "alerts",
    "events",
    "timeline",
    "openapi.json",
];

/// Lets a request through that is none of MLflow's API.
pub(super) async fn through(
    app: &App,
    account: &Account,
    request: Request,
    next: Next,
) -> Result<Response, MlflowError> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        // What other systems tell of their jobs concerns everything, as lists of everything do.
        let tells = parts == ["api", "v1", "lineage"] && !Granted::of(app, account).await?.is_restricted();
        let may = tells || runs_what_is_declared(&parts) || asks_to_promote(app, account, &parts).await?;
        return Ok(if may { next.run(request).await } else { refused(&path) });
    }
    if let ["api", word, rest @ ..] = parts.as_slice() {
        let granted = Granted::of(app, account).await?;
        match (*word, rest) {
            ("experiments" | "tracked-runs", [id, ..]) => {
                let id = decode_text(id).unwrap_or_default();
                check::own_object(app, &granted, word, &id).await?;
            }
            (word, _) if WITHOUT_PERMISSIONS.contains(&word) => {}
            // Lists of everything do not know of permissions.
            _ if granted.is_restricted() => return Ok(refused(&path)),
            _ => {}
        }
    }
    Ok(next.run(request).await)
}

/// Who may change a model may ask to promote a version of it.
async fn asks_to_promote(app: &App, account: &Account, parts: &[&str]) -> Result<bool, MlflowError> {
    let ["api", "models", name, "promotions"] = parts else { return Ok(false) };
    let name = decode_text(name).unwrap_or_default();
    Ok(!name.contains('\0') && Granted::of(app, account).await?.on(Kind::Model, &name) >= Permission::Edit)
}

/// Whether it starts or scores what files of the workspace declare, or only reads.
fn runs_what_is_declared(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["api", "sql"]
            // These keep nothing.
            | ["api", "flow-checks" | "flow-edits" | "flow-previews"]
            | ["api", "pipelines", _, "runs"]
            | ["api", "runs", _, "cancel" | "rerun"]
            | ["api", "runs", "cancel"]
            // Who is asked, the approval says.
            | ["api", "approvals", _, "decisions"]
            | ["api", "promotions", _, "votes" | "withdraw"]
            | ["api", "inbox", _, "replay"]
            | ["endpoints", _, "score" | "invocations"]
            | ["v2", ..]
    )
}

fn refused(path: &str) -> Response {
    let problem = Problem::error("permission-denied", format!("`{path}` is for administrators"))
        .hint("ask one of them, or read your experiments and models through MLflow's API");
    ApiError::new(StatusCode::FORBIDDEN, problem).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_for_administrators() {
        let may = |path: &str| runs_what_is_declared(&path.trim_matches('/').split('/').collect::<Vec<_>>());
        for path in [
            "/api/sql",
            "/api/flow-edits",
            "/api/flow-previews",
            "/api/pipelines/p/runs",
            "/api/runs/1/cancel",
            "/api/runs/cancel",
            "/api/approvals/1/decisions",
            "/api/promotions/1/votes",
            "/endpoints/e/score",
            "/v2/models/m/infer",
        ] {
            assert!(may(path), "{path}");
        }
        for path in [
            "/api/experiments/1/purge",
            "/api/pipelines/p",
            "/api/flows/a",
            "/api/sql-models/a",
            "/api/connections/a",
            "/api/connection-tests",
            "/api/copies",
            "/api/copy-previews",
            "/api/anything/new",
            "/",
            "/login",
        ] {
            assert!(!may(path), "{path}");
        }
    }
}
