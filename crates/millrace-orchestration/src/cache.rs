//! The step cache: what a result depends on, and the first thing that differs when an earlier result does not fit.
//!
//! A key is BLAKE3 over named components: kind and its version, resolved config, code, environment, inputs by **content** digest. An
//! upstream step that reruns to identical bytes therefore cuts off what follows it.

use indexmap::IndexMap;
use millrace_contract::StepContext;
use millrace_spec::asset::Asset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that a result depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `blake3:<hex>` of the thing.
    pub digest: String,
    /// The thing for people, shortened; empty if it may hold a secret.
    pub shown: String,
}

/// Everything a result depends on, by name.
pub type Components = IndexMap<String, Component>;

/// What became of the look in the cache; stored with the step and shown by `millrace why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum ReuseDecision {
    /// An earlier result stands in.
    Reused {
        /// The run that made it.
        from_run: String,
    },
    /// It did not run, since this run goes on from an earlier one.
    TakenOver {
        /// The run that made it.
        from_run: String,
    },
    /// It ran, since this differs from the nearest earlier result.
    Changed {
        /// Name of the first differing component.
        component: String,
        /// As it was.
        before: String,
        /// As it is.
        after: String,
        /// The run it was compared with.
        compared_with: String,
    },
    /// It ran, since there is no earlier result.
    FirstTime,
    /// It ran, since the files of the earlier result are gone.
    OutputsGone {
        /// The run that had made them.
        from_run: String,
    },
    /// It ran, since what the earlier run did outside its outputs no longer holds.
    Undone {
        /// The run that had done it.
        from_run: String,
    },
    /// It ran, since this kind, config or policy never reuses.
    NotReusable {
        /// Why.
        why: String,
    },
}

impl ReuseDecision {
    /// This decision, once the kind has said that the earlier result does not hold.
    pub(crate) fn undone(self) -> Self {
        match self {
            Self::Reused { from_run } => Self::Undone { from_run },
            other => other,
        }
    }

    /// One sentence for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Reused { from_run } => {
                format!("reused the result of run {from_run}: nothing it depends on changed")
            }
            Self::TakenOver { from_run } => format!("took over what it left in run {from_run}"),
            Self::Changed { component, before, after, .. } if before.is_empty() && after.is_empty() => {
                format!("ran because {component} changed")
            }
            Self::Changed { component, before, after, .. } => {
                format!("ran because {component} changed from {} to {}", quoted(before), quoted(after))
            }
            Self::FirstTime => "ran because no earlier result of this step is kept".to_owned(),
            Self::OutputsGone { from_run } => format!("ran because the outputs of run {from_run} are gone"),
            Self::Undone { from_run } => {
                format!("ran because what run {from_run} did does not hold any more")
            }
            Self::NotReusable { why } => format!("ran because {why}"),
        }
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") }
}

/// Builds a component from text.
fn component(text: &str, shown: String) -> Component {
    Component { digest: format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()), shown }
}

/// What the result of this attempt depends on. `code` holds the digests of the step's own files, `environment` that of its lock file.
pub fn components(
    kind: &str,
    kind_version: u32,
    context: &StepContext,
    code: &IndexMap<String, String>,
    environment: Option<&str>,
) -> Components {
    let mut all = Components::new();
    let version = format!("{kind} v{kind_version}");
    all.insert("the kind".to_owned(), component(&version, version.clone()));
    for (file, digest) in code {
        all.insert(format!("the file {file}"), component(digest, digest.chars().take(19).collect()));
    }
    if let Some(digest) = environment {
        all.insert("the environment".to_owned(), component(digest, digest.chars().take(19).collect()));
    }
    for (name, value) in &context.inputs {
        all.insert(format!("the input {name}"), value_component(value, &context.secrets));
    }
    match &context.config {
        Value::Object(fields) => {
            for (name, value) in fields {
                all.insert(format!("{kind}.{name}"), value_component(value, &context.secrets));
            }
        }
        value => {
            all.insert(format!("the {kind} text"), value_component(value, &context.secrets));
        }
    }
    let outputs = serde_json::to_string(&context.outputs).unwrap_or_default();
    all.insert("the declared outputs".to_owned(), component(&outputs, outputs.clone()));
    all
}

