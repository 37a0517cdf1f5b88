use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use crate::Importer;
use crate::names::name_of;
use crate::report::Gaps;
use crate::yaml_out::Map;

/// A trigger, if it starts this pipeline.
pub(super) fn trigger(
    importer: &Importer,
    name: &str,
    properties: &Node,
    pipeline: &str,
    gaps: &mut Gaps,
    triggers: &mut Map,
) {
    let started = match properties.get("pipelines").map(|node| &node.value) {
        Some(NodeValue::List(items)) => items.iter().collect(),
        _ => properties.get("pipeline").into_iter().collect::<Vec<_>>(),
    };
    let is_this = |reference: &&&Node| {
        let name = reference.get("pipelineReference").and_then(|node| node.get("referenceName"));
        name.and_then(Node::as_text) == Some(pipeline)
    };
    let Some(reference) = started.iter().find(is_this) else { return };
    let kind = properties.get("type").and_then(Node::as_text).unwrap_or_default();
    let made = match kind {
        "ScheduleTrigger" => schedule(name, properties, gaps, triggers),
        "TumblingWindowTrigger" if importer.has_trigger("window") => window(name, properties, gaps, triggers),
        other => {
            let message = format!("the trigger `{name}` is a `{other}`, which has no counterpart");
            let hint = match other {
                "TumblingWindowTrigger" => "a `cron` trigger starts it at the end of each window",
                _ => "let the event call `POST /api/pipelines/NAME/runs`",
            };
            gaps.add(&properties.place, triggers, &message, Some(hint));
            None
        }
    };
    let Some(mut trigger) = made else { return };
    if properties.get("runtimeState").and_then(Node::as_text) == Some("Stopped") {
        trigger.comment("it was stopped there");
    }
    inputs(name, reference, gaps, &mut trigger);
    triggers.put(&name_of(name), trigger);
}

fn inputs(name: &str, reference: &Node, gaps: &mut Gaps, trigger: &mut Map) {
    let mut inputs = Map::default();
    for (key, node) in reference.get("parameters").and_then(Node::as_map).unwrap_or_default() {
        match node.as_text().filter(|text| text.starts_with('@')) {
            None => inputs.put(&name_of(&key.name), node.to_json()),
            Some(text) => {
                let message =
                    format!("`{text}` for `{}` of the trigger `{name}` has no counterpart", key.name);
                let hint = "use `window.start` and `window.end` in the steps themselves";
                gaps.add(&node.place, trigger, &message, Some(hint));
            }
        }
    }
    trigger.put_some("inputs", inputs);
}

/// A recurrence as a cron expression, if one says it.
fn schedule(name: &str, properties: &Node, gaps: &mut Gaps, triggers: &mut Map) -> Option<Map> {
    let recurrence = properties.get("typeProperties")?.get("recurrence")?;
    let Some(cron) = cron_of(recurrence) else {
        let message = format!("the recurrence of the trigger `{name}` is no cron expression");
        gaps.add(&recurrence.place, triggers, &message, Some("write the instants as several triggers"));
        return None;
    };
    let mut trigger = Map::default();
    trigger.put("cron", cron);
    let zone = recurrence.get("timeZone").and_then(Node::as_text).unwrap_or("UTC");
    match iana(zone) {
        Some(zone) => trigger.put("timezone", zone),
        None => {
            trigger.put("timezone", "UTC");
            let message = format!("the time zone `{zone}` is not known here; this one is UTC");
            gaps.add(
                &recurrence.place,
                &mut trigger,
                &message,
                Some("name it as the IANA does: `Europe/Berlin`"),
            );
        }
    }
    if let Some(end) = recurrence.get("endTime") {
        let message = format!("the trigger `{name}` ends at a time; here it goes on");
        gaps.add(&end.place, &mut trigger, &message, Some("take it out of the file then"));
    }
    Some(trigger)
}

