//! Files by path or glob, and files of web servers, which are fetched into the attempt's folder first.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use regex::Regex;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::error::CopyError;
use crate::format::{Packing, unpacked};
use crate::meter::Meter;

/// A local file and the name its user knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
}

impl SourceFile {
    /// Opens it for reading from its beginning to its end; how it is packed is told by its ending. The bytes that the file has are counted.
    pub(crate) fn open(&self, meter: &Arc<Meter>) -> Result<Box<dyn Read + Send>, CopyError> {
        let file = fs_err::File::open(&self.path).map_err(|error| CopyError::read(&self.name, &error))?;
        let file = BufReader::with_capacity(256 * 1024, Counted { file, meter: meter.clone() });
        let name = self.name.to_lowercase();
        let (packing, _) = Packing::of_name(&name);
        unpacked(packing, file).map_err(|error| CopyError::broken(&self.name, error))
    }

    /// Where it is, for readers that go back and forth in it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that the file has; 0 if nobody knows.
    pub(crate) fn size_bytes(&self) -> u64 {
        fs_err::metadata(&self.path).map_or(0, |facts| facts.len())
    }
}

struct Counted {
    file: fs_err::File,
    meter: Arc<Meter>,
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(room)?;
        self.meter.read(read as u64);
        Ok(read)
    }
}

/// The files that a path or glob names, sorted.
pub(crate) fn expand(workspace: &Path, pattern: &str) -> Result<Vec<SourceFile>, CopyError> {
    let name_of = |path: &Path| path.strip_prefix(workspace).unwrap_or(path).to_string_lossy().into_owned();
    let fixed: PathBuf = Path::new(pattern)
        .components()
        .take_while(|part| !is_glob(&part.as_os_str().to_string_lossy()))
        .collect();
    let start = workspace.join(&fixed);
    let mut files = Vec::new();
    if is_glob(pattern) {
        let absolute = workspace.join(pattern).to_string_lossy().into_owned();
        let regex = glob(&absolute)?;
        walk(&start, &regex, &mut files).map_err(|error| CopyError::read(pattern, &error))?;
    } else if start.is_file() {
        files.push(start);
    }
    files.sort();
    if files.is_empty() {
        return Err(CopyError::read(
            pattern,
            &"there is no such file; the path is relative to the workspace's folder",
        ));
    }
    Ok(files.into_iter().map(|path| SourceFile { name: name_of(&path), path }).collect())
}

pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// What a whole path must match.
pub(crate) fn glob(glob: &str) -> Result<Regex, CopyError> {
    Regex::new(&glob_regex(glob)).map_err(|error| CopyError::config(error.to_string(), "raw/*.csv"))
}

fn glob_regex(glob: &str) -> String {
    let escaped = regex::escape(glob);
    let any_folder = escaped.replace(r"\*\*/", "(.*/)?").replace(r"\*\*", ".*");
    format!("^{}$", any_folder.replace(r"\*", "[^/]*").replace(r"\?", "[^/]").replace("(.[^/]*/)", "(.*/)"))
}

fn walk(folder: &Path, regex: &Regex, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, regex, files)?;
        } else if regex.is_match(&path.to_string_lossy()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Fetches a file into `folder`. Bounded memory; a length that the server announced is checked.
pub(crate) async fn fetch(
    client: &reqwest::Client,
    url: &Url,
    folder: &Path,
) -> Result<SourceFile, CopyError> {
    let failed = |error: reqwest::Error| {
        let transient =
            error.status().is_none_or(|status| status.is_server_error() || status.as_u16() == 429);
        CopyError::Read { what: url.to_string(), message: error.without_url().to_string(), transient }
    };
    let name = url
        .path_segments()
        .and_then(|mut parts| parts.next_back())
        .filter(|name| !name.is_empty())
        .unwrap_or("download");
    let path = folder.join(format!("fetched-{name}"));
    let local = |error: std::io::Error| CopyError::write(path.to_string_lossy(), &error);
    // No content coding: the bytes are the file's own.
    let request = client.get(url.clone()).header("accept-encoding", "identity");
    let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mut file = fs_err::tokio::File::create(&path).await.map_err(local)?;
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        file.write_all(&chunk.map_err(failed)?).await.map_err(local)?;
    }
    file.flush().await.map_err(local)?;
    Ok(SourceFile { name: name.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let check = |glob: &str, path: &str| Regex::new(&glob_regex(glob)).unwrap().is_match(path);
        assert!(check("/w/raw/*.csv", "/w/raw/a.csv"));
        assert!(!check("/w/raw/*.csv", "/w/raw/b/a.csv"));
        assert!(check("/w/raw/**/*.csv", "/w/raw/b/c/a.csv"));
        assert!(check("/w/raw/**/*.csv", "/w/raw/a.csv"));
        assert!(check("/w/day=?/a.csv", "/w/day=1/a.csv"));
        assert!(!check("/w/a.csv", "/w/abcsv"));
    }
}
