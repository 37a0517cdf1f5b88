//! Traces and spans as views.

use millrace_metastore::traces as metastore;
use millrace_metastore::traces::{AssessmentRow, Pairs, RUN_METADATA, Trace};
use millrace_tracking::traces::{Event, INPUTS, OUTPUTS, Span, USAGE};
use serde_json::{Map, Value};

use super::instant;
use crate::views::json::{Json, JsonMap, TextMap};
use crate::views::traces::{
    AssessmentView, PromptRef, SpanEventView, SpanSummary, SpanView, TokenUsage, TraceSummary,
};

const SESSION: &str = "mlflow.trace.session";
const USER: &str = "mlflow.trace.user";
const TOKENS: &str = "mlflow.trace.tokenUsage";
const LINKED_PROMPTS: &str = "mlflow.linkedPrompts";
/// Tags that say where MLflow keeps things.
const LOCATIONS: [&str; 2] = ["mlflow.trace.spansLocation", "mlflow.artifactLocation"];

const NANOSECONDS: f64 = 1e6;

fn found(pairs: &Pairs, name: &str) -> Option<String> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).filter(|text| !text.is_empty())
}

/// A trace in a list. One that its client gave no name has its root's.
pub(crate) fn summary(trace: &Trace, spans: metastore::SpanSummary) -> TraceSummary {
    let row = &trace.row;
    let tags =
        trace.tags.iter().filter(|(key, _)| !LOCATIONS.contains(&key.as_str()) && key != LINKED_PROMPTS);
    TraceSummary {
        id: row.id.clone(),
        name: row.name.clone().or(spans.root),
        experiment_id: row.experiment_id.to_string(),
        status: row.state.clone(),
        started_at: instant(row.requested_at_ms.saturating_mul(1_000)),
        duration_ms: row.duration_ms.and_then(|duration| u64::try_from(duration).ok()),
        request: row.request_preview.clone(),
        response: row.response_preview.clone(),
        tokens: found(&trace.metadata, TOKENS)
            .and_then(|text| serde_json::from_str(&text).ok())
            .and_then(|usage| tokens(&usage)),
        spans: u64::try_from(spans.count).unwrap_or_default(),
        session: found(&trace.metadata, SESSION),
        user: found(&trace.metadata, USER),
        run_id: found(&trace.metadata, RUN_METADATA),
        tags: TextMap(tags.cloned().collect()),
        assessments: trace.assessments.iter().map(assessment).collect(),
    }
}

fn assessment(row: &AssessmentRow) -> AssessmentView {
    let document: Map<String, Value> = serde_json::from_str(&row.document).unwrap_or_default();
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let source = document.get("source");
    let error = document.get(&row.kind).and_then(|value| value.get("error"));
    AssessmentView {
        id: row.id.clone(),
        kind: row.kind.clone(),
        name: row.name.clone(),
        value: Json(serde_json::from_str(&row.content).unwrap_or_default()),
        rationale: text(document.get("rationale")),
        source: text(source.and_then(|source| source.get("source_type"))).unwrap_or_default(),
        source_id: text(source.and_then(|source| source.get("source_id"))),
        span_id: text(document.get("span_id")),
        valid: row.is_valid,
        error: error
            .and_then(|error| text(error.get("error_message")).or_else(|| text(error.get("error_code")))),
        updated_at: text(document.get("last_update_time")),
    }
}

/// Prompt versions of links, `name/version`, and of the tag that clients of MLflow set.
pub(crate) fn prompts(links: &[String], tags: &Pairs) -> Vec<PromptRef> {
    let linked = links.iter().filter_map(|link| {
        let (name, version) = link.rsplit_once('/')?;
        Some(PromptRef { name: name.to_owned(), version: version.parse().ok()? })
    });
    let told: Vec<Map<String, Value>> =
        found(tags, LINKED_PROMPTS).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let told = told.iter().filter_map(|prompt| {
        let version = prompt.get("version")?;
        let version = version.as_u64().or_else(|| version.as_str()?.parse().ok())?;
        Some(PromptRef { name: prompt.get("name")?.as_str()?.to_owned(), version })
    });
    let mut all: Vec<PromptRef> = Vec::new();
    for prompt in linked.chain(told) {
        if !all.contains(&prompt) {
            all.push(prompt);
        }
    }
    all
}

