//! A file of a store: it is made in the attempt's folder and then sent, so that it changes at once or not at all.

use std::path::Path;

use bytes::Bytes;
use millrace_contract::{Progress, StepContext};
use tokio::io::AsyncReadExt as _;

use crate::config::Write;
use crate::error::CopyError;
use crate::format;
use crate::store::{FileStore, NewFile, StagedFile, is_glob, unless_cancelled};

/// Bytes that are sent to the store at a time.
const PIECE: usize = 256 * 1024;

/// Checks that a file can be written under this path and says in which format.
pub(crate) fn check(path: &str, write: &Write) -> Result<(), CopyError> {
    if *write != Write::Overwrite {
        return Err(CopyError::config("objects can only be overwritten", "write: overwrite"));
    }
    if is_glob(path) || path.ends_with('/') {
        return Err(CopyError::config(format!("`{path}` does not name one object"), "lake:out/rows.parquet"));
    }
    format::of_name(path).map(drop).ok_or_else(|| format::unknown(path))
}

/// A short name with the endings that decide how the file is written.
pub(crate) fn staged_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let endings: Vec<&str> = name.rsplit('.').take(2).collect();
    let endings = endings.into_iter().rev().collect::<Vec<_>>().join(".");
    format!("upload.{endings}")
}

/// Sends a file. When that fails or the step is cancelled, the store is as it was.
pub(crate) async fn send(
    store: &dyn FileStore,
    path: &str,
    file: &Path,
    context: &StepContext,
) -> Result<(), CopyError> {
    let local = |error: std::io::Error| CopyError::read(file.to_string_lossy(), &error);
    let size = fs_err::tokio::metadata(file).await.map_err(local)?.len();
    let mut staged = unless_cancelled(context, store.begin(path, &NewFile::of_size(size))).await?;
    let sent = unless_cancelled(context, send_pieces(staged.as_mut(), file, size, context)).await;
    match sent {
        Ok(()) => unless_cancelled(context, staged.commit()).await.map(drop),
        Err(error) => {
            staged.abort().await;
            Err(error)
        }
    }
}

async fn send_pieces(
    staged: &mut dyn StagedFile,
    file: &Path,
    size: u64,
    context: &StepContext,
) -> Result<(), CopyError> {
    let local = |error: std::io::Error| CopyError::read(file.to_string_lossy(), &error);
    let mut opened = fs_err::tokio::File::open(file).await.map_err(local)?;
    let mut sent = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut opened).take(PIECE as u64).read_to_end(&mut piece).await.map_err(local)?;
        if piece.is_empty() {
            return Ok(());
        }
        sent += piece.len() as u64;
        staged.write(Bytes::from(piece)).await?;
        #[allow(clippy::cast_precision_loss, reason = "a share for people to read")]
        let fraction = Some(sent as f64 / size.max(1) as f64);
        let message = Some("sending".to_owned());
        context.progress.report(Progress { fraction, rows: None, bytes: Some(sent), message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_to_write() {
        let check = |path: &str| {
            super::check(path, &Write::Overwrite)
                .map(|()| staged_name(path))
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("out/a.b.CSV.gz").as_deref(), Ok("upload.csv.gz"));
        assert_eq!(check("out/a.ndjson.zst").as_deref(), Ok("upload.ndjson.zst"));
        assert_eq!(check("b/a.parquet").as_deref(), Ok("upload.a.parquet"));
        assert_eq!(check("out/*.csv"), Err("`out/*.csv` does not name one object".to_owned()));
        assert_eq!(check("out/a"), Err("the format of `out/a` cannot be told by its ending".to_owned()));
        assert!(super::check("a.csv", &Write::Append).is_err());
    }
}
