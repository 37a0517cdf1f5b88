//! Sweep jobs: a step that is done for points of a search space.

use millrace_spec::yaml::Node;
use serde_json::{Value, json};

use super::Maker;
use crate::names::name_of;
use crate::yaml_out::Map;

/// Trials that Azure ML tries if nothing else is said.
const TRIALS: u64 = 1_000;

impl Maker<'_, '_> {
    /// `sweep:` of a job, and the time of each trial.
    pub(super) fn sweep(&mut self, job: &Node, step: &mut Map) {
        let mut sweep = Map::default();
        self.search_space(job, step, &mut sweep);
        let text = |path: [&str; 2]| job.get(path[0])?.get(path[1])?.as_text().map(str::to_owned);
        let goal = text(["objective", "goal"]).unwrap_or_else(|| "maximize".to_owned());
        let metric = text(["objective", "primary_metric"]).unwrap_or_default();
        sweep.put("objective", format!("{goal} {metric}"));
        let is_grid = self.sampling(job, step, &mut sweep);
        let limits = job.get("limits");
        let limit = |key: &str| limits.and_then(|limits| limits.get(key)?.to_json().as_u64());
        match limit("max_total_trials") {
            Some(trials) => sweep.put("trials", json!(trials)),
            None if !is_grid => sweep.put("trials", json!(TRIALS)),
            None => {}
        }
        if let Some(parallel) = limit("max_concurrent_trials") {
            sweep.put("parallel", json!(parallel));
        }
        self.early_termination(job, step, &mut sweep);
        step.put("sweep", sweep);
        if let Some(seconds) = limit("trial_timeout") {
            step.put("timeout", format!("{seconds}s"));
        }
        if let Some(limits) = limits {
            let known = ["max_total_trials", "max_concurrent_trials", "trial_timeout"];
            self.import.report.others(limits, &known, "the limits", step);
        }
    }

    fn search_space(&mut self, job: &Node, step: &mut Map, sweep: &mut Map) {
        let mut search = Map::default();
        for (key, node) in job.get("search_space").and_then(Node::as_map).unwrap_or_default() {
            let number = |field: &str| node.get(field).and_then(|node| node.to_json().as_f64());
            let bounds = number("min_value").zip(number("max_value"));
            let range = |word: &str, from: Value, to: Value| {
                let mut range = Map::default();
                range.put(word, json!([from, to]));
                range
            };
            let (name, kind) =
                (name_of(&key.name), node.get("type").and_then(Node::as_text).unwrap_or_default());
            match (kind, bounds) {
                ("choice", _) => search.put(&name, node.get("values").map(Node::to_json).unwrap_or_default()),
                ("uniform", Some((from, to))) => search.put(&name, range("uniform", json!(from), json!(to))),
                // Azure ML's bounds are those of the logarithm.
                ("loguniform", Some((from, to))) => {
                    search.put(&name, range("loguniform", json!(from.exp()), json!(to.exp())));
                }
                ("randint", _) if number("upper").is_some() => {
                    let upper = node.get("upper").map(Node::to_json).unwrap_or_default();
                    search.put(&name, range("randint", json!(0), upper));
                }
                _ => {
                    let message = format!("`{}` is drawn from `{kind}`, which has no counterpart", key.name);
                    let hint = format!("write values or a range: `{name}: {{uniform: [0, 1]}}`");
                    self.import.report.gap(&node.place, step, &message, Some(&hint));
                }
            }
        }
        sweep.put("search", search);
    }

    /// Answers whether every combination is tried.
    fn sampling(&mut self, job: &Node, step: &mut Map, sweep: &mut Map) -> bool {
        let node = job.get("sampling_algorithm");
        let kind = node.and_then(|node| node.as_text().or_else(|| node.get("type")?.as_text()));
        match (kind.unwrap_or("random"), node) {
            ("grid", _) => {
                sweep.put("sampling", "grid");
                return true;
            }
            ("random", node) => {
                if let Some(seed) = node.and_then(|node| node.get("seed")?.to_json().as_u64()) {
                    sweep.put("seed", json!(seed));
                }
                if let Some(rule) =
                    node.and_then(|node| node.get("rule")).filter(|rule| rule.as_text() != Some("random"))
                {
                    let message = "points are drawn at random, not by a sequence";
                    self.import.report.changed(&rule.place, step, message, None);
                }
            }
            (other, Some(node)) => {
                let message = format!("points are drawn at random, not by `{other}`");
                self.import.report.changed(&node.place, step, &message, Some("give it more `trials`"));
            }
            (_, None) => {}
        }
        sweep.put("sampling", "random");
        false
    }

    fn early_termination(&mut self, job: &Node, step: &mut Map, sweep: &mut Map) {
        let Some(node) = job.get("early_termination") else { return };
        let kind = node.get("type").and_then(Node::as_text).unwrap_or_default();
        let mut own = Map::default();
        let mut known = vec!["type", "delay_evaluation", "evaluation_interval"];
        let fields: &[(&str, &str)] = match kind {
            "bandit" => &[("slack_factor", "slack_factor"), ("slack_amount", "slack_amount")],
            "truncation_selection" => &[("truncation_percentage", "percent")],
            _ => &[],
        };
        for (theirs, ours) in fields {
            known.push(theirs);
            if let Some(value) = node.get(theirs) {
                own.put(ours, value.to_json());
            }
        }
        let whole = |key: &str| node.get(key).and_then(|node| node.to_json().as_u64());
        own.put("after", json!(whole("delay_evaluation").unwrap_or(0)));
        own.put("every", json!(whole("evaluation_interval").unwrap_or(1).max(1)));
        let word = match kind {
            "bandit" => "bandit",
            "median_stopping" => "median",
            "truncation_selection" => "truncation",
            _ => {
                let message = format!("the policy `{kind}` has no counterpart; no trial is stopped early");
                self.import.report.gap(&node.place, step, &message, Some("stop: median"));
                return;
            }
        };
        let mut stop = Map::default();
        stop.put(word, own);
        sweep.put("stop", stop);
        self.import.report.others(node, &known, "the policy", step);
    }
}
