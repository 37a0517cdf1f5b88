//! Triggers as those of Data Factory.

use millrace_spec::duration::Elapsed;
use millrace_spec::period::Period;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::triggers::event::{EventSpec, EventTrigger, Shared};
use millrace_spec::triggers::{Boundary, Cron, Dependency, Trigger, Window};
use serde_json::{Map as Fields, Value, json};

use super::expression::{self, Term};
use crate::{recurrence, zones};

/// A trigger's document, or why there is none.
pub(super) fn trigger(
    pipeline: &Pipeline,
    key: &str,
    trigger: &Trigger,
    names_window: bool,
) -> Result<Value, String> {
    let mut parameters: Fields<String, Value> =
        trigger.inputs().iter().map(|(name, value)| (name.clone(), of_event(value))).collect();
    let reference = json!({"referenceName": pipeline.name.as_str(), "type": "PipelineReference"});
    if let Trigger::Window(window) = trigger {
        if names_window {
            parameters.insert("windowStart".to_owned(), json!("@trigger().outputs.windowStartTime"));
            parameters.insert("windowEnd".to_owned(), json!("@trigger().outputs.windowEndTime"));
        }
        let mut started = json!({"pipelineReference": reference});
        if !parameters.is_empty() {
            started["parameters"] = Value::Object(parameters);
        }
        let details = tumbling(window)?;
        return Ok(
            json!({"name": key, "properties": {"type": "TumblingWindowTrigger", "pipeline": started, "typeProperties": details}}),
        );
    }
    let (kind, details) = match trigger {
        Trigger::Cron(cron) => (
            "ScheduleTrigger",
            json!({"recurrence": of_cron(cron).ok_or_else(|| format!("has the cron expression `{}`, which is no recurrence there", cron.cron))?}),
        ),
        Trigger::Recurrence(rule) => {
            let made =
                recurrence::theirs(rule).ok_or("has a period or times that are no recurrence there")?;
            ("ScheduleTrigger", json!({"recurrence": made}))
        }
        Trigger::Event(event) => events(event)?,
        Trigger::Window(_) => return Err("has no counterpart".to_owned()),
    };
    let mut started = json!({"pipelineReference": reference});
    if !parameters.is_empty() {
        started["parameters"] = Value::Object(parameters);
    }
    Ok(json!({"name": key, "properties": {"type": kind, "pipelines": [started], "typeProperties": details}}))
}

/// `d.hh:mm:ss`.
pub(super) fn timespan(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!("{days}.{:02}:{:02}:{:02}", rest / 3_600, rest % 3_600 / 60, rest % 60)
}

fn signed(period: Period) -> String {
    let ms = period.nominal_ms();
    format!("{}{}", if ms < 0 { "-" } else { "" }, timespan(ms.unsigned_abs()))
}

fn elapsed(elapsed: Elapsed) -> String {
    timespan(u64::try_from(elapsed.micros() / 1_000).unwrap_or_default())
}

/// Their windows are in UTC.
fn utc(boundary: Boundary) -> String {
    let text = recurrence::time(boundary);
    if text.ends_with('Z') { text } else { format!("{text}Z") }
}

fn tumbling(window: &Window) -> Result<Value, String> {
    let written = window.window.to_string();
    let digits: String = written.chars().take_while(char::is_ascii_digit).collect();
    let count: u64 = digits.parse().map_err(|_| "has windows of a size that is not known there")?;
    let (frequency, interval) = match written.get(digits.len()..).unwrap_or_default() {
        "m" => ("Minute", count),
        "h" => ("Hour", count),
        "mo" => ("Month", count),
        "d" => ("Hour", count * 24),
        "w" => ("Hour", count * 168),
        _ => return Err(format!("has windows of `{written}`, which are not known there")),
    };
    if window.timezone.as_deref().is_some_and(|zone| zone != "UTC") {
        return Err("has windows in a time zone; theirs are in UTC".to_owned());
    }
    if window.lateness.is_some() || window.offset.is_some() {
        return Err("has `lateness` or `offset`, which have no counterpart".to_owned());
    }
    let mut made = json!({"frequency": frequency, "interval": interval, "startTime": utc(window.from.clone()),
        "maxConcurrency": window.at_once()});
    if let Some(until) = window.until.clone() {
        made["endTime"] = utc(until).into();
    }
    if let Some(delay) = window.delay {
        made["delay"] = elapsed(delay).into();
    }
    if window.retries() > 0 {
        let seconds = window.retry_delay().micros() / 1_000_000;
        made["retryPolicy"] = json!({"count": window.retries(), "intervalInSeconds": seconds.max(30)});
    }
    if !window.after.is_empty() {
        made["dependsOn"] = window.after.iter().map(dependency).collect::<Result<Value, String>>()?;
    }
    Ok(made)
}