fn tokens(usage: &Value) -> Option<TokenUsage> {
    let part = |name| usage.get(name).and_then(Value::as_u64);
    let (input, output) = (part("input_tokens"), part("output_tokens"));
    let total = part("total_tokens").or_else(|| Some(input?.saturating_add(output?)))?;
    Some(TokenUsage { input: input.unwrap_or_default(), output: output.unwrap_or_default(), total })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a time to be drawn; a double has nanoseconds of a hundred days"
)]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / NANOSECONDS
}

fn duration(span: &Span) -> Option<f64> {
    (span.end_ns > 0).then(|| milliseconds(span.end_ns.saturating_sub(span.start_ns)))
}

/// The tree of a trace: every span, times counted from the first.
pub(crate) fn span_summaries(spans: &[Span]) -> Vec<SpanSummary> {
    let begin = spans.iter().map(|span| span.start_ns).min().unwrap_or_default();
    let shown = |span: &Span| SpanSummary {
        id: span.id.clone(),
        parent_id: span.parent_id.clone(),
        name: span.name.clone(),
        kind: span.kind().to_owned(),
        status: span.status.word().to_owned(),
        start_ms: milliseconds(span.start_ns.saturating_sub(begin)),
        duration_ms: duration(span),
        tokens: span.attributes.get(USAGE).and_then(tokens).map(|usage| usage.total),
    };
    spans.iter().map(shown).collect()
}

/// A span with all that is known of it.
pub(crate) fn span(span: &Span) -> SpanView {
    let own = [INPUTS, OUTPUTS];
    let attributes = span.attributes.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let value = |name: &str| Json(span.attributes.get(name).cloned().unwrap_or_default());
    let event = |event: &Event| SpanEventView {
        name: event.name.clone(),
        at_ms: milliseconds(event.at_ns.saturating_sub(span.start_ns)),
        attributes: JsonMap(event.attributes.clone().into_iter().collect()),
    };
    SpanView {
        id: span.id.clone(),
        name: span.name.clone(),
        kind: span.kind().to_owned(),
        status: span.status.word().to_owned(),
        message: Some(span.message.clone()).filter(|message| !message.is_empty()),
        started_at: instant(i64::try_from(span.start_ns / 1_000).unwrap_or(i64::MAX)),
        duration_ms: duration(span),
        inputs: value(INPUTS),
        outputs: value(OUTPUTS),
        tokens: span.attributes.get(USAGE).and_then(tokens),
        attributes: JsonMap(attributes.map(|(name, value)| (name.clone(), value.clone())).collect()),
        events: span.events.iter().map(event).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prompts_of_links_and_tags_are_told_once() {
        let tags = vec![(
            LINKED_PROMPTS.to_owned(),
            json!([{"name": "qa", "version": "2"}, {"name": "qa", "version": 3}, {"name": "broken"}])
                .to_string(),
        )];
        let found = prompts(&["qa/2".to_owned(), "no-version".to_owned()], &tags);
        let told: Vec<String> = found.iter().map(|one| format!("{}@{}", one.name, one.version)).collect();
        assert_eq!(told, ["qa@2", "qa@3"]);
    }

    #[test]
    fn spans_are_counted_from_the_first() {
        let first =
            Span { id: "a".to_owned(), start_ns: 5_000_000_000, end_ns: 5_002_500_000, ..Span::default() };
        let mut second = Span { id: "b".to_owned(), start_ns: 5_001_000_000, ..Span::default() };
        second.attributes.insert(USAGE.to_owned(), json!({"input_tokens": 3, "output_tokens": 4}));
        let shown = span_summaries(&[first, second]);
        assert_eq!((shown[0].start_ms, shown[0].duration_ms, shown[0].tokens), (0.0, Some(2.5), None));
        assert_eq!((shown[1].start_ms, shown[1].duration_ms, shown[1].tokens), (1.0, None, Some(7)));
    }
}
