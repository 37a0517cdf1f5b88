//! Whose files are below a path: nothing is written for a run, a logged model or a trace that is gone.

use millrace_tracking::traces::TRACES;

use super::error::MlflowError;
use crate::app::App;

/// The trace that a path is of, and its folder: `traces/<id>/artifacts/…`, where clients keep what was attached to spans.
pub(super) fn trace(path: &str) -> Option<(&str, &str)> {
    let (id, rest) = path.strip_prefix(TRACES)?.strip_prefix('/')?.split_once('/')?;
    let in_place = rest == "artifacts" || rest.starts_with("artifacts/");
    (in_place && !id.is_empty() && !is_id(id))
        .then(|| (id, path.strip_suffix(rest).unwrap_or_default().trim_end_matches('/')))
}

/// The run, logged model or trace that a path is of, and its folder: `<id>/…`, or `…/<id>/artifacts/…` where an experiment has a place of
/// its own.
fn owner(path: &str) -> Option<(&str, &str)> {
    if let Some(found) = trace(path) {
        return Some(found);
    }
    let mut start = 0;
    while let Some(rest) = path.get(start..) {
        let part = rest.split('/').next().unwrap_or_default();
        let end = start + part.len();
        let after = path.get(end..).unwrap_or_default();
        let in_place = start == 0 || after == "/artifacts" || after.starts_with("/artifacts/");
        if in_place && is_id(part) {
            return Some((part, path.get(..end).unwrap_or_default()));
        }
        if end >= path.len() {
            return None;
        }
        start = end + 1;
    }
    None
}

/// 32 hex digits, with `m-` before them for a logged model.
fn is_id(part: &str) -> bool {
    let digits = part.strip_prefix("m-").unwrap_or(part);
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

fn gone(id: &str) -> MlflowError {
    let what = match id {
        id if !is_id(id) => "Trace",
        id if id.starts_with("m-") => "Logged model",
        _ => "Run",
    };
    MlflowError::absent(format!("{what} with id={id} not found"))
}

async fn is_there(app: &App, id: &str) -> Result<bool, MlflowError> {
    let store = app.engine.store();
    if is_id(id) {
        return Ok(store.has_artifact_owner(id.to_owned()).await?);
    }
    Ok(!store.find_traces(vec![id.to_owned()]).await?.is_empty())
}

/// Refuses to write files of a run, logged model or trace that there is not (any more).
pub(super) async fn require(app: &App, path: &str) -> Result<(), MlflowError> {
    let Some((id, _)) = owner(path) else { return Ok(()) };
    if is_there(app, id).await? { Ok(()) } else { Err(gone(id)) }
}

/// After the file is there: if what it is of was purged meanwhile, the collector gets it, and the client is told.
pub(super) async fn confirm(app: &App, path: &str) -> Result<(), MlflowError> {
    let Some((id, folder)) = owner(path) else { return Ok(()) };
    if is_there(app, id).await? {
        changed(app, path);
        return Ok(());
    }
    let store = app.engine.store();
    store.discard_artifacts(folder.to_owned(), id.to_owned(), app.clock.now().as_microsecond()).await?;
    Err(gone(id))
}

/// Says that files below a path are others than before.
pub(super) fn changed(app: &App, path: &str) {
    // What traces take is measured by their spans.
    if let Some((id, _)) = owner(path).filter(|(id, _)| is_id(id)) {
        app.lifecycle.touch(id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn a_path_tells_whose_it_is() {
        let (run, model) = ("0123456789abcdef0123456789abcdef", "m-0123456789abcdef0123456789abcdef");
        let of = |path: String, id: &str, folder: String| {
            assert_eq!(owner(&path), Some((id, folder.as_str())), "{path}");
        };
        of(format!("{run}/model/MLmodel"), run, run.to_owned());
        of(run.to_owned(), run, run.to_owned());
        of(format!("{model}/MLmodel"), model, model.to_owned());
        of(format!("team/a/{run}/artifacts/x"), run, format!("team/a/{run}"));
        of(format!("team/models/{model}/artifacts/x"), model, format!("team/models/{model}"));
        of("traces/tr-1/artifacts/attachments/x".to_owned(), "tr-1", "traces/tr-1".to_owned());
        of(format!("traces/{run}/artifacts/x"), run, format!("traces/{run}"));
        for path in [
            "traces/tr-1/x".to_owned(),
            "traces/tr-1".to_owned(),
            "notes.txt".to_owned(),
            format!("data/{run}"),
            format!("data/{run}/x"),
            format!("data/{run}/artifactsx"),
            "0123/x".to_owned(),
            String::new(),
        ] {
            assert_eq!(owner(&path), None, "{path}");
        }
    }
}
