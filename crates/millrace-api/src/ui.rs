//! The embedded web UI: its files, and `index.html` for every page of it.

use std::path::PathBuf;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;

include!(concat!(env!("OUT_DIR"), "/ui_assets.rs"));

/// A file of the UI.
struct Asset {
    path: &'static str,
    bytes: &'static [u8],
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
}

/// Where the UI's files come from.
#[derive(Debug, Clone, Default)]
pub enum Ui {
    /// From the executable, as it was built.
    #[default]
    Embedded,
    /// From a folder, read anew each time.
    Folder(PathBuf),
}

impl Ui {
    /// The embedded files; `checkout/web/dist` for a debug build, which embeds none.
    pub fn of_this_build() -> Self {
        if ASSETS.is_empty() {
            Self::Folder(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist")))
        } else {
            Self::Embedded
        }
    }
}

const MISSING: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Millrace</title>\
<h1>The web UI is not part of this build</h1>\
<p>Build it with <code>npm ci &amp;&amp; npm run build</code> in <code>web/</code>, or install Node 20 or newer and build Millrace with \
<code>cargo build --release</code>.<p>The API works without it: <a href=/api/workspace>/api/workspace</a>.";

/// Answers everything that no route knows.
pub(crate) async fn serve_ui(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads
        || path == "/api"
        || path.starts_with("/api/")
        || path.starts_with("/ajax-api/")
        || path.starts_with("/v2/")
    {
        return ApiError::unknown("address", path).into_response();
    }
    let name = path.trim_start_matches('/');
    let found =
        match file(&app.ui, if name.is_empty() { "index.html" } else { name }, request.headers()).await {
            Some(response) => Some(response),
            // A hashed file that is gone must not become a page.
            None if name.starts_with("assets/") => return StatusCode::NOT_FOUND.into_response(),
            None => file(&app.ui, "index.html", request.headers()).await,
        };
    found.unwrap_or_else(|| Html(MISSING).into_response())
}

async fn file(ui: &Ui, name: &str, headers: &HeaderMap) -> Option<Response> {
    let kind = mime_guess::from_path(name).first_or_octet_stream().to_string();
    let caching =
        if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching.to_owned())];
    match ui {
        Ui::Embedded => {
            let asset = ASSETS.iter().find(|asset| asset.path == name)?;
            let accepted = headers
                .get(header::ACCEPT_ENCODING)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            let vary = [(header::VARY, "accept-encoding")];
            let response = match (asset.br, asset.gz) {
                (Some(bytes), _) if accepts(accepted, "br") => {
                    (head, vary, [(header::CONTENT_ENCODING, "br")], bytes).into_response()
                }
                (_, Some(bytes)) if accepts(accepted, "gzip") => {
                    (head, vary, [(header::CONTENT_ENCODING, "gzip")], bytes).into_response()
                }
                _ => (head, vary, asset.bytes).into_response(),
            };
            Some(response)
        }
        Ui::Folder(folder) => {
            let inside = std::path::Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            let path = folder.join(name);
            let bytes = if inside { fs_err::tokio::read(path).await.ok()? } else { return None };
            Some((head, bytes).into_response())
        }
    }
}

fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        parts.next() == Some(coding) && parts.all(|part| part != "q=0")
    })
}

#[cfg(test)]
mod tests {
    use super::accepts;

    #[test]
    fn codings_are_read_as_words() {
        assert!(accepts("gzip, deflate, br;q=1.0", "br"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("brotli", "br"));
    }
}
