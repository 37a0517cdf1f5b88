//! An object of a bucket: a file that is made in the attempt's folder and then sent, so that the key changes at once or not at all.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use millrace_contract::{Progress, StepContext};
use object_store::{MultipartUpload, ObjectStoreExt as _};
use tokio::io::AsyncReadExt as _;

use crate::config::Write;
use crate::error::CopyError;
use crate::format;
use crate::s3::{Bucket, patiently, unless_cancelled};
use crate::source::files;

/// Size of a part unless the object is so big that it would have too many; a smaller object is sent in one piece.
const PART: u64 = 8 * 1024 * 1024;
/// S3 takes 10,000.
const MOST_PARTS: u64 = 9_000;
/// Parts that are sent at the same time.
const AT_ONCE: usize = 4;
/// How long a part may take, its retries included.
const PATIENCE: Duration = Duration::from_secs(300);

/// Checks that an object can be written under this key and says in which format.
pub(crate) fn check(key: &str, write: &Write) -> Result<(), CopyError> {
    if *write != Write::Overwrite {
        return Err(CopyError::config("objects can only be overwritten", "write: overwrite"));
    }
    if files::is_glob(key) || key.ends_with('/') {
        return Err(CopyError::config(format!("`{key}` does not name one object"), "lake:out/rows.parquet"));
    }
    format::of_name(key).map(drop).ok_or_else(|| format::unknown(key))
}

/// A short name with the endings that decide how the file is written.
pub(crate) fn staged_name(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key).to_lowercase();
    let endings: Vec<&str> = name.rsplit('.').take(2).collect();
    let endings = endings.into_iter().rev().collect::<Vec<_>>().join(".");
    format!("upload.{endings}")
}

/// Sends a file. When that fails or the step is cancelled, the key is as it was and the parts are discarded.
pub(crate) async fn upload(
    bucket: &Bucket,
    key: &str,
    file: &Path,
    context: &StepContext,
) -> Result<(), CopyError> {
    let failed = |error: object_store::Error| bucket.write_failed(key, &error);
    let local = |error: std::io::Error| CopyError::read(file.to_string_lossy(), &error);
    let path = bucket.path(key)?;
    let size = fs_err::tokio::metadata(file).await.map_err(local)?.len();
    if size <= PART {
        let content = fs_err::tokio::read(file).await.map_err(local)?;
        let sending =
            async { patiently(PATIENCE, bucket.store.put(&path, content.into())).await.map_err(failed) };
        return unless_cancelled(context, sending).await.map(drop);
    }
    let begun = async { patiently(PATIENCE, bucket.store.put_multipart(&path)).await.map_err(failed) };
    let mut parts = unless_cancelled(context, begun).await?;
    let sent = unless_cancelled(context, async {
        send_parts(parts.as_mut(), file, size, context).await.map_err(|error| match error {
            Broken::Server(error) => failed(error),
            Broken::Local(error) => local(error),
        })?;
        patiently(PATIENCE, parts.complete()).await.map_err(failed)
    })
    .await;
    if sent.is_err()
        && let Err(error) = patiently(Duration::from_secs(20), parts.abort()).await
    {
        // The copy's own error is the one to tell; the bucket's lifecycle rules discard the parts.
        tracing::warn!(error = %failed(error), "the parts of an upload could not be discarded");
    }
    sent.map(drop)
}

enum Broken {
    Local(std::io::Error),
    Server(object_store::Error),
}

async fn send_parts(
    parts: &mut dyn MultipartUpload,
    file: &Path,
    size: u64,
    context: &StepContext,
) -> Result<(), Broken> {
    let mut file = fs_err::tokio::File::open(file).await.map_err(Broken::Local)?;
    let part = PART.max(size.div_ceil(MOST_PARTS));
    let mut sending = FuturesUnordered::new();
    let mut sent = 0;
    let mut report = |bytes: u64| {
        sent += bytes;
        #[allow(clippy::cast_precision_loss, reason = "a share for people to read")]
        let fraction = Some(sent as f64 / size as f64);
        let message = Some("sending".to_owned());
        context.progress.report(Progress { fraction, rows: None, bytes: Some(sent), message });
    };
    loop {
        let mut content = Vec::new();
        (&mut file).take(part).read_to_end(&mut content).await.map_err(Broken::Local)?;
        if content.is_empty() {
            break;
        }
        if sending.len() == AT_ONCE
            && let Some(bytes) = sending.try_next().await.map_err(Broken::Server)?
        {
            report(bytes);
        }
        let bytes = content.len() as u64;
        let request = parts.put_part(Bytes::from(content).into());
        sending.push(async move { patiently(PATIENCE, request).await.map(|()| bytes) });
    }
    while let Some(bytes) = sending.try_next().await.map_err(Broken::Server)? {
        report(bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_to_write() {
        let check = |key: &str| {
            super::check(key, &Write::Overwrite).map(|()| staged_name(key)).map_err(|error| error.to_string())
        };
        assert_eq!(check("out/a.b.CSV.gz").as_deref(), Ok("upload.csv.gz"));
        assert_eq!(check("out/a.ndjson.zst").as_deref(), Ok("upload.ndjson.zst"));
        assert_eq!(check("b/a.parquet").as_deref(), Ok("upload.a.parquet"));
        assert_eq!(check("out/*.csv"), Err("`out/*.csv` does not name one object".to_owned()));
        assert_eq!(check("out/a"), Err("the format of `out/a` cannot be told by its ending".to_owned()));
        assert!(super::check("a.csv", &Write::Append).is_err());
    }
}
