//! Where a model version may come from: no path of this server's disk, and nothing of a run or a logged model that it does not name.

use std::path::{Path, PathBuf};

use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{LoggedModelRow, Refusal, TrackedRunRow};
use millrace_metastore::registry::ModelVersionRow;
use millrace_storage::decode_once;

use super::error::MlflowError;
use super::present;
use super::registered_models::stage;
use crate::app::App;

/// The way to this server's artifacts in the address of a server.
const ARTIFACT_ROUTE: [&str; 4] = ["api", "2.0", "mlflow-artifacts", "artifacts"];

/// Where a version comes from, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) source: String,
    /// Where the files are, if not at the source.
    pub(super) location: Option<String>,
    pub(super) run_id: Option<String>,
    pub(super) model_id: Option<String>,
}

/// Checks the source of a version against the run and the logged model that the request names.
pub(super) async fn origin(
    app: &App,
    source: &str,
    run_id: Option<String>,
    model_id: Option<String>,
) -> Result<Origin, MlflowError> {
    let given = Uri::parse(source);
    if is_local(&given) {
        return local(app, source, &given, run_id, model_id).await;
    }
    if !is_absolute(source, &given) {
        return Err(MlflowError::invalid(format!(
            "Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path."
        )));
    }
    if given.scheme == "models" {
        return of_model_uri(app, source, &given, run_id, model_id).await;
    }
    let (run_id, model_id) = (filled(run_id), filled(model_id));
    let origin =
        |run_id| Origin { source: source.to_owned(), location: None, run_id, model_id: model_id.clone() };
    match &model_id {
        Some(id) => {
            if given.scheme == "runs" {
                return Err(not_of(source, "model_id"));
            }
            if is_artifact(&given) {
                let model = model(app, id, source).await?;
                if !is_within(&given, &present::model_uri(&model)) {
                    return Err(not_of(source, "model_id"));
                }
            }
            let run_id = match run_id {
                Some(run_id) => Some(run_id),
                None => filled(Some(model(app, id, source).await?.source_run_id)),
            };
            Ok(origin(run_id))
        }
        None => {
            if given.scheme == "runs" {
                let named = given.host.is_empty().then(|| given.parts.first()).flatten();
                if named.is_none() || named.map(String::as_str) != run_id.as_deref() {
                    return Err(not_of(source, "run_id"));
                }
            }
            if is_artifact(&given) {
                let id = run_id.as_deref().ok_or_else(|| not_of(source, "run_id"))?;
                let run = run(app, id, source).await?;
                if !is_within(&given, &present::run_uri(&run)) {
                    return Err(not_of(source, "run_id"));
                }
            }
            Ok(origin(run_id))
        }
    }
}

/// `models:/m-…` is a logged model, `models:/name/3`, `…/Production`, `…/latest` and `models:/name@alias` are versions here.
async fn of_model_uri(
    app: &App,
    source: &str,
    given: &Uri,
    run_id: Option<String>,
    model_id: Option<String>,
) -> Result<Origin, MlflowError> {
    let malformed = || not_of(source, "model_id");
    if !given.host.is_empty() {
        return Err(malformed());
    }
    let version = match given.parts.as_slice() {
        [name, selector] => named_version(app, name, selector).await?,
        [one] => match one.rsplit_once('@') {
            Some((name, alias)) if !name.is_empty() && !alias.is_empty() => {
                let store = app.engine.store();
                store.find_model_version_by_alias(name.to_owned(), alias.to_owned()).await?
            }
            Some(_) => return Err(malformed()),
            None => {
                if model_id.as_deref() != Some(one.as_str()) {
                    return Err(malformed());
                }
                let model = app.engine.store().find_logged_model(one.clone()).await?;
                return Ok(Origin {
                    source: source.to_owned(),
                    location: Some(present::model_uri(&model)),
                    run_id: filled(run_id).or_else(|| filled(Some(model.source_run_id))),
                    model_id,
                });
            }
        },
        _ => return Err(malformed()),
    };
    if app.engine.store().find_registered_model(version.name.clone()).await?.is_prompt() {
        return Err(MlflowError::invalid(format!(
            "Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
        )));
    }
    let differs = |asked: &Option<String>, is: &Option<String>| {
        asked.as_deref().is_some_and(|asked| asked != is.as_deref().unwrap_or_default())
    };
    if differs(&run_id, &version.run_id) || differs(&model_id, &version.model_id) {
        return Err(MlflowError::invalid(format!(
            "Invalid model version source: '{source}'. The run_id and model_id request parameters must match the referenced model version."
        )));
    }
    Ok(Origin {
        source: format!("models:/{}/{}", version.name, version.version),
        location: Some(version.location.unwrap_or(version.source)),
        run_id: version.run_id,
        model_id: version.model_id,
    })
}

