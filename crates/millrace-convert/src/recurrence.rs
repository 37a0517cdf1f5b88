//! Recurrences of Azure, which Data Factory and Azure ML write alike but for the case of their keys, as triggers here and back.

use millrace_spec::triggers::{Boundary, Recurrence, Weekday};
use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Map as Fields, Value, json};

use crate::report::Report;
use crate::yaml_out::Map;
use crate::zones;

/// A field by either spelling: `startTime`, `start_time`.
fn field<'n>(node: &'n Node, camel: &str) -> Option<&'n Node> {
    node.get(camel).or_else(|| node.get(&snake(camel)))
}

fn snake(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The values of a field that is a list or a single value.
fn values(node: Option<&Node>) -> Vec<Value> {
    match node.map(Node::to_json) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
    }
}

fn numbers(node: Option<&Node>) -> Vec<i64> {
    values(node).iter().filter_map(Value::as_i64).collect()
}

/// `Monday` as `mon`.
fn day(name: &str) -> Option<&'static str> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let short = name.get(..3)?.to_ascii_lowercase();
    DAYS.into_iter().find(|day| *day == short)
}

/// A trigger of a recurrence: `frequency`, `interval`, `startTime`, `endTime`, `timeZone`, `schedule`. `name` is the trigger's, for messages.
pub(crate) fn trigger(name: &str, node: &Node, report: &mut Report, comments: &mut Map) -> Option<Map> {
    let interval =
        field(node, "interval").map(Node::to_json).and_then(|value| value.as_u64()).unwrap_or(1).max(1);
    let frequency = field(node, "frequency").and_then(Node::as_text).unwrap_or_default().to_ascii_lowercase();
    let schedule = field(node, "schedule");
    let of_schedule = |key: &str| schedule.and_then(|schedule| field(schedule, key));
    let (hours, minutes) = (numbers(of_schedule("hours")), numbers(of_schedule("minutes")));
    let start = field(node, "startTime").and_then(Node::as_text);
    let mut made = Map::default();
    let unit = match frequency.as_str() {
        "minute" => "m",
        "hour" if !minutes.is_empty() => return hourly(interval, &minutes, node, report),
        "hour" => "h",
        "day" => "d",
        "week" => "w",
        "month" => "mo",
        other => {
            let message = format!("the trigger `{name}` recurs every `{other}`, which is not known here");
            report.gap(&node.place, comments, &message, Some("write `every:` or `cron:` yourself"));
            return None;
        }
    };
    made.put("every", format!("{interval}{unit}"));
    let is_civil = matches!(unit, "d" | "w" | "mo");
    if is_civil && !(hours.is_empty() && minutes.is_empty()) {
        // What the schedule leaves out is that of the start time.
        let part = |from: usize| start.and_then(|text| text.get(from..from + 2)?.parse().ok()).unwrap_or(0);
        let hours = if hours.is_empty() { vec![part(11)] } else { hours };
        let minutes = if minutes.is_empty() { vec![part(14)] } else { minutes };
        let at =
            |hour: &i64| minutes.iter().map(|minute| format!("{hour:02}:{minute:02}")).collect::<Vec<_>>();
        made.put("at", json!(hours.iter().flat_map(at).collect::<Vec<_>>()));
    } else if is_civil && start.is_none() {
        made.put("at", json!(["00:00"]));
    }
    let days: Vec<&str> =
        values(of_schedule("weekDays")).iter().filter_map(|name| day(name.as_str()?)).collect();
    if !days.is_empty() {
        made.put("weekdays", json!(days));
    }
    let month_days = numbers(of_schedule("monthDays"));
    if !month_days.is_empty() {
        made.put("month_days", json!(month_days));
    }
    if let Some(NodeValue::List(items)) = of_schedule("monthlyOccurrences").map(|node| &node.value) {
        let nth = items.iter().filter_map(|item| {
            let count = item.get("occurrence").map(Node::to_json)?.as_i64()?;
            let mut one = Fields::new();
            one.insert(day(item.get("day")?.as_text()?)?.to_owned(), count.into());
            Some(Value::Object(one))
        });
        made.put("nth", Value::Array(nth.collect()));
    }
    bounds(node, &mut made);
    zone(node, report, &mut made);
    if let Some(schedule) = schedule {
        let read =
            ["hours", "minutes", "weekDays", "week_days", "monthDays", "month_days", "monthlyOccurrences"];
        report.others(schedule, &read, &format!("the schedule of `{name}`"), &mut made);
    }
    Some(made)
}

