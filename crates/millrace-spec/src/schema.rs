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
    definitions.insert("retry".to_owned(), retry());
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
                "environment": {"type": "string"}, "retry": {"$ref": "#/$defs/retry"}, "timeout": {"$ref": "#/$defs/duration"}}},
            "include": {"description": "Files with `defaults`, `steps` and `finally` to share.", "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "outputs": {"type": "object", "description": "What a run leaves for the pipeline that started it: name to value."},
            "concurrency": {"description": "Runs at once, or `{key, limit, on_limit}`.", "anyOf": [{"type": "integer", "minimum": 1}, {
                "type": "object", "additionalProperties": false, "properties": {
                    "key": {"type": "string", "description": "Expression over `inputs`; each value has a limit of its own."},
                    "limit": {"type": "integer", "minimum": 1},
                    "on_limit": {"enum": ["queue", "cancel_running", "skip"], "description": "What becomes of one more run: it waits, it takes the place of the oldest, or it does not run."}}}]},
            "priority": {"type": "integer", "minimum": -1000, "maximum": 1000, "description": "Among steps that wait for room, those of a higher priority begin first; 0 if absent."},
            "deadline": deadline(),
            "notify": notices(),
            "triggers": triggers,
            "steps": {"$ref": "#/$defs/steps"},
            "finally": {"$ref": "#/$defs/steps"},
        },
        "$defs": definitions,
    })
}

fn deadline() -> Value {
    json!({"description": "By when a run is to be over: a duration from its creation, or one of `within` and `by` with what happens then.", "anyOf": [{"$ref": "#/$defs/duration"}, {
        "type": "object", "oneOf": [{"required": ["within"]}, {"required": ["by"]}], "additionalProperties": false, "properties": {
            "within": {"$ref": "#/$defs/duration"},
            "by": {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$", "examples": ["06:00"], "description": "Time of day: the first one after the run was due, in quotes."},
            "timezone": {"type": "string", "description": "Zone of `by`; the workspace's if absent."},
            "notify": channels("Channels that are told, once, when the deadline has passed and the run goes on."),
            "cancel": {"type": "boolean", "description": "Cancel a run that is late."}}}]})
}

fn notices() -> Value {
    json!({"description": "Who is told when a run is over: channels for failures, or channels for each way to end.", "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {
        "type": "object", "additionalProperties": false, "properties": {
            "on_failure": channels("Channels that are told when a run failed."),
            "on_success": channels("Channels that are told when a run succeeded."),
            "on_cancel": channels("Channels that are told when a run was cancelled."),
            "message": {"type": "string", "description": "What they are told; what failed and why, if absent. May name `run`, `inputs` and `steps`."}}}]})
}

