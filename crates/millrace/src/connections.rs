//! `connections.yaml`: where outside data is, and which secrets open it.

use millrace_contract::{Explain as _, SecretSource as _};
use millrace_spec::expression;
use millrace_spec::problem::Problem;
use millrace_spec::secret::{self, Secrets};
use millrace_spec::yaml::{self, Node, NodeValue};
use millrace_transfer::{Connection, Connections};
use serde_json::{Map, Value, json};

use crate::declared::Declared;
use crate::workspace::{Workspace, read};

/// The file's name, in the workspace's root.
pub(crate) const CONNECTIONS: &str = "connections.yaml";

impl Workspace {
    /// What `connections.yaml` says now. No file, no connections; one with a secret that has no value is there, but cannot be used.
    pub(crate) fn connections(&self) -> Declared<Connections> {
        let file = CONNECTIONS.to_owned();
        if !self.root.join(CONNECTIONS).exists() {
            return Declared { file, text: String::new(), content: Ok(Connections::new()) };
        }
        match read(&self.root, CONNECTIONS) {
            Ok(text) => {
                let content = yaml::parse(CONNECTIONS, &text).map_err(|problem| vec![*problem]);
                Declared { content: content.map(|tree| resolved(&tree, &self.secrets.secrets())), file, text }
            }
            Err(error) => Declared { file, text: String::new(), content: Err(vec![error.problem()]) },
        }
    }
}

fn resolved(tree: &Node, secrets: &Secrets) -> Connections {
    let context = json!({"secrets": secrets.to_value()});
    let resolve = |name: &str, node: &Node| {
        let user = format!("the connection `{name}`");
        match (Resolver { user: &user, secrets, context: &context }).value(node) {
            Ok(settings) => settings.into(),
            Err(problem) => Connection { settings: node.to_json(), unusable: Some(problem) },
        }
    };
    let fields = tree.as_map().unwrap_or_default().iter();
    fields.map(|(key, node)| (key.name.clone(), resolve(&key.name, node))).collect()
}

/// Puts secrets in place of expressions.
struct Resolver<'a> {
    /// Whose settings they are, for messages.
    user: &'a str,
    secrets: &'a Secrets,
    context: &'a Value,
}

impl Resolver<'_> {
    /// Text by text, so that a problem has the place of the one that is to blame.
    fn value(&self, node: &Node) -> Result<Value, Box<Problem>> {
        match &node.value {
            NodeValue::List(items) => items.iter().map(|item| self.value(item)).collect(),
            NodeValue::Map(fields) => {
                let field = |(key, node): &(yaml::Key, Node)| Ok((key.name.clone(), self.value(node)?));
                fields.iter().map(field).collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
            _ => self.text(&node.to_json()).map_err(|problem| Box::new(problem.at(node.place.clone()))),
        }
    }

    fn text(&self, value: &Value) -> Result<Value, Problem> {
        if let Some(problem) = self.secrets.refusal(self.user, value) {
            return Err(problem);
        }
        expression::render(value, self.context).map_err(|error| {
            secret::missing(self.user, &error)
                .unwrap_or_else(|| Problem::error("connection-expression", format!("{}: {error}", self.user)))
        })
    }
}