/// Minutes of every so many hours: what a cron expression says.
fn hourly(interval: u64, minutes: &[i64], node: &Node, report: &mut Report) -> Option<Map> {
    let minutes = minutes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let hours = if interval == 1 { "*".to_owned() } else { format!("*/{interval}") };
    let mut made = Map::default();
    made.put("cron", format!("{minutes} {hours} * * *"));
    zone(node, report, &mut made);
    if 24 % interval != 0 {
        let message = "hours are counted from midnight, there from the start time";
        report.changed(&node.place, &mut made, message, Some("write several triggers with `every:`"));
    }
    for (key, what) in [("startTime", "begins"), ("endTime", "ends")] {
        if let Some(node) = field(node, key) {
            report.changed(
                &node.place,
                &mut made,
                &format!("the trigger {what} at a time; a cron expression has none"),
                None,
            );
        }
    }
    Some(made)
}

/// `from` and `until`.
fn bounds(node: &Node, made: &mut Map) {
    for (theirs, ours) in [("startTime", "from"), ("endTime", "until")] {
        if let Some(text) = field(node, theirs).and_then(Node::as_text).filter(|text| !text.is_empty()) {
            made.put(ours, boundary(text));
        }
    }
}

/// An instant as a boundary here: fractions of a second, which the portal writes, say nothing.
pub(crate) fn boundary(text: &str) -> String {
    let (time, zone) = match text.strip_suffix('Z') {
        Some(time) => (time, "Z"),
        None => (text, ""),
    };
    let time = time.split_once('.').map_or(time, |(whole, fraction)| {
        if fraction.chars().all(|digit| digit == '0') { whole } else { time }
    });
    format!("{}{zone}", time.replace(' ', "T"))
}

/// `timezone`; a zone that is not known is said.
pub(crate) fn zone(node: &Node, report: &mut Report, made: &mut Map) {
    let named = field(node, "timeZone");
    let text = named.and_then(Node::as_text).unwrap_or("UTC");
    match zones::iana(text) {
        Some(zone) => made.put("timezone", zone),
        None => {
            made.put("timezone", "UTC");
            let message = format!("the time zone `{text}` is not known here; this one is UTC");
            let place = &named.unwrap_or(node).place;
            report.changed(
                place,
                made,
                &message,
                Some("name it as the IANA does: `timezone: Europe/Berlin`"),
            );
        }
    }
}

/// A boundary as Azure writes it: never a date alone.
pub(crate) fn time(boundary: Boundary) -> String {
    let text = String::from(boundary);
    if text.contains('T') { text } else { format!("{text}T00:00:00") }
}

/// A recurrence as Azure writes it, in Data Factory's spelling. `None` if its period is none of theirs.
pub(crate) fn theirs(recurrence: &Recurrence) -> Option<Value> {
    let written = recurrence.every.to_string();
    let digits: String = written.chars().take_while(char::is_ascii_digit).collect();
    let frequency = match written.get(digits.len()..)? {
        "m" => "Minute",
        "h" => "Hour",
        "d" => "Day",
        "w" => "Week",
        "mo" => "Month",
        _ => return None,
    };
    let zone = recurrence.timezone.as_deref().unwrap_or("UTC");
    let from = recurrence.from.clone().map_or_else(|| "2000-01-03T00:00:00".to_owned(), time);
    let mut made = json!({"frequency": frequency, "interval": digits.parse::<u64>().ok()?, "startTime": from,
        "timeZone": zones::windows(zone).unwrap_or(zone)});
    if let Some(until) = recurrence.until.clone() {
        made["endTime"] = time(until).into();
    }
    let mut schedule = Fields::new();
    if !recurrence.at.is_empty() {
        let times = recurrence.at.iter().map(|time| (i64::from(time.0.hour()), i64::from(time.0.minute())));
        let times: Vec<(i64, i64)> = times.collect();
        let (mut hours, mut minutes): (Vec<i64>, Vec<i64>) = times.iter().copied().unzip();
        hours.sort_unstable();
        hours.dedup();
        minutes.sort_unstable();
        minutes.dedup();
        // Theirs are all minutes of all hours.
        if hours.len() * minutes.len() != times.len() || recurrence.at.iter().any(|time| time.0.second() != 0)
        {
            return None;
        }
        schedule.insert("minutes".to_owned(), json!(minutes));
        schedule.insert("hours".to_owned(), json!(hours));
    }
    if !recurrence.weekdays.is_empty() {
        schedule.insert("weekDays".to_owned(), recurrence.weekdays.iter().map(|day| long(*day)).collect());
    }
    if !recurrence.month_days.is_empty() {
        schedule.insert("monthDays".to_owned(), json!(recurrence.month_days));
    }
    if !recurrence.nth.is_empty() {
        let occurrences = recurrence.nth.iter().flatten();
        let occurrences = occurrences.map(|(day, count)| json!({"day": long(*day), "occurrence": count}));
        schedule.insert("monthlyOccurrences".to_owned(), occurrences.collect());
    }
    if !schedule.is_empty() {
        made["schedule"] = Value::Object(schedule);
    }
    Some(made)
}

fn long(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

/// The same in the spelling of Azure ML: `start_time`, `week_days`.
pub(crate) fn in_snake_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (snake(&key), in_snake_case(value))).collect()
        }
        other => other,
    }
}
