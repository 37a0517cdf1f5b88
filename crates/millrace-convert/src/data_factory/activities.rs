use indexmap::IndexMap;
use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::Factory;
use super::expression::{self, Meaning};
use crate::Importer;
use crate::names::{Names, name_of};
use crate::report::Gaps;
use crate::yaml_out::Map;

/// Stands among the dependency conditions of what comes after a condition.
const AFTER_BRANCHES: &str = "after branches";

/// The steps of a pipeline while they are made.
pub(super) struct Steps<'a> {
    pub(super) importer: &'a Importer,
    pub(super) factory: &'a Factory,
    pub(super) gaps: &'a mut Gaps,
    pub(super) names: Names,
    pub(super) steps: Map,
    /// Variables that one activity sets, with the step that it became.
    pub(super) variables: IndexMap<String, String>,
    /// Conditions, with the steps of their branches.
    pub(super) branches: IndexMap<String, Vec<String>>,
}

/// What expressions may name: steps that are there, with the outputs that they have.
struct Known {
    outputs: Vec<(String, String, String)>,
    variables: IndexMap<String, String>,
}

impl Meaning for Known {
    fn output(&self, activity: &str, path: &[String]) -> Option<String> {
        let (_, step, kind) = self.outputs.iter().find(|(name, ..)| name == activity)?;
        match (kind.as_str(), path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
            ("Copy", ["output", "rowsCopied" | "rowsRead"]) => Some(format!("steps.{step}.rows")),
            (_, ["status" | "Status"]) => Some(format!("steps.{step}.state")),
            _ => None,
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|step| format!("steps.{step}.value"))
    }
}