async fn named_version(app: &App, name: &str, selector: &str) -> Result<ModelVersionRow, MlflowError> {
    let store = app.engine.store();
    if let Ok(number) = selector.parse() {
        return Ok(store.find_model_version(name.to_owned(), number).await?);
    }
    let mut model = store.find_registered_model(name.to_owned()).await?;
    if !selector.eq_ignore_ascii_case("latest") {
        let stage = stage(selector)?;
        model.latest.retain(|version| version.stage == stage);
    }
    let absent = || {
        MlflowError::absent(format!("No versions of model with name '{name}' and stage '{selector}' found"))
    };
    model.latest.pop().ok_or_else(absent)
}

/// A path of this server's disk: only inside the folder of the run or the logged model, and only if that one lies there too.
async fn local(
    app: &App,
    source: &str,
    given: &Uri,
    run_id: Option<String>,
    model_id: Option<String>,
) -> Result<Origin, MlflowError> {
    let (run_id, model_id) = (filled(run_id), filled(model_id));
    let outside = || {
        MlflowError::invalid(format!(
            "Invalid model version source: '{source}'. To use a local path as a model version source, the run_id request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the run_id."
        ))
    };
    let root = match (&model_id, &run_id) {
        (Some(id), _) => present::model_uri(&model(app, id, source).await?),
        (None, Some(id)) => present::run_uri(&run(app, id, source).await?),
        (None, None) => return Err(outside()),
    };
    let root = Uri::parse(&root);
    let path = |uri: &Uri| PathBuf::from(format!("/{}", uri.parts.join("/")));
    if !is_local(&root) || !is_absolute(source, given) || !matches!(given.host.as_str(), "" | "localhost") {
        return Err(outside());
    }
    let (inside, folder) = (path(given), path(&root));
    let contained = tokio::task::spawn_blocking(move || resolved(&inside).starts_with(resolved(&folder)));
    match contained.await {
        Ok(true) => Ok(Origin { source: source.to_owned(), location: None, run_id, model_id }),
        _ => Err(outside()),
    }
}

/// A path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    match (fs_err::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) => resolved(parent).join(name),
        (Err(_), _, _) => path.to_owned(),
    }
}

/// Id and path of `runs:/<id>/<path>`.
pub(super) fn of_run(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("runs:/")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

async fn run(app: &App, id: &str, source: &str) -> Result<TrackedRunRow, MlflowError> {
    let found = app.engine.store().find_tracked_run(id.to_owned()).await?;
    found.ok_or_else(|| not_of(source, "run_id"))
}

async fn model(app: &App, id: &str, source: &str) -> Result<LoggedModelRow, MlflowError> {
    match app.engine.store().find_logged_model(id.to_owned()).await {
        Err(MetastoreError::Refused(Refusal::NoModel { .. })) => Err(not_of(source, "model_id")),
        found => Ok(found?),
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn not_of(source: &str, parameter: &str) -> MlflowError {
    MlflowError::invalid(format!(
        "Invalid model version source: '{source}'. The {parameter} request parameter must identify the resource that contains the source."
    ))
}

/// A URI, or a path: then without scheme.
#[derive(Debug)]
struct Uri {
    scheme: String,
    host: String,
    /// As it is written, without query and fragment.
    path: String,
    /// The parts of the path, decoded as often as there is something to decode.
    parts: Vec<String>,
}

impl Uri {
    fn parse(text: &str) -> Self {
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
                && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '-' | '.'))
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), text),
        };
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                rest.split_at(end)
            }
            None => ("", rest),
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let parts = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        Self { scheme, host: host.to_ascii_lowercase(), path: path.to_owned(), parts }
    }
}

