//! MLflow's own web pages, from the build in an installed wheel: they stay its files, none of them is ours.
//!
//! The pages name everything relative to where they lie, so that all they call is under `/mlflow/` too. Notebooks that show traces
//! name `/static-files/` alone.

use std::path::{Component, Path as FilePath, PathBuf};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::app::App;

/// Where the pages are.
pub(crate) const ADDRESS: &str = "/mlflow/";
/// Four weeks, as MLflow says: the names of the files change with their content.
const CACHING: &str = "public, max-age=2419200";
/// What the pages need: their charts and tables make code and styles at run time, artifacts are shown in frames of their own.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-src 'self' blob: data:; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// The pages and their files.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/mlflow", get(|| async { Redirect::permanent(ADDRESS) }))
        .route(ADDRESS, get(index))
        .route("/mlflow/static-files/{*path}", get(asset))
        .route("/static-files/{*path}", get(asset))
}

async fn index(State(app): State<App>) -> Response {
    let head = [(header::CACHE_CONTROL, "no-cache"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (head, file(&app, "index.html").await).into_response()
}

async fn asset(State(app): State<App>, Path(path): Path<String>) -> Response {
    ([(header::CACHE_CONTROL, CACHING)], file(&app, &path).await).into_response()
}

async fn file(app: &App, path: &str) -> Response {
    let Some(target) = app.mlflow_pages.as_deref().and_then(|folder| inside(folder, path)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = mime_guess::from_path(&target).first_or_octet_stream().to_string();
    match fs_err::tokio::read(&target).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A path below a folder, unless it leads out of it.
fn inside(folder: &FilePath, path: &str) -> Option<PathBuf> {
    let path = FilePath::new(path);
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_lies_outside() {
        let of = |path| inside(FilePath::new("/wheel"), path);
        assert_eq!(of("static/js/main.js"), Some(PathBuf::from("/wheel/static/js/main.js")));
        for path in ["../secret", "/etc/passwd", "static/../../secret", "./a/../.."] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
