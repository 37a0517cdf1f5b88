use indexmap::IndexMap;
use millrace_spec::yaml::{Node, NodeValue};
use serde_json::json;

use super::expression::bracketed;
use super::scope::{Known, Scope};
use super::{Factory, list, text};
use crate::Importer;
use crate::names::{Names, name_of};
use crate::report::{Report, stand_in};
use crate::yaml_out::Map;

/// The steps of a pipeline while they are made.
pub(super) struct Steps<'a> {
    pub(super) importer: &'a Importer,
    pub(super) factory: &'a Factory,
    pub(super) report: &'a mut Report,
    /// The pipeline's name here.
    pub(super) pipeline: String,
    pub(super) scope: Scope<'a>,
    pub(super) names: Names,
    pub(super) steps: Map,
    /// What the pipeline returns.
    pub(super) outputs: Map,
    /// Conditions, with the steps of their branches and what comes before those.
    pub(super) branches: IndexMap<String, Vec<String>>,
    /// Activities that became several steps, with all of those.
    pub(super) ends: IndexMap<String, Vec<String>>,
    /// Pipelines of containers.
    pub(super) files: Vec<(String, String)>,
}

/// What the steps of a branch have beside their own.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) condition: String,
    /// Of the container itself.
    pub(super) needs: Vec<String>,
    pub(super) join: Option<String>,
}

/// Nothing, or why it cannot be said here and what to write instead.
pub(super) type Made = Result<(), (String, String)>;

pub(super) const ACTIVITY_KEYS: &[&str] = &[
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
    "state",
    "onInactiveMarkAs",
];

/// The branches of a condition, as keys of what they hold.
pub(super) fn branches(details: Option<&Node>) -> Vec<&[Node]> {
    let under = |key: &str| list(details.and_then(|node| node.get(key)));
    let cases = under("cases").iter().map(|case| list(case.get("activities")));
    let plain = ["ifTrueActivities", "ifFalseActivities", "defaultActivities"].map(under);
    plain.into_iter().chain(cases).filter(|branch| !branch.is_empty()).collect()
}

