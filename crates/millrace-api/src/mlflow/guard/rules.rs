//! What each request of MLflow's API needs.

use axum::http::Method;

use super::Permission::{self, Edit, Manage, Read};
use millrace_storage::decode_text;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The experiment in `experiment_id`; the default one if it is absent.
    Experiment(Permission),
    /// The one in `experiment_name`.
    ExperimentNamed(Permission),
    /// Each in a list; if it is empty or has `*`, to be denied nothing.
    Experiments(&'static str, Permission),
    /// The experiments of the locations of a search for traces.
    Locations,
    /// The experiment that a trace is told of, and of the trace itself if it is known.
    ToldTrace,
    /// The experiment of the run in `run_id`.
    Run(Permission),
    /// The same if there is a run in the request at all.
    SomeRun(Permission),
    /// Of the runs in a list.
    Runs(&'static str, Permission),
    /// Of the logged model in a part of the address.
    LoggedModelAt(usize, Permission),
    /// Of the logged models in `model_id`, here and in the messages of a list.
    LoggedModels(&'static str, Permission),
    /// Of the trace in a part of the address.
    TraceAt(usize, Permission),
    /// Of the traces in a field.
    Traces(&'static str, Permission),
    /// Of the evaluation dataset in a part of the address.
    DatasetAt(usize, Permission),
    /// The model or prompt in `name`.
    Model(Permission),
    /// The model or prompt in `name`, and its owner's permission for a tag that says who decides about it.
    ModelTag,
    /// The model that a version is made of, if it is one.
    Source,
}

/// A request of MLflow's API: its method and the parts of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    method: Method,
    parts: Vec<String>,
}

/// A request whose body is a file, or spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Streams<'a> {
    /// Below the artifact folder.
    File(&'a str, Permission),
    /// OpenTelemetry's traces.
    Spans,
}

const FILES: &str = "2.0/mlflow-artifacts/artifacts";
/// Other ways to a file, each followed by its path: an upload in parts changes it, an address that needs no login reads it.
const FILE_WAYS: [&str; 4] = [
    "2.0/mlflow-artifacts/mpu/create/",
    "2.0/mlflow-artifacts/mpu/complete/",
    "2.0/mlflow-artifacts/mpu/abort/",
    "2.0/mlflow-artifacts/presigned/",
];

impl Route {
    /// `None` for what is none of MLflow's.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
        let route = |parts: Vec<String>| Some(Self { method: method.clone(), parts });
        let path = path.strip_prefix("/mlflow").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        for single in ["/get-artifact", "/model-versions/get-artifact", "/graphql", "/v1/traces"] {
            if path == single {
                return route(vec![single.to_owned()]);
            }
        }
        let rest = path.strip_prefix("/ajax-api/").or_else(|| path.strip_prefix("/api/"))?;
        let by_other_way = FILE_WAYS.iter().find_map(|way| rest.strip_prefix(way));
        if let Some(file) = by_other_way.or_else(|| rest.strip_prefix(FILES)) {
            // Handlers get it decoded once; what is no text they refuse.
            let file = decode_text(file.trim_start_matches('/')).ok()?;
            return route(vec![FILES.to_owned(), file]);
        }
        let rest = rest.strip_prefix("2.0/mlflow/").or_else(|| rest.strip_prefix("3.0/mlflow/"))?;
        route(rest.split('/').map(|part| decode_text(part).unwrap_or_default()).collect())
    }

    fn names(&self) -> Vec<&str> {
        self.parts.iter().map(String::as_str).collect()
    }

    pub(super) fn part(&self, index: usize) -> &str {
        self.parts.get(index).map(String::as_str).unwrap_or_default()
    }

    /// As people say it.
    pub(super) fn name(&self) -> String {
        self.parts.join("/")
    }

    /// Whether it only reads; searches come as POST too.
    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether it is this one.
    pub(super) fn is(&self, method: &Method, parts: &[&str]) -> bool {
        self.method == *method && self.names() == parts
    }

    /// Whether something must be done after it, whoever made it.
    pub(super) fn has_follow_up(&self) -> bool {
        self.is(&Method::POST, &["registered-models", "rename"])
            || self.is(&Method::DELETE, &["registered-models", "delete"])
    }

    /// If its body is no message.
    pub(super) fn streams(&self) -> Option<Streams<'_>> {
        match self.names().as_slice() {
            ["/v1/traces"] => Some(Streams::Spans),
            // Without a path, it lists what a query names.
            [FILES, file] if !file.is_empty() => Some(Streams::File(
                file,
                match self.method {
                    Method::GET => Read,
                    Method::DELETE => Manage,
                    _ => Edit,
                },
            )),
            _ => None,
        }
    }

    /// Whether it lists what a query names below the artifact folder.
    pub(super) fn lists_files(&self) -> bool {
        self.method == Method::GET && matches!(self.names().as_slice(), [FILES, ""])
    }

    /// What it needs; `None` if it is for administrators alone.
    pub(super) fn needs(&self) -> Option<Vec<Need>> {
        let parts = self.names();
        let (first, rest) = parts.split_first()?;
        Some(match *first {
            "experiments" => experiments(rest)?,
            "runs" => runs(rest)?,
            "metrics" => match rest {
                ["get-history"] => vec![Need::Run(Read)],
                ["get-history-bulk"] => vec![Need::Runs("run_id", Read)],
                ["get-history-bulk-interval"] => vec![Need::Runs("run_ids", Read)],
                _ => return None,
            },
            "artifacts" => match rest {
                ["list" | "presigned-download-url"] => vec![Need::Run(Read)],
                ["presigned-upload-url"] => vec![Need::SomeRun(Edit), Need::LoggedModels("models", Edit)],
                _ => return None,
            },
            "logged-models" => self.logged_models(rest)?,
            "registered-models" => self.registered_models(rest)?,
            "model-versions" => model_versions(rest)?,
            "traces" => self.traces(rest)?,
            "get-trace-artifact" if rest.is_empty() => vec![Need::Traces("request_id", Read)],
            "datasets" => self.datasets(rest)?,
            "/get-artifact" => vec![Need::Run(Read)],
            "/model-versions/get-artifact" => vec![Need::Model(Read)],
            // Each of its fields is checked like a request.
            "/graphql" => Vec::new(),
            // Who may what is for their handlers to say: it depends on whom they are about.
            "users" | "roles" => Vec::new(),
            "server-info" | "ui-telemetry" | "gateway-proxy" if rest.is_empty() => Vec::new(),
            _ => return None,
        })
    }

    /// What changes something needs more than what reads it.
    fn read_or(&self, change: Permission) -> Permission {
        match self.method {
            Method::GET => Read,
            Method::DELETE if change == Manage => Manage,
            _ => Edit,
        }
    }

    fn logged_models(&self, rest: &[&str]) -> Option<Vec<Need>> {
        Some(match rest {
            [] => vec![Need::Experiment(Edit), Need::SomeRun(Read)],
            ["search"] => vec![Need::Experiments("experiment_ids", Read)],
            [_] => vec![Need::LoggedModelAt(1, self.read_or(Manage))],
            [_, ..] => vec![Need::LoggedModelAt(1, self.read_or(Edit))],
        })
    }

    fn registered_models(&self, rest: &[&str]) -> Option<Vec<Need>> {
        Some(match rest {
            // What somebody made is theirs; what is found is filtered.
            ["create" | "search"] => Vec::new(),
            ["get" | "get-latest-versions"] => vec![Need::Model(Read)],
            ["alias"] => vec![Need::Model(self.read_or(Edit))],
            ["update"] => vec![Need::Model(Edit)],
            ["set-tag" | "delete-tag"] => vec![Need::ModelTag],
            ["rename" | "delete"] => vec![Need::Model(Manage)],
            _ => return None,
        })
    }

    fn traces(&self, rest: &[&str]) -> Option<Vec<Need>> {
        Some(match rest {
            [] => vec![Need::ToldTrace],
            ["search"] => vec![Need::Locations],
            ["get"] => vec![Need::Traces("trace_id", Read)],
            ["batchGet" | "batchGetInfos"] => vec![Need::Traces("trace_ids", Read)],
            ["delete-traces"] => vec![Need::Experiment(Manage)],
            ["link-to-run"] => vec![Need::Run(Edit), Need::Traces("trace_ids", Edit)],
            ["link-prompts"] => vec![Need::Traces("trace_id", Edit)],
            ["metrics"] => return None,
            [_, ..] => vec![Need::TraceAt(1, self.read_or(Edit))],
        })
    }

    fn datasets(&self, rest: &[&str]) -> Option<Vec<Need>> {
        Some(match rest {
            ["create"] => vec![Need::Experiments("experiment_ids", Edit)],
            ["search"] => vec![Need::Experiments("experiment_ids", Read)],
            [_] => vec![Need::DatasetAt(1, self.read_or(Manage))],
            [_, "add-experiments"] => {
                vec![Need::DatasetAt(1, Edit), Need::Experiments("experiment_ids", Edit)]
            }
            [_, ..] => vec![Need::DatasetAt(1, self.read_or(Edit))],
            [] => return None,
        })
    }
}

