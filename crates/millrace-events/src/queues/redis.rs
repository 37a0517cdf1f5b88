//! Redis streams, read by a consumer group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use millrace_contract::{QueueReader, Received};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{RedisStream, StartAt};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo as _, RedisError, ServerErrorKind,
    TlsCertificates,
};
use serde_json::{Value, json};

use crate::connection::{ByUrl, Located, Server, shown};
use crate::message::{Body, Message};
use crate::queue::{AT_ONCE, CONNECT, Subscriber, Subscription, WAIT};

/// How long another server of the workspace may have entries before they are taken from it.
const ABANDONED: Duration = Duration::from_secs(60);
/// How often it is looked for such entries.
const CLAIM_EVERY: Duration = Duration::from_secs(30);

/// Redis, or what speaks as it does: streams and lists, for copies and triggers.
///
/// `url` is `redis://host:6379`, `rediss://` with TLS; a database's number stands behind it. A copy reads `queue:orders`, the stream `orders`.
#[derive(Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(crate) struct RedisServer(ByUrl);

impl Located for RedisServer {
    const WORD: &'static str = "redis";
    const EXAMPLE: &'static str = "{url: \"redis://host:6379\", password: \"${{ secrets.queue }}\"}";

    fn address(&self) -> String {
        shown(&self.0.url)
    }

    fn mistake(&self) -> Option<String> {
        let scheme = self.0.url.scheme();
        (!matches!(scheme, "redis" | "rediss"))
            .then(|| format!("`{scheme}://` is not `redis://` or `rediss://`"))
    }
}

/// Entries of a stream that a trigger waits for.
pub(super) struct Stream {
    spec: RedisStream,
    server: Server<RedisServer>,
    group: String,
    consumer: String,
    connection: Option<MultiplexedConnection>,
    /// Whether entries may be left that were delivered to this server and never acknowledged.
    has_left_over: bool,
    claimed_at: Option<Instant>,
    /// Ids of what was received last.
    received: Vec<String>,
}

impl Stream {
    pub(super) fn new(spec: RedisStream, server: Server<RedisServer>, subscriber: &Subscriber) -> Self {
        let group = spec.group.clone().unwrap_or_else(|| subscriber.name.clone());
        let consumer = subscriber.server.clone();
        let (connection, claimed_at, received) = (None, None, Vec::new());
        Self { spec, server, group, consumer, connection, has_left_over: true, claimed_at, received }
    }

    async fn make_group(&self, connection: &mut MultiplexedConnection, begun: bool) -> Result<(), Problem> {
        // A stream that was read before and is new now is read from its beginning: nothing of it has been seen.
        let from = if begun || self.spec.from == StartAt::Beginning { "0" } else { "$" };
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(&self.spec.redis).arg(&self.group).arg(from).arg("MKSTREAM");
        match command.query_async::<()>(connection).await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(self.problem(&error)),
            _ => Ok(()),
        }
    }

    /// Entries of the group: new ones after `>`, those delivered to this server and not acknowledged after an id.
    async fn read(
        &mut self,
        after: &str,
        most: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<StreamId>, RedisError> {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group).arg(&self.consumer).arg("COUNT").arg(most);
        if let Some(wait) = wait {
            command.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        }
        command.arg("STREAMS").arg(&self.spec.redis).arg(after);
        let reply: Option<StreamReadReply> = command.query_async(connection).await?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    /// Takes what a server that is gone has left.
    async fn claim(&mut self) -> Result<Vec<StreamId>, RedisError> {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        let mut command = redis::cmd("XAUTOCLAIM");
        command.arg(&self.spec.redis).arg(&self.group).arg(&self.consumer);
        command.arg(u64::try_from(ABANDONED.as_millis()).unwrap_or(u64::MAX)).arg("0-0");
        command.arg("COUNT").arg(AT_ONCE);
        let reply: StreamAutoClaimReply = command.query_async(connection).await?;
        Ok(reply.claimed)
    }

    async fn entries(&mut self) -> Result<Vec<StreamId>, RedisError> {
        if self.has_left_over {
            let left = self.read("0", AT_ONCE, None).await?;
            if !left.is_empty() {
                return Ok(left);
            }
            self.has_left_over = false;
        }
        if self.claimed_at.is_none_or(|at| at.elapsed() >= CLAIM_EVERY) {
            let claimed = self.claim().await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
            self.claimed_at = Some(Instant::now());
        }
        self.read(">", AT_ONCE, Some(WAIT)).await
    }

    fn message(&self, entry: StreamId) -> Message {
        let field = |(name, value): (String, redis::Value)| (name, bytes(value));
        let mut fields: BTreeMap<String, Vec<u8>> = entry.map.into_iter().map(field).collect();
        let mut headers = BTreeMap::new();
        let body = match &self.spec.field {
            Some(name) => {
                let body = fields.remove(name).unwrap_or_default();
                let text =
                    |(name, value): (String, Vec<u8>)| (name, String::from_utf8_lossy(&value).into_owned());
                headers = fields.into_iter().map(text).collect();
                Body::Bytes(body)
            }
            None => Body::Fields(fields),
        };
        let time_ms = entry.id.split('-').next().and_then(|time| time.parse().ok());
        Message {
            id: entry.id,
            subject: self.spec.redis.clone(),
            time_ms,
            headers,
            body,
            ..Message::default()
        }
    }

    fn what(&self) -> String {
        format!("the stream `{}`", self.spec.redis)
    }

    fn problem(&self, error: &RedisError) -> Problem {
        problem(&self.server, &self.what(), error)
    }
}

