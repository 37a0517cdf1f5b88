//! Two runs beside each other: only what differs of their values, all of their steps.

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use crate::views::compare::{NumberPair, StepBrief, StepPair, ValuePair};
use crate::views::json::Json;
use crate::views::runs::StepView;

/// The values of either side that are not the same on both, in the order of the first.
pub(crate) fn differing(a: &IndexMap<String, Value>, b: &IndexMap<String, Value>) -> Vec<ValuePair> {
    let names: IndexSet<&String> = a.keys().chain(b.keys()).collect();
    let pair = |name: &String| ValuePair {
        name: name.clone(),
        a: a.get(name).cloned().map(Json),
        b: b.get(name).cloned().map(Json),
    };
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).map(pair).collect()
}

/// The steps of either run, each with what it has on both sides.
pub(crate) fn step_pairs(a: &[StepView], b: &[StepView]) -> Vec<StepPair> {
    let names: IndexSet<&String> = a.iter().chain(b).map(|step| &step.id).collect();
    let pair = |name: &String| {
        let of = |steps: &'_ [StepView]| steps.iter().find(|step| step.id == *name).cloned();
        let (a, b) = (of(a), of(b));
        let outputs =
            |step: &Option<StepView>| step.as_ref().map(|step| step.outputs.0.clone()).unwrap_or_default();
        let metrics =
            |step: &Option<StepView>| step.as_ref().map(|step| step.metrics.0.clone()).unwrap_or_default();
        StepPair {
            step: name.clone(),
            outputs: differing(&outputs(&a), &outputs(&b)),
            metrics: number_pairs(&metrics(&a), &metrics(&b)),
            a: a.as_ref().map(brief),
            b: b.as_ref().map(brief),
        }
    };
    names.into_iter().map(pair).collect()
}

fn number_pairs(a: &IndexMap<String, f64>, b: &IndexMap<String, f64>) -> Vec<NumberPair> {
    let names: IndexSet<&String> = a.keys().chain(b.keys()).collect();
    let pair =
        |name: &String| NumberPair { name: name.clone(), a: a.get(name).copied(), b: b.get(name).copied() };
    names.into_iter().map(pair).collect()
}

fn brief(step: &StepView) -> StepBrief {
    let between = |from: &Option<String>, to: &Option<String>| {
        let at = |text: &Option<String>| text.as_ref()?.parse::<jiff::Timestamp>().ok();
        u64::try_from(at(to)?.as_millisecond() - at(from)?.as_millisecond()).ok()
    };
    StepBrief {
        kind: step.kind.clone(),
        status: step.status.clone(),
        attempts: u32::try_from(step.attempts.len()).unwrap_or(u32::MAX),
        queued_ms: between(&step.ready_at, &step.started_at),
        took_ms: between(&step.started_at, &step.ended_at),
        rows: step.rows,
        cost: step.cost.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(value: Value) -> IndexMap<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_differs_is_told_and_what_is_missing_is_not_null() {
        let a = values(json!({"same": {"x": 1}, "changed": 1, "gone": null}));
        let b = values(json!({"changed": "1", "same": {"x": 1}, "new": 2}));
        let told = serde_json::to_value(differing(&a, &b)).unwrap();
        assert_eq!(
            told,
            json!([
                {"name": "changed", "a": 1, "b": "1"},
                {"name": "gone", "a": null},
                {"name": "new", "b": 2},
            ])
        );
    }
}