fn experiments(rest: &[&str]) -> Option<Vec<Need>> {
    Some(match rest {
        ["create" | "search"] => Vec::new(),
        ["get"] => vec![Need::Experiment(Read)],
        ["get-by-name"] => vec![Need::ExperimentNamed(Read)],
        ["search-datasets"] => vec![Need::Experiments("experiment_ids", Read)],
        ["update" | "set-experiment-tag" | "delete-experiment-tag"] => vec![Need::Experiment(Edit)],
        ["delete" | "restore"] => vec![Need::Experiment(Manage)],
        _ => return None,
    })
}

fn runs(rest: &[&str]) -> Option<Vec<Need>> {
    Some(match rest {
        ["create"] => vec![Need::Experiment(Edit)],
        ["get"] => vec![Need::Run(Read)],
        ["search"] => vec![Need::Experiments("experiment_ids", Read)],
        ["log-metric" | "log-batch"] => vec![Need::Run(Edit), Need::LoggedModels("metrics", Edit)],
        ["log-inputs" | "outputs"] => vec![Need::Run(Edit), Need::LoggedModels("models", Read)],
        ["update" | "set-tag" | "delete-tag" | "log-parameter" | "log-model"] => vec![Need::Run(Edit)],
        ["delete" | "restore"] => vec![Need::Run(Manage)],
        _ => return None,
    })
}