fn dependency(dependency: &Dependency) -> Result<Value, String> {
    let mut made = match (dependency.own, &dependency.pipeline) {
        (Some(own), _) => {
            json!({"type": "SelfDependencyTumblingWindowTriggerReference", "offset": signed(own)})
        }
        (None, Some(pipeline)) => {
            let Some(trigger) = &dependency.trigger else {
                return Err(format!("waits for the windows of `{pipeline}` without naming its trigger"));
            };
            let reference = json!({"referenceName": trigger, "type": "TriggerReference"});
            let mut made =
                json!({"type": "TumblingWindowTriggerDependencyReference", "referenceTrigger": reference});
            if let Some(offset) = dependency.offset {
                made["offset"] = signed(offset).into();
            }
            made
        }
        (None, None) => return Err("waits for nothing".to_owned()),
    };
    if let Some(size) = dependency.size {
        made["size"] = signed(size).into();
    }
    Ok(made)
}

/// Requests of Event Grid.
fn events(event: &EventTrigger) -> Result<(&'static str, Value), String> {
    let EventSpec::Webhook(hook) = &event.source else {
        return Err(format!("waits for `{}`, which has no counterpart", event.source.word()));
    };
    if hook.webhook.word() != "cloudevents" {
        return Err("hears of events that Event Grid does not send".to_owned());
    }
    let Shared { condition, inputs: _, order_by, debounce, batch, expected_every } = &event.shared;
    let unsaid = [
        ("debounce", debounce.is_some()),
        ("batch", batch.is_some()),
        ("order_by", order_by.is_some()),
        ("expected_every", expected_every.is_some()),
    ];
    if let Some((key, _)) = unsaid.into_iter().find(|(_, is_said)| *is_said) {
        return Err(format!("has `{key}`, which has no counterpart"));
    }
    let is_blob =
        !hook.events.is_empty() && hook.events.iter().all(|kind| kind.starts_with("Microsoft.Storage."));
    let mut details = json!({"events": hook.events, "scope": ""});
    let text = condition.as_deref().unwrap_or("true");
    let mut term = expression::read(text)
        .ok_or_else(|| format!("has the condition `{text}`, which has no counterpart"))?;
    // `a and b and c` is read from the left.
    loop {
        let (rest, last) = match term {
            Term::Both(operator, left, right) if operator == "and" => (Some(*left), *right),
            other => (None, other),
        };
        let (key, value) = filter(&last, is_blob)
            .ok_or_else(|| format!("has the condition `{text}`, which has no counterpart"))?;
        if !key.is_empty() {
            details[key] = value;
        }
        match rest {
            Some(rest) => term = rest,
            None => break,
        }
    }
    Ok((if is_blob { "BlobEventsTrigger" } else { "CustomEventsTrigger" }, details))
}

