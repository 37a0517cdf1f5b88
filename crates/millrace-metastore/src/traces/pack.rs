//! Spans as compressed documents. A document is lines, so that two are joined by writing one behind the other.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError};

use super::placeholders;

/// Level 3 of 22: about five times smaller at 200 MB/s and more.
const LEVEL: i32 = 3;
/// Documents of a trace that are left as they came; more are joined when it ends.
const LOOSE_DOCUMENTS: i64 = 8;

/// Compresses on the pool for blocking work.
pub(super) async fn compress(document: Vec<u8>) -> Result<Vec<u8>, MetastoreError> {
    blocking(move || zstd::encode_all(document.as_slice(), LEVEL)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, MetastoreError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| MetastoreError::WriterGone)?;
    done.map_err(|error| MetastoreError::stale(format!("spans cannot be packed or unpacked: {error}")))
}

impl Metastore {
    /// The spans of traces: for each its lines, in the order in which they came. A later line replaces an earlier one of the same span.
    ///
    /// # Errors
    /// If the database fails or a document is broken.
    pub async fn read_span_lines(
        &self,
        ids: Vec<String>,
    ) -> Result<HashMap<String, Vec<u8>>, MetastoreError> {
        let packed = self.read_packed(ids).await?;
        blocking(move || {
            let mut lines: HashMap<String, Vec<u8>> = HashMap::new();
            for (id, _, document) in packed {
                zstd::stream::copy_decode(document.as_slice(), lines.entry(id).or_default())?;
            }
            Ok(lines)
        })
        .await
    }

    async fn read_packed(&self, ids: Vec<String>) -> Result<Vec<(String, i64, Vec<u8>)>, MetastoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT trace_id, number, document FROM trace_spans WHERE trace_id IN ({}) ORDER BY trace_id, number",
                    placeholders(1, ids.len())
                );
                let args: Vec<_> = ids.iter().map(Into::into).collect();
                let rows = session.fetch_all(&sql, &args).await?;
                rows.iter()
                    .map(|row| Ok((row.text("trace_id")?, row.int("number")?, row.bytes("document")?)))
                    .collect()
            })
        })
        .await
    }

    async fn count_documents(&self, id: String) -> Result<i64, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS documents FROM trace_spans WHERE trace_id = $1";
                let row = session.fetch_optional(sql, &[id.as_str().into()]).await?;
                row.map_or(Ok(0), |row| row.int("documents"))
            })
        })
        .await
    }

    /// Joins the documents of a trace that has ended, if there are many: clients send a span at a time.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pack_spans(&self, id: String) -> Result<(), MetastoreError> {
        if self.count_documents(id.clone()).await? <= LOOSE_DOCUMENTS {
            return Ok(());
        }
        let loose = self.read_packed(vec![id.clone()]).await?;
        let Some((_, last, _)) = loose.last() else { return Ok(()) };
        let (last, count) = (*last, loose.len() as u64);
        let joined = blocking(move || {
            let mut lines = Vec::new();
            for (_, _, document) in loose {
                zstd::stream::copy_decode(document.as_slice(), &mut lines)?;
            }
            zstd::encode_all(lines.as_slice(), LEVEL)
        })
        .await?;
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM trace_spans WHERE trace_id = $1 AND number <= $2";
                let gone = session.execute(sql, &[id.as_str().into(), last.into()]).await?;
                if gone != count {
                    // Somebody else joined them or deleted the trace meanwhile; nothing is done.
                    return Err(MetastoreError::stale(format!("the spans of `{id}` are not as they were")));
                }
                let sql = "INSERT INTO trace_spans (trace_id, number, document) VALUES ($1, $2, $3)";
                session.execute(sql, &[id.as_str().into(), last.into(), joined.into()]).await?;
                Ok(())
            })
        })
        .await
    }
}
