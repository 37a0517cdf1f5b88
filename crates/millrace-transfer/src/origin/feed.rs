//! Rows for a load that runs on a thread of its own, where it may wait.

use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use tokio::sync::mpsc;

use super::{CopyError, Write, Writing};

/// Batches that wait to be taken.
const BATCHES: usize = 2;

/// Rows as they come; whoever takes none makes the source wait.
pub(super) struct Feed(mpsc::Receiver<Option<RecordBatch>>);

impl Feed {
    /// The next batch, `None` behind the last; it waits for it.
    ///
    /// # Errors
    /// If the source ended before its rows did, or nobody wants them any more: what was loaded has to go.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        self.0.blocking_recv().ok_or_else(|| "the rows broke off".to_owned())
    }
}

/// What a step says of a load, for a thread of its own.
pub(super) struct Order {
    /// What was loaded under it is not loaded again.
    pub(super) key: String,
    /// Whether the table's rows go first.
    pub(super) empties: bool,
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

impl Order {
    pub(super) fn of(writing: &Writing<'_>) -> Self {
        Self {
            key: writing.key.to_owned(),
            empties: *writing.write != Write::Append,
            before: writing.pre_sql.to_vec(),
            after: writing.post_sql.to_vec(),
        }
    }
}

/// Has rows loaded; how many there are. `load` tells those of an earlier load under its key, if there was one.
///
/// A load whose source fails, or that is dropped, is fed no end and takes back what it has done. It is waited for where the source failed.
pub(super) async fn fed(
    label: &str,
    mut rows: BatchStream,
    load: impl FnOnce(Feed) -> Result<Option<u64>, CopyError> + Send + 'static,
) -> Result<u64, CopyError> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let loading = tokio::task::spawn_blocking(move || load(Feed(receiver)));
    let (mut sum, mut broken) = (0, None);
    loop {
        let next = match rows.batches.next().await.transpose() {
            Ok(next) => next,
            Err(error) => {
                broken = Some(CopyError::read("the source", &error));
                break;
            }
        };
        let end = next.is_none();
        sum += next.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        if sender.send(next).await.is_err() || end {
            break;
        }
    }
    drop(sender);
    let loaded = loading.await.map_err(|error| CopyError::write(label, &error))?;
    match broken {
        // What the load says of it is an echo.
        Some(error) => Err(error),
        None => Ok(loaded?.unwrap_or(sum)),
    }
}
