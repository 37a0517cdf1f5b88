//! What a search of traces says: clauses, orders, where a page begins.

use std::sync::Arc;

use crate::experiments::{Condition, Cursor};

use super::Trace;

/// A column of a trace that can be searched and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the columns")]
pub enum TraceColumn {
    Id,
    ExperimentId,
    Name,
    State,
    RequestedAt,
    Duration,
    EndedAt,
    ClientRequestId,
}

/// What a clause compares or an order sorts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceField {
    /// A column.
    Column(TraceColumn),
    /// A tag.
    Tag(String),
    /// Something that its client told.
    Metadata(String),
}

/// What is compared of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the columns")]
pub enum SpanColumn {
    Name,
    Kind,
    Status,
}

/// A part of a filter; all must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum TraceClause {
    /// Of the trace itself.
    Of(TraceField, Condition),
    /// It is linked to a run or a prompt version.
    Linked {
        /// [`super::RUN_LINK`] or [`super::PROMPT_LINK`].
        kind: &'static str,
        /// What to.
        target: String,
    },
    /// It has an assessment that was not overridden, whose value fulfils the condition.
    Assessed {
        /// `feedback`, `expectation` or `issue`.
        kind: &'static str,
        /// Name of the assessment.
        name: String,
        /// Of its value.
        condition: Condition,
    },
    /// One of its spans fulfils all of these.
    Span(Vec<(SpanColumn, Condition)>),
}

/// Whether it holds for a trace and its spans, a line each; without lines if they are not needed.
pub type Holds = dyn Fn(&Trace, &[u8]) -> bool + Send + Sync;

/// What no statement can decide: asked of every trace that fulfils the clauses.
#[derive(Clone)]
pub struct Rest {
    /// Whether the spans are looked into.
    pub needs_spans: bool,
    /// The question.
    pub holds: Arc<Holds>,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Rest").field("needs_spans", &self.needs_spans).finish_non_exhaustive()
    }
}

/// A sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceOrder {
    /// By what.
    pub field: TraceField,
    /// Smallest first.
    pub ascending: bool,
}

/// What is searched for.
#[derive(Debug, Clone, Default)]
pub struct TraceQuery {
    /// Only in these experiments.
    pub experiments: Vec<i64>,
    /// In every experiment that is not deleted, whatever `experiments` says.
    pub everywhere: bool,
    /// All must hold.
    pub clauses: Vec<TraceClause>,
    /// Must hold too.
    pub rest: Option<Rest>,
    /// The first decides first; then the newest, then the id.
    pub order: Vec<TraceOrder>,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Traces at most.
    pub limit: usize,
}
