//! Checks a value against a JSON Schema: the part of draft 2020-12 that `schemars` writes for our kinds.
//!
//! A string with `${{` fits every type, since its value is known only when the step runs.

use regex::Regex;
use serde_json::Value;

use crate::problem::Place;
use crate::suggest::nearest;
use crate::yaml::Node;

/// A value that the schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to the value.
    pub pointer: String,
    /// The key that is wrong, if it is the key and not its value.
    pub key: Option<String>,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Ways out.
    pub hints: Vec<String>,
}

impl Violation {
    /// Where it stands in the tree that the value was read from.
    pub fn place_in(&self, node: &Node) -> Place {
        let node = node.nearest(&self.pointer);
        let key = self.key.as_ref().and_then(|name| node.as_map()?.iter().find(|(key, _)| key.name == *name));
        key.map_or_else(|| node.place.clone(), |(key, _)| key.place.clone())
    }
}

/// Everything in `value` that `schema` does not allow.
pub fn violations(schema: &Value, value: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    Validator { root: schema }.check(schema, value, "", &mut found);
    found
}

struct Validator<'a> {
    root: &'a Value,
}

impl<'a> Validator<'a> {
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..16 {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { break };
            match reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn check(&self, schema: &'a Value, value: &Value, pointer: &str, found: &mut Vec<Violation>) {
        if value.as_str().is_some_and(|text| text.contains("${{")) {
            return;
        }
        let schema = self.resolve(schema);
        if schema == &Value::Bool(false) {
            found.push(violation(pointer, "not-allowed", "nothing may stand here".to_owned()));
            return;
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(word).and_then(Value::as_array) {
                self.check_choices(choices, value, pointer, found);
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check(part, value, pointer, found);
        }
        if let Some(message) = type_mismatch(schema, value) {
            found.push(violation(pointer, "wrong-type", message));
            return;
        }
        check_value(schema, value, pointer, found);
        match value {
            Value::Object(fields) => self.check_object(schema, fields, pointer, found),
            Value::Array(items) => {
                if let Some(item_schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.check(item_schema, item, &format!("{pointer}/{index}"), found);
                    }
                }
            }
            _ => {}
        }
    }

    /// The value must fit one of the choices; otherwise the choice it comes closest to explains itself.
    fn check_choices(&self, choices: &'a [Value], value: &Value, pointer: &str, found: &mut Vec<Violation>) {
        // An enum whose words are documented comes as a choice of constants.
        let words: Option<Vec<&Value>> = choices.iter().map(|choice| choice.get("const")).collect();
        if let Some(words) = words
            && value.is_string()
        {
            check_value(&serde_json::json!({"enum": words}), value, pointer, found);
            return;
        }
        let mut nearest_choice: Option<(bool, bool, Vec<Violation>)> = None;
        for choice in choices {
            let mut problems = Vec::new();
            self.check(choice, value, pointer, &mut problems);
            if problems.is_empty() {
                return;
            }
            // A wrong type at this very place means that another choice was meant, and so do keys of which it has none.
            let wrong_type = problems.iter().any(|p| p.pointer == pointer && p.code == "wrong-type");
            let stranger = has_none_of_the_required(self.resolve(choice), value);
            let nearer = nearest_choice.as_ref().is_none_or(|(best_stranger, best_type, best)| {
                (stranger, wrong_type, problems.len()) < (*best_stranger, *best_type, best.len())
            });
            if nearer {
                nearest_choice = Some((stranger, wrong_type, problems));
            }
        }
        let all_types = choices.iter().all(|choice| type_mismatch(self.resolve(choice), value).is_some());
        if all_types {
            let mut words: Vec<String> = Vec::new();
            for word in choices.iter().filter_map(|choice| type_words(self.resolve(choice))) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            let message = format!("expected {}, found {}", words.join(" or "), found_word(value));
            let allowed: Option<Vec<&str>> =
                choices.iter().map(|choice| choice.get("const").and_then(Value::as_str)).collect();
            let hints = allowed.map(|allowed| format!("allowed are {}", allowed.join(", ")));
            found.push(Violation {
                hints: hints.into_iter().collect(),
                ..violation(pointer, "wrong-type", message)
            });
        } else {
            found.extend(nearest_choice.map(|(.., problems)| problems).unwrap_or_default());
        }
    }

    fn check_object(
        &self,
        schema: &'a Value,
        fields: &serde_json::Map<String, Value>,
        pointer: &str,
        found: &mut Vec<Violation>,
    ) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> = properties.map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default();
        for (name, value) in fields {
            let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.check(property, value, &below, found),
                None => match schema.get("additionalProperties") {
                    Some(Value::Bool(false)) => found.push(unknown_key(pointer, name, &known)),
                    Some(other) => self.check(other, value, &below, found),
                    None => {}
                },
            }
        }
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                found.push(violation(pointer, "missing-key", format!("the key `{name}` is missing")));
            }
        }
    }
}

