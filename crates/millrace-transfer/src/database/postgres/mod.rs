//! PostgreSQL, and what speaks its protocol: rows go both ways in the binary form of COPY.

mod changes;
mod columns;
mod decode;
mod dial;
mod encode;
mod parts;
mod pgoutput;
mod read;
mod session;
mod tap;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config};
use tokio_util::task::AbortOnDropHandle;

use super::{Dialect, LOGIN, Reading, Session, TableServer, let_in};
use crate::error::CopyError;
use crate::source::Outcome;
use crate::tracking::{Tracked, Tracking};

/// Reads and writes tables of a PostgreSQL server.
///
/// `incremental: {changes: true, slot: orders_copy}` copies what changed in a table with a primary key, if the server runs with `wal_level = logical`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresConnection {
    /// Connection URL without the password, for example `postgres://reader@db/shop`. `?sslmode=` is `disable`, `prefer` (the default),
    /// `require`, `verify-ca` or `verify-full`; `&sslrootcert=` names a file with the certificates that are trusted. `&connect_timeout=` is
    /// how many seconds the server may take to let us in, 30 if nothing is said.
    pub(crate) url: String,
    /// The password, usually `${{ secrets.… }}`.
    #[serde(default)]
    pub(crate) password: Option<String>,
}

/// Silence after which a connection is asked whether it is still there, and how long what was sent may go unacknowledged; where the URL
/// says nothing else (`keepalives_idle`, `tcp_user_timeout`).
const KEEPALIVE: Duration = Duration::from_secs(60);
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// A server and how to get there.
struct Postgres {
    name: String,
    config: Config,
    tls: tls::Tls,
}

/// Reads the connection; nothing is sent yet.
pub(crate) fn open(
    name: &str,
    settings: &Value,
    workspace: &Path,
) -> Result<Box<dyn TableServer>, CopyError> {
    let settings: PostgresConnection = serde_json::from_value(settings.clone()).map_err(|error| {
        CopyError::config(format!("the connection `{name}`: {error}"), "postgres: {url, password}")
    })?;
    let (url, tls) = tls::Tls::of_url(name, &settings.url, workspace)?;
    // The error of a bad URL may quote it, and it may hold a password.
    let mut config: Config = url.parse().map_err(|_| {
        CopyError::config(
            format!("the URL of the connection `{name}` cannot be read"),
            "postgres://user@host:5432/database",
        )
    })?;
    if let Some(password) = settings.password {
        config.password(password);
    }
    config.ssl_mode(tls.mode()).application_name("millrace");
    // A machine that is gone without a word is noticed in minutes, not in hours.
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(KEEPALIVE);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    Ok(Box::new(Postgres { name: name.to_owned(), config, tls }))
}

impl Postgres {
    /// A connection and the task that drives it.
    async fn connect(&self) -> Result<Connected, CopyError> {
        let tls = self.tls.connector()?;
        let limit = self.config.get_connect_timeout().copied().unwrap_or(LOGIN);
        let connecting = async {
            dial::dial(&self.config, tls).await.map_err(|error| match error {
                dial::Failed::Refused(error) => failed(&self.name, &error),
                dial::Failed::Away(error) => CopyError::Read {
                    what: self.name.clone(),
                    message: format!("error connecting to server: {error}"),
                    transient: true,
                },
            })
        };
        let ((client, driver), rows) = let_in(&self.name, limit, connecting).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        Ok(Connected { client, rows, _driver: AbortOnDropHandle::new(driver) })
    }
}

/// A connection. Dropped, it is cut: the server need not send what nobody takes any more.
struct Connected {
    client: Client,
    /// Where rows of a COPY can be taken off the wire.
    rows: Option<Arc<tap::Rows>>,
    _driver: AbortOnDropHandle<()>,
}

#[async_trait]
impl TableServer for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn read(&self, reading: Reading, outcome: Outcome) -> Result<BatchStream, CopyError> {
        read::read(self, reading, outcome).await
    }

    fn tracked(self: Box<Self>, tracking: Tracking) -> Option<Arc<dyn Tracked>> {
        Some(Arc::new(changes::Changes::new(*self, tracking)?))
    }

    async fn session(&self, table: &str) -> Result<Box<dyn Session>, CopyError> {
        Ok(Box::new(session::PostgresSession::new(self.connect().await?, table)))
    }
}

/// The server's own words where there are any; a lost connection may pass.
fn failed(what: &str, error: &tokio_postgres::Error) -> CopyError {
    CopyError::Read { what: what.to_owned(), message: message(error), transient: is_transient(error) }
}

/// A lost connection, a server that is going down or full of others, a deadlock and the like.
fn is_transient(error: &tokio_postgres::Error) -> bool {
    let Some(error) = error.as_db_error() else { return true };
    let code = error.code().code();
    ["08", "40", "53", "57P", "55P"].iter().any(|class| code.starts_with(class)) && code != "53100"
}

fn message(error: &tokio_postgres::Error) -> String {
    let Some(database) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return format!("{error}{cause}");
    };
    let detail = database.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{}{detail}", database.message())
}

/// A parameter of whatever type the server expects, sent in its text form.
#[derive(Debug)]
struct TextParam(Option<String>);

impl TextParam {
    fn new(value: &Value) -> Self {
        match value {
            Value::Null => Self(None),
            Value::String(text) => Self(Some(text.clone())),
            other => Self(Some(other.to_string())),
        }
    }
}

impl ToSql for TextParam {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
