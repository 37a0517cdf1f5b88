//! Late data: input that changed after a window had read it.

use millrace_metastore::windows::{ChangedInputRow, StaleRange};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::schedule::Interval;
use millrace_spec::triggers::{Rerun, Window};
use serde_json::Value;

use super::instant;

/// What late data asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The window is stale.
    Stale(StaleRange),
    /// It came after `lateness`: only told.
    TooLate(String),
}

/// What one changed input means for the window that read it; `None` if it does not concern it.
///
/// A version that a run of a window made is about that window's time, so it concerns those that overlap it. Nobody knows what time any
/// other version is about; it concerns every window that read an earlier one. A version that the pipeline names itself stays what it is.
pub(crate) fn judge(
    pipeline: &Pipeline,
    trigger: &str,
    window: &Window,
    changed: &ChangedInputRow,
    now: i64,
) -> Option<Late> {
    let lateness = window.lateness?;
    let own = Interval { start: instant(changed.start), end: instant(changed.end) };
    let about = changed.about.map(|(start, end)| Interval { start: instant(start), end: instant(end) });
    if about.is_some_and(|about| !about.overlaps(own)) || names(pipeline, changed) {
        return None;
    }
    let reason = format!(
        "data:{} was version {} when this window ran, and has changed content in version {}",
        changed.dataset, changed.read_version, changed.new_version
    );
    if now.saturating_sub(changed.end) > lateness.micros() {
        // Without a time of its own it says nothing about windows this old.
        return about
            .map(|_| Late::TooLate(format!("{reason}, more than {lateness} after the window's end")));
    }
    (window.rerun != Rerun::Ignore).then(|| {
        Late::Stale(StaleRange {
            pipeline: pipeline.name.to_string(),
            trigger: trigger.to_owned(),
            from: changed.start,
            until: changed.end,
            again: window.rerun == Rerun::Auto,
            reason,
        })
    })
}

/// Whether the pipeline asks for the very version that was read.
fn names(pipeline: &Pipeline, changed: &ChangedInputRow) -> bool {
    let pinned = format!("data:{}@{}", changed.dataset, changed.read_version);
    let steps = pipeline.steps.values().chain(pipeline.finally.values());
    steps
        .flat_map(|step| std::iter::once(&step.config).chain(step.inputs.values()))
        .any(|value| has_text(value, &pinned))
}

fn has_text(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| has_text(item, wanted)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use millrace_spec::load;

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn judged(trigger: &str, from: &str, about: Option<(i64, i64)>, now: i64) -> Option<Late> {
        let text =
            format!("triggers: {{t: {trigger}}}\nsteps: {{a: {{run: echo, inputs: {{orders: {from}}}}}}}\n");
        let pipeline = load::pipeline("pipelines/p.yaml", &text, &["run"]).unwrap().pipeline;
        let window = pipeline.triggers["t"].window().unwrap().clone();
        let changed = ChangedInputRow {
            start: 0,
            end: DAY,
            dataset: "orders".to_owned(),
            read_version: 3,
            new_version: 4,
            about,
        };
        judge(&pipeline, "t", &window, &changed, now)
    }

    #[test]
    fn schedule_late_data_marks_what_it_is_about() {
        let asks = "{window: 1d, from: 1970-01-01, lateness: 3d}";
        let stale = |late: Option<Late>| matches!(late, Some(Late::Stale(_)));
        assert!(stale(judged(asks, "data:orders", Some((0, DAY)), 2 * DAY)));
        assert!(stale(judged(asks, "data:orders", None, 2 * DAY)), "nobody knows what it is about");
        assert_eq!(judged(asks, "data:orders", Some((DAY, 2 * DAY)), 2 * DAY), None, "about another day");
        assert_eq!(judged(asks, "data:orders@3", None, 2 * DAY), None, "the pipeline asks for version 3");
        let too_late = judged(asks, "data:orders", Some((0, DAY)), 9 * DAY);
        assert!(matches!(too_late, Some(Late::TooLate(_))));
        assert_eq!(judged(asks, "data:orders", None, 9 * DAY), None);
        assert_eq!(judged("{window: 1d, from: 1970-01-01}", "data:orders", None, 2 * DAY), None);
        let auto =
            judged("{window: 1d, from: 1970-01-01, lateness: 3d, rerun: auto}", "data:orders", None, DAY);
        assert!(matches!(auto, Some(Late::Stale(StaleRange { again: true, .. }))));
        let ignore = "{window: 1d, from: 1970-01-01, lateness: 3d, rerun: ignore}";
        assert_eq!(judged(ignore, "data:orders", None, DAY), None);
    }
}
