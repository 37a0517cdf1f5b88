//! Schedules: files of their own that name the job.

use millrace_spec::yaml::Node;

use super::Import;
use super::shell::{folder_of, joined};
use crate::names::name_of;
use crate::recurrence;
use crate::report::Outcome;
use crate::yaml_out::Map;

/// The file of the job that a schedule creates.
pub(super) fn job_of(path: &str, schedule: &Node) -> Option<String> {
    let node = schedule.get("create_job")?;
    let name = node.as_text().or_else(|| node.get("job")?.as_text())?.trim_start_matches("file:");
    (!name.starts_with("azureml:")).then(|| joined(&folder_of(path), name))
}

impl Import<'_> {
    /// The triggers of a pipeline.
    pub(super) fn scheduled(&mut self, pipeline_path: &str, pipeline: &mut Map) {
        let mut triggers = Map::default();
        let schedules: Vec<(String, Node)> = self.schedules.clone();
        for (path, tree) in
            schedules.iter().filter(|(path, tree)| job_of(path, tree).as_deref() == Some(pipeline_path))
        {
            self.schedule(path, tree, &mut triggers);
        }
        pipeline.put_some("triggers", triggers);
    }

    fn schedule(&mut self, path: &str, tree: &Node, triggers: &mut Map) {
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("schedule");
        let name = tree.get("name").and_then(Node::as_text).unwrap_or(stem);
        let Some(rule) = tree.get("trigger") else { return };
        let made = match rule.get("type").and_then(Node::as_text) {
            Some("recurrence") => recurrence::trigger(name, rule, &mut self.report, triggers),
            Some("cron") => {
                let mut made = Map::default();
                made.put("cron", rule.get("expression").and_then(Node::as_text).unwrap_or_default());
                recurrence::zone(rule, &mut self.report, &mut made);
                for (key, what) in [("start_time", "begins"), ("end_time", "ends")] {
                    if let Some(node) = rule.get(key) {
                        let message =
                            format!("the schedule `{name}` {what} at a time; a cron expression has none");
                        self.report.changed(
                            &node.place,
                            &mut made,
                            &message,
                            Some("write `every:` with `from` and `until`"),
                        );
                    }
                }
                Some(made)
            }
            other => {
                let message = format!("the schedule `{name}` is of the type `{}`", other.unwrap_or_default());
                self.report.gap(&rule.place, triggers, &message, Some("write `cron:` or `every:`"));
                None
            }
        };
        let Some(mut trigger) = made else { return };
        let mut inputs = Map::default();
        let given = tree.get("create_job").and_then(|node| node.get("inputs")).and_then(Node::as_map);
        for (key, node) in given.unwrap_or_default() {
            match node.as_map() {
                None => inputs.put(&name_of(&key.name), node.to_json()),
                Some(_) => {
                    let message = format!("the schedule gives data of Azure ML to `{}`", key.name);
                    self.report.gap(
                        &node.place,
                        &mut trigger,
                        &message,
                        Some("name a dataset: `data:name@latest`"),
                    );
                }
            }
        }
        trigger.put_some("inputs", inputs);
        let here = name_of(name);
        let known =
            ["$schema", "name", "display_name", "description", "trigger", "create_job", "tags", "properties"];
        self.report.others(tree, &known, "the schedule", &mut trigger);
        self.report.taken(&tree.place, format!("the schedule `{name}`"), format!("triggers.{here}"));
        triggers.put(&here, trigger);
    }

    /// Schedules of jobs that are no files.
    pub(super) fn orphans(&mut self, pipelines: &[(String, Node)]) {
        for (path, tree) in &self.schedules {
            let job = job_of(path, tree);
            if !job.is_some_and(|job| pipelines.iter().any(|(path, _)| *path == job)) {
                let message = "the schedule creates a job that is not among the files".to_owned();
                let hint =
                    "get it with `az ml job show -o yaml`, name its file in `create_job`, and import again";
                self.report.push(Outcome::NoCounterpart, &tree.place, message, None, Some(hint));
            }
        }
    }
}
