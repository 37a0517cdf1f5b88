//! Local files: CSV, JSON lines and Parquet, written beside their place and renamed when they are whole.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryError};
use millrace_spec::asset::{Asset, AssetType};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::copy::{CopyConfig, Write as Mode};
use crate::error::CopyError;
use crate::source::files::{self, Format};

/// Writes all rows to `path`, in the format of its ending, and returns the file and how many rows there were.
pub(crate) async fn write_local(
    path: PathBuf,
    config: &CopyConfig,
    rows: BatchStream,
) -> Result<(Asset, u64), CopyError> {
    let name = path.to_string_lossy().into_owned();
    if config.write != Mode::Overwrite {
        return Err(CopyError::config("files can only be overwritten", "write: overwrite"));
    }
    let format = files::format_of_name(&name).ok_or_else(|| {
        CopyError::config(
            format!("the format of `{name}` cannot be told by its ending"),
            "end it in .csv, .jsonl or .parquet",
        )
    })?;
    let count = write_file(path.clone(), format, rows).await?;
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

/// Writes all rows to `path` and returns how many there were.
async fn write_file(path: PathBuf, format: Format, mut rows: BatchStream) -> Result<u64, CopyError> {
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
    let writing = tokio::task::spawn_blocking(move || write_batches(&at, &ending, format, &schema, receiver));
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
    format: Format,
    schema: &SchemaRef,
    mut rows: Receiver,
) -> Result<u64, Failure> {
    let file = fs_err::File::create(path)?;
    let synced = file.try_clone()?;
    let mut count = 0;
    let mut next = || -> Result<Option<RecordBatch>, Failure> {
        let batch = rows.blocking_recv().transpose()?;
        count += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        Ok(batch)
    };
    if format == Format::Parquet {
        let level = ZstdLevel::try_new(3)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        while let Some(batch) = next()? {
            writer.write(&batch)?;
        }
        writer.close()?;
    } else {
        let file = BufWriter::new(file);
        match name.rsplit('.').next() {
            Some("gz") => {
                let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
                write_text(&mut encoder, format, schema, &mut next)?;
                encoder.finish()?.flush()?;
            }
            Some("zst") => {
                let mut encoder = zstd::stream::write::Encoder::new(file, 3)?;
                write_text(&mut encoder, format, schema, &mut next)?;
                encoder.finish()?.flush()?;
            }
            _ => {
                let mut file = file;
                write_text(&mut file, format, schema, &mut next)?;
                file.flush()?;
            }
        }
    }
    synced.sync_all()?;
    Ok(count)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Next<'a> = dyn FnMut() -> Result<Option<RecordBatch>, Failure> + 'a;

fn write_text(
    out: &mut dyn Write,
    format: Format,
    schema: &SchemaRef,
    next: &mut Next<'_>,
) -> Result<(), Failure> {
    if format == Format::Jsonl {
        let mut writer = arrow::json::LineDelimitedWriter::new(out);
        while let Some(batch) = next()? {
            writer.write(&batch)?;
        }
        writer.finish()?;
    } else {
        let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
        writer.write(&RecordBatch::new_empty(schema.clone()))?;
        while let Some(batch) = next()? {
            writer.write(&batch)?;
        }
    }
    Ok(())
}