/// Connects; `what` is what is wanted there.
pub(crate) async fn connect(
    server: &Server<RedisServer>,
    what: &str,
) -> Result<MultiplexedConnection, Problem> {
    let settings = &server.settings.0;
    let failed = |error: RedisError| problem(server, what, &error);
    let info = settings.url.as_str().into_connection_info().map_err(failed)?;
    let (user, password) = settings.credentials();
    let mut access = info.redis_settings().clone();
    if let Some(user) = user {
        access = access.set_username(user);
    }
    if let Some(password) = password {
        access = access.set_password(password);
    }
    let info = info.set_redis_settings(access);
    let client = match (&settings.ca, settings.url.scheme()) {
        (Some(ca), "rediss") => {
            let trusted = TlsCertificates { client_tls: None, root_cert: Some(ca.clone().into_bytes()) };
            Client::build_with_tls(info, trusted)
        }
        _ => Client::open(info),
    };
    // A read that waits for entries takes as long as it waits.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(WAIT + CONNECT));
    let connection = client.map_err(failed)?.get_multiplexed_async_connection_with_config(&config).await;
    connection.map_err(failed)
}

/// What the server says; `what` is what was wanted of it.
pub(crate) fn problem(server: &Server<RedisServer>, what: &str, error: &RedisError) -> Problem {
    let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    if refused || error.kind() == ErrorKind::AuthenticationFailed {
        return server.refused(error);
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::ExecAbort)
        | ErrorKind::Extension => server.failed(format_args!("cannot give {what}"), error),
        _ => server.unreachable(error),
    }
}

#[async_trait]
impl Subscription for Stream {
    async fn begin(&mut self, cursor: Option<&Value>) -> Result<(), Problem> {
        let mut connection = connect(&self.server, &self.what()).await?;
        self.make_group(&mut connection, cursor.is_some()).await?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Message>, Problem> {
        let entries = self.entries().await.map_err(|error| self.problem(&error))?;
        self.received = entries.iter().map(|entry| entry.id.clone()).collect();
        // An entry that was deleted before it was acknowledged has no fields any more.
        let there = entries.into_iter().filter(|entry| !entry.map.is_empty());
        Ok(there.map(|entry| self.message(entry)).collect())
    }

    /// The group keeps how far it is; here it is only known that there was one.
    fn cursor(&self) -> Value {
        json!({"group": self.group})
    }

    async fn settle(&mut self) -> Result<(), Problem> {
        let received = std::mem::take(&mut self.received);
        let Some(connection) = self.connection.as_mut().filter(|_| !received.is_empty()) else {
            return Ok(());
        };
        let mut command = redis::cmd("XACK");
        command.arg(&self.spec.redis).arg(&self.group).arg(received);
        let settled = command.query_async::<()>(connection).await;
        settled.map_err(|error| self.problem(&error))
    }
}

/// Ids that one command acknowledges.
const ACKNOWLEDGED: usize = 1_000;

/// A stream that is read some entries at a time.
pub(crate) struct Reading {
    stream: Stream,
    /// Up to where entries were read that this reader was given before and did not acknowledge; `None` once there are no more of them.
    left_over: Option<String>,
    held: Vec<String>,
}

impl Reading {
    pub(crate) async fn begin(
        (stream, field): (String, Option<String>),
        server: Server<RedisServer>,
        reader: &Subscriber,
    ) -> Result<Self, Problem> {
        let connection = server.connection.clone();
        let spec = RedisStream { redis: stream, connection, group: None, from: StartAt::Beginning, field };
        let mut stream = Stream::new(spec, server, reader);
        stream.begin(None).await?;
        Ok(Self { stream, left_over: Some("0".to_owned()), held: Vec::new() })
    }

    async fn entries(&mut self, most: usize, wait: Duration) -> Result<Vec<StreamId>, RedisError> {
        if let Some(after) = self.left_over.take() {
            let left = self.stream.read(&after, most, None).await?;
            if let Some(last) = left.last() {
                self.left_over = Some(last.id.clone());
                return Ok(left);
            }
        }
        // To block for no time is to block for ever.
        let wait = Some(wait.min(WAIT)).filter(|wait| wait.as_millis() > 0);
        self.stream.read(">", most, wait).await
    }
}

#[async_trait]
impl QueueReader for Reading {
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem> {
        let entries = self.entries(most, wait).await.map_err(|error| self.stream.problem(&error))?;
        self.held.extend(entries.iter().map(|entry| entry.id.clone()));
        let is_all = entries.is_empty();
        // An entry that was deleted before it was acknowledged has no fields any more.
        let there = entries.into_iter().filter(|entry| !entry.map.is_empty());
        Ok(Received { messages: there.map(|entry| self.stream.message(entry).into()).collect(), is_all })
    }

    async fn acknowledge(&mut self) -> Result<(), Problem> {
        for ids in std::mem::take(&mut self.held).chunks(ACKNOWLEDGED) {
            self.stream.received = ids.to_vec();
            self.stream.settle().await?;
        }
        Ok(())
    }
}

fn bytes(value: redis::Value) -> Vec<u8> {
    match value {
        redis::Value::BulkString(bytes) => bytes,
        redis::Value::SimpleString(text) => text.into_bytes(),
        redis::Value::Int(number) => number.to_string().into_bytes(),
        _ => Vec::new(),
    }
}