/// Builds a component from a value; one that holds a secret is not shown.
pub fn value_component(value: &Value, secrets: &[String]) -> Component {
    let by_content = by_content(value);
    let text = by_content.to_string();
    let shown = match Asset::from_value(value) {
        Some(asset) => asset.label(),
        None => text.chars().take(120).collect(),
    };
    let holds_secret = secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret.as_str()));
    component(&text, if holds_secret { String::new() } else { shown })
}

/// The value with each asset replaced by its kind and content digest, so that names, versions and places do not matter.
fn by_content(value: &Value) -> Value {
    if let Some(asset) = Asset::from_value(value) {
        return serde_json::json!({"asset": asset.kind, "digest": asset.digest});
    }
    match value {
        Value::Array(items) => items.iter().map(by_content).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), by_content(value))).collect())
        }
        plain => plain.clone(),
    }
}

/// The key: BLAKE3 over the components' names and digests.
pub fn cache_key(components: &Components) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, component) in components {
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(component.digest.as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize().to_hex().to_string()
}

/// The first component that differs from an earlier result's: changed, new, or gone.
pub fn first_difference(earlier: &Components, now: &Components) -> Option<(String, String, String)> {
    let shown = |component: Option<&Component>| component.map(|c| c.shown.clone()).unwrap_or_default();
    for (name, component) in now {
        let before = earlier.get(name);
        if before.map(|c| &c.digest) != Some(&component.digest) {
            return Some((name.clone(), shown(before), component.shown.clone()));
        }
    }
    earlier
        .iter()
        .find(|(name, _)| !now.contains_key(*name))
        .map(|(name, c)| (name.clone(), c.shown.clone(), String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Components {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), component(text, (*text).to_owned()))).collect()
    }

    #[test]
    fn the_key_depends_on_names_and_content_only() {
        assert_eq!(cache_key(&of(&[("a", "1"), ("b", "2")])), cache_key(&of(&[("a", "1"), ("b", "2")])));
        assert_ne!(cache_key(&of(&[("a", "1"), ("b", "2")])), cache_key(&of(&[("a", "1"), ("b", "3")])));
        assert_ne!(cache_key(&of(&[("a", "1")])), cache_key(&of(&[("b", "1")])));
    }

    #[test]
    fn the_first_difference_names_what_changed() {
        let earlier = of(&[("the kind", "sql v1"), ("sql.query", "select 1")]);
        let now = of(&[("the kind", "sql v1"), ("sql.query", "select 2")]);
        assert_eq!(
            first_difference(&earlier, &now),
            Some(("sql.query".to_owned(), "select 1".to_owned(), "select 2".to_owned()))
        );
        assert_eq!(first_difference(&now, &now), None);
        assert_eq!(
            first_difference(&now, &of(&[("the kind", "sql v1")])).map(|d| d.0),
            Some("sql.query".to_owned())
        );
    }

    #[test]
    fn assets_count_by_content_not_by_name() {
        let asset = |name: &str, digest: &str| serde_json::json!({"asset": "table", "name": name, "version": 3, "uri": "file:///x", "digest": digest});
        assert_eq!(by_content(&asset("a", "blake3:1")), by_content(&asset("b", "blake3:1")));
        assert_ne!(by_content(&asset("a", "blake3:1")), by_content(&asset("a", "blake3:2")));
    }

    #[test]
    fn values_with_secrets_are_not_shown() {
        let component =
            value_component(&serde_json::json!({"password": "hunter22"}), &["hunter22".to_owned()]);
        assert_eq!(component.shown, "");
    }
}