fn channels(description: &str) -> Value {
    json!({"description": description, "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

fn retry() -> Value {
    json!({"description": "Further attempts, or how and after which failures.", "anyOf": [{"type": "integer", "minimum": 0}, {
        "type": "object", "additionalProperties": false, "properties": {
            "max": {"type": "integer", "minimum": 0, "description": "Further attempts."},
            "delay": {"$ref": "#/$defs/duration"},
            "backoff": {"type": "number", "minimum": 1, "maximum": 100, "description": "Each wait is the one before times this; 2 if absent."},
            "max_delay": {"$ref": "#/$defs/duration"},
            "jitter": {"type": "number", "minimum": 0, "maximum": 1, "description": "Share of a wait by which it is made longer or shorter."},
            "errors": {"description": "Only after these: `transient`, `timeout`, `exit:137`, or the code of a problem.", "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "if": {"type": "string", "description": "Expression over `error.code`, `error.message`, `error.exit_code`, `error.transient` and `attempt`."}}}]})
}

/// A kind's schema as a definition of the name, with its own definitions, which move to the root under names of their own.
pub fn definitions(name: &str, mut schema: Value) -> Map<String, Value> {
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
        "retry": {"$ref": "#/$defs/retry"},
        "foreach": {"description": "A list, or an expression that gives one: the step is done for each, as `item` and `index`.", "type": ["array", "string"]},
        "matrix": {"description": "The step is done for each combination of these lists, as `matrix.<axis>`; `exclude` leaves combinations out, `include` adds values or combinations.", "type": "object"},
        "sweep": sweep(),
        "parallel": {"description": "Items at once.", "type": "integer", "minimum": 1},
        "fail_fast": {"description": "Stop the items that run at the first failure that is not tolerated.", "type": "boolean"},
        "max_failures": {"description": "Items that may fail without the step failing. Without it every item is tried.", "type": "integer", "minimum": 0},
        "timeout": {"$ref": "#/$defs/duration"},
        "cache": {"description": "false, or `{ttl: 7d}`.", "type": ["boolean", "object"]},
        "environment": {"type": "string", "description": "Lock file of the Python packages."},
        "env": {"type": "object", "description": "Variables of a command."},
        "pool": {"type": "object", "description": "Slots of named pools.", "additionalProperties": {"type": "integer", "minimum": 1}},
        "description": {"type": "string"},
        "message": {"description": "What `notify: CHANNEL` says."},
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

fn sweep() -> Value {
    let range = |description: &str| json!({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2, "description": description});
    json!({"description": "The step is done for points of a search space, as `item.<parameter>`; `steps.<id>.best` is the best of them.",
        "type": "object", "required": ["search", "objective"], "additionalProperties": false, "properties": {
        "search": {"type": "object", "description": "Values of each parameter: a list, or a range.", "additionalProperties": {"anyOf": [
            {"type": "array"}, {"type": "string"}, {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": {
                "choice": {"description": "One of a list.", "anyOf": [{"type": "array"}, {"type": "string"}]},
                "uniform": range("A number between the two."),
                "loguniform": range("A number between the two positive ones; their logarithms are as likely everywhere."),
                "randint": range("A whole number, from the first to below the second.")}}]}},
        "objective": {"type": "string", "pattern": "^(maximize|minimize) +[^ ]+$", "examples": ["maximize auc"], "description": "What is best: a number that each trial leaves as an output or logs as a metric."},
        "trials": {"type": "integer", "minimum": 1, "description": "Points that are tried; all of a grid if absent."},
        "parallel": {"type": "integer", "minimum": 1, "description": "Trials at once."},
        "sampling": {"enum": ["grid", "random"], "description": "Every combination of lists, or points at random; a grid if there are only lists and no `trials`."},
        "seed": {"type": "integer", "minimum": 0, "description": "Another number searches elsewhere; 0 if absent."},
        "stop": early_stop()}})
}

fn early_stop() -> Value {
    let rule = |description: &str, own: Value| {
        let mut properties = json!({
            "after": {"type": "integer", "minimum": 0, "default": 5, "description": "Values that each trial may log first."},
            "every": {"type": "integer", "minimum": 1, "default": 1, "description": "Values between two looks."}});
        if let (Value::Object(all), Value::Object(own)) = (&mut properties, own) {
            all.extend(own);
        }
        json!({"type": ["object", "null"], "additionalProperties": false, "description": description, "properties": properties})
    };
    let slack =
        |description: &str| json!({"type": "number", "exclusiveMinimum": 0, "description": description});
    json!({"description": "Trials that log the objective as they go, and fall behind, end early.", "anyOf": [
        {"const": "median"},
        {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": {
            "median": rule("The trial's best value is worse than the median of the averages of the others up to there.", json!({})),
            "bandit": rule("The trial's best value is worse than the best of all up to there by more than the slack.", json!({
                "slack_factor": slack("As a share of the best."), "slack_amount": slack("As a difference.")})),
            "truncation": rule("The trial's best value is among the worst up to there.", json!({
                "percent": {"type": "integer", "minimum": 1, "maximum": 99, "description": "How many of a hundred trials end."}}))}}]})
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
