//! `meta.yaml` as every reader of YAML understands it: a line a field, texts in double quotes.

use serde_json::Value;

/// Fields with their values; a list or a mapping stands on its line.
pub(super) fn write(fields: &[(&str, Value)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {}\n", inline(value))).collect()
}

/// The fields of a JSON object.
pub(super) fn write_object(object: &Value) -> String {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, value)| format!("{name}: {}\n", inline(value))).collect()
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{}: {}", quoted(name), inline(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Escapes quotes, control characters, and what some readers take for the end of a line.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for sign in text.chars() {
        match sign {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(sign)));
            }
            sign => quoted.push(sign),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_is_read_as_it_was() {
        let texts = [
            "",
            "a: b # c",
            "\"\\\n\t\r",
            "1e3",
            "yes",
            "é漢\u{1f600}",
            "\u{85}\u{2028}\u{7f}\u{0}",
            "- x",
            "'",
        ];
        for text in texts {
            let written = write(&[("a", json!(text)), ("b", json!({"k: y": [text, 1, null]}))]);
            let read = millrace_spec::yaml::parse("meta.yaml", &written).unwrap().to_json();
            assert_eq!(read, json!({"a": text, "b": {"k: y": [text, 1, null]}}), "{written}");
        }
    }
}
