//! Endpoints as users write them in `endpoints/*.yaml`.

use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use millrace_spec::validate::{Violation, violations};
use millrace_spec::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stable address and the model versions behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// Name, part of the address: letters, digits, `_` and `-`.
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"))]
    pub endpoint: String,
    /// One sentence for listings.
    #[serde(default)]
    pub description: Option<String>,
    /// Deployments by name. Without them, `deploy` steps bring them.
    #[serde(default)]
    pub deployments: IndexMap<String, DeploymentSpec>,
    /// What is kept of requests and answers.
    #[serde(default)]
    pub log: LogSpec,
    /// Requests that are worked on at once; a further one is refused.
    #[serde(default = "default_max_concurrent")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent: u32,
}

/// A model version behind an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSpec {
    /// Model in the registry: `name`, `name@3` or `name@alias`.
    pub model: String,
    /// Per cent of the requests; those of an endpoint add up to 0 or 100.
    #[schemars(range(min = 0, max = 100))]
    pub traffic: u32,
}

/// What is kept of requests and answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// Share of the requests that are logged, 0 to 1.
    #[serde(default = "everything")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self { sample: everything() }
    }
}

fn everything() -> f64 {
    1.0
}

fn default_max_concurrent() -> u32 {
    256
}

/// An endpoint's file.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointFile {
    /// What it says.
    pub spec: EndpointSpec,
    /// Path relative to the workspace.
    pub file: String,
    /// Its text.
    pub yaml: String,
}

impl EndpointSpec {
    /// An endpoint that no file describes.
    pub(crate) fn unwritten(name: &str) -> Self {
        Self {
            endpoint: name.to_owned(),
            description: None,
            deployments: IndexMap::new(),
            log: LogSpec::default(),
            max_concurrent: default_max_concurrent(),
        }
    }

    /// The JSON Schema of a file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl EndpointFile {
    /// Reads a file; `file` is the path shown in problems.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        let value = node.to_json();
        let found = violations(&EndpointSpec::schema(), &value);
        if !found.is_empty() {
            let problem = |violation: &Violation| {
                let problem =
                    Problem::error("endpoint-file", violation.message.clone()).at(violation.place_in(&node));
                violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))
            };
            return Err(found.iter().map(problem).collect());
        }
        let spec: EndpointSpec = serde_json::from_value(value).map_err(|error| {
            vec![Problem::error("endpoint-file", error.to_string()).at(node.place.clone())]
        })?;
        let at = |pointer: &str| node.nearest(pointer).place.clone();
        check_name("an endpoint", &spec.endpoint).map_err(|problem| vec![problem.at(at("/endpoint"))])?;
        for name in spec.deployments.keys() {
            check_name("a deployment", name)
                .map_err(|problem| vec![problem.at(at(&format!("/deployments/{name}")))])?;
        }
        let total: u32 = spec.deployments.values().map(|deployment| deployment.traffic).sum();
        if total != 0 && total != 100 {
            let problem = Problem::error(
                "traffic",
                format!("the shares of traffic add up to {total}, not to 100 or 0"),
            );
            return Err(vec![
                problem.at(at("/deployments")).hint("give the deployments shares that add up to 100"),
            ]);
        }
        Ok(Self { spec, file: file.to_owned(), yaml: text.to_owned() })
    }
}

/// Names are parts of addresses and folders: letters, digits, `_` and `-`, first a letter, at most 64.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    let good = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if good {
        return Ok(());
    }
    let message = format!("`{name}` is not a name for {what}");
    Err(Problem::error("invalid-name", message)
        .hint("use letters, digits, `_` and `-`, a letter first, at most 64 characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "endpoint: flights\ndeployments:\n  blue: {model: late@champion, traffic: 90}\n  green: {model: late@2, traffic: 10}\nlog: {sample: 0.5}\n";

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let file = EndpointFile::parse("endpoints/flights.yaml", FILE).unwrap();
        assert_eq!((file.spec.max_concurrent, file.spec.log.sample), (256, 0.5));
        assert_eq!(
            file.spec.deployments["green"],
            DeploymentSpec { model: "late@2".to_owned(), traffic: 10 }
        );
    }

    #[test]
    fn a_wrong_file_is_refused_at_its_place() {
        let refused = |from: &str, to: &str| {
            let problems = EndpointFile::parse("e.yaml", &FILE.replace(from, to)).unwrap_err();
            let text = |problem: &Problem| {
                let place = problem.place.as_ref().unwrap();
                let hints = problem.hints.join("; ");
                format!("{}:{} {} [{hints}]", place.line, place.column, problem.message)
            };
            problems.iter().map(text).collect::<Vec<_>>().join("\n")
        };
        let all = [
            refused("traffic: 10", "traffic: 20"),
            refused("traffic: 10", "trafic: 10"),
            refused("sample: 0.5", "sample: 2"),
            refused("endpoint: flights", "endpoint: ../up"),
            refused("green", "gr een"),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        3:3 the shares of traffic add up to 110, not to 100 or 0 [give the deployments shares that add up to 100]
        4:26 there is no key `trafic` [did you mean `traffic`?]
        4:10 the key `traffic` is missing []
        5:15 `2` is out of range: at most 1 []
        1:11 `../up` is not a name for an endpoint [use letters, digits, `_` and `-`, a letter first, at most 64 characters]
        4:11 `gr een` is not a name for a deployment [use letters, digits, `_` and `-`, a letter first, at most 64 characters]
        "#);
    }
}
