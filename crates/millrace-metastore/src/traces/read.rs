//! Reading traces with what belongs to them, all but their spans.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Session};

use super::{COLUMNS, Trace, TraceRow, assessments, placeholders, trace_row};

/// Ids in one statement; SQLite binds 32,766 values at most.
const CHUNK: usize = 500;

/// What is known of a trace's spans without reading them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanSummary {
    /// How many have come.
    pub count: i64,
    /// Name of the one that the others lie in, if it has come.
    pub root: Option<String>,
}

impl Metastore {
    /// Traces by their ids, in that order; those that are absent are left out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_traces(&self, ids: Vec<String>) -> Result<Vec<Trace>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = HashMap::new();
                for chunk in ids.chunks(CHUNK) {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM trace AS this WHERE this.id IN ({})",
                        placeholders(1, chunk.len())
                    );
                    let args: Vec<_> = chunk.iter().map(Into::into).collect();
                    let rows = session.fetch_all(&sql, &args).await?;
                    let rows = rows.iter().map(trace_row).collect::<Result<Vec<_>, _>>()?;
                    let traces = complete(session, rows).await?;
                    found.extend(traces.into_iter().map(|trace| (trace.row.id.clone(), trace)));
                }
                Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
            })
        })
        .await
    }

    /// How many spans traces have, and the name of each one's root; of a trace without spans nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn summarise_spans(
        &self,
        ids: Vec<String>,
    ) -> Result<HashMap<String, SpanSummary>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = HashMap::new();
                for chunk in ids.chunks(CHUNK) {
                    let sql = format!(
                        "SELECT trace_id, COUNT(*) AS spans, MIN(CASE WHEN parent_id IS NULL THEN name END) AS root \
                         FROM trace_span WHERE trace_id IN ({}) GROUP BY trace_id",
                        placeholders(1, chunk.len())
                    );
                    let args: Vec<_> = chunk.iter().map(Into::into).collect();
                    for row in session.fetch_all(&sql, &args).await? {
                        let summary = SpanSummary { count: row.int("spans")?, root: row.opt_text("root")? };
                        found.insert(row.text("trace_id")?, summary);
                    }
                }
                Ok(found)
            })
        })
        .await
    }
}

/// Adds texts and assessments to rows.
pub(super) async fn complete(
    session: &mut Session,
    rows: Vec<TraceRow>,
) -> Result<Vec<Trace>, MetastoreError> {
    let mut traces: Vec<Trace> = rows.into_iter().map(|row| Trace { row, ..Trace::default() }).collect();
    for chunk in traces.chunks_mut(CHUNK) {
        let ids: Vec<String> = chunk.iter().map(|trace| trace.row.id.clone()).collect();
        let places: HashMap<&str, usize> =
            ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        let sql = format!(
            "SELECT trace_id, family, name, content FROM trace_text WHERE trace_id IN ({}) ORDER BY trace_id, family, name",
            placeholders(1, ids.len())
        );
        let args: Vec<_> = ids.iter().map(Into::into).collect();
        for row in session.fetch_all(&sql, &args).await? {
            let place = places.get(row.text("trace_id")?.as_str());
            if let Some(trace) = place.and_then(|place| chunk.get_mut(*place)) {
                let texts = if row.text("family")? == "tag" { &mut trace.tags } else { &mut trace.metadata };
                texts.push((row.text("name")?, row.text("content")?));
            }
        }
        for assessment in assessments::list(session, &ids).await? {
            let place = places.get(assessment.trace_id.as_str());
            if let Some(trace) = place.and_then(|place| chunk.get_mut(*place)) {
                trace.assessments.push(assessment);
            }
        }
    }
    Ok(traces)
}
