//! Steps as activities of Data Factory.

use millrace_spec::mapping::Over;
use millrace_spec::pipeline::{Pipeline, Step};
use serde_json::{Map as Fields, Value, json};

use super::conditions::depends_on;
use super::{expression, gap};
use crate::report::{Outcome, Report};

/// How a request begins that an import wrote.
const CURL: &str = "curl --fail-with-body --silent --show-error -X ";
/// Stands for a value while a body is read.
const MARK: &str = "\u{1}";
/// A failure that an import wrote.
const FAIL: &str = "echo \"${ERROR_CODE:+$ERROR_CODE: }$MESSAGE\" >&2; exit 1";

/// A pipeline's activities while they are made.
pub(super) struct Activities<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) report: &'a mut Report,
    /// Names of steps that have a condition: others wait for what is around them.
    pub(super) guarded: Vec<String>,
    pub(super) datasets: Vec<Value>,
    /// Whether an expression names the window, which there comes in parameters.
    pub(super) names_window: bool,
}

/// An activity's type, its `typeProperties`, and other keys of it.
type Made = (&'static str, Value, Fields<String, Value>);

impl Activities<'_> {
    pub(super) fn all(&mut self) -> Vec<Value> {
        let pipeline = self.pipeline;
        pipeline.steps.values().map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: &Step) -> Value {
        let id = step.id.as_str();
        let (kind, details, others) = match self.looped(step) {
            Ok(made) => {
                self.report.taken(
                    &step.place,
                    format!("the step `{id}` ({})", step.kind),
                    format!("the activity `{id}` ({})", made.0),
                );
                made
            }
            Err(why) => self.missing(step, &why),
        };
        let condition = self.condition(step);
        let mut activity = Fields::new();
        activity.insert("name".to_owned(), id.into());
        activity.insert("type".to_owned(), kind.into());
        let depends = depends_on(step, condition.as_ref(), &self.guarded);
        let mut outer = None;
        match condition.and_then(|condition| condition.rest) {
            None if depends.is_empty() => {}
            None => {
                activity.insert("dependsOn".to_owned(), Value::Array(depends));
            }
            Some(rest) => outer = Some((rest, depends)),
        }
        activity.extend(others);
        activity.insert("typeProperties".to_owned(), details);
        let activity = Value::Object(activity);
        let Some((rest, depends)) = outer else { return activity };
        let expression = json!({"value": format!("@{rest}"), "type": "Expression"});
        json!({"name": format!("if_{id}"), "type": "IfCondition", "dependsOn": depends,
            "typeProperties": {"expression": expression, "ifTrueActivities": [activity]}})
    }

    /// In the place of what cannot be said there stands an activity that fails.
    fn missing(&mut self, step: &Step, why: &str) -> Made {
        let message = format!("the step `{}` ({}) {why}", step.id, step.kind);
        let hint = "let the activity run the pipeline here: a Web activity to `POST /api/pipelines/NAME/runs?wait=100s`";
        gap(self.report, step, message.clone(), Some(hint));
        let details = json!({"message": format!("not converted: {message}"), "errorCode": "1"});
        ("Fail", details, Fields::new())
    }

    /// A step with its items.
    fn looped(&mut self, step: &Step) -> Result<Made, String> {
        let Some(mapping) = &step.mapping else { return self.kind(step) };
        let Over::Foreach(list) = &mapping.over else {
            return Err("has a `matrix`, which has no counterpart".to_owned());
        };
        let items = match list {
            Value::Array(items) => {
                let term = items.iter().map(|item| match item {
                    Value::String(text) if !text.contains("${{") => {
                        Some(format!("'{}'", text.replace('\'', "''")))
                    }
                    Value::Number(_) | Value::Bool(_) => Some(item.to_string()),
                    _ => None,
                });
                let term: Option<Vec<String>> = term.collect();
                term.map(|items| format!("@createArray({})", items.join(", ")))
            }
            _ => self.value(list).get("value").and_then(Value::as_str).map(str::to_owned),
        };
        let items = items.ok_or("goes over a list that cannot be said there")?;
        let (kind, details, others) = self.kind(step)?;
        let mut inner = Fields::new();
        inner.insert("name".to_owned(), format!("{}_item", step.id).into());
        inner.insert("type".to_owned(), kind.into());
        inner.extend(others);
        inner.insert("typeProperties".to_owned(), details);
        let mut made = json!({"items": {"value": items, "type": "Expression"}, "activities": [inner]});
        match mapping.parallel {
            Some(1) => made["isSequential"] = true.into(),
            Some(count) => made["batchCount"] = count.into(),
            None => {}
        }
        if mapping.fail_fast || mapping.max_failures.is_some() {
            gap(
                self.report,
                step,
                format!("`fail_fast` and `max_failures` of `{}` have no counterpart", step.id),
                None,
            );
        }
        Ok(("ForEach", made, Fields::new()))
    }

    fn kind(&mut self, step: &Step) -> Result<Made, String> {
        let text = step.config.as_str();
        match (step.kind.as_str(), text) {
            ("run", Some(text)) => self.run(step, text),
            ("pipeline", Some(name)) => {
                let parameters: Fields<String, Value> =
                    step.inputs.iter().map(|(name, value)| (name.clone(), self.value(value))).collect();
                let reference = json!({"referenceName": name.trim_start_matches("pipelines/").trim_end_matches(".yaml"), "type": "PipelineReference"});
                let details =
                    json!({"pipeline": reference, "waitOnCompletion": true, "parameters": parameters});
                self.no_policy(step);
                Ok(("ExecutePipeline", details, Fields::new()))
            }
            ("set", _) => self.set(step),
            ("copy", _) => self.copy(step),
            ("call", _) => self.call(step),
            _ => Err("has no counterpart".to_owned()),
        }
    }

    fn run(&mut self, step: &Step, text: &str) -> Result<Made, String> {
        if let Some(seconds) = text.strip_prefix("sleep ") {
            let seconds = seconds.trim();
            let value = seconds.parse::<u64>().map_or_else(|_| self.value(&seconds.into()), Value::from);
            self.no_policy(step);
            return Ok(("Wait", json!({"waitTimeInSeconds": value}), Fields::new()));
        }
        if text == FAIL {
            let of = |name: &str| step.env.get(name).cloned().unwrap_or_default();
            let (message, code) = (self.value(&of("MESSAGE")), self.value(&of("ERROR_CODE")));
            let mut details = json!({"message": message});
            if !code.is_null() {
                details["errorCode"] = code;
            }
            self.no_policy(step);
            return Ok(("Fail", details, Fields::new()));
        }
        if let Some(said) =
            text.strip_prefix("echo 'not converted: ").and_then(|rest| rest.split('\'').next())
        {
            let details = json!({"message": format!("not converted: {said}"), "errorCode": "1"});
            self.no_policy(step);
            return Ok(("Fail", details, Fields::new()));
        }
        let method = text.strip_prefix(CURL).and_then(|rest| rest.split(' ').next());
        let (Some(method), Some(url)) = (method, step.env.get("URL")) else {
            return Err("runs a program, which has no counterpart".to_owned());
        };
        let mut headers = Fields::new();
        for (_, value) in step.env.iter().filter(|(name, _)| name.starts_with("HEADER_")) {
            if let Some((name, value)) = value.as_str().and_then(|text| text.split_once(": ")) {
                headers.insert(name.to_owned(), self.value(&value.into()));
            }
        }
        let mut details = json!({"url": self.value(url), "method": method});
        if !headers.is_empty() {
            details["headers"] = Value::Object(headers);
        }
        if let Some(body) = step.env.get("BODY") {
            details["body"] = self.body(body);
        }
        Ok(("WebActivity", details, policy(step)))
    }

    /// One value is a variable; values that the pipeline gives are what it returns.
    fn set(&mut self, step: &Step) -> Result<Made, String> {
        let fields = step.config.as_object().ok_or("sets nothing")?;
        self.no_policy(step);
        if let (1, Some(value)) = (fields.len(), fields.get("value")) {
            let details = json!({"variableName": step.id.as_str(), "value": self.value(value)});
            return Ok(("SetVariable", details, Fields::new()));
        }
        let returned = |key: &String| {
            self.pipeline.outputs.get(key).and_then(Value::as_str)
                == Some(&format!("${{{{ steps.{}.{key} }}}}", step.id))
        };
        if !fields.keys().all(returned) {
            return Err("sets several values; a variable there has one".to_owned());
        }
        let pair = |(key, value): (&String, &Value)| {
            let value = self.value(value);
            let content = value.get("value").cloned();
            let kind = if content.is_some() { "Expression" } else { "String" };
            json!({"key": key, "value": {"type": kind, "content": content.unwrap_or(value)}})
        };
        let pairs: Vec<Value> = fields.iter().map(pair).collect();
        let details =
            json!({"variableName": "pipelineReturnValue", "setSystemVariable": true, "value": pairs});
        Ok(("SetVariable", details, Fields::new()))
    }

    fn copy(&mut self, step: &Step) -> Result<Made, String> {
        let mut others = policy(step);
        let known = ["from", "to"];
        if step
            .config
            .as_object()
            .is_none_or(|fields| fields.keys().any(|key| !known.contains(&key.as_str())))
        {
            return Err("copies with options that have no counterpart".to_owned());
        }
        let mut source = json!({"type": "Source"});
        for (side, key) in [("inputs", "from"), ("outputs", "to")] {
            let address = step.config.get(key).and_then(Value::as_str).unwrap_or_default();
            let name = format!("{}_{}_{key}", self.pipeline.name, step.id);
            let (dataset, kind, query) = self
                .dataset(&name, address)
                .ok_or_else(|| format!("copies `{address}`, which is no address there"))?;
            self.datasets.push(dataset);
            others.insert(side.to_owned(), json!([{"referenceName": name, "type": "DatasetReference"}]));
            if side == "inputs" {
                source = json!({"type": format!("{kind}Source")});
                if let Some(query) = query {
                    source["query"] = query;
                }
            } else {
                let details = json!({"source": source, "sink": {"type": format!("{kind}Sink")}});
                return Ok(("Copy", details, others));
            }
        }
        Err("copies nothing".to_owned())
    }

    /// A dataset at an address, the name that sources and sinks of it begin with, and a query.
    fn dataset(&mut self, name: &str, address: &str) -> Option<(Value, &'static str, Option<Value>)> {
        let made = |kind: &str, service: &str, details: Value| json!({"name": name, "properties": {"type": kind, "linkedServiceName": {"referenceName": service, "type": "LinkedServiceReference"}, "typeProperties": details}});
        let (service, path) = address
            .split_once(':')
            .filter(|(service, _)| !matches!(*service, "data" | "s3" | "http" | "https"))?;
        if let Some(query) = path.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            let query = self.value(&query.into());
            return Some((made("AzurePostgreSqlTable", service, json!({})), "AzurePostgreSql", Some(query)));
        }
        let is_table = path.split('.').count() == 2
            && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if let Some((schema, table)) = path
            .split_once('.')
            .filter(|_| is_table && !path.ends_with(".csv") && !path.ends_with(".parquet"))
        {
            return Some((
                made("AzurePostgreSqlTable", service, json!({"schema": schema, "table": table})),
                "AzurePostgreSql",
                None,
            ));
        }
        let (kind, reads) = match path.rsplit('.').next()? {
            "parquet" => ("Parquet", "Parquet"),
            "json" | "jsonl" => ("Json", "Json"),
            _ => ("DelimitedText", "DelimitedText"),
        };
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let mut location = json!({"type": "AmazonS3Location"});
        if !folder.is_empty() {
            location["folderPath"] = self.value(&folder.into());
        }
        location["fileName"] = self.value(&file.into());
        Some((made(kind, service, json!({"location": location})), reads, None))
    }

    fn call(&mut self, step: &Step) -> Result<Made, String> {
        let databricks = step.config.get("databricks").ok_or("calls what has no activity there")?;
        let mut details = json!({"jobId": databricks.get("job_id").map(|job| self.value(&job.to_string().trim_matches('"').into()))});
        if let Some(parameters) = databricks.get("parameters").and_then(Value::as_object) {
            details["jobParameters"] =
                parameters.iter().map(|(key, value)| (key.clone(), self.value(value))).collect();
        }
        let mut others = policy(step);
        if let Some(connection) = databricks.get("connection") {
            others.insert(
                "linkedServiceName".to_owned(),
                json!({"referenceName": connection, "type": "LinkedServiceReference"}),
            );
        }
        Ok(("DatabricksJob", details, others))
    }

    /// Activities that control others have no timeout and no retry there.
    fn no_policy(&mut self, step: &Step) {
        if step.retry.max > 0 || step.timeout_ms.is_some() {
            let message =
                format!("`retry` and `timeout` of `{}` have no counterpart at such an activity", step.id);
            gap(self.report, step, message, None);
        }
    }

    /// A value, its expressions in their words.
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => match self.text(text) {
                Some(made) => made,
                None => {
                    let message = format!("`{text}` cannot be said in an expression of Data Factory");
                    let place = super::start(self.pipeline);
                    self.report.push(
                        Outcome::NoCounterpart,
                        &place,
                        message,
                        None,
                        Some("write the value yourself"),
                    );
                    text.clone().into()
                }
            },
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
            }
            plain => plain.clone(),
        }
    }

    /// A body; one of JSON, whose values an import wrote by `tojson`, becomes an object again.
    fn body(&mut self, value: &Value) -> Value {
        let text = value.as_str().unwrap_or_default();
        let mut values = Vec::new();
        let (mut marked, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${{") {
            let Some((inner, tail)) = after.split_once("}}") else { return self.value(value) };
            let Some(computed) = inner.trim().strip_suffix("| tojson") else { return self.value(value) };
            marked.push_str(&format!("{before}\"{MARK}{}\"", values.len()));
            values.push(format!("${{{{ {} }}}}", without_brackets(computed.trim())));
            rest = tail;
        }
        marked.push_str(rest);
        match serde_json::from_str::<Value>(&marked) {
            Ok(Value::Object(fields)) => {
                let unmarked = replaced(Value::Object(fields), &values);
                self.value(&unmarked)
            }
            _ => self.value(value),
        }
    }

    /// Text, or `{value, type: Expression}` where something is computed.
    fn text(&mut self, text: &str) -> Option<Value> {
        if !text.contains("${{") {
            return Some(if text.starts_with('@') { format!("@{text}") } else { text.to_owned() }.into());
        }
        let whole = text
            .strip_prefix("${{")
            .and_then(|rest| rest.strip_suffix("}}"))
            .filter(|inner| !inner.contains("}}"));
        if let Some(inner) = whole {
            let made = self.bare(inner)?;
            return Some(json!({"value": format!("@{made}"), "type": "Expression"}));
        }
        let mut made = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (inner, tail) = after.split_once("}}")?;
            made.push_str(before);
            made.push_str(&format!("@{{{}}}", self.bare(inner)?));
            rest = tail;
        }
        made.push_str(rest);
        Some(json!({"value": made, "type": "Expression"}))
    }

    fn bare(&mut self, text: &str) -> Option<String> {
        let term = expression::read(text)?;
        self.names_window |= text.contains("window.");
        expression::theirs(&term, &|path| name(self.pipeline, path))
    }
}