fn model_versions(rest: &[&str]) -> Option<Vec<Need>> {
    Some(match rest {
        ["create"] => {
            vec![Need::Model(Edit), Need::SomeRun(Read), Need::LoggedModels("models", Read), Need::Source]
        }
        ["search"] => Vec::new(),
        ["get" | "get-download-uri"] => vec![Need::Model(Read)],
        ["update" | "transition-stage" | "set-tag" | "delete-tag"] => vec![Need::Model(Edit)],
        ["delete"] => vec![Need::Model(Manage)],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_request_is_the_same_request() {
        let of = |path: &str| Route::of(&Method::GET, path);
        for path in [
            "/api/2.0/mlflow/runs/get",
            "/ajax-api/2.0/mlflow/runs/get",
            "/api/3.0/mlflow/runs/get",
            "/mlflow/ajax-api/2.0/mlflow/runs/get",
        ] {
            assert_eq!(of(path).unwrap().needs(), Some(vec![Need::Run(Read)]), "{path}");
        }
        for path in ["/mlflow/get-artifact", "/get-artifact"] {
            assert_eq!(of(path).unwrap().needs(), Some(vec![Need::Run(Read)]), "{path}");
        }
        let file = of("/mlflow/ajax-api/2.0/mlflow-artifacts/artifacts/a%20b/c").unwrap();
        assert_eq!(file.streams(), Some(Streams::File("a b/c", Read)));
        let part = Route::of(&Method::POST, "/api/2.0/mlflow-artifacts/mpu/create/a%20b/c").unwrap();
        assert_eq!(part.streams(), Some(Streams::File("a b/c", Edit)));
        let signed = of("/api/2.0/mlflow-artifacts/presigned/a/c").unwrap();
        assert_eq!(signed.streams(), Some(Streams::File("a/c", Read)));
        assert_eq!(of("/api/workspace"), None);
        assert_eq!(of("/mlflow/static-files/a"), None);
    }

    /// A route that no rule names is refused; each that should be reached by others than administrators must be named.
    #[test]
    fn only_webhooks_are_for_administrators_alone() {
        let routes = include_str!("../mod.rs");
        let mut alone = Vec::new();
        for found in routes.split(".route(").skip(1) {
            let path = found.split('"').nth(1).unwrap_or_default();
            let path =
                path.strip_prefix("/2.0/mlflow").or_else(|| path.strip_prefix("/3.0/mlflow")).unwrap_or(path);
            if path.contains("{*")
                || path.contains("artifact")
                || path.starts_with("/mpu/")
                || path == "/version"
                || path.ends_with("graphql")
            {
                continue;
            }
            let route = Route::of(&Method::GET, &format!("/api/2.0/mlflow{path}")).unwrap();
            if route.needs().is_none() {
                alone.push(path);
            }
        }
        assert_eq!(alone, ["/traces/metrics", "/webhooks", "/webhooks/{id}", "/webhooks/{id}/test"]);
    }
}
