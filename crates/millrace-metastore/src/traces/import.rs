//! Traces that come from elsewhere with their spans, and all that there are.

use std::collections::HashMap;

use super::assessments;
use super::pack::compress;
use super::read::complete;
use super::write::{Clash, link, store_spans, store_texts, upsert_trace};
use super::{COLUMNS, SpanRow, Trace, placeholders, trace_row};
use crate::{Metastore, MetastoreError, Session, Value};

/// A trace with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportedTrace {
    /// The trace.
    pub trace: Trace,
    /// What a search compares of its spans; not read back.
    pub spans: Vec<SpanRow>,
    /// All of the spans, a line each.
    pub lines: Vec<u8>,
    /// What it is linked to: `run` or `prompt`, and which.
    pub links: Vec<(String, String)>,
}

impl Metastore {
    /// Records traces in one transaction; gives how many were new. A trace that is there already stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn import_traces(&self, traces: Vec<ImportedTrace>) -> Result<usize, MetastoreError> {
        let mut packed = Vec::with_capacity(traces.len());
        for trace in &traces {
            packed.push(compress(trace.lines.clone()).await?);
        }
        self.write(move |session| {
            Box::pin(async move {
                let mut new = 0;
                for (trace, document) in traces.iter().zip(packed) {
                    new += usize::from(insert(session, trace, document).await?);
                }
                Ok(new)
            })
        })
        .await
    }

    /// Traces of experiments by id, those after one of them, without their spans.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_every_trace(
        &self,
        experiments: Vec<i64>,
        after: String,
        limit: i64,
    ) -> Result<Vec<Trace>, MetastoreError> {
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM trace AS this WHERE this.id > $1 AND this.experiment_id IN ({}) ORDER BY this.id LIMIT {limit}",
                    placeholders(2, experiments.len())
                );
                let mut args: Vec<Value<'_>> = vec![after.into()];
                args.extend(experiments.iter().map(|id| Value::from(*id)));
                let rows = session.fetch_all(&sql, &args).await?;
                let rows = rows.iter().map(trace_row).collect::<Result<Vec<_>, _>>()?;
                complete(session, rows).await
            })
        })
        .await
    }

    /// What traces are linked to, by trace: the kind of each link, [`super::RUN_LINK`] or [`super::PROMPT_LINK`], and its target.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_trace_links(
        &self,
        ids: Vec<String>,
    ) -> Result<HashMap<String, Vec<(String, String)>>, MetastoreError> {
        let mut found: HashMap<String, Vec<(String, String)>> = HashMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT trace_id, kind, target FROM trace_link WHERE trace_id IN ({}) ORDER BY trace_id, kind, target",
                    placeholders(1, ids.len())
                );
                let args: Vec<_> = ids.iter().map(Into::into).collect();
                for row in session.fetch_all(&sql, &args).await? {
                    found.entry(row.text("trace_id")?).or_default().push((row.text("kind")?, row.text("target")?));
                }
                Ok(found)
            })
        })
        .await
    }
}

/// Whether it was new.
async fn insert(
    session: &mut Session,
    imported: &ImportedTrace,
    document: Vec<u8>,
) -> Result<bool, MetastoreError> {
    let (trace, id) = (&imported.trace, imported.trace.row.id.as_str());
    let sql = "SELECT 1 AS found FROM trace WHERE id = $1";
    if session.fetch_optional(sql, &[id.into()]).await?.is_some() {
        return Ok(false);
    }
    upsert_trace(session, &trace.row).await?;
    store_texts(session, id, "tag", &trace.tags, Clash::Replace).await?;
    store_texts(session, id, "metadata", &trace.metadata, Clash::Replace).await?;
    for (kind, target) in &imported.links {
        link(session, id, kind, target).await?;
    }
    for assessment in &trace.assessments {
        assessments::store(session, assessment).await?;
    }
    if !imported.lines.is_empty() {
        store_spans(session, id, &imported.spans).await?;
        let sql = "INSERT INTO trace_spans (trace_id, number, document) VALUES ($1, 1, $2)";
        session.execute(sql, &[id.into(), document.into()]).await?;
    }
    Ok(true)
}
