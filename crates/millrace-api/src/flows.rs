//! What is asked of the workspace's flows, and how a change to one becomes a change of its text.

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{TablePreview, TableRef};
use millrace_spec::edit::Change;
use millrace_spec::problem::Problem;
use millrace_spec::yaml;
use serde_json::{Map, Value, json};

use crate::views::flows::{FlowEdit, FlowKindView, FlowModel, FlowSummary, FlowUse};

/// A flow file.
#[derive(Debug, Clone)]
pub struct FlowFile {
    /// Path relative to the workspace.
    pub file: String,
    /// Its text.
    pub yaml: String,
    /// Changes with the text.
    pub etag: String,
    /// Why it cannot be written.
    pub read_only: Option<String>,
    /// Steps that run it.
    pub used_by: Vec<FlowUse>,
    /// Tables for its sources, as far as they are known.
    pub tables: IndexMap<String, String>,
}

/// The flows of the workspace, as they are now.
#[async_trait]
pub trait Flows: Send + Sync {
    /// The kinds of nodes, in the order of the manual.
    fn flow_kinds(&self) -> Vec<FlowKindView>;

    /// Every flow file, by name.
    async fn list_flows(&self) -> Vec<FlowSummary>;

    /// One by its name; `None` if there is no such file.
    async fn find_flow(&self, name: &str) -> Result<Option<FlowFile>, Problem>;

    /// Writes a text in place of the one with that etag, or as a new file. The code `changed-meanwhile` says that there is another text.
    async fn save_flow(&self, name: &str, yaml: String, etag: Option<&str>) -> Result<FlowFile, Problem>;

    /// What a text says: every node, whatever is wrong with others.
    async fn check_flow(&self, file: &str, yaml: &str, tables: &IndexMap<String, TableRef>) -> FlowModel;

    /// The first rows of a node; only what it needs has to be right.
    async fn preview_node(
        &self,
        yaml: &str,
        node: &str,
        tables: &IndexMap<String, TableRef>,
        limit: usize,
    ) -> Result<TablePreview, Problem>;
}

/// The changes to the text of a flow that an edit means. `example` gives a kind's own example.
pub(crate) fn changes(
    document: &Value,
    edit: FlowEdit,
    example: &dyn Fn(&str) -> Option<Value>,
) -> Result<Vec<Change>, Problem> {
    let nodes = document.get("nodes").and_then(Value::as_object).cloned().unwrap_or_default();
    let known = |id: &str| nodes.get(id).ok_or_else(|| unknown(id));
    let at = |id: &str, key: &str| vec!["nodes".to_owned(), id.to_owned(), key.to_owned()];
    Ok(match edit {
        FlowEdit::Add { id, kind, config, from } => {
            if nodes.contains_key(&id) || !is_word(&id) {
                let message = format!("`{id}` is taken, or no word of letters, digits and `_`");
                return Err(Problem::error("bad-node-name", message));
            }
            let config = config.map(|config| config.0).or_else(|| example(&kind));
            let config = config.ok_or_else(|| {
                Problem::error("unknown-transform", format!("there is no transform `{kind}`"))
            })?;
            let mut node = Map::from_iter([(kind, config)]);
            if let Some(from) = names(from) {
                node.insert("from".to_owned(), from);
            }
            vec![Change::Set { path: vec!["nodes".to_owned(), id], value: Value::Object(node) }]
        }
        FlowEdit::Remove { id } => {
            let node = known(&id)?;
            let mut changes = replaced(document, &nodes, &id, from_of(node).as_slice());
            changes.push(Change::Remove { path: vec!["nodes".to_owned(), id] });
            changes
        }
        FlowEdit::Rename { id, to } => {
            known(&id)?;
            if !is_word(&to) {
                let message = format!("`{to}` is no word of letters, digits and `_`");
                return Err(Problem::error("bad-node-name", message));
            }
            let mut changes = replaced(document, &nodes, &id, std::slice::from_ref(&to));
            changes.push(Change::Rename { path: vec!["nodes".to_owned(), id], to });
            changes
        }
        FlowEdit::Configure { id, config } => {
            let kind = kind_of(known(&id)?).ok_or_else(|| unknown(&id))?;
            vec![Change::Set { path: at(&id, &kind), value: config.0 }]
        }
        FlowEdit::Read { id, from } => {
            known(&id)?;
            vec![match names(from) {
                Some(value) => Change::Set { path: at(&id, "from"), value },
                None => Change::Remove { path: at(&id, "from") },
            }]
        }
        FlowEdit::Describe { id, text } => {
            let path = match id {
                Some(id) => {
                    known(&id)?;
                    at(&id, "description")
                }
                None => vec!["description".to_owned()],
            };
            vec![match text.trim() {
                "" => Change::Remove { path },
                text => Change::Set { path, value: text.into() },
            }]
        }
        FlowEdit::Output { outputs } => {
            let path = vec![output_key(document).to_owned()];
            let alone = outputs.0.len() == 1;
            vec![match outputs.0.get("data").filter(|_| alone) {
                Some(node) => Change::Set { path, value: node.clone().into() },
                None if outputs.0.is_empty() => Change::Remove { path },
                None => Change::Set { path, value: json!(outputs.0) },
            }]
        }
    })
}

