use millrace_spec::yaml::{Node, NodeValue};
use serde_json::json;

use super::activities::{Branch, Made, Steps, child_name, is_condition};
use super::expression::bracketed;
use super::scope::Scope;
use super::{expression, list, text, value_of};
use crate::names::Names;
use crate::report::stand_in;
use crate::yaml_out::{Map, Yaml};

impl Steps<'_> {
    /// The branches of `IfCondition` and `Switch`: each step of a branch has its condition.
    pub(super) fn condition(&mut self, activity: &Node, within: Option<&Branch>) {
        let name = text(activity, "name");
        let id = self.names.give(name);
        let (mut needs, mut join) = self.dependencies(activity);
        if let Some(branch) = within.filter(|_| needs.is_empty()) {
            (needs, join) = (branch.needs.clone(), branch.join.clone());
        }
        let branches = match self.conditions(activity) {
            Ok(branches) => branches,
            Err(found) => {
                let message = format!("the condition `{found}` of `{name}` has no counterpart");
                let mut step = Map::default();
                let hint = "write the steps of its branches with `if:`";
                self.report.gap(&activity.place, &mut step, &message, Some(hint));
                step.append(stand_in(&message));
                if !needs.is_empty() {
                    step.put("needs", json!(needs));
                }
                self.steps.put(&id, step);
                return;
            }
        };
        let mut after = needs.clone();
        self.steps.comment(&format!("`{name}` is a condition there; what stands in it has `if:` here"));
        for (condition, activities) in branches {
            let condition = match within {
                Some(outer) => format!("{} and {}", bracketed(&outer.condition), bracketed(&condition)),
                None => condition,
            };
            let branch = Branch { condition, needs: needs.clone(), join: join.clone() };
            let steps = self.branch(activities, &branch);
            after.extend(steps);
        }
        let what = format!("the activity `{name}` ({})", text(activity, "type"));
        self.report.taken(&activity.place, what, "`if:` of its steps");
        self.branches.insert(name.to_owned(), after);
    }

    /// Each branch with our condition for it.
    fn conditions<'n>(&self, activity: &'n Node) -> Result<Vec<(String, &'n [Node])>, String> {
        let Some(details) = activity.get("typeProperties") else { return Ok(Vec::new()) };
        let written = |key: &str| {
            let node = details.get(key).map(|node| node.get("value").unwrap_or(node));
            node.and_then(Node::as_text).unwrap_or_default()
        };
        let mut branches = Vec::new();
        if text(activity, "type") == "IfCondition" {
            let condition = expression::condition(written("expression"), &self.scope)?;
            branches.push((condition.clone(), list(details.get("ifTrueActivities"))));
            branches.push((format!("not {}", bracketed(&condition)), list(details.get("ifFalseActivities"))));
        } else {
            let value = expression::condition(written("on"), &self.scope)?;
            let quoted = |case: &Node| super::scope::literal(&text(case, "value").into()).unwrap_or_default();
            let cases = list(details.get("cases"));
            for case in cases {
                branches.push((
                    format!("{} == {}", bracketed(&value), quoted(case)),
                    list(case.get("activities")),
                ));
            }
            let others: Vec<String> = cases.iter().map(quoted).collect();
            let otherwise = format!("not ({} in [{}])", bracketed(&value), others.join(", "));
            branches.push((otherwise, list(details.get("defaultActivities"))));
        }
        branches.retain(|(_, activities)| !activities.is_empty());
        Ok(branches)
    }

    /// One activity within is the step itself, several are a pipeline of their own: a run for each item.
    pub(super) fn for_each(&mut self, activity: &Node, id: &str, step: &mut Map) -> Made {
        let Some(details) = activity.get("typeProperties") else { return Ok(()) };
        let items = match value_of(details.get("items"), &self.scope)? {
            serde_json::Value::String(text) if !text.contains("${{") => {
                return Err((
                    format!("goes over `{text}`, which is no list"),
                    "write `foreach:` with a list".to_owned(),
                ));
            }
            items => items,
        };
        let activities = list(details.get("activities"));
        match activities {
            [only]
                if !is_condition(only)
                    && !matches!(text(only, "type"), "ForEach" | "Until" | "SetVariable") =>
            {
                step.comment(&format!("`{}` for each item", text(only, "name")));
                self.scope.item = Some("item".to_owned());
                let made = self.kind(only, step);
                self.scope.item = None;
                made?;
                self.policy(only, step);
                let what = format!("the activity `{}` ({})", text(only, "name"), text(only, "type"));
                self.report.taken(&only.place, what, format!("steps.{id}, for each item"));
            }
            _ => self.container(activities, id, step),
        }
        step.put("foreach", items);
        let is_sequential =
            details.get("isSequential").is_some_and(|node| node.value == NodeValue::Bool(true));
        match details.get("batchCount").map(Node::to_json) {
            _ if is_sequential => step.put("parallel", json!(1)),
            Some(count) => step.put("parallel", count),
            None => {}
        }
        let read = ["items", "activities", "isSequential", "batchCount"];
        self.report.others(details, &read, "the loop", step);
        Ok(())
    }

    /// Activities as a pipeline of their own, which gets what they name from around as inputs.
    fn container(&mut self, activities: &[Node], id: &str, step: &mut Map) {
        let name = child_name(&self.pipeline, id);
        let scope =
            Scope { item: Some("inputs.item".to_owned()), outer: Some(&self.scope), ..Scope::default() };
        let mut inner = Steps {
            importer: self.importer,
            factory: self.factory,
            report: &mut *self.report,
            pipeline: name.clone(),
            scope,
            names: Names::default(),
            steps: Map::default(),
            outputs: Map::default(),
            branches: indexmap::IndexMap::new(),
            ends: indexmap::IndexMap::new(),
            files: Vec::new(),
        };
        inner.all(activities);
        let captured = inner.scope.captured.take();
        let (steps, mut files) = (inner.steps, inner.files);
        let mut pipeline = Map::default();
        pipeline.comment(&format!("what `{id}` of {} does for each item", self.pipeline));
        pipeline.put("pipeline", name.as_str());
        let json_input = || Yaml::from(json!({"type": "json"}));
        let (mut declared, mut given) = (Map::default(), Map::default());
        declared.put("item", json_input());
        given.put("item", "${{ item }}");
        for (input, expression) in captured {
            declared.put(&input, json_input());
            given.put(&input, format!("${{{{ {expression} }}}}"));
        }
        pipeline.put("inputs", declared);
        pipeline.put("steps", steps);
        self.files.push((format!("pipelines/{name}.yaml"), pipeline.text()));
        self.files.append(&mut files);
        step.put("pipeline", name);
        step.put("inputs", given);
    }
}
