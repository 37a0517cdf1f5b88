//! Parts of a divided read that outlive the attempt: `partition: {…, resume: true}`. Each part is a file beside the attempts of its step,
//! there when its last row is; a step that is begun again takes those rows from it and asks the source for the other parts alone.

use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use fs_err::File;
use millrace_contract::{StepContext, StepLog};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::parted::{Batches, PartReader};
use crate::error::CopyError;

/// The conditions of the parts, and what was read.
const READ: &str = "read.json";
/// What errors name.
const WHAT: &str = "the parts that are kept";

/// Where the parts of a read are kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Where reads are kept, each in a folder of its own.
    beside: PathBuf,
    opened: Arc<OnceLock<Opened>>,
}

#[derive(Debug)]
struct Opened {
    folder: PathBuf,
    /// Parts that were there when the read began, and all of them.
    found: usize,
    parts: usize,
}

impl Kept {
    /// Beside the attempts of a step, the same place for each of them; `None` if there is no other attempt, as of a copy that belongs to no
    /// run.
    pub(crate) fn of(context: &StepContext) -> Option<Self> {
        let beside = context.folder.parent().filter(|_| context.run_id != context.idempotency_key)?;
        Some(Self { beside: beside.join("parts"), opened: Arc::default() })
    }

    /// The conditions of the parts: those with which the first attempt began, if one has read the same, else these.
    pub(super) fn begin(&self, read: &Value, parts: Vec<String>) -> Result<Vec<String>, CopyError> {
        let failed = |error: std::io::Error| CopyError::write(WHAT, &error);
        let digest = blake3::hash(read.to_string().as_bytes()).to_hex();
        let folder = self.beside.join(digest.get(..16).unwrap_or_default());
        let file = folder.join(READ);
        let known = fs_err::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let known = known.filter(|known| known["read"] == *read);
        let known = known.and_then(|known| serde_json::from_value(known["parts"].clone()).ok());
        let parts = match known {
            Some(known) => known,
            None => {
                removed(&folder).map_err(failed)?;
                fs_err::create_dir_all(&folder).map_err(failed)?;
                let staged = folder.join(format!("{READ}.staged"));
                let document = json!({"read": read, "parts": parts}).to_string();
                fs_err::write(&staged, document).map_err(failed)?;
                fs_err::rename(&staged, &file).map_err(failed)?;
                parts
            }
        };
        let count = parts.len().max(1);
        let found = (0..count).filter(|part| path(&folder, *part).exists()).count();
        let _ = self.opened.set(Opened { folder, found, parts: count });
        Ok(parts)
    }

    /// Says how much of the read there is already.
    pub(crate) fn tell(&self, log: &dyn StepLog) {
        if let Some(Opened { found, parts, .. }) = self.opened.get()
            && *found > 0
        {
            log.line(&format!(
                "{found} of {parts} parts were read before and are taken from where they are kept"
            ));
        }
    }

    /// Takes the parts away: the sink has the rows.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), CopyError> {
        let gone = self.opened.get().map_or(Ok(()), |opened| removed(&opened.folder));
        gone.map_err(|error| CopyError::write(WHAT, &error))
    }

    /// Sends a part: from its file if that is there, else from the source, and keeps it.
    pub(super) async fn part(
        &self,
        part: usize,
        reader: &mut impl PartReader,
        condition: Option<&str>,
        (to, schema): (&Batches, &SchemaRef),
    ) -> Result<(), CopyError> {
        let Some(opened) = self.opened.get() else { return reader.read(condition, to).await };
        let file = path(&opened.folder, part);
        if file.exists() {
            let to = to.clone();
            let sent = in_background(move || sent(&file, &to)).await;
            return sent.map_err(|error| CopyError::read(WHAT, &error));
        }
        let (tee, mut read) = mpsc::channel::<Result<RecordBatch, CopyError>>(1);
        let schema = schema.clone();
        let failed = |error: ArrowError| CopyError::write(WHAT, &error);
        let mut writing = in_background(move || Writing::begin(file, &schema)).await.map_err(failed)?;
        let reading = async move {
            let done = reader.read(condition, &tee).await;
            drop(tee);
            done
        };
        // Ends with the file if somebody took every row of it.
        let keeping = async move {
            while let Some(batch) = read.recv().await {
                let batch = batch?;
                let rows = batch.clone();
                writing = in_background(move || writing.add(&rows)).await.map_err(failed)?;
                if to.send(Ok(batch)).await.is_err() {
                    return Ok(None);
                }
            }
            Ok::<_, CopyError>(Some(writing))
        };
        let (read, written) = tokio::join!(reading, keeping);
        read?;
        match written? {
            Some(writing) => in_background(move || writing.finish()).await.map_err(failed),
            None => Ok(()),
        }
    }
}

fn path(folder: &Path, part: usize) -> PathBuf {
    folder.join(format!("{part:05}.arrow"))
}

fn removed(folder: &Path) -> std::io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Sends the rows of a file, as long as somebody takes them.
fn sent(file: &Path, to: &Batches) -> Result<(), ArrowError> {
    let reader = StreamReader::try_new(BufReader::new(File::open(file)?), None)?;
    for batch in reader {
        if to.blocking_send(Ok(batch?)).is_err() {
            break;
        }
    }
    Ok(())
}

/// A part that is being written; it has its name when it is whole.
struct Writing {
    writer: StreamWriter<BufWriter<File>>,
    staged: PathBuf,
    file: PathBuf,
}

impl Writing {
    fn begin(file: PathBuf, schema: &SchemaRef) -> Result<Self, ArrowError> {
        // Of its own: an attempt that was left behind may still write the same part.
        let staged = file.with_extension(format!("{}.staged", uuid::Uuid::now_v7().simple()));
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
        let out = BufWriter::new(File::create(&staged)?);
        Ok(Self { writer: StreamWriter::try_new_with_options(out, schema, options)?, staged, file })
    }

    fn add(mut self, rows: &RecordBatch) -> Result<Self, ArrowError> {
        self.writer.write(rows)?;
        Ok(self)
    }

    fn finish(self) -> Result<(), ArrowError> {
        let mut out = self.writer.into_inner()?;
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(fs_err::rename(&self.staged, &self.file)?)
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArrowError> + Send + 'static,
) -> Result<T, ArrowError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ArrowError::ExternalError(Box::new(error))))
}
