//! Writing traces: what their clients tell of them, and spans as they come.

use crate::{Metastore, MetastoreError, Session, Value};

use super::pack::compress;
use super::read::complete;
use super::{
    COLUMNS, NAME_TAG, Pairs, RUN_LINK, RUN_METADATA, Trace, TraceRow, assessments, placeholders, trace_row,
};

/// Rows in one statement.
const ROWS: usize = 100;
/// Traces that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 500;

/// What a search compares of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRow {
    /// 16 hex digits, unique in its trace.
    pub span_id: String,
    /// The span that it is part of.
    pub parent_id: Option<String>,
    /// Name.
    pub name: String,
    /// `LLM`, `TOOL`, ….
    pub kind: String,
    /// `UNSET`, `OK` or `ERROR`.
    pub status: String,
    /// Tokens and costs, a document of the tracking room.
    pub spent: Option<String>,
}

/// What one span of a trace spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The span.
    pub span_id: String,
    /// The span that it is part of.
    pub parent_id: Option<String>,
    /// As in [`SpanRow`].
    pub spent: Option<String>,
}

/// Sums up what all spans of a trace spent, as metadata of the trace.
pub type Totals = fn(&[Spent]) -> Pairs;

/// What the root span says of its trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootSpan {
    /// `OK` or `ERROR`.
    pub state: String,
    /// A name for the trace.
    pub name: Option<String>,
    /// Beginning of what went in.
    pub request_preview: Option<String>,
    /// Beginning of what came out.
    pub response_preview: Option<String>,
}

/// Spans of one trace that came together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanBatch {
    /// Their trace.
    pub trace_id: String,
    /// One for each span; no span twice.
    pub spans: Vec<SpanRow>,
    /// All of the spans, a line each.
    pub lines: Vec<u8>,
    /// When the first began, milliseconds since 1970.
    pub starts_at_ms: i64,
    /// When the last ended.
    pub ends_at_ms: Option<i64>,
    /// If it is among them.
    pub root: Option<RootSpan>,
    /// Tags of the trace.
    pub tags: Pairs,
    /// Metadata of the trace where it has none of the name.
    pub metadata: Pairs,
}

/// Which traces are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceRange {
    /// These.
    Ids(Vec<String>),
    /// Those until a time, the oldest first.
    Until {
        /// Milliseconds since 1970; all without.
        until_ms: Option<i64>,
        /// So many at most.
        most: Option<i64>,
    },
}

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRemoval {
    /// It is gone.
    Done,
    /// There is no such trace.
    NoTrace,
    /// The trace has no such tag.
    NoTag,
}

