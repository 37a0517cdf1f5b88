//! Connections as the web UI shows and changes them: a secret never leaves, and never enters the file.

use std::collections::BTreeSet;

use async_trait::async_trait;
use millrace_api::Connections;
use millrace_api::views::connections::{
    ConnectionFamily, ConnectionKindView, ConnectionView, ConnectionsView, SaveConnection, TryConnection,
};
use millrace_api::views::json::Json;
use millrace_contract::{Explain as _, KindDoc, SecretSource as _};
use millrace_events::connection_schema;
use millrace_spec::edit::{Change, edit};
use millrace_spec::ids::SecretName;
use millrace_spec::problem::Problem;
use millrace_spec::secret::SecretText;
use millrace_spec::yaml;
use millrace_transfer::Connection;
use millrace_transform::ballista;
use serde_json::{Map, Value, json};

use super::{CONNECTIONS, Resolver, mistake, probe};
use crate::edited_files;
use crate::secrets::Origin;
use crate::workspace::Workspace;

/// Where the settings of a connection begin.
const TOP: (&str, &str) = ("", "");
/// Fields all of whose values may be secrets: what is sent with each request, told a program or a driver.
const ALL_SECRET: [&str; 3] = ["headers", "env", "options"];
/// Stands for a secret that is written out in the file.
const HIDDEN: &str = "••••••";

#[async_trait]
impl Connections for Workspace {
    async fn connections(&self) -> ConnectionsView {
        let declared = Workspace::connections(self);
        let tree = yaml::parse(CONNECTIONS, &declared.text).ok();
        let unusable = declared.content.as_ref().ok();
        let problem = |name: &str| unusable.and_then(|all| all.get(name)?.unusable.clone());
        let fields = tree.as_ref().and_then(|tree| tree.as_map()).unwrap_or_default();
        let connections = fields.iter().map(|(key, node)| {
            let document = node.to_json();
            let kind = document.as_object().and_then(|fields| fields.keys().next().cloned());
            let settings = kind.as_ref().and_then(|kind| document.get(kind)).cloned().unwrap_or_default();
            ConnectionView {
                name: key.name.clone(),
                kind,
                settings: Json(hidden(TOP, settings)),
                line: key.place.line,
                problem: problem(&key.name).map(|problem| (*problem).into()),
            }
        });
        ConnectionsView {
            file: CONNECTIONS.to_owned(),
            etag: self.root.join(CONNECTIONS).exists().then(|| edited_files::etag(&declared.text)),
            read_only: edited_files::read_only(&self.root, CONNECTIONS),
            connections: connections.collect(),
            problem: declared.content.err().and_then(|all| all.into_iter().next()).map(Into::into),
            kinds: probe::kinds().into_iter().map(kind).collect(),
        }
    }

    async fn save_connection(&self, name: &str, wanted: SaveConnection) -> Result<(), Problem> {
        let workspace = self.clone();
        let name = name.to_owned();
        in_background(move || workspace.keep(&name, wanted)).await
    }

    async fn remove_connection(&self, name: &str, etag: Option<&str>) -> Result<(), Problem> {
        let text = edited_files::present(&self.root, CONNECTIONS)?.unwrap_or_default();
        let known = yaml::parse(CONNECTIONS, &text).map_err(|problem| *problem)?.get(name).is_some();
        if !known {
            return Err(Problem::error("unknown-connection", format!("there is no connection `{name}`")));
        }
        let change = Change::Remove { path: vec![name.to_owned()] };
        let after = edit(CONNECTIONS, &text, &[change]).map_err(|problem| *problem)?;
        edited_files::write(&self.root, CONNECTIONS, &after, etag)
    }

    async fn try_connection(&self, wanted: TryConnection) -> Result<(String, Vec<String>), Problem> {
        let known = self.written(&wanted.name, &wanted.kind)?;
        let settings = shown_again(TOP, wanted.settings.0, known.as_ref())?;
        let text = edited(&wanted.name, &wanted.kind, &settings)?;
        let tree = yaml::parse(CONNECTIONS, &text).map_err(|problem| *problem)?;
        let secrets = self.secrets.secrets();
        let (user, context) =
            (format!("the connection `{}`", wanted.name), json!({"secrets": secrets.to_value()}));
        let resolver = Resolver { user: &user, secrets: &secrets, context: &context };
        let resolved = tree.get(&wanted.name).map(|node| resolver.value(node)).transpose();
        let resolved = resolved.map_err(|problem| Problem { place: None, ..*problem })?.unwrap_or_default();
        probe::probe(self, &wanted.name, resolved).await
    }
}

impl Workspace {
    /// What stands in the file under a connection's kind, secrets as they are written.
    fn written(&self, name: &str, kind: &str) -> Result<Option<Value>, Problem> {
        let text = edited_files::present(&self.root, CONNECTIONS)?.unwrap_or_default();
        let tree = yaml::parse(CONNECTIONS, &text).map_err(|problem| *problem)?;
        Ok(tree.get(name).and_then(|node| Some(node.get(kind)?.to_json())))
    }

