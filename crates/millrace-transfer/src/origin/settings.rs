//! What stands in `connections.yaml` about an origin.

use std::path::Path;
use std::sync::Arc;

use millrace_contract::{KindDoc, KindFamily, RowCaller};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::rest::RestConnection;
use super::{
    Origin, adbc, clickhouse, flight_sql, git, graphql, mongodb, odata, odbc, program, rest, singer,
    sqlserver,
};
use crate::error::CopyError;

/// Every kind of origin. A new one: a file beside this, and a line here.
pub(crate) const KINDS: &[Kind] = &[
    rest::KIND,
    odata::KIND,
    graphql::KIND,
    flight_sql::KIND,
    adbc::KIND,
    odbc::KIND,
    clickhouse::KIND,
    mongodb::KIND,
    sqlserver::KIND,
    git::KIND,
    program::KIND,
    singer::KIND,
];

/// The settings of one kind of origin.
pub(crate) trait Settings: DeserializeOwned + JsonSchema + Sized + 'static {
    /// The key under the connection's name.
    const WORD: &'static str;
    /// What may stand there: `{url: "https://…"}`.
    const EXAMPLE: &'static str;

    /// Whether conditions are sent to it, in its own words.
    const TAKES_CONDITIONS: bool = false;

    /// Whether it tells how far it was read, for `state:` of a step.
    const KEEPS_STATE: bool = false;

    /// Whether it takes rows too.
    const TAKES_ROWS: bool = false;

    /// The origin, if the settings say what it takes. Nothing is sent yet. `workspace`: what relative paths begin in.
    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String>;
}

/// Reads and checks what stands under a connection's name.
type Open = fn(&str, &Value, &Path) -> Result<Box<dyn Origin>, CopyError>;

/// A kind of origin.
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    /// Whether conditions are sent to it, in its own words.
    pub(crate) takes_conditions: bool,
    /// Whether a step may keep how far it was read.
    pub(crate) keeps_state: bool,
    /// Whether it takes rows too.
    pub(crate) takes_rows: bool,
    example: &'static str,
    doc: fn(&'static str) -> KindDoc,
    open: Open,
}

impl Kind {
    pub(super) const fn of<T: Settings>(example: &'static str) -> Self {
        Self {
            word: T::WORD,
            takes_conditions: T::TAKES_CONDITIONS,
            keeps_state: T::KEEPS_STATE,
            takes_rows: T::TAKES_ROWS,
            example,
            doc: |example| KindDoc::of::<T>(KindFamily::Connector, T::WORD, example),
            open: open_as::<T>,
        }
    }

    /// What `millrace explain` prints.
    pub(crate) fn doc(&self) -> KindDoc {
        (self.doc)(self.example)
    }
}

/// The kind of origin that a connection leads to, if it leads to one.
pub(crate) fn kind_of(connection: &Value) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| connection.get(kind.word).is_some())
}

/// The JSON Schema of what stands below a word of connections.yaml; `None` for words of other connections.
pub(crate) fn connection_schema(word: &str) -> Option<Value> {
    KINDS.iter().find(|kind| kind.word == word).map(|kind| kind.doc().schema.to_value())
}

/// Whether a connection leads to a web API that can be asked about rows.
pub(crate) fn answers_rows(connection: &Value) -> bool {
    connection.get(RestConnection::WORD).is_some()
}

/// What asks the web API that a connection leads to.
pub(crate) fn row_caller(name: &str, connection: &Value) -> Result<Arc<dyn RowCaller>, CopyError> {
    Ok(Arc::new(
        settings_of::<RestConnection>(name, connection)?.rest().map_err(refused::<RestConnection>(name))?,
    ))
}

/// The origin that a connection leads to.
pub(crate) fn open(name: &str, connection: &Value, workspace: &Path) -> Result<Box<dyn Origin>, CopyError> {
    let kind = kind_of(connection).ok_or_else(|| {
        CopyError::config(
            format!("the connection `{name}` gives no rows"),
            "api: {rest: {url: \"https://…\"}}",
        )
    })?;
    (kind.open)(name, connection, workspace)
}

fn open_as<T: Settings>(
    name: &str,
    connection: &Value,
    workspace: &Path,
) -> Result<Box<dyn Origin>, CopyError> {
    settings_of::<T>(name, connection)?.open(workspace).map_err(refused::<T>(name))
}

fn settings_of<T: Settings>(name: &str, connection: &Value) -> Result<T, CopyError> {
    let settings = connection.get(T::WORD).cloned().unwrap_or_default();
    serde_json::from_value(settings).map_err(|error| refused::<T>(name)(error.to_string()))
}

fn refused<T: Settings>(name: &str) -> impl Fn(String) -> CopyError {
    move |message| {
        CopyError::config(
            format!("the connection `{name}`: {message}"),
            format!("in connections.yaml: `{name}: {{{}: {}}}`", T::WORD, T::EXAMPLE),
        )
    }
}

/// A text that no message shows.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Hidden(pub(crate) String);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual error would quote a value of another type.
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a secret is not text; put it in quotes")),
        }
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}