impl Metastore {
    /// Stores what a client tells of a trace as the last word on it, and gives what is stored now. Its spans may come before and after.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_trace(&self, trace: Trace) -> Result<Trace, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                upsert_trace(session, &trace.row).await?;
                let id = &trace.row.id;
                store_texts(session, id, "tag", &trace.tags, Clash::Replace).await?;
                store_texts(session, id, "metadata", &trace.metadata, Clash::Replace).await?;
                if let Some((_, run)) = trace.metadata.iter().find(|(name, _)| name == RUN_METADATA) {
                    link(session, id, RUN_LINK, run).await?;
                }
                for assessment in &trace.assessments {
                    assessments::store(session, assessment).await?;
                }
                let row = lock(session, id).await?.map(|(row, _)| row);
                let stored = complete(session, row.into_iter().collect()).await?;
                stored.into_iter().next().ok_or_else(|| MetastoreError::stale("the trace is gone"))
            })
        })
        .await
    }

    /// Adds spans to traces; a trace that is not there yet is made in the experiment. `totals` sums up what a trace spent once its
    /// root span is there.
    ///
    /// # Errors
    /// If the database fails; then nothing was added.
    pub async fn append_spans(
        &self,
        experiment_id: i64,
        mut batches: Vec<SpanBatch>,
        totals: Totals,
    ) -> Result<(), MetastoreError> {
        // In the same order everywhere, so that two writers never wait for each other.
        batches.sort_by(|one, other| one.trace_id.cmp(&other.trace_id));
        let mut packed = Vec::with_capacity(batches.len());
        for batch in &mut batches {
            packed.push(compress(std::mem::take(&mut batch.lines)).await?);
        }
        self.write(move |session| {
            Box::pin(async move {
                for (batch, document) in batches.iter().zip(packed) {
                    append(session, experiment_id, batch, document, totals).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Sets a tag; `false` if there is no such trace.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_trace_tag(
        &self,
        id: String,
        name: String,
        content: String,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if lock(session, &id).await?.is_none() {
                    return Ok(false);
                }
                store_texts(session, &id, "tag", &vec![(name, content)], Clash::Replace).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_trace_tag(&self, id: String, name: String) -> Result<TagRemoval, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if lock(session, &id).await?.is_none() {
                    return Ok(TagRemoval::NoTrace);
                }
                let (sql, args): (_, Vec<Value<'_>>) = if name == NAME_TAG {
                    (
                        "UPDATE trace SET name = NULL WHERE id = $1 AND name IS NOT NULL",
                        vec![id.as_str().into()],
                    )
                } else {
                    let sql = "DELETE FROM trace_text WHERE trace_id = $1 AND family = 'tag' AND name = $2";
                    (sql, vec![id.as_str().into(), name.as_str().into()])
                };
                let gone = session.execute(sql, &args).await?;
                Ok(if gone == 0 { TagRemoval::NoTag } else { TagRemoval::Done })
            })
        })
        .await
    }

    /// Links a trace to runs or prompt versions; `false` if there is no such trace.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn link_trace(
        &self,
        id: String,
        kind: &'static str,
        targets: Vec<String>,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if lock(session, &id).await?.is_none() {
                    return Ok(false);
                }
                for target in &targets {
                    link(session, &id, kind, target).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// Deletes traces of an experiment for good and gives their number.
    ///
    /// # Errors
    /// If the database fails; some of them may be gone then.
    pub async fn delete_traces(&self, experiment_id: i64, range: TraceRange) -> Result<i64, MetastoreError> {
        let mut deleted = 0;
        match range {
            TraceRange::Ids(ids) => {
                for chunk in ids.chunks(ROWS) {
                    let chunk = chunk.to_vec();
                    deleted += self.delete_traces_by_id(experiment_id, chunk).await?;
                }
            }
            // Not in one transaction, behind which every other writer would wait.
            TraceRange::Until { until_ms, most } => loop {
                let wanted = most.map_or(DELETED_AT_ONCE, |most| (most - deleted).min(DELETED_AT_ONCE));
                if wanted <= 0 {
                    break;
                }
                let gone = self.delete_oldest_traces(experiment_id, until_ms, wanted).await?;
                deleted += gone;
                if gone < wanted {
                    break;
                }
            },
        }
        Ok(deleted)
    }

    async fn delete_traces_by_id(&self, experiment: i64, ids: Vec<String>) -> Result<i64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "DELETE FROM trace WHERE experiment_id = $1 AND id IN ({})",
                    placeholders(2, ids.len())
                );
                let mut args: Vec<Value<'_>> = vec![experiment.into()];
                args.extend(ids.iter().map(Value::from));
                Ok(i64::try_from(session.execute(&sql, &args).await?).unwrap_or(i64::MAX))
            })
        })
        .await
    }

    async fn delete_oldest_traces(
        &self,
        experiment: i64,
        until_ms: Option<i64>,
        most: i64,
    ) -> Result<i64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM trace WHERE id IN (SELECT id FROM trace WHERE experiment_id = $1 \
                           AND requested_at_ms <= $2 ORDER BY requested_at_ms, id LIMIT $3)";
                let args = [experiment.into(), until_ms.unwrap_or(i64::MAX).into(), most.into()];
                Ok(i64::try_from(session.execute(sql, &args).await?).unwrap_or(i64::MAX))
            })
        })
        .await
    }
}

