//! The prediction log: what was asked and answered, one JSON line a row, written beside the requests' path.
//!
//! `<folder>/<endpoint>/<yyyy>/<MM>/<dd>/<HH>.jsonl`, by the time of the request in UTC.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::dialect::Answer;
use crate::rows::cell;

/// Requests that wait to be written; further ones are dropped and counted.
const WAITING: usize = 4096;
/// Longest time until a line is in its file.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    pub(crate) endpoint: String,
    pub(crate) deployment: String,
    pub(crate) model: String,
    pub(crate) version: u64,
    pub(crate) request_id: String,
    /// Prediction `n` is `<id>-<n>`.
    pub(crate) id: String,
    pub(crate) classes: Vec<String>,
    pub(crate) rows: RecordBatch,
    pub(crate) predictions: RecordBatch,
}

enum Message {
    Record(Box<Record>),
    /// Everything before this is to be in the files; then the sender is dropped.
    Flush(tokio::sync::oneshot::Sender<()>),
    Stop,
}

/// Writes records on a thread of its own.
#[derive(Debug)]
pub(crate) struct PredictionLog {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl PredictionLog {
    /// Writes below `folder`.
    ///
    /// # Errors
    /// If no thread is to be had.
    pub(crate) fn start(folder: PathBuf) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { folder, files: BTreeMap::new(), dropped: dropped.clone() };
        let builder = std::thread::Builder::new().name("prediction-log".to_owned());
        let thread = builder.spawn(move || writer.run(&receiver))?;
        Ok(Self { sender, dropped, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a record, unless too many wait already.
    pub(crate) fn record(&self, record: Record) {
        let rows = record.rows.num_rows() as u64;
        if self.sender.try_send(Message::Record(Box::new(record))).is_err() {
            self.dropped.fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// Rows that were dropped because too many waited or the disk refused them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns when everything recorded before is in its file.
    pub(crate) async fn flush(&self) {
        let (done, over) = tokio::sync::oneshot::channel();
        let sender = self.sender.clone();
        // The channel may be full, and this may wait.
        let sent = tokio::task::spawn_blocking(move || sender.send(Message::Flush(done))).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = over.await;
        }
    }

    /// Writes what waits and ends.
    pub(crate) async fn stop(&self) {
        self.flush().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sender = self.sender.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let _ = sender.send(Message::Stop);
            thread.map(JoinHandle::join)
        });
        let _ = ended.await;
    }
}

struct Writer {
    folder: PathBuf,
    files: BTreeMap<PathBuf, BufWriter<fs_err::File>>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut flushed = Instant::now();
        loop {
            let message = if self.files.is_empty() {
                // Nothing is to be flushed: the thread sleeps until there is.
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(FLUSH_EVERY.saturating_sub(flushed.elapsed()))
            };
            match message {
                Ok(Message::Record(record)) => self.write(&record),
                Ok(Message::Flush(done)) => {
                    self.flush();
                    drop(done);
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.flush();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                self.flush();
                flushed = Instant::now();
            }
        }
    }

    fn write(&mut self, record: &Record) {
        let path = path(&self.folder, record);
        if let Err(error) = self.try_write(&path, record) {
            self.files.remove(&path);
            self.dropped.fetch_add(record.rows.num_rows() as u64, Ordering::Relaxed);
            tracing::error!("cannot write the prediction log: {error}");
        }
    }

    fn try_write(&mut self, path: &Path, record: &Record) -> std::io::Result<()> {
        if !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), BufWriter::new(open(path)?));
        }
        if let Some(file) = self.files.get_mut(path) {
            write_lines(file, record)?;
        }
        Ok(())
    }

    /// Hands all lines to the system and lets go of the files: most are of hours that are over before long.
    fn flush(&mut self) {
        for mut file in std::mem::take(&mut self.files).into_values() {
            if let Err(error) = file.flush() {
                tracing::error!("cannot write the prediction log: {error}");
            }
        }
    }
}

fn path(folder: &Path, record: &Record) -> PathBuf {
    let at = record.at.to_zoned(jiff::tz::TimeZone::UTC);
    let day = format!("{:04}/{:02}/{:02}", at.year(), at.month(), at.day());
    folder.join(&record.endpoint).join(day).join(format!("{:02}.jsonl", at.hour()))
}

/// Opens a file to add lines. A line that a crash left half is ended first, so that it spoils no other.
fn open(path: &Path) -> std::io::Result<fs_err::File> {
    if let Some(parent) = path.parent() {
        fs_err::create_dir_all(parent)?;
    }
    let mut file = fs_err::OpenOptions::new().create(true).append(true).read(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

fn write_lines(file: &mut impl std::io::Write, record: &Record) -> std::io::Result<()> {
    let answer = Answer {
        predictions: &record.predictions,
        classes: &record.classes,
        endpoint: &record.endpoint,
        deployment: &record.deployment,
        model: &record.model,
        version: record.version,
        id: &record.id,
    };
    let schema = record.rows.schema();
    for row in 0..record.rows.num_rows() {
        let cells = schema.fields().iter().zip(record.rows.columns());
        let cells: Map<String, Value> =
            cells.map(|(field, column)| (field.name().clone(), cell(column, row))).collect();
        let mut line = json!({
            "prediction_id": answer.prediction_id(row),
            "request_id": record.request_id,
            "at": record.at,
            "endpoint": record.endpoint,
            "deployment": record.deployment,
            "model": record.model,
            "version": record.version,
            "row": cells,
            "prediction": answer.prediction(row),
        });
        if let (Some(fields), Some(probabilities)) = (line.as_object_mut(), answer.probabilities(row)) {
            fields.insert("probabilities".to_owned(), Value::Object(probabilities));
        }
        serde_json::to_writer(&mut *file, &line)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}
