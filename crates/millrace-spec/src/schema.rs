//! JSON Schema of a pipeline file, put together from its own shape and the schemas of the step kinds; editors complete and check by it.

use serde_json::{Map, Value, json};

use crate::triggers;

/// The schema (draft 2020-12). `kinds`: the word and the schema of what stands under it.
pub fn pipeline<'a>(kinds: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    let mut step_properties = step_properties();
    for (word, schema) in kinds {
        definitions.extend(self::definitions(&format!("kind_{word}"), schema));
        step_properties.insert(word.to_owned(), json!({"$ref": format!("#/$defs/kind_{word}")}));
        choices.push(json!({"required": [word]}));
    }
    let name = json!({"pattern": "^[a-z][a-z0-9_]*$", "maxLength": 64});
    definitions
        .insert("duration".to_owned(), json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}));
    definitions.insert(
        "step".to_owned(),
        json!({"type": "object", "properties": step_properties, "additionalProperties": false, "oneOf": choices}),
    );
    definitions.insert(
        "steps".to_owned(),
        json!({"type": "object", "propertyNames": name, "additionalProperties": {"$ref": "#/$defs/step"}}),
    );
    let triggers = triggers::schema(&mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Millrace pipeline",
        "type": "object",
        "required": ["steps"],
        "additionalProperties": false,
        "properties": {
            "pipeline": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "Name of the pipeline; the file's name if absent."},
            "description": {"type": "string", "description": "One sentence for listings."},
            "inputs": {"type": "object", "description": "Inputs: a literal is a typed default, `{type, default, enum, description}` says more."},
            "defaults": {"type": "object", "description": "Defaults of every step.", "additionalProperties": false, "properties": {
                "environment": {"type": "string"}, "retry": true, "timeout": {"$ref": "#/$defs/duration"}}},
            "concurrency": {"description": "Runs at once, or `{key, limit}`."},
            "triggers": triggers,
            "steps": {"$ref": "#/$defs/steps"},
            "finally": {"$ref": "#/$defs/steps"},
        },
        "$defs": definitions,
    })
}

/// A kind's schema as a definition of the name, with its own definitions, which move to the root under names of their own.
pub(crate) fn definitions(name: &str, mut schema: Value) -> Map<String, Value> {
    let mut definitions = Map::new();
    let own = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("$defs")
    });
    if let Some(Value::Object(own)) = own {
        let prefix = format!("{name}_");
        for (inner, definition) in own {
            definitions.insert(format!("{prefix}{inner}"), with_prefix(definition, &prefix));
        }
        schema = with_prefix(schema, &prefix);
    }
    definitions.insert(name.to_owned(), schema);
    definitions
}

fn step_properties() -> Map<String, Value> {
    let properties = json!({
        "needs": {"description": "Steps that must be over first, beside those that expressions name.", "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "if": {"description": "Expression; the step is skipped if it is false.", "type": ["string", "boolean"]},
        "inputs": {"type": "object", "description": "Values and assets by name."},
        "outputs": {"type": "object", "description": "Declared outputs: name to type.", "additionalProperties": {"type": "string"}},
        "retry": {"description": "Further attempts, or `{max, delay, backoff}`.", "anyOf": [{"type": "integer", "minimum": 0}, {"type": "object"}]},
        "timeout": {"$ref": "#/$defs/duration"},
        "cache": {"description": "false, or `{ttl: 7d}`.", "type": ["boolean", "object"]},
        "environment": {"type": "string", "description": "Lock file of the Python packages."},
        "env": {"type": "object", "description": "Variables of a command."},
        "pool": {"type": "object", "description": "Slots of named pools.", "additionalProperties": {"type": "integer", "minimum": 1}},
        "description": {"type": "string"},
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

fn with_prefix(schema: Value, prefix: &str) -> Value {
    match schema {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match (name.as_str(), &value) {
                ("$ref", Value::String(target)) => {
                    let moved = target.replace("#/$defs/", &format!("#/$defs/{prefix}"));
                    (name, Value::String(moved))
                }
                _ => (name, with_prefix(value, prefix)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(|item| with_prefix(item, prefix)).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::violations;

    #[test]
    fn the_schema_takes_a_sound_file_and_refuses_a_step_of_two_kinds() {
        let copy = json!({"type": "object", "properties": {"format": {"$ref": "#/$defs/Format"}}, "$defs": {"Format": {"enum": ["csv"]}}});
        let schema = pipeline([("copy", copy), ("run", json!({"type": "string"}))].into_iter());
        let steps = |step: Value| json!({"steps": {"a": step}});
        assert_eq!(violations(&schema, &steps(json!({"copy": {"format": "csv"}, "timeout": "5m"}))), []);
        assert_eq!(violations(&schema, &steps(json!({"copy": {"format": "cvs"}}))).len(), 1);
        assert!(!violations(&schema, &json!({"stepz": {}})).is_empty());
    }
}
