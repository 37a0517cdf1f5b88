use indexmap::IndexMap;
use millrace_spec::duration::Elapsed;
use millrace_spec::problem::Problem;
use millrace_spec::validate::{Violation, violations};
use millrace_spec::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `lineage.yaml` says: under which name this workspace appears in lineage, and who is told of its runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineageFile {
    /// Namespace of this workspace's jobs and datasets; `millrace/` and the workspace's name if absent.
    #[serde(default)]
    pub namespace: Option<String>,
    /// How often a run or a step that goes on is told again, as RUNNING; `10m` if absent.
    #[serde(default)]
    pub still_running: Option<Elapsed>,
    /// Who is told, by name.
    #[serde(default)]
    pub receivers: IndexMap<String, Receiver>,
}

/// Who is told of runs: a server that takes OpenLineage's events, or a file. Values may be `${{ secrets.NAME }}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Address of the server; without a path, events go to `/api/v1/lineage` of it.
    #[serde(default)]
    pub url: Option<String>,
    /// Headers of the requests.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// File of the workspace that events are added to, a line each.
    #[serde(default)]
    pub file: Option<String>,
}

/// Where events go, its secrets in place.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// Sent to a server.
    Server {
        /// With its path.
        url: url::Url,
        /// Name and value.
        headers: Vec<(String, String)>,
    },
    /// Added to a file.
    File(String),
}

/// How often what goes on is told again, if the file does not say.
const STILL_RUNNING: Elapsed = Elapsed::from_ms(600_000);
/// Not oftener than this, milliseconds.
const AT_MOST: u64 = 1_000;

impl LineageFile {
    /// How often what goes on is told again, microseconds.
    pub(super) fn still_running_micros(&self) -> i64 {
        let every = self.still_running.unwrap_or(STILL_RUNNING);
        Elapsed::from_ms(every.ms.max(AT_MOST)).micros()
    }

    /// Reads the file; `file` is the path shown in problems.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        if matches!(node.value, yaml::NodeValue::Null) {
            return Ok(Self::default());
        }
        let value = node.to_json();
        let problem = |violation: &Violation| {
            let problem =
                Problem::error("lineage-file", violation.message.clone()).at(violation.place_in(&node));
            violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))
        };
        let mut problems: Vec<Problem> = violations(&Self::schema(), &value).iter().map(problem).collect();
        let parsed = serde_json::from_value::<Self>(value);
        for (name, receiver) in parsed.iter().flat_map(|parsed| &parsed.receivers) {
            let place = node.nearest(&format!("/receivers/{name}")).place.clone();
            let wrong = match (&receiver.url, &receiver.file) {
                (Some(_), Some(_)) => Some("has both a `url` and a `file`"),
                (None, None) => Some("has neither a `url` nor a `file`"),
                (Some(url), None) if !url.contains("${{") && server(url).is_none() => {
                    Some("has no `http://` or `https://` address")
                }
                (None, Some(path)) if !is_inside(path) => Some("has a `file` outside of the workspace"),
                _ => None,
            };
            if let Some(wrong) = wrong {
                let problem =
                    Problem::error("lineage-file", format!("the receiver `{name}` {wrong}")).at(place);
                problems.push(
                    problem.hint("write `url: https://HOST/api/v1/lineage`, or `file: lineage.ndjson`"),
                );
            }
        }
        match parsed {
            Ok(parsed) if problems.is_empty() => Ok(parsed),
            Err(error) if problems.is_empty() => {
                Err(vec![Problem::error("lineage-file", error.to_string()).at(node.place.clone())])
            }
            _ => Err(problems),
        }
    }

    /// The JSON Schema of the file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl Receiver {
    /// Where its events go; its secrets are in place.
    pub(super) fn destination(&self) -> Result<Destination, String> {
        match (&self.url, &self.file) {
            (Some(url), _) => {
                let url = server(url).ok_or("its `url` is no `http://` or `https://` address")?;
                let headers = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
                Ok(Destination::Server { url, headers: headers.collect() })
            }
            (None, Some(path)) if is_inside(path) => Ok(Destination::File(path.clone())),
            _ => Err("it has no destination".to_owned()),
        }
    }
}

fn server(text: &str) -> Option<url::Url> {
    let mut url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if matches!(url.path(), "" | "/") {
        url.set_path("/api/v1/lineage");
    }
    Some(url)
}

fn is_inside(path: &str) -> bool {
    let path = std::path::Path::new(path);
    path.components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
        && path.components().next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        let line = |problem: Problem| {
            let place =
                problem.place.map(|place| format!("{}:{}", place.line, place.column)).unwrap_or_default();
            format!("{place}: {}", problem.message)
        };
        LineageFile::parse("lineage.yaml", text).err().unwrap_or_default().into_iter().map(line).collect()
    }

    #[test]
    fn receivers_are_servers_or_files() {
        let text = "namespace: shop\nreceivers:\n  a: {url: \"http://127.0.0.1:5000\", headers: {X: \"${{ secrets.k }}\"}}\n  b: {file: out/lineage.ndjson}\n";
        let file = LineageFile::parse("lineage.yaml", text).unwrap();
        let destinations: Vec<_> =
            file.receivers.values().map(|receiver| receiver.destination().unwrap()).collect();
        let url = "http://127.0.0.1:5000/api/v1/lineage".parse().unwrap();
        let headers = vec![("X".to_owned(), "${{ secrets.k }}".to_owned())];
        assert!(
            destinations
                == [Destination::Server { url, headers }, Destination::File("out/lineage.ndjson".to_owned())]
        );
        assert_eq!(LineageFile::parse("lineage.yaml", ""), Ok(LineageFile::default()));
    }

    #[test]
    fn mistakes_are_told_where_they_stand() {
        assert_eq!(wrong("receiver: {}"), ["1:1: there is no key `receiver`"]);
        assert_eq!(wrong("receivers: {a: {}}"), ["1:16: the receiver `a` has neither a `url` nor a `file`"]);
        assert_eq!(
            wrong("receivers: {a: {url: ftp://x}}"),
            ["1:16: the receiver `a` has no `http://` or `https://` address"]
        );
        assert_eq!(
            wrong("receivers: {a: {file: ../x}}"),
            ["1:16: the receiver `a` has a `file` outside of the workspace"]
        );
    }
}
