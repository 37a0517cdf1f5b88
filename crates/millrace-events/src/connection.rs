//! Connections of connections.yaml that lead to queues.

use std::fmt::Display;
use std::sync::Arc;

use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

/// Reads the settings of a connection by its name, secrets resolved; for each subscription anew, since people edit the file while a server is up.
pub type ReadConnection = Arc<dyn Fn(&str) -> Result<Value, Box<Problem>> + Send + Sync>;

/// A server that messages come from, and what opens it. It has no `Debug`, since it holds secrets.
#[derive(Clone)]
pub(crate) struct Server<S> {
    /// Name of the connection.
    pub(crate) connection: String,
    /// Where it is, without credentials: the beginning of the source of its events.
    pub(crate) address: String,
    pub(crate) settings: S,
}

/// Keys of a connection to a server with a URL.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByUrl {
    /// Where the server is.
    pub(crate) url: Url,
    /// Who logs in.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// What they log in with: `${{ secrets.NAME }}`.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// Certificate that is trusted beside the system's, PEM.
    #[serde(default)]
    pub(crate) ca: Option<String>,
}

impl ByUrl {
    /// Host and port, the default one where none is given.
    pub(crate) fn host(&self, port: u16) -> (String, u16) {
        // A URL's host has brackets around an IPv6 address.
        let host = self.url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_owned();
        (host, self.url.port().unwrap_or(port))
    }

    /// User and password; what is written beside the URL comes before what is in it.
    pub(crate) fn credentials(&self) -> (Option<String>, Option<String>) {
        let decoded = |text: &str| {
            let bytes = percent_encoding::percent_decode_str(text);
            bytes.decode_utf8_lossy().into_owned()
        };
        let user = Some(self.url.username()).filter(|user| !user.is_empty()).map(decoded);
        (self.user.clone().or(user), self.password.clone().or_else(|| self.url.password().map(decoded)))
    }
}

/// Settings that say where their server is.
pub(crate) trait Located: DeserializeOwned + JsonSchema {
    /// Its key in connections.yaml.
    const WORD: &'static str;
    /// What a connection looks like, for hints.
    const EXAMPLE: &'static str;

    /// Without credentials.
    fn address(&self) -> String;

    /// What is wrong although the shape is right.
    fn mistake(&self) -> Option<String> {
        None
    }
}

/// The JSON Schema of what stands below the word of a connection.
pub(crate) fn schema_of<S: Located>() -> (&'static str, Value) {
    (S::WORD, schemars::schema_for!(S).to_value())
}

/// A URL without what opens it, and without what does not say where it is.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or_default())
}

impl<S: Located> Server<S> {
    /// The server of a connection.
    ///
    /// # Errors
    /// If there is no such connection, or it is not one to such a server.
    pub(crate) fn read(name: &str, read: &ReadConnection) -> Result<Self, Problem> {
        let word = S::WORD;
        let refused = |message: String| {
            let hint = format!("in connections.yaml: `{name}: {{{word}: {}}}`", S::EXAMPLE);
            Problem::error("bad-connection", message).hint(hint)
        };
        let found = read(name).map_err(|problem| *problem)?;
        let settings = found
            .get(word)
            .ok_or_else(|| refused(format!("the connection `{name}` is not one to {word}")))?;
        let settings: S = serde_json::from_value(settings.clone())
            .map_err(|error| refused(format!("the connection `{name}`: {error}")))?;
        if let Some(mistake) = settings.mistake() {
            return Err(refused(format!("the connection `{name}`: {mistake}")));
        }
        Ok(Self { connection: name.to_owned(), address: settings.address(), settings })
    }
}

impl<S> Server<S> {
    /// Something went wrong with the server.
    pub(crate) fn failed(&self, what: impl Display, cause: impl Display) -> Problem {
        Problem::error("event-source", format!("`{}` {what}: {cause}", self.address))
    }

    /// No connection, or one that broke.
    pub(crate) fn unreachable(&self, cause: impl Display) -> Problem {
        self.failed("cannot be reached", cause)
    }

    /// The server does not want who comes.
    pub(crate) fn refused(&self, cause: impl Display) -> Problem {
        let problem = self.failed("refuses the credentials", cause);
        problem.hint(format!("correct `{}` in connections.yaml", self.connection))
    }
}

/// An error with what it comes from, each part once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}