fn replaced(value: Value, values: &[String]) -> Value {
    match value {
        Value::String(text) => {
            let number = text.strip_prefix(MARK).and_then(|rest| rest.parse::<usize>().ok());
            number.and_then(|number| values.get(number).cloned()).unwrap_or(text).into()
        }
        Value::Array(items) => items.into_iter().map(|item| replaced(item, values)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, replaced(value, values))).collect()
        }
        plain => plain,
    }
}

fn without_brackets(text: &str) -> &str {
    text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(text)
}

/// What a dotted name is there.
pub(super) fn name(pipeline: &Pipeline, path: &[String]) -> Option<String> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let with = |base: String, rest: &[&str]| rest.iter().fold(base, |base, part| format!("{base}['{part}']"));
    match parts.as_slice() {
        ["inputs", name, rest @ ..] => Some(with(format!("pipeline().parameters.{name}"), rest)),
        ["item", rest @ ..] => Some(with("item()".to_owned(), rest)),
        ["run", "id"] => Some("pipeline().RunId".to_owned()),
        ["run", "pipeline"] => Some("pipeline().Pipeline".to_owned()),
        ["window", "start"] => Some("pipeline().parameters.windowStart".to_owned()),
        ["window", "end"] => Some("pipeline().parameters.windowEnd".to_owned()),
        ["steps", step, output, rest @ ..] => {
            let kind = pipeline
                .steps
                .iter()
                .find(|(id, _)| id.as_str() == *step)
                .map(|(_, step)| step.kind.as_str());
            match (kind, *output) {
                (Some("copy"), "rows") => Some(format!("activity('{step}').output.rowsCopied")),
                (Some("set"), "value") => Some(with(format!("variables('{step}')"), rest)),
                (Some("pipeline"), output) => {
                    Some(format!("activity('{step}').output.pipelineReturnValue.{output}"))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// `policy`, if there is something to say.
fn policy(step: &Step) -> Fields<String, Value> {
    let mut policy = Fields::new();
    if let Some(timeout) = step.timeout_ms {
        policy.insert("timeout".to_owned(), super::triggers::timespan(timeout).into());
    }
    if step.retry.max > 0 {
        policy.insert("retry".to_owned(), step.retry.max.into());
        policy.insert("retryIntervalInSeconds".to_owned(), (step.retry.delay_ms / 1_000).max(30).into());
    }
    let mut others = Fields::new();
    if !policy.is_empty() {
        others.insert("policy".to_owned(), Value::Object(policy));
    }
    others
}
