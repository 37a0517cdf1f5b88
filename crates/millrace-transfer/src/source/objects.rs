//! Objects of a bucket, which are fetched into the attempt's folder first.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use millrace_contract::{Progress, StepContext};
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;

use super::files::{self, SourceFile};
use crate::error::CopyError;
use crate::s3::{Bucket, SILENCE, patiently, unless_cancelled};

/// Objects that are fetched at the same time.
const AT_ONCE: usize = 4;

/// Fetches the objects that a key or glob names into `folder`, sorted by key. Bounded memory; cancelled with the step.
pub(crate) async fn fetch(
    bucket: &Bucket,
    pattern: &str,
    folder: &Path,
    context: &StepContext,
) -> Result<Vec<SourceFile>, CopyError> {
    unless_cancelled(context, async {
        let keys =
            if files::is_glob(pattern) { list(bucket, pattern).await? } else { vec![pattern.to_owned()] };
        fs_err::tokio::create_dir_all(folder)
            .await
            .map_err(|error| CopyError::write(folder.to_string_lossy(), &error))?;
        let meter = Meter { context, objects: keys.len(), fetched: AtomicU64::new(0) };
        let meter = &meter;
        let fetches = keys.into_iter().enumerate().map(|(index, key)| {
            let path = folder.join(format!("{index:06}"));
            async move { fetch_one(bucket, &key, path, meter).await }
        });
        // The type is spelt out because the compiler does not see through `map` that it may move between threads.
        let fetches: Vec<futures::future::BoxFuture<'_, _>> =
            fetches.map(|fetch| Box::pin(fetch) as _).collect();
        futures::stream::iter(fetches).buffered(AT_ONCE).try_collect().await
    })
    .await
}

/// The keys that match, sorted. Lists no more than what the glob's fixed folders hold.
async fn list(bucket: &Bucket, glob: &str) -> Result<Vec<String>, CopyError> {
    let matching = files::glob(glob)?;
    let folders: Vec<&str> = glob.split('/').take_while(|part| !files::is_glob(part)).collect();
    let prefix = bucket.path(&folders.join("/"))?;
    let mut objects = bucket.store.list(Some(&prefix));
    let mut keys = Vec::new();
    while let Some(object) =
        patiently(SILENCE, objects.try_next()).await.map_err(|error| bucket.read_failed(glob, &error))?
    {
        if matching.is_match(object.location.as_ref()) {
            keys.push(object.location.to_string());
        }
    }
    if keys.is_empty() {
        return Err(CopyError::read(bucket.label(glob), &"no object matches"));
    }
    keys.sort();
    Ok(keys)
}

async fn fetch_one(
    bucket: &Bucket,
    key: &str,
    path: PathBuf,
    meter: &Meter<'_>,
) -> Result<SourceFile, CopyError> {
    let failed = |error: object_store::Error| bucket.read_failed(key, &error);
    let local = |error: std::io::Error| CopyError::write(path.to_string_lossy(), &error);
    let answer = patiently(SILENCE, bucket.store.get(&bucket.path(key)?)).await.map_err(failed)?;
    let (name, announced) = (bucket.label(key), answer.meta.size);
    let mut file = fs_err::tokio::File::create(&path).await.map_err(local)?;
    let mut chunks = answer.into_stream();
    let mut size = 0;
    while let Some(chunk) = patiently(SILENCE, chunks.try_next()).await.map_err(failed)? {
        file.write_all(&chunk).await.map_err(local)?;
        size += chunk.len() as u64;
        meter.add(chunk.len() as u64);
    }
    file.flush().await.map_err(local)?;
    if size != announced {
        let message = format!("it ended after {size} of {announced} bytes");
        return Err(CopyError::Read { what: name, message, transient: true });
    }
    Ok(SourceFile { path, name })
}

/// Says how far fetching is.
struct Meter<'a> {
    context: &'a StepContext,
    objects: usize,
    fetched: AtomicU64,
}

impl Meter<'_> {
    fn add(&self, bytes: u64) {
        let bytes = self.fetched.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let objects = if self.objects == 1 { "object" } else { "objects" };
        let message = Some(format!("fetching {} {objects}", self.objects));
        self.context.progress.report(Progress { fraction: None, rows: None, bytes: Some(bytes), message });
    }
}
