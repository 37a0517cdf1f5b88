use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::activities::{Made, Steps};
use super::expression::{bracketed, without_parens};
use super::{list, text, value_of};
use crate::names::name_of;
use crate::report::stand_in;
use crate::yaml_out::Map;

/// Text of a value that a program reads.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// JSON text with its values in place when the step runs, whatever letters they have.
fn json_text(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains("${{") => format!("${{{{ ({}) | tojson }}}}", joined(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(json_text).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), json_text(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

/// Text with `${{ }}` in it as one expression.
fn joined(text: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = text;
    let quoted = |text: &str| super::scope::literal(&text.into()).unwrap_or_default();
    while let Some((before, after)) = rest.split_once("${{") {
        let (inner, tail) = after.split_once("}}").unwrap_or((after, ""));
        if !before.is_empty() {
            parts.push(quoted(before));
        }
        parts.push(bracketed(inner.trim()));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(quoted(rest));
    }
    match parts.as_slice() {
        [only] => without_parens(only).to_owned(),
        parts => parts.join(" ~ "),
    }
}

impl Steps<'_> {
    /// What an activity does, as a kind of step.
    pub(super) fn kind(&mut self, activity: &Node, step: &mut Map) -> Made {
        let nothing = Node { value: NodeValue::Map(Vec::new()), place: activity.place.clone() };
        let details = activity.get("typeProperties").unwrap_or(&nothing);
        match text(activity, "type") {
            "Wait" => self.wait(details, step),
            "SetVariable" => self.set(details, activity, step),
            "WebActivity" => self.web(details, step),
            "Copy" => self.copy(activity, details, step),
            "ExecutePipeline" => self.execute(details, step),
            "Fail" => self.fail(details, step),
            "DatabricksJob" => self.databricks(activity, details, step),
            other => Err(no_counterpart(other)),
        }
    }

    fn wait(&mut self, details: &Node, step: &mut Map) -> Made {
        let seconds = value_of(details.get("waitTimeInSeconds"), &self.scope)?;
        step.put("run", format!("sleep {}", as_text(&seconds)));
        Ok(())
    }

    fn set(&mut self, details: &Node, activity: &Node, step: &mut Map) -> Made {
        let variable = text(details, "variableName");
        if variable == "pipelineReturnValue" {
            return self.returned(details, activity, step);
        }
        if !self.scope.variables.contains_key(variable) {
            let hint = "give each value a name of its own with `set` steps".to_owned();
            return Err((format!("sets `{variable}`, which has other values elsewhere"), hint));
        }
        step.put("set", json!({"value": value_of(details.get("value"), &self.scope)?}));
        Ok(())
    }

    /// What the pipeline returns: values with names, which are its outputs.
    fn returned(&mut self, details: &Node, activity: &Node, step: &mut Map) -> Made {
        let id = self.names.give(text(activity, "name"));
        let mut values = serde_json::Map::new();
        for pair in list(details.get("value")) {
            let key = name_of(text(pair, "key"));
            let value = pair.get("value");
            let content = value.and_then(|node| node.get("content")).or(value);
            values.insert(key.clone(), value_of(content, &self.scope)?);
            self.outputs.put(&key, format!("${{{{ steps.{id}.{key} }}}}"));
        }
        step.put("set", Value::Object(values));
        Ok(())
    }

    /// A request as curl sends it; header values and bodies come in variables, so that no shell reads them.
    fn web(&mut self, details: &Node, step: &mut Map) -> Made {
        let authentication = details.get("authentication").map(|node| text(node, "type")).unwrap_or_default();
        if !matches!(authentication, "" | "None") {
            let hint = "write the header in `env:` of a `run` step with `${{ secrets.NAME }}`";
            return Err((format!("logs in by `{authentication}`"), hint.to_owned()));
        }
        let method = details.get("method").and_then(Node::as_text).unwrap_or("GET");
        let mut env = Map::default();
        env.put("URL", value_of(details.get("url"), &self.scope)?);
        let mut command = format!("curl --fail-with-body --silent --show-error -X {method}");
        for (index, (key, node)) in
            details.get("headers").and_then(Node::as_map).unwrap_or_default().iter().enumerate()
        {
            let value = value_of(Some(node), &self.scope)?;
            env.put(&format!("HEADER_{index}"), format!("{}: {}", key.name, as_text(&value)));
            command.push_str(&format!(" -H \"$HEADER_{index}\""));
        }
        if let Some(body) = details.get("body") {
            let value = value_of(Some(body), &self.scope)?;
            env.put("BODY", value.as_str().map_or_else(|| json_text(&value), str::to_owned));
            command.push_str(" --data-raw \"$BODY\"");
        }
        step.put("run", format!("{command} \"$URL\""));
        step.put("env", env);
        let read =
            ["url", "method", "headers", "body", "authentication", "httpRequestTimeout", "turnOffAsync"];
        self.report.others(details, &read, "the request", step);
        Ok(())
    }

    fn fail(&mut self, details: &Node, step: &mut Map) -> Made {
        // What an export wrote in the place of a step: it is as missing as before.
        if let Some(node) = details.get("message")
            && let Some(message) = node.as_text().and_then(|text| text.strip_prefix("not converted: "))
        {
            self.report.gap(&node.place, step, message, None);
            step.append(stand_in(message));
            return Ok(());
        }
        let mut env = Map::default();
        env.put("MESSAGE", value_of(details.get("message"), &self.scope)?);
        if let Some(code) = details.get("errorCode") {
            env.put("ERROR_CODE", as_text(&value_of(Some(code), &self.scope)?));
        }
        step.put("run", "echo \"${ERROR_CODE:+$ERROR_CODE: }$MESSAGE\" >&2; exit 1");
        step.put("env", env);
        Ok(())
    }

    fn execute(&mut self, details: &Node, step: &mut Map) -> Made {
        let theirs = details.get("pipeline").map(|node| text(node, "referenceName")).unwrap_or_default();
        let name = name_of(theirs);
        let parameters = self.factory.parameters.get(theirs);
        if parameters.is_none() && !self.importer.has_pipeline(&name) {
            let reason = format!("executes `{theirs}`, which is not among the files");
            return Err((reason, "import its file together with this one".to_owned()));
        }
        step.put("pipeline", name);
        let mut inputs = Map::default();
        for (key, node) in details.get("parameters").and_then(Node::as_map).unwrap_or_default() {
            if parameters.is_some_and(|known| !known.contains_key(&key.name)) {
                let message = format!("`{theirs}` has no parameter `{}`", key.name);
                self.report.changed(&key.place, step, &message, None);
                continue;
            }
            inputs.put(&name_of(&key.name), value_of(Some(node), &self.scope)?);
        }
        for (missing, _) in parameters.into_iter().flatten().filter(|(_, has_default)| !**has_default) {
            if !inputs.has(&name_of(missing)) {
                let reason = format!(
                    "gives no value to the parameter `{missing}` of `{theirs}`, which has no default"
                );
                return Err((reason, "give the input a value, or a default".to_owned()));
            }
        }
        step.put_some("inputs", inputs);
        if let Some(node) =
            details.get("waitOnCompletion").filter(|node| node.value == NodeValue::Bool(false))
        {
            let hint = "for a run that nobody waits for, write `run: millrace run NAME --server URL`";
            self.report.changed(&node.place, step, "it was not waited for; here it is", Some(hint));
        }
        Ok(())
    }

    fn databricks(&mut self, activity: &Node, details: &Node, step: &mut Map) -> Made {
        let service =
            activity.get("linkedServiceName").map(|node| text(node, "referenceName")).unwrap_or_default();
        let job = value_of(details.get("jobId"), &self.scope)?;
        let Some(job) = job.as_u64().or_else(|| job.as_str()?.parse().ok()) else {
            return Err((
                format!("runs the job `{job}`"),
                "write its number: `call: {databricks: {job_id: 7}}`".to_owned(),
            ));
        };
        let parameters = value_of(details.get("jobParameters"), &self.scope)?;
        let mut call = json!({"connection": name_of(service), "job_id": job});
        if !parameters.is_null() {
            call["parameters"] = parameters;
        }
        step.put("call", json!({"databricks": call}));
        Ok(())
    }
}

fn no_counterpart(kind: &str) -> (String, String) {
    let hint = match kind {
        "Until" => "write it as a `call: {http: …}` that is polled, or a `run` step with a loop",
        "Lookup" | "Script" | "SqlServerStoredProcedure" => {
            "copy the table here and write a `sql` step, or a `python` step"
        }
        "Filter" => "leave items out of the list: `foreach: ${{ LIST | select(…) | list }}`",
        "AzureMLExecutePipeline" => "call it: `call: {azureml: {component: …}}`",
        "DatabricksNotebook" | "DatabricksSparkPython" | "DatabricksSparkJar" => {
            "make it a job of Databricks and call it: `call: {databricks: {job_id: …}}`"
        }
        "WebHook" => "write it as a `call: {http: …}` that is polled",
        "AppendVariable" => "what the items of a `foreach` leave is the list `steps.NAME.OUTPUT`",
        "GetMetadata" | "Validation" | "Delete" => "write it as a `run` step",
        _ => "write it as a `run` or `python` step",
    };
    ("has no counterpart".to_owned(), hint.to_owned())
}
