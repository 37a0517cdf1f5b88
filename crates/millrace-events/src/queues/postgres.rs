//! PostgreSQL: notifications, and rows of a table that they call to.

use async_trait::async_trait;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::PostgresChannel;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification, Socket};

use crate::connection::{ByUrl, Located, Server, chain, shown};
use crate::message::{Body, Message};
use crate::queue::{AT_ONCE, CONNECT, Driven, Subscription, WAIT};
use crate::tls;

#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(super) struct PostgresServer(ByUrl);

impl Located for PostgresServer {
    const WORD: &'static str = "postgres";
    const EXAMPLE: &'static str = "{url: \"postgres://reader@host/shop\", password: \"${{ secrets.shop }}\"}";

    fn address(&self) -> String {
        shown(&self.0.url)
    }

    fn mistake(&self) -> Option<String> {
        let scheme = self.0.url.scheme();
        (!matches!(scheme, "postgres" | "postgresql")).then(|| format!("`{scheme}://` is not `postgres://`"))
    }
}

/// Notifications, or rows, that a trigger waits for.
pub(super) struct Channel {
    spec: PostgresChannel,
    server: Server<PostgresServer>,
    /// Tells notifications of this connection, which have no number, from those of others.
    session: String,
    counted: u64,
    listening: Option<Listening>,
    position: Position,
}

struct Listening {
    client: Client,
    notifications: mpsc::UnboundedReceiver<Result<Notification, tokio_postgres::Error>>,
    /// Statement that reads rows, and whether it begins behind the last one.
    rows: Option<String>,
    /// Drives the connection.
    _driver: Driven,
}

/// How far a table was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// The cursor's value in the last row, as text; none where the table was empty.
    #[serde(default)]
    after: Option<String>,
}

impl Channel {
    pub(super) fn new(spec: PostgresChannel, server: Server<PostgresServer>) -> Self {
        let session = crate::queue::session();
        Self { spec, server, session, counted: 0, listening: None, position: Position::default() }
    }

    async fn connect(&self) -> Result<Listening, Problem> {
        let settings = &self.server.settings.0;
        // The error of a bad URL may quote it, and it may hold a password.
        let config: Result<Config, _> = settings.url.as_str().parse();
        let mut config = config.map_err(|_| self.server.unreachable("its URL cannot be read"))?;
        let (user, password) = (&settings.user, &settings.password);
        if let Some(user) = user {
            config.user(user);
        }
        if let Some(password) = password {
            config.password(password);
        }
        config.connect_timeout(CONNECT).application_name("millrace").keepalives(true);
        config.keepalives_idle(WAIT * 6);
        let failed = |error: tokio_postgres::Error| self.problem(&error);
        let encrypted =
            settings.ca.is_some() || config.get_ssl_mode() == tokio_postgres::config::SslMode::Require;
        let (client, notifications, driver) = if encrypted {
            let trusted = tls::client(settings.ca.as_deref())?;
            let connector = tokio_postgres_rustls::MakeRustlsConnect::new(trusted.as_ref().clone());
            let (client, connection) = config.connect(connector).await.map_err(failed)?;
            driven(client, connection)
        } else {
            let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
            driven(client, connection)
        };
        Ok(Listening { client, notifications, rows: None, _driver: driver })
    }

    /// The statement that reads the rows behind `$1`, a text; its order is the cursor's.
    async fn statement(&self, client: &Client, table: &str, cursor: &str) -> Result<String, Problem> {
        let failed = |error: tokio_postgres::Error| self.problem(&error);
        let sql = "select format_type(atttypid, atttypmod) from pg_attribute \
                   where attrelid = $1::text::regclass and attname = $2 and attnum > 0 and not attisdropped";
        let quoted_table = quoted_table(table);
        let found = client.query_opt(sql, &[&quoted_table, &cursor]).await.map_err(failed)?;
        let Some(found) = found else {
            return Err(self
                .server
                .failed(format_args!("cannot give `{table}`"), format_args!("it has no column `{cursor}`")));
        };
        let kind: String = found.try_get(0).map_err(failed)?;
        let column = quoted(cursor);
        Ok(format!(
            "select to_jsonb(source) as row, source.{column}::text as position from {quoted_table} as source \
             where $1::text is null or source.{column} > $1::text::{kind} order by source.{column} limit {AT_ONCE}"
        ))
    }

    /// The greatest value that the cursor has now.
    async fn newest(&self, client: &Client, table: &str, cursor: &str) -> Result<Option<String>, Problem> {
        let sql = format!("select max({})::text from {}", quoted(cursor), quoted_table(table));
        let found = client.query_one(&sql, &[]).await.map_err(|error| self.problem(&error))?;
        found.try_get(0).map_err(|error| self.problem(&error))
    }

