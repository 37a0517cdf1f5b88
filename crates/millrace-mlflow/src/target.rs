//! Where things are taken over to: the workspace's database, and the storage of its files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use millrace_metastore::Metastore;
use millrace_storage::{FilePath, Storage, StorageError};
use tokio_util::io::ReaderStream;

use crate::ImportError;
use crate::digest::Totals;
use crate::files::walk;
use crate::record::{Broken, Source};

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// A workspace. Only one import may have it at a time.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its database.
    pub store: Metastore,
    /// The files of runs and logged models, `<id>/<path>`.
    pub artifacts: Storage,
}

/// What became of the files of a run or a logged model.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// As the source has them.
    pub(crate) source: Totals,
    /// As they are here now, read again.
    pub(crate) here: Totals,
    /// How many were copied, the others being here already.
    pub(crate) new: u64,
    pub(crate) bytes: u64,
    pub(crate) broken: Vec<Broken>,
    /// Files with another name here.
    pub(crate) renamed: Vec<(String, String)>,
}

/// A file's digest and its size.
type Content = (blake3::Hash, u64);

/// Bytes of a file as they come.
type Body = BoxStream<'static, std::io::Result<Bytes>>;

/// Where a file of the source is.
#[derive(Clone, Copy)]
enum From<'a> {
    Folder(&'a std::path::Path),
    Server(&'a dyn Source, &'a str),
}

impl From<'_> {
    fn shown(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Server(_, address) => format!("{address}/{name}"),
        }
    }

    async fn open(&self, name: &str) -> std::io::Result<Body> {
        match self {
            Self::Folder(folder) => {
                let file = fs_err::tokio::File::open(folder.join(name)).await?;
                Ok(ReaderStream::with_capacity(file, CHUNK).boxed())
            }
            Self::Server(source, address) => {
                let answer = source.read_file(address, name).await.map_err(std::io::Error::other)?;
                Ok(answer.bytes_stream().map_err(std::io::Error::other).boxed())
            }
        }
    }
}

impl Target {
    /// Copies the files of `owner` that are not here. A file that is here is left as it is, whatever is in it.
    pub(crate) async fn copy_folder(&self, folder: PathBuf, owner: &str) -> Copied {
        let mut copied = Copied::default();
        let there = folder.clone();
        let walked = tokio::task::spawn_blocking(move || walk(&there)).await;
        let (files, odd) = match walked.map_err(std::io::Error::other).flatten() {
            Ok(walked) => walked,
            Err(error) => {
                copied.broken.push(Broken::new(folder.display().to_string(), error.kind()));
                return copied;
            }
        };
        copied.broken.extend(odd.iter().map(|path| {
            Broken::new(path.display().to_string(), "it is a link or no plain file, which is not followed")
        }));
        self.take(From::Folder(&folder), files, owner, &mut copied).await;
        copied
    }

    /// Fetches the files of `owner` that are not here from a server. One that is here with the same size was compared when it was fetched.
    pub(crate) async fn fetch_folder(
        &self,
        source: &dyn Source,
        address: &str,
        owner: &str,
    ) -> Result<Copied, ImportError> {
        let mut copied = Copied::default();
        let files = source.list_files(address).await?;
        self.take(From::Server(source, address), files, owner, &mut copied).await;
        Ok(copied)
    }

    async fn take(&self, from: From<'_>, files: Vec<(String, u64)>, owner: &str, copied: &mut Copied) {
        if files.is_empty() {
            return;
        }
        let root = match FilePath::new(owner) {
            Ok(root) => root,
            Err(error) => return copied.broken.push(Broken::new(owner, error)),
        };
        let known = match self.artifacts.files(&root).await {
            Ok(known) => known,
            Err(error) => return copied.broken.push(Broken::new(from.shown(""), error)),
        };
        let known: HashMap<String, u64> =
            known.into_iter().map(|facts| (facts.path, facts.size_bytes)).collect();
        for (name, size) in files {
            let kept = name_here(&name);
            if kept != name {
                copied.renamed.push((from.shown(&name), format!("{owner}/{kept}")));
            }
            let taken = match root.join(&kept) {
                Ok(path) => self.take_file(from, (&name, size), &path, known.get(&kept).copied()).await,
                Err(error) => Err(error.to_string()),
            };
            match taken {
                Ok((source, here, is_new)) => {
                    copied.source.file(owner, &kept, source.1, &source.0);
                    copied.here.file(owner, &kept, here.1, &here.0);
                    copied.new += u64::from(is_new);
                    copied.bytes += if is_new { source.1 } else { 0 };
                }
                Err(reason) => copied.broken.push(Broken::new(from.shown(&name), reason)),
            }
        }
    }

