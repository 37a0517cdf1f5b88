//! Environments that are deployed into, and their rules: `environments.yaml`.
//!
//! They stand outside the pipelines: whoever writes a pipeline deploys into `production`, and somebody else says what that takes.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Approver, OnTimeout, Quorum};
use crate::duration::parse_ms;
use crate::hours::Hours;
use crate::problem::Problem;
use crate::suggest::nearest;
use crate::validate::{Violation, violations};
use crate::yaml;

/// The environments of a workspace by their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Environments(pub IndexMap<String, Environment>);

/// What a deployment into an environment takes; every rule must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// One sentence for listings.
    pub description: Option<String>,
    /// Endpoints that belong to it: every `deploy` to one of them keeps the rules, whether it names the environment or not.
    pub endpoints: Vec<String>,
    /// Who approves each deployment.
    pub approvers: Option<EnvironmentApproval>,
    /// Branches of the workspace's git repository that runs may come from, for example `main` or `release/*`; any if absent.
    pub branches: Vec<String>,
    /// When it may be deployed into.
    pub hours: Option<Hours>,
    /// Whether one run at a time has it, from its first deployment into it to its end.
    pub exclusive: bool,
    /// Numbers that the model must have reached.
    pub evaluation: Vec<RequiredEvaluation>,
}

/// Who approves each deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentApproval {
    /// Who may decide.
    pub by: Vec<Approver>,
    /// How many people must approve, or `each`.
    #[serde(default)]
    pub min: Quorum,
    /// Longest time to wait, for example `3d`.
    #[serde(default)]
    pub timeout: Option<String>,
    /// What happens then.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// Whether who started the run may approve.
    #[serde(default, rename = "self")]
    pub own: bool,
    /// Channels of `channels.yaml` that are told.
    #[serde(default)]
    pub notify: Vec<String>,
}

/// A number that an `evaluate` step must have found for the model that is deployed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredEvaluation {
    /// The dataset, `churn_holdout`; with a version, `churn_holdout@3`, only that one.
    pub data: String,
    /// The metric, `auc`.
    pub metric: String,
    /// Smallest value.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// Largest value.
    #[serde(default)]
    pub at_most: Option<f64>,
}

impl RequiredEvaluation {
    /// Name and version of the dataset.
    pub fn dataset(&self) -> (&str, Option<u64>) {
        let data = self.data.strip_prefix("data:").unwrap_or(&self.data);
        match data.split_once('@') {
            Some((name, version)) => (name, version.parse().ok()),
            None => (data, None),
        }
    }

    /// Whether a value is good enough; NaN never is.
    pub fn accepts(&self, value: f64) -> bool {
        self.at_least.is_none_or(|least| value >= least)
            && self.at_most.is_none_or(|most| value <= most)
            && !value.is_nan()
    }

    /// For people: `auc of at least 0.8 on churn_holdout`.
    pub fn words(&self) -> String {
        let least = self.at_least.map(|least| format!("at least {least}"));
        let most = self.at_most.map(|most| format!("at most {most}"));
        let limits: Vec<String> = least.into_iter().chain(most).collect();
        format!("{} of {} on {}", self.metric, limits.join(" and "), self.data.trim_start_matches("data:"))
    }
}

impl Environments {
    /// Reads the file. `access` knows groups and roles, `zone` is the workspace's.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str, access: &Access, zone: &str) -> Result<Self, Vec<Problem>> {
        let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        if matches!(node.value, yaml::NodeValue::Null) {
            return Ok(Self::default());
        }
        let value = node.to_json();
        let found = violations(&Self::schema(), &value);
        if !found.is_empty() {
            let problem = |violation: &Violation| {
                let problem = wrong(violation.message.clone()).at(violation.place_in(&node));
                violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))
            };
            return Err(found.iter().map(problem).collect());
        }
        let all: Self = serde_json::from_value(value)
            .map_err(|error| vec![wrong(error.to_string()).at(node.place.clone())])?;
        let mut problems = Vec::new();
        for (name, environment) in &all.0 {
            if let Err((below, problem)) = environment.check(name, access, zone) {
                problems.push(problem.at(node.nearest(&format!("/{name}{below}")).place.clone()));
            }
        }
        for (name, environment) in &all.0 {
            let others = || all.0.iter().filter(|(other, _)| *other != name);
            for (index, endpoint) in environment.endpoints.iter().enumerate() {
                if let Some((other, _)) = others().find(|(_, other)| other.endpoints.contains(endpoint)) {
                    let place = node.nearest(&format!("/{name}/endpoints/{index}")).place.clone();
                    problems.push(wrong(format!("`{endpoint}` belongs to `{other}` too")).at(place));
                }
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// The JSON Schema of the file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// An environment by its name.
    ///
    /// # Errors
    /// If there is none: with a near name, if there is one.
    pub fn named(&self, name: &str) -> Result<&Environment, Problem> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let problem = Problem::error("unknown-environment", format!("there is no environment `{name}`"));
            match nearest(name, &known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("add it to `environments.yaml`: {name}: {{}}")),
            }
        })
    }

    /// The environment that an endpoint belongs to.
    pub fn of_endpoint(&self, endpoint: &str) -> Option<&str> {
        let owner =
            self.0.iter().find(|(_, environment)| environment.endpoints.iter().any(|name| name == endpoint));
        owner.map(|(name, _)| name.as_str())
    }
}