impl Steps<'_> {
    pub(super) fn all(&mut self, activities: &[Node]) {
        self.name(activities);
        self.activities(activities, None);
    }

    /// Names first, also of those inside of conditions: an activity may refer to one below it.
    fn name(&mut self, activities: &[Node]) {
        for activity in activities {
            let name = text(activity, "name");
            let known = Known {
                step: self.names.give(name),
                kind: text(activity, "type").to_owned(),
                returns: self.factory.returned_by(activity),
            };
            self.scope.activities.insert(name.to_owned(), known);
            if is_condition(activity) {
                for branch in branches(activity.get("typeProperties")) {
                    self.name(branch);
                }
            }
        }
    }

    /// A variable that one activity sets is the value of a step, one that none sets a constant; others have no counterpart.
    pub(super) fn variables(&mut self, properties: &Node, activities: &[Node], comments: &mut Map) {
        let mut setters: IndexMap<String, Vec<Option<String>>> = IndexMap::new();
        setters_of(activities, true, &mut setters);
        for (key, node) in properties.get("variables").and_then(Node::as_map).unwrap_or_default() {
            let default = node.get("defaultValue").map(Node::to_json);
            let expression = match setters.get(&key.name).map(Vec::as_slice) {
                Some([Some(setter)]) => Some(format!("steps.{}.value", self.names.give(setter))),
                Some(_) => None,
                None => default.as_ref().and_then(super::scope::literal),
            };
            match expression {
                Some(expression) => {
                    self.report.taken(&key.place, format!("the variable `{}`", key.name), expression.clone());
                    self.scope.variables.insert(key.name.clone(), expression);
                }
                None => {
                    let message = format!(
                        "the variable `{}` changes while the pipeline runs, or never has a value",
                        key.name
                    );
                    let hint = "give each value a name of its own with `set` steps";
                    self.report.gap(&key.place, comments, &message, Some(hint));
                }
            }
        }
    }

    fn activities(&mut self, activities: &[Node], within: Option<&Branch>) {
        for activity in activities {
            self.activity(activity, within);
        }
    }

    /// The activities of a branch; gives the names of their steps, those of conditions among them, too.
    pub(super) fn branch(&mut self, activities: &[Node], branch: &Branch) -> Vec<String> {
        self.activities(activities, Some(branch));
        let mut steps = Vec::new();
        for activity in activities {
            match self.branches.get(text(activity, "name")) {
                Some(inner) => steps.extend(inner.iter().cloned()),
                None => match self.ends.get(text(activity, "name")) {
                    Some(several) => steps.extend(several.iter().cloned()),
                    None => steps.push(self.names.give(text(activity, "name"))),
                },
            }
        }
        steps
    }

    fn activity(&mut self, activity: &Node, within: Option<&Branch>) {
        if is_condition(activity) {
            self.condition(activity, within);
            return;
        }
        if text(activity, "type") == "ExecuteDataFlow" {
            self.data_flow(activity, within);
            return;
        }
        let name = text(activity, "name");
        let id = self.names.give(name);
        let kind = text(activity, "type");
        let mut step = Map::default();
        if id != name {
            step.comment(&format!("`{name}` there"));
        }
        let made = if kind == "ForEach" {
            self.for_each(activity, &id, &mut step)
        } else {
            self.kind(activity, &mut step)
        };
        match made {
            Ok(()) => self.report.taken(
                &activity.place,
                format!("the activity `{name}` ({kind})"),
                format!("steps.{id}"),
            ),
            Err((reason, hint)) => {
                let message = format!("the activity `{name}` ({kind}) {reason}");
                step = Map::default();
                self.report.gap(&activity.place, &mut step, &message, Some(&hint));
                step.append(stand_in(&message));
            }
        }
        self.order(activity, within, &mut step);
        if kind != "ForEach" {
            self.policy(activity, &mut step);
        }
        self.report.others(activity, ACTIVITY_KEYS, &format!("the activity `{name}`"), &mut step);
        if text(activity, "state") == "Inactive" && !step.has("if") {
            step.put("if", json!(false));
        }
        self.steps.put(&id, step);
    }

    /// The steps that come before, and what they must have come to; nothing means that all succeeded.
    pub(super) fn dependencies(&mut self, activity: &Node) -> (Vec<String>, Option<String>) {
        let dependencies = list(activity.get("dependsOn"));
        let mut needs: Vec<String> = Vec::new();
        let mut parts = Vec::new();
        let (mut plain, mut only_failed) = (true, dependencies.len() == 1);
        for dependency in dependencies {
            let name = text(dependency, "activity");
            let words: Vec<&str> =
                list(dependency.get("dependencyConditions")).iter().filter_map(Node::as_text).collect();
            let words = if words.is_empty() { vec!["Succeeded"] } else { words };
            let steps = match self.branches.get(name) {
                Some(steps) => steps.clone(),
                None => self.ends.get(name).cloned().unwrap_or_else(|| vec![self.names.give(name)]),
            };
            if self.ends.contains_key(name) && words == ["Failed"] {
                // One of them is enough.
                let failed: Vec<String> = steps.iter().map(|step| state(step, "Failed", false)).collect();
                plain = false;
                only_failed = false;
                parts.push(format!("({})", failed.join(" or ")));
                needs.extend(steps);
                continue;
            }
            let is_branch = self.branches.contains_key(name);
            plain &= words == ["Succeeded"] && !is_branch;
            only_failed &= words == ["Failed"] && steps.len() == 1;
            for step in steps {
                // Of two branches one is skipped, which is no reason to skip what comes after both.
                let may_be_skipped = is_branch
                    || words.len() == 2 && words.contains(&"Succeeded") && words.contains(&"Skipped");
                let words = if may_be_skipped && !is_branch { &["Succeeded"][..] } else { &words };
                let states: Vec<String> =
                    words.iter().map(|word| state(&step, word, may_be_skipped)).collect();
                let part =
                    if states.len() == 1 { states.concat() } else { format!("({})", states.join(" or ")) };
                if !parts.contains(&part) {
                    parts.push(part);
                }
                if !needs.contains(&step) {
                    needs.push(step);
                }
            }
        }
        let join = match (plain, only_failed) {
            (true, _) => None,
            (_, true) => Some("failed()".to_owned()),
            _ => Some(format!("always() and {}", parts.join(" and "))),
        };
        (needs, join)
    }

    pub(super) fn order(&mut self, activity: &Node, within: Option<&Branch>, step: &mut Map) {
        let (mut needs, mut join) = self.dependencies(activity);
        if let Some(branch) = within.filter(|_| needs.is_empty()) {
            (needs, join) = (branch.needs.clone(), branch.join.clone());
        }
        if !needs.is_empty() {
            step.put("needs", json!(needs));
        }
        match (within, join) {
            (Some(branch), None) => step.put("if", branch.condition.as_str()),
            (Some(branch), Some(join)) => {
                step.put("if", format!("{join} and {}", bracketed(&branch.condition)))
            }
            (None, Some(join)) => step.put("if", join),
            (None, None) => {}
        }
    }

    pub(super) fn policy(&mut self, activity: &Node, step: &mut Map) {
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
            if let Some(node) = policy.get(secure).filter(|node| node.value == NodeValue::Bool(true)) {
                let message = format!("`{secure}`: here secrets, and nothing else, are masked in every log");
                self.report.changed(
                    &node.place,
                    step,
                    &message,
                    Some("name secret values `${{ secrets.NAME }}`"),
                );
            }
        }
        let read = ["timeout", "retry", "retryIntervalInSeconds", "secureInput", "secureOutput"];
        self.report.others(policy, &read, "the policy", step);
    }
}