/// A part of a condition as a property there; an empty key for one that says nothing.
fn filter(term: &Term, is_blob: bool) -> Option<(&'static str, Value)> {
    match term {
        Term::Word(word) if word == "true" => Some(("", Value::Null)),
        Term::Both(operator, left, right) => match (operator.as_str(), left.as_ref(), right.as_ref()) {
            ("is startingwith", Term::Name(path), Term::Text(text)) if path == &["event", "subject"] => {
                Some(if is_blob {
                    (
                        "blobPathBeginsWith",
                        text.strip_prefix("/blobServices/default/containers").unwrap_or(text).into(),
                    )
                } else {
                    ("subjectBeginsWith", text.as_str().into())
                })
            }
            ("is endingwith", Term::Name(path), Term::Text(text)) if path == &["event", "subject"] => {
                Some((if is_blob { "blobPathEndsWith" } else { "subjectEndsWith" }, text.as_str().into()))
            }
            (">", Term::Name(path), Term::Word(zero))
                if is_blob && zero == "0" && path == &["event", "data", "contentLength"] =>
            {
                Some(("ignoreEmptyBlobs", true.into()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What an import made of `@triggerBody()`.
fn of_event(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if text.contains("event.subject") && text.contains("last") => {
            json!("@triggerBody().fileName")
        }
        Some(text) if text.contains("event.subject") => json!("@triggerBody().folderPath"),
        _ => value.clone(),
    }
}

/// A cron expression of whole lists as a recurrence.
fn of_cron(cron: &Cron) -> Option<Value> {
    let fields: Vec<&str> = cron.cron.split_whitespace().collect();
    let [minute, hour, day, "*", weekday] = fields.as_slice() else { return None };
    let numbers =
        |field: &str| field.split(',').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let zone = cron.timezone.as_deref().unwrap_or("UTC");
    let mut made = json!({"frequency": "Day", "interval": 1, "startTime": "2000-01-03T00:00:00",
        "timeZone": zones::windows(zone).unwrap_or(zone)});
    let every = |field: &str| field.strip_prefix("*/").and_then(|text| text.parse::<u32>().ok());
    if *day == "*" && *weekday == "*" {
        if let (Some(step), "*") = (every(minute).filter(|step| 60 % step == 0), *hour) {
            made["frequency"] = json!("Minute");
            made["interval"] = json!(step);
            return Some(made);
        }
        let step = if *hour == "*" { Some(1) } else { every(hour).filter(|step| 24 % step == 0) };
        if let Some(step) = step {
            made["frequency"] = json!("Hour");
            made["interval"] = json!(step);
            made["schedule"] = json!({"minutes": numbers(minute)?});
            return Some(made);
        }
    }
    made["schedule"] = json!({"minutes": numbers(minute)?, "hours": numbers(hour)?});
    match (*day, *weekday) {
        ("*", "*") => {}
        ("*", days) => {
            made["frequency"] = json!("Week");
            made["schedule"]["weekDays"] = json!(weekdays(days)?);
        }
        (days, "*") => {
            let last = days == "L";
            made["frequency"] = json!("Month");
            made["schedule"]["monthDays"] = if last { json!([-1]) } else { json!(numbers(days)?) };
        }
        _ => return None,
    }
    Some(made)
}

fn weekdays(days: &str) -> Option<Vec<&'static str>> {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let at = |day: &str| {
        let by_name = |name: &str| name.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(day));
        let by_number = || day.parse::<usize>().ok().map(|number| number % 7);
        DAYS.iter().position(|name| by_name(name)).or_else(by_number)
    };
    let mut found = Vec::new();
    for part in days.split(',') {
        match part.split_once('-') {
            Some((from, to)) => found.extend_from_slice(DAYS.get(at(from)?..=at(to)?)?),
            None => found.push(*DAYS.get(at(part)?)?),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use millrace_spec::load;

    use super::*;

    #[test]
    fn what_event_grid_cannot_be_told_is_said_and_not_dropped() {
        let refused = |more: &str| {
            let hook = "{webhook: cloudevents, secret: key, events: [Microsoft.Storage.BlobCreated]";
            let text = format!("triggers: {{t: {hook}{more}}}}}\nsteps:\n  a: {{set: {{n: 1}}}}\n");
            let pipeline = load::pipeline("pipelines/p.yaml", &text, &["set"]).unwrap().pipeline;
            trigger(&pipeline, "t", &pipeline.triggers["t"], false).err().unwrap_or_default()
        };
        assert_eq!(refused(""), "");
        for more in ["debounce: 1s", "batch: {size: 2}", "order_by: event.id", "expected_every: 1d"] {
            let key = more.split(':').next().unwrap();
            assert_eq!(refused(&format!(", {more}")), format!("has `{key}`, which has no counterpart"));
        }
    }
}
