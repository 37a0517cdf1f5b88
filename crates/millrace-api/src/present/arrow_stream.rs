//! Rows as Arrow's stream format, batch by batch: a table of any size in the memory of one batch.

use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use axum::body::{Body, Bytes};
use futures::{StreamExt as _, stream};
use millrace_contract::BatchStream;

/// A body that reads the rows as it is sent. A failure on the way breaks it off, so that a reader notices.
///
/// # Errors
/// If the schema cannot be written.
pub(crate) fn body(rows: BatchStream) -> Result<Body, ArrowError> {
    let writer = StreamWriter::try_new(Vec::new(), &rows.schema)?;
    let parts = stream::unfold(Some((writer, rows)), |state| async move {
        let (mut writer, mut rows) = state?;
        let written = match rows.batches.next().await {
            Some(Ok(batch)) => writer.write(&batch).map_err(|error| error.to_string()).map(|()| true),
            Some(Err(error)) => Err(error.to_string()),
            None => writer.finish().map_err(|error| error.to_string()).map(|()| false),
        };
        let part = Bytes::from(std::mem::take(writer.get_mut()));
        match written {
            Ok(more) => Some((Ok(part), more.then_some((writer, rows)))),
            Err(error) => {
                tracing::error!(error, "rows could not be sent to their end");
                Some((Err(std::io::Error::other(error)), None))
            }
        }
    });
    Ok(Body::from_stream(parts))
}