    /// What is wrong with settings of the right shape.
    fn wrong(&self, name: &str, kind: &str, settings: Value) -> Option<Problem> {
        match kind {
            millrace_spark::WORD => millrace_spark::connection_problem(name, &settings),
            ballista::WORD => ballista::connection_problem(name, &settings),
            kind if connection_schema(kind).is_some() => None,
            _ => Connection::from(settings).problem(name, &self.root),
        }
    }

    fn keep(&self, name: &str, wanted: SaveConnection) -> Result<(), Problem> {
        if name.parse::<SecretName>().is_err() {
            let message = format!("`{name}` cannot name a connection");
            return Err(Problem::error("bad-connection-name", message)
                .hint("a letter first, then lower-case letters, digits and `_`"));
        }
        let known = self.written(name, &wanted.kind)?;
        let settings = shown_again(TOP, wanted.settings.0, known.as_ref())?;
        // The settings are looked at with the secrets in them, before one is kept.
        let whole = Value::Object(Map::from_iter([(wanted.kind.clone(), settings.clone())]));
        let text = edited(name, &wanted.kind, &settings)?;
        let tree = yaml::parse(CONNECTIONS, &text).map_err(|problem| *problem)?;
        let wrong = tree.get(name).and_then(|node| mistake(&format!("the connection `{name}`"), node));
        let wrong = wrong.map(|problem| *problem).or_else(|| self.wrong(name, &wanted.kind, whole));
        if let Some(problem) = wrong {
            return Err(Problem { place: None, ..problem });
        }
        let text = edited_files::present(&self.root, CONNECTIONS)?;
        if text.as_deref().map(edited_files::etag).as_deref() != wanted.etag.as_deref() {
            let message = format!("`{CONNECTIONS}` has another text since it was read");
            return Err(Problem::error("changed-meanwhile", message).hint("read it again, then change it"));
        }
        let named = self.named_secrets(name, TOP, settings, known.as_ref())?;
        let value = Value::Object(Map::from_iter([(wanted.kind, named)]));
        let change = Change::Set { path: vec![name.to_owned()], value };
        let after =
            edit(CONNECTIONS, text.as_deref().unwrap_or_default(), &[change]).map_err(|problem| *problem)?;
        edited_files::write(&self.root, CONNECTIONS, &after, wanted.etag.as_deref())
    }

    /// The settings with an expression in place of each secret that is written out; what it names is kept encrypted.
    fn named_secrets(
        &self,
        name: &str,
        (within, key): (&str, &str),
        value: Value,
        known: Option<&Value>,
    ) -> Result<Value, Problem> {
        match value {
            Value::Object(fields) => {
                let field = |(inner, value): (String, Value)| {
                    let known = known.and_then(|known| known.get(&inner));
                    let value = self.named_secrets(name, (key, &inner), value, known)?;
                    Ok((inner, value))
                };
                fields.into_iter().map(field).collect::<Result<Map<_, _>, Problem>>().map(Value::Object)
            }
            // What was written out before, and was not typed anew, is none of ours to move.
            Value::String(text) if is_secret(within, key) && !text.is_empty() && !is_expression(&text) => {
                if known.and_then(Value::as_str) == Some(&text) {
                    return Ok(text.into());
                }
                let plain =
                    |sign: char| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '_' };
                let secret = format!("{name}_{}", key.chars().map(plain).collect::<String>());
                if self.secrets.origin(&secret) == Origin::Environment {
                    let message = format!("the environment says what `secrets.{secret}` is");
                    return Err(Problem::error("secret-from-environment", message));
                }
                let named = secret.parse::<SecretName>().map_err(|error| {
                    Problem::error("bad-connection-name", error.to_string())
                        .hint("give the connection a shorter name")
                })?;
                self.secrets.set(&named, &SecretText::new(text)).map_err(|error| error.problem())?;
                Ok(format!("${{{{ secrets.{secret} }}}}").into())
            }
            other => Ok(other),
        }
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::error("internal", error.to_string())))
}

fn edited(name: &str, kind: &str, settings: &Value) -> Result<String, Problem> {
    let value = Value::Object(Map::from_iter([(kind.to_owned(), settings.clone())]));
    edit(CONNECTIONS, "", &[Change::Set { path: vec![name.to_owned()], value }]).map_err(|problem| *problem)
}

fn kind((family, doc): (ConnectionFamily, KindDoc)) -> ConnectionKindView {
    let schema = doc.schema.as_value().clone();
    let mut secrets = BTreeSet::new();
    secret_names(&schema, &mut secrets);
    ConnectionKindView {
        family,
        secrets: secrets.into_iter().collect(),
        name: doc.name.to_owned(),
        summary: doc.summary,
        description: doc.description,
        schema: Json(schema),
    }
}

