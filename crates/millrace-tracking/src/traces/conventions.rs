//! Attributes of other instrumentations under MLflow's names: OpenInference, OpenTelemetry's GenAI conventions, Traceloop.
//!
//! Only what is absent is added, and nothing is removed.

use serde_json::{Map, Value, json};

use super::span::Span;

pub(super) const KIND: &str = "mlflow.spanType";
/// Attribute: what went in.
pub const INPUTS: &str = "mlflow.spanInputs";
/// Attribute: what came out.
pub const OUTPUTS: &str = "mlflow.spanOutputs";
/// Attribute: tokens, `{"input_tokens", "output_tokens", "total_tokens"}`.
pub const USAGE: &str = "mlflow.chat.tokenUsage";
pub(super) const COST: &str = "mlflow.llm.cost";

/// Where the kind of a span is said, and its words beside MLflow's.
const KINDS: &[(&str, &[(&str, &str)])] = &[
    (
        "openinference.span.kind",
        &[
            ("TOOL", "TOOL"),
            ("CHAIN", "CHAIN"),
            ("LLM", "LLM"),
            ("RETRIEVER", "RETRIEVER"),
            ("EMBEDDING", "EMBEDDING"),
            ("AGENT", "AGENT"),
            ("RERANKER", "RERANKER"),
            ("GUARDRAIL", "GUARDRAIL"),
            ("EVALUATOR", "EVALUATOR"),
        ],
    ),
    (
        "gen_ai.operation.name",
        &[
            ("chat", "CHAT_MODEL"),
            ("create_agent", "AGENT"),
            ("embeddings", "EMBEDDING"),
            ("execute_tool", "TOOL"),
            ("generate_content", "LLM"),
            ("invoke_agent", "AGENT"),
            ("text_completion", "LLM"),
            ("response", "LLM"),
        ],
    ),
    (
        "traceloop.span.kind",
        &[("workflow", "WORKFLOW"), ("task", "TASK"), ("agent", "AGENT"), ("tool", "TOOL")],
    ),
];

/// MLflow's name and where else the same is said; the first counts.
const SAME: &[(&str, &[&str])] = &[
    (
        INPUTS,
        &["input.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "traceloop.entity.input"],
    ),
    (
        OUTPUTS,
        &["output.value", "gen_ai.output.messages", "gen_ai.tool.call.result", "traceloop.entity.output"],
    ),
    ("mlflow.llm.model", &["gen_ai.response.model", "gen_ai.request.model", "llm.model_name"]),
    ("mlflow.llm.provider", &["gen_ai.provider.name", "gen_ai.system", "llm.provider"]),
];

const TOKENS: &[(&str, &[&str])] = &[
    ("input_tokens", &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"]),
    (
        "output_tokens",
        &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"],
    ),
    ("total_tokens", &["llm.usage.total_tokens", "llm.token_count.total"]),
];

/// Adds MLflow's names to a span.
pub(super) fn translate(span: &mut Span) {
    let attributes = &mut span.attributes;
    if attributes.get(KIND).is_none_or(|kind| kind == "UNKNOWN")
        && let Some(kind) = kind(attributes)
    {
        attributes.insert(KIND.to_owned(), json!(kind));
    }
    for (name, others) in SAME {
        if !attributes.contains_key(*name)
            && let Some(value) = others.iter().find_map(|other| attributes.get(*other))
        {
            let value = parsed(value);
            attributes.insert((*name).to_owned(), value);
        }
    }
    if !attributes.contains_key(USAGE)
        && let Some(usage) = usage(attributes)
    {
        attributes.insert(USAGE.to_owned(), usage);
    }
}

fn kind(attributes: &Map<String, Value>) -> Option<&'static str> {
    KINDS.iter().find_map(|(name, words)| {
        let said = attributes.get(*name)?.as_str()?;
        words.iter().find(|(word, _)| *word == said).map(|(_, kind)| *kind)
    })
}

/// A text that is JSON of a list or an object, as that.
fn parsed(value: &Value) -> Value {
    match value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        value => value.clone(),
    }
}

fn usage(attributes: &Map<String, Value>) -> Option<Value> {
    let count = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let mut usage = Map::new();
    for (name, others) in TOKENS {
        if let Some(tokens) = others.iter().find_map(|other| count(attributes.get(*other)?)) {
            usage.insert((*name).to_owned(), json!(tokens));
        }
    }
    let part = |name| usage.get(name).and_then(Value::as_i64);
    if let (None, Some(input), Some(output)) =
        (part("total_tokens"), part("input_tokens"), part("output_tokens"))
    {
        usage.insert("total_tokens".to_owned(), json!(input.saturating_add(output)));
    }
    (!usage.is_empty()).then_some(Value::Object(usage))
}