fn unknown(id: &str) -> Problem {
    Problem::error("unknown-node", format!("there is no node `{id}` in the flow"))
}

fn is_word(id: &str) -> bool {
    !id.is_empty() && id.len() <= 100 && id.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}

/// The key that says what the flow gives: the one that stands there, else the usual one.
fn output_key(document: &Value) -> &'static str {
    if document.get("outputs").is_some() && document.get("output").is_none() { "outputs" } else { "output" }
}

/// One name alone, several as a list, none not at all.
fn names(from: Vec<String>) -> Option<Value> {
    match from.as_slice() {
        [] => None,
        [one] => Some(one.clone().into()),
        many => Some(json!(many)),
    }
}

/// What a node reads, as far as that is a name or a list of names.
pub fn from_of(node: &Value) -> Vec<String> {
    match node.get("from") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// The word of a node's kind: the first key that is none of those every node may have.
pub fn kind_of(node: &Value) -> Option<String> {
    let mut keys = node.as_object()?.keys();
    keys.find(|key| !matches!(key.as_str(), "from" | "description")).cloned()
}

/// Changes that put other names in place of a node wherever it is read. What is put there by several names, or by none, is left out.
fn replaced(document: &Value, nodes: &Map<String, Value>, id: &str, by: &[String]) -> Vec<Change> {
    let by = match by {
        [one] => Some(one.clone()),
        _ => None,
    };
    let swap = |name: &str| -> Option<String> {
        if name == id {
            return by.clone();
        }
        match name.rsplit_once('.') {
            // A part of the node: a renamed one keeps its parts, one that is gone has none.
            Some((node, part)) if node == id && !nodes.contains_key(name) => {
                by.as_ref().map(|by| if nodes.contains_key(by) { by.clone() } else { format!("{by}.{part}") })
            }
            _ => Some(name.to_owned()),
        }
    };
    let mut changes = Vec::new();
    for (other, node) in nodes.iter().filter(|(other, _)| *other != id) {
        let from = from_of(node);
        let after: Vec<String> = from.iter().filter_map(|name| swap(name)).collect();
        if after == from {
            continue;
        }
        let path = vec!["nodes".to_owned(), other.clone(), "from".to_owned()];
        changes.push(match names(after) {
            Some(value) => Change::Set { path, value },
            None => Change::Remove { path },
        });
    }
    let key = output_key(document);
    match document.get(key) {
        Some(Value::String(node)) => {
            let path = vec![key.to_owned()];
            match swap(node) {
                Some(other) if other == *node => {}
                Some(other) => changes.push(Change::Set { path, value: other.into() }),
                None => changes.push(Change::Remove { path }),
            }
        }
        Some(Value::Object(named)) => {
            for (name, node) in named {
                let node = node.as_str().unwrap_or_default();
                let path = vec![key.to_owned(), name.clone()];
                match swap(node) {
                    Some(other) if other == node => {}
                    Some(other) => changes.push(Change::Set { path, value: other.into() }),
                    None => changes.push(Change::Remove { path }),
                }
            }
        }
        _ => {}
    }
    changes
}

/// The text with the edits, one after the other.
pub(crate) fn edited(
    file: &str,
    text: &str,
    edits: Vec<FlowEdit>,
    example: &dyn Fn(&str) -> Option<Value>,
) -> Result<String, Problem> {
    let mut text = text.to_owned();
    for edit in edits {
        let document = yaml::parse(file, &text).map_err(|problem| *problem)?.to_json();
        let changes = changes(&document, edit, example)?;
        text = millrace_spec::edit::edit(file, &text, &changes).map_err(|problem| *problem)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::json::{Json, TextMap};

    const FLOW: &str = "nodes:
  orders: {source: orders}
  # Two parts.
  parts:
    split: {fractions: {train: 0.8, test: 0.2}}  # for training
    from: orders
  large: {filter: amount > 10, from: parts.train}
  both: {union: {}, from: [large, parts.test]}
output: {all: both, test: parts.test}
";

    fn check(edits: Vec<FlowEdit>) -> String {
        let example = |kind: &str| (kind == "limit").then(|| json!(10));
        match edited("flows/a.yaml", FLOW, edits, &example) {
            Ok(text) => text,
            Err(problem) => format!("{}: {}", problem.code, problem.message),
        }
    }

    #[test]
    fn a_renamed_node_is_renamed_where_it_is_read() {
        insta::assert_snapshot!(check(vec![FlowEdit::Rename { id: "parts".into(), to: "shares".into() }]), @r###"
        nodes:
          orders: {source: orders}
          # Two parts.
          shares:
            split: {fractions: {train: 0.8, test: 0.2}}  # for training
            from: orders
          large: {filter: amount > 10, from: shares.train}
          both: {union: {}, from: [large, shares.test]}
        output: {all: both, test: shares.test}
        "###);
        insta::assert_snapshot!(check(vec![FlowEdit::Rename { id: "parts".into(), to: "large".into() }]), @r###"cannot-edit: `flows/a.yaml` cannot be changed there by itself: there is a `large` already"###);
        insta::assert_snapshot!(check(vec![FlowEdit::Rename { id: "parts".into(), to: "a b".into() }]), @r###"bad-node-name: `a b` is no word of letters, digits and `_`"###);
    }

    #[test]
    fn what_read_a_removed_node_reads_what_it_read() {
        insta::assert_snapshot!(check(vec![FlowEdit::Remove { id: "large".into() }]), @r###"
        nodes:
          orders: {source: orders}
          # Two parts.
          parts:
            split: {fractions: {train: 0.8, test: 0.2}}  # for training
            from: orders
          both: {union: {}, from: [parts.train, parts.test]}
        output: {all: both, test: parts.test}
        "###);
        insta::assert_snapshot!(check(vec![FlowEdit::Remove { id: "orders".into() }]), @r###"
        nodes:
          # Two parts.
          parts:
            split: {fractions: {train: 0.8, test: 0.2}}  # for training
          large: {filter: amount > 10, from: parts.train}
          both: {union: {}, from: [large, parts.test]}
        output: {all: both, test: parts.test}
        "###);
        insta::assert_snapshot!(check(vec![FlowEdit::Remove { id: "none".into() }]), @r###"unknown-node: there is no node `none` in the flow"###);
    }

    #[test]
    fn nodes_are_added_connected_and_configured() {
        insta::assert_snapshot!(check(vec![
            FlowEdit::Add { id: "few".into(), kind: "limit".into(), config: None, from: vec!["both".into()] },
            FlowEdit::Configure { id: "few".into(), config: Json(json!(5)) },
            FlowEdit::Read { id: "both".into(), from: vec!["large".into()] },
            FlowEdit::Describe { id: Some("few".into()), text: "For a look".into() },
            FlowEdit::Output { outputs: TextMap([("data".to_owned(), "few".to_owned())].into_iter().collect()) },
        ]), @r###"
        nodes:
          orders: {source: orders}
          # Two parts.
          parts:
            split: {fractions: {train: 0.8, test: 0.2}}  # for training
            from: orders
          large: {filter: amount > 10, from: parts.train}
          both: {union: {}, from: large}
          few: {limit: 5, from: both, description: For a look}
        output: few
        "###);
        let unknown =
            FlowEdit::Add { id: "a".into(), kind: "no_such".into(), config: None, from: Vec::new() };
        insta::assert_snapshot!(check(vec![unknown]), @r###"unknown-transform: there is no transform `no_such`"###);
    }
}
