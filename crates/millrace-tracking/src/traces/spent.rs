//! Tokens and costs of a trace, summed up over its spans.

use std::collections::{HashMap, HashSet};

use millrace_metastore::traces::{Pairs, Spent};
use serde_json::{Map, Value, json};

use super::conventions::{COST, USAGE};
use super::span::{Span, json_text};

/// What is summed up: name in `SpanRow::spent`, attribute of the span, metadata of the trace, sums that are always told.
const SUMS: &[(&str, &str, &str, &[&str])] = &[
    ("tokens", USAGE, "mlflow.trace.tokenUsage", &["input_tokens", "output_tokens", "total_tokens"]),
    ("cost", COST, "mlflow.trace.cost", &["input_cost", "output_cost", "total_cost"]),
];

/// What a span spent, for [`totals`].
pub(super) fn spent(span: &Span) -> Option<String> {
    let mut spent = Map::new();
    for (name, attribute, _, _) in SUMS {
        if let Some(value @ Value::Object(_)) = span.attributes.get(*attribute) {
            spent.insert((*name).to_owned(), value.clone());
        }
    }
    (!spent.is_empty()).then(|| Value::Object(spent).to_string())
}

/// Metadata with the sums. What a span within another spent is part of what that one tells, if it tells anything.
pub fn totals(spans: &[Spent]) -> Pairs {
    let told: HashMap<&str, (Option<&str>, Value)> = spans
        .iter()
        .map(|span| {
            let spent = span.spent.as_deref().and_then(|text| serde_json::from_str(text).ok());
            (span.span_id.as_str(), (span.parent_id.as_deref(), spent.unwrap_or_default()))
        })
        .collect();
    SUMS.iter()
        .filter_map(|(name, _, metadata, always)| {
            let sums = sum(&told, name, always)?;
            Some(((*metadata).to_owned(), json_text(&Value::Object(sums))))
        })
        .collect()
}

fn sum(
    told: &HashMap<&str, (Option<&str>, Value)>,
    name: &str,
    always: &[&str],
) -> Option<Map<String, Value>> {
    let mut sums: Map<String, Value> = always.iter().map(|key| ((*key).to_owned(), json!(0))).collect();
    let mut any = false;
    let mut covered: HashMap<&str, bool> = HashMap::new();
    let mut ids: Vec<&str> = told.keys().copied().collect();
    ids.sort_unstable();
    for id in ids {
        let Some(Value::Object(parts)) = told.get(id).and_then(|(_, spent)| spent.get(name)) else {
            continue;
        };
        if is_covered(told, name, id, &mut covered) {
            continue;
        }
        any = true;
        for (key, part) in parts {
            let so_far = sums.entry(key.clone()).or_insert_with(|| json!(0));
            if let Some(both) = added(so_far, part) {
                *so_far = both;
            }
        }
    }
    any.then_some(sums)
}

/// Whether a span above tells the same. Every span is walked once, however deep the trace is.
fn is_covered<'a>(
    told: &HashMap<&'a str, (Option<&'a str>, Value)>,
    name: &str,
    id: &'a str,
    known: &mut HashMap<&'a str, bool>,
) -> bool {
    let (mut path, mut seen, mut here) = (Vec::new(), HashSet::new(), id);
    let found = loop {
        if let Some(known) = known.get(here) {
            break *known;
        }
        path.push(here);
        seen.insert(here);
        let Some((above, (_, spent))) =
            told.get(here).and_then(|(parent, _)| Some(((*parent)?, told.get((*parent)?)?)))
        else {
            break false;
        };
        if spent.get(name).is_some() {
            break true;
        }
        // Spans that are each other's parents: nobody is above.
        if seen.contains(above) {
            break false;
        }
        here = above;
    };
    for id in path {
        known.insert(id, found);
    }
    found
}

fn added(one: &Value, other: &Value) -> Option<Value> {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => Some(json!(one.saturating_add(other))),
        _ => Some(json!(one.as_f64()? + other.as_f64()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, tokens: Option<i64>) -> Spent {
        Spent {
            span_id: id.to_owned(),
            parent_id: parent.map(str::to_owned),
            spent: tokens.map(|count| json!({"tokens": {"input_tokens": count}}).to_string()),
        }
    }

    fn tokens(spans: &[Spent]) -> String {
        totals(spans).into_iter().map(|(name, value)| format!("{name} {value}")).collect()
    }

    #[test]
    fn what_a_parent_tells_is_not_counted_twice() {
        let told = "mlflow.trace.tokenUsage {\"input_tokens\": 7, \"output_tokens\": 0, \"total_tokens\": 0}";
        let spans = [
            span("a", None, None),
            span("b", Some("a"), Some(5)),
            span("c", Some("b"), None),
            span("d", Some("c"), Some(5)),
            span("e", Some("a"), Some(2)),
        ];
        assert_eq!(tokens(&spans), told);
        assert_eq!(tokens(&[span("a", None, None)]), "");
        // A circle ends, and has no root whose sum it would be.
        assert_eq!(tokens(&[span("a", Some("b"), None), span("b", Some("a"), Some(7))]), "");
    }
}