/// Decodes `%41` until there is nothing to decode; each round shortens the text.
fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let next = decode_once(&text);
        if next == text {
            return text;
        }
        text = next;
    }
}

fn is_local(uri: &Uri) -> bool {
    matches!(uri.scheme.as_str(), "" | "file")
}

/// Whether a path begins at a root and leads neither up nor nowhere, however it is encoded.
fn is_absolute(source: &str, uri: &Uri) -> bool {
    let whole = decoded(source);
    let path = decoded(&uri.path);
    let plain = |text: &str| !text.contains('\0') && text.split(['/', '\\']).all(|part| part != "..");
    plain(&whole)
        && path.starts_with('/')
        && path.trim_end_matches('/').split('/').all(|part| part != ".")
        && path.chars().any(|sign| sign != '/')
}

/// Whether it is served by a server like this one.
fn is_artifact(uri: &Uri) -> bool {
    let route = || uri.parts.windows(ARTIFACT_ROUTE.len()).any(|parts| parts == ARTIFACT_ROUTE);
    uri.scheme == "mlflow-artifacts" || (matches!(uri.scheme.as_str(), "http" | "https") && route())
}

fn is_within(uri: &Uri, root: &str) -> bool {
    let root = Uri::parse(root);
    uri.scheme == root.scheme
        && uri.host == root.host
        && !root.parts.is_empty()
        && uri.parts.starts_with(&root.parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_leads_up() {
        for source in [
            "s3://bucket/a/b",
            "mlflow-artifacts:/run/model",
            "runs:/r/model",
            "https://host/a",
            "/a/b",
            "dbfs:/a",
        ] {
            assert!(is_absolute(source, &Uri::parse(source)), "{source}");
        }
        for source in [
            "mlflow-artifacts:/run/../other",
            "s3://b/a/%2e%2e/c",
            "s3://b/%252e%252e/c",
            "runs:r/model",
            "s3://bucket",
            "s3://bucket/",
            "https://host/a/..%2fb",
            "a/b",
            "./a",
            "/a/./b",
            "http://h/a%00",
            "s3://b/a\\..\\c",
            "models:",
            "",
        ] {
            assert!(!is_absolute(source, &Uri::parse(source)), "{source}");
        }
    }

    #[test]
    fn a_source_lies_inside_its_run() {
        let within = |source: &str, root: &str| is_within(&Uri::parse(source), root);
        assert!(within("mlflow-artifacts:/abc/model", "mlflow-artifacts:/abc"));
        assert!(within("mlflow-artifacts:/abc", "mlflow-artifacts:/abc"));
        assert!(within("s3://b/x/%61bc/model", "s3://b/x/abc"));
        assert!(!within("mlflow-artifacts:/abcd/model", "mlflow-artifacts:/abc"));
        assert!(!within("mlflow-artifacts://other/abc/model", "mlflow-artifacts:/abc"));
        assert!(!within("http://h/api/2.0/mlflow-artifacts/artifacts/abc", "mlflow-artifacts:/abc"));
        assert!(is_artifact(&Uri::parse("http://h/api/2.0/mlflow-artifacts/artifacts/abc")));
        assert!(!is_artifact(&Uri::parse("http://h/api/2.0/other")));
    }
}