impl Environment {
    /// Whether runs of a branch may deploy; a `*` stands for any characters.
    pub fn allows_branch(&self, branch: &str) -> bool {
        self.branches.is_empty() || self.branches.iter().any(|pattern| matches_pattern(pattern, branch))
    }

    /// The first thing that is wrong, with the JSON pointer below the environment.
    fn check(&self, name: &str, access: &Access, zone: &str) -> Result<(), (String, Problem)> {
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if !is_name {
            let problem = wrong(format!("`{name}` is not a name for an environment"));
            return Err((String::new(), problem.hint("use a-z, 0-9, `_` and `-`, starting with a letter")));
        }
        if let Some(approval) = &self.approvers {
            if approval.by.is_empty() {
                return Err((
                    "/approvers/by".to_owned(),
                    wrong("`by` names nobody".to_owned()).hint("by: [role:ml_owner]"),
                ));
            }
            for (index, approver) in approval.by.iter().enumerate() {
                if let Some(problem) = access.unknown(approver) {
                    return Err((format!("/approvers/by/{index}"), problem));
                }
            }
            if approval.timeout.as_deref().is_some_and(|text| parse_ms(text).is_none_or(|ms| ms == 0)) {
                let problem =
                    Problem::error("not-a-duration", "`timeout` is not a duration").hint("timeout: 3d");
                return Err(("/approvers/timeout".to_owned(), problem));
            }
            if approval.on_timeout != OnTimeout::Reject && approval.timeout.is_none() {
                let problem =
                    wrong("`on_timeout` does nothing without a `timeout`".to_owned()).hint("timeout: 3d");
                return Err(("/approvers/on_timeout".to_owned(), problem));
            }
        }
        if let Some(hours) = &self.hours {
            hours.read(zone).map_err(|error| (format!("/hours/{}", error.field), wrong(error.message)))?;
        }
        for (index, evaluation) in self.evaluation.iter().enumerate() {
            if evaluation.at_least.is_none() && evaluation.at_most.is_none() {
                let problem = wrong("an evaluation needs a limit".to_owned()).hint("at_least: 0.8");
                return Err((format!("/evaluation/{index}"), problem));
            }
        }
        Ok(())
    }
}

fn wrong(message: String) -> Problem {
    Problem::error("environments-file", message)
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "production:\n  endpoints: [churn]\n  approvers: {by: [role:ml_owner], min: 1, timeout: 3d}\n  branches: [main, release/*]\n  \
                        hours: {days: mon-fri, from: \"09:00\", until: \"17:00\", timezone: Europe/Berlin}\n  exclusive: true\n  \
                        evaluation:\n    - {data: churn_holdout@3, metric: auc, at_least: 0.8}\nstaging: {}\n";

    fn access() -> Access {
        Access::parse("access.yaml", "roles: {ml_owner: [user:anna]}\n").unwrap()
    }

    #[test]
    fn a_file_is_read() {
        let all = Environments::parse("environments.yaml", FILE, &access(), "UTC").unwrap();
        assert_eq!(all.of_endpoint("churn"), Some("production"));
        let production = all.named("production").unwrap();
        for (branch, allowed) in
            [("main", true), ("release/1.2", true), ("maintenance", false), ("feature/main", false)]
        {
            assert_eq!(production.allows_branch(branch), allowed, "{branch}");
        }
        let evaluation = &production.evaluation[0];
        assert_eq!(evaluation.dataset(), ("churn_holdout", Some(3)));
        assert!(evaluation.accepts(0.8) && !evaluation.accepts(0.79) && !evaluation.accepts(f64::NAN));
        assert_eq!(all.named("prodution").unwrap_err().hints, ["did you mean `production`?"]);
    }

    #[test]
    fn a_wrong_file_is_refused_at_its_place() {
        let refused = |from: &str, to: &str| {
            let problems =
                Environments::parse("environments.yaml", &FILE.replace(from, to), &access(), "UTC")
                    .unwrap_err();
            let place = problems[0].place.clone().unwrap();
            (place.line, place.column)
        };
        assert_eq!(refused("role:ml_owner", "role:ml_ownr"), (3, 20));
        assert_eq!(refused("Europe/Berlin", "Europe/Berlim").0, 5);
        assert_eq!(refused("exclusive", "exklusive"), (6, 3));
        assert_eq!(refused(", at_least: 0.8", "").0, 8);
        assert_eq!(refused("staging: {}", "staging: {endpoints: [churn]}").0, 2);
    }

    #[test]
    fn patterns_have_any_number_of_stars() {
        for (pattern, text, fits) in [
            ("*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("*b*", "abc", true),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), fits, "{pattern} {text}");
        }
    }
}
