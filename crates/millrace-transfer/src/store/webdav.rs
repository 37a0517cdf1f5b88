//! WebDAV: a web server that lists and takes files, as Nextcloud and SharePoint do.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::{Method, Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::http::{HttpConnection, Web};
use super::listing::{Folders, Found, walk};
use super::settings::{Kind, Leads, Settings};
use super::streamed::Streamed;
use super::{FileFacts, FileStore, NewFile, Opened, Receipt, StagedFile, plain_path, staged_path};
use crate::error::CopyError;

/// The kind of connection `webdav`.
pub(super) const KIND: Kind =
    Kind::of::<WebdavConnection>("copy: {from: \"cloud:reports/*.xlsx\", to: \"data:reports\"}\n");

/// A listing longer than this is not read: it is kept in memory.
const LONGEST_LISTING: usize = 256 << 20;

/// Reads and writes files of a WebDAV server.
///
/// In connections.yaml: `cloud: {webdav: {url: "https://cloud.example/remote.php/dav/files/us/", user: …, password: …}}`. Then
/// `cloud:reports/*.csv` names files below that `url`. A file is sent under another name and moved to its place.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebdavConnection {
    /// Folder that paths begin in.
    url: Url,
    /// Who reads and writes.
    #[serde(default)]
    user: Option<String>,
    /// The user's password, usually `${{ secrets.… }}`.
    #[serde(default)]
    password: Option<String>,
    /// A bearer token instead, usually `${{ secrets.… }}`.
    #[serde(default)]
    bearer: Option<String>,
    /// Whether what opens the server may be sent to `http://`, which does not encrypt it.
    #[serde(default)]
    allow_http: bool,
}

impl WebdavConnection {
    fn web(&self) -> HttpConnection {
        let Self { url, user, password, bearer, allow_http } = self.clone();
        HttpConnection { url, user, password, bearer, headers: indexmap::IndexMap::new(), allow_http }
    }
}

impl Settings for WebdavConnection {
    const WORD: &'static str = "webdav";
    const SCHEMES: &'static [&'static str] = &[];
    const SECRET: &'static [&'static str] = &["password", "bearer"];

    fn declaration(name: &str, place: &str) -> String {
        format!(
            "{name}: {{webdav: {{url: \"https://{place}/\", user: …, password: \"${{{{ secrets.{name} }}}}\"}}}}"
        )
    }

    fn check(&self) -> Result<(), String> {
        self.web().check()
    }
}

impl Leads for WebdavConnection {
    fn root(&self) -> String {
        self.web().root()
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        Ok(Arc::new(Webdav { web: Arc::new(self.web().web()?), made: Mutex::default() }))
    }
}

/// A server below an address.
struct Webdav {
    web: Arc<Web>,
    /// Folders that are known to be there.
    made: Mutex<HashSet<String>>,
}

fn method(name: &'static str) -> Method {
    // The names are ours, and are good ones.
    Method::from_bytes(name.as_bytes()).unwrap_or(Method::OPTIONS)
}

impl Webdav {
    /// Makes the folders that a file lies in.
    async fn make_folders(&self, path: &str) -> Result<(), CopyError> {
        for (place, _) in path.match_indices('/') {
            let folder = path.get(..place).unwrap_or_default();
            if self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
                continue;
            }
            let request = self.web.request(method("MKCOL"), &format!("{folder}/"))?;
            let answer = request.send().await.map_err(|error| self.web.write_failed(path, error))?;
            // 405: it is there already.
            if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
                answer.error_for_status().map_err(|error| self.web.write_failed(path, error))?;
            }
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl Folders for Webdav {
    async fn look(&self, folder: &str) -> Result<Vec<Found>, CopyError> {
        let failed = |error: reqwest::Error| self.web.read_failed(folder, error);
        let at = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let request = self.web.request(method("PROPFIND"), &at)?.header("depth", "1");
        let request = request.header("content-type", "application/xml").body(ASKED);
        let answer = request.send().await.map_err(failed)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let mut answer = answer.error_for_status().map_err(failed)?;
        let mut listing = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            listing.extend_from_slice(&piece);
            if listing.len() > LONGEST_LISTING {
                return Err(CopyError::read(self.label(folder), &"its listing is too long"));
            }
        }
        let unreadable =
            |error: String| CopyError::read(self.label(folder), &format!("its listing: {error}"));
        let root = self.web.url("")?;
        let listed = entries(&listing, &root).map_err(unreadable)?;
        Ok(listed.into_iter().filter(|entry| entry.path() != folder).map(Entry::found).collect())
    }
}

