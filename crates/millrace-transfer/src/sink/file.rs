//! Local files, written beside their place and renamed when they are whole.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryError};
use millrace_spec::asset::{Asset, AssetType};

use crate::config::{CopyConfig, Write as Mode};
use crate::error::CopyError;
use crate::format::{Failure, FileTarget, Format, Packing};
use crate::meter::{Meter, Stage};

/// Writes all rows to `path`, in the format of its ending, and returns the file and how many rows there were.
pub(crate) async fn write_local(
    path: PathBuf,
    config: &Arc<CopyConfig>,
    rows: BatchStream,
    meter: &Arc<Meter>,
) -> Result<(Asset, u64), CopyError> {
    let name = path.to_string_lossy().into_owned();
    if config.write != Mode::Overwrite {
        return Err(CopyError::config("files can only be overwritten", "write: overwrite"));
    }
    let target = FileTarget { path: name.clone(), ..FileTarget::of(&config.to)? };
    let format = target.format_of(&name)?;
    let encoding = Encoding { format, target, meter: meter.clone() };
    let count = write_file(path.clone(), encoding, rows).await?;
    let failed = |error: &dyn std::fmt::Display| CopyError::write(name.clone(), error);
    let uri = url::Url::from_file_path(&path).map_err(|()| failed(&"the path is not absolute"))?.to_string();
    let digested = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
        let mut hasher = blake3::Hasher::new();
        let size = std::io::copy(&mut fs_err::File::open(&path)?, &mut hasher)?;
        Ok((format!("blake3:{}", hasher.finalize().to_hex()), size))
    });
    let (digest, size) = digested.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let asset = Asset {
        kind: AssetType::File,
        name: None,
        version: None,
        uri,
        delta_version: None,
        digest,
        rows: Some(count),
        size_bytes: Some(size),
    };
    Ok((asset, count))
}

/// How rows become bytes.
struct Encoding {
    format: Format,
    target: FileTarget,
    meter: Arc<Meter>,
}

/// Writes all rows to `path` and returns how many there were.
async fn write_file(path: PathBuf, encoding: Encoding, mut rows: BatchStream) -> Result<u64, CopyError> {
    let what = path.to_string_lossy().into_owned();
    let failed = |error: &dyn std::fmt::Display| CopyError::write(what.clone(), error);
    if let Some(folder) = path.parent() {
        fs_err::tokio::create_dir_all(folder).await.map_err(|error| failed(&error))?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let staged = path.with_file_name(format!(".{name}.staged"));
    let schema = rows.schema.clone();
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    let (at, ending) = (staged.clone(), name);
    let writing =
        tokio::task::spawn_blocking(move || write_batches(&at, &ending, &encoding, &schema, receiver));
    let mut source = Ok(());
    while let Some(batch) = rows.batches.next().await {
        let failed = batch.is_err();
        if let Err(error) = &batch {
            source = Err(CopyError::read("the source", error));
        }
        // A closed channel means that writing failed; its error follows.
        if sender.send(batch).await.is_err() || failed {
            break;
        }
    }
    drop(sender);
    let written = writing.await.map_err(|error| failed(&error))?;
    match (source, written) {
        (Ok(()), Ok(count)) => {
            fs_err::tokio::rename(&staged, &path).await.map_err(|error| failed(&error))?;
            Ok(count)
        }
        (source, written) => {
            let _ = fs_err::tokio::remove_file(&staged).await;
            source?;
            written.map_err(|error| failed(&error))
        }
    }
}

type Receiver = tokio::sync::mpsc::Receiver<Result<RecordBatch, QueryError>>;

fn write_batches(
    path: &Path,
    name: &str,
    encoding: &Encoding,
    schema: &SchemaRef,
    mut rows: Receiver,
) -> Result<u64, Failure> {
    let file = BufWriter::with_capacity(256 * 1024, fs_err::File::create(path)?.into_file());
    let lower = name.to_lowercase();
    let Encoding { format, target, meter } = encoding;
    let out = Packing::of_name(&lower).0.packed(file, target.level)?;
    let mut encoder = format.of().encoder(out, schema, target)?;
    let mut count = 0;
    while let Some(batch) = rows.blocking_recv().transpose()? {
        count += batch.num_rows() as u64;
        let begun = Instant::now();
        encoder.write(&batch)?;
        meter.add(Stage::Write, begun.elapsed());
    }
    let begun = Instant::now();
    encoder.finish()?.end()?;
    meter.add(Stage::Write, begun.elapsed());
    Ok(count)
}
