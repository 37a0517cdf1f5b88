//! Whose files are below a path: nothing is written for a run or a logged model that is gone.

use super::error::MlflowError;
use crate::app::App;

/// The run or logged model that a path is of, and its folder: `<id>/…`, or `…/<id>/artifacts/…` where an experiment has a place of its own.
fn owner(path: &str) -> Option<(&str, &str)> {
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
    let what = if id.starts_with("m-") { "Logged model" } else { "Run" };
    MlflowError::absent(format!("{what} with id={id} not found"))
}

/// Refuses to write files of a run or logged model that there is not (any more).
pub(super) async fn require(app: &App, path: &str) -> Result<(), MlflowError> {
    let Some((id, _)) = owner(path) else { return Ok(()) };
    if app.engine.store().has_artifact_owner(id.to_owned()).await? { Ok(()) } else { Err(gone(id)) }
}

/// After the file is there: if what it is of was purged meanwhile, the collector gets it, and the client is told.
pub(super) async fn confirm(app: &App, path: &str) -> Result<(), MlflowError> {
    let Some((id, folder)) = owner(path) else { return Ok(()) };
    let store = app.engine.store();
    if store.has_artifact_owner(id.to_owned()).await? {
        app.lifecycle.touch(id.to_owned());
        return Ok(());
    }
    store.discard_artifacts(folder.to_owned(), id.to_owned(), app.clock.now().as_microsecond()).await?;
    Err(gone(id))
}

/// Says that files below a path are others than before.
pub(super) fn changed(app: &App, path: &str) {
    if let Some((id, _)) = owner(path) {
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
        for path in [
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