/// What is asked of each file.
const ASKED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/>\
    <getcontentlength/><getlastmodified/><getetag/></prop></propfind>";

/// What a listing says of one file or folder.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    facts: FileFacts,
    is_folder: bool,
}

impl Entry {
    fn path(&self) -> &str {
        &self.facts.path
    }

    fn found(self) -> Found {
        if self.is_folder { Found::Folder(self.facts.path) } else { Found::File(self.facts) }
    }
}

/// Reads a `multistatus`: <https://www.rfc-editor.org/rfc/rfc4918#section-14.16>. What lies beside the root is left out.
fn entries(listing: &[u8], root: &Url) -> Result<Vec<Entry>, String> {
    let mut reader = Reader::from_reader(listing);
    let (mut entries, mut entry, mut href, mut text) = (Vec::new(), Entry::default(), None, String::new());
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Eof => return Ok(entries),
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"response" => {
                (entry, href) = (Entry::default(), None);
            }
            Event::Start(tag) | Event::Empty(tag) => {
                entry.is_folder |= tag.local_name().as_ref() == b"collection";
                text.clear();
            }
            Event::Text(words) => text.push_str(&words.decode().map_err(|error| error.to_string())?),
            Event::GeneralRef(name) => match name.decode().map_err(|error| error.to_string())?.as_ref() {
                "amp" => text.push('&'),
                "quot" => text.push('"'),
                "apos" => text.push('\''),
                "lt" => text.push('<'),
                "gt" => text.push('>'),
                other => return Err(format!("`&{other};` is not known")),
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                b"href" => href = Some(text.trim().to_owned()),
                b"getcontentlength" => entry.facts.size = text.trim().parse().ok(),
                b"getlastmodified" => {
                    let date = jiff::fmt::rfc2822::parse(text.trim()).ok();
                    entry.facts.modified = date.map(|date| date.timestamp());
                }
                b"getetag" => entry.facts.etag = quoted(text.trim()),
                b"response" => {
                    if let Some(path) = href.take().and_then(|href| below(&href, root)) {
                        entry.facts.path = path;
                        entries.push(std::mem::take(&mut entry));
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// A tag as headers have it; some servers leave the quotes out here.
fn quoted(etag: &str) -> Option<String> {
    let plain = !etag.is_empty() && !etag.ends_with('"');
    if plain { Some(format!("\"{etag}\"")) } else { Some(etag.to_owned()).filter(|etag| !etag.is_empty()) }
}

/// The path of an address from the root on, as it is written here.
fn below(href: &str, root: &Url) -> Option<String> {
    let url = root.join(href).ok()?;
    let decoded = |url: &Url| percent_decode_str(url.path()).decode_utf8().ok().map(|path| path.into_owned());
    let (path, root) = (decoded(&url)?, decoded(root)?);
    if path.trim_end_matches('/') == root.trim_end_matches('/') {
        return Some(String::new());
    }
    path.strip_prefix(&root).map(|path| path.trim_end_matches('/').to_owned())
}

#[async_trait]
impl FileStore for Webdav {
    fn label(&self, path: &str) -> String {
        self.web.label(path)
    }

    async fn list(&self, folder: &str, depth: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        walk(self, folder, depth).await
    }

    async fn read(&self, path: &str, from: u64, seen: Option<&FileFacts>) -> Result<Opened, CopyError> {
        self.web.read(path, from, seen).await
    }

    async fn delete(&self, path: &str) -> Result<(), CopyError> {
        let request = self.web.request(Method::DELETE, plain_path(path)?)?;
        let answer = request.send().await.map_err(|error| self.web.write_failed(path, error))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        answer.error_for_status().map(drop).map_err(|error| self.web.write_failed(path, error))
    }

    async fn begin(&self, path: &str, new: &NewFile) -> Result<Box<dyn StagedFile>, CopyError> {
        let target = plain_path(path)?.to_owned();
        let staged = staged_path(&target);
        self.make_folders(&target).await?;
        let mut request = self.web.upload(&staged)?;
        if let Some(size) = new.size {
            request = request.header("content-length", size);
        }
        let web = self.web.clone();
        let body = Streamed::begin(request, web.label(&target), web.secrets());
        Ok(Box::new(Upload { web, body, staged, target }))
    }
}

/// A file that is sent under another name.
struct Upload {
    web: Arc<Web>,
    body: Streamed,
    staged: String,
    target: String,
}

impl Upload {
    /// Whether the server has taken the file.
    fn taken(&self, answer: Response) -> Result<(), CopyError> {
        let answer = answer.error_for_status();
        answer.map(drop).map_err(|error| self.web.write_failed(&self.target, error))
    }

    async fn put_in_place(&mut self) -> Result<(), CopyError> {
        let answer = self.body.answered().await?;
        self.taken(answer)?;
        let request = self.web.request(method("MOVE"), &self.staged)?;
        let request =
            request.header("destination", self.web.url(&self.target)?.as_str()).header("overwrite", "T");
        let answer = request.send().await.and_then(Response::error_for_status);
        answer.map(drop).map_err(|error| self.web.write_failed(&self.target, error))
    }
}

#[async_trait]
impl StagedFile for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        let Some(answer) = self.body.write(bytes).await? else { return Ok(()) };
        self.taken(answer)?;
        Err(CopyError::write(self.web.label(&self.target), &"the server did not take the whole file"))
    }

    async fn commit(mut self: Box<Self>) -> Result<Receipt, CopyError> {
        match self.put_in_place().await {
            Ok(()) => Ok(Receipt::Silent("WebDAV has no digests")),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    async fn abort(self: Box<Self>) {
        let Self { web, body, staged, .. } = *self;
        drop(body);
        let removed = match web.request(Method::DELETE, &staged) {
            Ok(request) => request.send().await.map(|answer| answer.status()),
            Err(_) => return,
        };
        // 404: nothing of it was kept.
        if !removed.as_ref().is_ok_and(|status| status.is_success() || *status == StatusCode::NOT_FOUND) {
            tracing::warn!(file = web.label(&staged), "a staged file could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let root = Url::parse("https://cloud.example/dav/us/").unwrap();
        let listing = r#"<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">
            <d:response><d:href>/dav/us/out/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>
              </d:prop></d:propstat></d:response>
            <d:response><d:href>/dav/us/out/a%20b&amp;c.csv</d:href><d:propstat><d:prop><d:resourcetype/>
              <d:getcontentlength>12</d:getcontentlength><d:getetag>"x1"</d:getetag>
              <d:getlastmodified>Sun, 01 Mar 2026 06:00:00 GMT</d:getlastmodified></d:prop></d:propstat></d:response>
            <d:response><d:href>/dav/others/b.csv</d:href></d:response></d:multistatus>"#;
        let found = entries(listing.as_bytes(), &root).unwrap();
        let facts = FileFacts {
            path: "out/a b&c.csv".to_owned(),
            size: Some(12),
            modified: Some("2026-03-01T06:00:00Z".parse().unwrap()),
            etag: Some("\"x1\"".to_owned()),
        };
        let folder = FileFacts { path: "out".to_owned(), ..FileFacts::default() };
        assert_eq!(found, [Entry { facts: folder, is_folder: true }, Entry { facts, is_folder: false }]);
        assert!(entries(b"<d:multistatus><d:href", &root).is_err());
    }
}