/// Whether a choice wants keys and a mapping has not one of them.
fn has_none_of_the_required(choice: &Value, value: &Value) -> bool {
    let required = choice.get("required").and_then(Value::as_array);
    let (Some(fields), Some(required)) = (value.as_object(), required) else { return false };
    !required.is_empty() && !required.iter().filter_map(Value::as_str).any(|name| fields.contains_key(name))
}

fn violation(pointer: &str, code: &'static str, message: String) -> Violation {
    Violation { pointer: pointer.to_owned(), key: None, code, message, hints: Vec::new() }
}

fn unknown_key(pointer: &str, name: &str, known: &[&str]) -> Violation {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its keys are {}", known.join(", ")),
    };
    Violation {
        key: Some(name.to_owned()),
        hints: vec![hint],
        ..violation(pointer, "unknown-key", format!("there is no key `{name}`"))
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn type_words(schema: &Value) -> Option<String> {
    let words: Vec<&str> = types(schema).into_iter().filter(|word| *word != "null").map(type_word).collect();
    (!words.is_empty()).then(|| words.join(" or "))
}

fn type_word(word: &str) -> &str {
    match word {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

fn found_word(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => format!("`{truth}`"),
        Value::Number(number) => format!("`{number}`"),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn type_mismatch(schema: &Value, value: &Value) -> Option<String> {
    let types = types(schema);
    let fits = |word: &&str| match *word {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if types.is_empty() || types.iter().any(fits) {
        return None;
    }
    Some(format!(
        "expected {}, found {}",
        type_words(schema).unwrap_or_else(|| "nothing".to_owned()),
        found_word(value)
    ))
}

/// Limits on a single value.
fn check_value(schema: &Value, value: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let allowed: Option<Vec<&Value>> = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values.iter().collect()),
        (_, Some(value)) => Some(vec![value]),
        _ => None,
    };
    if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(&value)) {
        let words: Vec<&str> = allowed.iter().filter_map(|value| value.as_str()).collect();
        let list: Vec<String> = allowed
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        let mut wrong = violation(
            pointer,
            "not-allowed",
            format!(
                "`{}` is not allowed here",
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            ),
        );
        wrong.hints.push(match value.as_str().and_then(|text| nearest(text, &words)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed are {}", list.join(", ")),
        });
        found.push(wrong);
    }
    let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
    let examples: Vec<String> = examples.filter_map(Value::as_str).map(|text| format!("`{text}`")).collect();
    // A pattern without examples is that of a name, of which others say more than that it cannot be read.
    if let (Some(pattern), Some(text)) = (schema.get("pattern").and_then(Value::as_str), value.as_str())
        && !examples.is_empty()
        && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        let mut wrong = violation(pointer, "wrong-value", format!("`{text}` cannot be read here"));
        wrong.hints.push(format!("write it as {}", examples.join(", ")));
        found.push(wrong);
    }
    let Some(number) = value.as_f64() else { return };
    for (word, too_far, sign) in [("minimum", -1.0, "at least"), ("maximum", 1.0, "at most")] {
        if let Some(limit) = schema.get(word).and_then(Value::as_f64)
            && (number - limit) * too_far > 0.0
        {
            found.push(violation(
                pointer,
                "out-of-range",
                format!("`{value}` is out of range: {sign} {limit}"),
            ));
        }
    }
}