    /// What the source has, what is here, and whether it is new here.
    async fn take_file(
        &self,
        from: From<'_>,
        (name, size): (&str, u64),
        path: &FilePath,
        known: Option<u64>,
    ) -> Result<(Content, Content, bool), String> {
        let text = |error: std::io::Error| error.to_string();
        let source = match (known, from) {
            (Some(_), From::Folder(_)) => hashed(from.open(name).await.map_err(text)?).await.map_err(text)?,
            (Some(known), From::Server(..)) if known == size => {
                let here = self.content(path).await.map_err(|error| error.to_string())?;
                return Ok((here, here, false));
            }
            (Some(_), From::Server(..)) => {
                hashed(from.open(name).await.map_err(text)?).await.map_err(text)?
            }
            (None, _) => match self.copy(from, (name, size), path).await {
                Ok(content) => content,
                // A server that starts meanwhile removes what is half-written.
                Err(_) => self.copy(from, (name, size), path).await?,
            },
        };
        let here = self.content(path).await.map_err(|error| error.to_string())?;
        Ok((source, here, known.is_none()))
    }

    async fn copy(
        &self,
        from: From<'_>,
        (name, size): (&str, u64),
        path: &FilePath,
    ) -> Result<Content, String> {
        let body = from.open(name).await.map_err(|error| error.to_string())?;
        let hasher = Arc::new(Mutex::new(blake3::Hasher::new()));
        let seen = hasher.clone();
        let body = body.inspect_ok(move |part| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).update(part);
        });
        let written =
            self.artifacts.write(path, body, Some(size)).await.map_err(|error| error.to_string())?;
        let digest = hasher.lock().unwrap_or_else(PoisonError::into_inner).finalize();
        Ok((digest, written))
    }

    async fn content(&self, path: &FilePath) -> Result<Content, StorageError> {
        let content = self.artifacts.read(path, None).await?;
        let failed = |error: std::io::Error| StorageError::Failed {
            path: path.to_string(),
            message: error.to_string(),
            transient: false,
        };
        hashed(content.body).await.map_err(failed)
    }
}

impl Target {
    /// The files of `owner` that are here, as the source of a copy.
    pub(crate) async fn count_files(&self, owner: &str) -> Copied {
        let mut counted = Copied::default();
        let root = FilePath::new(owner).unwrap_or_default();
        let files = match self.artifacts.files(&root).await {
            Ok(files) if !root.is_root() => files,
            Ok(_) => return counted,
            Err(error) => {
                counted.broken.push(Broken::new(owner, error));
                return counted;
            }
        };
        for facts in files {
            let read = match root.join(&facts.path) {
                Ok(path) => self.content(&path).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match read {
                Ok((digest, size)) => counted.source.file(owner, &facts.path, size, &digest),
                Err(reason) => counted.broken.push(Broken::new(format!("{owner}/{}", facts.path), reason)),
            }
        }
        counted
    }
}

/// The files of `owner` in a folder, as the source of a copy.
pub(crate) async fn count_folder(folder: &std::path::Path, owner: &str) -> Copied {
    let mut counted = Copied::default();
    let files = walk(folder).map(|(files, _)| files).unwrap_or_default();
    for (name, _) in files {
        let read = async { hashed(From::Folder(folder).open(&name).await?).await };
        match read.await {
            Ok((digest, size)) => counted.source.file(owner, &name, size, &digest),
            Err(error) => counted.broken.push(Broken::new(folder.join(&name).display().to_string(), error)),
        }
    }
    counted
}

async fn hashed(mut body: Body) -> std::io::Result<Content> {
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    while let Some(part) = body.try_next().await? {
        hasher.update(&part);
        size += part.len() as u64;
    }
    Ok((hasher.finalize(), size))
}

/// The name of a file here: some signs cannot be in one, since clients read them differently; wide ones that look alike stand for them.
fn name_here(name: &str) -> String {
    let sign = |sign: char| match sign {
        '#' => '\u{ff03}',
        '\\' => '\u{ff3c}',
        '\n' | '\r' => '\u{2424}',
        sign => sign,
    };
    if name.contains(['#', '\\', '\n', '\r']) { name.chars().map(sign).collect() } else { name.to_owned() }
}