impl Steps<'_> {
    pub(super) fn all(&mut self, properties: &Node) {
        let activities = list(properties.get("activities"));
        self.name(activities);
        self.set_once(properties, activities);
        let known = self.known(activities);
        self.activities(activities, &known, None);
    }

    /// Names first, also of those inside of conditions: an activity may refer to one below it.
    fn name(&mut self, activities: &[Node]) {
        for activity in activities {
            self.names.give(text(activity, "name"));
            for branch in ["ifTrueActivities", "ifFalseActivities"] {
                self.name(list(activity.get("typeProperties").and_then(|node| node.get(branch))));
            }
        }
    }

    /// A variable that one activity sets is the value of a step; others have no counterpart.
    fn set_once(&mut self, properties: &Node, activities: &[Node]) {
        let mut setters: IndexMap<String, Vec<String>> = IndexMap::new();
        for activity in activities.iter().filter(|activity| text(activity, "type") == "SetVariable") {
            let Some(variable) = activity.get("typeProperties").and_then(|node| node.get("variableName"))
            else {
                continue;
            };
            let setter = self.names.give(text(activity, "name"));
            setters.entry(variable.as_text().unwrap_or_default().to_owned()).or_default().push(setter);
        }
        for (key, node) in properties.get("variables").and_then(Node::as_map).unwrap_or_default() {
            match setters.get(&key.name).map(Vec::as_slice) {
                Some([setter]) => {
                    self.variables.insert(key.name.clone(), setter.clone());
                }
                _ => {
                    let message = format!(
                        "the variable `{}` changes while the pipeline runs, or is never set",
                        key.name
                    );
                    self.gaps.add(
                        &node.place,
                        &mut self.steps,
                        &message,
                        Some("give values names with `set` steps"),
                    );
                }
            }
        }
    }

    fn known(&mut self, activities: &[Node]) -> Known {
        let outputs = activities.iter().map(|activity| {
            let name = text(activity, "name");
            (name.to_owned(), self.names.give(name), text(activity, "type").to_owned())
        });
        Known { outputs: outputs.collect(), variables: self.variables.clone() }
    }

    fn activities(&mut self, activities: &[Node], known: &Known, within: Option<&Branch>) {
        for activity in activities {
            self.activity(activity, known, within);
        }
    }

    fn activity(&mut self, activity: &Node, known: &Known, within: Option<&Branch>) {
        let name = text(activity, "name");
        let id = self.names.give(name);
        let kind = text(activity, "type");
        let nothing = Node { value: NodeValue::Map(Vec::new()), place: activity.place.clone() };
        let details = activity.get("typeProperties").unwrap_or(&nothing);
        if kind == "IfCondition" {
            self.condition(activity, details, known, within);
            return;
        }
        let mut step = Map::default();
        if id != name {
            step.comment(&format!("`{name}` there"));
        }
        let made = match kind {
            "Wait" => self.wait(details, known, &mut step),
            "SetVariable" => self.set(details, known, &mut step),
            "WebActivity" => self.web(details, known, &mut step),
            "Copy" => self.copy(activity, details, known, &mut step),
            "ExecutePipeline" => self.execute(details, known, &mut step),
            "Fail" => self.fail(details, known, &mut step),
            other => Err(no_counterpart(other)),
        };
        if let Err((reason, hint)) = made {
            let message = format!("the activity `{name}` ({kind}) {reason}");
            self.gaps.add(&activity.place, &mut self.steps, &message, Some(&hint));
            return;
        }
        self.order(activity, within, &mut step);
        self.policy(activity, &mut step);
        let read = [
            "name",
            "type",
            "typeProperties",
            "dependsOn",
            "policy",
            "userProperties",
            "description",
            "inputs",
            "outputs",
            "linkedServiceName",
        ];
        self.gaps.others(activity, &read, &format!("the activity `{name}`"), &mut step);
        if text(activity, "state") == "Inactive" {
            step.put("if", json!(false));
        }
        self.steps.put(&id, step);
    }

    /// Both branches of a condition, each step with it.
    fn condition(&mut self, activity: &Node, details: &Node, known: &Known, within: Option<&Branch>) {
        let name = text(activity, "name");
        let written =
            details.get("expression").map(|node| node.get("value").unwrap_or(node)).and_then(Node::as_text);
        let condition = match (expression::condition(written.unwrap_or_default(), known), within) {
            (Ok(condition), None) => condition,
            (Err(found), _) => {
                let message = format!("the condition `{found}` of `{name}` has no counterpart");
                self.gaps.add(&activity.place, &mut self.steps, &message, Some("write the steps with `if:`"));
                return;
            }
            (Ok(_), Some(_)) => {
                let message = format!("the condition `{name}` stands within another one");
                self.gaps.add(&activity.place, &mut self.steps, &message, Some("write the steps with `if:`"));
                return;
            }
        };
        let needs = self.needs(activity).0;
        for (branch, condition) in
            [("ifTrueActivities", condition.clone()), ("ifFalseActivities", format!("not ({condition})"))]
        {
            let activities = list(details.get(branch));
            let branch = Branch { condition, needs: needs.clone() };
            self.activities(activities, known, Some(&branch));
            let steps = activities.iter().map(|activity| self.names.give(text(activity, "name")));
            let steps: Vec<String> = steps.collect();
            self.branches.entry(name.to_owned()).or_default().extend(steps);
        }
        self.steps.comment(&format!("`{name}` was a condition; its activities have it as `if:`"));
    }

    /// Names of the steps that come before, and the conditions other than success.
    fn needs(&mut self, activity: &Node) -> (Vec<String>, Vec<String>) {
        let (mut needs, mut conditions) = (Vec::new(), Vec::new());
        for dependency in list(activity.get("dependsOn")) {
            let name = text(dependency, "activity");
            match self.branches.get(name) {
                // One branch is skipped, which is no reason to skip what comes after both.
                Some(steps) => {
                    needs.extend(steps.iter().cloned());
                    conditions.push(AFTER_BRANCHES.to_owned());
                }
                None => needs.push(self.names.give(name)),
            }
            let words = list(dependency.get("dependencyConditions"));
            conditions.extend(words.iter().filter_map(|word| word.as_text().map(str::to_owned)));
        }
        conditions.retain(|word| word != "Succeeded");
        conditions.dedup();
        (needs, conditions)
    }

    fn order(&mut self, activity: &Node, within: Option<&Branch>, step: &mut Map) {
        let (mut needs, conditions) = self.needs(activity);
        if needs.is_empty() {
            needs.extend(within.iter().flat_map(|branch| branch.needs.iter().cloned()));
        }
        if !needs.is_empty() {
            step.put("needs", json!(needs));
        }
        let joined = match conditions.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => None,
            [AFTER_BRANCHES] => Some("not failed()"),
            ["Failed"] => Some("failed()"),
            ["Completed"] => Some("always()"),
            _ => {
                let message =
                    format!("the dependency conditions {} have no counterpart", conditions.join(", "));
                self.gaps.add(
                    &activity.place,
                    step,
                    &message,
                    Some("write `if: failed()` or `if: always()`"),
                );
                None
            }
        };
        match (within, joined) {
            (Some(branch), None) => step.put("if", branch.condition.as_str()),
            (Some(branch), Some(joined)) => step.put("if", format!("{joined} and {}", branch.condition)),
            (None, Some(joined)) => step.put("if", joined),
            (None, None) => {}
        }
    }

    fn policy(&mut self, activity: &Node, step: &mut Map) {
        let Some(policy) = activity.get("policy") else { return };
        let number = |key: &str| policy.get(key).map(Node::to_json).and_then(|value| value.as_u64());
        if let Some(timeout) = policy.get("timeout").and_then(Node::as_text).and_then(timespan) {
            step.put("timeout", timeout);
        }
        if let Some(max) = number("retry").filter(|max| *max > 0) {
            let delay = format!("{}s", number("retryIntervalInSeconds").unwrap_or(30));
            step.put("retry", json!({"max": max, "delay": delay, "backoff": 1}));
        }
        for secure in ["secureInput", "secureOutput"] {
            if policy.get(secure).is_some_and(|node| node.value == NodeValue::Bool(true)) {
                step.comment(&format!("`{secure}`: secrets are masked in every log here"));
            }
        }
        let read = ["timeout", "retry", "retryIntervalInSeconds", "secureInput", "secureOutput"];
        self.gaps.others(policy, &read, "the policy", step);
    }

    fn wait(&mut self, details: &Node, known: &Known, step: &mut Map) -> Made {
        let seconds = value_of(details.get("waitTimeInSeconds"), known)?;
        let seconds = seconds.as_str().map_or_else(|| seconds.to_string(), str::to_owned);
        step.put("run", format!("sleep {seconds}"));
        Ok(())
    }

    fn set(&mut self, details: &Node, known: &Known, step: &mut Map) -> Made {
        let variable = text(details, "variableName");
        if !self.variables.contains_key(variable) {
            return Err((
                format!("sets `{variable}`, which is set elsewhere too"),
                "give values names with `set` steps".to_owned(),
            ));
        }
        step.put("set", json!({"value": value_of(details.get("value"), known)?}));
        Ok(())
    }

    /// A request as curl sends it; header values and bodies come in variables, so that no shell reads them.
    fn web(&mut self, details: &Node, known: &Known, step: &mut Map) -> Made {
        let authentication = details.get("authentication").map(|node| text(node, "type")).unwrap_or_default();
        if !matches!(authentication, "" | "None") {
            let hint = "write the header in `env:` of a `run` step with `${{ secrets.NAME }}`";
            return Err((format!("logs in by `{authentication}`"), hint.to_owned()));
        }
        let method = details.get("method").and_then(Node::as_text).unwrap_or("GET");
        let mut env = Map::default();
        env.put("URL", value_of(details.get("url"), known)?);
        let mut command = format!("curl --fail-with-body --silent --show-error -X {method}");
        for (index, (key, node)) in
            details.get("headers").and_then(Node::as_map).unwrap_or_default().iter().enumerate()
        {
            let value = value_of(Some(node), known)?;
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            env.put(&format!("HEADER_{index}"), format!("{}: {value}", key.name));
            command.push_str(&format!(" -H \"$HEADER_{index}\""));
        }
        if let Some(body) = details.get("body") {
            let body = value_of(Some(body), known)?;
            env.put("BODY", body.as_str().map_or_else(|| body.to_string(), str::to_owned));
            command.push_str(" --data-raw \"$BODY\"");
        }
        step.put("run", format!("{command} \"$URL\""));
        step.put("env", env);
        Ok(())
    }

    fn fail(&mut self, details: &Node, known: &Known, step: &mut Map) -> Made {
        let mut env = Map::default();
        env.put("MESSAGE", value_of(details.get("message"), known)?);
        step.put("run", "echo \"$MESSAGE\" >&2; exit 1");
        step.put("env", env);
        Ok(())
    }

    fn execute(&mut self, details: &Node, known: &Known, step: &mut Map) -> Made {
        let name = details.get("pipeline").map(|node| text(node, "referenceName")).unwrap_or_default();
        if !self.importer.has_kind("pipeline") {
            return Err((
                format!("runs the pipeline `{name}`"),
                format!("write `run: millrace run {} --server …`", name_of(name)),
            ));
        }
        step.put("pipeline", name_of(name));
        let mut inputs = Map::default();
        for (key, node) in details.get("parameters").and_then(Node::as_map).unwrap_or_default() {
            inputs.put(&name_of(&key.name), value_of(Some(node.get("value").unwrap_or(node)), known)?);
        }
        step.put_some("inputs", inputs);
        if details.get("waitOnCompletion").is_some_and(|node| node.value == NodeValue::Bool(false)) {
            self.gaps.add(&details.place, step, "it was not waited for; here it is", None);
        }
        Ok(())
    }

    fn copy(&mut self, activity: &Node, details: &Node, known: &Known, step: &mut Map) -> Made {
        let from = self.place(activity, "inputs", known)?;
        let to = self.place(activity, "outputs", known)?;
        step.put("copy", json!({"from": from, "to": to}));
        let read = ["source", "sink", "enableStaging", "parallelCopies", "dataIntegrationUnits"];
        self.gaps.others(details, &read, "the copy", step);
        for (side, ordinary) in [
            ("source", &["type", "storeSettings", "formatSettings", "recursive"][..]),
            ("sink", &["type", "storeSettings", "formatSettings", "writeBatchSize", "writeBatchTimeout"]),
        ] {
            if let Some(node) = details.get(side) {
                self.gaps.others(node, ordinary, &format!("the {side}"), step);
            }
        }
        Ok(())
    }

    /// The address of a dataset that a copy names.
    fn place(&self, activity: &Node, side: &str, known: &Known) -> Result<String, (String, String)> {
        let reference = list(activity.get(side)).first();
        let name = reference.map(|node| text(node, "referenceName")).unwrap_or_default();
        let hint = || "write it as a `copy` step with a connection of `connections.yaml`".to_owned();
        let Some(dataset) = self.factory.datasets.get(name) else {
            return Err((format!("names the dataset `{name}`, which is not among the files"), hint()));
        };
        let service =
            dataset.get("linkedServiceName").map(|node| text(node, "referenceName")).unwrap_or_default();
        let connection = name_of(service);
        let details = dataset.get("typeProperties");
        let field = |name: &str| details.and_then(|node| node.get(name));
        let location = field("location");
        let part = |name: &str| -> Result<String, (String, String)> {
            let value = value_of(location.and_then(|node| node.get(name)), known)?;
            Ok(value.as_str().unwrap_or_default().to_owned())
        };
        match (text(dataset, "type"), location.map(|node| text(node, "type")).unwrap_or_default()) {
            ("AzurePostgreSqlTable" | "PostgreSqlTable" | "PostgreSqlV2Table", _) => {
                let table = value_of(field("table").or_else(|| field("tableName")), known)?;
                let schema = value_of(field("schema"), known)?;
                let schema =
                    schema.as_str().filter(|schema| !schema.is_empty()).unwrap_or("public").to_owned();
                Ok(format!("{connection}:{schema}.{}", table.as_str().unwrap_or_default()))
            }
            (_, "AmazonS3Location") => {
                let path = [part("folderPath")?, part("fileName")?];
                let path: Vec<&str> =
                    path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                Ok(format!("{connection}:{}", path.join("/")))
            }
            (_, "HttpServerLocation") => {
                let base = self.factory.services.get(service).and_then(|node| node.get("typeProperties"));
                let base = base.map(|node| text(node, "url")).unwrap_or_default();
                Ok(format!("{}/{}", base.trim_end_matches('/'), part("relativeUrl")?.trim_start_matches('/')))
            }
            (kind, at) => {
                let what = if at.is_empty() { kind } else { at };
                Err((format!("reads or writes `{name}` ({what}), which no connector here reaches"), hint()))
            }
        }
    }
}