/// The names of fields that open something, however deep they stand.
fn secret_names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            let names = properties
                .into_iter()
                .flat_map(Map::keys)
                .filter(|name| is_secret("", name) || ALL_SECRET.contains(&name.as_str()));
            found.extend(names.cloned());
            fields.values().for_each(|inner| secret_names(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| secret_names(inner, found)),
        _ => {}
    }
}

/// Whether the value of a field of that name opens something; `within`: the field that it stands in.
fn is_secret(within: &str, name: &str) -> bool {
    if ALL_SECRET.contains(&within) {
        return true;
    }
    let name = name.to_lowercase();
    let words = [
        "password",
        "passphrase",
        "secret",
        "token",
        "bearer",
        "access_key",
        "account_key",
        "private_key",
        "api_key",
        "credential",
        "authorization",
        "connection_string",
    ];
    matches!(name.as_str(), "key" | "uri")
        || (words.iter().any(|word| name.contains(word)) && !name.ends_with("_id"))
        || name.ends_with("_account_key")
}

/// Whether a text is one expression and nothing else.
fn is_expression(text: &str) -> bool {
    let inner = text.trim().strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
    inner.is_some_and(|inner| !inner.contains("}}") && inner.contains("secrets."))
}

/// Settings without what opens something: secrets that are written out, passwords in addresses. `within` and `key`: where the value stands.
fn hidden((within, key): (&str, &str), value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(inner, value)| {
                    let value = hidden((key, &inner), value);
                    (inner, value)
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(|item| hidden((within, key), item)).collect(),
        Value::String(text) if is_secret(within, key) && !text.is_empty() && !is_expression(&text) => {
            HIDDEN.into()
        }
        Value::String(text) => hidden_password(&text).unwrap_or(text).into(),
        // A number under such a name is as good as a text.
        Value::Number(_) if is_secret(within, key) => HIDDEN.into(),
        other => other,
    }
}

/// An address whose password is hidden; `None` for a text that has none.
fn hidden_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (login, host) = rest.split('/').next()?.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    if is_expression(password) {
        return None;
    }
    let after = rest.get(login.len() + 1 + host.len()..)?;
    Some(format!("{scheme}://{user}:{HIDDEN}@{host}{after}"))
}

/// Settings with what stands in the file wherever they have it hidden.
fn shown_again((within, key): (&str, &str), value: Value, known: Option<&Value>) -> Result<Value, Problem> {
    match value {
        Value::Object(fields) => {
            let field = |(inner, value): (String, Value)| {
                let known = known.and_then(|known| known.get(&inner));
                let value = shown_again((key, &inner), value, known)?;
                Ok((inner, value))
            };
            fields.into_iter().map(field).collect::<Result<Map<_, _>, Problem>>().map(Value::Object)
        }
        Value::String(text) if text.contains(HIDDEN) => match known {
            Some(known) if hidden((within, key), known.clone()) == text.as_str() => Ok(known.clone()),
            _ => {
                let message = format!("`{key}` was hidden and has changed");
                Err(Problem::error("hidden-secret", message).hint("type it whole"))
            }
        },
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_something_is_hidden_and_found_again() {
        let settings = json!({
            "url": "postgres://shop:s3cret@db:5432/shop?x=1", "password": "${{ secrets.shop }}", "token": "abc", "access_key_id": "AKIA",
            "secret_access_key": "zzz", "headers": {"Authorization": "Bearer x", "accept": "text/csv"}, "env": {"A": "b"}, "port": 5432, "pin_token": 12,
        });
        let shown = hidden(TOP, settings.clone());
        assert_eq!(
            shown,
            json!({
                "url": "postgres://shop:••••••@db:5432/shop?x=1", "password": "${{ secrets.shop }}", "token": HIDDEN, "access_key_id": "AKIA",
                "secret_access_key": HIDDEN, "headers": {"Authorization": HIDDEN, "accept": HIDDEN}, "env": {"A": HIDDEN}, "port": 5432, "pin_token": HIDDEN,
            })
        );
        assert!(!shown.to_string().contains("s3cret"));
        assert_eq!(shown_again(TOP, shown, Some(&settings)).unwrap(), settings);
        let other = json!({"url": "postgres://shop:••••••@elsewhere/shop"});
        assert_eq!(shown_again(TOP, other, Some(&settings)).unwrap_err().code, "hidden-secret");
        assert_eq!(shown_again(TOP, json!({"token": HIDDEN}), None).unwrap_err().code, "hidden-secret");
    }

    #[test]
    fn an_expression_is_one_only_if_nothing_stands_beside_it() {
        assert!(is_expression("${{ secrets.a }}"));
        for text in ["abc${{ secrets.a }}", "${{ 'abc' }}", "${{ secrets.a }}${{ secrets.b }}", "abc"] {
            assert!(!is_expression(text), "{text}");
        }
    }
}