fn cron_of(recurrence: &Node) -> Option<String> {
    let number = |name: &str| recurrence.get(name).map(Node::to_json).and_then(|value| value.as_u64());
    let interval = number("interval").unwrap_or(1);
    let frequency = recurrence.get("frequency").and_then(Node::as_text)?.to_ascii_lowercase();
    // Instants are counted from the start time.
    let start = recurrence.get("startTime").and_then(Node::as_text).unwrap_or_default();
    let start_part =
        |from: usize| start.get(from..from + 2).and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0);
    let schedule = recurrence.get("schedule");
    let list = |name: &str| -> Option<Vec<Value>> {
        let values = schedule?.get(name)?.to_json();
        Some(values.as_array()?.clone()).filter(|values| !values.is_empty())
    };
    let field = |name: &str| Some(list(name)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    let minutes = field("minutes").unwrap_or_else(|| start_part(14).to_string());
    let hours = field("hours").unwrap_or_else(|| start_part(11).to_string());
    match (frequency.as_str(), interval) {
        ("minute", every) if every > 0 && 60 % every == 0 => Some(format!("*/{every} * * * *")),
        ("hour", every) if every > 0 && 24 % every == 0 && list("hours").is_none() => {
            Some(format!("{minutes} */{every} * * *"))
        }
        ("day", 1) => Some(format!("{minutes} {hours} * * *")),
        ("week", 1) => {
            let days: Vec<String> = list("weekDays")?
                .iter()
                .filter_map(|day| Some(day.as_str()?.get(..3)?.to_ascii_lowercase()))
                .collect();
            Some(format!("{minutes} {hours} * * {}", days.join(",")))
        }
        ("month", 1) => {
            let days = list("monthDays")?;
            let days: Option<Vec<String>> = days
                .iter()
                .map(|day| match day.as_i64()? {
                    -1 => Some("L".to_owned()),
                    day if day > 0 => Some(day.to_string()),
                    _ => None,
                })
                .collect();
            Some(format!("{minutes} {hours} {} * *", days?.join(",")))
        }
        _ => None,
    }
}

/// A tumbling window as one here.
fn window(name: &str, properties: &Node, gaps: &mut Gaps, triggers: &mut Map) -> Option<Map> {
    let details = properties.get("typeProperties")?;
    let text = |key: &str| details.get(key).and_then(Node::as_text);
    let interval = details.get("interval").map(Node::to_json).and_then(|value| value.as_u64()).unwrap_or(1);
    let unit = match text("frequency").unwrap_or_default().to_ascii_lowercase().as_str() {
        "minute" => "m",
        "hour" => "h",
        "month" => "mo",
        other => {
            let message = format!("the trigger `{name}` has windows of `{other}`, which are not known here");
            gaps.add(&details.place, triggers, &message, None);
            return None;
        }
    };
    let mut trigger = Map::default();
    trigger.put("window", format!("{interval}{unit}"));
    if let Some(start) = text("startTime") {
        trigger.put("from", start);
    }
    trigger.put("timezone", "UTC");
    if let Some(delay) = text("delay").and_then(super::activities::timespan) {
        trigger.put("delay", delay);
    }
    if let Some(parallel) = details.get("maxConcurrency") {
        trigger.put("parallel", parallel.to_json());
    }
    let retries = details.get("retryPolicy").and_then(|node| node.get("count")).map(Node::to_json);
    if let Some(retries) = retries.filter(|count| count != &json!(0)) {
        trigger.put("retry", retries);
    }
    let read = ["frequency", "interval", "startTime", "delay", "maxConcurrency", "retryPolicy"];
    gaps.others(details, &read, &format!("the trigger `{name}`"), &mut trigger);
    Some(trigger)
}

/// Windows' name of a zone as the IANA's (Unicode CLDR, windowsZones).
fn iana(zone: &str) -> Option<&str> {
    const ZONES: &[(&str, &str)] = &[
        ("UTC", "UTC"),
        ("GMT Standard Time", "Europe/London"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Romance Standard Time", "Europe/Paris"),
        ("Central Europe Standard Time", "Europe/Budapest"),
        ("Central European Standard Time", "Europe/Warsaw"),
        ("E. Europe Standard Time", "Europe/Chisinau"),
        ("FLE Standard Time", "Europe/Kiev"),
        ("GTB Standard Time", "Europe/Bucharest"),
        ("Turkey Standard Time", "Europe/Istanbul"),
        ("Russian Standard Time", "Europe/Moscow"),
        ("Eastern Standard Time", "America/New_York"),
        ("Central Standard Time", "America/Chicago"),
        ("Mountain Standard Time", "America/Denver"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("E. South America Standard Time", "America/Sao_Paulo"),
        ("India Standard Time", "Asia/Kolkata"),
        ("China Standard Time", "Asia/Shanghai"),
        ("Singapore Standard Time", "Asia/Singapore"),
        ("Tokyo Standard Time", "Asia/Tokyo"),
        ("Korea Standard Time", "Asia/Seoul"),
        ("Arabian Standard Time", "Asia/Dubai"),
        ("AUS Eastern Standard Time", "Australia/Sydney"),
        ("Lord Howe Standard Time", "Australia/Lord_Howe"),
        ("New Zealand Standard Time", "Pacific/Auckland"),
    ];
    ZONES.iter().find(|(windows, _)| *windows == zone).map(|(_, iana)| *iana)
}