    async fn rows(&mut self, statement: &str) -> Result<Vec<Message>, Problem> {
        let Some(listening) = &self.listening else { return Ok(Vec::new()) };
        let found = listening.client.query(statement, &[&self.position.after]).await;
        let found = found.map_err(|error| self.problem(&error))?;
        let mut messages = Vec::with_capacity(found.len());
        for row in &found {
            let read = row.try_get::<_, Value>(0).and_then(|value| Ok((value, row.try_get::<_, String>(1)?)));
            let (value, position) = read.map_err(|error| self.problem(&error))?;
            self.position.after = Some(position.clone());
            messages.push(Message {
                id: position,
                subject: self.spec.postgres.clone(),
                body: Body::Json(value),
                ..Message::default()
            });
        }
        Ok(messages)
    }

    fn notification(&mut self, notification: &Notification) -> Message {
        self.counted += 1;
        let mut more = Map::new();
        more.insert("process_id".to_owned(), notification.process_id().into());
        Message {
            id: format!("{}-{}", self.session, self.counted),
            subject: notification.channel().to_owned(),
            body: Body::Bytes(notification.payload().as_bytes().to_vec()),
            more,
            ..Message::default()
        }
    }

    fn problem(&self, error: &tokio_postgres::Error) -> Problem {
        let Some(said) = error.as_db_error() else { return self.server.unreachable(chain(error)) };
        let refused = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INSUFFICIENT_PRIVILEGE,
        ];
        if refused.contains(said.code()) {
            return self.server.refused(said.message());
        }
        match said.code().code().get(..2) {
            // Connections that break, and servers that start or stop.
            Some("08" | "57") => self.server.unreachable(said.message()),
            _ => self.server.failed("does not answer what was asked", said.message()),
        }
    }

    /// The next notification, or nothing within [`WAIT`].
    async fn heard(&mut self) -> Result<Option<Notification>, Problem> {
        let Some(listening) = &mut self.listening else { return Ok(None) };
        match tokio::time::timeout(WAIT, listening.notifications.recv()).await {
            Err(_) => Ok(None),
            Ok(Some(Ok(notification))) => Ok(Some(notification)),
            Ok(Some(Err(error))) => Err(self.problem(&error)),
            Ok(None) => Err(self.server.unreachable("the connection broke")),
        }
    }

    /// What came meanwhile.
    fn heard_already(&mut self) -> Vec<Notification> {
        let mut all = Vec::new();
        while all.len() < AT_ONCE
            && let Some(Ok(Ok(more))) =
                self.listening.as_mut().map(|listening| listening.notifications.try_recv())
        {
            all.push(more);
        }
        all
    }
}

type Heard = mpsc::UnboundedReceiver<Result<Notification, tokio_postgres::Error>>;

/// Drives a connection, which ends with what it gives.
fn driven<S>(client: Client, mut connection: tokio_postgres::Connection<Socket, S>) -> (Client, Heard, Driven)
where
    S: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    let (tell, notifications) = mpsc::unbounded_channel();
    let driver = Driven::spawn(async move {
        while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            let told = match message {
                Ok(AsyncMessage::Notification(notification)) => tell.send(Ok(notification)),
                Ok(_) => Ok(()),
                Err(error) => {
                    tell.send(Err(error)).ok();
                    return;
                }
            };
            if told.is_err() {
                return;
            }
        }
    });
    (client, notifications, driver)
}

#[async_trait]
impl Subscription for Channel {
    async fn begin(&mut self, cursor: Option<&Value>) -> Result<(), Problem> {
        let mut listening = self.connect().await?;
        let listen = format!("listen {}", quoted(&self.spec.postgres));
        listening.client.batch_execute(&listen).await.map_err(|error| self.problem(&error))?;
        if let (Some(table), Some(column)) = (&self.spec.table, &self.spec.cursor) {
            listening.rows = Some(self.statement(&listening.client, table, column).await?);
            let known = cursor.and_then(|cursor| serde_json::from_value::<Position>(cursor.clone()).ok());
            self.position = match known {
                Some(known) => known,
                None => Position { after: self.newest(&listening.client, table, column).await? },
            };
        }
        self.listening = Some(listening);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Message>, Problem> {
        let statement = self.listening.as_ref().and_then(|listening| listening.rows.clone());
        let Some(statement) = statement else {
            let Some(first) = self.heard().await? else { return Ok(Vec::new()) };
            let mut all = vec![first];
            all.extend(self.heard_already());
            return Ok(all.iter().map(|notification| self.notification(notification)).collect());
        };
        // What was heard before the look is part of what is seen.
        self.heard_already();
        let rows = self.rows(&statement).await?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        self.heard().await?;
        self.rows(&statement).await
    }

    fn cursor(&self) -> Value {
        json!(self.position)
    }

    /// Nobody keeps notifications, and rows stay where they are.
    async fn settle(&mut self) -> Result<(), Problem> {
        Ok(())
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table`, each part quoted.
fn quoted_table(table: &str) -> String {
    table.split('.').map(quoted).collect::<Vec<_>>().join(".")
}