pub(super) async fn upsert_trace(session: &mut Session, row: &TraceRow) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO trace (id, experiment_id, name, state, requested_at_ms, duration_ms, client_request_id, \
               request_preview, response_preview, is_final) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1) \
               ON CONFLICT (id) DO UPDATE SET experiment_id = excluded.experiment_id, \
               name = COALESCE(excluded.name, trace.name), state = excluded.state, \
               requested_at_ms = excluded.requested_at_ms, duration_ms = excluded.duration_ms, \
               client_request_id = excluded.client_request_id, \
               request_preview = COALESCE(excluded.request_preview, trace.request_preview), \
               response_preview = COALESCE(excluded.response_preview, trace.response_preview), is_final = 1";
    let args = [
        row.id.as_str().into(),
        row.experiment_id.into(),
        row.name.as_deref().into(),
        row.state.as_str().into(),
        row.requested_at_ms.into(),
        row.duration_ms.into(),
        row.client_request_id.as_deref().into(),
        row.request_preview.as_deref().into(),
        row.response_preview.as_deref().into(),
    ];
    session.execute(sql, &args).await?;
    Ok(())
}

/// A trace and whether its client has said all of it; nobody else changes it until the transaction ends.
async fn lock(session: &mut Session, id: &str) -> Result<Option<(TraceRow, bool)>, MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT {COLUMNS}, this.is_final FROM trace AS this WHERE this.id = $1{lock}");
    let found = session.fetch_optional(&sql, &[id.into()]).await?;
    found.map(|row| Ok((trace_row(&row)?, row.bool("is_final")?))).transpose()
}

async fn append(
    session: &mut Session,
    experiment_id: i64,
    batch: &SpanBatch,
    document: Vec<u8>,
    totals: Totals,
) -> Result<(), MetastoreError> {
    let id = &batch.trace_id;
    let sql = "INSERT INTO trace (id, experiment_id, state, requested_at_ms, duration_ms) \
               VALUES ($1, $2, 'IN_PROGRESS', $3, $4) ON CONFLICT (id) DO NOTHING";
    let duration = batch.ends_at_ms.map(|end| (end - batch.starts_at_ms).max(0));
    session
        .execute(sql, &[id.into(), experiment_id.into(), batch.starts_at_ms.into(), duration.into()])
        .await?;
    let Some((row, is_final)) = lock(session, id).await? else {
        return Err(MetastoreError::stale(format!("the trace `{id}` was deleted meanwhile")));
    };
    let ended = row.state != "IN_PROGRESS";
    update_trace(session, &grown(row, is_final, batch)).await?;
    store_texts(session, id, "tag", &batch.tags, Clash::Replace).await?;
    store_texts(session, id, "metadata", &batch.metadata, Clash::Keep).await?;
    store_spans(session, id, &batch.spans).await?;
    let sql = "INSERT INTO trace_spans (trace_id, number, document) \
               SELECT $1, COALESCE(MAX(number), 0) + 1, $2 FROM trace_spans WHERE trace_id = $1";
    session.execute(sql, &[id.into(), document.into()]).await?;
    if batch.root.is_some() || (ended && batch.spans.iter().any(|span| span.spent.is_some())) {
        let spent = spent(session, id).await?;
        let clash = if is_final { Clash::Keep } else { Clash::Replace };
        store_texts(session, id, "metadata", &totals(&spent), clash).await?;
    }
    Ok(())
}

/// A trace with more spans: it began with the first and ended with the last, and its root span says how.
fn grown(mut row: TraceRow, is_final: bool, batch: &SpanBatch) -> TraceRow {
    if !is_final {
        let end = row.duration_ms.map(|duration| row.requested_at_ms + duration).max(batch.ends_at_ms);
        row.requested_at_ms = row.requested_at_ms.min(batch.starts_at_ms);
        row.duration_ms = end.map(|end| (end - row.requested_at_ms).max(0));
    }
    if let Some(root) = &batch.root {
        if matches!(row.state.as_str(), "IN_PROGRESS" | "STATE_UNSPECIFIED") {
            row.state.clone_from(&root.state);
        }
        row.name = root.name.clone().or(row.name);
        row.request_preview = row.request_preview.or_else(|| root.request_preview.clone());
        row.response_preview = row.response_preview.or_else(|| root.response_preview.clone());
    }
    row
}

