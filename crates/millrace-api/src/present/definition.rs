//! The definition that a run began with, written as its file would be.

use millrace_spec::pipeline::{CachePolicy, Pipeline, Retry};
use serde::Serialize;
use serde_json::{Map, Value};

/// A stored definition as YAML: what is left out has its default, references are edges in `needs`.
pub(crate) fn definition_text(pipeline: &Pipeline) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    if let Value::Object(mut fields) = serde_json::to_value(pipeline)? {
        if let Some(name) = fields.shift_remove("name") {
            write_field(&mut text, 0, "pipeline", &name);
        }
        fields.shift_remove("file");
        leave_out(&mut fields, "priority", &0);
        for steps in ["steps", "finally"] {
            if let Some(Value::Object(steps)) = fields.get_mut(steps) {
                steps.values_mut().for_each(|step| *step = as_written(std::mem::take(step)));
            }
        }
        fields.iter().for_each(|(name, value)| write_field(&mut text, 0, name, value));
    }
    Ok(text)
}

/// A step with its config under the word of its kind.
fn as_written(step: Value) -> Value {
    let Value::Object(mut fields) = step else { return step };
    let (kind, config) = (fields.shift_remove("kind"), fields.shift_remove("config"));
    fields.shift_remove("id");
    fields.shift_remove("place");
    leave_out(&mut fields, "retry", &Retry::default());
    leave_out(&mut fields, "cache", &CachePolicy::default());
    let mut written = Map::new();
    if let (Some(Value::String(kind)), Some(config)) = (kind, config) {
        written.insert(kind, config);
    }
    written.extend(fields);
    Value::Object(written)
}

/// Leaves out of a field what has its default.
fn leave_out(fields: &mut Map<String, Value>, name: &str, default: &impl Serialize) {
    let default = serde_json::to_value(default).unwrap_or_default();
    match fields.get_mut(name) {
        Some(value) if *value == default => {
            fields.shift_remove(name);
        }
        Some(Value::Object(value)) => value.retain(|part, given| default.get(part) != Some(given)),
        _ => {}
    }
}

/// Whether a field says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

fn write_field(text: &mut String, depth: usize, name: &str, value: &Value) {
    if is_empty(value) {
        return;
    }
    text.push_str(&format!("{}{}:", "  ".repeat(depth), scalar(name)));
    match value {
        Value::Object(fields) => {
            text.push('\n');
            fields.iter().for_each(|(name, value)| write_field(text, depth + 1, name, value));
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            text.push('\n');
            for item in items {
                text.push_str(&format!("{}- {item}\n", "  ".repeat(depth + 1)));
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            text.push_str(&format!(" [{}]\n", items.join(", ")));
        }
        Value::String(lines) if is_block(lines) => {
            text.push_str(if lines.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in lines.lines() {
                text.push_str(&format!(
                    "{}{line}\n",
                    if line.is_empty() { String::new() } else { "  ".repeat(depth + 1) }
                ));
            }
        }
        other => text.push_str(&format!(" {}\n", inline(other))),
    }
}

/// Whether a text of several lines can stand as a block.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && !text.contains(['\r', '\t'])
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text as a plain scalar, or quoted as JSON where YAML would read something else.
fn scalar(text: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || " _-./@+()$<>='".contains(sign);
    let begins = text.chars().next().is_some_and(|sign| sign.is_ascii_alphabetic() || "_./$".contains(sign));
    let word = !matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if begins && word && !text.ends_with(' ') && text.chars().all(plain) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_reads_as_a_file() {
        let place = json!({"file": "pipelines/p.yaml", "line": 1, "column": 1, "length": 1});
        let step = |kind: &str, config: Value, needs: &[&str]| json!({"id": "s", "kind": kind, "config": config, "needs": needs, "place": place});
        let mut copy = step("copy", json!({"from": "crm:public.orders", "keys": ["a", "b c"]}), &[]);
        copy["inputs"] = json!({"rows": "${{ inputs.days }}"});
        let mut say = step("run", "echo a\necho b\n".into(), &["orders"]);
        say["retry"] = json!({"max": 2, "delay_ms": 1_000, "backoff": 2.0});
        let pipeline = json!({
            "name": "daily", "file": "pipelines/p.yaml", "inputs": {"days": {"type": "integer", "default": 3}},
            "steps": {"orders": copy, "say": say},
        });
        let pipeline: Pipeline = serde_json::from_value(pipeline).unwrap();
        insta::assert_snapshot!(definition_text(&pipeline).unwrap(), @r#"
        pipeline: daily
        inputs:
          days:
            type: integer
            default: 3
        steps:
          orders:
            copy:
              from: "crm:public.orders"
              keys: [a, b c]
            inputs:
              rows: "${{ inputs.days }}"
          say:
            run: |
              echo a
              echo b
            needs: [orders]
            retry:
              max: 2
        "#);
    }

    #[test]
    fn texts_that_yaml_would_read_as_something_else_are_quoted() {
        let written = ["plain words", "1.10", "no", "a: b", "", " x", "# x", "22:30", "é"].map(scalar);
        assert_eq!(
            written,
            [
                "plain words",
                "\"1.10\"",
                "\"no\"",
                "\"a: b\"",
                "\"\"",
                "\" x\"",
                "\"# x\"",
                "\"22:30\"",
                "\"é\""
            ]
        );
    }
}
