//! `connections.yaml`: where outside data is, and which secrets open it.

mod forms;
mod probe;

use millrace_contract::{Explain as _, SecretSource as _};
use millrace_events::connection_schema;
use millrace_spec::expression;
use millrace_spec::problem::Problem;
use millrace_spec::secret::{self, Secrets};
use millrace_spec::validate::violations;
use millrace_spec::yaml::{self, Node, NodeValue};
use millrace_storage::StorageOptions;
use millrace_transfer::{Connection, Connections};
use millrace_transform::ballista;
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

impl Workspace {
    /// The settings of a connection, secrets resolved; read anew each time.
    ///
    /// # Errors
    /// If there is none of that name, or it cannot be used.
    pub(crate) fn connection(&self, name: &str, example: &str) -> Result<Value, Box<Problem>> {
        let connections = self.connections().usable()?;
        let Some(found) = connections.get(name) else {
            let known: Vec<&str> = connections.keys().map(String::as_str).collect();
            let problem = Problem::error("unknown-connection", format!("there is no connection `{name}`"));
            let hint = match known.as_slice() {
                [] => format!("write it into connections.yaml: `{name}: {{{example}}}`"),
                known => format!("the connections are: {}", known.join(", ")),
            };
            return Err(Box::new(problem.hint(hint)));
        };
        found.unusable.clone().map_or_else(|| Ok(found.settings.clone()), Err)
    }

    /// Names of the connections, each with the keys that say where it leads; `None` if the file, which is a problem of its own, cannot be
    /// read.
    pub(crate) fn connection_kinds(&self) -> Option<Vec<(String, Vec<String>)>> {
        let connections = self.connections().content.ok()?;
        let kinds = |(name, found): (String, Connection)| {
            let keys = found.settings.as_object().map(|keys| keys.keys().cloned().collect());
            (name, keys.unwrap_or_default())
        };
        Some(connections.into_iter().map(kinds).collect())
    }

    /// What it takes to reach a bucket, if a connection leads there. `scheme` is its URL's: `s3`, `az`, `gs`.
    pub(crate) fn bucket_options(&self, scheme: &str, bucket: &str) -> Option<StorageOptions> {
        millrace_transfer::bucket_options(scheme, bucket, &self.connections().usable().ok()?)
    }
}

fn resolved(tree: &Node, secrets: &Secrets) -> Connections {
    let context = json!({"secrets": secrets.to_value()});
    let resolve = |name: &str, node: &Node| {
        let user = format!("the connection `{name}`");
        let (settings, missing) = match (Resolver { user: &user, secrets, context: &context }).value(node) {
            Ok(settings) => (settings, None),
            Err(problem) => (node.to_json(), Some(problem)),
        };
        // What is wrong with the file comes first: a secret may be set elsewhere.
        let wrong = mistake(&user, node).or_else(|| {
            let problem = millrace_transfer::connection_problem(name, &settings)
                .or_else(|| millrace_spark::connection_problem(name, &settings))
                .or_else(|| ballista::connection_problem(name, &settings))?;
            Some(Box::new(placed(problem, node)))
        });
        let unusable = wrong.or(missing);
        Connection { settings, unusable }
    };
    let fields = tree.as_map().unwrap_or_default().iter();
    fields.map(|(key, node)| (key.name.clone(), resolve(&key.name, node))).collect()
}

/// What does not fit the schema of a connection to a queue, a mailbox or a system that gives rows.
fn mistake(user: &str, node: &Node) -> Option<Box<Problem>> {
    let words = node.as_map().unwrap_or_default().iter();
    words.into_iter().find_map(|(word, settings)| {
        let schema = connection_schema(&word.name)
            .or_else(|| millrace_transfer::connection_schema(&word.name))
            .or_else(|| millrace_spark::connection_schema(&word.name))
            .or_else(|| ballista::connection_schema(&word.name))?;
        let violation = violations(&schema, &settings.to_json()).into_iter().next()?;
        let message = format!("{user}: {}", violation.message);
        let problem = Problem::error("bad-connection", message).at(violation.place_in(settings));
        Some(Box::new(violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))))
    })
}

/// The problem at the setting that it names, or else where the connection stands.
fn placed(problem: Problem, connection: &Node) -> Problem {
    let words = connection.as_map().unwrap_or_default().iter();
    let settings = words.flat_map(|(_, node)| node.as_map().unwrap_or_default());
    let said = problem.message.split_once("`: ").map_or(problem.message.as_str(), |(_, said)| said);
    // The one that is wrong is named first; others may follow as what is known.
    let named = settings.filter_map(|(key, _)| Some((said.find(&format!("`{}`", key.name))?, key)));
    let first = named.min_by_key(|(at, _)| *at);
    let place = first.map_or_else(|| connection.place.clone(), |(_, key)| key.place.clone());
    problem.at(place)
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
