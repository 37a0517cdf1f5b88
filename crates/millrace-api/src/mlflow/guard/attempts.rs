//! What the program of a step may reach with its attempt's token: it reads data and models, and logs into the run of its attempt and
//! into runs nested in it. It decides nothing, starts nothing and administers nothing.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use millrace_metastore::experiments::{PARENT_TAG, TrackedRunRow};
use millrace_spec::problem::Problem;

use super::rules::Route;
use super::{Kind, Permission};
use crate::app::App;
use crate::error::ApiError;
use crate::mlflow::error::MlflowError;
use crate::mlflow::wire::Fields;
use crate::step_token::AttemptName;

/// First words of addresses under `/api/` that tell of data, models and what was tracked.
const READ: [&str; 14] = [
    "artifact-archive",
    "artifact-model",
    "artifact-table",
    "artifacts",
    "datasets",
    "experiments",
    "kinds",
    "lineage",
    "logged-models",
    "metrics",
    "models",
    "openapi.json",
    "tracked-runs",
    "workspace",
];
/// Runs above a nested one that are looked at.
const DEEPEST: usize = 16;

/// The run of an attempt, and where it is.
#[derive(Debug)]
pub(super) struct OwnRun {
    id: String,
    experiment: Option<String>,
}

impl OwnRun {
    pub(super) async fn of(app: &App, attempt: &AttemptName) -> Result<Self, MlflowError> {
        let id = attempt.tracking_run_id.clone();
        // A kind of step that tracks nothing has none.
        let run = app.engine.store().find_tracked_run(id.clone()).await?;
        Ok(Self { id, experiment: run.map(|run| run.experiment_id.to_string()) })
    }

    pub(super) fn on(&self, kind: Kind, object: &str) -> Permission {
        let is_own = kind == Kind::Experiment && self.experiment.as_deref() == Some(object);
        if is_own { Permission::Edit } else { Permission::Read }
    }

    /// Whether a run is the attempt's or nested in it.
    pub(super) async fn has(&self, app: &App, run: &str) -> Result<bool, MlflowError> {
        let mut above = run.to_owned();
        for _ in 0..DEEPEST {
            if above == self.id {
                return Ok(self.experiment.is_some());
            }
            let found: Option<TrackedRunRow> = app.engine.store().find_tracked_run(above).await?;
            match found.and_then(|run| run.parent_id) {
                Some(parent) => above = parent,
                None => break,
            }
        }
        Ok(false)
    }

    /// Whether a new run may be made: in the attempt's experiment, and nested in its run if it is nested in any.
    pub(super) async fn may_make(&self, app: &App, fields: &Fields) -> Result<bool, MlflowError> {
        match fields.pairs("tags")?.into_iter().find(|(key, _)| key == PARENT_TAG) {
            Some((_, parent)) => self.has(app, &parent).await,
            None => Ok(true),
        }
    }
}

pub(super) fn denied(what: &str) -> MlflowError {
    let message = format!(
        "Permission denied: `{what}` is not for programs of steps, which read data and models and log into their own run. \
         Log in as somebody who may, for example by a token of an account that the step takes from a secret."
    );
    MlflowError::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
}

/// Whether a request of MLflow's API is for programs at all; what it is about decides further.
pub(super) fn may_ask(route: &Route) -> bool {
    let changes = !route.reads();
    match route.part(0) {
        "users" | "roles" | "webhooks" | "/graphql" => false,
        "experiments" => {
            !changes || matches!(route.part(1), "search" | "get" | "get-by-name" | "search-datasets")
        }
        // Versions may be added; which of them is used is for others to say.
        "registered-models" => !changes || matches!(route.part(1), "create" | "get-latest-versions"),
        "model-versions" => !changes || route.part(1) == "create",
        _ => true,
    }
}

/// Lets a request through that is none of MLflow's API.
pub(super) async fn through(attempt: &AttemptName, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if may_reach(attempt, request.method(), &parts) {
        return next.run(request).await;
    }
    let problem = Problem::error("permission-denied", format!("`{path}` is not for programs of steps"))
        .note(format!("step `{}` reads data and models and logs into its own run", attempt.step))
        .hint("log in as somebody who may, for example by a token of an account that the step takes from a secret");
    ApiError::new(StatusCode::FORBIDDEN, problem).into_response()
}

fn may_reach(attempt: &AttemptName, method: &Method, parts: &[&str]) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return match parts {
            ["api", "runs", run, ..] => *run == attempt.run_id,
            ["api", word, ..] => READ.contains(word),
            // MLflow's client asks for the version before it sends spans.
            ["version"] | ["v2", ..] => true,
            _ => false,
        };
    }
    matches!(parts, ["api", "sql"] | ["endpoints", _, "score" | "invocations"] | ["v2", ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_and_score_and_decide_nothing() {
        let attempt = AttemptName {
            run_id: "0a".to_owned(),
            step: "train".to_owned(),
            number: 1,
            tracking_run_id: "0b".to_owned(),
        };
        let may = |method: Method, path: &str| {
            may_reach(&attempt, &method, &path.trim_matches('/').split('/').collect::<Vec<_>>())
        };
        for path in [
            "/version",
            "/api/datasets/rows/rows",
            "/api/models",
            "/api/runs/0a",
            "/api/runs/0a/steps/train/log",
        ] {
            assert!(may(Method::GET, path), "{path}");
        }
        for path in ["/api/sql", "/endpoints/e/score", "/v2/models/m/infer"] {
            assert!(may(Method::POST, path), "{path}");
        }
        for path in ["/", "/account", "/metrics", "/api/runs", "/api/runs/0c", "/api/approvals", "/api/inbox"]
        {
            assert!(!may(Method::GET, path), "{path}");
        }
        for path in [
            "/api/pipelines/p/runs",
            "/api/approvals/1/decisions",
            "/api/promotions/1/votes",
            "/api/runs/0a/cancel",
            "/api/runs/cancel",
            "/api/models/m/card",
            "/hooks/p/t",
        ] {
            assert!(!may(Method::POST, path), "{path}");
        }
    }

    #[test]
    fn programs_ask_nothing_of_people_and_aliases() {
        let may = |method: Method, name: &str| {
            may_ask(&Route::of(&method, &format!("/api/2.0/mlflow/{name}")).unwrap())
        };
        for name in ["runs/log-batch", "runs/create", "experiments/search", "registered-models/create"] {
            assert!(may(Method::POST, name), "{name}");
        }
        for name in ["users/current", "users/list", "roles/list", "webhooks"] {
            assert!(!may(Method::GET, name), "{name}");
        }
        for name in [
            "experiments/create",
            "experiments/update",
            "registered-models/alias",
            "registered-models/rename",
            "model-versions/transition-stage",
            "model-versions/set-tag",
        ] {
            assert!(!may(Method::POST, name), "{name}");
        }
        assert!(!may(Method::DELETE, "registered-models/delete"));
    }
}