pub(super) fn is_condition(activity: &Node) -> bool {
    matches!(text(activity, "type"), "IfCondition" | "Switch")
}

/// What a dependency condition asks of a step.
fn state(step: &str, word: &str, is_branch: bool) -> String {
    match word {
        "Failed" => format!("steps.{step}.state not in ['succeeded', 'cached', 'skipped']"),
        "Skipped" => format!("steps.{step}.state == 'skipped'"),
        "Completed" if is_branch => "true".to_owned(),
        "Completed" => format!("steps.{step}.state != 'skipped'"),
        _ if is_branch => format!("steps.{step}.state in ['succeeded', 'cached', 'skipped']"),
        _ => format!("steps.{step}.state in ['succeeded', 'cached']"),
    }
}

/// Who sets each variable; `None` for one within a container, where it may be set again and again, or not at all.
fn setters_of(activities: &[Node], at_top: bool, setters: &mut IndexMap<String, Vec<Option<String>>>) {
    for activity in activities {
        let details = activity.get("typeProperties");
        let name = text(activity, "name").to_owned();
        if let Some(variable) = details.and_then(|node| node.get("variableName")).and_then(Node::as_text) {
            let is_set = at_top && text(activity, "type") == "SetVariable";
            setters.entry(variable.to_owned()).or_default().push(is_set.then_some(name));
        }
        for branch in branches(details) {
            setters_of(branch, false, setters);
        }
        setters_of(list(details.and_then(|node| node.get("activities"))), false, setters);
    }
}

/// `d.hh:mm:ss` as a duration here.
pub(super) fn timespan(text: &str) -> Option<String> {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (days, rest) = text.split_once('.').filter(|(days, _)| !days.contains(':')).unwrap_or(("0", text));
    let mut parts = rest.split(':').map(|part| part.split('.').next()?.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let days: u64 = days.parse().ok()?;
    let units = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")];
    let written: String =
        units.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    Some(if written.is_empty() { "0s".to_owned() } else { format!("{sign}{written}") })
}

/// The name of a container's pipeline.
pub(super) fn child_name(pipeline: &str, id: &str) -> String {
    name_of(&format!("{pipeline}_{id}"))
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
            ("-1.00:00:00", Some("-1d")),
            ("1.02:03:04", Some("1d2h3m4s")),
            ("soon", None),
        ] {
            assert_eq!(timespan(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