/// What the steps of a branch have beside their own.
struct Branch {
    condition: String,
    needs: Vec<String>,
}

/// Nothing, or why it cannot be said here and what to write instead.
type Made = Result<(), (String, String)>;

fn no_counterpart(kind: &str) -> (String, String) {
    let hint = match kind {
        "ForEach" => "write a step with `foreach:`, or one for each item",
        "Until" => "write it as a `call: {http: …}` that is polled, or a `run` step with a loop",
        "Switch" => "write the steps with `if:`",
        "Lookup" | "Script" | "SqlServerStoredProcedure" => "write it as a `sql` or `python` step",
        "AzureMLExecutePipeline" => "call it: `call: {azureml: {component: …}}`",
        "DatabricksNotebook" | "DatabricksSparkPython" | "DatabricksSparkJar" => {
            "make it a job of Databricks and call it: `call: {databricks: {job_id: …}}`"
        }
        "GetMetadata" | "Validation" => "write it as a `run` step",
        _ => "write it as a `run` or `python` step",
    };
    ("has no counterpart".to_owned(), hint.to_owned())
}

/// A value, its expressions in our words; nothing if it is absent.
fn value_of(node: Option<&Node>, known: &Known) -> Result<Value, (String, String)> {
    let Some(node) = node else { return Ok(Value::Null) };
    // `{"value": "@…", "type": "Expression"}`
    let node = match node.get("type").and_then(Node::as_text) {
        Some("Expression") => node.get("value").unwrap_or(node),
        _ => node,
    };
    match &node.value {
        NodeValue::Text(text) => expression::value(text, known).map(Value::from).map_err(|found| {
            (format!("uses `{found}`, which has no counterpart"), "write the value yourself".to_owned())
        }),
        NodeValue::List(items) => items.iter().map(|item| value_of(Some(item), known)).collect(),
        NodeValue::Map(fields) => {
            let field = |(key, node): &(millrace_spec::yaml::Key, Node)| {
                Ok((key.name.clone(), value_of(Some(node), known)?))
            };
            fields.iter().map(field).collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
        _ => Ok(node.to_json()),
    }
}

/// `d.hh:mm:ss` as a duration here.
pub(super) fn timespan(text: &str) -> Option<String> {
    let (days, rest) = text.split_once('.').filter(|(days, _)| !days.contains(':')).unwrap_or(("0", text));
    let mut parts = rest.split(':').map(|part| part.split('.').next()?.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let days: u64 = days.parse().ok()?;
    let units = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")];
    let written: String =
        units.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    Some(if written.is_empty() { "0s".to_owned() } else { written })
}

fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Node::as_text).unwrap_or_default()
}

fn list(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(NodeValue::List(items)) => items,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_a_duration() {
        for (theirs, ours) in [
            ("0.12:00:00", Some("12h")),
            ("7.00:00:00", Some("7d")),
            ("00:00:30", Some("30s")),
            ("1.02:03:04", Some("1d2h3m4s")),
            ("soon", None),
        ] {
            assert_eq!(timespan(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
