//! The inputs of a run: defaults, types, allowed values.

use indexmap::IndexMap;
use millrace_spec::duration::parse_ms;
use millrace_spec::pipeline::{InputSpec, Pipeline};
use millrace_spec::problem::Problem;
use serde_json::Value;

/// Merges what the caller gave with the defaults and checks types.
///
/// Text is taken for numbers and booleans where the input is one, since the command line and web forms give text.
///
/// # Errors
/// The first unknown, missing or ill-typed input.
pub(crate) fn resolve(
    pipeline: &Pipeline,
    given: &IndexMap<String, Value>,
) -> Result<IndexMap<String, Value>, Problem> {
    if let Some(unknown) = given.keys().find(|name| !pipeline.inputs.contains_key(*name)) {
        let known: Vec<&str> = pipeline.inputs.keys().map(String::as_str).collect();
        let problem =
            Problem::error("unknown-input", format!("`{}` has no input `{unknown}`", pipeline.name));
        return Err(match known.is_empty() {
            true => problem.hint("it has no inputs"),
            false => problem.hint(format!("its inputs are {}", known.join(", "))),
        });
    }
    let mut values = IndexMap::new();
    for (name, spec) in &pipeline.inputs {
        let Some(value) = given.get(name).cloned().or_else(|| spec.default.clone()) else {
            return Err(Problem::error("missing-input", format!("the input `{name}` has no value"))
                .hint(format!("give one: `-i {name}=…`")));
        };
        let value = coerce(&spec.type_name, value).map_err(|found| {
            let message = format!("the input `{name}` is {}, not {found}", spec.type_name);
            let problem = Problem::error("input-type", message);
            match example(&spec.type_name) {
                Some(example) => problem.hint(format!("write it as `{example}`")),
                None => problem,
            }
        })?;
        check_allowed(name, spec, &value)?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

fn check_allowed(name: &str, spec: &InputSpec, value: &Value) -> Result<(), Problem> {
    let Some(allowed) = &spec.allowed else { return Ok(()) };
    if allowed.contains(value) {
        return Ok(());
    }
    let list: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    Err(Problem::error("input-not-allowed", format!("the input `{name}` may not be {value}"))
        .hint(format!("allowed are {}", list.join(", "))))
}

pub(crate) fn coerce(type_name: &str, value: Value) -> Result<Value, String> {
    let found = value.to_string();
    match (type_name, &value) {
        ("integer", Value::Number(n)) if n.is_i64() || n.is_u64() => Ok(value),
        ("integer", Value::String(text)) => text.parse::<i64>().map(Value::from).map_err(|_| found),
        ("number", Value::Number(_)) => Ok(value),
        ("number", Value::String(text)) => text.parse::<f64>().map(Value::from).map_err(|_| found),
        ("boolean", Value::Bool(_)) => Ok(value),
        ("boolean", Value::String(text)) => match text.as_str() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(found),
        },
        ("integer" | "number" | "boolean", _) => Err(found),
        ("string", Value::String(_)) => Ok(value),
        ("date", Value::String(text)) if text.parse::<jiff::civil::Date>().is_ok() => Ok(value),
        ("datetime", Value::String(text)) if is_datetime(text) => Ok(value),
        ("duration", Value::String(text)) if parse_ms(text).is_some() => Ok(value),
        ("string" | "date" | "datetime" | "duration", _) => Err(found),
        _ => Ok(value),
    }
}

/// An instant with its offset or zone, or a time of the workspace's zone.
fn is_datetime(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
        || text.parse::<jiff::Zoned>().is_ok()
        || text.parse::<jiff::civil::DateTime>().is_ok()
}

/// How a value of a type is written, where that is not plain.
fn example(type_name: &str) -> Option<&'static str> {
    match type_name {
        "date" => Some("2026-03-01"),
        "datetime" => Some("2026-03-01T06:00:00Z"),
        "duration" => Some("1h30m"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_command_line_becomes_what_the_input_is() {
        assert_eq!(coerce("integer", "7".into()), Ok(7.into()));
        assert_eq!(coerce("number", "0.5".into()), Ok(0.5.into()));
        assert_eq!(coerce("boolean", "true".into()), Ok(true.into()));
        assert_eq!(coerce("integer", "seven".into()), Err("\"seven\"".to_owned()));
        assert_eq!(coerce("string", 7.into()), Err("7".to_owned()));
    }

    #[test]
    fn a_date_is_one() {
        for (type_name, text) in [
            ("date", "2026-02-28"),
            ("datetime", "2026-02-28T06:00:00+01:00"),
            ("datetime", "2026-02-28T06:00"),
            ("duration", "90s"),
        ] {
            assert_eq!(coerce(type_name, text.into()), Ok(text.into()));
        }
        for (type_name, text) in
            [("date", "2026-02-29"), ("date", "tomorrow"), ("datetime", "6 am"), ("duration", "90")]
        {
            assert!(coerce(type_name, text.into()).is_err(), "{type_name} {text}");
        }
    }
}