async fn update_trace(session: &mut Session, row: &TraceRow) -> Result<(), MetastoreError> {
    let sql = "UPDATE trace SET name = $2, state = $3, requested_at_ms = $4, duration_ms = $5, request_preview = $6, \
               response_preview = $7 WHERE id = $1";
    let args = [
        row.id.as_str().into(),
        row.name.as_deref().into(),
        row.state.as_str().into(),
        row.requested_at_ms.into(),
        row.duration_ms.into(),
        row.request_preview.as_deref().into(),
        row.response_preview.as_deref().into(),
    ];
    session.execute(sql, &args).await?;
    Ok(())
}

/// What happens to a text whose name is there already.
#[derive(Clone, Copy)]
pub(super) enum Clash {
    Keep,
    Replace,
}

pub(super) async fn store_texts(
    session: &mut Session,
    id: &str,
    family: &str,
    texts: &Pairs,
    clash: Clash,
) -> Result<(), MetastoreError> {
    let action = match clash {
        Clash::Keep => "NOTHING",
        Clash::Replace => "UPDATE SET content = excluded.content",
    };
    let sql = format!(
        "INSERT INTO trace_text (trace_id, family, name, content) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (trace_id, family, name) DO {action}"
    );
    for (name, content) in texts {
        if family == "tag" && name == NAME_TAG {
            let sql = "UPDATE trace SET name = $2 WHERE id = $1";
            session.execute(sql, &[id.into(), content.into()]).await?;
        } else {
            session.execute(&sql, &[id.into(), family.into(), name.into(), content.into()]).await?;
        }
    }
    Ok(())
}

pub(super) async fn store_spans(
    session: &mut Session,
    id: &str,
    spans: &[SpanRow],
) -> Result<(), MetastoreError> {
    for chunk in spans.chunks(ROWS) {
        let rows: Vec<String> =
            (0..chunk.len()).map(|row| format!("({})", placeholders(row * 7 + 1, 7))).collect();
        let sql = format!(
            "INSERT INTO trace_span (trace_id, span_id, parent_id, name, kind, status, spent) VALUES {} \
             ON CONFLICT (trace_id, span_id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name, \
             kind = excluded.kind, status = excluded.status, spent = excluded.spent",
            rows.join(", ")
        );
        let mut args: Vec<Value<'_>> = Vec::with_capacity(chunk.len() * 7);
        for span in chunk {
            args.extend([
                id.into(),
                span.span_id.as_str().into(),
                span.parent_id.as_deref().into(),
                span.name.as_str().into(),
                span.kind.as_str().into(),
                span.status.as_str().into(),
                span.spent.as_deref().into(),
            ]);
        }
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// What each span of a trace spent, those that spent nothing included; empty if none did.
async fn spent(session: &mut Session, id: &str) -> Result<Vec<Spent>, MetastoreError> {
    let sql = "SELECT 1 AS found FROM trace_span WHERE trace_id = $1 AND spent IS NOT NULL LIMIT 1";
    if session.fetch_optional(sql, &[id.into()]).await?.is_none() {
        return Ok(Vec::new());
    }
    let sql = "SELECT span_id, parent_id, spent FROM trace_span WHERE trace_id = $1";
    let rows = session.fetch_all(sql, &[id.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Spent {
                span_id: row.text("span_id")?,
                parent_id: row.opt_text("parent_id")?,
                spent: row.opt_text("spent")?,
            })
        })
        .collect()
}

pub(super) async fn link(
    session: &mut Session,
    id: &str,
    kind: &str,
    target: &str,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO trace_link (trace_id, kind, target) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    session.execute(sql, &[id.into(), kind.into(), target.into()]).await?;
    Ok(())
}
